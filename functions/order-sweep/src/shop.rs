//! One sweep of one shop: its lease, its work, its end, and the one event that is logged of it.

use adapters::clock::Clock;
use adapters::ports::{EventQueue, Marketplace, Quarantine, RawDetails, SweepKey, Sweeps, TradeDetails};
use domain::sweep::{Limits, SweepKind, SweepState, Window, china_day_before};
use domain::{LeaseToken, UnixMillis};
use lambda::log::{WideEvent, field, metric};
use protocols::marketplace::{Account, FlowControl};

use crate::lease::{Held, claim};
use crate::request::{Job, Outcome, Swept};
use crate::stop::Stop;
use crate::tally::Tally;
use crate::time::RunTime;
use crate::{lists, messages};

/// How far back a backfill goes when nobody said: as far as Taobao lists, three months (`trades.sold.get`).
pub const HISTORY_MS: i64 = 90 * 24 * 60 * 60 * 1_000;

/// What is to be done for one shop.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) account: Account,
    pub(crate) kind: SweepKind,
    pub(crate) goal: Option<Window>,
    pub(crate) limits: Limits,
}

/// A sweep that ended: its state then, its counts, and why it stopped.
struct End {
    state: SweepState,
    tally: Tally,
    stopped: Option<Stop>,
}

impl Task {
    pub(crate) fn new(account: Account, job: &Job, limits: Limits) -> Self {
        Self { account, kind: job.kind, goal: job.goal, limits }
    }

    fn key(&self) -> SweepKey {
        let marketplace = self.account.marketplace();
        SweepKey { kind: self.kind, marketplace, shop: self.account.shop.clone() }
    }

    /// What a backfill or an audit is to read, when it is not said: what it is not through with, else three months or
    /// yesterday.
    fn goal(&self, state: &SweepState, now: UnixMillis) -> Option<Window> {
        let unfinished = state.goal.filter(|_| state.remaining().is_some());
        let usual = match self.kind {
            SweepKind::Backfill => {
                let end = now.saturating_add_ms(-self.limits.settle_lag_ms);
                unfinished.or_else(|| Window::new(end.saturating_add_ms(-HISTORY_MS), end))
            }
            SweepKind::Audit => china_day_before(now),
            SweepKind::Incremental | SweepKind::Tmc => None,
        };
        self.goal.or(usual)
    }
}

/// Sweeps one shop. Never fails: what stops it is in the answer, and in the log.
pub(crate) async fn sweep(
    task: Task,
    others: &[Account],
    market: &impl Marketplace,
    trades: (&impl TradeDetails, &impl RawDetails),
    sinks: (&impl EventQueue, &impl Quarantine),
    sweeps: &impl Sweeps,
    time: RunTime<'_, impl Clock>,
) -> (Swept, WideEvent) {
    let began = time.clock.now();
    let mut tally = Tally::default();
    let end = match begin(&task, sweeps, &time).await {
        Err(stop) => End { state: SweepState::default(), tally, stopped: Some(stop) },
        Ok(Begun::Not(state, outcome)) => return unbegun(&task, &state, outcome),
        Ok(Begun::Held(mut held)) => {
            let asked = (market, &task.account);
            let leased = (&mut *held, sweeps);
            let worked = match task.kind {
                SweepKind::Tmc => {
                    messages::drain((market, &task.account, others), sinks, leased, &time, &mut tally).await
                }
                SweepKind::Incremental | SweepKind::Backfill | SweepKind::Audit => {
                    lists::sweep((task.kind, task.limits), asked, trades, sinks, leased, &time, &mut tally).await
                }
            };
            if let Some(until) = worked.as_ref().err().and_then(|stop| stop.silence(time.clock.now())) {
                held.replace(sweeps, |state, token| state.paused(token, until)).await.ok();
            }
            End { state: held.release(sweeps).await, tally, stopped: worked.err() }
        }
    };
    conclude(&task, &end, time.clock.now().ms_since(began))
}

enum Begun {
    Held(Box<Held>),
    Not(SweepState, Outcome),
}

/// Takes the lease, and aims where there is a goal.
async fn begin(task: &Task, sweeps: &impl Sweeps, time: &RunTime<'_, impl Clock>) -> Result<Begun, Stop> {
    let (key, now) = (task.key(), time.clock.now());
    let state = sweeps.read(&key).await?;
    if state.is_paused(now) {
        return Ok(Begun::Not(state, Outcome::Paused));
    }
    let token = LeaseToken::new(format!("{:032x}", fastrand::u128(..))).map_err(|_| Stop::LeaseLost)?;
    let Some(mut held) = claim(&key, token, sweeps, time.clock).await? else {
        return Ok(Begun::Not(state, Outcome::Held));
    };
    if let Some(goal) = task.goal(held.state(), now) {
        held.aim(sweeps, goal).await?;
    }
    Ok(Begun::Held(Box::new(held)))
}

const FINISHED: &str = "sweep.finished";

fn line(task: &Task, outcome: Outcome) -> WideEvent {
    let source = format!("{}/{}", task.account.marketplace().as_str(), task.account.shop);
    WideEvent::new(FINISHED, outcome.as_str())
        .with(field::SWEEP_KIND, task.kind.as_str())
        .with(field::EVENT_SOURCE, source)
}

/// A sweep that another run is at, or that has to keep silent.
fn unbegun(task: &Task, state: &SweepState, outcome: Outcome) -> (Swept, WideEvent) {
    let watermark = state.watermark.map(UnixMillis::to_rfc3339);
    (Swept { watermark, ..Swept::ended(&task.key(), outcome) }, line(task, outcome))
}

fn conclude(task: &Task, end: &End, took_ms: i64) -> (Swept, WideEvent) {
    let End { state, tally, stopped } = end;
    let outcome = stopped.as_ref().map_or(Outcome::Finished, Stop::outcome);
    let (listed, changed) = (Tally::number(tally.listed), Tally::number(tally.changed));
    let event = line(task, outcome)
        .with(field::SWEEP_LIST_CALLS, tally.list_calls)
        .with(field::SWEEP_DETAIL_CALLS, tally.detail_calls)
        .with(field::SWEEP_LISTED, listed)
        .with(field::SWEEP_CHANGED, changed)
        .with(field::SWEEP_MALFORMED, tally.malformed)
        .with(field::WATERMARK_MS, state.watermark.map(UnixMillis::get))
        .with(field::DURATION_MS, took_ms);
    let event = metrics(task, end).into_iter().fold(event, |event, (name, count)| event.with_count(name, count));
    let event = match stopped {
        Some(stop) => {
            event.with(field::ERROR_CHAIN, stop.chain()).with(field::FLOW, stop.flow().map(FlowControl::as_str))
        }
        None => event,
    };
    let watermark = state.watermark.map(UnixMillis::to_rfc3339);
    let reason = stopped.as_ref().map(ToString::to_string);
    (Swept { listed, changed, watermark, reason, ..Swept::ended(&task.key(), outcome) }, event)
}

/// What a person must look at, or wants counted; only what is there.
fn metrics(task: &Task, end: &End) -> Vec<(&'static str, u64)> {
    let End { tally, stopped, .. } = end;
    let is_foreign = matches!(stopped, Some(Stop::Foreign));
    let must_authorise = stopped.as_ref().and_then(Stop::flow) == Some(FlowControl::Reauthorise);
    let has_failed = stopped.as_ref().map(Stop::outcome) == Some(Outcome::Failed);
    let found = if task.kind == SweepKind::Audit { tally.changed } else { 0 };
    let all = [
        (metric::SWEEP_FOREIGN_ANSWER, tally.foreign + usize::from(is_foreign)),
        (metric::SWEEP_REAUTHORISE, usize::from(must_authorise)),
        (metric::SWEEP_FAILED, usize::from(has_failed)),
        (metric::AUDIT_FOUND, found),
        (metric::UNRECOGNISED_STATUS, tally.unrecognised),
    ];
    all.into_iter().filter(|(_, count)| *count > 0).map(|(name, count)| (name, Tally::number(count))).collect()
}
