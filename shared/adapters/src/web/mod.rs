//! What is fetched from the open web: reference rates, PayPal's certificates, answers of marketplaces. Rates and
//! certificates share a client that is made when it is first needed, because most invocations need none.
//!
//! Invariant: an answer is read up to a named size, within a named time, and no redirect is followed.

mod calls;
mod certificates;
pub mod images;
mod marketplaces;
mod rates;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::{Client, StatusCode, redirect};
use rustls::{ClientConfig, RootCertStore};

pub use calls::{CallObserver, Called, InvalidMarketplaceUrl, MarketplaceUrl};
pub use certificates::PaypalCertificates;
pub use marketplaces::WebMarketplaces;
pub use rates::{EcbRates, InvalidRatesUrl};

use crate::error::{Cause, Certainty, PortError};

/// A whole download, in milliseconds. Rates and certificates have a few KiB; a function that waits has 10 s in all.
const DOWNLOAD_MS_MAX: u64 = 4_000;
/// Opening a connection, TLS included, in milliseconds.
const CONNECT_MS_MAX: u64 = 2_000;

/// Why there is no client of the web: what it is made of is compiled in, so this does not happen.
#[derive(Debug, thiserror::Error)]
pub enum NoClient {
    /// TLS is not to be had.
    #[error("TLS for the web cannot be set up")]
    Tls(#[from] rustls::Error),
    /// Nor is HTTP.
    #[error("HTTP for the web cannot be set up")]
    Http(#[from] reqwest::Error),
}

/// The client, once it was needed.
#[derive(Debug, Default)]
struct Web(OnceLock<Client>);

impl Web {
    fn client(&self) -> Result<&Client, NoClient> {
        match self.0.get() {
            Some(client) => Ok(client),
            None => {
                let client = connect()?;
                Ok(self.0.get_or_init(|| client))
            }
        }
    }

    /// What is at a URL, at most so many bytes. `Ok(None)` when nothing is there for us (3xx, 4xx).
    async fn download(
        &self,
        operation: &'static str,
        url: &str,
        bytes_max: usize,
    ) -> Result<Option<Vec<u8>>, PortError> {
        let because = |source: Box<dyn std::error::Error + Send + Sync>| PortError {
            operation,
            cause: Cause::Away,
            certainty: Certainty::Determinate,
            source: Some(source),
        };
        let away = |error: reqwest::Error| because(Box::new(error.without_url()));
        let client = self.client().map_err(|error| because(Box::new(error)))?;
        let mut answer = client.get(url).send().await.map_err(away)?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::TOO_MANY_REQUESTS => {
                return Err(PortError::new(operation, Cause::Throttled, Certainty::Determinate));
            }
            status if status.is_redirection() || status.is_client_error() => return Ok(None),
            _ => return Err(PortError::new(operation, Cause::Away, Certainty::Determinate)),
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(away)? {
            body.extend_from_slice(&chunk);
            if body.len() > bytes_max {
                return Err(PortError::unreadable(operation));
            }
        }
        Ok(Some(body))
    }
}

/// A client for downloads.
fn connect() -> Result<Client, NoClient> {
    connect_within(Duration::from_millis(DOWNLOAD_MS_MAX))
}

/// Whether a URL is of the web, or of this very machine.
fn is_https_or_loopback(url: &str) -> bool {
    let Ok(parsed) = reqwest::Url::parse(url) else { return false };
    let is_loopback = matches!(parsed.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
    match parsed.scheme() {
        "https" => true,
        "http" => is_loopback,
        _ => false,
    }
}

/// TLS that trusts the web's roots, which are compiled in.
fn tls() -> Result<ClientConfig, rustls::Error> {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// A client that trusts the web's roots, follows nobody elsewhere, and waits so long for a whole answer.
fn connect_within(answer: Duration) -> Result<Client, NoClient> {
    let client = Client::builder()
        .tls_backend_preconfigured(tls()?)
        .redirect(redirect::Policy::none())
        .connect_timeout(Duration::from_millis(CONNECT_MS_MAX))
        .timeout(answer)
        .no_proxy()
        .user_agent(concat!("sampan/", env!("CARGO_PKG_VERSION")));
    Ok(client.build()?)
}
