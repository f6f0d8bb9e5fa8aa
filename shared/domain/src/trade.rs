//! A trade: what a marketplace calls a purchase, and the facts that the marketplace reported of it.

use std::collections::BTreeMap;

use crate::after_sale::AfterSale;
use crate::detail::TradeDetail;
use crate::fact::{Outcome, Prefer, join};
use crate::id::{AfterSaleId, Carrier, LogisticsId, MessageId, RawStatus, ShopId, TraceStatus, TradeId, Waybill};
use crate::time::UnixMillis;

/// A marketplace that we buy or sell at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Marketplace {
    /// 1688, where we buy.
    Alibaba1688,
    /// Taobao, where we sell.
    Taobao,
}

/// The name is not of a marketplace that we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("marketplace is not known")]
pub struct UnknownMarketplace;

impl Marketplace {
    /// All that we know.
    pub const ALL: [Self; 2] = [Self::Alibaba1688, Self::Taobao];

    /// The name in paths, keys and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Alibaba1688 => "1688",
            Self::Taobao => "taobao",
        }
    }

    /// The marketplace of that name.
    pub fn from_name(name: &str) -> Result<Self, UnknownMarketplace> {
        Self::ALL.into_iter().find(|marketplace| marketplace.as_str() == name).ok_or(UnknownMarketplace)
    }
}

/// Which trade: ids are unique only within a shop of a marketplace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TradeKey {
    /// The marketplace.
    pub marketplace: Marketplace,
    /// Our account there.
    pub shop: ShopId,
    /// The marketplace's name of the trade.
    pub trade_id: TradeId,
}

impl std::fmt::Display for TradeKey {
    /// `marketplace#shop#trade_id`, the form of the trades table's key. No part can hold a `#`.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}#{}#{}", self.marketplace.as_str(), self.shop, self.trade_id)
    }
}

impl std::str::FromStr for TradeKey {
    type Err = InvalidTradeKey;
    fn from_str(text: &str) -> Result<Self, InvalidTradeKey> {
        let mut parts = text.splitn(3, '#');
        let mut part = || parts.next().ok_or(InvalidTradeKey);
        Ok(Self {
            marketplace: Marketplace::from_name(part()?).map_err(|_| InvalidTradeKey)?,
            shop: ShopId::new(part()?).map_err(|_| InvalidTradeKey)?,
            trade_id: TradeId::new(part()?).map_err(|_| InvalidTradeKey)?,
        })
    }
}

/// The text is not `marketplace#shop#trade_id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("trade key is not marketplace#shop#trade_id")]
pub struct InvalidTradeKey;

/// Where a trade stands, in words common to all marketplaces. Declared by rank: of two reports of
/// the same millisecond the greater stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TradeStatus {
    /// The marketplace used a word that we do not know. It says that something changed, not what.
    Unrecognised,
    /// Made, not paid.
    AwaitingPayment,
    /// Paid, the seller has to send.
    AwaitingShipment,
    /// Some of the goods are on their way.
    PartlyShipped,
    /// The goods are on their way.
    Shipped,
    /// The goods were received.
    Signed,
    /// The seller has the money. An end.
    Finished,
    /// Called off. An end.
    Closed,
}

impl TradeStatus {
    /// All, from the lowest rank to the highest.
    pub const ALL: [Self; 8] = [
        Self::Unrecognised,
        Self::AwaitingPayment,
        Self::AwaitingShipment,
        Self::PartlyShipped,
        Self::Shipped,
        Self::Signed,
        Self::Finished,
        Self::Closed,
    ];

    /// The name in answers, events and items.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unrecognised => "unrecognised",
            Self::AwaitingPayment => "awaiting_payment",
            Self::AwaitingShipment => "awaiting_shipment",
            Self::PartlyShipped => "partly_shipped",
            Self::Shipped => "shipped",
            Self::Signed => "signed",
            Self::Finished => "finished",
            Self::Closed => "closed",
        }
    }

    /// The status of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }

    /// Whether the goods are bought: paid for, and not called off.
    pub const fn is_bought(self) -> bool {
        match self {
            Self::AwaitingShipment | Self::PartlyShipped | Self::Shipped | Self::Signed | Self::Finished => true,
            Self::Unrecognised | Self::AwaitingPayment | Self::Closed => false,
        }
    }
}

/// A marketplace's report that a trade has a status. Of two reports of one status the later is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TradeReport {
    /// The common status.
    pub status: TradeStatus,
    /// When, by the marketplace's clock.
    pub at: UnixMillis,
    /// The marketplace's message.
    pub id: MessageId,
    /// The marketplace's own word.
    pub raw: RawStatus,
}

impl Prefer for TradeReport {
    fn is_preferred_to(&self, other: &Self) -> bool {
        (self.at, &self.id, &self.raw) > (other.at, &other.id, &other.raw)
    }
}

/// Who carries a consignment, under which number. The latest report is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaybillReport {
    /// When, by the marketplace's clock.
    pub at: UnixMillis,
    /// The marketplace's message.
    pub id: MessageId,
    /// The carrier's code.
    pub carrier: Carrier,
    /// The carrier's number of the parcel.
    pub number: Waybill,
}

impl Prefer for WaybillReport {
    fn is_preferred_to(&self, other: &Self) -> bool {
        (self.at, &self.id, &self.carrier, &self.number) > (other.at, &other.id, &other.carrier, &other.number)
    }
}

/// Where a consignment is. The latest report is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// When, by the marketplace's clock.
    pub at: UnixMillis,
    /// The marketplace's message.
    pub id: MessageId,
    /// The marketplace's own word.
    pub status: TraceStatus,
}

impl Prefer for Trace {
    fn is_preferred_to(&self, other: &Self) -> bool {
        (self.at, &self.id, &self.status) > (other.at, &other.id, &other.status)
    }
}

/// When a consignment left and arrived. The latest report is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journey {
    /// When, by the marketplace's clock, it was reported.
    pub at: UnixMillis,
    /// The reading of the sweep.
    pub id: MessageId,
    /// When it left.
    pub shipped_at: Option<UnixMillis>,
    /// When it was received.
    pub signed_at: Option<UnixMillis>,
}

impl Prefer for Journey {
    fn is_preferred_to(&self, other: &Self) -> bool {
        (self.at, &self.id, self.shipped_at, self.signed_at) > (other.at, &other.id, other.shipped_at, other.signed_at)
    }
}

/// What was reported of one consignment of a trade. The facts do not depend on each other: a changed waybill says
/// nothing of where the parcel is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Package {
    /// Who carries it.
    pub waybill: Option<WaybillReport>,
    /// Where it is.
    pub trace: Option<Trace>,
    /// When it left and arrived.
    pub journey: Option<Journey>,
}

impl Package {
    /// Whether any of what this says is what `joined` keeps.
    pub fn is_part_of(&self, joined: &Self) -> bool {
        (self.waybill.is_some() && self.waybill == joined.waybill)
            || (self.trace.is_some() && self.trace == joined.trace)
            || (self.journey.is_some() && self.journey == joined.journey)
    }

    /// Takes another report of the same consignment in, fact by fact. The better of the outcomes of the facts that it
    /// has; none when it says nothing.
    pub fn join(&mut self, other: Self) -> Option<Outcome> {
        let waybill = other.waybill.map(|waybill| join(&mut self.waybill, waybill));
        let trace = other.trace.map(|trace| join(&mut self.trace, trace));
        let journey = other.journey.map(|journey| join(&mut self.journey, journey));
        waybill.into_iter().chain(trace).chain(journey).min()
    }
}

/// The kept status reports of one trade, at most one a status.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TradeStatuses(BTreeMap<TradeStatus, TradeReport>);

impl TradeStatuses {
    /// Takes a report in.
    pub fn report(&mut self, report: TradeReport) -> Outcome {
        let mut kept = self.0.remove(&report.status);
        let status = report.status;
        let outcome = join(&mut kept, report);
        self.0.extend(kept.map(|kept| (status, kept)));
        outcome
    }

    /// Whether nothing was ever reported.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The kept reports, by rank.
    pub fn reports(&self) -> impl Iterator<Item = &TradeReport> {
        self.0.values()
    }

    /// The trade's status: the report with the greatest (time, rank, message id) of law 2.
    pub fn current(&self) -> Option<&TradeReport> {
        latest(self.reports())
    }

    /// The status that an order's standing is read from: the latest one in a word that we know.
    /// An unknown word, or a refund's state, does not say that the goods are not bought.
    pub fn standing(&self) -> Option<&TradeReport> {
        latest(self.reports().filter(|report| report.status != TradeStatus::Unrecognised))
    }

    /// Whether the trade was not called off. A trade that nothing was reported of lives.
    pub fn lives(&self) -> bool {
        self.standing().is_none_or(|report| report.status != TradeStatus::Closed)
    }

    /// The first report that the goods are bought, where the trade stands so.
    pub fn bought(&self) -> Option<&TradeReport> {
        self.standing().filter(|report| report.status.is_bought())?;
        self.reports().filter(|report| report.status.is_bought()).min_by_key(|report| (report.at, report.status))
    }
}

fn latest<'a>(reports: impl Iterator<Item = &'a TradeReport>) -> Option<&'a TradeReport> {
    reports.max_by_key(|report| (report.at, report.status, &report.id))
}

/// Everything that was reported of one trade.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TradeFacts {
    /// Its statuses.
    pub statuses: TradeStatuses,
    /// Its consignments.
    pub packages: BTreeMap<LogisticsId, Package>,
    /// Its refund cases.
    pub after_sales: BTreeMap<AfterSaleId, AfterSale>,
    /// What it is made of, once a sweep asked.
    pub detail: Option<TradeDetail>,
}

impl TradeFacts {
    /// Whether nothing was ever reported: such a trade is unknown.
    pub fn is_empty(&self) -> bool {
        self.statuses.is_empty() && self.packages.is_empty() && self.after_sales.is_empty() && self.detail.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(status: TradeStatus, at: i64, id: &str) -> TradeReport {
        TradeReport {
            status,
            at: UnixMillis::new(at).unwrap(),
            id: MessageId::new(id).unwrap(),
            raw: RawStatus::new("raw").unwrap(),
        }
    }

    fn statuses(reports: &[TradeReport]) -> TradeStatuses {
        let mut statuses = TradeStatuses::default();
        for report in reports {
            statuses.report(report.clone());
        }
        statuses
    }

    #[test]
    fn every_trade_status_can_be_reached_and_found_by_its_name() {
        assert!(TradeStatus::ALL.is_sorted());
        for status in TradeStatus::ALL {
            let facts = statuses(&[report(TradeStatus::AwaitingPayment, 1, "1"), report(status, 2, "2")]);
            assert_eq!(facts.current().map(|report| report.status), Some(status));
            assert_eq!(TradeStatus::from_name(status.as_str()), Some(status));
        }
    }

    #[test]
    fn of_one_millisecond_the_greater_rank_stands_and_of_one_rank_the_greater_id() {
        let facts = statuses(&[report(TradeStatus::Shipped, 5, "1"), report(TradeStatus::AwaitingShipment, 5, "9")]);
        assert_eq!(facts.current().map(|report| report.status), Some(TradeStatus::Shipped));
        let facts = statuses(&[report(TradeStatus::Shipped, 5, "2"), report(TradeStatus::Shipped, 5, "1")]);
        assert_eq!(facts.current().map(|report| report.id.as_str()), Some("2"));
    }

    #[test]
    fn an_unknown_word_does_not_unmake_a_purchase() {
        let facts =
            statuses(&[report(TradeStatus::AwaitingShipment, 1, "1"), report(TradeStatus::Unrecognised, 2, "2")]);
        assert_eq!(facts.current().map(|report| report.status), Some(TradeStatus::Unrecognised));
        assert!(facts.lives() && facts.bought().is_some());
    }

    #[test]
    fn a_key_reads_back_as_it_was_written() {
        for text in ["1688#demo#167539019420540000", "taobao#shop-1#1"] {
            assert_eq!(text.parse::<TradeKey>().map(|key| key.to_string()), Ok(text.to_owned()));
        }
        for text in ["1688#demo", "ebay#demo#1", "1688##1", "1688#demo#1#2"] {
            assert_eq!(text.parse::<TradeKey>(), Err(InvalidTradeKey), "{text}");
        }
    }
}
