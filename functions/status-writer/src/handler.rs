//! One batch: read each record, gather by item, write side by side, answer.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;

use adapters::PortError;
use adapters::clock::Clock;
use adapters::ports::{OrderStore, Quarantine, Quarantined, TradeStore};
use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use domain::{
    Event, LogisticsId, OrderFacts, OrderId, OrderReport, Outcome, Package, TradeKey, TradeReport, TradeStatuses,
};
use futures::future::{BoxFuture, FutureExt};
use futures::stream::{self, StreamExt};
use lambda::batch::{self, NoMessageId, Record};
use lambda::deadline::Deadline;
use lambda::log::{Log, WideEvent, field};
use protocols::cloudevents;

use crate::batch::{Gathered, Position, outcomes};

/// Writes side by side. More would not be faster for a batch of ten, and would crowd a small table.
const WRITES_AT_ONCE_MAX: usize = 8;

/// How a record ended.
#[derive(Debug, Clone)]
enum Ending {
    /// It is a fact, or a better one is.
    Taken(Outcome),
    /// It is in quarantine, for this reason.
    Quarantined(String),
    /// It has to come again, because of this.
    Failed(Arc<PortError>),
    /// The deadline came before its turn; it has to come again.
    HandedBack,
}

/// The endings of the records that one write was for.
type Endings = Vec<(Position, Ending)>;

/// Writes one batch of events. The answer names the records that have to come again; an error fails the
/// invocation, which hands the whole batch out again.
pub async fn handle(
    event: SqsEvent,
    deadline: Deadline,
    orders: &(impl OrderStore + Sync),
    trades: &(impl TradeStore + Sync),
    quarantine: &(impl Quarantine + Sync),
    clock: &(impl Clock + Sync),
    log: &impl Log,
) -> Result<SqsBatchResponse, NoMessageId> {
    let records = batch::records(event)?;
    let read: Vec<_> = records.iter().map(|record| cloudevents::read(&record.body)).collect();
    let mut gathered = Gathered::default();
    let mut writes: Vec<BoxFuture<'_, Endings>> = Vec::new();
    for (position, (record, read)) in records.iter().zip(&read).enumerate() {
        match read {
            Ok(event) => gathered.add(position, event.clone()),
            Err(reason) => writes.push(set_aside(quarantine, position, record, reason.to_string()).boxed()),
        }
    }
    let Gathered { orders: by_order, trades: by_trade, packages } = gathered;
    writes.extend(by_order.into_iter().map(|(order, members)| report_order(orders, order, members).boxed()));
    writes.extend(by_trade.into_iter().map(|(trade, members)| report_trade(trades, trade, members).boxed()));
    writes.extend(packages.into_iter().map(|((trade, id), members)| ship(trades, trade, id, members).boxed()));

    let endings: BTreeMap<Position, Ending> = stream::iter(writes)
        .map(|write| before(deadline, clock, write))
        .buffer_unordered(WRITES_AT_ONCE_MAX)
        .map(stream::iter)
        .flatten()
        .collect()
        .await;
    let mut failed = BTreeSet::new();
    for (position, (record, read)) in records.into_iter().zip(read).enumerate() {
        // A record that no write reported on was cut off by the deadline.
        let ending = endings.get(&position).cloned().unwrap_or(Ending::HandedBack);
        log.write(line(&record, read.ok(), &ending));
        if matches!(ending, Ending::Failed(_) | Ending::HandedBack) {
            failed.insert(record.message_id);
        }
    }
    Ok(batch::answer(failed))
}

/// Does a write if there is time to begin it, and leaves it when the time is over. What was left may
/// have happened; its records come again, and writing a fact twice changes nothing.
async fn before(deadline: Deadline, clock: &impl Clock, write: impl Future<Output = Endings>) -> Endings {
    let now = clock.now();
    if deadline.has_passed(now) {
        return Endings::new();
    }
    tokio::time::timeout(deadline.left(now), write).await.unwrap_or_default()
}

/// Keeps a record that is no event of ours, with the reason.
async fn set_aside(quarantine: &impl Quarantine, position: Position, record: &Record, reason: String) -> Endings {
    let message = Quarantined { message_id: record.message_id.clone(), body: record.body.clone(), reason };
    let ending = match quarantine.put(&message).await {
        Ok(()) => Ending::Quarantined(message.reason),
        Err(error) => Ending::Failed(Arc::new(error)),
    };
    vec![(position, ending)]
}

/// Writes what a batch says of one order's statuses.
async fn report_order(store: &impl OrderStore, order: OrderId, members: Vec<(Position, OrderReport)>) -> Endings {
    let mut facts = OrderFacts::default();
    for (_, report) in &members {
        facts.report(report.clone());
    }
    let kept: Vec<OrderReport> = facts.reports().cloned().collect();
    endings(store.report(&order, &kept).await, members, &kept)
}

/// Writes what a batch says of one trade's statuses.
async fn report_trade(store: &impl TradeStore, trade: TradeKey, members: Vec<(Position, TradeReport)>) -> Endings {
    let mut statuses = TradeStatuses::default();
    for (_, report) in &members {
        statuses.report(report.clone());
    }
    let kept: Vec<TradeReport> = statuses.reports().cloned().collect();
    endings(store.report(&trade, &kept).await, members, &kept)
}

/// Writes what a batch says of one consignment. The kept report may be made of two records' halves.
async fn ship(store: &impl TradeStore, trade: TradeKey, id: LogisticsId, members: Vec<(Position, Package)>) -> Endings {
    let mut joined = Package::default();
    for (_, package) in &members {
        joined.join(package.clone());
    }
    let written = store.ship(&trade, &id, &joined).await.map(|outcome| vec![outcome; members.len()]);
    let kept: Vec<Package> =
        members.iter().map(|(_, package)| package.clone()).filter(|package| package.is_part_of(&joined)).collect();
    endings(written, members, &kept)
}

/// What a write's answer means for its records.
fn endings<R: PartialEq>(written: Result<Vec<Outcome>, PortError>, members: Vec<(Position, R)>, kept: &[R]) -> Endings {
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

/// The one event that is logged of a record.
fn line(record: &Record, read: Option<Event>, ending: &Ending) -> WideEvent {
    const PROCESSED: &str = "record.processed";
    let line = match ending {
        Ending::Taken(outcome) => WideEvent::new(PROCESSED, outcome.as_str()),
        Ending::Quarantined(reason) => WideEvent::new(PROCESSED, "quarantined").with(field::REASON, reason.as_str()),
        Ending::Failed(error) => WideEvent::new(PROCESSED, "failed").with_failure(error),
        Ending::HandedBack => WideEvent::new(PROCESSED, "handed_back"),
    };
    let line = line
        .with(field::SQS_MESSAGE_ID, record.message_id.as_str())
        .with(field::SQS_RECEIVE_COUNT, record.receive_count);
    let Some(event) = read else { return line };
    let line = line.with(field::EVENT_ID, event.id());
    match event {
        Event::Order(change) => line
            .with(field::EVENT_SOURCE, change.report.by.source.as_str())
            .with(field::ORDER_ID, change.order.as_str()),
        Event::Trade(change) => line
            .with(field::EVENT_SOURCE, format!("{}/{}", change.trade.marketplace.as_str(), change.trade.shop))
            .with(field::TRADE_ID, change.trade.to_string()),
    }
}
