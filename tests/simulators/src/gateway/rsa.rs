//! The private halves.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject;

/// A private RSA key.
#[derive(Debug)]
pub(super) struct Pair(KeyPair);

impl Pair {
    pub(super) fn paypal() -> Self {
        Self::from_pem(include_str!("../../keys/paypal.pem"))
    }

    pub(super) fn alipay() -> Self {
        Self::from_pem(include_str!("../../keys/alipay.pem"))
    }

    pub(super) fn wechatpay() -> Self {
        Self::from_pem(include_str!("../../keys/wechatpay.pem"))
    }

    fn from_pem(pem: &str) -> Self {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).expect("PEM");
        Self(KeyPair::from_pkcs8(der.secret_pkcs8_der()).expect("an RSA key"))
    }

    /// The signature of a message, PKCS #1 v1.5 over SHA-256, in base64.
    pub(super) fn sign(&self, message: &[u8]) -> String {
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).expect("a signature");
        BASE64_STANDARD.encode(signature)
    }
}
