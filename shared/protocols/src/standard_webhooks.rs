//! Standard Webhooks 1.0: `webhook-id`, `webhook-timestamp`, `webhook-signature`.
//!
//! `v1,` + base64 of HMAC-SHA256 over `id.timestamp.body`, keyed by the base64 after `whsec_`; several
//! signatures stand with spaces between them. Source: standard-webhooks/standard-webhooks, spec.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use domain::{EventId, UnixMillis};
use hmac::Mac;
use secrecy::{ExposeSecret, SecretString};

use crate::{Refusal, mac};

/// How far a sender's clock may be from ours, both ways, in seconds: the specification's five minutes.
pub const TOLERANCE_SECONDS: i64 = 300;

/// Signatures that one header may carry: a rotation needs two, and work for a stranger is bounded.
pub const SIGNATURES_MAX: usize = 8;

/// The three headers as they came.
#[derive(Debug, Clone, Copy)]
pub struct Headers<'a> {
    /// `webhook-id`.
    pub id: Option<&'a str>,
    /// `webhook-timestamp`, seconds since the epoch.
    pub timestamp: Option<&'a str>,
    /// `webhook-signature`.
    pub signature: Option<&'a str>,
}

/// Checks signature and time; gives the event's id.
pub fn verify(
    headers: Headers<'_>,
    body: &[u8],
    secrets: &[SecretString],
    now: UnixMillis,
) -> Result<EventId, Refusal> {
    let (Some(id), Some(timestamp), Some(signatures)) = (headers.id, headers.timestamp, headers.signature) else {
        return Err(Refusal::SignatureMissing);
    };
    let seconds: i64 = timestamp.parse().map_err(|_| Refusal::TimestampInvalid)?;
    if !is_within_tolerance(seconds, now) {
        return Err(Refusal::TimestampInvalid);
    }
    if signatures.split(' ').nth(SIGNATURES_MAX).is_some() {
        return Err(Refusal::SignatureInvalid);
    }
    let parts = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body];
    let claimed: Vec<Vec<u8>> = signatures
        .split(' ')
        .filter_map(|entry| entry.strip_prefix("v1,"))
        .filter_map(|text| BASE64_STANDARD.decode(text).ok())
        .collect();
    let is_signed = secrets.iter().filter_map(key).any(|key| {
        claimed
            .iter()
            .any(|claimed| mac::hmac_sha256(&key, &parts).is_some_and(|mac| mac.verify_slice(claimed).is_ok()))
    });
    if !is_signed {
        return Err(Refusal::SignatureInvalid);
    }
    EventId::new(id).map_err(|_| Refusal::Malformed("webhook-id is not an event id"))
}

/// Whether a time in seconds is at most the tolerance away from now.
pub fn is_within_tolerance(seconds: i64, now: UnixMillis) -> bool {
    seconds.checked_sub(now.seconds()).is_some_and(|ahead| ahead.unsigned_abs() <= TOLERANCE_SECONDS.unsigned_abs())
}

/// The `webhook-signature` of a body, as a sender makes it. `None` when the secret is not base64.
pub fn sign(secret: &SecretString, id: &str, timestamp: i64, body: &[u8]) -> Option<String> {
    let timestamp = timestamp.to_string();
    let mac = mac::hmac_sha256(&key(secret)?, &[id.as_bytes(), b".", timestamp.as_bytes(), b".", body])?;
    Some(format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes())))
}

/// Whether a secret is base64 of a key that is not empty, with or without `whsec_` before it.
pub fn is_key(secret: &SecretString) -> bool {
    key(secret).is_some_and(|key| !key.is_empty())
}

fn key(secret: &SecretString) -> Option<Vec<u8>> {
    let text = secret.expose_secret();
    BASE64_STANDARD.decode(text.strip_prefix("whsec_").unwrap_or(text)).ok()
}
