//! Stripe: `Stripe-Signature: t=<seconds>,v1=<hex>[,v1=…][,v0=…]`, HMAC-SHA256 over `t.body`.
//!
//! The key is the signing secret as it is written, `whsec_` with it. Other schemes than v1 are not looked at. Money is
//! told by three families of events: the payment intent, the refund, the dispute. Sources:
//! docs.stripe.com/webhooks, docs.stripe.com/api/events/types, docs.stripe.com/currencies; stripe/stripe-python, stripe/stripe-go.

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

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    object: Option<&'a RawValue>,
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
        part(part::<Data<'a>>(self.data)?.object)
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
        Some("lost") => dispute(event, MovementKind::DisputeLost),
        _ => Ok(unknown(&event.kind)),
    }
}

/// A dispute is of a payment; its metadata are the bank's affair and name no order of ours.
fn dispute(event: &Event<'_>, kind: MovementKind) -> Result<Item, Refusal> {
    let dispute = Object { metadata: None, ..event.object()? };
    dispute.movement(event, kind, (&dispute.paid_by()?, &dispute.id), dispute.money(dispute.amount)?)
}
