//! To be written.
use super::{Item, Unverified};
use crate::Refusal;

/// Credentials.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// `webhook_id`: ours, never taken from a request.
    pub webhook_id: String,
    /// `certificates`: keys by URL. A URL that is here is never fetched; one whose PEM cannot be read has no key.
    pub certificates: std::collections::HashMap<String, Option<super::PublicKey>>,
}

/// Signed.
#[derive(Debug)]
pub(super) struct Signed(());

pub(super) fn verify(
    _request: &Unverified,
    _credentials: &Credentials,
    _fetched: Option<&super::PublicKey>,
) -> Result<Signed, Refusal> {
    Err(Refusal::SignatureInvalid)
}

pub(super) fn read(_signed: &Signed) -> Result<Vec<Item>, Refusal> {
    Err(Refusal::SignatureInvalid)
}

/// An https URL at `paypal.com` or below it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CertificateUrl(String);

impl CertificateUrl {
    /// Checks it.
    pub fn new(_url: &str) -> Option<Self> {
        None
    }

    /// The URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

pub(super) fn wanted_certificate(
    _request: &Unverified,
    _credentials: &Credentials,
) -> Result<Option<CertificateUrl>, Refusal> {
    Err(Refusal::SignatureInvalid)
}
