//! One check: a page of the ledger at a time, the facts of each order that it names, and a line for each that asks for a
//! person.

use std::collections::{BTreeMap, BTreeSet};

use adapters::clock::Clock;
use adapters::error::{Cause, Certainty, PortError};
use adapters::knowledge::read_order;
use adapters::ports::{Ledger, LedgerPlace, OrderStore, TradeStore};
use domain::{Concern, Finding, OrderId, UnixMillis, check};
use futures::stream::{self, StreamExt, TryStreamExt};
use lambda::deadline::Deadline;
use lambda::log::{Log, WideEvent, event, field, metric};
use protocols::checks::{self, Found, UNREADABLE};

/// How far back captures are looked at, in milliseconds: 60 days. What asks for a person that long stood in 60 checks.
pub const SINCE_MS: i64 = 60 * 86_400_000;
/// Orders that are read at once, each by up to four calls.
const AT_ONCE_MAX: usize = 16;
/// Orders that an answer names, at most. All are in the log, and counted.
const ANSWERED_MAX: usize = 1_000;

/// What is asked for.
pub type Request = checks::Request<LedgerPlace>;
/// What was found.
pub type Answer = checks::Answer<LedgerPlace>;

/// The facts of orders, of trades and of payments.
type Facts<'a, O, T, L> = (&'a O, &'a T, &'a L);

/// What was come to until now.
#[derive(Default)]
struct Tally {
    checked: u64,
    found: BTreeMap<OrderId, Finding>,
    unreadable: BTreeSet<OrderId>,
    next: Option<LedgerPlace>,
    pages: u64,
}

/// What a look at one order brought.
enum Looked {
    Well,
    Found(OrderId, Finding),
    /// Only a person can mend it; the others are looked at all the same.
    Unreadable(OrderId, PortError),
}

/// Checks all orders that money was captured for of late. An error when something was away: then it is to be done again.
pub async fn handle(
    request: Request,
    deadline: Deadline,
    facts: Facts<'_, impl OrderStore, impl TradeStore, impl Ledger>,
    (clock, log): (&impl Clock, &impl Log),
) -> Result<Answer, PortError> {
    let (began, is_from_the_start) = (clock.now(), request.after.is_none());
    let mut tally = Tally { next: request.after, ..Tally::default() };
    let worked = deadline.within(clock, go_through(&mut tally, deadline, facts, began, (clock, log))).await;
    let ended = worked.unwrap_or_else(|| cut_off(&tally));
    let event = conclude(&tally, &ended, is_from_the_start);
    log.write(event.with(field::DURATION_MS, clock.now().ms_since(began)));
    ended.map(|()| answer(tally))
}

/// How a check ends whose time is over within a page: it goes on with that page, unless it is the first and no other would
/// come further.
fn cut_off(tally: &Tally) -> Result<(), PortError> {
    let late = PortError::new("check a page before the deadline", Cause::Away, Certainty::Determinate);
    if tally.pages == 0 { Err(late) } else { Ok(()) }
}

/// Page after page, until the ledger or the time is over. What a page brought is in the log before the next is begun.
async fn go_through(
    tally: &mut Tally,
    deadline: Deadline,
    (orders, trades, ledger): Facts<'_, impl OrderStore, impl TradeStore, impl Ledger>,
    now: UnixMillis,
    (clock, log): (&impl Clock, &impl Log),
) -> Result<(), PortError> {
    let since = now.saturating_add_ms(-SINCE_MS);
    loop {
        let page = ledger.captured(since, tally.next.as_ref()).await?;
        let count = u64::try_from(page.orders.len()).unwrap_or(u64::MAX);
        let looks = stream::iter(page.orders).map(|order| look(order, (orders, trades, ledger), now));
        for looked in looks.buffer_unordered(AT_ONCE_MAX).try_collect::<Vec<Looked>>().await? {
            take(looked, tally, log);
        }
        tally.checked += count;
        tally.pages += 1;
        tally.next = page.next;
        if tally.next.is_none() || deadline.has_passed(clock.now()) {
            return Ok(());
        }
    }
}

/// Keeps what a look brought, and tells of an order once.
fn take(looked: Looked, tally: &mut Tally, log: &impl Log) {
    let event = |order: &OrderId, what| WideEvent::new(event::ORDER_FOUND, what).with(field::ORDER_ID, order.as_str());
    match looked {
        Looked::Well => {}
        Looked::Found(order, finding) => {
            let event = event(&order, finding.concern.as_str()).with(field::SINCE, finding.since.to_rfc3339());
            if tally.found.insert(order, finding).is_none() {
                log.write(event);
            }
        }
        Looked::Unreadable(order, error) => {
            let event = event(&order, UNREADABLE).with_failure(&error);
            if tally.unreadable.insert(order) {
                log.write(event);
            }
        }
    }
}

/// Looks at one order.
async fn look(
    order: OrderId,
    (orders, trades, ledger): Facts<'_, impl OrderStore, impl TradeStore, impl Ledger>,
    now: UnixMillis,
) -> Result<Looked, PortError> {
    match read_order(orders, trades, ledger, &order).await {
        Ok(known) => Ok(match known.and_then(|known| check(&order, &known, now)) {
            Some(finding) => Looked::Found(order, finding),
            None => Looked::Well,
        }),
        Err(error) if error.cause == Cause::Unreadable => Ok(Looked::Unreadable(order, error)),
        Err(error) => Err(error),
    }
}

/// The event of the check, which counts what it found. That there is nothing, or that the check is not wanting, is said only by
/// one that looked at all.
fn conclude(tally: &Tally, ended: &Result<(), PortError>, is_from_the_start: bool) -> WideEvent {
    let count = |concern: Concern| {
        let found = tally.found.values().filter(|finding| finding.concern == concern);
        u64::try_from(found.count()).unwrap_or(u64::MAX)
    };
    let outcome = match (ended, &tally.next) {
        (Err(_), _) => "failed",
        (Ok(()), Some(_)) => "unfinished",
        (Ok(()), None) if !tally.unreadable.is_empty() => UNREADABLE,
        (Ok(()), None) => "finished",
    };
    let is_whole = is_from_the_start && outcome == "finished";
    let counts = [
        (metric::PAID_TOO_LONG, count(Concern::PaidTooLong)),
        (metric::PAID_NOT_CREATED, count(Concern::PaidNotCreated)),
        (metric::CHECK_UNFINISHED, u64::from(outcome != "finished")),
    ];
    let event = WideEvent::new(event::ORDERS_CHECKED, outcome).with(field::ORDERS_CHECKED, tally.checked);
    let told = counts.into_iter().filter(|(_, count)| is_whole || *count > 0);
    let event = told.fold(event, |event, (name, count)| event.with_count(name, count));
    match ended {
        Err(error) => event.with_failure(error),
        Ok(()) => event,
    }
}

fn answer(tally: Tally) -> Answer {
    let count = tally.found.len() + tally.unreadable.len();
    let found = |order_id, concern: &str, since| Found { order_id, concern: concern.to_owned(), since };
    let concerning = tally
        .found
        .into_iter()
        .map(|(order, Finding { concern, since })| found(order, concern.as_str(), Some(since.to_rfc3339())));
    let unreadable = tally.unreadable.into_iter().map(|order| found(order, UNREADABLE, None));
    let found = concerning.chain(unreadable).take(ANSWERED_MAX).collect();
    Answer { checked: tally.checked, count, found, next: tally.next }
}
