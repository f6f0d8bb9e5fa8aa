//! The view of an order: status, history, flags and trades, computed from its facts when somebody reads.
//!
//! Invariant: [`view`] is a function of the set of facts. It stores nothing and asks no clock, so every
//! order of arrival of the same reports ends in the same view (law 2).

use std::collections::BTreeMap;

use crate::id::{EventId, OrderId};
use crate::order::{OrderFacts, OrderStatus, ReportedStatus};
use crate::payment::{PaymentFacts, Settlement, settle};
use crate::rate::Rate;
use crate::refund::{Refund, RefundState, matched};
use crate::time::UnixMillis;
use crate::trade::{TradeKey, TradeReport, TradeStatuses};

/// Who supports a status, and since when.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Witness {
    /// Since when, by the clock of who said so.
    pub at: UnixMillis,
    /// Who said so: a source, a client, `marketplace/shop`, or a gateway.
    pub source: String,
    /// In which event.
    pub event_id: EventId,
}

/// A status that the facts support.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEntry {
    /// The status.
    pub status: OrderStatus,
    /// Who supports it, and since when.
    pub witness: Witness,
}

/// Something that a person should look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Flag {
    /// The order is known by events or links only; nobody created it.
    NotCreated,
    /// It was bought or moved although the money does not cover what is due.
    MovedOnUnpaid,
    /// It was called off, and the goods left all the same.
    ShippedAfterCancellation,
    /// A linked trade was called off while the order goes on.
    TradeClosed,
    /// Less than what is due was captured.
    Underpaid,
    /// More than what is due was captured, and the excess did not go back.
    Overpaid,
    /// Money was captured in another currency than the order's.
    WrongCurrency,
    /// Reports of a payment contradict each other.
    PaymentConflict,
    /// A payment is disputed, or a dispute was lost.
    Disputed,
}

impl Flag {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::NotCreated,
        Self::MovedOnUnpaid,
        Self::ShippedAfterCancellation,
        Self::TradeClosed,
        Self::Underpaid,
        Self::Overpaid,
        Self::WrongCurrency,
        Self::PaymentConflict,
        Self::Disputed,
    ];

    /// The name in answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotCreated => "not_created",
            Self::MovedOnUnpaid => "moved_on_unpaid",
            Self::ShippedAfterCancellation => "shipped_after_cancellation",
            Self::TradeClosed => "trade_closed",
            Self::Underpaid => "underpaid",
            Self::Overpaid => "overpaid",
            Self::WrongCurrency => "wrong_currency",
            Self::PaymentConflict => "payment_conflict",
            Self::Disputed => "disputed",
        }
    }
}

/// A trade of an order, as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkedTrade {
    /// Which trade.
    pub trade: TradeKey,
    /// The report that stands; absent when the marketplace did not report yet.
    pub report: Option<TradeReport>,
}

/// Everything that is known of an order and of what it stands on: what its view is a function of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OrderKnowledge {
    /// The facts of the order itself.
    pub order: OrderFacts,
    /// The status facts of its linked trades. A linked trade that is not here counts as unreported.
    pub trades: BTreeMap<TradeKey, TradeStatuses>,
    /// The facts of every payment that names it.
    pub payments: Vec<PaymentFacts>,
}

/// An order as its readers see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderView {
    /// The greatest status that the facts support.
    pub status: OrderStatus,
    /// Since when; absent only for an order of which nothing supports any status.
    pub status_at: Option<UnixMillis>,
    /// Every supported status with its first witness, by time and then rank.
    pub history: Vec<HistoryEntry>,
    /// What a person should look at, in the order of [`Flag::ALL`].
    pub flags: Vec<Flag>,
    /// The linked trades, by key.
    pub trades: Vec<LinkedTrade>,
    /// Where its money stands.
    pub settlement: Settlement,
    /// The pinned rate; absent for an order that nobody created, or whose record is damaged.
    pub rate: Option<Rate>,
    /// The refunds that were granted, in turn, each with where it stands.
    pub refunds: Vec<(Refund, RefundState)>,
}

/// Computes the view of an order. Trades that are not linked are ignored, and so are payments of other orders.
pub fn view(id: &OrderId, known: &OrderKnowledge) -> OrderView {
    let OrderKnowledge { order, trades, payments } = known;
    let settlement = settle(id, order.placed.as_ref(), payments);
    let linked: Vec<Purchase<'_>> = order
        .links()
        .map(|link| Purchase {
            trade: &link.trade,
            statuses: trades.get(&link.trade),
            linked: Witness { at: link.at, source: link.by.source.to_string(), event_id: link.by.event_id.clone() },
        })
        .collect();
    let history = history(order, &linked, &settlement);
    let current = history.iter().max_by_key(|entry| entry.status);
    let status = current.map_or(OrderStatus::Pending, |entry| entry.status);
    let beside = matched(order.refunds_in_turn(), &settlement.reported_refunds);
    let heard_of = || linked.iter().map(|purchase| purchase.linked.at).min();
    OrderView {
        status,
        status_at: current.map(|entry| entry.witness.at).or_else(heard_of),
        flags: Flag::ALL.into_iter().filter(|flag| raised(*flag, status, &history, &linked, &settlement)).collect(),
        trades: linked
            .iter()
            .map(|purchase| LinkedTrade {
                trade: purchase.trade.clone(),
                report: purchase.statuses.and_then(TradeStatuses::current).cloned(),
            })
            .collect(),
        history,
        rate: order.placed.as_ref().and_then(|placed| placed.rate.clone()),
        refunds: beside.refunds.into_iter().map(|(refund, state)| (refund.clone(), state)).collect(),
        settlement,
    }
}

/// A link with what is known of its trade.
struct Purchase<'a> {
    trade: &'a TradeKey,
    statuses: Option<&'a TradeStatuses>,
    linked: Witness,
}

impl Purchase<'_> {
    fn lives(&self) -> bool {
        self.statuses.is_none_or(TradeStatuses::lives)
    }

    fn witness(&self, report: &TradeReport) -> Witness {
        Witness {
            at: report.at,
            source: format!("{}/{}", self.trade.marketplace.as_str(), self.trade.shop),
            event_id: report.id.clone().into(),
        }
    }

    /// The first sign that the trade was made: its link or its first report.
    fn made(&self) -> Witness {
        let reports = self.statuses.into_iter().flat_map(TradeStatuses::reports);
        let first_report = reports.map(|report| self.witness(report)).min();
        first_report.map_or_else(|| self.linked.clone(), |first| first.min(self.linked.clone()))
    }

    /// The first report that the trade's goods are bought.
    fn bought(&self) -> Option<Witness> {
        self.statuses.and_then(TradeStatuses::bought).map(|report| self.witness(report))
    }
}

/// PURCHASING since the first living trade was made.
fn purchasing(linked: &[Purchase<'_>]) -> Option<Witness> {
    linked.iter().filter(|purchase| purchase.lives()).map(Purchase::made).min()
}

/// PURCHASED since the last living trade was bought, when all of them are.
fn purchased(linked: &[Purchase<'_>]) -> Option<Witness> {
    let living = linked.iter().filter(|purchase| purchase.lives());
    let bought: Option<Vec<Witness>> = living.map(Purchase::bought).collect();
    bought?.into_iter().max()
}

/// Every supported status with its witness, by time and then rank.
fn history(order: &OrderFacts, linked: &[Purchase<'_>], settlement: &Settlement) -> Vec<HistoryEntry> {
    let concluded = [
        (OrderStatus::Pending, settlement.created.clone()),
        (OrderStatus::Paid, settlement.covered.clone()),
        (OrderStatus::Purchasing, purchasing(linked)),
        (OrderStatus::Purchased, purchased(linked)),
        (OrderStatus::Refunded, settlement.returned.clone()),
    ];
    let concluded =
        concluded.into_iter().filter_map(|(status, witness)| Some(HistoryEntry { status, witness: witness? }));
    let reported = order.reports().map(|report| HistoryEntry {
        status: report.status.status(),
        witness: Witness { at: report.at, source: report.by.source.to_string(), event_id: report.by.event_id.clone() },
    });
    let mut history: Vec<HistoryEntry> = concluded.chain(reported).collect();
    history.sort_by_key(|entry| (entry.witness.at, entry.status));
    history
}

fn raised(
    flag: Flag,
    status: OrderStatus,
    history: &[HistoryEntry],
    linked: &[Purchase<'_>],
    settlement: &Settlement,
) -> bool {
    let supports = |wanted: ReportedStatus| history.iter().any(|entry| entry.status == wanted.status());
    match flag {
        Flag::NotCreated => settlement.created.is_none(),
        Flag::MovedOnUnpaid => settlement.covered.is_none() && history.iter().any(|entry| is_work(entry.status)),
        // Whatever the two times say: they come from different clocks.
        Flag::ShippedAfterCancellation => {
            supports(ReportedStatus::Cancelled)
                && (supports(ReportedStatus::Shipped) || supports(ReportedStatus::Completed))
        }
        Flag::TradeClosed => !status.is_end() && linked.iter().any(|purchase| !purchase.lives()),
        Flag::Underpaid => settlement.is_underpaid(),
        Flag::Overpaid => settlement.is_overpaid(),
        Flag::WrongCurrency => settlement.is_in_wrong_currency,
        Flag::PaymentConflict => settlement.is_contradictory,
        Flag::Disputed => settlement.sums.is_disputed || settlement.sums.lost > 0,
    }
}

/// Whether a status means that somebody spent money or moved goods for the order.
const fn is_work(status: OrderStatus) -> bool {
    match status {
        OrderStatus::Purchasing
        | OrderStatus::Purchased
        | OrderStatus::Arrived
        | OrderStatus::Packed
        | OrderStatus::Shipped
        | OrderStatus::Completed => true,
        OrderStatus::Pending | OrderStatus::Paid | OrderStatus::Cancelled | OrderStatus::Refunded => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{MessageId, RawStatus, SourceName, TransactionId};
    use crate::money::{Currency, Money};
    use crate::order::{Link, OrderContent, OrderReport, Origin, Placed};
    use crate::payment::{MovementKind, PaymentEvent};
    use crate::trade::TradeStatus;

    fn time(millis: i64) -> UnixMillis {
        UnixMillis::new(millis).unwrap()
    }

    fn origin(id: &str) -> Origin {
        Origin { source: SourceName::new("warehouse").unwrap(), event_id: EventId::new(id).unwrap() }
    }

    fn euros(minor: i64) -> Money {
        Money::new(minor, Currency::EUR).unwrap()
    }

    /// An order under construction, with its trades and its payments.
    #[derive(Default)]
    struct Story(OrderKnowledge);

    impl Story {
        fn created(mut self, at: i64) -> Self {
            let content = OrderContent { price: euros(100), charge_currency: Currency::EUR, lines: Vec::new() };
            let rate = Rate::identity(Currency::EUR, time(at));
            self.0.order.placed = Some(Placed::new(content, rate, time(at), origin("c")).unwrap());
            self
        }

        fn moved(mut self, kind: MovementKind, money: Money, at: i64) -> Self {
            let event = PaymentEvent {
                payment: "stripe#pi_1".parse().unwrap(),
                transaction_id: TransactionId::new(format!("t{at}")).unwrap(),
                kind,
                order: Some(order_id()),
                money,
                occurred_at: time(at),
            };
            self.0.payments.push(PaymentFacts { entries: vec![event], conflicts: Vec::new() });
            self
        }

        fn reported(mut self, status: ReportedStatus, at: i64) -> Self {
            self.0.order.report(OrderReport { status, at: time(at), by: origin("r") });
            self
        }

        fn linked(mut self, trade: &str, at: i64) -> Self {
            let trade = format!("1688#demo#{trade}").parse().unwrap();
            self.0.order.link(Link { trade, at: time(at), by: origin("l") });
            self
        }

        fn trade(mut self, trade: &str, status: TradeStatus, at: i64) -> Self {
            let report = TradeReport {
                status,
                at: time(at),
                id: MessageId::new(at.to_string()).unwrap(),
                raw: RawStatus::new("raw").unwrap(),
            };
            self.0.trades.entry(format!("1688#demo#{trade}").parse().unwrap()).or_default().report(report);
            self
        }

        fn paid(self, at: i64) -> Self {
            self.created(at - 1).moved(MovementKind::Captured, euros(100), at)
        }

        fn view(&self) -> OrderView {
            view(&order_id(), &self.0)
        }
    }

    fn order_id() -> OrderId {
        OrderId::new("A-1").unwrap()
    }

    #[test]
    fn every_order_status_can_be_reached() {
        let created = || Story::default().created(1);
        let bought = || Story::default().paid(2).linked("1", 3).trade("1", TradeStatus::AwaitingShipment, 4);
        let refunded = bought().moved(MovementKind::Refunded, euros(100), 9);
        let stories = [
            created(),
            Story::default().paid(2),
            Story::default().paid(2).linked("1", 3),
            bought(),
            bought().reported(ReportedStatus::Arrived, 5),
            bought().reported(ReportedStatus::Packed, 6),
            created().reported(ReportedStatus::Cancelled, 6),
            bought().reported(ReportedStatus::Shipped, 7),
            bought().reported(ReportedStatus::Completed, 8),
            refunded,
        ];
        let reached: Vec<_> = stories.iter().map(|story| story.view().status).collect();
        assert_eq!(reached, OrderStatus::ALL);
    }

    #[test]
    fn every_flag_can_be_raised_and_none_is_raised_by_a_good_order() {
        let good = Story::default()
            .paid(2)
            .linked("1", 3)
            .trade("1", TradeStatus::Finished, 4)
            .reported(ReportedStatus::Shipped, 5);
        assert_eq!(good.view().flags, []);
        assert_eq!(Story::default().reported(ReportedStatus::Cancelled, 1).view().flags, [Flag::NotCreated]);
        let contradictory = Story::default().linked("1", 1).trade("1", TradeStatus::Closed, 2);
        let contradictory = contradictory.reported(ReportedStatus::Cancelled, 3).reported(ReportedStatus::Shipped, 4);
        let raised = |story: &Story| story.view().flags;
        assert_eq!(raised(&contradictory), Flag::ALL[..4]);
        let captured = |minor| Story::default().created(1).moved(MovementKind::Captured, euros(minor), 2);
        assert_eq!(raised(&captured(99)), [Flag::Underpaid]);
        assert_eq!(raised(&captured(101)), [Flag::Overpaid]);
        assert_eq!(raised(&captured(101).moved(MovementKind::Refunded, euros(1), 3)), []);
        let dollars = Money::new(100, Currency::from_code("USD").unwrap()).unwrap();
        assert_eq!(
            raised(&Story::default().created(1).moved(MovementKind::Captured, dollars, 2)),
            [Flag::WrongCurrency]
        );
        assert_eq!(raised(&captured(100).moved(MovementKind::DisputeOpened, euros(100), 3)), [Flag::Disputed]);
        let mut conflicting = captured(100);
        conflicting.0.payments[0].conflicts = conflicting.0.payments[0].entries.clone();
        assert_eq!(raised(&conflicting), [Flag::PaymentConflict]);
    }

    #[test]
    fn purchased_waits_for_the_last_living_trade_and_forgets_the_closed_one() {
        let story = Story::default().linked("1", 1).linked("2", 1).trade("1", TradeStatus::AwaitingShipment, 2);
        assert_eq!(story.view().status, OrderStatus::Purchasing);
        let story = story.trade("2", TradeStatus::AwaitingPayment, 3);
        assert_eq!(story.view().status, OrderStatus::Purchasing);
        let closed = story.trade("2", TradeStatus::Closed, 4);
        assert_eq!(closed.view().status, OrderStatus::Purchased);
        assert_eq!(closed.view().status_at, Some(time(2)));
    }

    #[test]
    fn an_order_whose_trades_are_all_closed_stands_where_it_stood_before() {
        let story = Story::default().paid(1).linked("1", 2).trade("1", TradeStatus::Closed, 3);
        assert_eq!(story.view().status, OrderStatus::Paid);
        let unpaid = Story::default().linked("1", 2).trade("1", TradeStatus::Closed, 3);
        assert_eq!((unpaid.view().status, unpaid.view().status_at), (OrderStatus::Pending, Some(time(2))));
    }

    #[test]
    fn the_history_tells_each_status_once_with_its_time_and_source() {
        let story = Story::default()
            .linked("1", 5)
            .trade("1", TradeStatus::AwaitingPayment, 2)
            .trade("1", TradeStatus::AwaitingShipment, 3)
            .reported(ReportedStatus::Arrived, 9);
        let told: Vec<_> = story
            .view()
            .history
            .into_iter()
            .map(|entry| (entry.status.as_str(), entry.witness.at.get(), entry.witness.source))
            .collect();
        assert_eq!(
            told,
            [
                ("PURCHASING", 2, "1688/demo".to_owned()),
                ("PURCHASED", 3, "1688/demo".to_owned()),
                ("ARRIVED", 9, "warehouse".to_owned())
            ]
        );
    }
}
