//! The webhook-intake function: clients, then the loop.

use adapters::aws::{SecretsManager, SqsClient, SqsEventQueue, connect};
use adapters::clock::{Clock, SystemClock};
use adapters::secrets::{KEPT_MS_MAX, SecretCache};
use lambda::log::Stdout;
use lambda::runtime::meanwhile;
use webhook_intake::config::Config;
use webhook_intake::handler::handle;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    lambda::warnings::init();
    let config = Config::from_environment()?;
    let aws = connect(config.aws);
    let secrets = SecretsManager::new(&aws, config.secret_id);
    let cache = SecretCache::default();
    // Reads the secrets, and opens the connection to them, before the first sender waits.
    let reading = cache.read(&secrets, SystemClock.now(), KEPT_MS_MAX);
    let (_, queue) = meanwhile(reading, || SqsEventQueue::new(&SqsClient::new(&aws), config.events_queue_url)).await;
    let log = Stdout::of(lambda::config::function_name());
    let (queue, secrets, cache, log) = (&queue, &secrets, &cache, &log);
    let handle = |request, deadline| handle(request, deadline, queue, secrets, cache, &SystemClock, log);
    lambda::runtime::serve_http(handle).await.map_err(anyhow::Error::from_boxed)
}
