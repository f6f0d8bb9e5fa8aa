//! `make up` again: other settings and secrets are applied, and data stays.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use adapters::ports::{ImageQueue, Manifest};
use anyhow::{Context, ensure};
use sampan::local::{self, Options};
use simulators::images::{self, Bytes, Host, Resource};

use crate::images::{image, request, take_quarantined};
use crate::stage::{Stage, now};

/// The cap on pictures that is set, in bytes a second: low enough for a picture to take seconds.
const BYTES_PER_SECOND: u64 = 1_048_576;
/// How long the picture is that is fetched under it: the whole default cap fetches it in the tenth of a second.
const PICTURE_BYTES: u64 = 2 * 1_048_576;

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

/// Another host and another cap: what was refused before is fetched, and as slowly as was said.
pub async fn images(stage: Arc<Stage>) -> anyhow::Result<()> {
    let host = Host::start(images::Options::default()).await?;
    host.publish("/slow.jpg", Resource::padded(5, PICTURE_BYTES));
    let picture = image(&stage, 20)?;
    let wanted = request(picture.clone(), host.url_of("/slow.jpg"))?;
    let queue = stage.session.image_queue()?;
    queue.send(std::slice::from_ref(&wanted)).await?;
    stage.is_empty("images").await?;
    let refused = take_quarantined(&stage, 1).await?;
    ensure!(refused[0].1.contains("host_not_allowed") && host.totals().connections == 0, "{refused:?}");

    let options = stage.options();
    let image_hosts = Some(format!("{},{}", stage.images.address, host.address));
    let image_bytes_per_second = NonZeroU64::new(BYTES_PER_SECOND);
    local::up(&Options { port: None, image_hosts, image_bytes_per_second, ..options }).await?.keep();
    queue.send(&[wanted]).await?;
    stage.is_empty("images").await?;
    let record = stage.session.manifest()?.read(&picture).await?.record.context("it was not fetched")?;
    ensure!(record.original.bytes == PICTURE_BYTES, "{record:?}");
    let worst = host.departures().worst_window(Bytes::All, Duration::from_secs(1));
    ensure!(worst <= BYTES_PER_SECOND * 105 / 100, "{worst} bytes within a second");
    println!("images: a cap of {BYTES_PER_SECOND} bytes a second, {worst} in the worst one");
    Ok(())
}
