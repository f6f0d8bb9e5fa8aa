//! Adyen's standard webhooks. Source: docs.adyen.com, "Webhook types" and "Webhook structure".

use domain::{MovementKind, UnixMillis};
use protocols::gateway::adyen::{sign, string_to_sign};
use serde_json::{Value, json};

use super::{Capture, Keys, Sent, Told, headers};

/// docs.adyen.com/development-resources/currency-codes.
const OWN_DECIMALS: [(&str, u32); 4] = [("CLP", 2), ("CVE", 0), ("IDR", 0), ("ISK", 2)];

pub(super) fn body(keys: &Keys, told: &Told<'_>) -> Option<String> {
    let (code, success) = match (told.event.kind, keys.shop.adyen.capture) {
        (MovementKind::Captured, Capture::Manual) => ("CAPTURE", true),
        (MovementKind::Captured, Capture::Automatic) => ("AUTHORISATION", true),
        (MovementKind::CaptureFailed, Capture::Manual) => ("CAPTURE", false),
        (MovementKind::CaptureFailed, Capture::Automatic) => ("AUTHORISATION", false),
        (MovementKind::Refunded, Capture::Manual | Capture::Automatic) => ("REFUND", true),
        (MovementKind::RefundFailed, Capture::Manual | Capture::Automatic) => ("REFUND", false),
        (MovementKind::DisputeOpened, Capture::Manual | Capture::Automatic) => ("NOTIFICATION_OF_CHARGEBACK", true),
        (MovementKind::DisputeWon, Capture::Manual | Capture::Automatic) => ("CHARGEBACK_REVERSED", true),
        (MovementKind::DisputeLost, Capture::Manual | Capture::Automatic) => ("CHARGEBACK", true),
        (MovementKind::RefundedInTotal, Capture::Manual | Capture::Automatic) => return None,
    };
    let second = told.transaction().strip_suffix(".second").filter(|_| code == "CHARGEBACK");
    let (code, reference) = second.map_or((code, told.transaction()), |first| ("SECOND_CHARGEBACK", first));
    let is_payment = code == "AUTHORISATION";
    if is_payment && !told.is_one() {
        return None;
    }
    let person = told.person.iter().map(|(name, value)| (format!("shopper.{name}"), value.clone()));
    let item = json!({
        "additionalData": person.collect::<serde_json::Map<String, Value>>(),
        "amount": {"currency": told.code(), "value": told.units(&OWN_DECIMALS)?},
        "eventCode": code,
        "eventDate": told.event.occurred_at.to_rfc3339(),
        "merchantAccountCode": "SimulatedMerchant",
        "merchantReference": told.order(),
        "originalReference": (!is_payment).then(|| told.payment()),
        "paymentMethod": "visa",
        "pspReference": reference,
        "reason": "",
        "success": success.to_string()
    });
    Some(json!({"live": "false", "notificationItems": [{"NotificationRequestItem": item}]}).to_string())
}

/// Each item by itself; the webhooks of other products, which have no items, in a header.
pub(super) fn signed(keys: &Keys, body: String, _now: UnixMillis) -> Option<Sent> {
    let key = keys.shop.adyen.hmac_keys.first()?;
    let content_type = ("content-type", "application/json".to_owned());
    let mut notification: Value = serde_json::from_str(&body).ok()?;
    let Some(items) = notification.get_mut("notificationItems").and_then(Value::as_array_mut) else {
        return Some((headers([content_type, ("hmacsignature", sign(key, body.as_bytes())?)]), body));
    };
    for item in items {
        let item = item.get_mut("NotificationRequestItem")?.as_object_mut()?;
        let message = string_to_sign(&serde_json::to_string(item).ok()?)?;
        let additional = item.entry("additionalData").or_insert_with(|| json!({})).as_object_mut()?;
        additional.insert("hmacSignature".to_owned(), sign(key, message.as_bytes())?.into());
    }
    Some((headers([content_type]), notification.to_string()))
}
