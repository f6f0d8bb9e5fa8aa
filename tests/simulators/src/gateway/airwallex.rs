//! Airwallex's events. Source: www.airwallex.com/docs, "Listen for webhook events" and the pages of the objects.

use domain::{MovementKind, UnixMillis};
use protocols::gateway::airwallex::sign;
use serde_json::{Value, json};

use super::{Keys, Sent, Told, headers, local};

pub(super) fn body(told: &Told<'_>) -> Option<String> {
    let (name, object) = match told.event.kind {
        MovementKind::Captured => ("payment_intent.succeeded", intent(told)?),
        MovementKind::Refunded => ("refund.succeeded", part(told, "SUCCEEDED")),
        MovementKind::RefundFailed => ("refund.failed", part(told, "FAILED")),
        MovementKind::DisputeOpened => ("payment_dispute.requires_response", part(told, "REQUIRES_RESPONSE")),
        MovementKind::DisputeWon => ("payment_dispute.won", part(told, "WON")),
        MovementKind::DisputeLost => ("payment_dispute.lost", part(told, "LOST")),
        MovementKind::CaptureFailed | MovementKind::RefundedInTotal => return None,
    };
    Some(format!(
        r#"{{"id":"evt-{}-{}","name":"{name}","account_id":"acct_simulated","data":{{"object":{object}}},
            "created_at":"{}+0000","version":"2025-02-14"}}"#,
        told.event.kind.as_str(),
        told.transaction(),
        local(told.event.occurred_at, 0)
    ))
}

pub(super) fn signed(keys: &Keys, body: String, now: UnixMillis) -> Option<Sent> {
    let timestamp = now.get().to_string();
    let signature = sign(keys.shop.airwallex.secrets.first()?, &timestamp, body.as_bytes());
    let content_type = ("content-type", "application/json".to_owned());
    Some((headers([content_type, ("x-signature", signature), ("x-timestamp", timestamp)]), body))
}

/// The object's text with amounts, which are numbers in major units and are written as they are meant.
fn with_amounts(object: &Value, amounts: &[&str], told: &Told<'_>) -> String {
    let amounts: String = amounts.iter().map(|name| format!(r#""{name}":{},"#, told.major())).collect();
    object.to_string().replacen('{', &format!("{{{amounts}"), 1)
}

fn intent(told: &Told<'_>) -> Option<String> {
    let object = json!({
        "id": told.is_one().then(|| told.payment())?,
        "currency": told.code(),
        "created_at": format!("{}+0000", local(told.event.occurred_at, 0)),
        "customer": told.person,
        "latest_payment_attempt": {"id": "att_simulated", "captured_amount": 0, "status": "AUTHORIZED"},
        "merchant_order_id": told.order(),
        "request_id": "38aef22a-0000-0000-0000-714bcafd03ec",
        "status": "SUCCEEDED"
    });
    Some(with_amounts(&object, &["amount", "captured_amount", "original_amount"], told))
}

fn part(told: &Told<'_>, status: &str) -> String {
    let object = json!({
        "id": told.transaction(),
        "currency": told.code(),
        "customer": told.person,
        "merchant_order_id": told.order(),
        "payment_attempt_id": "att_simulated",
        "payment_intent_id": told.payment(),
        "reason": "simulated",
        "status": status
    });
    with_amounts(&object, &["amount"], told)
}
