//! PayPal's events, version 2. Source: developer.paypal.com, "Webhook event names" and the pages of the resources.

use domain::{MovementKind, UnixMillis};
use protocols::gateway::paypal::message;
use serde_json::{Value, json};

use super::{Keys, Sent, Told, headers, local};

pub(super) fn body(told: &Told<'_>) -> Option<String> {
    let (kind, resource) = match told.event.kind {
        MovementKind::Captured => ("PAYMENT.CAPTURE.COMPLETED", capture(told, "COMPLETED")?),
        MovementKind::CaptureFailed => ("PAYMENT.CAPTURE.DENIED", capture(told, "DECLINED")?),
        MovementKind::Refunded => ("PAYMENT.CAPTURE.REFUNDED", refund(told, "COMPLETED")),
        MovementKind::RefundFailed => ("PAYMENT.REFUND.FAILED", refund(told, "FAILED")),
        MovementKind::DisputeOpened => ("CUSTOMER.DISPUTE.CREATED", dispute(told, None)),
        MovementKind::DisputeWon => ("CUSTOMER.DISPUTE.RESOLVED", dispute(told, Some("RESOLVED_SELLER_FAVOUR"))),
        MovementKind::DisputeLost => ("CUSTOMER.DISPUTE.RESOLVED", dispute(told, Some("RESOLVED_BUYER_FAVOUR"))),
        MovementKind::RefundedInTotal => return None,
    };
    let id = format!("WH-{}-{}", told.event.kind.as_str(), told.transaction());
    let link = format!("https://api.paypal.com/v1/notifications/webhooks-events/{id}");
    let body = json!({
        "id": id,
        "event_version": "1.0",
        "create_time": told.event.occurred_at.to_rfc3339(),
        "resource_type": kind.split('.').nth(1).unwrap_or_default().to_lowercase(),
        "resource_version": "2.0",
        "event_type": kind,
        "summary": format!("{} {}", told.major(), told.code()),
        "resource": resource,
        "links": [{"href": link, "rel": "self", "method": "GET"}]
    });
    Some(body.to_string())
}

pub(super) fn signed(keys: &Keys, body: String, now: UnixMillis) -> Option<Sent> {
    let (transmission, time) = (format!("transmission-{}", now.get()), format!("{}Z", local(now, 0)));
    let (url, _) = keys.shop.paypal.certificates.first_key_value()?;
    let message = message(&transmission, &time, &keys.shop.paypal.webhook_id, body.as_bytes());
    let headers = headers([
        ("content-type", "application/json".to_owned()),
        ("paypal-auth-algo", "SHA256withRSA".to_owned()),
        ("paypal-auth-version", "v2".to_owned()),
        ("paypal-cert-url", url.clone()),
        ("paypal-transmission-id", transmission),
        ("paypal-transmission-sig", keys.paypal.sign(message.as_bytes())),
        ("paypal-transmission-time", time),
    ]);
    Some((headers, body))
}

/// Currencies whose amounts PayPal writes without decimals are written so where the amount is whole.
fn amount(told: &Told<'_>) -> Value {
    let (major, code) = (told.major(), told.code());
    let whole = major.strip_suffix(".00").filter(|_| ["HUF", "TWD"].contains(&code));
    json!({"value": whole.unwrap_or(&major), "currency_code": code})
}

fn capture(told: &Told<'_>, status: &str) -> Option<Value> {
    let id = told.is_one().then(|| told.payment())?;
    Some(json!({
        "id": id,
        "amount": amount(told),
        "create_time": told.event.occurred_at.to_rfc3339(),
        "custom_id": told.order(),
        "final_capture": true,
        "links": [
            {"method": "GET", "rel": "self", "href": format!("https://api.paypal.com/v2/payments/captures/{id}")},
            {"method": "GET", "rel": "up", "href": "https://api.paypal.com/v2/checkout/orders/SIMULATED"}
        ],
        "payer": told.person,
        "seller_protection": {"status": "ELIGIBLE", "dispute_categories": ["ITEM_NOT_RECEIVED"]},
        "seller_receivable_breakdown": {"gross_amount": amount(told)},
        "status": status,
        "supplementary_data": {"related_ids": {"order_id": "SIMULATED"}}
    }))
}

fn refund(told: &Told<'_>, status: &str) -> Value {
    let (id, payment) = (told.transaction(), told.payment());
    json!({
        "id": id,
        "amount": amount(told),
        "create_time": told.event.occurred_at.to_rfc3339(),
        "custom_id": told.order(),
        "links": [
            {"method": "GET", "rel": "self", "href": format!("https://api.paypal.com/v2/payments/refunds/{id}")},
            {"method": "GET", "rel": "up", "href": format!("https://api.paypal.com/v2/payments/captures/{payment}")}
        ],
        "note_to_payer": "Simulated",
        "payer": told.person,
        "seller_payable_breakdown": {"gross_amount": amount(told)},
        "status": status
    })
}

fn dispute(told: &Told<'_>, outcome: Option<&str>) -> Value {
    json!({
        "dispute_id": told.transaction(),
        "dispute_amount": amount(told),
        "dispute_life_cycle_stage": "CHARGEBACK",
        "dispute_outcome": outcome.map(|code| json!({"outcome_code": code, "amount_refunded": amount(told)})),
        "disputed_transactions": [{
            "buyer": told.person,
            "custom": told.order(),
            "seller": {"merchant_id": "SIMULATED"},
            "seller_transaction_id": told.payment()
        }],
        "reason": "MERCHANDISE_OR_SERVICE_NOT_RECEIVED",
        "status": if outcome.is_some() { "RESOLVED" } else { "OPEN" }
    })
}
