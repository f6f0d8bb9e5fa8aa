//! The body of a source's event: `{"type":"order.status","timestamp":RFC 3339,"data":{"order_id","status"}}`
//! or the flat `{"order_id","new_status","timestamp":unix s}`.

use domain::{OrderId, ReportedStatus, UnixMillis};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{Refusal, json};

/// The one type of event that we take from sources.
const ORDER_STATUS: &str = "order.status";

/// A body that could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceEvent {
    /// An order reached a status.
    OrderStatus(StatusEvent),
    /// An event of another type, which says nothing of a status: acknowledged and logged, because a sender
    /// may send all it has.
    Other {
        /// Its type.
        kind: String,
        /// Its time, where it has one.
        at: Option<UnixMillis>,
    },
}

/// An order reached a status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusEvent {
    /// Which order.
    pub order: OrderId,
    /// Which status.
    pub status: ReportedStatus,
    /// When, by the sender's clock.
    pub at: UnixMillis,
}

impl SourceEvent {
    /// The sender's time.
    pub const fn at(&self) -> Option<UnixMillis> {
        match self {
            Self::OrderStatus(event) => Some(event.at),
            Self::Other { at, .. } => *at,
        }
    }
}

/// Both forms. `type` tells which it is.
#[derive(Deserialize)]
struct Body<'a> {
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(borrow)]
    timestamp: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    order_id: Option<&'a RawValue>,
    #[serde(borrow)]
    new_status: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Timestamp {
    Seconds(i64),
    Text(String),
}

#[derive(Deserialize)]
struct StatusFields<'a> {
    #[serde(borrow)]
    order_id: Option<&'a RawValue>,
    #[serde(borrow)]
    status: Option<&'a RawValue>,
}

/// Reads a body of either form.
pub fn read(body: &[u8]) -> Result<SourceEvent, Refusal> {
    let body: Body<'_> =
        json::object_of_bytes(body).map_err(|_| Refusal::Malformed("the body is not an event of a documented form"))?;
    let in_data = body.data.and_then(|data| json::object::<StatusFields<'_>>(data.get()).ok());
    let (order_id, status) = match body.kind {
        None => (body.order_id, body.new_status),
        Some(kind) if kind == ORDER_STATUS => in_data.map_or((None, None), |data| (data.order_id, data.status)),
        // A status under a name that we do not know would be lost if it were acknowledged.
        Some(_) if body.new_status.is_some() || in_data.is_some_and(|data| data.status.is_some()) => {
            return Err(Refusal::Impossible("a status is reported by events of type order.status"));
        }
        Some(kind) => {
            let at = body.timestamp.map(|raw| time(Some(raw))).transpose()?;
            return Ok(SourceEvent::Other { kind: json::loggable(kind), at });
        }
    };
    let order = OrderId::new(text(order_id, "order_id is missing or not a text")?)
        .map_err(|_| Refusal::Malformed("order_id is not an order id"))?;
    let status = ReportedStatus::from_name(&text(status, "the status is missing or not a text")?)
        .ok_or(Refusal::Impossible("a source reports arrived, packed, cancelled, shipped or completed"))?;
    Ok(SourceEvent::OrderStatus(StatusEvent { order, status, at: time(body.timestamp)? }))
}

/// A field that must be a text.
fn text(raw: Option<&RawValue>, missing: &'static str) -> Result<String, Refusal> {
    raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).ok_or(Refusal::Malformed(missing))
}

/// A time in seconds, or in RFC 3339.
fn time(raw: Option<&RawValue>) -> Result<UnixMillis, Refusal> {
    let at = raw.and_then(|raw| match serde_json::from_str(raw.get()).ok()? {
        Timestamp::Seconds(seconds) => UnixMillis::from_seconds(seconds).ok(),
        Timestamp::Text(text) => UnixMillis::from_rfc3339(&text).ok(),
    });
    at.ok_or(Refusal::Malformed("timestamp is missing or not a time"))
}
