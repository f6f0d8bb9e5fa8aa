//! A stack, taken away.

use std::io::{BufRead, Write, stderr, stdin};

use adapters::aws::{Settings, connect};
use anyhow::{Context, bail, ensure};
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_types::SdkConfig;
use clap::Args;

use super::stack::Resource;
use super::{CODE_BUCKET, code, is_made_for, stack};
use crate::queues::depth;
use crate::stack::Choice;
use crate::table::step;

/// The code of what is gone already. Source: DynamoDB DeleteTable, Secrets Manager DeleteSecret.
const NOT_FOUND: &str = "ResourceNotFoundException";

/// How a stack is taken away.
#[derive(Debug, Clone, Copy, Args)]
#[command(after_help = "\
Without --data the facts stay: the tables of orders, payments, trades, sweeps and images, the buckets of details and of
pictures, and the secret. The queues go, so nothing may wait in them (`sampan status`),
and senders should have stopped. With --data, what an earlier run left behind is taken too, for 90 days.")]
pub struct DestroyArguments {
    /// The facts too: tables, buckets and the secret
    #[arg(long)]
    pub data: bool,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
}

/// Asks, and takes the stack away that is chosen.
pub(crate) async fn run(choice: &Choice, arguments: DestroyArguments) -> anyhow::Result<()> {
    let (settings, name) = choice.on_aws()?;
    if !arguments.yes {
        let what = if arguments.data { "with all its facts" } else { "and keeps its facts" };
        eprintln!("What senders deliver meanwhile is lost with the queues: have them stop first.");
        eprint!("This takes the stack {name} in {} away, {what}. Type its name to go on: ", settings.region);
        stderr().flush()?;
        let mut typed = String::new();
        stdin().lock().read_line(&mut typed)?;
        if typed.trim() != name {
            bail!("nothing was done");
        }
    }
    destroy(&settings, &name, arguments.data).await
}

/// Takes a stack away; its facts too, when that is said. What a stack left that is gone already is taken then, so that doing
/// it again goes on where it stopped. Without its facts, a stack goes only when nothing waits in its queues.
pub async fn destroy(settings: &Settings, name: &str, with_data: bool) -> anyhow::Result<()> {
    let config = connect(settings.clone());
    let found = stack::find(&config, name).await?;
    let found =
        found.with_context(|| format!("there is no stack {name} in {}, and none is remembered", settings.region))?;
    // Before anything goes: what cannot be named afterwards would stay behind unseen.
    let resources = found.resources(&config).await?;
    if found.is_gone {
        ensure!(with_data, "the stack {name} is gone already; --data takes the facts that it left");
    } else {
        if !with_data {
            expect_nothing_waits(&config, &resources).await?;
        }
        stack::delete(&config, name).await?;
        step("Stack", &format!("{name} is gone"));
    }
    if !with_data {
        return Ok(());
    }
    for Resource { kind, id } in &resources {
        match kind.as_str() {
            "AWS::DynamoDB::Table" => remove_table(&config, id).await?,
            "AWS::S3::Bucket" => code::remove_bucket(&config, id).await?,
            "AWS::SecretsManager::Secret" => remove_secret(&config, id).await?,
            _ => {}
        }
    }
    if let Some(bucket) = found.parameters.get(CODE_BUCKET).filter(|bucket| is_made_for(name, bucket)) {
        code::remove_bucket(&config, bucket).await?;
    }
    step("Facts", "tables, buckets and the secret are gone");
    Ok(())
}

/// An event or a picture that waits is nowhere else.
async fn expect_nothing_waits(config: &SdkConfig, resources: &[Resource]) -> anyhow::Result<()> {
    let client = aws_sdk_sqs::Client::new(config);
    for Resource { id, .. } in resources.iter().filter(|resource| resource.kind == "AWS::SQS::Queue") {
        let waiting = depth(&client, id).await?.total();
        let name = id.rsplit('/').next().unwrap_or(id);
        ensure!(
            waiting == 0,
            "messages wait in {name} ({waiting}), and would go with it: see `sampan status`; --data takes everything"
        );
    }
    Ok(())
}

async fn remove_table(config: &SdkConfig, table: &str) -> anyhow::Result<()> {
    match aws_sdk_dynamodb::Client::new(config).delete_table().table_name(table).send().await {
        Ok(_) => Ok(()),
        Err(error) if error.code() == Some(NOT_FOUND) => Ok(()),
        Err(error) => Err(error).with_context(|| format!("cannot delete the table {table}")),
    }
}

async fn remove_secret(config: &SdkConfig, secret: &str) -> anyhow::Result<()> {
    let secrets = aws_sdk_secretsmanager::Client::new(config);
    match secrets.delete_secret().secret_id(secret).force_delete_without_recovery(true).send().await {
        Ok(_) => Ok(()),
        Err(error) if error.code() == Some(NOT_FOUND) => Ok(()),
        Err(error) => Err(error).context("cannot delete the secret"),
    }
}
