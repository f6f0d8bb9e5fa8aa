//! Queue messages: CloudEvents 1.0 in JSON. `source` + `id` is the dedupe key, `subject` the trade or
//! order id, `time` the sender's time. Source: cloudevents/spec, spec.md and json-format.md.

use domain::event::TradeFact;
use domain::{
    Carrier, Event, EventId, InvalidText, LogisticsId, Marketplace, MessageId, OrderChange, OrderId, OrderReport,
    Origin, Package, RawStatus, ReportedStatus, ShopId, SourceName, Trace, TraceStatus, TradeChange, TradeId, TradeKey,
    TradeReport, TradeStatus, UnixMillis, Waybill, WaybillReport,
};
use serde::{Deserialize, Serialize};

use crate::json;

/// A marketplace reported of a trade.
pub const TRADE_CHANGED: &str = "sampan.trade.changed.v1";
/// A source reported of an order.
pub const ORDER_CHANGED: &str = "sampan.order.changed.v1";

const SPEC_VERSION: &str = "1.0";
const MARKETPLACES: &str = "/marketplaces/";
const SOURCES: &str = "/sources/";

/// Why a message is not an event that we know: the reason in its quarantine entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAnEvent {
    /// It cannot be read; what and where, without a word of it.
    #[error("malformed: {0}")]
    Malformed(String),
    /// A CloudEvent of a type or version that we do not know.
    #[error("unknown_type: not an event type of this version")]
    UnknownType,
    /// A field has no meaning here.
    #[error("invalid: {0}")]
    Invalid(&'static str),
    /// A name is not one.
    #[error("invalid: {0}")]
    Text(#[from] InvalidText),
}

#[derive(Serialize, Deserialize)]
struct Envelope<D> {
    specversion: String,
    id: EventId,
    source: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    time: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    datacontenttype: Option<String>,
    data: D,
}

/// What is common to all types, to choose the reader by.
#[derive(Deserialize)]
struct Head {
    specversion: String,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Serialize, Deserialize)]
struct TradeData {
    marketplace: String,
    shop: ShopId,
    trade_id: TradeId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    raw_status: Option<RawStatus>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shipping: Option<ShippingData>,
}

#[derive(Serialize, Deserialize)]
struct ShippingData {
    logistics_id: LogisticsId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    carrier: Option<Carrier>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    waybill: Option<Waybill>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trace_status: Option<TraceStatus>,
}

#[derive(Serialize, Deserialize)]
struct OrderData {
    order_id: OrderId,
    status: String,
}

/// Writes an event as a queue message.
pub fn write(event: &Event) -> Result<String, serde_json::Error> {
    match event {
        Event::Trade(change) => serde_json::to_string(&trade_envelope(change)),
        Event::Order(change) => serde_json::to_string(&order_envelope(change)),
    }
}

fn trade_envelope(change: &TradeChange) -> Option<Envelope<TradeData>> {
    let TradeKey { marketplace, shop, trade_id } = change.trade.clone();
    let (at, id) = (change.fact.at()?, change.fact.message_id()?);
    let (status, raw_status, shipping) = match &change.fact {
        TradeFact::Status(report) => (Some(report.status.as_str().to_owned()), Some(report.raw.clone()), None),
        TradeFact::Shipping(logistics_id, package) => {
            let waybill = package.waybill.as_ref();
            let shipping = ShippingData {
                logistics_id: logistics_id.clone(),
                carrier: waybill.map(|waybill| waybill.carrier.clone()),
                waybill: waybill.map(|waybill| waybill.number.clone()),
                trace_status: package.trace.as_ref().map(|trace| trace.status.clone()),
            };
            (None, None, Some(shipping))
        }
    };
    Some(Envelope {
        specversion: SPEC_VERSION.to_owned(),
        id: id.clone().into(),
        source: format!("{MARKETPLACES}{}/{shop}", marketplace.as_str()),
        kind: TRADE_CHANGED.to_owned(),
        subject: Some(trade_id.to_string()),
        time: at.to_rfc3339(),
        datacontenttype: Some("application/json".to_owned()),
        data: TradeData { marketplace: marketplace.as_str().to_owned(), shop, trade_id, status, raw_status, shipping },
    })
}

fn order_envelope(change: &OrderChange) -> Envelope<OrderData> {
    let Origin { source, event_id } = change.report.by.clone();
    Envelope {
        specversion: SPEC_VERSION.to_owned(),
        id: event_id,
        source: format!("{SOURCES}{source}"),
        kind: ORDER_CHANGED.to_owned(),
        subject: Some(change.order.to_string()),
        time: change.report.at.to_rfc3339(),
        datacontenttype: Some("application/json".to_owned()),
        data: OrderData { order_id: change.order.clone(), status: change.report.status.status().as_str().to_owned() },
    }
}

/// Reads a queue message.
pub fn read(message: &str) -> Result<Event, NotAnEvent> {
    let head: Head = parse(message)?;
    match (head.specversion.as_str(), head.kind.as_str()) {
        (SPEC_VERSION, TRADE_CHANGED) => read_trade(parse(message)?).map(Event::Trade),
        (SPEC_VERSION, ORDER_CHANGED) => read_order(parse(message)?).map(Event::Order),
        _ => Err(NotAnEvent::UnknownType),
    }
}

fn parse<'a, T: Deserialize<'a>>(message: &'a str) -> Result<T, NotAnEvent> {
    json::object(message).map_err(|error| NotAnEvent::Malformed(json::describe(&error)))
}

fn time(text: &str) -> Result<UnixMillis, NotAnEvent> {
    UnixMillis::from_rfc3339(text).map_err(|_| NotAnEvent::Invalid("time is not RFC 3339"))
}

/// An attribute of the envelope names what `data` names: two readers of one message must not differ.
fn agree(attribute: Option<&str>, data: &str) -> Result<(), NotAnEvent> {
    if attribute.is_none_or(|attribute| attribute == data) {
        return Ok(());
    }
    Err(NotAnEvent::Invalid("source or subject is not what data names"))
}

fn read_trade(envelope: Envelope<TradeData>) -> Result<TradeChange, NotAnEvent> {
    let named = format!("{MARKETPLACES}{}/{}", envelope.data.marketplace, envelope.data.shop);
    agree(Some(&envelope.source), &named)?;
    agree(envelope.subject.as_deref(), envelope.data.trade_id.as_str())?;
    let at = time(&envelope.time)?;
    let id = MessageId::try_from(envelope.id)?;
    let data = envelope.data;
    let marketplace =
        Marketplace::from_name(&data.marketplace).map_err(|_| NotAnEvent::Invalid("marketplace is not known"))?;
    let fact = match (data.status, data.raw_status, data.shipping) {
        (Some(status), Some(raw), None) => {
            let status = TradeStatus::from_name(&status).ok_or(NotAnEvent::Invalid("status is not known"))?;
            TradeFact::Status(TradeReport { status, at, id, raw })
        }
        (None, None, Some(shipping)) => read_shipping(shipping, at, id)?,
        _ => return Err(NotAnEvent::Invalid("a trade event has status and raw_status, or shipping")),
    };
    Ok(TradeChange { trade: TradeKey { marketplace, shop: data.shop, trade_id: data.trade_id }, fact })
}

fn read_shipping(shipping: ShippingData, at: UnixMillis, id: MessageId) -> Result<TradeFact, NotAnEvent> {
    let waybill = match (shipping.carrier, shipping.waybill) {
        (Some(carrier), Some(number)) => Some(WaybillReport { at, id: id.clone(), carrier, number }),
        (None, None) => None,
        _ => return Err(NotAnEvent::Invalid("shipping has carrier and waybill, or neither")),
    };
    let trace = shipping.trace_status.map(|status| Trace { at, id, status });
    if waybill.is_none() && trace.is_none() {
        return Err(NotAnEvent::Invalid("shipping says nothing"));
    }
    Ok(TradeFact::Shipping(shipping.logistics_id, Package { waybill, trace }))
}

fn read_order(envelope: Envelope<OrderData>) -> Result<OrderChange, NotAnEvent> {
    agree(envelope.subject.as_deref(), envelope.data.order_id.as_str())?;
    let source = envelope.source.strip_prefix(SOURCES).ok_or(NotAnEvent::Invalid("source is not of /sources/"))?;
    let status = ReportedStatus::from_name(&envelope.data.status)
        .ok_or(NotAnEvent::Invalid("status is not one that a source reports"))?;
    Ok(OrderChange {
        order: envelope.data.order_id,
        report: OrderReport {
            status,
            at: time(&envelope.time)?,
            by: Origin { source: SourceName::new(source)?, event_id: envelope.id },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trade(fact: TradeFact) -> Event {
        Event::Trade(TradeChange { trade: "1688#demo#9007199254740993".parse().unwrap(), fact })
    }

    fn at() -> UnixMillis {
        UnixMillis::new(1_586_227_869_437).unwrap()
    }

    fn events() -> Vec<Event> {
        let id = MessageId::new("7565094250").unwrap();
        let status = TradeReport {
            status: TradeStatus::AwaitingShipment,
            at: at(),
            id: id.clone(),
            raw: RawStatus::new("waitsellersend").unwrap(),
        };
        let waybill = WaybillReport {
            at: at(),
            id: id.clone(),
            carrier: Carrier::new("ZTO").unwrap(),
            number: Waybill::new("75300000000001").unwrap(),
        };
        let trace = Trace { at: at(), id, status: TraceStatus::new("SIGN").unwrap() };
        let package = LogisticsId::new("LP00107450035961376").unwrap();
        let report = OrderReport {
            status: ReportedStatus::Arrived,
            at: at(),
            by: Origin { source: SourceName::new("warehouse").unwrap(), event_id: EventId::new("msg_1").unwrap() },
        };
        vec![
            trade(TradeFact::Status(status)),
            trade(TradeFact::Shipping(
                package.clone(),
                Package { waybill: Some(waybill.clone()), trace: Some(trace.clone()) },
            )),
            trade(TradeFact::Shipping(package.clone(), Package { waybill: Some(waybill), trace: None })),
            trade(TradeFact::Shipping(package, Package { waybill: None, trace: Some(trace) })),
            Event::Order(OrderChange { order: OrderId::new("A-1").unwrap(), report }),
        ]
    }

    #[test]
    fn every_event_reads_back_as_it_was_written() {
        for event in events() {
            assert_eq!(read(&write(&event).unwrap()), Ok(event));
        }
    }

    #[test]
    fn a_written_event_has_the_attributes_that_cloudevents_asks_for() {
        let written: serde_json::Value = serde_json::from_str(&write(&events()[0]).unwrap()).unwrap();
        assert_eq!(
            written,
            serde_json::json!({
                "specversion": "1.0", "id": "7565094250", "source": "/marketplaces/1688/demo",
                "type": "sampan.trade.changed.v1", "subject": "9007199254740993",
                "time": "2020-04-07T02:51:09.437Z", "datacontenttype": "application/json",
                "data": {"marketplace": "1688", "shop": "demo", "trade_id": "9007199254740993",
                         "status": "awaiting_shipment", "raw_status": "waitsellersend"}
            })
        );
    }

    #[test]
    fn a_message_that_is_no_event_of_ours_says_why_and_repeats_nothing() {
        let good = write(&events()[0]).unwrap();
        for (message, reason) in [
            ("SECRET".to_owned(), "malformed: not JSON at line 1 column 1"),
            (good.replace("trade.changed.v1", "trade.changed.v2"), "unknown_type: not an event type of this version"),
            (good.replace(r#""1.0""#, r#""2.0""#), "unknown_type: not an event type of this version"),
            (good.replace(r#""awaiting_shipment""#, r#""SECRET""#), "invalid: status is not known"),
            (good.replace("2020-04-07T", "SECRET"), "invalid: time is not RFC 3339"),
        ] {
            assert_eq!(read(&message).unwrap_err().to_string(), reason);
        }
    }
}
