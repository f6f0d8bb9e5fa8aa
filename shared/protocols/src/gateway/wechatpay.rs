//! To be written.
use super::{Item, Unverified};
use crate::Refusal;
use domain::UnixMillis;
use secrecy::SecretString;

/// Credentials.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// `mchid`: notifications of other merchants are refused.
    pub mchid: String,
    /// `api_v3_key`: 32 bytes, which resources are encrypted with.
    pub api_v3_key: SecretString,
    /// `public_keys`: WeChat Pay's, by serial.
    pub public_keys: std::collections::HashMap<String, super::PublicKey>,
}

/// Signed.
#[derive(Debug)]
pub(super) struct Signed(());

pub(super) fn verify(_request: &Unverified, _credentials: &Credentials, _now: UnixMillis) -> Result<Signed, Refusal> {
    Err(Refusal::SignatureInvalid)
}

pub(super) fn read(_signed: &Signed) -> Result<Vec<Item>, Refusal> {
    Err(Refusal::SignatureInvalid)
}
