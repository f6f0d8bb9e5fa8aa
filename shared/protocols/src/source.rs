//! The body of a source's event: `{"type":"order.status","timestamp":RFC 3339,"data":{"order_id","status"}}`
//! or the flat `{"order_id","new_status","timestamp":unix s}`.

use domain::{OrderId, ReportedStatus, UnixMillis};
use serde::Deserialize;

use crate::Refusal;

/// The one type of event that we take from sources.
const ORDER_STATUS: &str = "order.status";

/// A body that could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceEvent {
    /// An order reached a status.
    OrderStatus(StatusEvent),
    /// An event of another type: acknowledged and logged, because a sender may send all it has.
    Other {
        /// Its type.
        kind: String,
        /// Its time.
        at: UnixMillis,
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
    pub const fn at(&self) -> UnixMillis {
        match self {
            Self::OrderStatus(event) => event.at,
            Self::Other { at, .. } => *at,
        }
    }
}

/// Both forms. `type` tells which it is.
#[derive(Deserialize)]
struct Body {
    #[serde(rename = "type")]
    kind: Option<String>,
    timestamp: Timestamp,
    data: Option<StatusFields>,
    order_id: Option<String>,
    new_status: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Timestamp {
    Seconds(i64),
    Text(String),
}

#[derive(Deserialize)]
struct StatusFields {
    order_id: Option<String>,
    status: Option<String>,
}

/// Reads a body of either form.
pub fn read(body: &[u8]) -> Result<SourceEvent, Refusal> {
    let body: Body = serde_json::from_slice(body)
        .map_err(|_| Refusal::Malformed("the body is not an event of a documented form"))?;
    let at = match &body.timestamp {
        Timestamp::Seconds(seconds) => UnixMillis::from_seconds(*seconds),
        Timestamp::Text(text) => UnixMillis::from_rfc3339(text),
    };
    let at = at.map_err(|_| Refusal::Malformed("timestamp is not a time"))?;
    let (order_id, status) = match body.kind {
        None => (body.order_id, body.new_status),
        Some(kind) if kind == ORDER_STATUS => body.data.map_or((None, None), |data| (data.order_id, data.status)),
        Some(kind) => return Ok(SourceEvent::Other { kind: loggable(kind), at }),
    };
    let order_id = order_id.ok_or(Refusal::Malformed("order_id is missing"))?;
    let status = status.ok_or(Refusal::Malformed("the status is missing"))?;
    Ok(SourceEvent::OrderStatus(StatusEvent {
        order: OrderId::new(order_id).map_err(|_| Refusal::Malformed("order_id is not an order id"))?,
        status: ReportedStatus::from_name(&status)
            .ok_or(Refusal::Impossible("a source reports arrived, packed, cancelled, shipped or completed"))?,
        at,
    }))
}

/// A type name is logged, so it must not be a way to write what one likes into the log.
fn loggable(kind: String) -> String {
    const KIND_BYTES_MAX: usize = 64;
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if kind.len() <= KIND_BYTES_MAX && kind.bytes().all(is_name) { kind } else { "unnamed".to_owned() }
}
