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
/// URLs without a certificate that are remembered; whoever names more makes all wait a minute that are not known to have
/// one. PayPal signs with two or three, which no stranger can keep from being asked for again.
pub const MISSES_MAX: usize = 16;

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

impl Found {
    fn key(&self) -> Option<&PublicKey> {
        match self {
            Self::Key(key) => Some(key),
            Self::Nothing | Self::NoAnswer => None,
        }
    }

    fn answer(&self) -> Result<Option<PublicKey>, PortError> {
        match self {
            Self::Key(key) => Ok(Some(key.clone())),
            Self::Nothing => Ok(None),
            Self::NoAnswer => Err(PortError::new(KEY, Cause::Away, Certainty::Determinate)),
        }
    }
}

/// Keeps certificates, and their absence, for a while. A key that was found stays good while its host gives no answer.
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
        kept.retain(|_, kept| kept.good_until > now || kept.found.key().is_some());
        let misses = kept.values().filter(|kept| kept.found.key().is_none()).count();
        let known = match kept.get(url) {
            Some(Kept { found, good_until }) if *good_until > now => return found.answer(),
            None if misses >= MISSES_MAX => return Err(PortError::new(KEY, Cause::Throttled, Certainty::Determinate)),
            known => known.and_then(|kept| kept.found.key()).cloned(),
        };
        let (found, kept_ms) = match (source.key(url).await, known) {
            (Ok(Some(key)), _) => (Found::Key(key), FOUND_KEPT_MS),
            (Ok(None), _) => (Found::Nothing, MISSING_KEPT_MS),
            (Err(_), Some(key)) => (Found::Key(key), MISSING_KEPT_MS),
            (Err(_), None) => (Found::NoAnswer, MISSING_KEPT_MS),
        };
        let answer = found.answer();
        kept.insert(url.clone(), Kept { found, good_until: now.saturating_add_ms(kept_ms) });
        answer
    }
}
