//! Airwallex: `x-signature` is the hex of HMAC-SHA256 over `x-timestamp` and the raw body, with nothing between.
//!
//! The time is in milliseconds and is not bounded: Airwallex states no tolerance and tries again for days, and a
//! callback that is played again is a duplicate. Amounts are JSON numbers in major units. Sources:
//! www.airwallex.com/docs/developer-tools__listen-for-webhook-events and its pages on the events of payments.

use domain::{Gateway, Money, MovementKind, UnixMillis};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::reading::{self, Movement, SHAPE, Silent, part, text};
use super::{Item, Unverified};
use crate::{Refusal, mac};

/// What moves no money. A refund that was accepted may still fail.
const SILENT: Silent = Silent {
    names: &[
        "payment_dispute.challenged",
        "payment_dispute.pending_decision",
        "refund.accepted",
        "refund.created",
        "refund.processing",
        "refund.received",
    ],
    prefixes: &["customer.", "payment_attempt.", "payment_consent.", "payment_intent."],
};

/// What Airwallex's callbacks are checked with.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// `secrets`: every one that is good now.
    pub secrets: Vec<SecretString>,
}

/// A body that a live secret signed.
#[derive(Debug)]
pub(super) struct Signed(Vec<u8>);

pub(super) fn verify(request: &Unverified, credentials: &Credentials) -> Result<Signed, Refusal> {
    let (timestamp, signature) = (request.header("x-timestamp")?, request.header("x-signature")?);
    if !timestamp.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Refusal::TimestampInvalid);
    }
    if !mac::is_hex_sha256_of(signature, &credentials.secrets, &[timestamp.as_bytes(), &request.body]) {
        return Err(Refusal::SignatureInvalid);
    }
    Ok(Signed(request.body.clone()))
}

/// The `x-signature` of a body, as Airwallex makes it. The timestamp is `x-timestamp`, in milliseconds.
pub fn sign(secret: &SecretString, timestamp: &str, body: &[u8]) -> String {
    mac::hex_sha256(secret, &[timestamp.as_bytes(), body])
}

#[derive(Deserialize)]
struct Event<'a> {
    name: String,
    created_at: Option<String>,
    /// How deliveries of old spell it.
    #[serde(rename = "createdAt")]
    created_at_of_old: Option<String>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

/// The fields of a payment intent, a refund or a dispute that money depends on.
#[derive(Deserialize)]
struct Object<'a> {
    id: String,
    currency: String,
    payment_intent_id: Option<String>,
    #[serde(borrow)]
    amount: &'a RawValue,
    #[serde(borrow)]
    captured_amount: Option<&'a RawValue>,
    #[serde(borrow)]
    merchant_order_id: Option<&'a RawValue>,
    #[serde(borrow)]
    latest_payment_attempt: Option<&'a RawValue>,
}

pub(super) fn read(signed: &Signed) -> Result<Vec<Item>, Refusal> {
    let event: Event<'_> = reading::object(&signed.0)?;
    let kind = match event.name.as_str() {
        "payment_intent.succeeded" => MovementKind::Captured,
        "refund.succeeded" | "refund.settled" => MovementKind::Refunded,
        "refund.failed" => MovementKind::RefundFailed,
        // The intent succeeds when its capture is asked for; this takes it back.
        "payment_attempt.capture_failed" => MovementKind::CaptureFailed,
        "payment_dispute.requires_response" | "payment_dispute.created" => MovementKind::DisputeOpened,
        "payment_dispute.won" | "payment_dispute.reversed" => MovementKind::DisputeWon,
        // A bank that insists (`pending_closure`) is given in to by Airwallex itself.
        "payment_dispute.lost"
        | "payment_dispute.accepted"
        | "payment_dispute.expired"
        | "payment_dispute.pending_closure" => MovementKind::DisputeLost,
        name => return Ok(vec![SILENT.item(name)]),
    };
    let object: Object<'_> = reading::object_of(event.data)?;
    let (payment, money) = match kind == MovementKind::Captured {
        true => (Some(&object.id), object.money_captured()?),
        false => (object.payment_intent_id.as_ref(), object.money(object.amount)?),
    };
    let payment = payment.ok_or(SHAPE)?;
    // A capture is named by its intent, and so is its failure.
    let transaction = if kind == MovementKind::CaptureFailed { payment } else { &object.id };
    let order = object.order();
    let occurred_at = time(event.created_at.or(event.created_at_of_old).as_deref().ok_or(SHAPE)?)?;
    Movement { gateway: Gateway::Airwallex, kind, payment, transaction, order, money, occurred_at }.only()
}

impl Object<'_> {
    fn money(&self, amount: &RawValue) -> Result<Money, Refusal> {
        reading::major(amount.get(), &self.currency)
    }

    /// What was asked for is not always what was captured.
    fn money_captured(&self) -> Result<Money, Refusal> {
        let captured = self.captured_amount.map(|captured| self.money(captured)).transpose()?;
        captured.filter(|money| !money.is_zero()).map_or_else(|| self.money(self.amount), Ok)
    }

    fn order(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Attempt<'a> {
            #[serde(borrow)]
            merchant_order_id: Option<&'a RawValue>,
        }
        let attempted = || text(part::<Attempt<'_>>(self.latest_payment_attempt).ok()?.merchant_order_id);
        text(self.merchant_order_id).or_else(attempted)
    }
}

/// `2025-04-19T09:44:36+0000`, whose offset RFC 3339 would write with a colon, or RFC 3339.
fn time(written: &str) -> Result<UnixMillis, Refusal> {
    let halves = written.len().checked_sub(2).and_then(|minutes| written.split_at_checked(minutes));
    let with_colon = halves.and_then(|(head, minutes)| reading::time(&format!("{head}:{minutes}")).ok());
    with_colon.map_or_else(|| reading::time(written), Ok)
}

#[cfg(test)]
mod tests {
    use super::reading::shown;
    use super::*;

    const BODY: &[u8] = b"{}";

    fn judged(timestamp: Option<&str>, signature: Option<&str>, secrets: &[&str]) -> Result<(), Refusal> {
        let header = |name: &str, value: Option<&str>| value.map(|value| (name.to_owned(), value.to_owned()));
        let headers = [header("x-timestamp", timestamp), header("x-signature", signature)].into_iter().flatten();
        let request = Unverified { headers: headers.collect(), body: BODY.to_vec() };
        let secrets = secrets.iter().map(|secret| SecretString::from(*secret)).collect();
        verify(&request, &Credentials { secrets }).map(|_| ())
    }

    #[test]
    fn any_live_secret_will_do_and_an_empty_one_never() {
        let good = sign(&"new".into(), "1790784000000", BODY);
        assert_eq!(judged(Some("1790784000000"), Some(&good), &["old", "new"]), Ok(()));
        assert_eq!(judged(Some("1790784000001"), Some(&good), &["new"]), Err(Refusal::SignatureInvalid));
        assert_eq!(judged(Some("1790784000000"), Some(&good), &["old"]), Err(Refusal::SignatureInvalid));
        assert_eq!(judged(Some("1"), Some(&sign(&"".into(), "1", BODY)), &["", "new"]), Err(Refusal::SignatureMissing));
        assert_eq!(judged(Some("1"), Some(&"0".repeat(64)), &["", "new"]), Err(Refusal::SignatureInvalid));
    }

    #[test]
    fn a_header_that_is_none_is_refused() {
        use Refusal::{SignatureInvalid, SignatureMissing, TimestampInvalid};
        for (timestamp, signature, refusal) in [
            (None, Some("00"), SignatureMissing),
            (Some(""), Some("00"), SignatureMissing),
            (Some("1"), None, SignatureMissing),
            (Some("1"), Some(""), SignatureMissing),
            (Some("1"), Some("zz"), SignatureInvalid),
            (Some("1"), Some("0"), SignatureInvalid),
            (Some("1"), Some("\u{e9}"), SignatureInvalid),
            (Some("-1"), Some("00"), TimestampInvalid),
            (Some("1.5"), Some("00"), TimestampInvalid),
            (Some("now"), Some("00"), TimestampInvalid),
        ] {
            assert_eq!(judged(timestamp, signature, &["s"]), Err(refusal), "{timestamp:?} {signature:?}");
        }
    }

    const AT: &str = "2025-04-19T09:44:36.000Z";

    fn said(name: &str, object: &str) -> String {
        let body = format!(
            r#"{{"id":"e","name":"{name}","created_at":"2025-04-19T09:44:36+0000","data":{{"object":{object}}}}}"#
        );
        shown(read(&Signed(body.into_bytes()))).join(", ")
    }

    #[test]
    fn a_payment_intent_is_captured_by_what_was_captured() {
        for (rest, wanted) in [
            (r#""amount":67.05,"captured_amount":67.05,"merchant_order_id":"A-1""#, "67.05 USD A-1"),
            (r#""amount":67.05,"captured_amount":60,"merchant_order_id":"""#, "60.00 USD -"),
            (r#""amount":67.05,"captured_amount":0"#, "67.05 USD -"),
            (r#""amount":67.05,"captured_amount":null,"merchant_order_id":7"#, "67.05 USD -"),
            (r#""amount":10.10,"latest_payment_attempt":{"merchant_order_id":"A-1"}"#, "10.10 USD A-1"),
            (r#""amount":1,"latest_payment_attempt":[],"merchant_order_id":"a b""#, "1.00 USD -"),
        ] {
            let object = format!(r#"{{"id":"int_1","currency":"USD",{rest}}}"#);
            assert_eq!(
                said("payment_intent.succeeded", &object),
                format!("captured int_1 int_1 {wanted} {AT}"),
                "{rest}"
            );
        }
    }

    #[test]
    fn refunds_and_disputes_are_of_a_payment_intent() {
        let object = r#"{"id":"x_1","payment_intent_id":"int_1","amount":1.5,"currency":"USD"}"#;
        for (name, wanted) in [
            ("refund.succeeded", "refunded"),
            ("refund.settled", "refunded"),
            ("refund.failed", "refund_failed"),
            ("payment_dispute.requires_response", "dispute_opened"),
            ("payment_dispute.created", "dispute_opened"),
            ("payment_dispute.won", "dispute_won"),
            ("payment_dispute.reversed", "dispute_won"),
            ("payment_dispute.lost", "dispute_lost"),
            ("payment_dispute.accepted", "dispute_lost"),
            ("payment_dispute.expired", "dispute_lost"),
            ("payment_dispute.pending_closure", "dispute_lost"),
        ] {
            assert_eq!(said(name, object), format!("{wanted} int_1 x_1 1.50 USD - {AT}"));
            assert_eq!(said(name, r#"{"id":"x_1","amount":1.5,"currency":"USD"}"#), "400", "{name}");
        }
    }

    #[test]
    fn a_capture_that_failed_is_named_by_its_intent() {
        let body = r#"{"name":"payment_attempt.capture_failed","created_at":"2025-04-19T09:44:36+0000","data":{"object":
            {"id":"att_1","payment_intent_id":"int_1","amount":10,"currency":"USD","merchant_order_id":"A-1"}}}"#;
        let items = read(&Signed(body.into())).unwrap();
        let [Item::Movement(payment)] = items.as_slice() else { panic!("{items:?}") };
        let event = payment.event();
        assert_eq!((event.kind, event.payment.payment_id.as_str()), (MovementKind::CaptureFailed, "int_1"));
        assert_eq!(event.transaction_id.as_str(), "int_1");
    }

    #[test]
    fn what_moves_no_money_is_silent_and_what_nobody_knows_is_unknown() {
        let prefixed = ["payment_intent.requires_capture", "payment_attempt.paid", "payment_consent.created"];
        for name in SILENT.names.iter().chain(&prefixed) {
            assert_eq!(said(name, "7"), format!("silent {name}"));
        }
        for name in ["payment_dispute.of_tomorrow", "refund.of_tomorrow", "payout.transfer.paid"] {
            assert_eq!(said(name, "null"), format!("unknown {name}"));
        }
    }

    #[test]
    fn an_amount_is_a_plain_decimal_number() {
        let captured = |amount: &str, code: &str| {
            said("payment_intent.succeeded", &format!(r#"{{"id":"i","amount":{amount},"currency":"{code}"}}"#))
        };
        assert_eq!(captured("0.1", "EUR"), format!("captured i i 0.10 EUR - {AT}"));
        assert_eq!(captured("1500.0", "JPY"), format!("captured i i 1500 JPY - {AT}"));
        for (amount, code) in [("0.001", "EUR"), ("-1", "EUR"), ("0.5", "JPY"), ("1", "eur"), ("1", "XAU")] {
            assert_eq!(captured(amount, code), "422", "{amount} {code}");
        }
        for amount in ["1e2", "1E+2", "\"1\"", "null", "true"] {
            assert_eq!(captured(amount, "EUR"), "400", "{amount}");
        }
    }

    #[test]
    fn times_are_read_with_and_without_the_colon() {
        for written in ["2025-04-19T17:44:36+0800", "2025-04-19T09:44:36Z", "2025-04-19T09:44:36.000+00:00"] {
            assert_eq!(time(written).unwrap().to_rfc3339(), AT, "{written}");
        }
        for written in ["", "+", "2025-04-19", "2025-04-19T09:44:36", "2025-04-19T09:44:36+00\u{e9}", "1745055876"] {
            assert!(time(written).is_err(), "{written}");
        }
        let of_old = br#"{"name":"refund.settled","createdAt":"2025-04-19T09:44:36+0000",
            "data":{"object":{"id":"r","payment_intent_id":"i","amount":1,"currency":"EUR"}}}"#;
        assert_eq!(shown(read(&Signed(of_old.to_vec()))), [format!("refunded i r 1.00 EUR - {AT}")]);
    }
}
