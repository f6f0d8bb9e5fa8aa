//! A pushed message: `{"bizKey","data","gmtBorn","msgId","type","userInfo"}`.
//!
//! Any push that names an order and a status is a trade event, whatever its type; one that names a refund case besides
//! tells where the case stands, not the trade. `bizKey` is not always
//! the order, so `data` decides. A push of the family `PRODUCT_RELATION_VIEW_` that names products says that each of them
//! changed, whatever the change: a sweep asks what. A part that says something of an order or names products is read or
//! the push is refused; a push without such a part is of a type that we do not use. Source: open.1688.com message documents; AliOpen `MessageDecoder.java`.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use domain::event::TradeFact;
use domain::{
    AfterSale, AfterSaleId, AfterSaleState, Carrier, Event, InvalidText, LogisticsId, Marketplace, MessageId, Package,
    ProductChange, ProductId, ProductKey, RawStatus, ShopId, StateReport, Trace, TraceStatus, TradeChange, TradeId,
    TradeKey, TradeReport, TradeStatus, UnixMillis, Waybill, WaybillReport,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::status;
use crate::Refusal;
use crate::json::{self, NumberOrText, Object};

/// Orders that one push may name. The vendor pays at most 30 in one run; ten times that is a mistake,
/// and more would not be queued within the second that the sender waits.
pub const ORDERS_PER_PUSH_MAX: usize = 300;

/// Products that one push may name, for the same reason. The vendor's samples name one or two.
pub const PRODUCTS_PER_PUSH_MAX: usize = 300;

/// What the types of pushes about changed products begin with. Others are about stock, prices and contracts.
const PRODUCT_PUSHES: &str = "PRODUCT_RELATION_VIEW_";

/// The longest type name that we log; the longest known has 44 bytes.
const TYPE_BYTES_MAX: usize = 64;

/// The pushes that tell of a refund case: what they call the current status is where the case stands.
const REFUND_PUSHES: [&str; 2] =
    ["ORDER_BUYER_VIEW_ORDER_BUYER_REFUND_IN_SALES", "ORDER_BUYER_VIEW_ORDER_REFUND_AFTER_SALES"];

/// What a push says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// Its type, such as `ORDER_BUYER_VIEW_ORDER_PAY`: letters, digits and `_` only.
    pub kind: String,
    /// The vendor's id of the message.
    pub message_id: MessageId,
    /// What it reports of trades or products; empty for types that report of something else.
    pub events: Vec<Event>,
}

impl Push {
    /// Whether it is about products, and says nothing of them that we use: their stock, say.
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

/// The parts of `data` that say something of an order or name products, over all types. Anything else is left unread.
#[derive(Deserialize, Default)]
struct Parts<'a> {
    #[serde(borrow, rename = "orderId")]
    order_id: Option<&'a RawValue>,
    #[serde(borrow, rename = "currentStatus")]
    current_status: Option<&'a RawValue>,
    #[serde(borrow, rename = "refundId")]
    refund_id: Option<&'a RawValue>,
    #[serde(borrow, rename = "batchPay")]
    batch_pay: Option<&'a RawValue>,
    #[serde(borrow, rename = "OrderLogisticsTracingModel")]
    tracing: Option<&'a RawValue>,
    #[serde(borrow, rename = "MailNoChangeModel")]
    mail_no_change: Option<&'a RawValue>,
    #[serde(borrow, rename = "productIds")]
    product_ids: Option<&'a RawValue>,
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
    order_logs_items: Option<Vec<Object<LoggedOrder>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MailNoChange {
    logistics_id: NumberOrText,
    new_cp_code: Option<String>,
    new_mail_no: Option<NumberOrText>,
    order_logs_items: Option<Vec<Object<LoggedOrder>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LoggedOrder {
    order_id: NumberOrText,
}

/// Reads the `message` field of a push to one of our shops.
pub fn read(message: &str, shop: &ShopId) -> Result<Push, Refusal> {
    let envelope: Envelope =
        json::object(message).map_err(|_| Refusal::Malformed("message is not a 1688 push envelope"))?;
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if envelope.kind.is_empty() || envelope.kind.len() > TYPE_BYTES_MAX || !envelope.kind.bytes().all(is_name) {
        return Err(Refusal::Malformed("type is not the name of a message type"));
    }
    let message_id = MessageId::new(envelope.msg_id.0).map_err(|_| Refusal::Malformed("msgId is not a message id"))?;
    let data = envelope.data.as_deref().map(unwrap_text).transpose()?.unwrap_or_default();
    let parts = read_parts(&data)?;
    let products = read_products(&envelope.kind, parts.product_ids)?;
    let said = read_facts(&envelope.kind, parts)?;
    if said.len() > ORDERS_PER_PUSH_MAX {
        return Err(Refusal::Impossible("the push names more orders than one push can"));
    }
    if said.is_empty() && products.is_empty() {
        return Ok(Push { kind: envelope.kind, message_id, events: Vec::new() });
    }
    let said = said.into_iter().map(|(trade_id, said)| Subject::Trade(trade_id, said));
    let said = said.chain(products.into_iter().map(Subject::Product)).collect();
    let events = events(said, shop, &message_id, born_at(envelope.gmt_born)?)?;
    Ok(Push { kind: envelope.kind, message_id, events })
}

/// The products that a push says changed: a list of ids with commas between them, or one id as a number. Each once,
/// however often it is named.
fn read_products(kind: &str, product_ids: Option<&RawValue>) -> Result<BTreeSet<ProductId>, Refusal> {
    let Some(NumberOrText(ids)) = part(product_ids.filter(|_| kind.starts_with(PRODUCT_PUSHES)))? else {
        return Ok(BTreeSet::new());
    };
    let mut products = BTreeSet::new();
    for id in ids.split(',').map(str::trim).filter(|id| !id.is_empty()) {
        let is_number = id.bytes().all(|byte| byte.is_ascii_digit());
        let product = ProductId::new(id).ok().filter(|_| is_number);
        products.insert(product.ok_or(Refusal::Malformed("productIds is not a list of product ids"))?);
        if products.len() > PRODUCTS_PER_PUSH_MAX {
            return Err(Refusal::Impossible("the push names more products than one push can"));
        }
    }
    Ok(products)
}

/// The text of `data`: as it is, or (as the message list gives it) what a JSON text holds.
fn unwrap_text(raw: &RawValue) -> Result<Cow<'_, str>, Refusal> {
    if raw.get().starts_with('"') {
        return serde_json::from_str(raw.get()).map(Cow::Owned).map_err(shape);
    }
    Ok(Cow::Borrowed(raw.get()))
}

/// The known parts. What is no object has none: it is of a type that we do not use.
fn read_parts(data: &str) -> Result<Parts<'_>, Refusal> {
    if data.trim_start().starts_with('{') { json::object(data).map_err(shape) } else { Ok(Parts::default()) }
}

/// Reads a known part, which must be of its documented shape.
fn part<'a, T: Deserialize<'a>>(raw: Option<&'a RawValue>) -> Result<Option<T>, Refusal> {
    raw.map(|raw| serde_json::from_str(raw.get())).transpose().map_err(shape)
}

fn shape(_: serde_json::Error) -> Refusal {
    Refusal::Malformed("data of the push is not of the documented shape")
}

fn born_at(gmt_born: Option<NumberOrText>) -> Result<UnixMillis, Refusal> {
    gmt_born
        .and_then(|born| born.0.parse().ok())
        .and_then(|millis| UnixMillis::new(millis).ok())
        .ok_or(Refusal::Malformed("gmtBorn is not a time in milliseconds"))
}

/// What a push says of an order, before it has its time and id.
enum Said {
    Status(TradeStatus, RawStatus),
    Case(AfterSaleId, AfterSaleState, RawStatus),
    Shipping { logistics_id: LogisticsId, waybill: Option<(Carrier, Waybill)>, trace: Option<TraceStatus> },
}

/// What something is said of.
enum Subject {
    Trade(TradeId, Said),
    /// It changed.
    Product(ProductId),
}

/// What is said of which order, part by part.
fn read_facts(kind: &str, parts: Parts<'_>) -> Result<Vec<(TradeId, Said)>, Refusal> {
    let mut said = Vec::new();
    if let (Some(order_id), Some(word)) = (part(parts.order_id)?, part(parts.current_status)?) {
        said.push(status(kind, order_id, word, part(parts.refund_id)?)?);
    }
    for Object(paid) in part::<Vec<Object<BatchPay>>>(parts.batch_pay)?.into_iter().flatten() {
        said.push(status(kind, paid.order_id, paid.status, None)?);
    }
    if let Some(Object(tracing)) = part::<Object<Tracing>>(parts.tracing)? {
        let Tracing { logistics_id, cp_code, mail_no, status_changed, order_logs_items } = tracing;
        said.extend(shipping(logistics_id, cp_code, mail_no, status_changed, order_logs_items.unwrap_or_default())?);
    }
    if let Some(Object(change)) = part::<Object<MailNoChange>>(parts.mail_no_change)? {
        let MailNoChange { logistics_id, new_cp_code, new_mail_no, order_logs_items } = change;
        said.extend(shipping(logistics_id, new_cp_code, new_mail_no, None, order_logs_items.unwrap_or_default())?);
    }
    Ok(said)
}

/// Where a trade or one of its refund cases stands. In a push that names a case the word is the case's, unless it is one
/// that only orders have.
fn status(
    kind: &str,
    order_id: NumberOrText,
    word: String,
    refund_id: Option<NumberOrText>,
) -> Result<(TradeId, Said), Refusal> {
    let trade = TradeId::new(order_id.0).map_err(|_| Refusal::Malformed("orderId is not an order id"))?;
    let raw = RawStatus::new(word).map_err(|_| Refusal::Malformed("the status is not a status word"))?;
    let status = status::common(kind, raw.as_str());
    let is_of_case = REFUND_PUSHES.contains(&kind) || status == TradeStatus::Unrecognised;
    let said = match refund_id.filter(|id| is_of_case && !id.0.is_empty()) {
        Some(id) => {
            let id = AfterSaleId::new(id.0).map_err(|_| Refusal::Malformed("refundId is not a refund id"))?;
            Said::Case(id, status::after_sale(raw.as_str()), raw)
        }
        None => Said::Status(status, raw),
    };
    Ok((trade, said))
}

fn shipping(
    logistics_id: NumberOrText,
    carrier: Option<String>,
    number: Option<NumberOrText>,
    trace: Option<String>,
    orders: Vec<Object<LoggedOrder>>,
) -> Result<Vec<(TradeId, Said)>, Refusal> {
    let malformed = |_: InvalidText| Refusal::Malformed("the consignment is not of the documented shape");
    let given = |text: &String| !text.is_empty();
    let logistics_id = LogisticsId::new(logistics_id.0).map_err(malformed)?;
    let carrier = carrier.filter(given).map(Carrier::new).transpose().map_err(malformed)?;
    let number = number.map(|number| number.0).filter(given).map(Waybill::new).transpose().map_err(malformed)?;
    let trace = trace.filter(given).map(TraceStatus::new).transpose().map_err(malformed)?;
    let waybill = match (carrier, number) {
        (Some(carrier), Some(number)) => Some((carrier, number)),
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => {
            return Err(Refusal::Malformed("the consignment has a carrier or a number without the other"));
        }
    };
    if waybill.is_none() && trace.is_none() {
        return Err(Refusal::Malformed("the consignment says neither who carries it nor where it is"));
    }
    // Each order line is listed by itself, so that an order may come several times.
    let trades: Result<BTreeSet<TradeId>, InvalidText> =
        orders.into_iter().map(|Object(item)| TradeId::new(item.order_id.0)).collect();
    let said = |trade| {
        (trade, Said::Shipping { logistics_id: logistics_id.clone(), waybill: waybill.clone(), trace: trace.clone() })
    };
    Ok(trades.map_err(malformed)?.into_iter().map(said).collect())
}

/// Gives each statement the push's time and an id: the message's own, and where one push says several
/// things a position besides, so that source and id stay a key.
fn events(said: Vec<Subject>, shop: &ShopId, message: &MessageId, at: UnixMillis) -> Result<Vec<Event>, Refusal> {
    let several = said.len() > 1;
    said.into_iter()
        .enumerate()
        .map(|(position, subject)| {
            let id = match several {
                true => MessageId::new(format!("{message}.{position}"))
                    .map_err(|_| Refusal::Malformed("msgId is not a message id"))?,
                false => message.clone(),
            };
            let (marketplace, shop) = (Marketplace::Alibaba1688, shop.clone());
            Ok(match subject {
                Subject::Trade(trade_id, said) => {
                    let trade = TradeKey { marketplace, shop, trade_id };
                    Event::Trade(TradeChange { trade, fact: fact(said, id, at) })
                }
                Subject::Product(product_id) => {
                    Event::Product(ProductChange { product: ProductKey { marketplace, shop, product_id }, at, id })
                }
            })
        })
        .collect()
}

fn fact(said: Said, id: MessageId, at: UnixMillis) -> TradeFact {
    match said {
        Said::Status(status, raw) => TradeFact::Status(TradeReport { status, at, id, raw }),
        Said::Case(case, state, raw) => {
            let state = Some(StateReport { at, id, state, raw });
            TradeFact::AfterSale(case, AfterSale { state, claim: None })
        }
        Said::Shipping { logistics_id, waybill, trace } => {
            let waybill = waybill.map(|(carrier, number)| WaybillReport { at, id: id.clone(), carrier, number });
            TradeFact::Shipping(
                logistics_id,
                Package { waybill, trace: trace.map(|status| Trace { at, id, status }), journey: None },
            )
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
