//! Adyen: each item of a notification is signed by itself, in `additionalData.hmacSignature`.
//!
//! Base64 of HMAC-SHA256 over eight of its fields with `:` between, keyed by the bytes of a hex key. Nothing is
//! escaped, and what is absent is empty. Adyen does not sign the other fields, so of `eventDate` and
//! `modification.action` TLS is the only witness. Webhooks of platforms and of management are signed over the raw
//! body, in the header `HmacSignature`. Sources: docs.adyen.com, "Verify HMAC signatures", "Webhook types",
//! "Currency codes and minor units"; Adyen/adyen-java-api-library, adyen-node-api-library, adyen-python-api-library.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use domain::{Gateway, MovementKind};
use hmac::Mac;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::reading::{self, Movement, SHAPE, Silent, silent, text, unknown};
use super::{Item, Unverified};
use crate::json::Object;
use crate::{Refusal, mac};

/// Items that one notification may hold. Adyen sends one; its SOAP notifications of old held up to six.
pub const ITEMS_MAX: usize = 100;

/// Currencies that Adyen counts in other units than those of ISO 4217, with their decimals there. Source:
/// docs.adyen.com/development-resources/currency-codes.
const OWN_DECIMALS: [(&str, u32); 4] = [("CLP", 2), ("CVE", 0), ("IDR", 0), ("ISK", 2)];

/// What moves no money, or not by itself.
const SILENT: Silent = Silent {
    names: &[
        "AUTHORISATION_ADJUSTMENT",
        "DISPUTE_DEFENSE_PERIOD_ENDED",
        "EXPIRE",
        "HANDLED_EXTERNALLY",
        "INFORMATION_SUPPLIED",
        "ISSUER_COMMENTS",
        "ISSUER_RESPONSE_TIMEFRAME_EXPIRED",
        "MANUAL_REVIEW_ACCEPT",
        "MANUAL_REVIEW_REJECT",
        "NOTIFICATION_OF_FRAUD",
        "OFFER_CLOSED",
        "ORDER_CLOSED",
        "ORDER_OPENED",
        "PENDING",
        "RECURRING_CONTRACT",
        "REPORT_AVAILABLE",
        "REQUEST_FOR_INFORMATION",
    ],
    prefixes: &[],
};

/// What Adyen's callbacks are checked with.
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
    /// With the authorisation: money moves on AUTHORISATION, and on CAPTURE when it failed and was tried again.
    Automatic,
}

/// What live keys signed.
#[derive(Debug)]
pub(super) enum Signed {
    /// Every item of a notification.
    Items(Vec<RequestItem>, Capture),
    /// A webhook of another product, by its type.
    Platform(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Notification<'a> {
    #[serde(borrow)]
    notification_items: Option<Vec<Object<Wrapped<'a>>>>,
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Wrapped<'a> {
    #[serde(borrow, rename = "NotificationRequestItem")]
    item: &'a RawValue,
}

/// The fields of an item that are signed or that money depends on. A signed one stands as it is written, whether as a
/// text, a number or a boolean.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RequestItem {
    #[serde(default)]
    psp_reference: Written,
    #[serde(default)]
    original_reference: Written,
    #[serde(default)]
    merchant_account_code: Written,
    #[serde(default)]
    merchant_reference: Written,
    #[serde(default)]
    amount: Option<Object<Amount>>,
    #[serde(default)]
    event_code: Written,
    #[serde(default)]
    success: Written,
    #[serde(default)]
    event_date: Written,
    #[serde(default)]
    additional_data: Option<Object<AdditionalData>>,
}

#[derive(Debug, Default, Deserialize)]
struct Amount {
    #[serde(default)]
    value: Written,
    #[serde(default)]
    currency: Written,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AdditionalData {
    hmac_signature: Option<String>,
    #[serde(rename = "modification.action")]
    modification_action: Option<String>,
}

/// A value as it is written: the text itself, or the digits of a number as they stand. Null is empty.
#[derive(Debug, Default, Deserialize)]
#[serde(try_from = "Box<RawValue>")]
struct Written(String);

impl TryFrom<Box<RawValue>> for Written {
    type Error = &'static str;

    fn try_from(raw: Box<RawValue>) -> Result<Self, &'static str> {
        match raw.get().bytes().next() {
            Some(b'"') => serde_json::from_str(raw.get()).map(Self).map_err(|_| "not a text"),
            Some(b'n') => Ok(Self::default()),
            Some(b'{' | b'[') | None => Err("not a value"),
            Some(_) => Ok(Self(raw.get().to_owned())),
        }
    }
}

pub(super) fn verify(request: &Unverified, credentials: &Credentials) -> Result<Signed, Refusal> {
    let keys: Vec<Vec<u8>> =
        credentials.hmac_keys.iter().filter_map(|key| hex::decode(key.expose_secret()).ok()).collect();
    let notification: Notification<'_> = reading::object(&request.body)?;
    let Some(wrapped) = notification.notification_items else {
        if !is_signed(&keys, request.header("hmacsignature")?, &request.body) {
            return Err(Refusal::SignatureInvalid);
        }
        return Ok(Signed::Platform(text(notification.kind).unwrap_or_default()));
    };
    if !(1..=ITEMS_MAX).contains(&wrapped.len()) {
        return Err(Refusal::Malformed("the notification holds no item, or more than one can"));
    }
    let mut items = Vec::new();
    for Object(wrapped) in wrapped {
        let item: RequestItem = reading::part(Some(wrapped.item))?;
        let claimed = item.additional_data.as_ref().and_then(|data| data.0.hmac_signature.as_deref());
        if !is_signed(&keys, claimed.ok_or(Refusal::SignatureMissing)?, item.string_to_sign().as_bytes()) {
            return Err(Refusal::SignatureInvalid);
        }
        items.push(item);
    }
    Ok(Signed::Items(items, credentials.capture))
}

fn is_signed(keys: &[Vec<u8>], claimed: &str, message: &[u8]) -> bool {
    let Ok(claimed) = BASE64_STANDARD.decode(claimed) else { return false };
    keys.iter().any(|key| mac::hmac_sha256(key, &[message]).is_some_and(|mac| mac.verify_slice(&claimed).is_ok()))
}

/// What Adyen signs of an item, which is the JSON object `NotificationRequestItem`. `None` for what is none.
pub fn string_to_sign(item: &str) -> Option<String> {
    reading::object::<RequestItem>(item.as_bytes()).ok().map(|item| item.string_to_sign())
}

/// The signature of an item's string or of a raw body, as Adyen makes it. `None` when the key is not hex.
pub fn sign(key: &SecretString, message: &[u8]) -> Option<String> {
    let key = hex::decode(key.expose_secret()).ok()?;
    mac::hmac_sha256(&key, &[message]).map(|mac| BASE64_STANDARD.encode(mac.finalize().into_bytes()))
}

pub(super) fn read(signed: &Signed) -> Result<Vec<Item>, Refusal> {
    match signed {
        Signed::Items(items, capture) => items.iter().map(|item| item.read(*capture)).collect(),
        Signed::Platform(kind) => Ok(vec![silent(kind)]),
    }
}

impl RequestItem {
    fn amount(&self) -> (&str, &str) {
        self.amount.as_ref().map_or(("", ""), |amount| (&amount.0.value.0, &amount.0.currency.0))
    }

    fn string_to_sign(&self) -> String {
        let (value, currency) = self.amount();
        [
            &self.psp_reference.0,
            &self.original_reference.0,
            &self.merchant_account_code.0,
            &self.merchant_reference.0,
            value,
            currency,
            &self.event_code.0,
            &self.success.0,
        ]
        .join(":")
    }

    fn read(&self, capture: Capture) -> Result<Item, Refusal> {
        use MovementKind::{CaptureFailed, Captured, DisputeLost, DisputeOpened, DisputeWon, RefundFailed, Refunded};
        let code = self.event_code.0.as_str();
        let captured = || self.succeeded().map(|succeeded| if succeeded { Captured } else { CaptureFailed });
        match code {
            "AUTHORISATION" if capture == Capture::Manual => Ok(silent(code)),
            // Where the authorisation counts as the capture, Adyen tells of a CAPTURE when one failed and was tried again.
            "CAPTURE" if capture == Capture::Automatic => self.movement_under(captured()?, self.payment()),
            "AUTHORISATION" | "CAPTURE" => self.movement(captured()?),
            // It undoes what was captured, which in automatic mode stands under the payment itself.
            "CAPTURE_FAILED" if capture == Capture::Automatic => self.movement_under(CaptureFailed, self.payment()),
            "CAPTURE_FAILED" => self.movement(CaptureFailed),
            "REFUND" => self.movement(if self.succeeded()? { Refunded } else { RefundFailed }),
            "REFUND_FAILED" | "REFUNDED_REVERSED" => self.movement(RefundFailed),
            "CANCELLATION" | "TECHNICAL_CANCEL" => self.cancelled(capture),
            "CANCEL_OR_REFUND" => self.cancelled_or_refunded(capture),
            "NOTIFICATION_OF_CHARGEBACK" => self.movement(DisputeOpened),
            "CHARGEBACK" => self.movement(DisputeLost),
            "CHARGEBACK_REVERSED" | "PREARBITRATION_WON" => self.movement(DisputeWon),
            "SECOND_CHARGEBACK" | "PREARBITRATION_LOST" => {
                // The first loss and its reversal stand under the dispute itself. The second takes the money again.
                self.movement_under(DisputeLost, &format!("{}.second", self.psp_reference.0))
            }
            _ => Ok(SILENT.item(code)),
        }
    }

    fn succeeded(&self) -> Result<bool, Refusal> {
        match self.success.0.as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(SHAPE),
        }
    }

    /// Where the authorisation counted as the capture, its cancellation takes it back.
    fn cancelled(&self, capture: Capture) -> Result<Item, Refusal> {
        match capture {
            Capture::Automatic if self.succeeded()? => self.movement_under(MovementKind::CaptureFailed, self.payment()),
            Capture::Automatic | Capture::Manual => Ok(silent(&self.event_code.0)),
        }
    }

    /// Adyen says afterwards which of the two it did.
    fn cancelled_or_refunded(&self, capture: Capture) -> Result<Item, Refusal> {
        let action = self.additional_data.as_ref().and_then(|data| data.0.modification_action.as_deref());
        match (action, self.succeeded()?) {
            (Some("refund"), true) => self.movement(MovementKind::Refunded),
            (Some("cancel"), _) => self.cancelled(capture),
            _ => Ok(unknown(&self.event_code.0)),
        }
    }

    /// The payment that an item is of; the item of a payment names no other.
    fn payment(&self) -> &str {
        match self.original_reference.0.as_str() {
            "" => &self.psp_reference.0,
            original => original,
        }
    }

    fn movement(&self, kind: MovementKind) -> Result<Item, Refusal> {
        self.movement_under(kind, &self.psp_reference.0)
    }

    fn movement_under(&self, kind: MovementKind, transaction: &str) -> Result<Item, Refusal> {
        let payment = self.payment();
        // These have none. With one, fields could trade places within what was signed.
        let account = self.merchant_account_code.0.as_str();
        if [payment, self.psp_reference.0.as_str(), account].iter().any(|field| field.contains(':')) {
            return Err(Refusal::Malformed("a reference holds the sign that separates signed fields"));
        }
        let (value, currency) = self.amount();
        let money = reading::units(value, currency, &OWN_DECIMALS)?;
        let order = Some(self.merchant_reference.0.clone());
        let occurred_at = reading::time(&self.event_date.0)?;
        Movement { gateway: Gateway::Adyen, kind, payment, transaction, order, money, occurred_at }.item()
    }
}

#[cfg(test)]
mod tests {
    use super::reading::shown;
    use super::*;
    use serde_json::{Value, json};

    const KEY: &str = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056";

    fn item(code: &str, success: &str) -> Value {
        json!({
            "pspReference": "P1", "originalReference": "O1", "merchantAccountCode": "M", "merchantReference": "A-1",
            "amount": {"value": 1130, "currency": "EUR"}, "eventCode": code, "success": success,
            "eventDate": "2026-01-19T16:42:03+01:00", "additionalData": {}
        })
    }

    fn signed(mut item: Value) -> Value {
        let message = string_to_sign(&item.to_string()).unwrap();
        item["additionalData"]["hmacSignature"] = sign(&KEY.into(), message.as_bytes()).unwrap().into();
        item
    }

    fn notification(items: &[Value]) -> String {
        let items: Vec<Value> = items.iter().map(|item| json!({"NotificationRequestItem": item})).collect();
        json!({"live": "false", "notificationItems": items}).to_string()
    }

    fn judged(body: &str, header: Option<&str>, keys: &[&str], capture: Capture) -> Result<Signed, Refusal> {
        let headers = header.map(|header| ("hmacsignature".to_owned(), header.to_owned())).into_iter().collect();
        let request = Unverified { headers, body: body.into() };
        let hmac_keys = keys.iter().map(|key| SecretString::from(*key)).collect();
        verify(&request, &Credentials { hmac_keys, capture })
    }

    fn said(items: &[Value], capture: Capture) -> Vec<String> {
        let items: Vec<Value> = items.iter().cloned().map(signed).collect();
        shown(judged(&notification(&items), None, &["00", KEY], capture).and_then(|signed| read(&signed)))
    }

    #[test]
    fn what_is_absent_is_empty_and_values_stand_as_they_are_written() {
        for (item, wanted) in [
            (r#"{"pspReference":"p","success":"true"}"#, "p:::::::true"),
            (r#"{"originalReference":null,"amount":null,"success":true}"#, ":::::::true"),
            (r#"{"amount":{"value":"0","currency":"EUR"}}"#, "::::0:EUR::"),
            (r#"{"amount":{"value":1000.0}}"#, "::::1000.0:::"),
            (r#"{"merchantReference":"\\:\/\u00e9"}"#, ":::\\:/\u{e9}::::"),
        ] {
            assert_eq!(string_to_sign(item).as_deref(), Some(wanted), "{item}");
        }
        for item in ["", "7", "[]", r#"{"pspReference":{}}"#, r#"{"success":[]}"#, r#"{"amount":7}"#] {
            assert_eq!(string_to_sign(item), None, "{item}");
        }
    }

    #[test]
    fn every_item_must_be_signed_by_a_live_key() {
        let (good, other) = (signed(item("CAPTURE", "true")), item("REFUND", "true"));
        let with = |signature: Value| {
            let mut other = other.clone();
            other["additionalData"]["hmacSignature"] = signature;
            other
        };
        let judge =
            |items: &[Value], keys: &[&str]| judged(&notification(items), None, keys, Capture::Manual).map(|_| ());
        assert_eq!(judge(&[good.clone(), signed(other.clone())], &["not hex", "", "00", KEY]), Ok(()));
        for (second, refusal) in [
            (other.clone(), Refusal::SignatureMissing),
            (json!({"eventCode": "REFUND"}), Refusal::SignatureMissing),
            (with(json!("notValidSign")), Refusal::SignatureInvalid),
            (with(json!("")), Refusal::SignatureInvalid),
            (with(json!("====")), Refusal::SignatureInvalid),
            (with(good["additionalData"]["hmacSignature"].clone()), Refusal::SignatureInvalid),
            (with(json!(7)), SHAPE),
        ] {
            assert_eq!(judge(&[good.clone(), second.clone()], &[KEY]), Err(refusal), "{second}");
        }
        for keys in [&["00"][..], &[], &[""], &["not hex"]] {
            assert_eq!(judge(std::slice::from_ref(&good), keys), Err(Refusal::SignatureInvalid), "{keys:?}");
        }
    }

    #[test]
    fn a_notification_holds_one_to_a_hundred_items() {
        let good = signed(item("CAPTURE", "true"));
        let judge = |count| judged(&notification(&vec![good.clone(); count]), None, &[KEY], Capture::Manual).is_ok();
        assert_eq!([0, 1, ITEMS_MAX, ITEMS_MAX + 1].map(judge), [false, true, true, false]);
        for body in [
            "",
            "7",
            "[]",
            r#"{"notificationItems":{}}"#,
            r#"{"notificationItems":[7]}"#,
            r#"{"notificationItems":[{}]}"#,
        ] {
            assert_eq!(judged(body, None, &[KEY], Capture::Manual).err(), Some(SHAPE), "{body}");
        }
    }

    #[test]
    fn other_products_sign_the_raw_body_in_a_header() {
        let body = r#"{"type":"balancePlatform.transfer.created","data":{}}"#;
        let signature = sign(&KEY.into(), body.as_bytes()).unwrap();
        let judge = |body: &str, header| judged(body, header, &[KEY], Capture::Manual).and_then(|signed| read(&signed));
        assert_eq!(shown(judge(body, Some(&signature))), ["silent balancePlatform.transfer.created"]);
        assert_eq!(judge(&body.replace('d', "e"), Some(&signature)), Err(Refusal::SignatureInvalid));
        assert_eq!(judge(body, Some("!")), Err(Refusal::SignatureInvalid));
        assert_eq!(judge(body, None), Err(Refusal::SignatureMissing));
        // A header does not sign the items of a notification.
        let body = notification(&[item("CAPTURE", "true")]);
        let signature = sign(&KEY.into(), body.as_bytes()).unwrap();
        assert_eq!(judge(&body, Some(&signature)), Err(Refusal::SignatureMissing));
    }

    #[test]
    fn each_event_is_what_the_capture_mode_makes_it() {
        use Capture::{Automatic, Manual};
        let moved = |kind: &str| {
            let order = if kind.starts_with("capture") { "A-1" } else { "-" };
            format!("{kind} O1 P1 11.30 EUR {order} 2026-01-19T15:42:03.000Z")
        };
        for (code, success, manual, automatic) in [
            ("AUTHORISATION", "true", "silent", "captured"),
            ("AUTHORISATION", "false", "silent", "capture_failed"),
            ("REFUND", "true", "refunded", "refunded"),
            ("REFUND", "false", "refund_failed", "refund_failed"),
            ("REFUND_FAILED", "true", "refund_failed", "refund_failed"),
            ("REFUNDED_REVERSED", "true", "refund_failed", "refund_failed"),
            ("NOTIFICATION_OF_CHARGEBACK", "true", "dispute_opened", "dispute_opened"),
            ("REQUEST_FOR_INFORMATION", "true", "silent", "silent"),
            ("CHARGEBACK", "true", "dispute_lost", "dispute_lost"),
            ("CHARGEBACK_REVERSED", "true", "dispute_won", "dispute_won"),
            ("PREARBITRATION_WON", "true", "dispute_won", "dispute_won"),
            ("REPORT_AVAILABLE", "true", "silent", "silent"),
            ("CANCELLATION", "false", "silent", "silent"),
            ("OF_TOMORROW", "true", "unknown", "unknown"),
        ] {
            for (capture, wanted) in [(Manual, manual), (Automatic, automatic)] {
                let wanted = match wanted {
                    "silent" | "unknown" => format!("{wanted} {code}"),
                    kind => moved(kind),
                };
                assert_eq!(said(&[item(code, success)], capture), [wanted], "{code} {success} {capture:?}");
            }
        }
        // A capture, and its failure, is a movement of its own, or the payment itself.
        for (code, success, kind) in [
            ("CAPTURE", "true", "captured"),
            ("CAPTURE", "false", "capture_failed"),
            ("CAPTURE_FAILED", "true", "capture_failed"),
        ] {
            assert_eq!(said(&[item(code, success)], Manual), [moved(kind)]);
            assert_eq!(said(&[item(code, success)], Automatic), [moved(kind).replace("P1", "O1")]);
        }
        // Where the authorisation counted as the capture, it is taken back.
        for code in ["CANCELLATION", "TECHNICAL_CANCEL"] {
            assert_eq!(said(&[item(code, "true")], Manual), [format!("silent {code}")]);
            let taken_back = moved("capture_failed").replace("P1", "O1");
            assert_eq!(said(&[item(code, "true")], Automatic), [taken_back]);
        }
        for code in ["SECOND_CHARGEBACK", "PREARBITRATION_LOST"] {
            let wanted = moved("dispute_lost").replace("P1", "P1.second");
            assert_eq!(said(&[item(code, "true")], Manual), [wanted]);
        }
    }

    #[test]
    fn cancel_or_refund_is_what_adyen_did() {
        for (action, success, wanted) in [
            (json!("refund"), "true", "refunded O1 P1 11.30 EUR - 2026-01-19T15:42:03.000Z"),
            (json!("refund"), "false", "unknown CANCEL_OR_REFUND"),
            (json!("cancel"), "true", "silent CANCEL_OR_REFUND"),
            (json!("void"), "true", "unknown CANCEL_OR_REFUND"),
            (Value::Null, "true", "unknown CANCEL_OR_REFUND"),
        ] {
            let mut item = item("CANCEL_OR_REFUND", success);
            item["additionalData"]["modification.action"] = action;
            assert_eq!(said(&[item], Capture::Manual), [wanted]);
        }
    }

    #[test]
    fn an_amount_is_in_adyen_s_own_units() {
        for (value, code, wanted) in [
            (json!(1500), "JPY", "1500 JPY"),
            (json!("1500"), "JPY", "1500 JPY"),
            (json!(500), "CLP", "5 CLP"),
            (json!(500), "ISK", "5 ISK"),
            (json!(5), "CVE", "5.00 CVE"),
            (json!(5), "IDR", "5.00 IDR"),
        ] {
            let mut item = item("CAPTURE", "true");
            item["amount"] = json!({"value": value, "currency": code});
            assert!(said(&[item], Capture::Manual)[0].contains(&format!(" P1 {wanted} ")), "{wanted}");
        }
    }

    #[test]
    fn one_item_that_cannot_be_spoils_the_callback() {
        let with = |field: &str, value: Value| {
            let mut item = item("REFUND", "true");
            item[field] = value;
            said(&[self::item("CAPTURE", "true"), item, self::item("REFUND", "true")], Capture::Manual)
        };
        for (field, value, wanted) in [
            ("amount", json!({"value": 1, "currency": "XAU"}), "422"),
            ("amount", json!({"value": 1, "currency": "eur"}), "422"),
            ("amount", json!({"value": -1, "currency": "EUR"}), "422"),
            ("amount", json!({"value": 501, "currency": "CLP"}), "422"),
            ("amount", json!({"value": 1.5, "currency": "EUR"}), "400"),
            ("amount", Value::Null, "400"),
            ("success", json!("maybe"), "400"),
            ("pspReference", json!(""), "400"),
            ("pspReference", json!("P:1"), "400"),
            ("originalReference", json!("O:1"), "400"),
            ("eventDate", json!("yesterday"), "400"),
        ] {
            assert_eq!(with(field, value.clone()), [wanted], "{field} {value}");
        }
        // Of these the reference is signed and names nothing.
        for code in ["CAPTURE", "CAPTURE_FAILED", "CANCELLATION"] {
            let mut item = item(code, "true");
            item["pspReference"] = json!("P:1");
            assert_eq!(said(&[item], Capture::Automatic), ["400"], "{code}");
        }
        assert_eq!(with("originalReference", Value::Null).len(), 3);
        for order in [json!(""), Value::Null, json!(":slashes are fun")] {
            assert!(with("merchantReference", order)[1].contains(" 11.30 EUR - "));
        }
    }

    #[test]
    fn success_may_be_a_boolean() {
        let mut item = item("REFUND", "");
        item["success"] = false.into();
        assert!(said(&[item], Capture::Manual)[0].starts_with("refund_failed "));
    }
}
