//! One configuration for every client: explicit credentials, timeouts and attempts, and one HTTP connector,
//! made once, whose trusted roots are compiled in, because loading the system's is most of a client's start.

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_http_client::{Connector, tls};
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_smithy_runtime_api::client::http::{
    HttpConnectorSettings, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;
use aws_types::region::Region;

/// The roots that AWS endpoints chain to. Source: www.amazontrust.com/repository.
const AMAZON_ROOTS_PEM: &[u8] = include_bytes!("amazon-roots.pem");

/// One try of one call. AWS answers in tens of milliseconds; a try that takes this long is lost.
const ATTEMPT_MS_MAX: u64 = 3_000;
/// A call with all its tries. Below the shortest deadline of a function (10 s), with time to answer.
const CALL_MS_MAX: u64 = 7_000;
/// Opening a connection, TLS included.
const CONNECT_MS_MAX: u64 = 1_500;
/// Tries of one call; what fails three times in seven seconds is better handed back to its queue.
const ATTEMPTS_MAX: u32 = 3;

/// Where AWS is, and as whom we ask. Lambda and the operator's shell both give these by environment.
#[derive(Clone)]
pub struct Settings {
    /// `AWS_REGION`.
    pub region: String,
    /// `AWS_ACCESS_KEY_ID`.
    pub access_key_id: String,
    /// `AWS_SECRET_ACCESS_KEY`.
    pub secret_access_key: String,
    /// `AWS_SESSION_TOKEN`, when the credentials are temporary.
    pub session_token: Option<String>,
    /// `AWS_ENDPOINT_URL`, for an emulator.
    pub endpoint_url: Option<String>,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Settings")
            .field("region", &self.region)
            .field("endpoint_url", &self.endpoint_url)
            .finish_non_exhaustive()
    }
}

/// The configuration that every service's client is made from.
pub fn connect(settings: Settings) -> SdkConfig {
    let Settings { region, access_key_id, secret_access_key, session_token, endpoint_url } = settings;
    let credentials = Credentials::new(access_key_id, secret_access_key, session_token, None, "environment");
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_millis(CONNECT_MS_MAX))
        .operation_attempt_timeout(Duration::from_millis(ATTEMPT_MS_MAX))
        .operation_timeout(Duration::from_millis(CALL_MS_MAX))
        .build();
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(http_client())
        .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
        .time_source(aws_smithy_async::time::SystemTimeSource::new())
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS_MAX))
        .timeout_config(timeouts);
    config.set_endpoint_url(endpoint_url);
    config.build()
}

/// The HTTP client of all services. The SDK's own makes its connector, roots and all, once for each service's client,
/// throws it away, and makes it once more for the first call; this one has a single connector, which all share.
fn http_client() -> SharedHttpClient {
    let settings = HttpConnectorSettings::builder().connect_timeout(Duration::from_millis(CONNECT_MS_MAX)).build();
    let builder = Connector::builder()
        .connector_settings(settings)
        .sleep_impl(TokioSleep::new())
        .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc));
    let trusted = tls::TrustStore::empty().with_pem_certificate(AMAZON_ROOTS_PEM);
    let connector = match tls::TlsContext::builder().with_trust_store(trusted).build() {
        Ok(context) => builder.tls_context(context).build(),
        // The roots are constants of this program, so this does not happen; the system's would serve.
        Err(_) => builder.build(),
    };
    let connector = SharedHttpConnector::new(connector);
    http_client_fn(move |_, _| connector.clone())
}
