//! One batch: read each record, gather by item, write side by side, answer.

use std::collections::{BTreeMap, BTreeSet};

use adapters::clock::Clock;
use adapters::ports::{OrderStore, Products, Quarantine, TradeDetails, TradeStore};
use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use domain::event::TradeFact;
use domain::{AfterSale, AfterSaleState, Event, TradeReport, TradeStatus, UnixMillis};
use futures::stream::{self, StreamExt};
use lambda::batch::{self, NoMessageId, Record};
use lambda::deadline::Deadline;
use lambda::log::{Log, WideEvent, event, field, metric};
use protocols::cloudevents;

use crate::batch::{Gathered, Position};
use crate::writes::{Ending, Endings, Write, set_aside, writes};

/// Writes side by side. More would not be faster for a batch of ten, and would crowd a small table.
const WRITES_AT_ONCE_MAX: usize = 8;

/// Writes one batch of events. The answer names the records that have to come again; an error fails the
/// invocation, which hands the whole batch out again.
pub async fn handle(
    event: SqsEvent,
    deadline: Deadline,
    orders: &(impl OrderStore + Sync),
    trades: &(impl TradeStore + TradeDetails + Sync),
    products: &(impl Products + Sync),
    quarantine: &(impl Quarantine + Sync),
    (clock, log): (&(impl Clock + Sync), &impl Log),
) -> Result<SqsBatchResponse, NoMessageId> {
    let records = batch::records(event)?;
    let read: Vec<_> = records.iter().map(|record| cloudevents::read(&record.body)).collect();
    let mut gathered = Gathered::default();
    let mut work: Vec<Write<'_>> = Vec::new();
    for (position, (record, read)) in records.iter().zip(&read).enumerate() {
        match read {
            Ok(event) => gathered.add(position, event.clone()),
            Err(reason) => work.push(set_aside(quarantine, position, record, reason.to_string())),
        }
    }
    work.extend(writes(gathered, orders, trades, products));

    let ended: Vec<Endings> = stream::iter(work)
        .map(|write| before(deadline, clock, write))
        .buffer_unordered(WRITES_AT_ONCE_MAX)
        .collect()
        .await;
    let mut endings: BTreeMap<Position, Ending> = BTreeMap::new();
    for (position, ending) in ended.into_iter().flatten() {
        let ending = match endings.remove(&position) {
            Some(other) => other.and(ending),
            None => ending,
        };
        endings.insert(position, ending);
    }
    let mut failed = BTreeSet::new();
    for (position, (record, read)) in records.into_iter().zip(read).enumerate() {
        // Every record is in some write; one that were in none would not be durable.
        let ending = endings.remove(&position).unwrap_or(Ending::HandedBack);
        log.write(line(&record, read.ok(), &ending, clock.now()));
        if matches!(ending, Ending::Failed(_) | Ending::HandedBack) {
            failed.insert(record.message_id);
        }
    }
    Ok(batch::answer(failed))
}

/// Does a write by the deadline. What was left may have happened; its records come again, and writing a fact twice changes
/// nothing.
async fn before(deadline: Deadline, clock: &impl Clock, write: Write<'_>) -> Endings {
    let done = deadline.begun_within(clock, write.work).await;
    done.unwrap_or_else(|| write.positions.into_iter().map(|position| (position, Ending::HandedBack)).collect())
}

/// The one event that is logged of a record.
fn line(record: &Record, read: Option<Event>, ending: &Ending, now: UnixMillis) -> WideEvent {
    let line = match ending {
        Ending::Taken(outcome) => WideEvent::new(event::RECORD_PROCESSED, outcome.as_str()),
        Ending::Quarantined(reason) => {
            WideEvent::new(event::RECORD_PROCESSED, "quarantined").with(field::REASON, reason.as_str())
        }
        Ending::Failed(error) => WideEvent::new(event::RECORD_PROCESSED, "failed").with_failure(error),
        Ending::HandedBack => WideEvent::new(event::RECORD_PROCESSED, "handed_back"),
    };
    let line = line
        .with(field::SQS_MESSAGE_ID, record.message_id.as_str())
        .with(field::SQS_RECEIVE_COUNT, record.receive_count);
    let Some(event) = read else { return line };
    let line = line.with(field::EVENT_ID, event.id());
    // What a sweep read may be of any age: a backfill brings years.
    let is_sent = !matches!(&event, Event::Trade(change) if matches!(change.fact, TradeFact::Snapshot(_)));
    let age_ms = event.at().filter(|_| is_sent && matches!(ending, Ending::Taken(_))).map(|at| now.ms_since(at));
    let line = line.with(field::EVENT_AGE_MS, age_ms);
    match event {
        Event::Product(change) => line
            .with(field::EVENT_SOURCE, format!("{}/{}", change.product.marketplace.as_str(), change.product.shop))
            .with(field::PRODUCT_ID, change.product.to_string()),
        Event::Order(change) => line
            .with(field::EVENT_SOURCE, change.report.by.source.as_str())
            .with(field::ORDER_ID, change.order.as_str()),
        Event::Trade(change) => {
            let line = line
                .with(field::EVENT_SOURCE, format!("{}/{}", change.trade.marketplace.as_str(), change.trade.shop))
                .with(field::TRADE_ID, change.trade.to_string());
            // Counted where it is taken, so that a record that has to come again does not count twice.
            let is_counted = unrecognised(&change.fact) && matches!(ending, Ending::Taken(_));
            if is_counted { line.with_metric(metric::UNRECOGNISED_STATUS) } else { line }
        }
    }
}

/// Whether something is said in a word of the marketplace that we do not know.
fn unrecognised(fact: &TradeFact) -> bool {
    let of_report = |report: &TradeReport| report.status == TradeStatus::Unrecognised;
    let of_case =
        |case: &AfterSale| case.state.as_ref().is_some_and(|report| report.state == AfterSaleState::Unrecognised);
    match fact {
        TradeFact::Status(report) => of_report(report),
        TradeFact::Shipping(..) => false,
        TradeFact::AfterSale(_, case) => of_case(case),
        TradeFact::Snapshot(snapshot) => {
            of_report(&snapshot.report) || snapshot.after_sales.iter().any(|(_, case)| of_case(case))
        }
    }
}
