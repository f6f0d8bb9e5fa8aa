//! The order-sweep function: clients, then the loop.

use adapters::aws::dynamodb::{DynamoSweeps, DynamoTrades};
use adapters::aws::{S3RawDetails, SecretsManager, SqsEventQueue, SqsQuarantine, connect};
use adapters::clock::SystemClock;
use adapters::secrets::SecretCache;
use adapters::web::WebMarketplaces;
use domain::sweep::Limits;
use lambda::deadline::Deadline;
use lambda::log::{CallLog, Stdout};
use lambda::sweep::{Request, Settings};
use lambda_runtime::{LambdaEvent, service_fn};
use order_sweep::config::Config;
use order_sweep::handler::handle;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    lambda::log::init();
    let config = Config::from_environment()?;
    let aws = connect(config.aws);
    let log = Stdout::of(lambda::config::function_name());
    let market = WebMarketplaces::new(config.ali1688_url, config.taobao_url, CallLog(log.clone()))?;
    let (trades, raw) = (DynamoTrades::new(&aws, config.trades_table), S3RawDetails::new(&aws, config.details_bucket));
    let queue = SqsEventQueue::new(&aws, config.events_queue_url);
    let quarantine = SqsQuarantine::new(&aws, config.quarantine_queue_url);
    let sweeps = DynamoSweeps::new(&aws, config.sweeps_table);
    let (secrets, cache) = (SecretsManager::new(&aws, config.secret_id), SecretCache::default());
    let settings = Settings { shops_at_once: config.shops_at_once, limits: Limits::DEFAULT };
    let (market, trades, sinks) = (&market, (&trades, &raw), (&queue, &quarantine));
    let (state, told) = ((&sweeps, &secrets, &cache), (&SystemClock, &log));
    let serve = service_fn(|event: LambdaEvent<Request>| async move {
        let deadline = Deadline::from_lambda(event.context.deadline);
        handle(event.payload, (deadline, settings), market, trades, sinks, state, told)
            .await
            .map_err(|error| lambda_runtime::Error::from(error.chain()))
    });
    lambda_runtime::run(serve).await.map_err(anyhow::Error::from_boxed)
}
