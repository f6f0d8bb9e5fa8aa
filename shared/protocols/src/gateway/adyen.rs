//! To be written.
use super::{Item, Unverified};
use crate::Refusal;
use secrecy::SecretString;

/// Credentials.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// `hmac_keys`: hex, every one that is good now.
    pub hmac_keys: Vec<SecretString>,
    /// `capture`: which event moves money.
    pub capture: Capture,
}

/// When Adyen takes the customer's money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capture {
    /// By a call of ours: money moves on CAPTURE.
    Manual,
    /// With the authorisation: money moves on AUTHORISATION.
    Automatic,
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
