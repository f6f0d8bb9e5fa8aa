#!/bin/sh
# Runs a command with LOCALSTACK_ENDPOINT set: at the LocalStack that it names already, or at one that is started for it in
# Docker and stopped after it. Containers of functions share this machine's network, because the simulated outside listens on
# the loopback address only; IMAGE_LOOPBACK lets image-sync ask there.
set -eu

image=localstack/localstack:4.14.0
port=4599

if [ -n "${LOCALSTACK_ENDPOINT:-}" ]; then
    exec "$@"
fi
if ! docker info >/dev/null 2>&1; then
    echo 'No LocalStack: start Docker, or name one that runs with LOCALSTACK_ENDPOINT=http://127.0.0.1:4566.' >&2
    exit 2
fi
container=$(docker run --detach --rm --network host \
    --env GATEWAY_LISTEN=127.0.0.1:$port --env LOCALSTACK_HOST=127.0.0.1:$port --env SQS_ENDPOINT_STRATEGY=path \
    --env LAMBDA_DOCKER_NETWORK=host --env LAMBDA_DOCKER_FLAGS='-e IMAGE_LOOPBACK=allowed' \
    --volume /var/run/docker.sock:/var/run/docker.sock $image)
trap 'docker stop "$container" >/dev/null' EXIT INT TERM
tries=0
until docker exec "$container" curl --silent --fail --output /dev/null http://127.0.0.1:$port/_localstack/health; do
    tries=$((tries + 1))
    [ $tries -lt 60 ] || { echo 'LocalStack did not start.' >&2; docker logs "$container" | tail -n 20 >&2; exit 1; }
    sleep 1
done
LOCALSTACK_ENDPOINT=http://127.0.0.1:$port "$@"
