//! TOP's `sign`: upper-case hex over the parameters in the order of their keys.
//!
//! `q` is every `key+value`, without empty keys and values and without `sign`; the body of a batch follows it. `md5` is
//! MD5 over `secret+q+secret`, the others are keyed by the secret. Invariant: an empty secret makes an empty signature,
//! which nobody takes. Source: open.taobao.com, "API调用方法详解" (articleId 101617); `TaobaoUtils.signTopRequest`,
//! `TaobaoUtils.signTopRequestWithBody`.

use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};
use secrecy::{ExposeSecret, SecretString};

use crate::mac;

/// The parameter that carries the signature, and takes no part in it.
pub const PARAMETER: &str = "sign";

/// How a request is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignMethod {
    /// MD5 between two copies of the secret.
    Md5,
    /// HMAC-MD5.
    Hmac,
    /// HMAC-SHA256: the one that we use.
    HmacSha256,
}

impl SignMethod {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Md5, Self::Hmac, Self::HmacSha256];

    /// The value of `sign_method`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Hmac => "hmac",
            Self::HmacSha256 => "hmac-sha256",
        }
    }

    /// The method of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str() == name)
    }
}

/// Signs a request. `body` is the text of a batch; any other request has all that is signed in its parameters.
pub fn sign(method: SignMethod, secret: &SecretString, parameters: &[(String, String)], body: Option<&str>) -> String {
    let key = secret.expose_secret().as_bytes();
    if key.is_empty() {
        return String::new();
    }
    let text = string_to_sign(parameters, body);
    match method {
        SignMethod::Md5 => {
            hex::encode_upper(Md5::new().chain_update(key).chain_update(&text).chain_update(key).finalize())
        }
        SignMethod::Hmac => Hmac::<Md5>::new_from_slice(key)
            .map(|mac| hex::encode_upper(mac.chain_update(&text).finalize().into_bytes()))
            .unwrap_or_default(),
        SignMethod::HmacSha256 => mac::hmac_sha256(key, &[text.as_bytes()])
            .map(|mac| hex::encode_upper(mac.finalize().into_bytes()))
            .unwrap_or_default(),
    }
}

/// `q`, and the body after it.
fn string_to_sign(parameters: &[(String, String)], body: Option<&str>) -> String {
    let is_signed = |(key, value): &&(String, String)| !key.is_empty() && !value.is_empty() && key != PARAMETER;
    let mut signed: Vec<&(String, String)> = parameters.iter().filter(is_signed).collect();
    signed.sort_by(|(one, _), (other, _)| one.cmp(other));
    let pairs: String = signed.into_iter().map(|(key, value)| format!("{key}{value}")).collect();
    format!("{pairs}{}", body.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(parameters: &[(&str, &str)], body: Option<&str>) -> String {
        let parameters: Vec<_> =
            parameters.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        string_to_sign(&parameters, body)
    }

    #[test]
    fn keys_are_in_ascii_order_and_what_is_empty_takes_no_part() {
        let parameters = [("b", "2"), ("a_b", "4"), ("B", "1"), ("ab", "3"), ("", "x"), ("c", ""), ("sign", "S")];
        assert_eq!(signed(&parameters, None), "B1a_b4ab3b2");
        assert_eq!(signed(&parameters, Some("#PUBLIC#")), "B1a_b4ab3b2#PUBLIC#");
    }

    #[test]
    fn a_secret_that_was_left_blank_signs_nothing() {
        for method in SignMethod::ALL {
            assert_eq!(sign(method, &SecretString::from(""), &[], Some("body")), "", "{method:?}");
            assert_eq!(SignMethod::from_name(method.as_str()), Some(method));
        }
    }
}
