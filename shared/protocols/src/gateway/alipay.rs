//! To be written.
use super::{Item, Unverified};
use crate::Refusal;

/// Credentials.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// `app_id`: notifications of other apps are refused.
    pub app_id: String,
    /// `seller_id`: notifications of other sellers are refused.
    pub seller_id: String,
    /// `public_keys`: Alipay's, every one that is good now.
    pub public_keys: Vec<super::PublicKey>,
}

/// Signed.
#[derive(Debug)]
pub(super) struct Signed(());

pub(super) fn verify(_request: &Unverified, _credentials: &Credentials) -> Result<Signed, Refusal> {
    Err(Refusal::SignatureInvalid)
}

pub(super) fn read(_signed: &Signed) -> Result<Vec<Item>, Refusal> {
    Err(Refusal::SignatureInvalid)
}
