//! The payment-callback function: clients, then the loop.

use adapters::aws::dynamodb::DynamoLedger;
use adapters::aws::{DynamoClient, SecretsManager, connect};
use adapters::certificates::CertificateCache;
use adapters::clock::{Clock, SystemClock};
use adapters::secrets::{KEPT_MS_MAX, SecretCache};
use adapters::web::PaypalCertificates;
use lambda::log::Stdout;
use lambda::runtime::meanwhile;
use payment_callback::config::Config;
use payment_callback::handler::handle;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    lambda::warnings::init();
    let config = Config::from_environment()?;
    let aws = connect(config.aws);
    let secrets = SecretsManager::new(&aws, config.secret_id);
    let (cache, certificates) = (SecretCache::default(), (PaypalCertificates::default(), CertificateCache::default()));
    // Reads the secrets, and opens the connection to them, before the first gateway waits.
    let reading = cache.read(&secrets, SystemClock.now(), KEPT_MS_MAX);
    let (_, ledger) = meanwhile(reading, || DynamoLedger::new(&DynamoClient::new(&aws), config.payments_table)).await;
    let log = Stdout::of(lambda::config::function_name());
    let (ledger, log, keys) = (&ledger, &log, (&secrets, &cache, &certificates.0, &certificates.1));
    let handle = |request, deadline| handle(request, deadline, ledger, keys, &SystemClock, log);
    lambda::runtime::serve_http(handle).await.map_err(anyhow::Error::from_boxed)
}
