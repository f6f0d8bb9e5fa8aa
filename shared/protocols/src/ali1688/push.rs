//! A pushed message: `{"bizKey","data","gmtBorn","msgId","type","userInfo"}`.
//!
//! Any push that names an order and a status is a trade event, whatever its type. `bizKey` is not always
//! the order, so `data` decides. Source: open.1688.com message documents; AliOpen `MessageDecoder.java`.

use std::collections::{BTreeMap, BTreeSet};

use domain::event::TradeFact;
use domain::{
    Carrier, Event, InvalidText, LogisticsId, Marketplace, MessageId, Package, RawStatus, ShopId, Trace, TraceStatus,
    TradeChange, TradeId, TradeKey, TradeReport, UnixMillis, Waybill, WaybillReport,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::status;
use crate::Refusal;
use crate::json::NumberOrText;

/// Orders that one push may name. The vendor pays at most 30 in one run; ten times that is a mistake,
/// and more would not be queued within the second that the sender waits.
pub const ORDERS_PER_PUSH_MAX: usize = 300;

/// The longest type name that we log; the longest known has 44 bytes.
const TYPE_BYTES_MAX: usize = 64;

/// What a push says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// Its type, such as `ORDER_BUYER_VIEW_ORDER_PAY`: letters, digits and `_` only.
    pub kind: String,
    /// The vendor's id of the message.
    pub message_id: MessageId,
    /// What it reports of trades; empty for types that report of something else.
    pub events: Vec<Event>,
}

impl Push {
    /// Whether it is about products, which another queue will take.
    pub fn is_product(&self) -> bool {
        self.events.is_empty() && self.kind.starts_with("PRODUCT_")
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    msg_id: NumberOrText,
    #[serde(rename = "type")]
    kind: String,
    gmt_born: Option<NumberOrText>,
    data: Option<Box<RawValue>>,
}

/// Every field that says something about an order, over all types.
#[derive(Deserialize, Default)]
struct Data {
    #[serde(rename = "orderId")]
    order_id: Option<NumberOrText>,
    #[serde(rename = "currentStatus")]
    current_status: Option<String>,
    #[serde(rename = "batchPay")]
    batch_pay: Option<Vec<BatchPay>>,
    #[serde(rename = "OrderLogisticsTracingModel")]
    tracing: Option<Tracing>,
    #[serde(rename = "MailNoChangeModel")]
    mail_no_change: Option<MailNoChange>,
}

#[derive(Deserialize)]
struct BatchPay {
    #[serde(rename = "orderId")]
    order_id: NumberOrText,
    status: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Tracing {
    logistics_id: NumberOrText,
    cp_code: Option<String>,
    mail_no: Option<NumberOrText>,
    status_changed: Option<String>,
    #[serde(default)]
    order_logs_items: Vec<LoggedOrder>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MailNoChange {
    logistics_id: NumberOrText,
    new_cp_code: Option<String>,
    new_mail_no: Option<NumberOrText>,
    #[serde(default)]
    order_logs_items: Vec<LoggedOrder>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LoggedOrder {
    order_id: NumberOrText,
}

/// Reads the `message` field of a push to one of our shops.
pub fn read(message: &str, shop: &ShopId) -> Result<Push, Refusal> {
    let envelope: Envelope =
        serde_json::from_str(message).map_err(|_| Refusal::Malformed("message is not a 1688 push envelope"))?;
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if envelope.kind.is_empty() || envelope.kind.len() > TYPE_BYTES_MAX || !envelope.kind.bytes().all(is_name) {
        return Err(Refusal::Malformed("type is not the name of a message type"));
    }
    let message_id = MessageId::new(envelope.msg_id.0).map_err(|_| Refusal::Malformed("msgId is not a message id"))?;
    let data = match &envelope.data {
        Some(raw) => read_data(raw)?,
        None => Data::default(),
    };
    let said = read_facts(&envelope.kind, data)?;
    if said.len() > ORDERS_PER_PUSH_MAX {
        return Err(Refusal::Impossible("the push names more orders than one push can"));
    }
    let events = match said.is_empty() {
        true => Vec::new(),
        false => events(said, shop, &message_id, born_at(envelope.gmt_born)?)?,
    };
    Ok(Push { kind: envelope.kind, message_id, events })
}

/// `data` is an object, or (as the message list gives it) an object in a text.
fn read_data(raw: &RawValue) -> Result<Data, Refusal> {
    let malformed = |_| Refusal::Malformed("data of the push is not of the documented shape");
    if raw.get() == "null" {
        return Ok(Data::default());
    }
    if raw.get().starts_with('"') {
        let text: String = serde_json::from_str(raw.get()).map_err(malformed)?;
        return serde_json::from_str(&text).map_err(malformed);
    }
    serde_json::from_str(raw.get()).map_err(malformed)
}

fn born_at(gmt_born: Option<NumberOrText>) -> Result<UnixMillis, Refusal> {
    gmt_born
        .and_then(|born| born.0.parse().ok())
        .and_then(|millis| UnixMillis::new(millis).ok())
        .ok_or(Refusal::Malformed("gmtBorn is not a time in milliseconds"))
}

/// What a push says of an order, before it has its time and id.
enum Said {
    Status(domain::TradeStatus, RawStatus),
    Shipping { logistics_id: LogisticsId, waybill: Option<(Carrier, Waybill)>, trace: Option<TraceStatus> },
}

/// What is said of which order, in the push's own order. One order is named once.
fn read_facts(kind: &str, data: Data) -> Result<Vec<(TradeId, Said)>, Refusal> {
    let status = |order_id: NumberOrText, word: String| {
        let trade = TradeId::new(order_id.0).map_err(|_| Refusal::Malformed("orderId is not an order id"))?;
        let raw = RawStatus::new(word).map_err(|_| Refusal::Malformed("the status is not a status word"))?;
        Ok((trade, Said::Status(status::common(kind, raw.as_str()), raw)))
    };
    match data {
        Data { order_id: Some(order_id), current_status: Some(word), .. } => Ok(vec![status(order_id, word)?]),
        Data { batch_pay: Some(paid), .. } => paid.into_iter().map(|one| status(one.order_id, one.status)).collect(),
        Data { tracing: Some(tracing), .. } => {
            let Tracing { logistics_id, cp_code, mail_no, status_changed, order_logs_items } = tracing;
            shipping(logistics_id, cp_code, mail_no, status_changed, order_logs_items)
        }
        Data { mail_no_change: Some(change), .. } => {
            let MailNoChange { logistics_id, new_cp_code, new_mail_no, order_logs_items } = change;
            shipping(logistics_id, new_cp_code, new_mail_no, None, order_logs_items)
        }
        _ => Ok(Vec::new()),
    }
}

fn shipping(
    logistics_id: NumberOrText,
    carrier: Option<String>,
    number: Option<NumberOrText>,
    trace: Option<String>,
    orders: Vec<LoggedOrder>,
) -> Result<Vec<(TradeId, Said)>, Refusal> {
    let malformed = |_: InvalidText| Refusal::Malformed("the consignment is not of the documented shape");
    let given = |text: &String| !text.is_empty();
    let logistics_id = LogisticsId::new(logistics_id.0).map_err(malformed)?;
    let carrier = carrier.filter(given).map(Carrier::new).transpose().map_err(malformed)?;
    let number = number.map(|number| number.0).filter(given).map(Waybill::new).transpose().map_err(malformed)?;
    let trace = trace.filter(given).map(TraceStatus::new).transpose().map_err(malformed)?;
    let waybill = carrier.zip(number);
    if waybill.is_none() && trace.is_none() {
        return Ok(Vec::new());
    }
    // Each order line is listed by itself, so that an order may come several times.
    let trades: Result<BTreeSet<TradeId>, InvalidText> =
        orders.into_iter().map(|item| TradeId::new(item.order_id.0)).collect();
    let said = |trade| {
        (trade, Said::Shipping { logistics_id: logistics_id.clone(), waybill: waybill.clone(), trace: trace.clone() })
    };
    Ok(trades.map_err(malformed)?.into_iter().map(said).collect())
}

/// Gives each statement the push's time and an id: the message's own, and where one push says several
/// things a position besides, so that source and id stay a key.
fn events(
    said: Vec<(TradeId, Said)>,
    shop: &ShopId,
    message: &MessageId,
    at: UnixMillis,
) -> Result<Vec<Event>, Refusal> {
    let several = said.len() > 1;
    said.into_iter()
        .enumerate()
        .map(|(position, (trade_id, said))| {
            let id = match several {
                true => MessageId::new(format!("{message}.{position}"))
                    .map_err(|_| Refusal::Malformed("msgId is not a message id"))?,
                false => message.clone(),
            };
            let trade = TradeKey { marketplace: Marketplace::Alibaba1688, shop: shop.clone(), trade_id };
            Ok(Event::Trade(TradeChange { trade, fact: fact(said, id, at) }))
        })
        .collect()
}

fn fact(said: Said, id: MessageId, at: UnixMillis) -> TradeFact {
    match said {
        Said::Status(status, raw) => TradeFact::Status(TradeReport { status, at, id, raw }),
        Said::Shipping { logistics_id, waybill, trace } => {
            let waybill = waybill.map(|(carrier, number)| WaybillReport { at, id: id.clone(), carrier, number });
            TradeFact::Shipping(logistics_id, Package { waybill, trace: trace.map(|status| Trace { at, id, status }) })
        }
    }
}

/// The form body of a signed push, as 1688 posts it. For the operator's `send`, the demo and tests.
pub fn signed_form(secret: &secrecy::SecretString, message: &str) -> String {
    let parameters = [("message".to_owned(), message.to_owned())];
    let signature = super::signature::sign(secret, "", &parameters);
    let fields: BTreeMap<&str, &str> =
        BTreeMap::from([("message", message), (super::signature::PARAMETER, signature.as_str())]);
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}
