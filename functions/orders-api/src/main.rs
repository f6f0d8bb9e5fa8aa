//! The orders-api function: clients, then the loop.

use adapters::aws::dynamodb::{DynamoLedger, DynamoNonces, DynamoOrders, DynamoTrades};
use adapters::aws::{SecretsManager, connect};
use adapters::clock::{Clock, SystemClock};
use adapters::quotes::QuoteCache;
use adapters::secrets::{KEPT_MS_MAX, SecretCache};
use lambda::deadline::Deadline;
use lambda::http::{ApiEvent, Request};
use lambda::log::Stdout;
use lambda_runtime::{LambdaEvent, service_fn};
use orders_api::config::Config;
use orders_api::handler::handle;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    lambda::log::init();
    let config = Config::from_environment()?;
    let aws = connect(config.aws);
    let orders = DynamoOrders::new(&aws, config.orders_table);
    let trades = DynamoTrades::new(&aws, config.trades_table);
    let ledger = DynamoLedger::new(&aws, config.payments_table);
    let nonces = DynamoNonces::new(&aws, config.nonces_table);
    let secrets = SecretsManager::new(&aws, config.secret_id);
    let cache = SecretCache::default();
    // Reads the secrets, and opens the connection to them, before the first client waits.
    cache.read(&secrets, SystemClock.now(), KEPT_MS_MAX).await.ok();
    let (quotes, log) = (QuoteCache::default(), Stdout::of(lambda::config::function_name()));
    let (facts, client) = ((&orders, &trades, &ledger), (&nonces, &secrets, &cache));
    let rates = (&config.rates, &quotes, config.quote_tolerance_percent);
    let log = &log;
    let serve = service_fn(|event: LambdaEvent<ApiEvent>| async move {
        let deadline = Deadline::from_lambda(event.context.deadline);
        let request = Request::new(event.payload, event.context.request_id);
        Ok::<_, std::convert::Infallible>(handle(request, deadline, facts, rates, client, &SystemClock, log).await)
    });
    lambda_runtime::run(serve).await.map_err(anyhow::Error::from_boxed)
}
