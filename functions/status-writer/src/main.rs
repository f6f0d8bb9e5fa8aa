//! The status-writer function: clients, then the loop.

use adapters::aws::dynamodb::{DynamoOrders, DynamoProducts, DynamoTrades};
use adapters::aws::{DynamoClient, SqsClient, SqsQuarantine, connect};
use adapters::clock::SystemClock;
use aws_lambda_events::event::sqs::SqsEvent;
use lambda::log::Stdout;
use lambda::runtime::Error;
use status_writer::config::Config;
use status_writer::handler::handle;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    lambda::warnings::init();
    let config = Config::from_environment()?;
    let aws = connect(config.aws);
    let dynamodb = DynamoClient::new(&aws);
    let orders = DynamoOrders::new(&dynamodb, config.orders_table);
    let trades = DynamoTrades::new(&dynamodb, config.trades_table);
    let products = DynamoProducts::new(&dynamodb, config.images_table);
    let quarantine = SqsQuarantine::new(&SqsClient::new(&aws), config.quarantine_queue_url);
    let log = Stdout::of(lambda::config::function_name());
    let (orders, trades, products) = (&orders, &trades, &products);
    let (quarantine, log) = (&quarantine, &log);
    let serve = lambda::runtime::serve(|batch: SqsEvent, deadline| async move {
        handle(batch, deadline, orders, trades, products, quarantine, (&SystemClock, log)).await.map_err(Error::from)
    });
    serve.await.map_err(anyhow::Error::from_boxed)
}
