//! `_aop_signature`: upper-case hex of HMAC-SHA1 over the sorted parameters.
//!
//! What is sorted are the concatenated `key+value` texts, not the keys; the two differ where one key is
//! a prefix of another. Values are the decoded UTF-8 texts and empty ones take part. Source: AliOpen
//! `SignatureUtil.java`, `SimpleHttpProcessorHandler.java`.

use hmac::Mac;
use secrecy::{ExposeSecret, SecretString};

use crate::mac;

/// The parameter that carries the signature, and takes no part in it.
pub const PARAMETER: &str = "_aop_signature";

/// The bytes that are signed: the path, then every `key+value` in byte order.
fn string_to_sign(path: &str, parameters: &[(String, String)]) -> String {
    let mut pairs: Vec<String> =
        parameters.iter().filter(|(key, _)| key != PARAMETER).map(|(key, value)| format!("{key}{value}")).collect();
    pairs.sort_unstable();
    format!("{path}{}", pairs.concat())
}

/// Signs an API request. `path` is `param2/{version}/{namespace}/{name}/{app key}`: no leading slash and
/// no `openapi/`. A push is signed the same way with an empty path.
pub fn sign(secret: &SecretString, path: &str, parameters: &[(String, String)]) -> String {
    mac::hmac_sha1(secret.expose_secret().as_bytes(), &[string_to_sign(path, parameters).as_bytes()])
        .map(|mac| hex::encode_upper(mac.finalize().into_bytes()))
        .unwrap_or_default()
}

/// Whether any live secret signed these parameters. The signature may be in any letter case, as the
/// vendor's own server compares it.
pub fn is_signed(secrets: &[SecretString], path: &str, parameters: &[(String, String)], signature: &str) -> bool {
    let Ok(claimed) = hex::decode(signature) else { return false };
    let text = string_to_sign(path, parameters);
    secrets.iter().any(|secret| {
        mac::hmac_sha1(secret.expose_secret().as_bytes(), &[text.as_bytes()])
            .is_some_and(|mac| mac.verify_slice(&claimed).is_ok())
    })
}
