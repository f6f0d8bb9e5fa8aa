//! `make up` again: other settings and secrets are applied, and data stays.

use std::sync::Arc;

use anyhow::{Context, ensure};
use sampan::local::{self, Options};

use crate::stage::{Stage, now};

pub async fn up_again(stage: Arc<Stage>) -> anyhow::Result<()> {
    let order = format!("kept-{}", stage.run);
    stage.warehouse("msg_kept", &order, "arrived", now()).await?;
    stage.order_when(&order, |order| order["status"] == "ARRIVED").await?;

    let options = stage.options();
    let again = local::up(&Options { port: None, ..options.clone() }).await?;
    ensure!(again.stack == stage.session.stack, "the same settings made another stack");
    again.keep();
    let document = std::fs::read_to_string(&options.secrets)?.replace("\"scanner\"", "\"scanner-2\"");
    let secrets = stage.directory.join("secrets.json");
    std::fs::write(&secrets, document)?;
    let parameters = vec!["EventsBatchSize=5".to_owned()];
    // And with the example rates of the local stack, which its own bucket serves.
    local::up(&Options { port: None, parameters, secrets, rates_url: None, ..options }).await?.keep();

    let cloudformation = aws_sdk_cloudformation::Client::new(&stage.session.config);
    let described = cloudformation.describe_stacks().stack_name(&stage.session.stack.stack).send().await?;
    let stack = described.stacks().first().context("no stack")?;
    let size = stack.parameters().iter().find(|parameter| parameter.parameter_key() == Some("EventsBatchSize"));
    ensure!(size.and_then(|size| size.parameter_value()) == Some("5"), "{size:?}");
    let secrets = stage.session.secrets().await?;
    let source = |name: &str| anyhow::Ok(protocols::Channel::Source(domain::SourceName::new(name)?));
    ensure!(
        secrets.credentials(&source("scanner-2")?).is_ok() && secrets.credentials(&source("scanner")?).is_err(),
        "the secrets were not applied"
    );
    let quote = stage.ask(reqwest::Method::GET, "/quotes?from=JPY&to=EUR&amount_minor=16500", "").await?;
    let quote: serde_json::Value = serde_json::from_slice(&quote.body)?;
    ensure!(quote["converted_minor"] == 10_230, "the example rates are not served: {quote}");
    stage.order_when(&order, |order| order["status"] == "ARRIVED").await?;
    stage.warehouse("msg_kept_2", &order, "packed", now()).await?;
    stage.order_when(&order, |order| order["status"] == "PACKED").await?;
    Ok(())
}
