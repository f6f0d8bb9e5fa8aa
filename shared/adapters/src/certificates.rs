//! PayPal's certificates, fetched seldom: anybody can name a URL at paypal.com, and each costs a request.

use std::collections::HashMap;

use domain::UnixMillis;
use protocols::gateway::PublicKey;
use protocols::gateway::paypal::CertificateUrl;
use tokio::sync::Mutex;

use crate::error::{Cause, Certainty, PortError};
use crate::ports::CertificateSource;

/// How long a certificate is good without another look, in milliseconds. PayPal changes them once a year.
pub const FOUND_KEPT_MS: i64 = 24 * 60 * 60 * 1_000;
/// How long a URL without a certificate is not asked for again, in milliseconds.
pub const MISSING_KEPT_MS: i64 = 60 * 1_000;
/// URLs that are remembered. PayPal signs with two or three; whoever names more makes them all wait a minute.
pub const URLS_MAX: usize = 16;

/// What was found at a URL.
#[derive(Debug)]
struct Kept {
    key: Option<PublicKey>,
    good_until: UnixMillis,
}

/// Keeps certificates, and their absence, for a while.
#[derive(Debug, Default)]
pub struct CertificateCache(Mutex<HashMap<CertificateUrl, Kept>>);

impl CertificateCache {
    /// The key at a URL; `None` when there is none. An error that asks for patience when too many URLs were named.
    pub async fn key(
        &self,
        source: &impl CertificateSource,
        url: &CertificateUrl,
        now: UnixMillis,
    ) -> Result<Option<PublicKey>, PortError> {
        let mut kept = self.0.lock().await;
        kept.retain(|_, kept| kept.good_until > now);
        if let Some(kept) = kept.get(url) {
            return Ok(kept.key.clone());
        }
        if kept.len() >= URLS_MAX {
            return Err(PortError::new("certificates.key", Cause::Throttled, Certainty::Determinate));
        }
        let key = source.key(url).await?;
        let kept_ms = if key.is_some() { FOUND_KEPT_MS } else { MISSING_KEPT_MS };
        kept.insert(url.clone(), Kept { key: key.clone(), good_until: now.saturating_add_ms(kept_ms) });
        Ok(key)
    }
}
