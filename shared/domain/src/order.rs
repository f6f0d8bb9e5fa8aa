//! An order: what a customer bought from our shop, and the facts that outsiders reported of it.

use std::collections::BTreeMap;

use crate::fact::{Outcome, Prefer, join};
use crate::id::{EventId, OrderId, RefundId, Sku, SourceName};
use crate::money::{Currency, InvalidMoney, Money};
use crate::rate::Rate;
use crate::refund::{Refund, RefundTotals};
use crate::time::UnixMillis;
use crate::trade::TradeKey;
use crate::view::Witness;

/// Where an order stands. Declared in the ranks of law 2: the greatest that the facts support is the status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OrderStatus {
    /// Nothing is known yet but that the order exists.
    Pending,
    /// The captured money covers what is due.
    Paid,
    /// A linked trade lives.
    Purchasing,
    /// Every living linked trade is bought.
    Purchased,
    /// The goods reached our warehouse.
    Arrived,
    /// The goods are packed for the customer.
    Packed,
    /// The order was called off before the goods left.
    Cancelled,
    /// The goods left for the customer. Above CANCELLED: what has left has left.
    Shipped,
    /// The customer has the goods.
    Completed,
    /// All that was captured went back.
    Refunded,
}

impl OrderStatus {
    /// All, from the lowest rank to the highest.
    pub const ALL: [Self; 10] = [
        Self::Pending,
        Self::Paid,
        Self::Purchasing,
        Self::Purchased,
        Self::Arrived,
        Self::Packed,
        Self::Cancelled,
        Self::Shipped,
        Self::Completed,
        Self::Refunded,
    ];

    /// The name in answers, items and tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Paid => "PAID",
            Self::Purchasing => "PURCHASING",
            Self::Purchased => "PURCHASED",
            Self::Arrived => "ARRIVED",
            Self::Packed => "PACKED",
            Self::Cancelled => "CANCELLED",
            Self::Shipped => "SHIPPED",
            Self::Completed => "COMPLETED",
            Self::Refunded => "REFUNDED",
        }
    }

    /// Whether nothing more is expected to happen.
    pub const fn is_end(self) -> bool {
        match self {
            Self::Cancelled | Self::Completed | Self::Refunded => true,
            Self::Pending
            | Self::Paid
            | Self::Purchasing
            | Self::Purchased
            | Self::Arrived
            | Self::Packed
            | Self::Shipped => false,
        }
    }
}

/// The statuses that a source may report. The others are conclusions of the view: from money (PAID,
/// REFUNDED) and from trades (PURCHASING, PURCHASED).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReportedStatus {
    /// The goods reached our warehouse.
    Arrived,
    /// The goods are packed for the customer.
    Packed,
    /// The order was called off.
    Cancelled,
    /// The goods left for the customer.
    Shipped,
    /// The customer has the goods.
    Completed,
}

impl ReportedStatus {
    /// All, from the lowest rank to the highest.
    pub const ALL: [Self; 5] = [Self::Arrived, Self::Packed, Self::Cancelled, Self::Shipped, Self::Completed];

    /// The order status that such a report supports.
    pub const fn status(self) -> OrderStatus {
        match self {
            Self::Arrived => OrderStatus::Arrived,
            Self::Packed => OrderStatus::Packed,
            Self::Cancelled => OrderStatus::Cancelled,
            Self::Shipped => OrderStatus::Shipped,
            Self::Completed => OrderStatus::Completed,
        }
    }

    /// The status of that name, in any letter case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.status().as_str().eq_ignore_ascii_case(name))
    }
}

/// Who said it, in which event.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// The sender: a warehouse, or the client that linked a trade.
    pub source: SourceName,
    /// The sender's event.
    pub event_id: EventId,
}

/// A source's report that an order reached a status. Of two reports of one status the earlier is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderReport {
    /// The reported status.
    pub status: ReportedStatus,
    /// When, by the sender's clock.
    pub at: UnixMillis,
    /// Who said so.
    pub by: Origin,
}

impl Prefer for OrderReport {
    fn is_preferred_to(&self, other: &Self) -> bool {
        (self.at, &self.by) < (other.at, &other.by)
    }
}

/// A client's word that a trade was made for an order. Of two links of one trade the earlier is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The linked trade.
    pub trade: TradeKey,
    /// When the link was made known, by our clock.
    pub at: UnixMillis,
    /// Who said so.
    pub by: Origin,
}

impl Prefer for Link {
    fn is_preferred_to(&self, other: &Self) -> bool {
        (self.at, &self.by) < (other.at, &other.by)
    }
}

/// One line of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The shop's own name of the thing.
    pub sku: Sku,
    /// How many; at least one.
    pub quantity: u32,
    /// The price of one, in the currency of the order's price.
    pub unit_price: Money,
}

/// What the shop front says of an order that it creates. The same id with other content is another order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderContent {
    /// The whole price, in the shop's currency. The lines need not come to it: shipping and discounts are in it too.
    pub price: Money,
    /// The currency that the customer pays in.
    pub charge_currency: Currency,
    /// What was bought.
    pub lines: Vec<Line>,
}

/// An order as it was created. Written once, and never changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// What the shop front said.
    pub content: OrderContent,
    /// The pinned rate, from the price's currency to the charge's. Absent only when the record is damaged.
    pub rate: Option<Rate>,
    /// What the customer owes: the price by the pinned rate, in the charge currency.
    pub due: Money,
    /// When it was created, by our clock.
    pub at: UnixMillis,
    /// Who created it.
    pub by: Origin,
}

/// Why an order cannot be created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotPlaced {
    /// The price is nothing, or less than half a minor unit of the charge currency.
    #[error("the price comes to nothing in the charge currency")]
    Nothing,
    /// The price cannot be converted.
    #[error(transparent)]
    Amount(#[from] InvalidMoney),
}

impl Placed {
    /// Pins a rate to an order.
    pub fn new(content: OrderContent, rate: Rate, at: UnixMillis, by: Origin) -> Result<Self, NotPlaced> {
        let due = rate.convert(content.price)?;
        if due.is_zero() { Err(NotPlaced::Nothing) } else { Ok(Self { content, rate: Some(rate), due, at, by }) }
    }

    /// Who created it, and when.
    pub fn witness(&self) -> Witness {
        Witness { at: self.at, source: self.by.source.to_string(), event_id: self.by.event_id.clone() }
    }
}

/// Everything that is kept of one order: its creation, for each fact the report that is kept, its refunds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OrderFacts {
    /// Its creation; absent for an order that is known by reports and links only.
    pub placed: Option<Placed>,
    /// The refunds that were granted, by id.
    pub refunds: BTreeMap<RefundId, Refund>,
    /// What the refunds come to.
    pub refund_totals: RefundTotals,
    reports: BTreeMap<ReportedStatus, OrderReport>,
    links: BTreeMap<TradeKey, Link>,
}

impl OrderFacts {
    /// Takes a report in.
    pub fn report(&mut self, report: OrderReport) -> Outcome {
        let mut kept = self.reports.remove(&report.status);
        let status = report.status;
        let outcome = join(&mut kept, report);
        self.reports.extend(kept.map(|kept| (status, kept)));
        outcome
    }

    /// Takes a link in.
    pub fn link(&mut self, link: Link) -> Outcome {
        let mut kept = self.links.remove(&link.trade);
        let trade = link.trade.clone();
        let outcome = join(&mut kept, link);
        self.links.extend(kept.map(|kept| (trade, kept)));
        outcome
    }

    /// Whether nothing was ever said of it: such an order is unknown.
    pub fn is_empty(&self) -> bool {
        self.placed.is_none() && self.reports.is_empty() && self.links.is_empty()
    }

    /// The refunds in the order in which they were granted.
    pub fn refunds_in_turn(&self) -> Vec<&Refund> {
        let mut refunds: Vec<&Refund> = self.refunds.values().collect();
        refunds.sort_by_key(|refund| refund.through.count);
        refunds
    }

    /// Whether the refunds and their counter tell the same. They are written together, and a reader may meet them in
    /// between.
    pub fn has_all_refunds(&self) -> bool {
        u32::try_from(self.refunds.len()) == Ok(self.refund_totals.count)
    }

    /// The kept reports, by rank.
    pub fn reports(&self) -> impl Iterator<Item = &OrderReport> {
        self.reports.values()
    }

    /// The kept links, by trade.
    pub fn links(&self) -> impl Iterator<Item = &Link> {
        self.links.values()
    }
}

/// The facts of one order under its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownOrder {
    /// Our name of the order.
    pub id: OrderId,
    /// What was reported of it.
    pub facts: OrderFacts,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_those_of_law_2() {
        assert!(OrderStatus::ALL.is_sorted());
        let names: Vec<_> = OrderStatus::ALL.iter().map(|status| status.as_str()).collect();
        assert_eq!(
            names.join(" < "),
            "PENDING < PAID < PURCHASING < PURCHASED < ARRIVED < PACKED < CANCELLED < SHIPPED < COMPLETED < REFUNDED"
        );
    }

    #[test]
    fn a_source_can_report_only_what_no_ledger_or_trade_decides() {
        for name in ["pending", "PAID", "purchasing", "purchased", "refunded", "", "lost"] {
            assert_eq!(ReportedStatus::from_name(name), None, "{name}");
        }
        assert_eq!(ReportedStatus::from_name("Arrived"), Some(ReportedStatus::Arrived));
    }
}
