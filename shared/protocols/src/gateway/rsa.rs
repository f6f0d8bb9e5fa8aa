//! RSA signatures: PKCS #1 v1.5 over SHA-256, with keys of 2048 to 8192 bits.

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer};

/// A gateway's public key, as DER of a SubjectPublicKeyInfo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey(Vec<u8>);

impl PublicKey {
    /// From PEM: a public key, or the key of the first certificate. Alipay's console gives the base64 without
    /// the lines around it, so that is taken too.
    pub fn from_pem(text: &str) -> Option<Self> {
        if let Ok(key) = SubjectPublicKeyInfoDer::from_pem_slice(text.as_bytes()) {
            return Some(Self(key.to_vec()));
        }
        if let Some(key) = Self::from_certificate(text) {
            return Some(key);
        }
        let bare: String = text.chars().filter(|char| !char.is_ascii_whitespace()).collect();
        BASE64_STANDARD.decode(bare).ok().filter(|der| !der.is_empty()).map(Self)
    }

    /// From PEM that holds certificates: the key of the first one. `None` for anything else.
    pub fn from_certificate(text: &str) -> Option<Self> {
        let certificate = CertificateDer::from_pem_slice(text.as_bytes()).ok()?;
        let certificate = webpki::EndEntityCert::try_from(&certificate).ok()?;
        Some(Self(certificate.subject_public_key_info().to_vec()))
    }

    /// Whether it made this signature over this message.
    pub fn made(&self, signature: &[u8], message: &[u8]) -> bool {
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.0).verify(message, signature).is_ok()
    }
}
