//! One conditional write for one item, and what its answer means for the records that it was for.

use std::sync::Arc;

use adapters::PortError;
use adapters::ports::{OrderStore, Products, Quarantine, Quarantined, TradeDetails, TradeStore};
use domain::fact::join;
use domain::{
    AfterSale, AfterSaleId, LogisticsId, OrderFacts, OrderId, OrderReport, Outcome, Package, ProductKey, TradeDetail,
    TradeKey, TradeReport, TradeStatuses, UnixMillis,
};
use futures::future::{BoxFuture, FutureExt};
use lambda::batch::Record;

use crate::batch::{Gathered, Members, Position, outcomes};

/// How a record ended, or a part of one.
#[derive(Debug, Clone)]
pub(crate) enum Ending {
    /// It is a fact, or a better one is.
    Taken(Outcome),
    /// It is in quarantine, for this reason.
    Quarantined(String),
    /// It has to come again, because of this.
    Failed(Arc<PortError>),
    /// The deadline came before its turn; it has to come again.
    HandedBack,
}

impl Ending {
    /// How a record ended of which two parts ended so. It has to come again when any part has to; else it is what the
    /// better part is.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Failed(error), _) | (_, Self::Failed(error)) => Self::Failed(error),
            (Self::HandedBack, _) | (_, Self::HandedBack) => Self::HandedBack,
            (Self::Quarantined(reason), _) | (_, Self::Quarantined(reason)) => Self::Quarantined(reason),
            (Self::Taken(one), Self::Taken(other)) => Self::Taken(one.min(other)),
        }
    }
}

/// The endings of the records that one write was for.
pub(crate) type Endings = Vec<(Position, Ending)>;

/// A write, and the records that it is for.
pub(crate) struct Write<'a> {
    pub(crate) positions: Vec<Position>,
    pub(crate) work: BoxFuture<'a, Endings>,
}

fn write<'a, R>(members: Members<R>, work: impl FnOnce(Members<R>) -> BoxFuture<'a, Endings>) -> Write<'a> {
    Write { positions: members.iter().map(|(position, _)| *position).collect(), work: work(members) }
}

/// A write for each item that a batch touches.
pub(crate) fn writes<'a>(
    gathered: Gathered,
    orders: &'a (impl OrderStore + Sync),
    trades: &'a (impl TradeStore + TradeDetails + Sync),
    products: &'a (impl Products + Sync),
) -> Vec<Write<'a>> {
    let Gathered { orders: by_order, trades: by_trade, packages, after_sales, details, products: changed } = gathered;
    let mut writes = Vec::new();
    writes.extend(by_order.into_iter().map(|(order, all)| write(all, |all| report_order(orders, order, all).boxed())));
    writes.extend(by_trade.into_iter().map(|(trade, all)| write(all, |all| report_trade(trades, trade, all).boxed())));
    writes.extend(packages.into_iter().map(|(of, all)| write(all, |all| ship(trades, of, all).boxed())));
    writes.extend(after_sales.into_iter().map(|(of, all)| write(all, |all| report_case(trades, of, all).boxed())));
    writes.extend(details.into_iter().map(|(trade, all)| write(all, |all| describe(trades, trade, all).boxed())));
    writes.extend(changed.into_iter().map(|(product, all)| write(all, |all| change(products, product, all).boxed())));
    writes
}

/// Keeps a record that is no event of ours, with the reason.
pub(crate) fn set_aside<'a>(
    quarantine: &'a (impl Quarantine + Sync),
    position: Position,
    record: &Record,
    reason: String,
) -> Write<'a> {
    let message = Quarantined { message_id: record.message_id.clone(), body: record.body.clone(), reason };
    let work = async move {
        let ending = match quarantine.put(&message).await {
            Ok(()) => Ending::Quarantined(message.reason),
            Err(error) => Ending::Failed(Arc::new(error)),
        };
        vec![(position, ending)]
    };
    Write { positions: vec![position], work: work.boxed() }
}

/// Writes what a batch says of one order's statuses.
async fn report_order(store: &impl OrderStore, order: OrderId, members: Members<OrderReport>) -> Endings {
    let mut facts = OrderFacts::default();
    for (_, report) in &members {
        facts.report(report.clone());
    }
    let kept: Vec<OrderReport> = facts.reports().cloned().collect();
    endings(store.report(&order, &kept).await, members, &kept)
}

/// Writes what a batch says of one trade's statuses.
async fn report_trade(store: &impl TradeStore, trade: TradeKey, members: Members<TradeReport>) -> Endings {
    let mut statuses = TradeStatuses::default();
    for (_, report) in &members {
        statuses.report(report.clone());
    }
    let kept: Vec<TradeReport> = statuses.reports().cloned().collect();
    endings(store.report(&trade, &kept).await, members, &kept)
}

/// Writes what a batch says of one consignment.
async fn ship(store: &impl TradeStore, of: (TradeKey, LogisticsId), members: Members<Package>) -> Endings {
    let (joined, kept) = joined(&members, Package::join, Package::is_part_of);
    let written = store.ship(&of.0, &of.1, &joined).await.map(|outcome| vec![outcome; kept.len()]);
    endings(written, members, &kept)
}

/// Writes what a batch says of one refund case.
async fn report_case(store: &impl TradeDetails, of: (TradeKey, AfterSaleId), members: Members<AfterSale>) -> Endings {
    let (joined, kept) = joined(&members, AfterSale::join, AfterSale::is_part_of);
    let written = store.after_sale(&of.0, &of.1, &joined).await.map(|outcome| vec![outcome; kept.len()]);
    endings(written, members, &kept)
}

/// What is kept of reports that have several facts, which may be made of several records' parts; and the reports that
/// have a part in it.
fn joined<R: Clone + Default>(
    members: &[(Position, R)],
    join: fn(&mut R, R) -> Option<Outcome>,
    is_part_of: fn(&R, &R) -> bool,
) -> (R, Vec<R>) {
    let mut joined = R::default();
    for (_, report) in members {
        join(&mut joined, report.clone());
    }
    let kept = members.iter().map(|(_, report)| report).filter(|report| is_part_of(report, &joined)).cloned().collect();
    (joined, kept)
}

/// Writes what a batch says one trade is made of.
async fn describe(store: &impl TradeDetails, trade: TradeKey, members: Members<TradeDetail>) -> Endings {
    let mut latest = None;
    for (_, detail) in &members {
        join(&mut latest, detail.clone());
    }
    let Some(latest) = latest else { return Endings::new() };
    let written = store.detail(&trade, &latest).await.map(|outcome| vec![outcome]);
    endings(written, members, &[latest])
}

/// Writes what a batch says of when one product changed: the latest.
async fn change(store: &impl Products, product: ProductKey, members: Members<UnixMillis>) -> Endings {
    let Some(latest) = members.iter().map(|(_, at)| *at).max() else { return Endings::new() };
    let written = store.changed(&product, latest).await.map(|outcome| vec![outcome]);
    endings(written, members, &[latest])
}

/// What a write's answer means for its records.
fn endings<R: PartialEq>(written: Result<Vec<Outcome>, PortError>, members: Members<R>, kept: &[R]) -> Endings {
    match written {
        Ok(said) => {
            let taken = outcomes(members, kept, &said).into_iter();
            taken.map(|(position, outcome)| (position, Ending::Taken(outcome))).collect()
        }
        Err(error) => {
            let error = Arc::new(error);
            members.into_iter().map(|(position, _)| (position, Ending::Failed(Arc::clone(&error)))).collect()
        }
    }
}
