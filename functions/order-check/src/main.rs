//! The order-check function: clients, then the loop.

use adapters::aws::connect;
use adapters::aws::dynamodb::{DynamoLedger, DynamoOrders, DynamoTrades};
use adapters::clock::SystemClock;
use lambda::deadline::Deadline;
use lambda::log::Stdout;
use lambda_runtime::{LambdaEvent, service_fn};
use order_check::config::Config;
use order_check::handler::{Request, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    lambda::log::init();
    let config = Config::from_environment()?;
    let aws = connect(config.aws);
    let orders = DynamoOrders::new(&aws, config.orders_table);
    let trades = DynamoTrades::new(&aws, config.trades_table);
    let ledger = DynamoLedger::new(&aws, config.payments_table);
    let log = Stdout::of(lambda::config::function_name());
    let (facts, told) = ((&orders, &trades, &ledger), (&SystemClock, &log));
    let serve = service_fn(|event: LambdaEvent<Request>| async move {
        let deadline = Deadline::from_lambda(event.context.deadline);
        handle(event.payload, deadline, facts, told).await.map_err(|error| lambda_runtime::Error::from(error.chain()))
    });
    lambda_runtime::run(serve).await.map_err(anyhow::Error::from_boxed)
}
