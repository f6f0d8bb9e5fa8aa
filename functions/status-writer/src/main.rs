//! The status-writer function: clients, then the loop.

use adapters::aws::dynamodb::{DynamoOrders, DynamoProducts, DynamoTrades};
use adapters::aws::{SqsQuarantine, connect};
use adapters::clock::SystemClock;
use aws_lambda_events::event::sqs::SqsEvent;
use lambda::deadline::Deadline;
use lambda::log::Stdout;
use lambda_runtime::{LambdaEvent, service_fn};
use status_writer::config::Config;
use status_writer::handler::handle;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    lambda::log::init();
    let config = Config::from_environment()?;
    let aws = connect(config.aws);
    let orders = DynamoOrders::new(&aws, config.orders_table);
    let trades = DynamoTrades::new(&aws, config.trades_table);
    let products = DynamoProducts::new(&aws, config.images_table);
    let quarantine = SqsQuarantine::new(&aws, config.quarantine_queue_url);
    let log = Stdout::of(lambda::config::function_name());
    let (orders, trades, products) = (&orders, &trades, &products);
    let (quarantine, log) = (&quarantine, &log);
    let serve = service_fn(|event: LambdaEvent<SqsEvent>| async move {
        let deadline = Deadline::from_lambda(event.context.deadline);
        handle(event.payload, deadline, orders, trades, products, quarantine, (&SystemClock, log))
            .await
            .map_err(lambda_runtime::Error::from)
    });
    lambda_runtime::run(serve).await.map_err(anyhow::Error::from_boxed)
}
