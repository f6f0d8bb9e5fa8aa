//! The image-sync function: clients, then the loop.

use adapters::aws::dynamodb::DynamoManifest;
use adapters::aws::{DynamoClient, S3Images, SqsClient, SqsQuarantine, connect};
use adapters::clock::SystemClock;
use adapters::web::images::WebImages;
use aws_lambda_events::event::sqs::SqsEvent;
use image_sync::config::Config;
use image_sync::handler::{BESIDE_TRANSFERS, Studio, handle};
use lambda::log::Stdout;
use lambda::runtime::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    lambda::warnings::init();
    let config = Config::from_environment()?;
    let aws = connect(config.aws);
    let manifest = DynamoManifest::new(&DynamoClient::new(&aws), config.images_table);
    let bucket = S3Images::new(&aws, config.images_bucket);
    let quarantine = SqsQuarantine::new(&SqsClient::new(&aws), config.quarantine_queue_url);
    let source = WebImages::new(config.hosts, config.cap)?;
    let (studio, at_once) = (Studio::new(config.thumbnails), config.cap.connections() + BESIDE_TRANSFERS);
    let log = Stdout::of(lambda::config::function_name());
    let (source, stores, studio) = (&source, (&bucket, &manifest), &studio);
    let (quarantine, told) = (&quarantine, (&SystemClock, &log));
    let serve = lambda::runtime::serve(|batch: SqsEvent, deadline| async move {
        handle(batch, (deadline, at_once), source, stores, studio, quarantine, told).await.map_err(Error::from)
    });
    serve.await.map_err(anyhow::Error::from_boxed)
}
