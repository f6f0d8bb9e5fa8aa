//! Stripe: `Stripe-Signature: t=<seconds>,v1=<hex>[,v1=…][,v0=…]`, HMAC-SHA256 over `t.body`.
//!
//! The key is the signing secret as it is written, `whsec_` with it. Other schemes than v1 are not looked at. Money is
//! told by three families of events: the payment intent, the refund, the dispute. Sources:
//! docs.stripe.com/webhooks, docs.stripe.com/api/events/types, docs.stripe.com/currencies; stripe/stripe-python,
//! stripe/stripe-go.

use domain::{Gateway, Money, MovementKind, UnixMillis};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::reading::{self, Movement, SHAPE, Silent, part, silent, text, unknown};
use super::{Item, Unverified};
use crate::{Refusal, mac};

/// How old a callback may be, in seconds: five minutes, as in Stripe's libraries. They bound the past alone: a time
/// ahead of ours is Stripe's clock against ours, and it was signed.
pub const TOLERANCE_SECONDS: i64 = 300;

/// Signatures that one header may carry: a rotation needs two, and work for a stranger is bounded.
pub const SIGNATURES_MAX: usize = 8;

/// Currencies that Stripe counts in other units than those of ISO 4217, with their decimals there. Source:
/// docs.stripe.com/currencies, zero-decimal currencies and special cases.
const OWN_DECIMALS: [(&str, u32); 3] = [("ISK", 2), ("MGA", 0), ("UGX", 2)];

/// What moves no money, or whose money another event tells of: `charge.refunded` gives the sum of all refunds so far,
/// and `refund.created` each of them.
const SILENT: Silent = Silent {
    names: &[
        "balance.available",
        "charge.captured",
        "charge.dispute.funds_reinstated",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.updated",
        "charge.failed",
        "charge.refunded",
        "charge.succeeded",
        "charge.updated",
        "payment_intent.amount_capturable_updated",
        "payment_intent.canceled",
        "payment_intent.created",
        "payment_intent.processing",
        "payment_intent.requires_action",
    ],
    prefixes: &["checkout.session.", "customer.", "payout."],
};

/// What Stripe's callbacks are checked with.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// `signing_secrets`: `whsec_…`, every one that is good now.
    pub signing_secrets: Vec<SecretString>,
}

/// A body that a live secret signed.
#[derive(Debug)]
pub(super) struct Signed(Vec<u8>);

pub(super) fn verify(request: &Unverified, credentials: &Credentials, now: UnixMillis) -> Result<Signed, Refusal> {
    let (timestamp, signatures) = parts(request.header("stripe-signature")?)?;
    let seconds: i64 = timestamp.parse().map_err(|_| Refusal::TimestampInvalid)?;
    if now.seconds().checked_sub(seconds).is_none_or(|age| age > TOLERANCE_SECONDS) {
        return Err(Refusal::TimestampInvalid);
    }
    let signed = [timestamp.as_bytes(), b".", &request.body];
    let is_signed =
        signatures.iter().any(|claimed| mac::is_hex_sha256_of(claimed, &credentials.signing_secrets, &signed));
    if is_signed { Ok(Signed(request.body.clone())) } else { Err(Refusal::SignatureInvalid) }
}

/// The time and the v1 signatures of a header.
fn parts(header: &str) -> Result<(&str, Vec<&str>), Refusal> {
    let (mut timestamp, mut signatures) = (None, Vec::new());
    for entry in header.split(',') {
        match entry.split_once('=').ok_or(Refusal::SignatureInvalid)? {
            ("t", _) if timestamp.is_some() => return Err(Refusal::SignatureInvalid),
            ("t", value) => timestamp = Some(value),
            ("v1", _) if signatures.len() == SIGNATURES_MAX => return Err(Refusal::SignatureInvalid),
            ("v1", value) => signatures.push(value),
            _ => {}
        }
    }
    let timestamp = timestamp.ok_or(Refusal::SignatureMissing)?;
    if signatures.is_empty() { Err(Refusal::SignatureMissing) } else { Ok((timestamp, signatures)) }
}

/// The header of a body, as Stripe makes it.
pub fn sign(secret: &SecretString, seconds: i64, body: &[u8]) -> String {
    let timestamp = seconds.to_string();
    let signature = mac::hex_sha256(secret, &[timestamp.as_bytes(), b".", body]);
    format!("t={timestamp},v1={signature}")
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "type")]
    kind: String,
    created: i64,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

/// The fields of a payment intent, a refund or a dispute that money depends on.
#[derive(Deserialize)]
struct Object<'a> {
    id: String,
    currency: String,
    status: Option<String>,
    #[serde(borrow)]
    amount: &'a RawValue,
    #[serde(borrow)]
    amount_received: Option<&'a RawValue>,
    #[serde(borrow)]
    latest_charge: Option<&'a RawValue>,
    #[serde(borrow)]
    last_payment_error: Option<&'a RawValue>,
    #[serde(borrow)]
    payment_intent: Option<&'a RawValue>,
    #[serde(borrow)]
    charge: Option<&'a RawValue>,
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
}

pub(super) fn read(signed: &Signed) -> Result<Vec<Item>, Refusal> {
    let event: Event<'_> = reading::object(&signed.0)?;
    let item = match event.kind.as_str() {
        "payment_intent.succeeded" => succeeded(&event),
        "payment_intent.payment_failed" => payment_failed(&event),
        "refund.created" | "refund.updated" | "refund.failed" | "charge.refund.updated" => refund(&event),
        "charge.dispute.created" => dispute(&event, MovementKind::DisputeOpened),
        "charge.dispute.closed" => dispute_closed(&event),
        kind => Ok(SILENT.item(kind)),
    };
    item.map(|item| vec![item])
}

impl<'a> Event<'a> {
    fn object(&self) -> Result<Object<'a>, Refusal> {
        reading::object_of(self.data)
    }
}

impl Object<'_> {
    fn money(&self, amount: &RawValue) -> Result<Money, Refusal> {
        reading::units(amount.get(), &self.currency.to_ascii_uppercase(), &OWN_DECIMALS)
    }

    /// What was asked for is not always what was received: the customer may have paid a part.
    fn money_received(&self) -> Result<Money, Refusal> {
        let received = self.amount_received.map(|received| self.money(received)).transpose()?;
        received.filter(|money| !money.is_zero()).map_or_else(|| self.money(self.amount), Ok)
    }

    fn order(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Metadata<'a> {
            #[serde(borrow)]
            order_id: Option<&'a RawValue>,
        }
        part::<Metadata<'_>>(self.metadata).ok().and_then(|metadata| text(metadata.order_id))
    }

    /// What a refund or a dispute is of: charges of old have no payment intent.
    fn paid_by(&self) -> Result<String, Refusal> {
        let payment = id_of(self.payment_intent)?.map_or_else(|| id_of(self.charge), |id| Ok(Some(id)))?;
        payment.ok_or(SHAPE)
    }

    fn movement(
        &self,
        event: &Event<'_>,
        kind: MovementKind,
        (payment, transaction): (&str, &str),
        money: Money,
    ) -> Result<Item, Refusal> {
        let occurred_at =
            UnixMillis::from_seconds(event.created).map_err(|_| Refusal::Malformed("created is not a time"))?;
        let order = self.order();
        Movement { gateway: Gateway::Stripe, kind, payment, transaction, order, money, occurred_at }.item()
    }
}

/// The id of a thing that stands as its id, or whole where the account asks for that.
fn id_of(raw: Option<&RawValue>) -> Result<Option<String>, Refusal> {
    #[derive(Deserialize)]
    struct Whole {
        id: String,
    }
    let Some(raw) = raw else { return Ok(None) };
    let id = if raw.get().starts_with('{') { part::<Whole>(Some(raw))?.id } else { text(Some(raw)).ok_or(SHAPE)? };
    Ok(Some(id))
}

fn succeeded(event: &Event<'_>) -> Result<Item, Refusal> {
    let intent = event.object()?;
    let charge = id_of(intent.latest_charge)?;
    let transaction = charge.as_deref().unwrap_or(&intent.id);
    intent.movement(event, MovementKind::Captured, (&intent.id, transaction), intent.money_received()?)
}

/// Nothing was tried at a bank when no charge is named, so that nothing can have come to nothing.
fn payment_failed(event: &Event<'_>) -> Result<Item, Refusal> {
    #[derive(Deserialize)]
    struct PaymentError<'a> {
        #[serde(borrow)]
        charge: Option<&'a RawValue>,
    }
    let intent = event.object()?;
    let error = intent.last_payment_error.map(|raw| part::<PaymentError<'_>>(Some(raw))).transpose()?;
    let charge = id_of(error.and_then(|error| error.charge))?;
    match charge.map_or_else(|| id_of(intent.latest_charge), |charge| Ok(Some(charge)))? {
        None => Ok(silent(&event.kind)),
        Some(charge) => {
            let money = intent.money(intent.amount)?;
            intent.movement(event, MovementKind::CaptureFailed, (&intent.id, &charge), money)
        }
    }
}

fn refund(event: &Event<'_>) -> Result<Item, Refusal> {
    let refund = event.object()?;
    let kind = match refund.status.as_deref() {
        Some("succeeded") => MovementKind::Refunded,
        Some("failed" | "canceled") => MovementKind::RefundFailed,
        Some("pending" | "requires_action") => return Ok(silent(&event.kind)),
        _ => return Ok(unknown(&event.kind)),
    };
    refund.movement(event, kind, (&refund.paid_by()?, &refund.id), refund.money(refund.amount)?)
}

fn dispute_closed(event: &Event<'_>) -> Result<Item, Refusal> {
    match event.object()?.status.as_deref() {
        Some("won" | "warning_closed") => dispute(event, MovementKind::DisputeWon),
        // Of one that was prevented, the network gave the money back before it came to a decision.
        Some("lost" | "prevented") => dispute(event, MovementKind::DisputeLost),
        _ => Ok(unknown(&event.kind)),
    }
}

fn dispute(event: &Event<'_>, kind: MovementKind) -> Result<Item, Refusal> {
    let dispute = event.object()?;
    dispute.movement(event, kind, (&dispute.paid_by()?, &dispute.id), dispute.money(dispute.amount)?)
}

#[cfg(test)]
mod tests {
    use super::reading::shown;
    use super::*;

    const NOW: i64 = 1_700_000_000;
    const BODY: &[u8] = b"{}";

    fn judged(header: Option<&str>, secrets: &[&str], now: i64) -> Result<(), Refusal> {
        let headers = header.map(|header| ("stripe-signature".to_owned(), header.to_owned())).into_iter().collect();
        let request = Unverified { headers, body: BODY.to_vec() };
        let signing_secrets = secrets.iter().map(|secret| SecretString::from(*secret)).collect();
        verify(&request, &Credentials { signing_secrets }, UnixMillis::from_seconds(now).unwrap()).map(|_| ())
    }

    fn header(secret: &str) -> String {
        sign(&secret.into(), NOW, BODY)
    }

    #[test]
    fn any_live_secret_and_any_v1_will_do() {
        let good = header("whsec_new");
        let v1 = good.split_once(',').unwrap().1;
        for header in [
            good.clone(),
            good.to_uppercase().replace("T=", "t=").replace("V1=", "v1="),
            format!("t={NOW},v1=00,v1=nonsense,{v1},v0=deadbeef"),
            format!("v0=,{v1},t={NOW},v9=x"),
        ] {
            assert_eq!(judged(Some(&header), &["whsec_old", "whsec_new"], NOW), Ok(()), "{header}");
        }
        assert_eq!(judged(Some(&good), &["whsec_old"], NOW), Err(Refusal::SignatureInvalid));
        assert_eq!(judged(Some(&header("")), &["", "whsec_new"], NOW), Err(Refusal::SignatureInvalid));
        assert_eq!(judged(Some(&header("new")), &["whsec_new"], NOW), Err(Refusal::SignatureInvalid));
    }

    #[test]
    fn only_the_past_is_bounded_and_five_minutes_of_it_are_good() {
        for (now, judgement) in [
            (NOW + 300, Ok(())),
            (NOW + 301, Err(Refusal::TimestampInvalid)),
            (0, Ok(())),
            (NOW - 86_400 * 365, Ok(())),
        ] {
            assert_eq!(judged(Some(&header("s")), &["s"], now), judgement, "{now}");
        }
    }

    #[test]
    fn a_header_that_is_none_is_refused() {
        use Refusal::{SignatureInvalid, SignatureMissing, TimestampInvalid};
        let v1 = header("s").split_once(',').unwrap().1.to_owned();
        let many = format!("t={NOW}{}", format!(",{v1}").repeat(SIGNATURES_MAX));
        assert_eq!(judged(Some(&many), &["s"], NOW), Ok(()));
        for (header, refusal) in [
            (None, SignatureMissing),
            (Some(String::new()), SignatureMissing),
            (Some("bad_header".to_owned()), SignatureInvalid),
            (Some("v1,t=1".to_owned()), SignatureInvalid),
            (Some(format!("t={NOW}")), SignatureMissing),
            (Some(v1.clone()), SignatureMissing),
            (Some(format!("t=,{v1}")), TimestampInvalid),
            (Some(format!("t=x,{v1}")), TimestampInvalid),
            (Some(format!("t=-9223372036854775808,{v1}")), TimestampInvalid),
            (Some(format!("t={NOW},v1=zz")), SignatureInvalid),
            (Some(format!("t={NOW},v1=")), SignatureInvalid),
            (Some(format!("t={NOW},{}", v1.replace("v1", "v0"))), SignatureMissing),
            (Some(format!("t={NOW},{v1},t={NOW}")), SignatureInvalid),
            (Some(format!("t={NOW}, {v1}")), SignatureMissing),
            (Some(format!("{many},{v1}")), SignatureInvalid),
        ] {
            assert_eq!(judged(header.as_deref(), &["s"], NOW), Err(refusal), "{header:?}");
        }
    }

    fn said(kind: &str, object: &str) -> String {
        let body = format!(r#"{{"id":"evt_1","type":"{kind}","created":1790784000,"data":{{"object":{object}}}}}"#);
        shown(read(&Signed(body.into_bytes()))).join(", ")
    }

    fn intent(rest: &str) -> String {
        format!(r#"{{"id":"pi_1","amount":1099,"currency":"usd",{rest}}}"#)
    }

    const AT: &str = "2026-09-30T16:00:00.000Z";

    #[test]
    fn a_payment_intent_is_captured_by_its_latest_charge() {
        for (rest, wanted) in [
            (
                r#""amount_received":1099,"latest_charge":"ch_1","metadata":{"order_id":"A-1"}"#,
                "pi_1 ch_1 10.99 USD A-1",
            ),
            (r#""amount_received":500,"latest_charge":{"id":"ch_1","object":"charge"}"#, "pi_1 ch_1 5.00 USD -"),
            (r#""amount_received":0,"latest_charge":null,"metadata":null"#, "pi_1 pi_1 10.99 USD -"),
            (r#""metadata":{"order_id":""}"#, "pi_1 pi_1 10.99 USD -"),
            (r#""metadata":{"order_id":7}"#, "pi_1 pi_1 10.99 USD -"),
            (r#""metadata":{"order_id":"a b"}"#, "pi_1 pi_1 10.99 USD -"),
            (r#""metadata":["order_id"]"#, "pi_1 pi_1 10.99 USD -"),
        ] {
            assert_eq!(said("payment_intent.succeeded", &intent(rest)), format!("captured {wanted} {AT}"), "{rest}");
        }
    }

    #[test]
    fn a_payment_that_failed_is_told_when_a_charge_is_named() {
        let kind = "payment_intent.payment_failed";
        for (rest, wanted) in [
            (
                r#""last_payment_error":{"charge":"ch_2"},"latest_charge":"ch_1""#,
                "capture_failed pi_1 ch_2 10.99 USD -",
            ),
            (r#""last_payment_error":{"code":"x"},"latest_charge":"ch_1""#, "capture_failed pi_1 ch_1 10.99 USD -"),
            (r#""last_payment_error":null,"latest_charge":"ch_1""#, "capture_failed pi_1 ch_1 10.99 USD -"),
        ] {
            assert_eq!(said(kind, &intent(rest)), format!("{wanted} {AT}"), "{rest}");
        }
        assert_eq!(said(kind, &intent(r#""last_payment_error":{"code":"x"}"#)), format!("silent {kind}"));
    }

    #[test]
    fn a_refund_is_what_its_status_says() {
        let refund = |status: &str, of: &str| {
            format!(r#"{{"id":"re_1","amount":100,"currency":"usd","status":"{status}",{of},"metadata":{{}}}}"#)
        };
        let by_intent = r#""payment_intent":"pi_1","charge":"ch_1""#;
        for kind in ["refund.created", "refund.updated", "refund.failed", "charge.refund.updated"] {
            for (status, wanted) in [
                ("succeeded", format!("refunded pi_1 re_1 1.00 USD - {AT}")),
                ("failed", format!("refund_failed pi_1 re_1 1.00 USD - {AT}")),
                ("canceled", format!("refund_failed pi_1 re_1 1.00 USD - {AT}")),
                ("pending", format!("silent {kind}")),
                ("requires_action", format!("silent {kind}")),
                ("of tomorrow", format!("unknown {kind}")),
            ] {
                assert_eq!(said(kind, &refund(status, by_intent)), wanted, "{kind} {status}");
            }
        }
        let of_old = refund("succeeded", r#""payment_intent":null,"charge":"ch_1""#);
        assert_eq!(said("refund.created", &of_old), format!("refunded ch_1 re_1 1.00 USD - {AT}"));
        assert_eq!(said("refund.created", &refund("succeeded", r#""charge":null"#)), "400");
    }

    #[test]
    fn a_dispute_has_one_name_from_its_opening_to_its_end() {
        let dispute = |status: &str| {
            format!(
                r#"{{"id":"dp_1","amount":1000,"currency":"usd","status":"{status}","payment_intent":{{"id":"pi_1"}},
                    "charge":"ch_1","metadata":{{"order_id":"A-1"}}}}"#
            )
        };
        for (kind, status, wanted) in [
            ("charge.dispute.created", "needs_response", "dispute_opened"),
            ("charge.dispute.created", "warning_needs_response", "dispute_opened"),
            ("charge.dispute.closed", "won", "dispute_won"),
            ("charge.dispute.closed", "warning_closed", "dispute_won"),
            ("charge.dispute.closed", "lost", "dispute_lost"),
            ("charge.dispute.closed", "prevented", "dispute_lost"),
        ] {
            assert_eq!(said(kind, &dispute(status)), format!("{wanted} pi_1 dp_1 10.00 USD - {AT}"), "{kind} {status}");
        }
        assert_eq!(said("charge.dispute.closed", &dispute("of tomorrow")), "unknown charge.dispute.closed");
    }

    #[test]
    fn what_moves_no_money_is_silent_and_what_nobody_knows_is_unknown() {
        for kind in SILENT.names.iter().chain(&["checkout.session.completed", "customer.created", "payout.paid"]) {
            assert_eq!(said(kind, "7"), format!("silent {kind}"));
        }
        for kind in ["terminal.reader.action_succeeded", "payout", "charge.refund", "payment_intent.of_tomorrow"] {
            assert_eq!(said(kind, "null"), format!("unknown {kind}"));
        }
        assert_eq!(said("<script>", "{}"), "unknown unnamed");
    }

    #[test]
    fn an_amount_is_in_stripe_s_own_units() {
        let captured = |amount: &str, code: &str| {
            let object = format!(r#"{{"id":"pi_1","amount":{amount},"currency":"{code}"}}"#);
            said("payment_intent.succeeded", &object)
        };
        for (amount, code, wanted) in [
            ("1500", "jpy", "1500 JPY"),
            ("500", "isk", "5 ISK"),
            ("500", "ugx", "5 UGX"),
            ("5", "mga", "5.00 MGA"),
            ("5120", "kwd", "5.120 KWD"),
        ] {
            assert_eq!(captured(amount, code), format!("captured pi_1 pi_1 {wanted} - {AT}"));
        }
        for (amount, code) in
            [("501", "isk"), ("-1", "usd"), ("1", "xau"), ("1", "dollar"), ("9999999999999999999999", "usd")]
        {
            assert_eq!(captured(amount, code), "422", "{amount} {code}");
        }
        for amount in ["1.5", "1e3", "\"100\"", "null", "true", "[1]", "{}"] {
            assert_eq!(captured(amount, "usd"), "400", "{amount}");
        }
    }

    #[test]
    fn a_signed_body_that_is_no_event_is_malformed() {
        let paid = |created: &str, object: &str| {
            format!(r#"{{"type":"payment_intent.succeeded","created":{created},"data":{{"object":{object}}}}}"#)
        };
        let good = r#"{"id":"p","amount":1,"currency":"eur"}"#;
        assert_eq!(shown(read(&Signed(paid("1", good).into())))[0].split(' ').next(), Some("captured"));
        for body in
            ["", "7", "[]", "{}", r#"{"type":7,"created":1}"#, r#"{"type":"refund.created","created":1,"data":{}}"#]
        {
            assert_eq!(shown(read(&Signed(body.into()))), ["400"], "{body}");
        }
        for created in ["-1", "1.5", "1e3", "\"1\"", "null", "99999999999999999999"] {
            assert_eq!(shown(read(&Signed(paid(created, good).into()))), ["400"], "{created}");
        }
        for object in [
            "[]",
            &good.replace(r#""p""#, r#""a b""#),
            &good.replace(r#""p""#, r#""""#),
            &good.replace(r#""p""#, "7"),
            &good.replace(r#""p""#, r#""p","id":"p""#),
            &good.replace(r#""p""#, r#""p","latest_charge":7"#),
            &good.replace(r#""p""#, r#""p","latest_charge":{}"#),
        ] {
            assert_eq!(shown(read(&Signed(paid("1", object).into()))), ["400"], "{object}");
        }
    }
}
