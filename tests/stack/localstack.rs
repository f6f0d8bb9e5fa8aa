//! The same ring on LocalStack (`make test-localstack`): the same template without what the free edition lacks, deployed by
//! the code that deploys to AWS; and the list of what is not tested there.

use std::path::Path;

use anyhow::Context;
use sampan::deploy::{self, Architecture, Arguments};
use sampan::stack::{Stack, local_settings};

use crate::stage::root;

/// What it has no provider for: types of resources, by their beginning.
const LACKING: [&str; 2] = ["AWS::ApiGatewayV2::", "AWS::CloudWatch::Dashboard"];
/// How the template names the HTTP API elsewhere: in permissions to call functions, and in an alarm.
const OF_THE_API: [&str; 2] = ["${Api}", "!Ref Api }"];

/// Claims that are not tested on LocalStack, by the beginning of their names, and why.
const SKIPPED: [(&str, &str); 7] = [
    ("refusals::", "what the HTTP API refuses by itself is part of them, and the free edition has none (ApiGatewayV2)"),
    ("deploys::", "they deploy the whole template, HTTP API included"),
    ("settings::", "they start the stack of this machine's emulator again"),
    ("permissions::", "the free edition enforces no role"),
    ("privacy::", "what LocalStack itself logs is in its container"),
    ("page::", "the page is of this machine's emulator, and the same anywhere"),
    ("burst::", "it is of this machine's emulator"),
];

/// Where LocalStack is, when the ring is to run there.
#[expect(clippy::disallowed_methods, reason = "a setting of the run, as SAMPAN_SEED is")]
pub fn endpoint() -> Option<String> {
    std::env::var("LOCALSTACK_ENDPOINT").ok().filter(|endpoint| !endpoint.is_empty())
}

/// Where the functions are that it runs: NAME/bootstrap, built for Lambda's own Linux.
#[expect(clippy::disallowed_methods, reason = "a setting of the run, as SAMPAN_SEED is")]
fn functions() -> std::path::PathBuf {
    std::env::var("LOCALSTACK_FUNCTIONS").map_or_else(|_| root().join("target/lambda"), Into::into)
}

/// Why a claim is not tested there.
pub fn skipped(name: &str) -> Option<&'static str> {
    SKIPPED.iter().find(|(beginning, _)| name.starts_with(beginning)).map(|(_, reason)| *reason)
}

/// The template, without the resources that LocalStack lacks and without what names them. Blocks stand between empty lines.
fn template(text: &str) -> String {
    let is_lacking = |block: &str| {
        let kind = block.lines().find_map(|line| line.strip_prefix("    Type: ")).unwrap_or_default();
        LACKING.iter().any(|lacking| kind.starts_with(lacking)) || OF_THE_API.iter().any(|named| block.contains(named))
    };
    let kept: Vec<&str> = text.split("\n\n").filter(|block| !is_lacking(block)).collect();
    kept.join("\n\n").replace("!GetAtt Api.ApiEndpoint", "none").replace("Value: !Ref Api\n", "Value: none\n")
}

/// Deploys the stack there, as `sampan deploy` does.
pub async fn up(endpoint: &str, name: &str, directory: &Path, parameters: Vec<String>) -> anyhow::Result<Stack> {
    let text = std::fs::read_to_string(root().join("infra/template.yaml"))?;
    let file = directory.join("template.yaml");
    std::fs::write(&file, template(&text))?;
    let arguments = Arguments {
        bucket: None,
        arch: Architecture::HERE,
        parameters,
        secrets: Some(directory.join(crate::stage::SECRETS_FILE)),
        functions: functions(),
        template: file,
    };
    let settings = local_settings(endpoint.to_owned(), "us-east-1");
    deploy::deploy(&settings, name, &arguments).await.with_context(|| format!("LocalStack at {endpoint}"))
}

/// Takes it away, with its facts.
pub async fn down(endpoint: &str, name: &str) -> anyhow::Result<()> {
    deploy::destroy(&local_settings(endpoint.to_owned(), "us-east-1"), name, true).await
}
