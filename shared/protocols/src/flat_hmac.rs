//! The `hmac-sha256` scheme of a source: `X-Signature` is the hex HMAC-SHA256 of the raw body, and the
//! time is in the body.

use secrecy::SecretString;

use crate::{Refusal, mac};

/// Checks the signature over the raw bytes. The time is checked by [`crate::source::read`]'s caller,
/// because only a signed body is worth reading.
pub fn verify(signature: Option<&str>, body: &[u8], secrets: &[SecretString]) -> Result<(), Refusal> {
    let signature = signature.ok_or(Refusal::SignatureMissing)?;
    if mac::is_hex_sha256_of(signature, secrets, &[body]) { Ok(()) } else { Err(Refusal::SignatureInvalid) }
}

/// The `X-Signature` of a body, as a sender makes it.
pub fn sign(secret: &SecretString, body: &[u8]) -> String {
    mac::hex_sha256(secret, &[body])
}
