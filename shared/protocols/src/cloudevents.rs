//! Queue messages: CloudEvents 1.0 in JSON. `source` + `id` is the dedupe key, `subject` the trade or
//! order id, `time` the sender's time. Source: cloudevents/spec, spec.md and json-format.md.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use domain::event::TradeFact;
use domain::{
    AfterSale, AfterSaleId, AfterSaleState, Carrier, Claim, Event, EventId, InvalidText, Journey, LineId,
    ListingDigest, LogisticsId, Marketplace, MessageId, OrderChange, OrderId, OrderReport, Origin, Package,
    ProductChange, ProductId, ProductKey, RawDetail, RawStatus, ReportedStatus, ShopId, Snapshot, SourceName,
    StateReport, StoredKey, Trace, TraceStatus, TradeChange, TradeDetail, TradeId, TradeKey, TradeReport, TradeStatus,
    UnixMillis, Waybill, WaybillReport,
};
use serde::{Deserialize, Serialize};

use crate::detail::{Amount, Body, Moment};
use crate::json;

/// A marketplace reported of a trade.
pub const TRADE_CHANGED: &str = "sampan.trade.changed.v1";
/// A source reported of an order.
pub const ORDER_CHANGED: &str = "sampan.order.changed.v1";
/// A marketplace reported that a product changed.
pub const PRODUCT_CHANGED: &str = "sampan.product.changed.v1";

/// Consignments that go with one reading of a trade. A trade is sent in a handful of parcels; with the longest of each
/// field this many are 45 KB of the 256 KiB that a message holds. The raw answer has them all.
pub const SHIPPING_MAX: usize = 100;
/// Refund cases that go with one reading of a trade, likewise: 30 KB.
pub const AFTER_SALES_MAX: usize = 100;

pub(crate) const SPEC_VERSION: &str = "1.0";
/// What the data of every message is.
pub(crate) const JSON: &str = "application/json";
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

/// Why an event has no message.
#[derive(Debug, thiserror::Error)]
pub enum NotWritten {
    /// It says nothing.
    #[error("the event says nothing")]
    Nothing,
    /// Its message would not say all of it: it joins what several messages said, or holds what has no form.
    #[error("the event does not read back from its message")]
    Lossy,
    /// It cannot be JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Envelope<D> {
    pub(crate) specversion: String,
    pub(crate) id: EventId,
    pub(crate) source: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) subject: Option<String>,
    pub(crate) time: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) datacontenttype: Option<String>,
    pub(crate) data: D,
}

/// What is common to all types, to choose the reader by.
#[derive(Deserialize)]
pub(crate) struct Head {
    pub(crate) specversion: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
}

/// The source of what one of our shops at a marketplace reports.
pub(crate) fn shop_source(marketplace: Marketplace, shop: &ShopId) -> String {
    format!("{MARKETPLACES}{}/{shop}", marketplace.as_str())
}

/// What is said of a trade: `status` and `raw_status`, or one `shipping`, or one `after_sale`; or, when a sweep asked,
/// its status, lists of the other two, and the `detail`.
#[derive(Default, Serialize, Deserialize)]
struct TradeData {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    raw_status: Option<RawStatus>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shipping: Option<Shipping>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after_sale: Option<AfterSaleData>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after_sales: Option<Vec<AfterSaleData>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    detail: Option<DetailData>,
}

/// What is said, and of which trade.
#[derive(Serialize, Deserialize)]
struct OfTrade {
    marketplace: String,
    shop: ShopId,
    trade_id: TradeId,
    #[serde(flatten)]
    said: TradeData,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Shipping {
    All(Vec<ShippingData>),
    One(ShippingData),
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shipped_at: Option<Moment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signed_at: Option<Moment>,
}

#[derive(Serialize, Deserialize)]
struct AfterSaleData {
    id: AfterSaleId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    state: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    raw_state: Option<RawStatus>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    line: Option<LineId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    amount: Option<Amount>,
}

/// A detail. The answer itself is gzip in base64 (`raw`), or in the bucket (`raw_key`).
#[derive(Serialize, Deserialize)]
struct DetailData {
    modified_at: Moment,
    seen_at: Moment,
    listed: ListingDigest,
    content: Body,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    raw: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    raw_key: Option<StoredKey>,
}

/// Which product changed. What changed of it is asked for.
#[derive(Serialize, Deserialize)]
struct ProductData {
    marketplace: String,
    shop: ShopId,
    product_id: ProductId,
}

#[derive(Serialize, Deserialize)]
struct OrderData {
    order_id: OrderId,
    status: String,
}

/// Writes an event as a queue message. One that would not read back as it is has none.
pub fn write(event: &Event) -> Result<String, NotWritten> {
    let message = match event {
        Event::Trade(change) => serde_json::to_string(&trade_envelope(change).ok_or(NotWritten::Nothing)?)?,
        Event::Order(change) => serde_json::to_string(&order_envelope(change))?,
        Event::Product(change) => serde_json::to_string(&product_envelope(change))?,
    };
    let reads_back = read(&message).is_ok_and(|read| read == *event);
    reads_back.then_some(message).ok_or(NotWritten::Lossy)
}

fn trade_envelope(change: &TradeChange) -> Option<Envelope<OfTrade>> {
    let TradeKey { marketplace, shop, trade_id } = change.trade.clone();
    let (at, id) = (change.fact.at()?, change.fact.message_id()?);
    Some(Envelope {
        specversion: SPEC_VERSION.to_owned(),
        id: id.clone().into(),
        source: shop_source(marketplace, &shop),
        kind: TRADE_CHANGED.to_owned(),
        subject: Some(trade_id.to_string()),
        time: at.to_rfc3339(),
        datacontenttype: Some(JSON.to_owned()),
        data: OfTrade { marketplace: marketplace.as_str().to_owned(), shop, trade_id, said: said(&change.fact) },
    })
}

fn said(fact: &TradeFact) -> TradeData {
    match fact {
        TradeFact::Status(report) => of_status(report),
        TradeFact::Shipping(id, package) => {
            TradeData { shipping: Some(Shipping::One(shipping(id, package))), ..TradeData::default() }
        }
        TradeFact::AfterSale(id, case) => TradeData { after_sale: Some(after_sale(id, case)), ..TradeData::default() },
        TradeFact::Snapshot(snapshot) => TradeData {
            shipping: Some(Shipping::All(snapshot.packages.iter().map(|(id, of)| shipping(id, of)).collect())),
            after_sales: Some(snapshot.after_sales.iter().map(|(id, of)| after_sale(id, of)).collect()),
            detail: Some(detail(&snapshot.detail)),
            ..of_status(&snapshot.report)
        },
    }
}

fn of_status(report: &TradeReport) -> TradeData {
    let (status, raw_status) = (Some(report.status.as_str().to_owned()), Some(report.raw.clone()));
    TradeData { status, raw_status, ..TradeData::default() }
}

fn shipping(id: &LogisticsId, package: &Package) -> ShippingData {
    let (waybill, journey) = (package.waybill.as_ref(), package.journey.as_ref());
    ShippingData {
        logistics_id: id.clone(),
        carrier: waybill.map(|waybill| waybill.carrier.clone()),
        waybill: waybill.map(|waybill| waybill.number.clone()),
        trace_status: package.trace.as_ref().map(|trace| trace.status.clone()),
        shipped_at: journey.and_then(|journey| journey.shipped_at).map(Moment),
        signed_at: journey.and_then(|journey| journey.signed_at).map(Moment),
    }
}

fn after_sale(id: &AfterSaleId, case: &AfterSale) -> AfterSaleData {
    let (state, claim) = (case.state.as_ref(), case.claim.as_ref());
    AfterSaleData {
        id: id.clone(),
        state: state.map(|report| report.state.as_str().to_owned()),
        raw_state: state.map(|report| report.raw.clone()),
        line: claim.and_then(|claim| claim.line.clone()),
        amount: claim.and_then(|claim| claim.money).map(Amount),
    }
}

fn detail(detail: &TradeDetail) -> DetailData {
    let (raw, raw_key) = match &detail.raw {
        RawDetail::Inline(gzip) => (Some(BASE64.encode(gzip)), None),
        RawDetail::Stored(key) => (None, Some(key.clone())),
    };
    DetailData {
        modified_at: Moment(detail.modified_at),
        seen_at: Moment(detail.seen_at),
        listed: detail.listed.clone(),
        content: Body::from(&detail.content),
        raw,
        raw_key,
    }
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
        datacontenttype: Some(JSON.to_owned()),
        data: OrderData { order_id: change.order.clone(), status: change.report.status.status().as_str().to_owned() },
    }
}

fn product_envelope(change: &ProductChange) -> Envelope<ProductData> {
    let ProductKey { marketplace, shop, product_id } = change.product.clone();
    Envelope {
        specversion: SPEC_VERSION.to_owned(),
        id: change.id.clone().into(),
        source: shop_source(marketplace, &shop),
        kind: PRODUCT_CHANGED.to_owned(),
        subject: Some(product_id.to_string()),
        time: change.at.to_rfc3339(),
        datacontenttype: Some(JSON.to_owned()),
        data: ProductData { marketplace: marketplace.as_str().to_owned(), shop, product_id },
    }
}

/// Reads a queue message.
pub fn read(message: &str) -> Result<Event, NotAnEvent> {
    let head: Head = parse(message)?;
    match (head.specversion.as_str(), head.kind.as_str()) {
        (SPEC_VERSION, TRADE_CHANGED) => read_trade(parse(message)?).map(Event::Trade),
        (SPEC_VERSION, ORDER_CHANGED) => read_order(parse(message)?).map(Event::Order),
        (SPEC_VERSION, PRODUCT_CHANGED) => read_product(parse(message)?).map(Event::Product),
        _ => Err(NotAnEvent::UnknownType),
    }
}

pub(crate) fn parse<'a, T: Deserialize<'a>>(message: &'a str) -> Result<T, NotAnEvent> {
    json::object(message).map_err(|error| NotAnEvent::Malformed(json::describe(&error)))
}

pub(crate) fn time(text: &str) -> Result<UnixMillis, NotAnEvent> {
    UnixMillis::from_rfc3339(text).map_err(|_| NotAnEvent::Invalid("time is not RFC 3339"))
}

/// An attribute of the envelope names what `data` names: two readers of one message must not differ.
pub(crate) fn agree(attribute: Option<&str>, data: &str) -> Result<(), NotAnEvent> {
    if attribute.is_none_or(|attribute| attribute == data) {
        return Ok(());
    }
    Err(NotAnEvent::Invalid("source or subject is not what data names"))
}

fn read_trade(envelope: Envelope<OfTrade>) -> Result<TradeChange, NotAnEvent> {
    let witness = (time(&envelope.time)?, &MessageId::try_from(envelope.id)?);
    let OfTrade { marketplace, shop, trade_id, said } = envelope.data;
    let marketplace = marketplace_named(&marketplace)?;
    agree(Some(&envelope.source), &shop_source(marketplace, &shop))?;
    agree(envelope.subject.as_deref(), trade_id.as_str())?;
    Ok(TradeChange { trade: TradeKey { marketplace, shop, trade_id }, fact: read_said(said, witness)? })
}

fn read_product(envelope: Envelope<ProductData>) -> Result<ProductChange, NotAnEvent> {
    let ProductData { marketplace, shop, product_id } = envelope.data;
    let marketplace = marketplace_named(&marketplace)?;
    agree(Some(&envelope.source), &shop_source(marketplace, &shop))?;
    agree(envelope.subject.as_deref(), product_id.as_str())?;
    let (at, id) = (time(&envelope.time)?, MessageId::try_from(envelope.id)?);
    Ok(ProductChange { product: ProductKey { marketplace, shop, product_id }, at, id })
}

pub(crate) fn marketplace_named(name: &str) -> Result<Marketplace, NotAnEvent> {
    Marketplace::from_name(name).map_err(|_| NotAnEvent::Invalid("marketplace is not known"))
}

/// When something was said, in which message.
type Witness<'a> = (UnixMillis, &'a MessageId);

fn read_said(said: TradeData, witness: Witness<'_>) -> Result<TradeFact, NotAnEvent> {
    let TradeData { status, raw_status, shipping, after_sale, after_sales, detail } = said;
    match (both(status, raw_status)?, shipping, after_sale, both(after_sales, detail)?) {
        (Some(said), None, None, None) => read_status(said, witness).map(TradeFact::Status),
        (None, Some(Shipping::One(said)), None, None) => {
            let (id, package) = read_shipping(said, witness)?;
            let says_something = package != Package::default();
            says_something
                .then_some(TradeFact::Shipping(id, package))
                .ok_or(NotAnEvent::Invalid("shipping says nothing"))
        }
        (None, None, Some(said), None) => {
            read_after_sale(said, witness).map(|(id, case)| TradeFact::AfterSale(id, case))
        }
        (Some(status), Some(Shipping::All(packages)), None, Some((cases, detail))) => {
            let packages = packages.into_iter().map(|said| read_shipping(said, witness));
            let after_sales = cases.into_iter().map(|said| read_after_sale(said, witness));
            Ok(TradeFact::Snapshot(Box::new(Snapshot {
                report: read_status(status, witness)?,
                packages: packages.collect::<Result<_, _>>()?,
                after_sales: after_sales.collect::<Result<_, _>>()?,
                detail: read_detail(detail, witness)?,
            })))
        }
        _ => Err(OTHER_FORM),
    }
}

const OTHER_FORM: NotAnEvent =
    NotAnEvent::Invalid("a trade event has status and raw_status, or shipping, or after_sale, or all with a detail");

/// Two parts that are only there together.
fn both<A, B>(one: Option<A>, other: Option<B>) -> Result<Option<(A, B)>, NotAnEvent> {
    if one.is_some() == other.is_some() { Ok(one.zip(other)) } else { Err(OTHER_FORM) }
}

fn read_status(said: (String, RawStatus), (at, id): Witness<'_>) -> Result<TradeReport, NotAnEvent> {
    let status = TradeStatus::from_name(&said.0).ok_or(NotAnEvent::Invalid("status is not known"))?;
    Ok(TradeReport { status, at, id: id.clone(), raw: said.1 })
}

fn read_shipping(said: ShippingData, (at, id): Witness<'_>) -> Result<(LogisticsId, Package), NotAnEvent> {
    let waybill = match (said.carrier, said.waybill) {
        (Some(carrier), Some(number)) => Some(WaybillReport { at, id: id.clone(), carrier, number }),
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => {
            return Err(NotAnEvent::Invalid("shipping has carrier and waybill, or neither"));
        }
    };
    let trace = said.trace_status.map(|status| Trace { at, id: id.clone(), status });
    let (shipped_at, signed_at) = (said.shipped_at.map(|moment| moment.0), said.signed_at.map(|moment| moment.0));
    let has_journey = shipped_at.is_some() || signed_at.is_some();
    let journey = has_journey.then(|| Journey { at, id: id.clone(), shipped_at, signed_at });
    Ok((said.logistics_id, Package { waybill, trace, journey }))
}

fn read_after_sale(said: AfterSaleData, (at, id): Witness<'_>) -> Result<(AfterSaleId, AfterSale), NotAnEvent> {
    let state = match (said.state, said.raw_state) {
        (Some(state), Some(raw)) => {
            let state = AfterSaleState::from_name(&state).ok_or(NotAnEvent::Invalid("state is not known"))?;
            Some(StateReport { at, id: id.clone(), state, raw })
        }
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => {
            return Err(NotAnEvent::Invalid("after_sale has state and raw_state, or neither"));
        }
    };
    let money = said.amount.map(|amount| amount.0);
    let claim = Claim::reported(at, id, said.line, money);
    let case = AfterSale { state, claim };
    if case == AfterSale::default() {
        return Err(NotAnEvent::Invalid("after_sale says nothing"));
    }
    Ok((said.id, case))
}

fn read_detail(said: DetailData, (_, id): Witness<'_>) -> Result<TradeDetail, NotAnEvent> {
    let raw = match (said.raw, said.raw_key) {
        (Some(base64), None) => {
            let gzip = BASE64.decode(base64).map_err(|_| NotAnEvent::Invalid("raw is not base64"))?;
            RawDetail::Inline(gzip)
        }
        (None, Some(key)) => RawDetail::Stored(key),
        (None, None) | (Some(_), Some(_)) => return Err(NotAnEvent::Invalid("detail has either raw or raw_key")),
    };
    Ok(TradeDetail {
        modified_at: said.modified_at.0,
        seen_at: said.seen_at.0,
        id: id.clone(),
        listed: said.listed,
        content: said.content.into(),
        raw,
    })
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
    use domain::{Currency, Money, Picture, ProductId, ProductName, TradeContent, TradeLine};
    use rust_decimal::Decimal;

    use super::*;

    fn trade(fact: TradeFact) -> Event {
        Event::Trade(TradeChange { trade: "1688#demo#9007199254740993".parse().unwrap(), fact })
    }

    fn at() -> UnixMillis {
        UnixMillis::new(1_586_227_869_437).unwrap()
    }

    fn yuan(minor: i64) -> Money {
        Money::new(minor, Currency::from_code("CNY").unwrap()).unwrap()
    }

    fn id() -> MessageId {
        MessageId::new("7565094250").unwrap()
    }

    fn report() -> TradeReport {
        let raw = RawStatus::new("waitsellersend").unwrap();
        TradeReport { status: TradeStatus::AwaitingShipment, at: at(), id: id(), raw }
    }

    fn package() -> Package {
        let (carrier, number) = (Carrier::new("ZTO").unwrap(), Waybill::new("75300000000001").unwrap());
        Package {
            waybill: Some(WaybillReport { at: at(), id: id(), carrier, number }),
            trace: Some(Trace { at: at(), id: id(), status: TraceStatus::new("SIGN").unwrap() }),
            journey: Some(Journey { at: at(), id: id(), shipped_at: Some(at()), signed_at: None }),
        }
    }

    fn case() -> AfterSale {
        let raw = RawStatus::new("refundsuccess").unwrap();
        let line = LineId::new("1").unwrap();
        AfterSale {
            state: Some(StateReport { at: at(), id: id(), state: AfterSaleState::Refunded, raw }),
            claim: Some(Claim { at: at(), id: id(), line: Some(line), money: Some(yuan(100)) }),
        }
    }

    fn snapshot(raw: RawDetail) -> Snapshot {
        let line = TradeLine {
            id: LineId::new("1").unwrap(),
            product: None,
            sku: None,
            name: ProductName::new("\u{4e1d}\u{5dfe}").ok(),
            quantity: Some(Decimal::new(25, 1)),
            unit_price: None,
            amount: Some(yuan(12_345)),
            picture: None,
            status: None,
        };
        let content = TradeContent { created_at: Some(at()), lines: vec![line], ..TradeContent::default() };
        let listed = ListingDigest::new("0123").unwrap();
        let modified_at = at().saturating_add_ms(-437);
        Snapshot {
            report: report(),
            packages: vec![
                (LogisticsId::new("LP1").unwrap(), package()),
                // Of this one, the marketplace told no more than that it is.
                (LogisticsId::new("LP2").unwrap(), Package::default()),
            ],
            after_sales: vec![(AfterSaleId::new("TQ1").unwrap(), case())],
            detail: TradeDetail { modified_at, seen_at: at(), id: id(), listed, content, raw },
        }
    }

    fn events() -> Vec<Event> {
        let consignment = |package| TradeFact::Shipping(LogisticsId::new("LP00107450035961376").unwrap(), package);
        let refund = |case| TradeFact::AfterSale(AfterSaleId::new("TQ7257793022991577").unwrap(), case);
        let read = |raw| TradeFact::Snapshot(Box::new(snapshot(raw)));
        let by = Origin { source: SourceName::new("warehouse").unwrap(), event_id: EventId::new("msg_1").unwrap() };
        let report_of_order = OrderReport { status: ReportedStatus::Arrived, at: at(), by };
        let facts = [
            TradeFact::Status(report()),
            consignment(package()),
            consignment(Package { waybill: package().waybill, ..Package::default() }),
            consignment(Package { trace: package().trace, ..Package::default() }),
            consignment(Package { journey: package().journey, ..Package::default() }),
            refund(case()),
            refund(AfterSale { state: case().state, claim: None }),
            refund(AfterSale { state: None, claim: case().claim }),
            read(RawDetail::Inline(vec![0x1f, 0x8b, 0xff, 0])),
            read(RawDetail::Stored(StoredKey::new("details/1688/demo/1/ab.json.gz").unwrap())),
        ];
        let order = OrderChange { order: OrderId::new("A-1").unwrap(), report: report_of_order };
        facts.into_iter().map(trade).chain([Event::Order(order)]).collect()
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
    fn messages_of_earlier_versions_read_as_they_did() {
        let head = r#"{"specversion":"1.0","id":"7","source":"/marketplaces/1688/demo","type":"sampan.trade.changed.v1",
            "subject":"1","time":"2020-04-07T02:51:09.437Z","data":{"marketplace":"1688","shop":"demo","trade_id":"1","#;
        let fact = |data: &str| match read(&format!("{head}{data}}}}}")) {
            Ok(Event::Trade(change)) => Some(change.fact),
            Ok(Event::Order(_) | Event::Product(_)) | Err(_) => None,
        };
        let status = fact(r#""status":"awaiting_shipment","raw_status":"waitsellersend""#);
        let id = MessageId::new("7").unwrap();
        assert_eq!(status, Some(TradeFact::Status(TradeReport { id: id.clone(), ..report() })));
        let shipping = fact(r#""shipping":{"logistics_id":"LP1","carrier":"ZTO","waybill":"9","trace_status":"SIGN"}"#);
        let Some(TradeFact::Shipping(logistics_id, package)) = shipping else { panic!("{shipping:?}") };
        assert_eq!((logistics_id.as_str(), package.journey), ("LP1", None));
        assert_eq!(package.waybill.map(|waybill| (waybill.at, waybill.id)), Some((at(), id)));
        for refused in [
            r#""status":"awaiting_shipment""#,
            r#""status":"shipped","shipping":{"logistics_id":"LP1","trace_status":"SIGN"}"#,
            r#""status":"shipped","raw_status":"x","shipping":{"logistics_id":"LP1","trace_status":"SIGN"}"#,
            r#""shipping":{"logistics_id":"LP1"}"#,
            r#""shipping":{"logistics_id":"LP1","carrier":"ZTO"}"#,
            r#""shipping":{}"#,
            r#""shipping":[]"#,
            r#""after_sale":{"id":"1"}"#,
            r#""after_sale":{"id":"1","state":"refunded"}"#,
        ] {
            assert_eq!(fact(refused), None, "{refused}");
        }
    }

    #[test]
    fn what_says_nothing_or_more_than_a_message_can_is_not_written() {
        let says = |fact| write(&trade(fact)).map_err(|error| error.to_string());
        let nothing = Err("the event says nothing".to_owned());
        let logistics_id = LogisticsId::new("LP1").unwrap();
        assert_eq!(says(TradeFact::Shipping(logistics_id.clone(), Package::default())), nothing);
        assert_eq!(says(TradeFact::AfterSale(AfterSaleId::new("1").unwrap(), AfterSale::default())), nothing);
        // Joined of two messages: one of them would be lost.
        let mut joined = package();
        joined.trace = joined.trace.map(|trace| Trace { id: MessageId::new("other").unwrap(), ..trace });
        let lossy = Err("the event does not read back from its message".to_owned());
        assert_eq!(says(TradeFact::Shipping(logistics_id, joined)), lossy);
        let mut stamped = snapshot(RawDetail::Inline(Vec::new()));
        stamped.detail.id = MessageId::new("other").unwrap();
        assert_eq!(says(TradeFact::Snapshot(Box::new(stamped))), lossy);
    }

    #[test]
    fn the_largest_message_fits_the_queue() {
        // A backslash is two bytes in JSON, and no character that a name may have is more.
        let worst = |bytes: usize| "\\".repeat(bytes);
        let digits = |bytes: usize| "9".repeat(bytes);
        let id = MessageId::new(digits(MessageId::BYTES_MAX)).unwrap();
        let money = || Money::new(Money::MINOR_MAX, Currency::from_code("CNY").unwrap()).unwrap();
        let time = UnixMillis::MAX;
        let line = || TradeLine {
            id: LineId::new(digits(LineId::BYTES_MAX)).unwrap(),
            product: ProductId::new(digits(ProductId::BYTES_MAX)).ok(),
            sku: ProductId::new(digits(ProductId::BYTES_MAX)).ok(),
            name: ProductName::new(worst(ProductName::BYTES_MAX)).ok(),
            quantity: Some(Decimal::MAX),
            unit_price: Some(Decimal::MAX),
            amount: Some(money()),
            picture: Picture::new(worst(Picture::BYTES_MAX)).ok(),
            status: RawStatus::new(worst(RawStatus::BYTES_MAX)).ok(),
        };
        let (carrier, number) = (worst(Carrier::BYTES_MAX), worst(Waybill::BYTES_MAX));
        let packages = (0..SHIPPING_MAX).map(|_| {
            let (carrier, number) = (Carrier::new(carrier.clone()).unwrap(), Waybill::new(number.clone()).unwrap());
            let package = Package {
                waybill: Some(WaybillReport { at: time, id: id.clone(), carrier, number }),
                trace: TraceStatus::new(digits(32)).ok().map(|status| Trace { at: time, id: id.clone(), status }),
                journey: Some(Journey { at: time, id: id.clone(), shipped_at: Some(time), signed_at: Some(time) }),
            };
            (LogisticsId::new(digits(LogisticsId::BYTES_MAX)).unwrap(), package)
        });
        let after_sales = (0..AFTER_SALES_MAX).map(|_| {
            let raw = RawStatus::new(worst(RawStatus::BYTES_MAX)).unwrap();
            let state = AfterSaleState::AwaitingReturn;
            let claim = Claim { at: time, id: id.clone(), line: LineId::new(digits(24)).ok(), money: Some(money()) };
            let case =
                AfterSale { state: Some(StateReport { at: time, id: id.clone(), state, raw }), claim: Some(claim) };
            (AfterSaleId::new(digits(AfterSaleId::BYTES_MAX)).unwrap(), case)
        });
        let content = crate::detail::bounded(TradeContent { lines: vec![line(); 200], ..TradeContent::default() });
        assert!(content.lines.len() >= 50, "{} lines", content.lines.len());
        let raw = RawDetail::Inline(vec![0xff; 32 * 1_024]);
        let listed = ListingDigest::new(digits(32)).unwrap();
        let snapshot = Snapshot {
            report: TradeReport { at: time, id: id.clone(), ..report() },
            packages: packages.collect(),
            after_sales: after_sales.collect(),
            detail: TradeDetail { modified_at: time, seen_at: time, id, listed, content, raw },
        };
        let bytes = write(&trade(TradeFact::Snapshot(Box::new(snapshot)))).unwrap().len();
        assert!(bytes <= 256 * 1_024, "{bytes} bytes");
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
