//! WeChat Pay, API v3: RSA over `timestamp\nnonce\nbody\n`, and what money depends on is encrypted besides.
//!
//! The key is named by its serial. The resource of a notification is AES-256-GCM under our API v3 key. Signatures that
//! begin with `WECHATPAY/SIGNTEST/` are probes of WeChat Pay's, and fail like any other that is none. Amounts are whole
//! fen. Sources: pay.weixin.qq.com/doc/v3, "Verify the signature of a notification", "Payment notification", "Refund
//! notification"; wechatpay-apiv3/wechatpay-go, wechatpay-java.

use std::collections::HashMap;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use domain::{Currency, Gateway, MovementKind, UnixMillis};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::reading::{self, Movement, SHAPE, unknown};
use super::{Item, PublicKey, Unverified};
use crate::Refusal;
use crate::json::Object;

/// How far a notification's time may be from ours, both ways, in seconds. As in WeChat Pay's libraries, this much is
/// already too far.
pub const TOLERANCE_SECONDS: i64 = 300;

/// The only signature type, which a notification need not name.
const SIGNATURE_TYPE: &str = "WECHATPAY2-SHA256-RSA2048";
/// The only encryption.
const ENCRYPTION: &str = "AEAD_AES_256_GCM";

/// What WeChat Pay's callbacks are checked with.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// `mchid`: notifications of other merchants are refused.
    pub mchid: String,
    /// `api_v3_key`: 32 bytes, which resources are encrypted with.
    pub api_v3_key: SecretString,
    /// `public_keys`: WeChat Pay's, by serial.
    pub public_keys: HashMap<String, PublicKey>,
}

/// What WeChat Pay signed.
#[derive(Debug)]
pub(super) enum Signed {
    /// A notification of money, for our account, decrypted.
    Money {
        /// What it tells of.
        event: MoneyEvent,
        /// When it was made.
        created_at: String,
        /// The resource, as JSON.
        plaintext: String,
    },
    /// A notification of another type, which is not decrypted.
    Other(String),
    /// Something of which no notification could be read, or one for another merchant.
    Unread(Refusal),
}

/// The types that tell of money.
#[derive(Debug, Clone, Copy)]
pub(super) enum MoneyEvent {
    Paid,
    Refunded,
    RefundFailed,
}

impl MoneyEvent {
    fn from_name(name: &str) -> Option<Self> {
        match name {
            "TRANSACTION.SUCCESS" => Some(Self::Paid),
            "REFUND.SUCCESS" => Some(Self::Refunded),
            "REFUND.ABNORMAL" | "REFUND.CLOSED" => Some(Self::RefundFailed),
            _ => None,
        }
    }
}

#[derive(Deserialize)]
struct Notification<'a> {
    event_type: String,
    create_time: String,
    #[serde(borrow)]
    resource: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Resource {
    algorithm: String,
    ciphertext: String,
    associated_data: Option<String>,
    nonce: String,
}

pub(super) fn verify(request: &Unverified, credentials: &Credentials, now: UnixMillis) -> Result<Signed, Refusal> {
    let (timestamp, nonce) = (request.header("wechatpay-timestamp")?, request.header("wechatpay-nonce")?);
    let (signature, serial) = (request.header("wechatpay-signature")?, request.header("wechatpay-serial")?);
    match request.header("wechatpay-signature-type") {
        Ok(SIGNATURE_TYPE) | Err(Refusal::SignatureMissing) => {}
        _ => return Err(Refusal::SignatureInvalid),
    }
    let seconds: i64 = timestamp.parse().map_err(|_| Refusal::TimestampInvalid)?;
    let age = now.seconds().checked_sub(seconds).ok_or(Refusal::TimestampInvalid)?;
    if age.unsigned_abs() >= TOLERANCE_SECONDS.unsigned_abs() {
        return Err(Refusal::TimestampInvalid);
    }
    let signature = BASE64_STANDARD.decode(signature).map_err(|_| Refusal::SignatureInvalid)?;
    let key = credentials.public_keys.get(serial).ok_or(Refusal::SignatureInvalid)?;
    if !key.made(&signature, &message(timestamp, nonce, &request.body)) {
        return Err(Refusal::SignatureInvalid);
    }
    // Signed it is, unless it was sealed under another key; what is wrong with what it says is found when it is read.
    match open(&request.body, credentials) {
        Err(refusal) if refusal != Refusal::SignatureInvalid => Ok(Signed::Unread(refusal)),
        opened => opened,
    }
}

/// What WeChat Pay signs of a body.
pub fn message(timestamp: &str, nonce: &str, body: &[u8]) -> Vec<u8> {
    [timestamp.as_bytes(), b"\n", nonce.as_bytes(), b"\n", body, b"\n"].concat()
}

/// Decrypts the resource of a signed notification, when it is of money, which must then be of our account.
fn open(body: &[u8], credentials: &Credentials) -> Result<Signed, Refusal> {
    #[derive(Deserialize)]
    struct Merchant {
        mchid: String,
    }
    let notification: Notification<'_> = reading::object(body)?;
    let Some(event) = MoneyEvent::from_name(&notification.event_type) else {
        return Ok(Signed::Other(notification.event_type));
    };
    let resource: Resource = reading::part(notification.resource)?;
    let associated_data = resource.associated_data.unwrap_or_default();
    let plaintext = (resource.algorithm == ENCRYPTION)
        .then(|| decrypt(&credentials.api_v3_key, &resource.nonce, &associated_data, &resource.ciphertext))
        .flatten()
        // Sealed under another key, which may be the next one: like a signature of nobody that we know.
        .ok_or(Refusal::SignatureInvalid)?;
    let merchant: Merchant = reading::object(plaintext.as_bytes())?;
    if merchant.mchid != credentials.mchid {
        return Err(Refusal::Impossible("the notification is for another merchant"));
    }
    Ok(Signed::Money { event, created_at: notification.create_time, plaintext })
}

/// Opens a resource: base64 of AES-256-GCM with its tag at the end, under a key of 32 bytes and a nonce of twelve.
/// `None` when it was not sealed so.
pub fn decrypt(api_v3_key: &SecretString, nonce: &str, associated_data: &str, ciphertext: &str) -> Option<String> {
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, api_v3_key.expose_secret().as_bytes()).ok()?);
    let nonce = Nonce::try_assume_unique_for_key(nonce.as_bytes()).ok()?;
    let mut sealed = BASE64_STANDARD.decode(ciphertext).ok()?;
    let opened = key.open_in_place(nonce, Aad::from(associated_data), &mut sealed).ok()?;
    std::str::from_utf8(opened).ok().map(str::to_owned)
}

#[derive(Deserialize)]
struct Transaction<'a> {
    transaction_id: String,
    out_trade_no: Option<String>,
    refund_id: Option<String>,
    success_time: Option<String>,
    #[serde(borrow)]
    amount: Object<Amount<'a>>,
}

#[derive(Deserialize)]
struct Amount<'a> {
    #[serde(borrow)]
    total: &'a RawValue,
    #[serde(borrow)]
    refund: Option<&'a RawValue>,
    currency: Option<String>,
}

pub(super) fn read(signed: &Signed) -> Result<Vec<Item>, Refusal> {
    let (event, created_at, plaintext) = match signed {
        Signed::Other(kind) => return Ok(vec![unknown(kind)]),
        Signed::Unread(refusal) => return Err(*refusal),
        Signed::Money { event, created_at, plaintext } => (event, created_at, plaintext),
    };
    let Transaction { transaction_id, out_trade_no: order, refund_id, success_time, amount } =
        reading::object(plaintext.as_bytes())?;
    let (kind, transaction, units) = match event {
        MoneyEvent::Paid => (MovementKind::Captured, Some(transaction_id.clone()), Some(amount.0.total)),
        MoneyEvent::Refunded => (MovementKind::Refunded, refund_id, amount.0.refund),
        MoneyEvent::RefundFailed => (MovementKind::RefundFailed, refund_id, amount.0.refund),
    };
    let (payment, transaction) = (&transaction_id, &transaction.ok_or(SHAPE)?);
    let code = amount.0.currency.as_deref().unwrap_or(Currency::CNY.code());
    let money = reading::units(units.ok_or(SHAPE)?.get(), code, &[])?;
    let occurred_at = reading::time(success_time.as_ref().unwrap_or(created_at))?;
    Movement { gateway: Gateway::Wechatpay, kind, payment, transaction, order, money, occurred_at }.only()
}

#[cfg(test)]
mod tests {
    use super::super::rsa::testing;
    use super::reading::shown;
    use super::*;

    const NOW: i64 = 1_790_827_201;
    const KEY: &str = "0123456789abcdef0123456789abcdef";

    fn sealed(key: &str, plaintext: &str) -> String {
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.as_bytes()).unwrap());
        let (mut sealed, nonce) = (plaintext.as_bytes().to_vec(), Nonce::assume_unique_for_key(*b"abcdefghijkl"));
        key.seal_in_place_append_tag(nonce, Aad::from("transaction"), &mut sealed).unwrap();
        BASE64_STANDARD.encode(sealed)
    }

    fn notification(kind: &str, ciphertext: &str) -> String {
        format!(
            r#"{{"id":"EV-1","create_time":"2026-10-01T12:00:01+08:00","event_type":"{kind}","resource":{{
                "algorithm":"AEAD_AES_256_GCM","ciphertext":"{ciphertext}","associated_data":"transaction",
                "nonce":"abcdefghijkl"}}}}"#
        )
    }

    fn headers(body: &str) -> Vec<(String, String)> {
        let (timestamp, nonce) = (NOW.to_string(), "593BEC0C930BF1AF");
        let signature = testing::sign(&message(&timestamp, nonce, body.as_bytes()));
        [
            ("wechatpay-timestamp", timestamp.as_str()),
            ("wechatpay-nonce", nonce),
            ("wechatpay-signature", &signature),
            ("wechatpay-serial", "PUB_KEY_ID_1"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
    }

    fn judged(headers: Vec<(String, String)>, body: &str, now: i64) -> Result<Signed, Refusal> {
        let public_keys = HashMap::from([("PUB_KEY_ID_1".to_owned(), testing::public())]);
        let credentials = Credentials { mchid: "1900".to_owned(), api_v3_key: KEY.into(), public_keys };
        let request = Unverified { headers, body: body.into() };
        verify(&request, &credentials, UnixMillis::from_seconds(now).unwrap())
    }

    fn read_body(body: &str) -> String {
        shown(judged(headers(body), body, NOW).and_then(|signed| read(&signed))).join(", ")
    }

    fn said(kind: &str, plaintext: &str) -> String {
        read_body(&notification(kind, &sealed(KEY, plaintext)))
    }

    const PAID: &str = r#"{"mchid":"1900","out_trade_no":"A-1","transaction_id":"T1",
        "success_time":"2026-10-01T12:00:00+08:00","amount":{"total":100,"payer_total":100,"currency":"CNY"}}"#;
    const REFUNDED: &str = r#"{"mchid":"1900","transaction_id":"T1","out_trade_no":"A-1","refund_id":"R1",
        "success_time":"2026-10-02T12:00:00+08:00","amount":{"total":100,"refund":40,"payer_refund":40}}"#;

    #[test]
    fn less_than_five_minutes_both_ways_are_good() {
        let body = notification("OF.TOMORROW", "");
        for (now, is_good) in [(NOW + 299, true), (NOW - 299, true), (NOW + 300, false), (NOW - 300, false), (0, false)]
        {
            let refusal = (!is_good).then_some(Refusal::TimestampInvalid);
            assert_eq!(judged(headers(&body), &body, now).err(), refusal, "{now}");
        }
    }

    #[test]
    fn a_header_that_is_missing_doubled_or_none_is_refused() {
        use Refusal::{SignatureInvalid, SignatureMissing, TimestampInvalid};
        let body = notification("OF.TOMORROW", "");
        let good = headers(&body);
        for position in 0..good.len() {
            let mut headers = good.clone();
            let header = headers.remove(position);
            assert_eq!(judged(headers.clone(), &body, NOW).err(), Some(SignatureMissing), "without {}", header.0);
            headers.extend([header.clone(), header]);
            assert_eq!(judged(headers, &body, NOW).err(), Some(SignatureInvalid));
        }
        let probe = format!("WECHATPAY/SIGNTEST/{}", good[2].1);
        for (name, value, refusal) in [
            ("wechatpay-timestamp", "now", TimestampInvalid),
            ("wechatpay-timestamp", "-9223372036854775808", TimestampInvalid),
            ("wechatpay-timestamp", "1790827202", SignatureInvalid),
            ("wechatpay-nonce", "other", SignatureInvalid),
            ("wechatpay-serial", "PUB_KEY_ID_2", SignatureInvalid),
            ("wechatpay-signature", "!", SignatureInvalid),
            ("wechatpay-signature", "AAAA", SignatureInvalid),
            ("wechatpay-signature", &probe, SignatureInvalid),
        ] {
            let mut headers = good.clone();
            headers.iter_mut().filter(|(key, _)| key == name).for_each(|(_, old)| *old = value.to_owned());
            assert_eq!(judged(headers, &body, NOW).err(), Some(refusal), "{name} {value}");
        }
        for (value, refusal) in [
            ("WECHATPAY2-SHA256-RSA2048", None),
            ("WECHATPAY2-SM2-WITH-SM3", Some(SignatureInvalid)),
            ("wechatpay2-sha256-rsa2048", Some(SignatureInvalid)),
        ] {
            let kind = [("wechatpay-signature-type".to_owned(), value.to_owned())];
            assert_eq!(judged([good.clone(), kind.to_vec()].concat(), &body, NOW).err(), refusal, "{value}");
        }
    }

    #[test]
    fn a_transaction_is_captured_and_a_refund_is_what_became_of_it() {
        let paid = "captured T1 T1 1.00 CNY A-1 2026-10-01T04:00:00.000Z";
        assert_eq!(said("TRANSACTION.SUCCESS", PAID), paid);
        assert_eq!(said("TRANSACTION.SUCCESS", &PAID.replace(r#","currency":"CNY""#, "")), paid);
        assert_eq!(said("TRANSACTION.SUCCESS", &PAID.replace("A-1", "a b")), paid.replace("A-1", "-"));
        let refunded = "T1 R1 0.40 CNY A-1 2026-10-02T04:00:00.000Z";
        assert_eq!(said("REFUND.SUCCESS", REFUNDED), format!("refunded {refunded}"));
        assert_eq!(said("REFUND.ABNORMAL", REFUNDED), format!("refund_failed {refunded}"));
        let closed = REFUNDED.replace("success_time", "no_time");
        let noticed = refunded.replace("2026-10-02T04:00:00", "2026-10-01T04:00:01");
        assert_eq!(said("REFUND.CLOSED", &closed), format!("refund_failed {noticed}"));
    }

    #[test]
    fn what_nobody_knows_is_unknown_and_not_decrypted() {
        assert_eq!(read_body(&notification("PAYSCORE.USER_OPEN_SERVICE", "!")), "unknown PAYSCORE.USER_OPEN_SERVICE");
        assert_eq!(read_body(r#"{"event_type":"A B","create_time":""}"#), "unknown unnamed");
    }

    #[test]
    fn another_merchant_s_money_is_impossible() {
        assert_eq!(said("TRANSACTION.SUCCESS", &PAID.replace("1900", "1901")), "422");
        assert_eq!(said("REFUND.SUCCESS", &REFUNDED.replace("1900", "")), "422");
        assert_eq!(said("REFUND.SUCCESS", &REFUNDED.replace("mchid", "sp_mchid")), "400");
    }

    #[test]
    fn a_signed_resource_that_our_key_does_not_open_is_refused() {
        let good = notification("TRANSACTION.SUCCESS", &sealed(KEY, PAID));
        assert!(read_body(&good).starts_with("captured "));
        for body in [
            notification("TRANSACTION.SUCCESS", &sealed("fedcba9876543210fedcba9876543210", PAID)),
            notification("TRANSACTION.SUCCESS", ""),
            notification("TRANSACTION.SUCCESS", "!"),
            notification("TRANSACTION.SUCCESS", "AAAA"),
            good.replace("abcdefghijkl", "abcdefghijkm"),
            good.replace("abcdefghijkl", "abcdefghijk"),
            good.replace(r#""transaction""#, r#""refund""#),
            good.replace("AEAD_AES_256_GCM", "AEAD_SM4_GCM"),
        ] {
            assert_eq!(read_body(&body), "401", "{body}");
        }
        for body in [good.replace("resource", "resources"), "7".to_owned(), String::new()] {
            assert_eq!(read_body(&body), "400", "{body}");
        }
        for key in ["", "0123456789abcdef", "0123456789abcdef0123456789abcdef0"] {
            assert_eq!(decrypt(&key.into(), "abcdefghijkl", "transaction", &sealed(KEY, PAID)), None, "{key}");
        }
    }

    #[test]
    fn what_was_decrypted_and_cannot_be_read_or_cannot_be_is_refused() {
        for (from, to, wanted) in [
            (r#""total":100"#, r#""total":1.5"#, "400"),
            (r#""total":100"#, r#""total":"100""#, "400"),
            (r#""total":100"#, r#""total":-1"#, "422"),
            (r#""total":100"#, r#""total":99999999999999999999"#, "422"),
            (r#""currency":"CNY""#, r#""currency":"XAU""#, "422"),
            ("T1", "a b", "400"),
            ("2026-10-01T12:00:00+08:00", "2026-10-01", "400"),
            ("amount", "amounts", "400"),
        ] {
            assert_eq!(said("TRANSACTION.SUCCESS", &PAID.replace(from, to)), wanted, "{to}");
        }
        assert_eq!(said("REFUND.SUCCESS", PAID), "400");
        assert_eq!(said("TRANSACTION.SUCCESS", "7"), "400");
    }
}
