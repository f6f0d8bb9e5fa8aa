# What a person does here. `make` alone lists it. Needs Rust (rustup takes the exact version from
# rust-toolchain.toml), Python 3.11 or newer, and make; everything else is set up below this directory.
#
# Settings, from the environment: SAMPAN_PORT (4566), SAMPAN_SECRETS (infra/local/secrets.json),
# SAMPAN_RATES_URL (the examples in infra/local/rates.xml), SAMPAN_1688_URL and SAMPAN_TAOBAO_URL
# (simulated marketplaces, part of the stack), SAMPAN_IMAGE_HOSTS (more image hosts, with commas, than
# alicdn.com and the simulated one), SAMPAN_IMAGE_BYTES_PER_SECOND (52428800, over the whole stack),
# SAMPAN_IMAGE_CONCURRENCY (10, of each of two instances), SAMPAN_SCHEDULES (on), SAMPAN_PARAMETERS
# (NAME=VALUE,… of infra/template.yaml; also of `make deploy`), SAMPAN_LOCAL_DIR (.local).
# A stack on AWS: STACK, REGION (else AWS_REGION), and credentials in AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY,
# AWS_SESSION_TOKEN (`eval "$(aws configure export-credentials --format env)"` sets them).

SHELL := /bin/sh
PYTHON ?= python3
CARGO ?= cargo

SAMPAN := target/debug/sampan
ON_AWS = $(if $(REGION),AWS_REGION=$(REGION)) $(SAMPAN) --stack $(STACK)
# Always the whole workspace: every other selection has other features, and compiles the AWS SDK once more.
BUILD := $(CARGO) build --locked --workspace
TOOLS := .tools/installed
LAMBDA_TOOLS := .tools/lambda/installed
FUNCTIONS := $(notdir $(patsubst %/,%,$(wildcard functions/*/)))
# zig stands beside cargo-lambda.
CARGO_LAMBDA := PATH="$(CURDIR)/.tools/lambda/bin:$$PATH" $(CARGO) lambda
# By the release profile of Cargo.toml. cargo-lambda's own would end a process at a panic, where image-sync sets one hostile
# picture aside and goes on with the others.
BUILD_LAMBDA = $(CARGO_LAMBDA) build --locked --release --disable-optimizations $(if $(filter arm64,$(ARCH)),--arm64,--x86-64)
# What the functions are measured beside: Python with the boto3 that the emulator brings, and Node with its SDK.
NODE := $(if $(shell command -v npm 2>/dev/null),$(shell command -v node 2>/dev/null))
RIVALS := $(if $(NODE),tests/bench/rivals/node_modules/installed)
BESIDE := BENCH_PYTHON="$(CURDIR)/.tools/bin/python" $(if $(NODE),BENCH_NODE="$(NODE)")

.DEFAULT_GOAL := help
.PHONY: help run up demo down build test test-localstack soak bench bench-burst bench-images check deploy deploy-function destroy named-stack named-function clean
# Steps build on each other's files.
.NOTPARALLEL:

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: build ## Set everything up, start the local stack, show the main job on it; the stack stays up
	@$(SAMPAN) local up --demo

up: build ## Start the local stack, or bring the running one to the code and settings of now
	@$(SAMPAN) local up

demo: build ## Show the main job on the running stack: deliveries in, orders out
	@$(SAMPAN) local demo

down: ## Stop the local stack; its data goes with it
	@if [ -x $(SAMPAN) ]; then $(SAMPAN) local down; else echo 'Nothing is built here, so nothing runs.'; fi

test: build ## Run every test that needs no cloud account, with fresh seeds
	$(CARGO) test --locked --workspace

# The functions run in Lambda's own image there, so they are built as for AWS.
test-localstack: build $(LAMBDA_TOOLS) ## Run the stack ring on LocalStack: in Docker, or at LOCALSTACK_ENDPOINT; says what it skips
	$(BUILD_LAMBDA) $(FUNCTIONS:%=--package %)
	tests/stack/localstack.sh $(CARGO) test --locked --workspace --test stack

soak: build ## Run the same tests at the full counts
	SAMPAN_SOAK=full $(CARGO) test --locked --workspace

# The functions are built as they are deployed, apart from everything else. RCLONE=/path/to/rclone names another than the one
# on the PATH; BENCH=--quick takes a minute instead of ten, once all is built.
bench: $(TOOLS) $(RIVALS) ## Measure every budget, beside a no-op, Python, Node and rclone, as far as those are here; what a million costs
	$(CARGO) build --locked --release $(FUNCTIONS:%=--package %) --package no-op
	$(CARGO) bench --locked --package bench --bench pure
	$(BESIDE) $(CARGO) run --locked --release --package bench -- all $(BENCH)

bench-images: ## Measure the pictures alone
	$(CARGO) run --locked --release --package bench -- images $(BENCH)

bench-burst: build ## Singles' Day on the local stack: 50,000 events drained while deliveries go on; nothing lost
	$(CARGO) test --locked --workspace --test stack -- --ignored --exact burst::fifty_thousand_events_are_drained_while_deliveries_go_on

check: $(TOOLS) ## Run what CI runs besides the tests: format, lints, docs, template, dependency policy
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --locked --workspace --no-deps --quiet
	.tools/bin/cfn-lint infra/template.yaml
	@if $(CARGO) deny --version >/dev/null 2>&1; then \
		$(CARGO) deny --locked check; \
	else \
		echo 'The dependency policy (deny.toml) is not checked: cargo-deny is not installed.'; \
	fi

# The functions alone, once, for all of them; then the same calls that the local stack is made by.
deploy: named-stack build $(LAMBDA_TOOLS) ## Put a stack on AWS, or update it: STACK=name [REGION= ARCH=arm64 BUCKET= SECRETS=file]
	$(BUILD_LAMBDA) $(FUNCTIONS:%=--package %)
	@$(ON_AWS) deploy --arch $(if $(ARCH),$(ARCH),x86_64) $(if $(BUCKET),--bucket $(BUCKET)) $(if $(SECRETS),--secrets $(SECRETS))

deploy-function: named-function $(LAMBDA_TOOLS) ## Put the code of one function on AWS: STACK=name NAME=status-writer [REGION= ARCH=arm64 ALIAS=live]
	$(BUILD_LAMBDA) --package $(NAME)
	$(CARGO_LAMBDA) deploy $(if $(REGION),--region $(REGION)) --merge-env --include partitions.json:infra/partitions.json $(if $(ALIAS),--alias $(ALIAS)) --binary-name $(NAME) $(STACK)-$(NAME)

destroy: named-stack build ## Take a stack away, and keep its facts: STACK=name [REGION=]; asks first
	@$(ON_AWS) destroy

# Asked before anything is installed or built.
named-stack:
	@[ -n '$(STACK)' ] || { echo 'Name the stack: STACK=name'; exit 2; }

named-function: named-stack
	@[ -n '$(NAME)' ] && [ -d 'functions/$(NAME)' ] || { echo 'Name the function: NAME=status-writer'; exit 2; }

clean: down ## Stop the local stack and remove all that was built or installed here
	rm -rf .local .tools target tests/bench/rivals/node_modules

build: $(TOOLS) ## Build the functions and the command, and install the emulator
	@$(BUILD)

# The emulator and cfn-lint, in an environment of their own. One pip call: see the file.
$(TOOLS): infra/local/requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'Python 3.11 or newer is needed; name one with PYTHON=/path/to/python3.'; exit 1; }
	@echo 'Installing the local emulator and cfn-lint into .tools (once)'
	@rm -rf .tools
	@$(PYTHON) -m venv .tools
	@.tools/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

$(LAMBDA_TOOLS): infra/lambda-requirements.txt $(TOOLS)
	@echo 'Installing cargo-lambda and zig into .tools/lambda (once)'
	@rm -rf .tools/lambda
	@$(PYTHON) -m venv .tools/lambda
	@.tools/lambda/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

tests/bench/rivals/node_modules/installed: tests/bench/rivals/package.json
	@echo 'Installing the AWS SDK for JavaScript into tests/bench/rivals/node_modules (once)'
	@cd tests/bench/rivals && npm install --no-package-lock --no-audit --no-fund --silent
	@touch $@
