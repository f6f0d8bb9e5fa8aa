//! The order-sweep function: clients, then the loop.

use adapters::aws::dynamodb::{DynamoSweeps, DynamoTrades};
use adapters::aws::{DynamoClient, S3RawDetails, SecretsManager, SqsClient, SqsEventQueue, SqsQuarantine, connect};
use adapters::clock::SystemClock;
use adapters::secrets::SecretCache;
use adapters::web::WebMarketplaces;
use domain::sweep::Limits;
use lambda::log::{CallLog, Stdout};
use lambda::runtime::Error;
use lambda::sweep::Settings;
use order_sweep::config::Config;
use order_sweep::handler::handle;
use protocols::sweeps::Request;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    lambda::warnings::init();
    let config = Config::from_environment()?;
    let aws = connect(config.aws);
    let (dynamodb, sqs) = (DynamoClient::new(&aws), SqsClient::new(&aws));
    let log = Stdout::of(lambda::config::function_name());
    let market = WebMarketplaces::new(config.ali1688_url, config.taobao_url, CallLog(log.clone()))?;
    let (trades, raw) =
        (DynamoTrades::new(&dynamodb, config.trades_table), S3RawDetails::new(&aws, config.details_bucket));
    let queue = SqsEventQueue::new(&sqs, config.events_queue_url);
    let quarantine = SqsQuarantine::new(&sqs, config.quarantine_queue_url);
    let sweeps = DynamoSweeps::new(&dynamodb, config.sweeps_table);
    let (secrets, cache) = (SecretsManager::new(&aws, config.secret_id), SecretCache::default());
    let settings = Settings { shops_at_once: config.shops_at_once, limits: Limits::DEFAULT };
    let (market, trades, sinks) = (&market, (&trades, &raw), (&queue, &quarantine));
    let (state, told) = ((&sweeps, &secrets, &cache), (&SystemClock, &log));
    let serve = lambda::runtime::serve(|request: Request, deadline| async move {
        handle(request, (deadline, settings), market, trades, sinks, state, told)
            .await
            .map_err(|error| Error::from(error.chain()))
    });
    serve.await.map_err(anyhow::Error::from_boxed)
}
