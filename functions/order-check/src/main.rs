//! The order-check function: clients, then the loop.

use adapters::aws::dynamodb::{DynamoLedger, DynamoOrders, DynamoTrades};
use adapters::aws::{DynamoClient, connect};
use adapters::clock::SystemClock;
use lambda::log::Stdout;
use lambda::runtime::Error;
use order_check::config::Config;
use order_check::handler::{Request, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    lambda::warnings::init();
    let config = Config::from_environment()?;
    let aws = connect(config.aws);
    let dynamodb = DynamoClient::new(&aws);
    let orders = DynamoOrders::new(&dynamodb, config.orders_table);
    let trades = DynamoTrades::new(&dynamodb, config.trades_table);
    let ledger = DynamoLedger::new(&dynamodb, config.payments_table);
    let log = Stdout::of(lambda::config::function_name());
    let (facts, told) = ((&orders, &trades, &ledger), (&SystemClock, &log));
    let serve = lambda::runtime::serve(|request: Request, deadline| async move {
        handle(request, deadline, facts, told).await.map_err(|error| Error::from(error.chain()))
    });
    serve.await.map_err(anyhow::Error::from_boxed)
}
