//! The webhook-intake function: clients, then the loop.

use adapters::aws::{SecretsManager, SqsEventQueue, connect};
use adapters::clock::{Clock, SystemClock};
use adapters::secrets::{KEPT_MS_MAX, SecretCache};
use lambda::deadline::Deadline;
use lambda::http::{ApiEvent, Request};
use lambda::log::Stdout;
use lambda_runtime::{LambdaEvent, service_fn};
use webhook_intake::config::Config;
use webhook_intake::handler::handle;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    lambda::log::init();
    let config = Config::from_environment()?;
    let aws = connect(config.aws);
    let queue = SqsEventQueue::new(&aws, config.events_queue_url);
    let secrets = SecretsManager::new(&aws, config.secret_id);
    let cache = SecretCache::default();
    // Reads the secrets, and opens the connection to them, before the first sender waits.
    cache.read(&secrets, SystemClock.now(), KEPT_MS_MAX).await.ok();
    let log = Stdout::of(lambda::config::function_name());
    let (queue, secrets, cache, log) = (&queue, &secrets, &cache, &log);
    let serve = service_fn(|event: LambdaEvent<ApiEvent>| async move {
        let deadline = Deadline::from_lambda(event.context.deadline);
        let request = Request::new(event.payload, event.context.request_id);
        Ok::<_, std::convert::Infallible>(handle(request, deadline, queue, secrets, cache, &SystemClock, log).await)
    });
    lambda_runtime::run(serve).await.map_err(anyhow::Error::from_boxed)
}
