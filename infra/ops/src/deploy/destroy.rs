//! A stack, taken away.

use std::io::{BufRead, Write, stderr, stdin};

use adapters::aws::{Settings, connect};
use anyhow::{Context, bail};
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use clap::Args;

use super::{CODE_BUCKET, code, is_made_for, stack};
use crate::stack::{Choice, Stack};
use crate::table::step;

/// How a stack is taken away.
#[derive(Debug, Clone, Copy, Args)]
#[command(after_help = "\
Without --data the facts stay: the tables of orders, payments, trades, sweeps and images, the buckets of details and of
pictures, and the secret. The queues go, with what they hold: see that they are empty (`sampan status`).")]
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

/// Takes a stack away; its facts too, when that is said.
pub async fn destroy(settings: &Settings, name: &str, with_data: bool) -> anyhow::Result<()> {
    let config = connect(settings.clone());
    let parameters = stack::parameters(&config, name).await?;
    if parameters.is_empty() {
        bail!("there is no stack {name} in {}", settings.region);
    }
    // Before anything goes: what cannot be named afterwards would stay behind unseen.
    let facts = if with_data { Some(Stack::describe(settings, name).await?) } else { None };
    stack::delete(&config, name).await?;
    step("Stack", &format!("{name} is gone"));
    let Some(facts) = facts else { return Ok(()) };
    let dynamodb = aws_sdk_dynamodb::Client::new(&config);
    for table in facts.tables.values() {
        match dynamodb.delete_table().table_name(table).send().await {
            Ok(_) => {}
            Err(error) if error.code() == Some("ResourceNotFoundException") => {}
            Err(error) => return Err(error).with_context(|| format!("cannot delete the table {table}")),
        }
    }
    let code = parameters.get(CODE_BUCKET).filter(|bucket| is_made_for(name, bucket));
    for bucket in facts.buckets.values().chain(code) {
        code::remove_bucket(&config, bucket).await?;
    }
    let secrets = aws_sdk_secretsmanager::Client::new(&config);
    let delete = secrets.delete_secret().secret_id(&facts.secret_id).force_delete_without_recovery(true);
    delete.send().await.context("cannot delete the secret")?;
    step("Facts", "tables, buckets and the secret are gone");
    Ok(())
}
