//! What a delivery reported, on its way to become facts.

use crate::after_sale::AfterSale;
use crate::detail::Snapshot;
use crate::id::{AfterSaleId, LogisticsId, MessageId, OrderId};
use crate::image::ProductChange;
use crate::order::OrderReport;
use crate::time::UnixMillis;
use crate::trade::{Package, TradeKey, TradeReport};

/// One thing that somebody reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A marketplace reported of a trade.
    Trade(TradeChange),
    /// A source reported of an order.
    Order(OrderChange),
    /// A marketplace reported that a product changed.
    Product(ProductChange),
}

impl Event {
    /// Its id within its source. `None` for a package that says nothing.
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Order(change) => Some(change.report.by.event_id.as_str()),
            Self::Trade(change) => change.fact.message_id().map(MessageId::as_str),
            Self::Product(change) => Some(change.id.as_str()),
        }
    }

    /// When it happened, by its source's clock. `None` for a package that says nothing.
    pub fn at(&self) -> Option<UnixMillis> {
        match self {
            Self::Order(change) => Some(change.report.at),
            Self::Trade(change) => change.fact.at(),
            Self::Product(change) => Some(change.at),
        }
    }
}

/// A marketplace's report of one trade.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TradeChange {
    /// Which trade.
    pub trade: TradeKey,
    /// What was said of it.
    pub fact: TradeFact,
}

/// What can be said of a trade.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TradeFact {
    /// Its status.
    Status(TradeReport),
    /// One of its consignments.
    Shipping(LogisticsId, Package),
    /// One of its refund cases.
    AfterSale(AfterSaleId, AfterSale),
    /// All of it, as the marketplace told when a sweep asked.
    Snapshot(Box<Snapshot>),
}

impl TradeFact {
    /// When it was said, in which message. `None` for a package that says nothing.
    fn witness(&self) -> Option<(UnixMillis, &MessageId)> {
        match self {
            Self::Status(report) => Some((report.at, &report.id)),
            Self::Shipping(_, Package { waybill: Some(waybill), .. }) => Some((waybill.at, &waybill.id)),
            Self::Shipping(_, Package { trace: Some(trace), .. }) => Some((trace.at, &trace.id)),
            Self::Shipping(_, Package { journey, .. }) => journey.as_ref().map(|journey| (journey.at, &journey.id)),
            Self::AfterSale(_, AfterSale { state: Some(state), .. }) => Some((state.at, &state.id)),
            Self::AfterSale(_, AfterSale { claim, .. }) => claim.as_ref().map(|claim| (claim.at, &claim.id)),
            Self::Snapshot(snapshot) => Some((snapshot.report.at, &snapshot.report.id)),
        }
    }

    /// The marketplace's time of it.
    pub fn at(&self) -> Option<UnixMillis> {
        self.witness().map(|(at, _)| at)
    }

    /// The marketplace's message that said it.
    pub fn message_id(&self) -> Option<&MessageId> {
        self.witness().map(|(_, id)| id)
    }
}

/// A source's report of one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderChange {
    /// Which order.
    pub order: OrderId,
    /// What was said of it.
    pub report: OrderReport,
}
