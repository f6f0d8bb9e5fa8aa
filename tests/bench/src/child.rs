//! What is measured: image-sync's handler over real connections, in a process that does nothing else.
//!
//! It takes batches as Lambda hands them out until it went through all pictures, each time that it is told to on its
//! input, and reports on its error output; on its output it logs, as the function does. The manifest alone is a twin: it
//! stands for DynamoDB, whose client costs every function the same.

use std::io::{BufRead, Write, stderr, stdin};

use adapters::aws::{S3Images, Settings, connect};
use adapters::clock::{Clock, SystemClock};
use adapters::testing::{MemoryManifest, MemoryQuarantine};
use adapters::web::images::{Cap, ImageHosts, WebImages};
use anyhow::Context;
use aws_lambda_events::event::sqs::{SqsEvent, SqsMessage};
use clap::Args;
use domain::{
    ImageKey, ImageRequest, ImageUrl, Marketplace, Position, ProductId, ProductKey, ShopId, THUMBNAIL_SIZES, UnixMillis,
};
use image_sync::handler::{BESIDE_TRANSFERS, Studio, handle};
use lambda::deadline::Deadline;
use lambda::log::Stdout;
use protocols::images;
use serde::{Deserialize, Serialize};

use crate::images::path;
use crate::process::Cost;

/// Pictures of one product.
const PICTURES_PER_PRODUCT: u64 = 5;
/// The longest that Lambda lets an invocation run, in milliseconds.
const INVOCATION_MS_MAX: i64 = 900_000;

/// What to go through, and how.
#[derive(Debug, Clone, Args)]
pub struct Arguments {
    /// Where the pictures are.
    #[arg(long)]
    pub host: String,
    /// Where S3 is.
    #[arg(long)]
    pub bucket: String,
    /// How many pictures there are.
    #[arg(long)]
    pub files: u64,
    /// The cap, in bytes a second.
    #[arg(long)]
    pub cap: u64,
    /// Connections at once.
    #[arg(long)]
    pub connections: usize,
    /// How many messages are handed out at once.
    #[arg(long)]
    pub batch: u64,
    /// Whether they are made smaller.
    #[arg(long)]
    pub thumbnails: bool,
}

impl Arguments {
    /// As they are written on a command line.
    pub fn words(&self) -> Vec<String> {
        let Self { host, bucket, files, cap, connections, batch, thumbnails } = self;
        let mut words = vec![format!("--host={host}"), format!("--bucket={bucket}"), format!("--files={files}")];
        words.extend([format!("--cap={cap}"), format!("--connections={connections}"), format!("--batch={batch}")]);
        words.extend(thumbnails.then(|| "--thumbnails".to_owned()));
        words
    }
}

/// What came of one time through all pictures.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Report {
    /// Messages that have to come again.
    pub failed: usize,
    /// Messages that were set aside.
    pub quarantined: usize,
    /// Processor time of this time through, in milliseconds.
    pub cpu_ms: u64,
    /// The most memory that the process had up to now, in bytes.
    pub peak_bytes: u64,
}

/// Does as it is told until its input ends.
#[tokio::main(flavor = "current_thread")]
pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let address = arguments.host.strip_prefix("http://").context("the host is asked by http")?;
    let cap = Cap { bytes_per_second: arguments.cap, connections: arguments.connections };
    let source = WebImages::new(ImageHosts::parse(address, true)?, cap)?;
    let aws = connect(Settings {
        region: "us-east-1".to_owned(),
        access_key_id: "local".to_owned(),
        secret_access_key: "local".to_owned(),
        session_token: None,
        endpoint_url: Some(arguments.bucket.clone()),
    });
    let (bucket, manifest) = (S3Images::new(&aws, "images".to_owned()), MemoryManifest::default());
    let studio = Studio::new(if arguments.thumbnails { &THUMBNAIL_SIZES } else { &[] });
    let (quarantine, log) = (MemoryQuarantine::default(), Stdout::of("image-sync".to_owned()));
    for _ in stdin().lock().lines() {
        let before = Cost::own()?;
        let (mut failed, now) = (0, SystemClock.now());
        let deadline = Deadline::from_lambda(u64::try_from(now.saturating_add_ms(INVOCATION_MS_MAX).get())?);
        for first in (0..arguments.files).step_by(usize::try_from(arguments.batch)?) {
            let event = batch(&arguments, first, now)?;
            let (limits, told) = ((deadline, cap.connections() + BESIDE_TRANSFERS), (&SystemClock, &log));
            let answer = handle(event, limits, &source, (&bucket, &manifest), &studio, &quarantine, told).await?;
            failed += answer.batch_item_failures.len();
        }
        let cost = Cost::own()?;
        let cpu_ms = u64::try_from(cost.cpu.saturating_sub(before.cpu).as_millis())?;
        let report = Report { failed, quarantined: quarantine.all().len(), cpu_ms, peak_bytes: cost.peak_bytes };
        writeln!(stderr(), "{}", serde_json::to_string(&report)?)?;
    }
    Ok(())
}

/// The messages from this one on.
fn batch(arguments: &Arguments, first: u64, now: UnixMillis) -> anyhow::Result<SqsEvent> {
    let mut event = SqsEvent::default();
    for nth in first..arguments.files.min(first + arguments.batch) {
        let mut message = SqsMessage::default();
        message.message_id = Some(format!("m{nth}"));
        message.body = Some(images::write(&request(arguments, nth, now)?)?);
        event.records.push(message);
    }
    Ok(event)
}

fn request(arguments: &Arguments, nth: u64, asked_at: UnixMillis) -> anyhow::Result<ImageRequest> {
    let product = ProductKey {
        marketplace: Marketplace::Alibaba1688,
        shop: ShopId::new("demo")?,
        product_id: ProductId::new((nth / PICTURES_PER_PRODUCT).to_string())?,
    };
    let image = ImageKey { product, position: Position::new(format!("main-{}", nth % PICTURES_PER_PRODUCT))? };
    let url = ImageUrl::new(format!("{}{}", arguments.host, path(nth)))?;
    Ok(ImageRequest { image, url, asked_at, refetch: false })
}
