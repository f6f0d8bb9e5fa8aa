//! Alipay: a form, signed with RSA2 over its sorted fields.
//!
//! `k=v` joined by `&`, url-decoded, without `sign`, `sign_type` and `alipay_cert_sn`; a field that is empty counts
//! like any other. The fields must be for our app and our account: another merchant's notification is well signed too.
//! Amounts are yuan, times are GMT+8. Refunds are told as a sum. Sources: opendocs.alipay.com/open/270/105902;
//! alipay/alipay-sdk-python-all, smartwalle/alipay.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use domain::{Currency, Gateway, Money, MovementKind, TransactionId, UnixMillis};

use super::reading::{self, Movement, SHAPE, silent, unknown};
use super::{Item, PublicKey, Unverified};
use crate::Refusal;

/// The only signature type that is taken: SHA256withRSA. The older one is over SHA-1.
const SIGN_TYPE: &str = "RSA2";
/// The only type of notification that tells of money.
const TRADE_STATUS_SYNC: &str = "trade_status_sync";
/// Fields that are not signed.
const UNSIGNED: [&str; 3] = ["sign", "sign_type", "alipay_cert_sn"];

/// What Alipay's callbacks are checked with.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// `app_id`: notifications of other apps are refused.
    pub app_id: String,
    /// `seller_id`: and of other sellers.
    pub seller_id: String,
    /// `public_keys`: Alipay's, every one that is good now.
    pub public_keys: Vec<PublicKey>,
}

/// The fields of a form that Alipay signed, for our app and our account.
#[derive(Debug)]
pub(super) struct Signed(BTreeMap<String, String>);

pub(super) fn verify(request: &Unverified, credentials: &Credentials) -> Result<Signed, Refusal> {
    let mut fields = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(&request.body) {
        if fields.insert(name.into_owned(), value.into_owned()).is_some() {
            return Err(Refusal::SignatureInvalid);
        }
    }
    let (Some(sign), Some(sign_type)) = (fields.get("sign"), fields.get("sign_type")) else {
        return Err(Refusal::SignatureMissing);
    };
    let signature = BASE64_STANDARD.decode(sign).map_err(|_| Refusal::SignatureInvalid)?;
    let message = content(&fields);
    let is_signed = credentials.public_keys.iter().any(|key| key.made(&signature, message.as_bytes()));
    if sign_type != SIGN_TYPE || !is_signed {
        return Err(Refusal::SignatureInvalid);
    }
    let is_ours =
        fields.get("app_id") == Some(&credentials.app_id) && fields.get("seller_id") == Some(&credentials.seller_id);
    if is_ours { Ok(Signed(fields)) } else { Err(Refusal::Impossible("the notification is for another merchant")) }
}

/// What Alipay signs of a form's fields.
pub fn content(fields: &BTreeMap<String, String>) -> String {
    let signed = fields.iter().filter(|(name, _)| !UNSIGNED.contains(&name.as_str()));
    signed.map(|(name, value)| format!("{name}={value}")).collect::<Vec<String>>().join("&")
}

pub(super) fn read(signed: &Signed) -> Result<Vec<Item>, Refusal> {
    let (kind, status) = (signed.field("notify_type").unwrap_or_default(), signed.field("trade_status"));
    let Some(status) = status.filter(|_| kind == TRADE_STATUS_SYNC) else { return Ok(vec![unknown(kind)]) };
    let refunded = signed.field("refund_fee").map(yuan).transpose()?.filter(|money| !money.is_zero());
    match (status, refunded) {
        ("TRADE_SUCCESS" | "TRADE_FINISHED" | "TRADE_CLOSED", Some(money)) => signed.refunded(money),
        ("TRADE_SUCCESS" | "TRADE_FINISHED", None) => signed.captured(),
        ("WAIT_BUYER_PAY" | "TRADE_CLOSED", _) => Ok(vec![silent(status)]),
        _ => Ok(vec![unknown(status)]),
    }
}

impl Signed {
    /// A field that is there and not empty.
    fn field(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    fn captured(&self) -> Result<Vec<Item>, Refusal> {
        let money = yuan(self.field("total_amount").ok_or(SHAPE)?)?;
        self.movement(MovementKind::Captured, self.field("trade_no"), money, self.field("gmt_payment"))
    }

    /// One refund has a number of its own. A notification of several, or of a closed trade, has its id.
    fn refunded(&self, money: Money) -> Result<Vec<Item>, Refusal> {
        let refund = self.field("out_biz_no").filter(|number| TransactionId::new(*number).is_ok());
        let transaction = refund.or_else(|| self.field("notify_id"));
        self.movement(MovementKind::RefundedInTotal, transaction, money, self.field("gmt_refund"))
    }

    fn movement(
        &self,
        kind: MovementKind,
        transaction: Option<&str>,
        money: Money,
        at: Option<&str>,
    ) -> Result<Vec<Item>, Refusal> {
        let (payment, transaction) = (self.field("trade_no").ok_or(SHAPE)?, transaction.ok_or(SHAPE)?);
        let occurred_at = time(at.or_else(|| self.field("notify_time")).ok_or(SHAPE)?)?;
        let order = self.field("out_trade_no").map(str::to_owned);
        Movement { gateway: Gateway::Alipay, kind, payment, transaction, order, money, occurred_at }.only()
    }
}

fn yuan(text: &str) -> Result<Money, Refusal> {
    reading::major(text, Currency::CNY.code())
}

/// `yyyy-MM-dd HH:mm:ss`, with or without milliseconds, in GMT+8.
fn time(text: &str) -> Result<UnixMillis, Refusal> {
    reading::time(&format!("{}+08:00", text.replacen(' ', "T", 1)))
}
