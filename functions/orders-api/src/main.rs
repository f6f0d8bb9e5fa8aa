//! The orders-api function: clients, then the loop.

use adapters::aws::dynamodb::{DynamoLedger, DynamoNonces, DynamoOrders, DynamoTrades};
use adapters::aws::{DynamoClient, SecretsManager, connect};
use adapters::clock::{Clock, SystemClock};
use adapters::quotes::QuoteCache;
use adapters::secrets::{KEPT_MS_MAX, SecretCache};
use lambda::log::Stdout;
use lambda::runtime::meanwhile;
use orders_api::config::Config;
use orders_api::handler::handle;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    lambda::warnings::init();
    let config = Config::from_environment()?;
    let aws = connect(config.aws);
    let secrets = SecretsManager::new(&aws, config.secret_id);
    let cache = SecretCache::default();
    // Reads the secrets, and opens the connection to them, before the first client waits.
    let reading = cache.read(&secrets, SystemClock.now(), KEPT_MS_MAX);
    let (_, dynamodb) = meanwhile(reading, || DynamoClient::new(&aws)).await;
    let orders = DynamoOrders::new(&dynamodb, config.orders_table);
    let trades = DynamoTrades::new(&dynamodb, config.trades_table);
    let ledger = DynamoLedger::new(&dynamodb, config.payments_table);
    let nonces = DynamoNonces::new(&dynamodb, config.nonces_table);
    let (quotes, log) = (QuoteCache::default(), Stdout::of(lambda::config::function_name()));
    let (facts, client) = ((&orders, &trades, &ledger), (&nonces, &secrets, &cache));
    let rates = (&config.rates, &quotes, config.quote_tolerance_percent);
    let log = &log;
    let handle = |request, deadline| handle(request, deadline, facts, rates, client, &SystemClock, log);
    lambda::runtime::serve_http(handle).await.map_err(anyhow::Error::from_boxed)
}
