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
    names: &["payment_dispute.challenged", "refund.accepted", "refund.created", "refund.processing", "refund.received"],
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
        "payment_dispute.requires_response" | "payment_dispute.created" => MovementKind::DisputeOpened,
        "payment_dispute.won" | "payment_dispute.reversed" => MovementKind::DisputeWon,
        "payment_dispute.lost" | "payment_dispute.accepted" | "payment_dispute.expired" => MovementKind::DisputeLost,
        name => return Ok(vec![SILENT.item(name)]),
    };
    let object: Object<'_> = part(part::<Data<'_>>(event.data)?.object)?;
    let (payment, money) = match kind == MovementKind::Captured {
        true => (Some(&object.id), object.money_captured()?),
        false => (object.payment_intent_id.as_ref(), object.money(object.amount)?),
    };
    let (payment, transaction, order) = (payment.ok_or(SHAPE)?, &object.id, object.order());
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
