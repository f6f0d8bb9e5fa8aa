//! The twins keep what the ports promise. The stack ring runs the same suites on the AWS implementations.

use adapters::testing::{MemoryNonces, MemoryOrders, MemoryTrades, conformance};

#[tokio::test]
async fn the_twin_of_the_orders_table_keeps_the_promises_of_its_port() {
    conformance::orders(&MemoryOrders::default(), "twin").await.unwrap();
}

#[tokio::test]
async fn the_twin_of_the_trades_table_keeps_the_promises_of_its_port() {
    conformance::trades(&MemoryTrades::default(), "twin").await.unwrap();
}

#[tokio::test]
async fn the_twin_of_the_nonces_table_keeps_the_promises_of_its_port() {
    conformance::nonces(&MemoryNonces::default(), "twin").await.unwrap();
}
