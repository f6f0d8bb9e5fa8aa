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

/// Fields that are read. What is signed is one text, in which a value could hold `&` and a field of its own.
const READ: [&str; 14] = [
    "app_id",
    "gmt_payment",
    "gmt_refund",
    "notify_id",
    "notify_time",
    "notify_type",
    "out_biz_no",
    "out_trade_no",
    "refund_fee",
    "seller_id",
    "sign_type",
    "total_amount",
    "trade_no",
    "trade_status",
];

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
    // The same text could be cut into other fields than Alipay meant.
    let is_cut = |name: &str| name.contains(['&', '=']);
    let hides = |value: &str| READ.iter().any(|name| value.contains(&format!("&{name}=")));
    if fields.iter().any(|(name, value)| is_cut(name) || hides(value)) {
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

#[cfg(test)]
mod tests {
    use super::super::rsa::testing;
    use super::reading::shown;
    use super::*;

    /// A notification of a payment, with some of its fields changed; an empty name takes a field out.
    fn fields(changes: &[(&str, Option<&str>)]) -> BTreeMap<String, String> {
        let mut fields: BTreeMap<String, String> = [
            ("app_id", "2016"),
            ("seller_id", "2088"),
            ("notify_type", "trade_status_sync"),
            ("notify_id", "N1"),
            ("notify_time", "2017-04-11 14:55:51"),
            ("gmt_payment", "2017-04-11 14:55:50"),
            ("trade_no", "T1"),
            ("out_trade_no", "A-1"),
            ("trade_status", "TRADE_SUCCESS"),
            ("total_amount", "12.00"),
            ("subject", "\u{6d4b}\u{8bd5} a+b=c&d"),
            ("sign_type", "RSA2"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        for (name, value) in changes {
            match value {
                Some(value) => fields.insert((*name).to_owned(), (*value).to_owned()),
                None => fields.remove(*name),
            };
        }
        fields
    }

    fn form(fields: &BTreeMap<String, String>) -> String {
        form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
    }

    fn signed(mut fields: BTreeMap<String, String>) -> String {
        fields.insert("sign".to_owned(), testing::sign(content(&fields).as_bytes()));
        form(&fields)
    }

    fn judged(body: &str) -> Result<Signed, Refusal> {
        let public_keys = vec![testing::public()];
        let credentials = Credentials { app_id: "2016".to_owned(), seller_id: "2088".to_owned(), public_keys };
        verify(&Unverified { headers: Vec::new(), body: body.into() }, &credentials)
    }

    fn said(changes: &[(&str, Option<&str>)]) -> String {
        shown(judged(&signed(fields(changes))).and_then(|signed| read(&signed))).join(", ")
    }

    #[test]
    fn all_fields_but_three_are_signed_in_the_order_of_their_names() {
        let fields =
            [("b", "2"), ("a", ""), ("sign", "x"), ("sign_type", "RSA2"), ("alipay_cert_sn", "x"), ("B", "=&")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(content(&fields.into()), "B==&&a=&b=2");
    }

    #[test]
    fn a_signed_text_that_was_cut_into_other_fields_is_refused() {
        let inside = "x&total_amount=1000.00&trade_no=FORGED&trade_status=TRADE_SUCCESS&version=1.0&z=";
        let genuine = fields(&[("subject", Some(inside))]);
        let mut cut = fields(&[("subject", Some("x")), ("trade_no", Some("FORGED")), ("version", Some("1.0"))]);
        cut.insert("total_amount".to_owned(), "1000.00".to_owned());
        cut.insert("z".to_owned(), "&total_amount=12.00&trade_no=T1&trade_status=TRADE_SUCCESS".to_owned());
        assert_eq!(content(&cut), content(&genuine), "one text, and so one signature");
        for fields in [genuine, cut] {
            assert_eq!(judged(&signed(fields)).err(), Some(Refusal::SignatureInvalid));
        }
        assert!(judged(&signed(fields(&[("subject", Some("tea & cups&price=1"))]))).is_ok());
    }

    #[test]
    fn a_form_that_is_not_signed_by_a_live_key_is_refused() {
        use Refusal::{SignatureInvalid, SignatureMissing};
        let good = signed(fields(&[]));
        assert!(judged(&good).is_ok());
        assert!(judged(&format!("{good}&alipay_cert_sn=x")).is_ok());
        for (body, refusal) in [
            (String::new(), SignatureMissing),
            ("sign=AAAA".to_owned(), SignatureMissing),
            (form(&fields(&[])), SignatureMissing),
            (form(&fields(&[("sign", Some("!"))])), SignatureInvalid),
            (form(&fields(&[("sign", Some(""))])), SignatureInvalid),
            (form(&fields(&[("sign", Some("AAAA"))])), SignatureInvalid),
            (signed(fields(&[("sign_type", None)])), SignatureMissing),
            (signed(fields(&[("sign_type", Some("RSA"))])), SignatureInvalid),
            (signed(fields(&[("sign_type", Some(""))])), SignatureInvalid),
            (good.replace("12.00", "0.01"), SignatureInvalid),
            (format!("{good}&extra="), SignatureInvalid),
            (format!("{good}&total_amount=12.00"), SignatureInvalid),
            (format!("{good}&sign_type=RSA2"), SignatureInvalid),
        ] {
            assert_eq!(judged(&body).err(), Some(refusal), "{body}");
        }
    }

    #[test]
    fn a_notification_of_another_merchant_is_impossible() {
        for changes in
            [[("app_id", Some("2017"))], [("seller_id", Some("2089"))], [("app_id", None)], [("seller_id", None)]]
        {
            assert_eq!(said(&changes), "422", "{changes:?}");
        }
    }

    #[test]
    fn a_paid_trade_is_captured() {
        let wanted = "captured T1 T1 12.00 CNY A-1 2017-04-11T06:55:50.000Z";
        assert_eq!(said(&[]), wanted);
        assert_eq!(said(&[("trade_status", Some("TRADE_FINISHED"))]), wanted);
        for nothing in ["", "0", "0.00"] {
            assert_eq!(said(&[("refund_fee", Some(nothing))]), wanted);
        }
        let later = "captured T1 T1 12.00 CNY A-1 2017-04-11T06:55:51.000Z";
        assert_eq!(said(&[("gmt_payment", None)]), later);
        assert_eq!(said(&[("gmt_payment", Some(""))]), later);
        for order in [None, Some(""), Some("a b")] {
            assert_eq!(said(&[("out_trade_no", order)]), wanted.replace("A-1", "-"));
        }
    }

    #[test]
    fn refunds_are_told_as_a_sum() {
        let refunded = [("refund_fee", Some("2.00")), ("gmt_refund", Some("2017-04-12 10:00:00.123"))];
        let wanted = "refunded_in_total T1 N1 2.00 CNY A-1 2017-04-12T02:00:00.123Z";
        for status in ["TRADE_SUCCESS", "TRADE_FINISHED", "TRADE_CLOSED"] {
            assert_eq!(said(&[&refunded[..], &[("trade_status", Some(status))]].concat()), wanted, "{status}");
        }
        for (number, transaction) in [("RF-1", "RF-1"), ("", "N1"), ("a b", "N1"), (&"x".repeat(65), "N1")] {
            let said = said(&[&refunded[..], &[("out_biz_no", Some(number))]].concat());
            assert_eq!(said, wanted.replace("N1", transaction), "{number}");
        }
        let noticed = wanted.replace("2017-04-12T02:00:00.123Z", "2017-04-11T06:55:51.000Z");
        assert_eq!(said(&[("refund_fee", Some("2.00"))]), noticed);
        assert_eq!(said(&[("refund_fee", Some("2.00")), ("notify_id", None)]), "400");
    }

    #[test]
    fn what_moves_no_money_is_silent_and_what_nobody_knows_is_unknown() {
        for (changes, wanted) in [
            (vec![("trade_status", Some("WAIT_BUYER_PAY"))], "silent WAIT_BUYER_PAY"),
            (vec![("trade_status", Some("TRADE_CLOSED"))], "silent TRADE_CLOSED"),
            (vec![("trade_status", Some("TRADE_PENDING"))], "unknown TRADE_PENDING"),
            (vec![("trade_status", None)], "unknown trade_status_sync"),
            (vec![("notify_type", Some("servicemarket_order_notify"))], "unknown servicemarket_order_notify"),
            (vec![("notify_type", None)], "unknown unnamed"),
        ] {
            assert_eq!(said(&changes), wanted, "{changes:?}");
        }
    }

    #[test]
    fn what_was_signed_and_cannot_be_read_or_cannot_be_is_refused() {
        for (name, value, wanted) in [
            ("total_amount", None, "400"),
            ("total_amount", Some("a lot"), "400"),
            ("total_amount", Some("1e2"), "400"),
            ("total_amount", Some("-12.00"), "422"),
            ("total_amount", Some("12.001"), "422"),
            ("trade_no", None, "400"),
            ("trade_no", Some("a b"), "400"),
            ("gmt_payment", Some("2017-04-11"), "400"),
            ("gmt_payment", Some("2017-04-11 14:55:50Z"), "400"),
            ("gmt_payment", Some("2017-02-30 14:55:50"), "400"),
            ("refund_fee", Some("much"), "400"),
            ("refund_fee", Some("0.001"), "422"),
        ] {
            assert_eq!(said(&[(name, value)]), wanted, "{name} {value:?}");
        }
    }
}
