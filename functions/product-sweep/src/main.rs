//! The product-sweep function: clients, then the loop.

use adapters::aws::dynamodb::{DynamoManifest, DynamoProducts, DynamoSweeps};
use adapters::aws::{DynamoClient, SecretsManager, SqsClient, SqsImageQueue, SqsQuarantine, connect};
use adapters::clock::SystemClock;
use adapters::secrets::SecretCache;
use adapters::web::WebMarketplaces;
use lambda::log::{CallLog, Stdout};
use lambda::runtime::Error;
use lambda::sweep::Settings;
use product_sweep::LIMITS;
use product_sweep::config::Config;
use product_sweep::handler::handle;
use protocols::sweeps::Request;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    lambda::warnings::init();
    let config = Config::from_environment()?;
    let aws = connect(config.aws);
    let (dynamodb, sqs) = (DynamoClient::new(&aws), SqsClient::new(&aws));
    let log = Stdout::of(lambda::config::function_name());
    let catalogue = WebMarketplaces::new(config.ali1688_url.clone(), config.ali1688_url, CallLog(log.clone()))?;
    let products = DynamoProducts::new(&dynamodb, config.images_table.clone());
    let manifest = DynamoManifest::new(&dynamodb, config.images_table);
    let queue = SqsImageQueue::new(&sqs, config.images_queue_url);
    let quarantine = SqsQuarantine::new(&sqs, config.quarantine_queue_url);
    let sweeps = DynamoSweeps::new(&dynamodb, config.sweeps_table);
    let (secrets, cache) = (SecretsManager::new(&aws, config.secret_id), SecretCache::default());
    let settings = Settings { shops_at_once: config.shops_at_once, limits: LIMITS };
    let (catalogue, known, sinks) = (&catalogue, (&products, &manifest), (&queue, &quarantine));
    let (state, told) = ((&sweeps, &secrets, &cache), (&SystemClock, &log));
    let serve = lambda::runtime::serve(|request: Request, deadline| async move {
        handle(request, (deadline, settings), catalogue, known, sinks, state, told)
            .await
            .map_err(|error| Error::from(error.chain()))
    });
    serve.await.map_err(anyhow::Error::from_boxed)
}
