//! The stack in CloudFormation: made, brought to what template and parameters are now, taken away.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, bail};
use aws_sdk_cloudformation::Client;
use aws_sdk_cloudformation::error::ProvideErrorMetadata;
use aws_sdk_cloudformation::types::{
    Capability, Parameter, ResourceStatus, Stack, StackEvent, StackResourceSummary, StackStatus, StackSummary,
};
use aws_types::SdkConfig;
use sha2::{Digest, Sha256};

use super::code::put_template;
use crate::table::{spinner, step};

/// Between two looks at a stack that changes.
const LOOK_MS: u64 = 500;
/// Looks at a stack that changes: an hour. Tables and functions take minutes on AWS; the emulator takes a second.
const LOOKS_MAX: u32 = 7_200;

/// The parameter that changes with all that is deployed, and how many letters of a digest it has.
pub(super) const RELEASE: &str = "Release";
const RELEASE_LETTERS: usize = 16;

/// What becomes of parameters that nothing is said of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unsaid {
    /// They are as the template has them.
    Default,
    /// They are as the stack has them.
    AsBefore,
}

/// A template, by its text.
pub(crate) struct Template<'a> {
    /// The text.
    pub(crate) text: &'a str,
    /// The bucket that it is put into.
    pub(crate) bucket: &'a str,
}

/// Creates or updates the stack and waits for it. The same again is not a change and not an error.
pub(crate) async fn apply(
    config: &SdkConfig,
    name: &str,
    template: Template<'_>,
    mut said: BTreeMap<String, String>,
    unsaid: Unsaid,
) -> anyhow::Result<()> {
    let client = Client::new(config);
    // AWS refuses a parameter that the template does not have; the emulator lets a misspelt one pass.
    if let Some(key) = said.keys().find(|key| !has_parameter(template.text, key)) {
        bail!("the template has no parameter {key}");
    }
    let kept = describe(&client, name).await?;
    let before = match (&kept, unsaid) {
        (Some(kept), Unsaid::AsBefore) => pairs(kept),
        (Some(_), Unsaid::Default) | (None, _) => BTreeMap::new(),
    };
    if !said.contains_key(RELEASE) {
        said.insert(RELEASE.to_owned(), release(template.text, &before, &said));
    }
    let url = put_template(config, template.bucket, template.text).await?;
    let pair = |(key, value)| Parameter::builder().parameter_key(key).parameter_value(value).build();
    let mut parameters: Vec<Parameter> = said.clone().into_iter().map(pair).collect();
    let Some(kept) = kept else {
        let create = client.create_stack().stack_name(name).template_url(url).set_parameters(Some(parameters));
        create.capabilities(Capability::CapabilityIam).send().await.context("cannot create the stack")?;
        wait(&client, name).await?;
        step("Stack", &format!("{name} created"));
        return Ok(());
    };
    if kept.stack_status() == Some(&StackStatus::RollbackComplete) {
        bail!(
            "{name} could not be created and is an empty shell: take it away with `sampan destroy`, then deploy again"
        );
    }
    let unsaid = before.keys().filter(|key| !said.contains_key(*key) && has_parameter(template.text, key));
    let as_before = |key| Parameter::builder().parameter_key(key).use_previous_value(true).build();
    parameters.extend(unsaid.map(as_before));
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

/// A stack that is there, or was there.
pub(super) struct Found {
    /// Its id, which is its own also when another has its name.
    pub(super) id: String,
    /// Whether it was taken away.
    pub(super) is_gone: bool,
    /// What it was made with.
    pub(super) parameters: BTreeMap<String, String>,
}

/// A part of a stack: its type, and its name or address.
pub(super) struct Resource {
    /// The type, in CloudFormation's word.
    pub(super) kind: String,
    /// What its service knows it by.
    pub(super) id: String,
}

/// The stack of that name, or the one that was taken away last. Source: CloudFormation ListStacks, which remembers those for
/// 90 days.
pub(super) async fn find(config: &SdkConfig, name: &str) -> anyhow::Result<Option<Found>> {
    let client = Client::new(config);
    if let Some(stack) = describe(&client, name).await? {
        let parameters = pairs(&stack);
        return Ok(stack.stack_id.map(|id| Found { id, is_gone: false, parameters }));
    }
    let gone = client.list_stacks().stack_status_filter(StackStatus::DeleteComplete).into_paginator().items().send();
    let gone: Vec<StackSummary> = gone.try_collect().await.context("cannot list the stacks that are gone")?;
    let of_the_name = gone.into_iter().filter(|stack| stack.stack_name() == Some(name));
    let last = of_the_name.max_by_key(|stack| stack.deletion_time.map(|time| time.as_nanos()));
    let Some(id) = last.and_then(|stack| stack.stack_id) else { return Ok(None) };
    let parameters = describe(&client, &id).await?.as_ref().map(pairs).unwrap_or_default();
    Ok(Some(Found { id, is_gone: true, parameters }))
}

impl Found {
    /// The parts that it has; of one that is gone, those that it left, as its events tell.
    pub(super) async fn resources(&self, config: &SdkConfig) -> anyhow::Result<Vec<Resource>> {
        let client = Client::new(config);
        if self.is_gone {
            let events = client.describe_stack_events().stack_name(&self.id).into_paginator().items().send();
            let events: Vec<StackEvent> = events.try_collect().await.context("cannot read what the stack left")?;
            let left = events.into_iter().filter(|event| event.resource_status == Some(ResourceStatus::DeleteSkipped));
            let part = |event: StackEvent| Some((event.resource_type?, event.physical_resource_id?));
            return Ok(left.filter_map(part).map(|(kind, id)| Resource { kind, id }).collect());
        }
        let listed = client.list_stack_resources().stack_name(&self.id).into_paginator().items().send();
        let listed: Vec<StackResourceSummary> = listed.try_collect().await.context("cannot list what the stack has")?;
        let has = listed.into_iter().filter(|part| part.resource_status != Some(ResourceStatus::DeleteComplete));
        let part = |part: StackResourceSummary| Some((part.resource_type?, part.physical_resource_id?));
        Ok(has.filter_map(part).map(|(kind, id)| Resource { kind, id }).collect())
    }
}

/// Takes the stack away and waits for it; what its template keeps, stays.
pub(super) async fn delete(config: &SdkConfig, name: &str) -> anyhow::Result<()> {
    let client = Client::new(config);
    client.delete_stack().stack_name(name).send().await.context("cannot delete the stack")?;
    let shown = spinner("Stack");
    for _ in 0..LOOKS_MAX {
        match describe(&client, name).await?.and_then(|stack| stack.stack_status().cloned()) {
            None | Some(StackStatus::DeleteComplete) => return Ok(()),
            Some(StackStatus::DeleteFailed) => {
                bail!("the stack could not be deleted: {}", reasons(&client, name).await)
            }
            Some(status) => shown.set_message(status.as_str().to_owned()),
        }
        tokio::time::sleep(Duration::from_millis(LOOK_MS)).await;
    }
    bail!("the stack does not come to an end")
}

/// The parameters that a stack has; none when there is no stack.
pub(crate) async fn parameters(config: &SdkConfig, name: &str) -> anyhow::Result<BTreeMap<String, String>> {
    let stack = describe(&Client::new(config), name).await?;
    Ok(stack.as_ref().map(pairs).unwrap_or_default())
}

fn pairs(stack: &Stack) -> BTreeMap<String, String> {
    let pair = |parameter: &Parameter| Some((parameter.parameter_key.clone()?, parameter.parameter_value.clone()?));
    stack.parameters().iter().filter_map(pair).collect()
}

/// A word for this template with these parameters: those that are said, and of the others those that were before.
fn release(template: &str, before: &BTreeMap<String, String>, said: &BTreeMap<String, String>) -> String {
    let mut parameters = before.clone();
    parameters.extend(said.clone());
    parameters.remove(RELEASE);
    let mut digest = Sha256::new_with_prefix(template);
    for (name, value) in parameters {
        digest.update(format!("\n{name}={value}"));
    }
    hex::encode(digest.finalize()).chars().take(RELEASE_LETTERS).collect()
}

/// Whether a template has a parameter of that name, by the form that this repository writes.
fn has_parameter(template: &str, name: &str) -> bool {
    let parameters = template.split("\nParameters:\n").nth(1).and_then(|rest| rest.split("\nResources:\n").next());
    parameters.is_some_and(|parameters| parameters.contains(&format!("  {name}:\n    Type: ")))
}

/// A stack; `None` when there is none.
async fn describe(client: &Client, name: &str) -> anyhow::Result<Option<Stack>> {
    match client.describe_stacks().stack_name(name).send().await {
        Ok(answer) => Ok(answer.stacks.unwrap_or_default().into_iter().next()),
        Err(error) if error.message().is_some_and(|message| message.contains("does not exist")) => Ok(None),
        Err(error) => Err(error).context("cannot describe the stack"),
    }
}

async fn wait(client: &Client, name: &str) -> anyhow::Result<()> {
    let shown = spinner("Stack");
    for _ in 0..LOOKS_MAX {
        let stack = describe(client, name).await?.context("the stack is gone")?;
        let status = stack.stack_status().context("a stack without a status")?;
        if matches!(status, StackStatus::CreateComplete | StackStatus::UpdateComplete) {
            return Ok(());
        }
        if !status.as_str().ends_with("_IN_PROGRESS") {
            bail!("the stack ended as {}: {}", status.as_str(), reasons(client, name).await);
        }
        shown.set_message(status.as_str().to_owned());
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
