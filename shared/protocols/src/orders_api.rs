//! The bodies of our own API: what a client sends and reads. Times are RFC 3339 UTC with milliseconds.

use domain::{
    Link, LogisticsId, Marketplace, OrderId, OrderView, Origin, Package, ShopId, TradeFacts, TradeId, TradeKey,
    TradeReport, UnixMillis,
};
use serde::{Deserialize, Serialize};

use crate::Refusal;
use crate::json::{self, Object};

/// Trades that one request may link. An order is bought in a handful; the bound keeps a request's writes few.
pub const TRADES_PER_REQUEST_MAX: usize = 50;

/// `GET /orders/{id}`.
#[derive(Debug, Serialize)]
pub struct Order {
    order_id: OrderId,
    status: &'static str,
    status_at: Option<String>,
    history: Vec<History>,
    flags: Vec<&'static str>,
    payment: Payment,
    exchange_rate: Option<ExchangeRate>,
    trades: Vec<Trade>,
}

#[derive(Debug, Serialize)]
struct History {
    status: &'static str,
    at: String,
    source: String,
    event_id: String,
}

/// What is due and what was paid. An order that was not created has no currency and nothing due.
#[derive(Debug, Serialize)]
struct Payment {
    currency: Option<String>,
    due_minor: Option<i64>,
    paid_minor: i64,
    refunded_minor: i64,
    state: &'static str,
}

/// The pinned rate; an order that was not created has none.
#[derive(Debug, Serialize)]
struct ExchangeRate {
    from: String,
    to: String,
    rate: String,
    source: String,
    captured_at: String,
}

/// A trade in an order, and the head of `GET /trades/…`.
#[derive(Debug, Serialize)]
struct Trade {
    marketplace: &'static str,
    shop: ShopId,
    trade_id: TradeId,
    status: Option<&'static str>,
    raw_status: Option<String>,
    modified_at: Option<String>,
}

/// `GET /trades/{marketplace}/{shop}/{trade_id}`.
#[derive(Debug, Serialize)]
pub struct TradeDetail {
    #[serde(flatten)]
    trade: Trade,
    order_ids: Vec<OrderId>,
    shipping: Vec<Shipping>,
}

#[derive(Debug, Serialize)]
struct Shipping {
    logistics_id: LogisticsId,
    carrier: Option<String>,
    waybill: Option<String>,
    trace_status: Option<String>,
    modified_at: Option<String>,
}

/// An order in the form that clients read.
pub fn order(id: OrderId, view: OrderView) -> Order {
    Order {
        order_id: id,
        status: view.status.as_str(),
        status_at: view.status_at.map(UnixMillis::to_rfc3339),
        history: view
            .history
            .into_iter()
            .map(|entry| History {
                status: entry.status.as_str(),
                at: entry.witness.at.to_rfc3339(),
                source: entry.witness.source,
                event_id: entry.witness.event_id.into(),
            })
            .collect(),
        flags: view.flags.into_iter().map(domain::Flag::as_str).collect(),
        payment: Payment { currency: None, due_minor: None, paid_minor: 0, refunded_minor: 0, state: "unpaid" },
        exchange_rate: None,
        trades: view.trades.into_iter().map(|linked| trade(linked.trade, linked.report.as_ref())).collect(),
    }
}

/// A trade in the form that clients read, with the orders that it is linked from.
pub fn trade_detail(key: TradeKey, facts: &TradeFacts, order_ids: Vec<OrderId>) -> TradeDetail {
    TradeDetail {
        trade: trade(key, facts.statuses.current()),
        order_ids,
        shipping: facts.packages.iter().map(|(id, package)| shipping(id, package)).collect(),
    }
}

fn trade(key: TradeKey, report: Option<&TradeReport>) -> Trade {
    Trade {
        marketplace: key.marketplace.as_str(),
        shop: key.shop,
        trade_id: key.trade_id,
        status: report.map(|report| report.status.as_str()),
        raw_status: report.map(|report| report.raw.to_string()),
        modified_at: report.map(|report| report.at.to_rfc3339()),
    }
}

fn shipping(id: &LogisticsId, package: &Package) -> Shipping {
    let waybill = package.waybill.as_ref();
    let trace = package.trace.as_ref();
    let modified_at = waybill.map(|waybill| waybill.at).max(trace.map(|trace| trace.at));
    Shipping {
        logistics_id: id.clone(),
        carrier: waybill.map(|waybill| waybill.carrier.to_string()),
        waybill: waybill.map(|waybill| waybill.number.to_string()),
        trace_status: trace.map(|trace| trace.status.to_string()),
        modified_at: modified_at.map(UnixMillis::to_rfc3339),
    }
}

#[derive(Deserialize)]
struct LinkBody {
    trades: Vec<Object<LinkedTrade>>,
}

#[derive(Deserialize)]
struct LinkedTrade {
    marketplace: String,
    shop: String,
    trade_id: String,
}

/// Reads the body of `PUT /orders/{id}/trades`: `{"trades":[{"marketplace","shop","trade_id"}]}`.
pub fn read_links(body: &[u8], at: UnixMillis, by: &Origin) -> Result<Vec<Link>, Refusal> {
    let body: LinkBody = json::object_of_bytes(body)
        .map_err(|_| Refusal::Malformed("the body is not {\"trades\":[{\"marketplace\",\"shop\",\"trade_id\"}]}"))?;
    if body.trades.is_empty() {
        return Err(Refusal::Malformed("trades is empty"));
    }
    if body.trades.len() > TRADES_PER_REQUEST_MAX {
        return Err(Refusal::Impossible("one request links at most 50 trades"));
    }
    body.trades
        .into_iter()
        .map(|Object(trade)| {
            Ok(Link { trade: trade_key(&trade.marketplace, trade.shop, trade.trade_id)?, at, by: by.clone() })
        })
        .collect()
}

/// A trade by the parts of its path or its link.
pub fn trade_key(marketplace: &str, shop: impl Into<String>, trade_id: impl Into<String>) -> Result<TradeKey, Refusal> {
    Ok(TradeKey {
        marketplace: Marketplace::from_name(marketplace)
            .map_err(|_| Refusal::Impossible("marketplace is not known"))?,
        shop: ShopId::new(shop).map_err(|_| Refusal::Malformed("shop is not a shop's name"))?,
        trade_id: TradeId::new(trade_id).map_err(|_| Refusal::Malformed("trade_id is not a trade's id"))?,
    })
}
