//! One check: a page of the ledger at a time, the facts of each order that it names, and a line for each that asks for a
//! person.

use std::collections::BTreeMap;

use adapters::PortError;
use adapters::clock::Clock;
use adapters::ports::{Ledger, LedgerPlace, OrderStore, TradeStore, read_order};
use domain::{Concern, Finding, OrderId, UnixMillis, check};
use futures::stream::{self, StreamExt, TryStreamExt};
use lambda::deadline::Deadline;
use lambda::log::{Log, WideEvent, field, metric};
use serde::{Deserialize, Serialize};

/// How far back captures are looked at, in milliseconds: 60 days. What asks for a person that long was told 60 times.
pub const SINCE_MS: i64 = 60 * 86_400_000;
/// Orders that are read at once, each by up to four calls.
const AT_ONCE_MAX: usize = 16;
/// Orders that an answer names, at most. All are in the log, and counted.
const ANSWERED_MAX: usize = 1_000;

/// What is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Request {
    /// Where an earlier check stopped, as it answered.
    after: Option<LedgerPlace>,
}

/// An order that asks for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Found {
    /// Which.
    pub order_id: OrderId,
    /// What is wrong.
    pub concern: &'static str,
    /// Since when (RFC 3339).
    pub since: String,
}

/// What was found.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// How many orders were looked at; one that was paid in parts may be counted more than once.
    pub checked: u64,
    /// How many ask for a person.
    pub count: usize,
    /// Those, as far as an answer holds them.
    pub found: Vec<Found>,
    /// Where to go on, when the time was over before the ledger was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<LedgerPlace>,
}

/// The facts of orders, of trades and of payments.
type Facts<'a, O, T, L> = (&'a O, &'a T, &'a L);

/// What was come to until now.
#[derive(Default)]
struct Tally {
    checked: u64,
    found: BTreeMap<OrderId, Finding>,
    next: Option<LedgerPlace>,
}

/// Checks all orders that money was captured for of late. An error when something was away: then it is to be done again.
pub async fn handle(
    request: Request,
    deadline: Deadline,
    facts: Facts<'_, impl OrderStore, impl TradeStore, impl Ledger>,
    (clock, log): (&impl Clock, &impl Log),
) -> Result<Answer, PortError> {
    let began = clock.now();
    let mut tally = Tally { next: request.after, ..Tally::default() };
    let ended = go_through(&mut tally, deadline, facts, (clock, began)).await;
    for (order, finding) in &tally.found {
        log.write(
            WideEvent::new("order.found", finding.concern.as_str())
                .with(field::ORDER_ID, order.as_str())
                .with(field::SINCE, finding.since.to_rfc3339()),
        );
    }
    let event = conclude(&tally, &ended);
    log.write(event.with(field::DURATION_MS, clock.now().ms_since(began)));
    ended.map(|()| answer(tally))
}

/// Page after page, until the ledger or the time is over.
async fn go_through(
    tally: &mut Tally,
    deadline: Deadline,
    (orders, trades, ledger): Facts<'_, impl OrderStore, impl TradeStore, impl Ledger>,
    (clock, now): (&impl Clock, UnixMillis),
) -> Result<(), PortError> {
    let since = now.saturating_add_ms(-SINCE_MS);
    loop {
        let page = ledger.captured(since, tally.next.as_ref()).await?;
        tally.checked += u64::try_from(page.orders.len()).unwrap_or(u64::MAX);
        let read = stream::iter(page.orders).map(|order| async move {
            let known = read_order(orders, trades, ledger, &order).await?;
            Ok::<_, PortError>(known.and_then(|known| check(&order, &known, now)).map(|finding| (order, finding)))
        });
        let found: Vec<Option<(OrderId, Finding)>> = read.buffer_unordered(AT_ONCE_MAX).try_collect().await?;
        tally.found.extend(found.into_iter().flatten());
        tally.next = page.next;
        if tally.next.is_none() || deadline.has_passed(clock.now()) {
            return Ok(());
        }
    }
}

/// The event of the check, which counts what it found, also when that is nothing.
fn conclude(tally: &Tally, ended: &Result<(), PortError>) -> WideEvent {
    let count = |concern: Concern| {
        let found = tally.found.values().filter(|finding| finding.concern == concern);
        u64::try_from(found.count()).unwrap_or(u64::MAX)
    };
    let outcome = match (ended, &tally.next) {
        (Err(_), _) => "failed",
        (Ok(()), Some(_)) => "unfinished",
        (Ok(()), None) => "finished",
    };
    let event = WideEvent::new("orders.checked", outcome)
        .with(field::ORDERS_CHECKED, tally.checked)
        .with_count(metric::PAID_TOO_LONG, count(Concern::PaidTooLong))
        .with_count(metric::PAID_NOT_CREATED, count(Concern::PaidNotCreated))
        .with_count(metric::CHECK_UNFINISHED, u64::from(outcome != "finished"));
    match ended {
        Err(error) => event.with_failure(error),
        Ok(()) => event,
    }
}

fn answer(tally: Tally) -> Answer {
    let count = tally.found.len();
    let found = tally.found.into_iter().take(ANSWERED_MAX).map(|(order_id, finding)| Found {
        order_id,
        concern: finding.concern.as_str(),
        since: finding.since.to_rfc3339(),
    });
    Answer { checked: tally.checked, count, found: found.collect(), next: tally.next }
}
