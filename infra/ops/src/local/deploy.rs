//! Code into the bucket, template into the stack: through the same calls as on AWS.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use aws_sdk_cloudformation::Client;
use aws_sdk_cloudformation::error::ProvideErrorMetadata;
use aws_sdk_cloudformation::types::{Capability, Parameter, StackStatus};
use aws_types::SdkConfig;
use sha2::{Digest, Sha256};

use super::marketplaces::Marketplaces;
use super::package::Package;
use super::{Options, Schedules};
use crate::table::step;

/// Between two looks at a stack that changes.
const LOOK_MS: u64 = 200;
/// Looks at a stack that changes: two minutes. The emulator takes a second.
const LOOKS_MAX: u32 = 600;

fn bucket(stack: &str) -> String {
    format!("{stack}-code")
}

/// The emulator's S3, which has one host for all buckets.
pub(super) fn s3(config: &SdkConfig) -> aws_sdk_s3::Client {
    let settings = aws_sdk_s3::config::Builder::from(config).force_path_style(true).build();
    aws_sdk_s3::Client::from_conf(settings)
}

/// Creates a bucket that is not there yet.
pub(super) async fn make_bucket(client: &aws_sdk_s3::Client, bucket: &str) -> anyhow::Result<()> {
    if client.head_bucket().bucket(bucket).send().await.is_err() {
        let create = client.create_bucket().bucket(bucket).send().await;
        create.with_context(|| format!("cannot create the bucket {bucket}"))?;
    }
    Ok(())
}

/// Uploads the zips that are not there yet, and checks that each arrived whole: the emulator creates a
/// function also from a zip that is missing.
pub(super) async fn upload(config: &SdkConfig, stack: &str, packages: &[Package]) -> anyhow::Result<()> {
    let client = s3(config);
    let bucket = bucket(stack);
    make_bucket(&client, &bucket).await?;
    let mut uploaded = 0;
    for package in packages {
        if is_there(&client, &bucket, package).await {
            continue;
        }
        let body = aws_sdk_s3::primitives::ByteStream::from(package.zip.clone());
        let put = client.put_object().bucket(&bucket).key(&package.key).body(body);
        put.send().await.with_context(|| format!("cannot upload {}", package.key))?;
        if !is_there(&client, &bucket, package).await {
            bail!("{} was uploaded and is not there", package.key);
        }
        uploaded += 1;
    }
    step("Code", &format!("{uploaded} of {} functions are new", packages.len()));
    Ok(())
}

async fn is_there(client: &aws_sdk_s3::Client, bucket: &str, package: &Package) -> bool {
    let kept = client.head_object().bucket(bucket).key(&package.key).send().await;
    let length = kept.ok().and_then(|kept| kept.content_length());
    length.and_then(|length| usize::try_from(length).ok()) == Some(package.zip.len())
}

/// Whom the functions ask.
pub(super) struct Upstreams {
    pub(super) rates_url: String,
    pub(super) marketplaces: Marketplaces,
}

/// The template's parameters: the code, whom the functions ask, what is different on a machine without TLS, and what was
/// chosen.
pub(super) fn parameters(
    stack: &str,
    packages: &[Package],
    upstreams: Upstreams,
    options: &Options,
) -> anyhow::Result<Vec<Parameter>> {
    let schedules = match options.schedules {
        Schedules::On => "ENABLED",
        Schedules::Off => "DISABLED",
    };
    let fixed = [
        ("CodeBucket", bucket(stack)),
        ("RatesUrl", upstreams.rates_url),
        ("Ali1688Url", upstreams.marketplaces.ali1688_url),
        ("TaobaoUrl", upstreams.marketplaces.taobao_url),
        ("ImageHosts", upstreams.marketplaces.image_hosts),
        ("SweepSchedules", schedules.to_owned()),
        ("RequireTls", "false".to_owned()),
        // The emulator runs the functions as programs of this machine.
        ("Architecture", if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" }.to_owned()),
    ];
    let code = packages.iter().map(|package| (package.parameter, package.key.clone()));
    let budget = options.image_bytes_per_second.map(|bytes| ("ImageBytesPerSecond", bytes.to_string()));
    let connections = options.image_concurrency.map(|pictures| ("ImageConcurrency", pictures.to_string()));
    let chosen: Vec<(&str, String)> = options
        .parameters
        .iter()
        .map(|text| {
            let (name, value) = text.split_once('=').with_context(|| format!("{text} is not NAME=VALUE"))?;
            Ok((name, value.to_owned()))
        })
        .collect::<anyhow::Result<_>>()?;
    let parameter = |(name, value)| Parameter::builder().parameter_key(name).parameter_value(value).build();
    Ok(fixed.into_iter().chain(budget).chain(connections).chain(code).chain(chosen).map(parameter).collect())
}

/// Puts the template beside the code, and tells where it is: a call takes 51,200 bytes of a template, a bucket's object
/// may have a million. Source: CloudFormation quotas.
async fn put_template(config: &SdkConfig, stack: &str, template: String) -> anyhow::Result<String> {
    let (bucket, key) = (bucket(stack), format!("template-{}.yaml", hex::encode(Sha256::digest(&template))));
    let endpoint = config.endpoint_url().context("the local stack has no endpoint")?;
    let url = format!("{endpoint}/{bucket}/{key}");
    let body = aws_sdk_s3::primitives::ByteStream::from(template.into_bytes());
    let put = s3(config).put_object().bucket(bucket).key(key).body(body).send().await;
    put.context("cannot upload the template")?;
    Ok(url)
}

/// Creates or updates the stack and waits for it. The same again is not a change and not an error.
pub(super) async fn apply(
    config: &SdkConfig,
    name: &str,
    template: &Path,
    parameters: Vec<Parameter>,
) -> anyhow::Result<()> {
    let client = Client::new(config);
    let body = std::fs::read_to_string(template).with_context(|| format!("cannot read {}", template.display()))?;
    // AWS refuses a parameter that the template does not have; the emulator lets a misspelt one pass.
    let unknown = parameters.iter().filter_map(Parameter::parameter_key).find(|key| !has_parameter(&body, key));
    if let Some(key) = unknown {
        bail!("{} has no parameter {key}", template.display());
    }
    let url = put_template(config, name, body).await?;
    if status(&client, name).await?.is_none() {
        let create = client.create_stack().stack_name(name).template_url(url).set_parameters(Some(parameters));
        create.capabilities(Capability::CapabilityIam).send().await.context("cannot create the stack")?;
        wait(&client, name).await?;
        step("Stack", &format!("{name} created"));
        return Ok(());
    }
    let update = client.update_stack().stack_name(name).template_url(url).set_parameters(Some(parameters));
    match update.capabilities(Capability::CapabilityIam).send().await {
        Ok(_) => {
            wait(&client, name).await?;
            step("Stack", &format!("{name} updated, data kept"));
        }
        Err(error) if error.message().is_some_and(|message| message.contains("No updates")) => {
            step("Stack", &format!("{name} is up to date"));
        }
        Err(error) => return Err(error).context("cannot update the stack"),
    }
    Ok(())
}

/// Whether a template has a parameter of that name, by the form that this repository writes.
fn has_parameter(template: &str, name: &str) -> bool {
    let parameters = template.split("\nParameters:\n").nth(1).and_then(|rest| rest.split("\nResources:\n").next());
    parameters.is_some_and(|parameters| parameters.contains(&format!("  {name}:\n    Type: ")))
}

/// The status of a stack; `None` when there is none.
async fn status(client: &Client, name: &str) -> anyhow::Result<Option<StackStatus>> {
    match client.describe_stacks().stack_name(name).send().await {
        Ok(answer) => Ok(answer.stacks().first().and_then(|stack| stack.stack_status()).cloned()),
        Err(error) if error.message().is_some_and(|message| message.contains("does not exist")) => Ok(None),
        Err(error) => Err(error).context("cannot describe the stack"),
    }
}

async fn wait(client: &Client, name: &str) -> anyhow::Result<()> {
    for _ in 0..LOOKS_MAX {
        let status = status(client, name).await?.context("the stack is gone")?;
        if matches!(status, StackStatus::CreateComplete | StackStatus::UpdateComplete) {
            return Ok(());
        }
        if !status.as_str().ends_with("_IN_PROGRESS") {
            bail!("the stack ended as {}: {}", status.as_str(), reasons(client, name).await);
        }
        tokio::time::sleep(Duration::from_millis(LOOK_MS)).await;
    }
    bail!("the stack does not come to an end")
}

/// What failed, in CloudFormation's words.
async fn reasons(client: &Client, name: &str) -> String {
    let Ok(events) = client.describe_stack_events().stack_name(name).send().await else {
        return "and its events cannot be read".to_owned();
    };
    let failed = events.stack_events().iter().filter_map(|event| {
        let status = event.resource_status()?.as_str();
        let reason = event.resource_status_reason().filter(|_| status.ends_with("FAILED"))?;
        Some(format!("{}: {reason}", event.logical_resource_id().unwrap_or("?")))
    });
    failed.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_one_that_the_template_has() {
        let template = include_str!("../../../template.yaml");
        for (name, is_one) in [
            ("CodeBucket", true),
            ("RatesUrl", true),
            ("Ali1688Url", true),
            ("TaobaoUrl", true),
            ("SweepSchedules", true),
            ("ImageHosts", true),
            ("ImageBytesPerSecond", true),
            ("ImageConcurrency", true),
            ("Orders", false),
            ("logRetentionDays", false),
        ] {
            assert_eq!(has_parameter(template, name), is_one, "{name}");
        }
        for (_, parameter) in super::super::FUNCTIONS {
            assert!(has_parameter(template, parameter), "{parameter}");
        }
    }

    /// Each instance keeps its part of the cap. So the number of parts and the bound on instances are one number, which
    /// stands in the template twice.
    #[test]
    fn there_are_as_many_parts_of_the_cap_as_instances() {
        let template = include_str!("../../../template.yaml");
        let after = |name: &str, text: &str| {
            let found: Vec<&str> = text.split(name).skip(1).collect();
            assert_eq!(found.len(), 1, "{name}");
            found[0].chars().skip_while(|letter| !letter.is_ascii_digit()).take_while(char::is_ascii_digit).collect()
        };
        let mapping = template.split("\n  ImageSyncRequests:\n").nth(1).unwrap().split("\n\n").next().unwrap();
        let (parts, instances): (String, String) =
            (after("IMAGE_INSTANCES:", template), after("MaximumConcurrency:", mapping));
        assert_eq!(parts, instances);
        assert!(parts.parse::<u32>().unwrap() >= 2, "the least that Lambda takes");
    }
}
