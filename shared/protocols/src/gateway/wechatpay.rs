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
    open(&request.body, credentials)
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
        .ok_or(Refusal::Malformed("the resource cannot be decrypted"))?;
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
