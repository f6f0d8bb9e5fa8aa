//! The twins keep what the ports promise. The stack ring runs the same suites on the AWS implementations.

use adapters::testing::{
    MemoryEvents, MemoryImageBucket, MemoryImageQueue, MemoryLedger, MemoryManifest, MemoryNonces, MemoryOrders,
    MemoryProducts, MemoryQuarantine, MemoryRawDetails, MemorySecrets, MemorySweeps, MemoryTrades, conformance,
};
use protocols::{cloudevents, images};

use crate::support::secrets;

#[tokio::test]
async fn the_twin_of_the_orders_table_keeps_the_promises_of_its_port() {
    conformance::orders(&MemoryOrders::default(), "twin").await.unwrap();
}

#[tokio::test]
async fn the_twin_of_the_order_book_keeps_the_promises_of_its_port() {
    conformance::book(&MemoryOrders::default(), "twin").await.unwrap();
}

#[tokio::test]
async fn the_twin_of_the_ledger_keeps_the_promises_of_its_port() {
    conformance::ledger(&MemoryLedger::default(), "twin").await.unwrap();
}

#[tokio::test]
async fn the_twin_of_the_trades_table_keeps_the_promises_of_its_port() {
    conformance::trades(&MemoryTrades::default(), "twin").await.unwrap();
}

#[tokio::test]
async fn the_twin_of_the_details_of_trades_keeps_the_promises_of_its_port() {
    conformance::details(&MemoryTrades::default(), "twin").await.unwrap();
}

#[tokio::test]
async fn the_twin_of_the_bucket_of_answers_keeps_the_promises_of_its_port() {
    conformance::raw_details(&MemoryRawDetails::default(), "twin").await.unwrap();
}

#[tokio::test]
async fn the_twin_of_the_sweeps_table_keeps_the_promises_of_its_port() {
    conformance::sweeps(&MemorySweeps::default(), "twin").await.unwrap();
}

#[tokio::test]
async fn the_twin_of_the_nonces_table_keeps_the_promises_of_its_port() {
    conformance::nonces(&MemoryNonces::default(), "twin").await.unwrap();
}

#[tokio::test]
async fn the_twin_of_the_events_queue_keeps_the_promises_of_its_port() {
    let queue = MemoryEvents::default();
    let take = async |_| Ok(queue.all().iter().map(cloudevents::write).collect::<Result<_, _>>()?);
    conformance::events(&queue, take).await.unwrap();
}

#[tokio::test]
async fn the_twin_of_the_products_keeps_the_promises_of_its_port() {
    conformance::products(&MemoryProducts::default(), "twin").await.unwrap();
}

#[tokio::test]
async fn the_twin_of_the_manifest_keeps_the_promises_of_its_port() {
    conformance::manifest(&MemoryManifest::default(), &MemoryProducts::default(), "twin").await.unwrap();
}

#[tokio::test]
async fn the_twin_of_the_bucket_of_pictures_keeps_the_promises_of_its_port() {
    let bucket = MemoryImageBucket::default();
    let read = async |key: String| Ok(bucket.all().get(&key).cloned());
    conformance::image_bucket(&bucket, "twin", read).await.unwrap();
}

#[tokio::test]
async fn the_twin_of_the_image_queue_keeps_the_promises_of_its_port() {
    let queue = MemoryImageQueue::default();
    let take = async |_| Ok(queue.all().iter().map(images::write).collect::<Result<_, _>>()?);
    conformance::image_queue(&queue, take).await.unwrap();
}

#[tokio::test]
async fn the_twin_of_the_quarantine_keeps_the_promises_of_its_port() {
    let quarantine = MemoryQuarantine::default();
    conformance::quarantine(&quarantine, async |_| Ok(quarantine.all())).await.unwrap();
}

#[tokio::test]
async fn the_twin_of_the_secrets_keeps_the_promises_of_its_port() {
    conformance::secrets(&MemorySecrets::new(secrets()), &MemorySecrets::default()).await.unwrap();
}
