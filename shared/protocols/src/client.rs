//! A client's request: `X-App-Key`, `X-Timestamp`, `X-Nonce`, `X-Signature`.
//!
//! The signature is the hex HMAC-SHA256 with the client's secret over
//! `timestamp \n nonce \n METHOD \n path-with-query \n body`.

use domain::{Nonce, UnixMillis};
use secrecy::SecretString;

use crate::standard_webhooks::is_within_tolerance;
use crate::{Refusal, mac};

/// How long a nonce must be remembered, in milliseconds: the tolerance both ways, and a minute more.
pub const NONCE_KEPT_MS: i64 = (2 * crate::standard_webhooks::TOLERANCE_SECONDS + 60) * 1_000;

/// What a client signs.
#[derive(Debug, Clone, Copy)]
pub struct Signable<'a> {
    /// `X-Timestamp`, seconds since the epoch.
    pub timestamp: &'a str,
    /// `X-Nonce`.
    pub nonce: &'a str,
    /// The HTTP method in upper case.
    pub method: &'a str,
    /// The path, and the query after a `?` if there is one.
    pub path_with_query: &'a str,
    /// The raw body.
    pub body: &'a [u8],
}

impl Signable<'_> {
    fn parts(&self) -> [&[u8]; 9] {
        [
            self.timestamp.as_bytes(),
            b"\n",
            self.nonce.as_bytes(),
            b"\n",
            self.method.as_bytes(),
            b"\n",
            self.path_with_query.as_bytes(),
            b"\n",
            self.body,
        ]
    }

    /// The `X-Signature` of this request.
    pub fn sign(&self, secret: &SecretString) -> String {
        mac::hex_sha256(secret, &self.parts())
    }

    /// Checks signature and time; gives the nonce, which the caller must claim.
    pub fn verify(&self, signature: &str, secrets: &[SecretString], now: UnixMillis) -> Result<Nonce, Refusal> {
        let seconds: i64 = self.timestamp.parse().map_err(|_| Refusal::TimestampInvalid)?;
        if !is_within_tolerance(seconds, now) {
            return Err(Refusal::TimestampInvalid);
        }
        if !mac::is_hex_sha256_of(signature, secrets, &self.parts()) {
            return Err(Refusal::SignatureInvalid);
        }
        Nonce::new(self.nonce).map_err(|_| Refusal::Malformed("X-Nonce is not 1 to 40 plain characters"))
    }
}
