//! PayPal's certificates, fetched seldom: anybody can name a URL at paypal.com, and each costs a request.

use std::collections::HashMap;

use domain::UnixMillis;
use protocols::gateway::PublicKey;
use protocols::gateway::paypal::CertificateUrl;
use tokio::sync::Mutex;

use crate::error::{Cause, Certainty, PortError};
use crate::ports::CertificateSource;

const KEY: &str = "certificates.key";

/// How long a certificate is good without another look, in milliseconds. PayPal changes them once a year.
pub const FOUND_KEPT_MS: i64 = 24 * 60 * 60 * 1_000;
/// How long a URL without a certificate, or one that gave no answer, is not asked for again, in milliseconds.
pub const MISSING_KEPT_MS: i64 = 60 * 1_000;
/// URLs that are remembered. PayPal signs with two or three; whoever names more makes them all wait a minute.
pub const URLS_MAX: usize = 16;

/// What was found at a URL.
#[derive(Debug)]
struct Kept {
    found: Found,
    good_until: UnixMillis,
}

#[derive(Debug)]
enum Found {
    Key(PublicKey),
    Nothing,
    NoAnswer,
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
        match kept.get(url).map(|kept| &kept.found) {
            Some(Found::Key(key)) => return Ok(Some(key.clone())),
            Some(Found::Nothing) => return Ok(None),
            Some(Found::NoAnswer) => return Err(PortError::new(KEY, Cause::Away, Certainty::Determinate)),
            None if kept.len() >= URLS_MAX => {
                return Err(PortError::new(KEY, Cause::Throttled, Certainty::Determinate));
            }
            None => {}
        }
        let answer = source.key(url).await;
        let (found, kept_ms) = match &answer {
            Ok(Some(key)) => (Found::Key(key.clone()), FOUND_KEPT_MS),
            Ok(None) => (Found::Nothing, MISSING_KEPT_MS),
            Err(_) => (Found::NoAnswer, MISSING_KEPT_MS),
        };
        kept.insert(url.clone(), Kept { found, good_until: now.saturating_add_ms(kept_ms) });
        answer
    }
}
