//! WeChat Pay's notifications. Source: pay.weixin.qq.com/doc/v3, "Payment notification", "Refund notification".

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use domain::{Currency, MovementKind, UnixMillis};
use protocols::gateway::wechatpay::message;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::{Keys, Sent, Told, headers, local};

pub(super) fn body(keys: &Keys, told: &Told<'_>) -> Option<String> {
    let (event_type, plaintext) = match told.event.kind {
        MovementKind::Captured => ("TRANSACTION.SUCCESS", transaction(keys, told)?),
        MovementKind::Refunded => ("REFUND.SUCCESS", refund(keys, told, "SUCCESS")?),
        MovementKind::RefundFailed => ("REFUND.ABNORMAL", refund(keys, told, "ABNORMAL")?),
        MovementKind::CaptureFailed
        | MovementKind::RefundedInTotal
        | MovementKind::DisputeOpened
        | MovementKind::DisputeWon
        | MovementKind::DisputeLost => return None,
    };
    notification(keys, event_type, &plaintext.to_string(), told.event.occurred_at)
}

/// A notification of this type, with this resource encrypted.
pub(super) fn notification(keys: &Keys, event_type: &str, plaintext: &str, at: UnixMillis) -> Option<String> {
    let kind = event_type.split('.').next().unwrap_or_default().to_lowercase();
    let nonce = format!("{:012}", at.get().checked_rem(1_000_000_000_000)?);
    let body = json!({
        "id": format!("EV-{}-{nonce}", at.get()),
        "create_time": format!("{}+08:00", local(at, 8)),
        "resource_type": "encrypt-resource",
        "event_type": event_type,
        "summary": "\u{652f}\u{4ed8}\u{6210}\u{529f}",
        "resource": {
            "original_type": kind,
            "algorithm": "AEAD_AES_256_GCM",
            "ciphertext": sealed(keys, &nonce, &kind, plaintext)?,
            "associated_data": kind,
            "nonce": nonce
        }
    });
    Some(body.to_string())
}

pub(super) fn signed(keys: &Keys, body: String, now: UnixMillis) -> Option<Sent> {
    let (timestamp, nonce) = (now.seconds().to_string(), format!("{:032X}", now.get()));
    let (serial, _) = keys.shop.wechatpay.public_keys.first_key_value()?;
    let signature = keys.wechatpay.sign(&message(&timestamp, &nonce, body.as_bytes()));
    let headers = headers([
        ("content-type", "application/json".to_owned()),
        ("wechatpay-nonce", nonce),
        ("wechatpay-serial", serial.clone()),
        ("wechatpay-signature", signature),
        ("wechatpay-signature-type", "WECHATPAY2-SHA256-RSA2048".to_owned()),
        ("wechatpay-timestamp", timestamp),
    ]);
    Some((headers, body))
}

fn sealed(keys: &Keys, nonce: &str, associated_data: &str, plaintext: &str) -> Option<String> {
    let key = UnboundKey::new(&AES_256_GCM, keys.shop.wechatpay.api_v3_key.expose_secret().as_bytes()).ok()?;
    let (mut sealed, nonce) = (plaintext.as_bytes().to_vec(), Nonce::try_assume_unique_for_key(nonce.as_bytes()).ok()?);
    LessSafeKey::new(key).seal_in_place_append_tag(nonce, Aad::from(associated_data), &mut sealed).ok()?;
    Some(BASE64_STANDARD.encode(sealed))
}

fn transaction(keys: &Keys, told: &Told<'_>) -> Option<Value> {
    let total = told.units(&[])?;
    Some(json!({
        "mchid": keys.shop.wechatpay.mchid,
        "appid": "wx_simulated",
        "out_trade_no": told.order(),
        "transaction_id": told.is_one().then(|| told.payment())?,
        "trade_type": "NATIVE",
        "trade_state": "SUCCESS",
        "bank_type": "OTHERS",
        "attach": "",
        "success_time": format!("{}+08:00", local(told.event.occurred_at, 8)),
        "payer": told.person,
        "amount": {"total": total, "payer_total": total, "currency": told.code(), "payer_currency": told.code()}
    }))
}

/// Refunds name no currency: they are of yuan.
fn refund(keys: &Keys, told: &Told<'_>, status: &str) -> Option<Value> {
    let refund = (told.event.money.currency() == Currency::CNY).then(|| told.event.money.minor())?;
    let total = refund.checked_add(100)?;
    Some(json!({
        "mchid": keys.shop.wechatpay.mchid,
        "out_trade_no": told.order(),
        "transaction_id": told.payment(),
        "out_refund_no": "simulated",
        "refund_id": told.transaction(),
        "refund_status": status,
        "success_time": format!("{}+08:00", local(told.event.occurred_at, 8)),
        "user_received_account": told.person,
        "amount": {"total": total, "refund": refund, "payer_total": total, "payer_refund": refund}
    }))
}
