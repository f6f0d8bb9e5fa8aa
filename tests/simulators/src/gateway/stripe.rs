//! Stripe's events. Source: docs.stripe.com/api/events/types, stripe/openapi fixtures.

use domain::{MovementKind, UnixMillis};
use protocols::gateway::stripe::sign;
use serde_json::{Value, json};

use super::{Keys, Sent, Told, headers};

/// docs.stripe.com/currencies.
const OWN_DECIMALS: [(&str, u32); 3] = [("ISK", 2), ("MGA", 0), ("UGX", 2)];

pub(super) fn body(told: &Told<'_>) -> Option<String> {
    let (kind, object) = match told.event.kind {
        MovementKind::Captured => ("payment_intent.succeeded", intent(told, "succeeded")?),
        MovementKind::CaptureFailed => ("payment_intent.payment_failed", intent(told, "requires_payment_method")?),
        MovementKind::Refunded => ("refund.created", refund(told, "succeeded")?),
        MovementKind::RefundFailed => ("refund.failed", refund(told, "failed")?),
        MovementKind::DisputeOpened => ("charge.dispute.created", dispute(told, "needs_response")?),
        MovementKind::DisputeWon => ("charge.dispute.closed", dispute(told, "won")?),
        MovementKind::DisputeLost => ("charge.dispute.closed", dispute(told, "lost")?),
        MovementKind::RefundedInTotal => return None,
    };
    let body = json!({
        "id": format!("evt_{}_{}", told.event.kind.as_str(), told.transaction()),
        "object": "event",
        "api_version": "2025-09-30.clover",
        "created": told.event.occurred_at.seconds(),
        "data": {"object": object},
        "livemode": false,
        "pending_webhooks": 1,
        "request": {"id": "req_simulated", "idempotency_key": "11111111-2222-3333-4444-555555555555"},
        "type": kind
    });
    Some(body.to_string())
}

pub(super) fn signed(keys: &Keys, body: String, now: UnixMillis) -> Option<Sent> {
    let signature = sign(keys.shop.stripe.signing_secrets.first()?, now.seconds(), body.as_bytes());
    let content_type = "application/json; charset=utf-8".to_owned();
    Some((headers([("content-type", content_type), ("stripe-signature", signature)]), body))
}

/// A charge is named unless payment and movement are one: an intent that no charge is known of.
fn intent(told: &Told<'_>, status: &str) -> Option<Value> {
    let (is_paid, amount) = (status == "succeeded", told.units(&OWN_DECIMALS)?);
    let charge = (!is_paid || !told.is_one()).then(|| told.transaction());
    Some(json!({
        "id": told.payment(),
        "object": "payment_intent",
        "amount": amount,
        "amount_capturable": 0,
        "amount_received": if is_paid { amount } else { 0 },
        "capture_method": "automatic",
        "client_secret": "pi_simulated_secret",
        "created": told.event.occurred_at.seconds(),
        "currency": told.code().to_lowercase(),
        "last_payment_error": (!is_paid).then(|| json!({"charge": charge, "code": "card_declined"})),
        "latest_charge": charge,
        "livemode": false,
        "metadata": metadata(told),
        "payment_method_types": ["card"],
        "receipt_email": told.person.get("email"),
        "shipping": told.person,
        "status": status
    }))
}

fn refund(told: &Told<'_>, status: &str) -> Option<Value> {
    Some(json!({
        "id": told.transaction(),
        "object": "refund",
        "amount": told.units(&OWN_DECIMALS)?,
        "balance_transaction": null,
        "charge": "ch_simulated",
        "created": told.event.occurred_at.seconds(),
        "currency": told.code().to_lowercase(),
        "destination_details": {"card": {"type": "refund"}, "type": "card"},
        "instructions_email": told.person.get("email"),
        "metadata": metadata(told),
        "payment_intent": told.payment(),
        "status": status
    }))
}

fn dispute(told: &Told<'_>, status: &str) -> Option<Value> {
    Some(json!({
        "id": told.transaction(),
        "object": "dispute",
        "amount": told.units(&OWN_DECIMALS)?,
        "balance_transactions": [],
        "charge": "ch_simulated",
        "created": told.event.occurred_at.seconds(),
        "currency": told.code().to_lowercase(),
        "evidence": told.person,
        "is_charge_refundable": false,
        "livemode": false,
        "metadata": {},
        "payment_intent": told.payment(),
        "reason": "fraudulent",
        "status": status
    }))
}

fn metadata(told: &Told<'_>) -> Value {
    told.event.order.as_ref().map_or_else(|| json!({}), |order| json!({"order_id": order.as_str()}))
}
