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
    /// the lines around it, so that is taken too. `None` for what is no RSA key.
    pub fn from_pem(text: &str) -> Option<Self> {
        if let Ok(key) = SubjectPublicKeyInfoDer::from_pem_slice(text.as_bytes()) {
            return Self::from_der(&key);
        }
        if let Some(key) = Self::from_certificate(text) {
            return Some(key);
        }
        let bare: String = text.chars().filter(|char| !char.is_ascii_whitespace()).collect();
        Self::from_der(&BASE64_STANDARD.decode(bare).ok()?)
    }

    /// From PEM that holds certificates: the key of the first one. `None` for anything else.
    pub fn from_certificate(text: &str) -> Option<Self> {
        let certificate = CertificateDer::from_pem_slice(text.as_bytes()).ok()?;
        let certificate = webpki::EndEntityCert::try_from(&certificate).ok()?;
        Self::from_der(&certificate.subject_public_key_info())
    }

    fn from_der(der: &[u8]) -> Option<Self> {
        let is_key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, der).parse().is_ok();
        is_key.then(|| Self(der.to_vec()))
    }

    /// Whether it made this signature over this message.
    pub fn made(&self, signature: &[u8], message: &[u8]) -> bool {
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.0).verify(message, signature).is_ok()
    }
}

/// A key pair of the unit tests, made when the first one asks for it.
#[cfg(test)]
pub(super) mod testing {
    use std::sync::OnceLock;

    use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::rsa::{KeyPair, KeySize};
    use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};

    use super::*;

    fn pair() -> &'static KeyPair {
        static PAIR: OnceLock<KeyPair> = OnceLock::new();
        PAIR.get_or_init(|| KeyPair::generate(KeySize::Rsa2048).unwrap())
    }

    pub(crate) fn public_base64() -> String {
        let der: PublicKeyX509Der<'_> = pair().public_key().as_der().unwrap();
        BASE64_STANDARD.encode(der.as_ref())
    }

    pub(crate) fn public() -> PublicKey {
        PublicKey::from_pem(&public_base64()).unwrap()
    }

    pub(crate) fn sign(message: &[u8]) -> String {
        let mut signature = vec![0; pair().public_modulus_len()];
        pair().sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).unwrap();
        BASE64_STANDARD.encode(signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_with_and_without_its_lines() {
        let bare = testing::public_base64();
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{bare}\n-----END PUBLIC KEY-----\n");
        let (first, rest) = bare.split_at(64);
        let (key, spaced) = (testing::public(), format!(" {first}\n{rest}\r\n"));
        for text in [&pem, &bare, &spaced, &pem.replace('\n', "\r\n")] {
            assert_eq!(PublicKey::from_pem(text), Some(key.clone()), "{text}");
        }
        assert!(key.made(&BASE64_STANDARD.decode(testing::sign(b"message")).unwrap(), b"message"));
        assert!(!key.made(&BASE64_STANDARD.decode(testing::sign(b"message")).unwrap(), b"massage"));
        assert!(!key.made(&[], b"message") && !key.made(&[0; 256], b"message") && !key.made(&[255; 4_096], b""));
    }

    #[test]
    fn what_is_no_rsa_key_is_none() {
        let bare = testing::public_base64();
        let ed25519 = "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=";
        for text in [
            "",
            "no PEM !",
            "c3RyYW5nZXI=",
            ed25519,
            bare.split_at(4).1,
            bare.split_at(bare.len() - 8).0,
            "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----",
            "-----BEGIN PUBLIC KEY-----\n!!!!\n-----END PUBLIC KEY-----",
            "-----BEGIN PUBLIC KEY-----\nc3RyYW5nZXI=\n-----END PUBLIC KEY-----",
            "-----BEGIN CERTIFICATE-----\nc3RyYW5nZXI=\n-----END CERTIFICATE-----",
            &format!("-----BEGIN PRIVATE KEY-----\n{bare}\n-----END PRIVATE KEY-----"),
            &format!("-----BEGIN PUBLIC KEY-----\n{bare}"),
        ] {
            assert_eq!(PublicKey::from_pem(text), None, "{text}");
            assert_eq!(PublicKey::from_certificate(text), None, "{text}");
        }
    }
}
