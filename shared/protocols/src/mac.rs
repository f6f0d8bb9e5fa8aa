//! Keyed hashes, made and checked. Checking takes the same time wherever the first difference is.
//!
//! Invariant: an empty key makes and checks nothing. A secret that was left blank must not be one that
//! everybody has.

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha1::Sha1;
use sha2::Sha256;

/// HMAC-SHA1 over the parts in turn; `None` for an empty key.
pub(crate) fn hmac_sha1(key: &[u8], parts: &[&[u8]]) -> Option<Hmac<Sha1>> {
    keyed(key, parts)
}

/// HMAC-SHA256 over the parts in turn; `None` for an empty key.
pub(crate) fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> Option<Hmac<Sha256>> {
    keyed(key, parts)
}

fn keyed<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]]) -> Option<M> {
    if key.is_empty() {
        return None;
    }
    let mut mac = <M as KeyInit>::new_from_slice(key).ok()?;
    for part in parts {
        mac.update(part);
    }
    Some(mac)
}

/// Whether any live secret, by its UTF-8 bytes, made this HMAC-SHA256, given in hex of any letter case.
pub(crate) fn is_hex_sha256_of(signature: &str, secrets: &[SecretString], parts: &[&[u8]]) -> bool {
    let Ok(claimed) = hex::decode(signature) else { return false };
    secrets.iter().any(|secret| {
        hmac_sha256(secret.expose_secret().as_bytes(), parts).is_some_and(|mac| mac.verify_slice(&claimed).is_ok())
    })
}

/// HMAC-SHA256 in lower-case hex, as a sender makes it.
pub(crate) fn hex_sha256(secret: &SecretString, parts: &[&[u8]]) -> String {
    hmac_sha256(secret.expose_secret().as_bytes(), parts)
        .map(|mac| hex::encode(mac.finalize().into_bytes()))
        .unwrap_or_default()
}
