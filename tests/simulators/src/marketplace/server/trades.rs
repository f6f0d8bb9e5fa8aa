//! A trade as Taobao writes it: amounts as texts of yuan, times of China without a zone.
//! Source: open.taobao.com, structures `Trade` and `Order`.

use domain::Marketplace;
use serde_json::{Map, Value, json};

use super::super::order::{Line, Order, Stage};
use super::super::told::{carrier, picture, yuan};
use super::super::truth::Notice;
use super::wire::plain;

const MARKETPLACE: Marketplace = Marketplace::Taobao;
/// What only the detail has, of a trade and of its lines.
const DETAIL_ONLY: [&str; 5] = ["alipay_no", "buyer_message", "invoice_no", "logistics_company", "receiver_mobile"];

/// The fields that a call asked for.
pub(super) struct Fields(Vec<String>);

impl Fields {
    /// Reads the parameter; `None` when it names nothing.
    pub(super) fn read(fields: &str) -> Option<Self> {
        let fields: Vec<String> = fields.split(',').map(str::trim).map(str::to_owned).collect();
        fields.iter().any(|field| !field.is_empty()).then_some(Self(fields))
    }

    fn has(&self, field: &str) -> bool {
        self.0.iter().any(|asked| asked == field)
    }

    fn of_trade(&self, field: &str) -> bool {
        self.has(field) || (field == "orders" && self.0.iter().any(|asked| asked.starts_with("orders.")))
    }

    fn of_line(&self, field: &str) -> bool {
        self.has("orders") || self.has(&format!("orders.{field}"))
    }
}

/// A trade, of which only these fields were asked for.
pub(super) fn trade(order: &Order, seller: &str, fields: &Fields, is_detail: bool) -> Value {
    let mut all = whole(order, seller);
    let may_have = |field: &str| is_detail || !DETAIL_ONLY.contains(&field);
    all.retain(|field, _| fields.of_trade(field) && may_have(field));
    if all.contains_key("orders") {
        let lines = order.lines.iter().map(|each| {
            let mut all = line(order, each);
            all.retain(|field, _| fields.of_line(field) && may_have(field));
            Value::Object(all)
        });
        all.insert("orders".to_owned(), json!({"order": lines.collect::<Vec<_>>()}));
    }
    Value::Object(all)
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}

fn whole(order: &Order, seller: &str) -> Map<String, Value> {
    let before_discounts: i64 = order.lines.iter().map(|line| line.price * i64::from(line.quantity)).sum();
    let mut trade = object(json!({
        "tid": order.id,
        "tid_str": order.id.to_string(),
        "status": order.word(MARKETPLACE),
        "type": "fixed",
        "title": "\u{793a}\u{4f8b}\u{5e97}\u{94fa}",
        "payment": yuan(order.total()),
        "total_fee": yuan(before_discounts),
        "post_fee": yuan(order.postage),
        "discount_fee": yuan(before_discounts - order.goods()),
        "adjust_fee": "0.00",
        "received_payment": yuan(order.received()),
        "created": plain(order.created),
        "modified": plain(order.modified),
        "seller_nick": seller,
        "seller_flag": order.flag,
        "buyer_nick": "b**",
        "buyer_open_uid": format!("AAH{:05}EAAeGwJedwSHpg8bT", order.counterpart),
        "buyer_message": "\u{8bf7}\u{5c3d}\u{5feb}",
        "receiver_mobile": "138****8000",
        "shipping_type": "express",
        "num": order.lines.iter().map(|line| line.quantity).sum::<u32>(),
        "orders": {}
    }));
    let times = [("pay_time", order.paid), ("consign_time", order.shipped), ("end_time", order.finished)];
    trade.extend(times.into_iter().filter_map(|(name, at)| Some((name.to_owned(), json!(plain(at?))))));
    trade.extend(order.payment_id().map(|id| ("alipay_no".to_owned(), json!(id))));
    trade
}

/// What the buyer pays for a line: with the postage where it is the only one.
fn line_payment(order: &Order, line: &Line) -> i64 {
    if order.lines.len() == 1 { order.total() } else { line.amount() }
}

fn line(order: &Order, line: &Line) -> Map<String, Value> {
    let stage = order.line_stage(line);
    // The vendor's samples have it as a number and as a text.
    let oid = if line.id.is_multiple_of(4) { json!(line.id.to_string()) } else { json!(line.id) };
    let mut fields = object(json!({
        "oid": oid,
        "oid_str": line.id.to_string(),
        "num_iid": line.product,
        "sku_id": line.sku.to_string(),
        "outer_iid": "KY",
        "outer_sku_id": line.sku.to_string(),
        "title": line.name(),
        "num": line.quantity,
        "price": yuan(line.price),
        "total_fee": yuan(line.amount()),
        "payment": yuan(line_payment(order, line)),
        "divide_order_fee": yuan(line.amount()),
        "discount_fee": yuan(line.discount),
        "part_mjz_discount": "0.00",
        "adjust_fee": "0.00",
        "pic_path": picture(MARKETPLACE, line),
        "status": stage.word(MARKETPLACE),
        "refund_status": line.case.map_or("NO_REFUND", |case| case.stage.word(MARKETPLACE))
    }));
    if let Some(case) = line.case {
        fields.insert("refund_id".to_owned(), json!(case.id));
    }
    if let Some(waybill) = line.waybill {
        fields.insert("logistics_company".to_owned(), json!(carrier(waybill).1));
        fields.insert("invoice_no".to_owned(), json!(waybill.to_string()));
        fields.insert("shipping_type".to_owned(), json!("express"));
    }
    if let Some(sent) = line.sent {
        fields.insert("consign_time".to_owned(), json!(plain(sent)));
    }
    if let Some(finished) = order.finished.filter(|_| stage.is_end() && stage != Stage::ClosedUnpaid) {
        fields.insert("end_time".to_owned(), json!(plain(finished)));
    }
    fields
}

/// A message that waits. Source: open.taobao.com, structure `TmcMessage`; topics `taobao_trade_*`, `taobao_refund_*`.
pub(super) fn message(notice: &Notice, seller: &str, app_key: &str) -> Value {
    let content = match notice.case {
        None => json!({
            "buyer_nick": "b**",
            "buyer_open_uid": "AAHd5d-EAAeGwJedwSHpg8bT",
            "payment": yuan(notice.total),
            "oid": notice.line,
            "tid": notice.trade,
            "type": "guarantee_trade",
            "seller_nick": seller,
            "status": notice.word
        }),
        Some((case, fen)) => json!({
            "buyer_nick": "b**",
            "seller_nick": seller,
            "refund_id": case.id,
            "refund_fee": yuan(fen),
            "refund_phase": "onsale",
            "bill_type": "refund_bill",
            "oid": notice.line,
            "tid": notice.trade,
            "modified": plain(notice.at)
        }),
    };
    json!({
        "id": notice.id,
        "topic": notice.topic,
        "pub_app_key": app_key,
        "pub_time": plain(notice.at),
        "user_id": 2_054_718_218_u64,
        "user_nick": seller,
        "content": content.to_string()
    })
}
