//! Alipay's notifications. Source: opendocs.alipay.com/open/270/105902.

use std::collections::BTreeMap;

use domain::{Currency, Money, MovementKind, UnixMillis};
use protocols::gateway::alipay::content;

use super::{Keys, Sent, Told, headers, local};

pub(super) fn body(keys: &Keys, told: &Told<'_>) -> Option<String> {
    let (alipay, at) = (&keys.shop.alipay, told.event.occurred_at);
    if told.event.money.currency() != Currency::CNY {
        return None;
    }
    let time = |at| local(at, 8).replace('T', " ");
    let mut fields: BTreeMap<String, String> = [
        ("app_id", alipay.app_id.clone()),
        ("auth_app_id", alipay.app_id.clone()),
        ("buyer_id", "2088000000000002".to_owned()),
        ("charset", "utf-8".to_owned()),
        ("notify_id", format!("notify-{}-{}", told.event.kind.as_str(), told.transaction())),
        ("notify_time", time(told.now)),
        ("notify_type", "trade_status_sync".to_owned()),
        ("out_trade_no", told.order().to_owned()),
        ("seller_id", alipay.seller_id.clone()),
        ("sign_type", "RSA2".to_owned()),
        ("subject", "\u{6d4b}\u{8bd5} a+b=c&d".to_owned()),
        ("trade_no", told.payment().to_owned()),
        ("trade_status", "TRADE_SUCCESS".to_owned()),
        ("version", "1.0".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    if !told.person.is_empty() {
        fields.insert("ext_user_info".to_owned(), serde_json::to_string(&told.person).ok()?);
    }
    let moved = match told.event.kind {
        MovementKind::Captured if told.is_one() => {
            vec![("total_amount", told.major()), ("gmt_payment", time(at))]
        }
        MovementKind::RefundedInTotal => vec![
            ("total_amount", paid(told)?),
            ("gmt_payment", time(at.saturating_add_ms(-60_000))),
            ("refund_fee", told.major()),
            ("gmt_refund", format!("{}.{:03}", time(at), at.get().checked_rem(1_000)?)),
            ("out_biz_no", told.transaction().to_owned()),
        ],
        MovementKind::Captured
        | MovementKind::CaptureFailed
        | MovementKind::Refunded
        | MovementKind::RefundFailed
        | MovementKind::DisputeOpened
        | MovementKind::DisputeWon
        | MovementKind::DisputeLost => return None,
    };
    fields.extend(moved.into_iter().map(|(name, value)| (name.to_owned(), value)));
    // Alipay sends no field that is empty.
    fields.retain(|_, value| !value.is_empty());
    Some(form(&fields))
}

pub(super) fn signed(keys: &Keys, body: String, _now: UnixMillis) -> Option<Sent> {
    let mut fields: BTreeMap<String, String> = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    fields.insert("sign".to_owned(), keys.alipay.sign(content(&fields).as_bytes()));
    let content_type = "application/x-www-form-urlencoded; charset=utf-8".to_owned();
    Some((headers([("content-type", content_type)]), form(&fields)))
}

fn form(fields: &BTreeMap<String, String>) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// What was paid, of which a part went back: a yuan more.
fn paid(told: &Told<'_>) -> Option<String> {
    let yuan = Money::new(100, Currency::CNY).ok()?;
    let paid = told.event.money.checked_add(yuan).ok()?.to_string();
    paid.split(' ').next().map(str::to_owned)
}
