//! One sweep of one shop: its lease, its work, its end, and the one event that is logged of it.

use std::future::Future;

use adapters::clock::Clock;
use adapters::ports::{SweepKey, Sweeps};
use domain::sweep::{SweepKind, SweepState, Window};
use domain::{LeaseToken, UnixMillis};
use protocols::marketplace::{Account, FlowControl};
use protocols::sweeps::{Outcome, Swept};

use super::lease::{Held, claim};
use super::stop::Stop;
use super::tally::Tally;
use super::time::RunTime;
use crate::log::{WideEvent, event, field, metric};

/// What is done for one shop under its lease. Its future need not be sent between threads: a function's runtime has one.
pub trait Work {
    /// For whom.
    fn account(&self) -> &Account;

    /// Which of the shop's sweeps it is.
    fn kind(&self) -> SweepKind;

    /// What is to be read, for a sweep that has a goal; a goal that is not reached is gone on with.
    fn goal(&self, state: &SweepState, now: UnixMillis) -> Option<Window>;

    /// Does it. What stops it may be gone on with by the next run.
    fn work(
        &mut self,
        held: &mut Held<'_, impl Sweeps>,
        time: &RunTime<'_, impl Clock>,
        tally: &mut Tally,
    ) -> impl Future<Output = Result<(), Stop>>;

    /// How many pictures it asked for, when it is a sweep that asks for pictures.
    fn requested(&self) -> Option<u64> {
        None
    }

    /// What is logged of it besides what is of every sweep.
    fn describe(&self, event: WideEvent) -> WideEvent;
}

/// A sweep that ended: its state then, its counts, and why it stopped.
struct End {
    state: SweepState,
    tally: Tally,
    stopped: Option<Stop>,
}

fn key(work: &impl Work) -> SweepKey {
    let account = work.account();
    SweepKey { kind: work.kind(), marketplace: account.marketplace(), shop: account.shop.clone() }
}

/// Sweeps one shop. Never fails: what stops it is in the answer, and in the log.
pub(super) async fn sweep(
    mut work: impl Work,
    sweeps: &impl Sweeps,
    time: RunTime<'_, impl Clock>,
) -> (Swept, WideEvent) {
    let began = time.clock.now();
    let mut tally = Tally::default();
    let begun = time.to_work().within(time.clock, begin(&work, sweeps, &time)).await;
    let end = match begun.unwrap_or(Err(Stop::Deadline)) {
        Err(stop) => End { state: SweepState::default(), tally, stopped: Some(stop) },
        Ok(Begun::Not(state, outcome)) => return unbegun(&work, &state, outcome, time.clock.now()),
        Ok(Begun::Held(mut held)) => {
            let worked = time.to_work().within(time.clock, work.work(&mut held, &time, &mut tally)).await;
            let stopped = worked.unwrap_or(Err(Stop::Deadline)).err();
            let state = held.state().clone();
            let ending = leave(*held, stopped.as_ref(), &time);
            End { state: time.deadline.within(time.clock, ending).await.unwrap_or(state), tally, stopped }
        }
    };
    conclude(&work, &end, began, time.clock.now())
}

/// Keeps the silence that the marketplace asked for, and gives the lease back; the state as it is then.
async fn leave<S: Sweeps>(mut held: Held<'_, S>, stopped: Option<&Stop>, time: &RunTime<'_, impl Clock>) -> SweepState {
    if let Some(until) = stopped.and_then(|stop| stop.silence(time.clock.now())) {
        held.replace(|state, token| state.paused(token, until)).await.ok();
    }
    held.release().await
}

enum Begun<'a, S> {
    Held(Box<Held<'a, S>>),
    Not(SweepState, Outcome),
}

/// Takes the lease, and aims where there is a goal.
async fn begin<'a, S: Sweeps>(
    work: &impl Work,
    sweeps: &'a S,
    time: &RunTime<'_, impl Clock>,
) -> Result<Begun<'a, S>, Stop> {
    let (key, now) = (key(work), time.clock.now());
    let state = sweeps.read(&key).await?;
    if state.is_paused(now) {
        return Ok(Begun::Not(state, Outcome::Paused));
    }
    let token = LeaseToken::new(format!("{:032x}", fastrand::u128(..))).map_err(|_| Stop::LeaseLost)?;
    let Some(mut held) = claim(&key, token, sweeps, time).await? else {
        return Ok(Begun::Not(state, Outcome::Held));
    };
    if let Some(goal) = work.goal(held.state(), now) {
        held.aim(goal).await?;
    }
    Ok(Begun::Held(Box::new(held)))
}

fn line(work: &impl Work, read_to: Option<UnixMillis>, outcome: Outcome, now: UnixMillis) -> WideEvent {
    let account = work.account();
    let source = format!("{}/{}", account.marketplace().as_str(), account.shop);
    WideEvent::new(event::SWEEP_FINISHED, outcome.as_str())
        .with(field::SWEEP_KIND, work.kind().as_str())
        .with(field::EVENT_SOURCE, source)
        .with(field::SWEEP_LAG_S, lag_s(work.kind(), read_to, now))
}

/// How far behind the clock a sweep is that follows it, in seconds.
fn lag_s(kind: SweepKind, read_to: Option<UnixMillis>, now: UnixMillis) -> Option<i64> {
    read_to.filter(|_| kind.follows_the_clock()).map(|read_to| now.ms_since(read_to) / 1_000)
}

fn ended(work: &impl Work, outcome: Outcome) -> Swept {
    let account = work.account();
    Swept::ended(work.kind(), account.marketplace(), &account.shop, outcome)
}

/// A sweep that another run is at, or that has to keep silent.
fn unbegun(work: &impl Work, state: &SweepState, outcome: Outcome, now: UnixMillis) -> (Swept, WideEvent) {
    let watermark = state.watermark.map(UnixMillis::to_rfc3339);
    (Swept { watermark, ..ended(work, outcome) }, line(work, state.watermark, outcome, now))
}

fn conclude(work: &impl Work, end: &End, began: UnixMillis, now: UnixMillis) -> (Swept, WideEvent) {
    let End { state, tally, stopped } = end;
    let outcome = stopped.as_ref().map_or(Outcome::Finished, Stop::outcome);
    let (listed, changed) = (Tally::number(tally.listed), Tally::number(tally.changed));
    let event = line(work, tally.read_to.or(state.watermark), outcome, now)
        .with(field::SWEEP_LIST_CALLS, tally.list_calls)
        .with(field::SWEEP_DETAIL_CALLS, tally.detail_calls)
        .with(field::SWEEP_LISTED, listed)
        .with(field::SWEEP_CHANGED, changed)
        .with(field::SWEEP_MALFORMED, tally.malformed)
        .with(field::WATERMARK_MS, state.watermark.map(UnixMillis::get))
        .with(field::DURATION_MS, now.ms_since(began));
    let event = metrics(work.kind(), end).into_iter().fold(event, |event, (name, count)| event.with_count(name, count));
    let event = work.describe(event);
    let event = match stopped {
        Some(stop) => {
            event.with(field::ERROR_CHAIN, stop.chain()).with(field::FLOW, stop.flow().map(FlowControl::as_str))
        }
        None => event,
    };
    let watermark = state.watermark.map(UnixMillis::to_rfc3339);
    let reason = stopped.as_ref().map(ToString::to_string);
    let requested = work.requested();
    (Swept { listed, changed, requested, watermark, reason, ..ended(work, outcome) }, event)
}

/// What a person must look at, or wants counted; only what is there.
fn metrics(kind: SweepKind, end: &End) -> Vec<(&'static str, u64)> {
    let End { tally, stopped, .. } = end;
    let is_foreign = matches!(stopped, Some(Stop::Foreign));
    let must_authorise = stopped.as_ref().and_then(Stop::flow) == Some(FlowControl::Reauthorise);
    let has_failed = stopped.as_ref().map(Stop::outcome) == Some(Outcome::Failed);
    let found = if kind == SweepKind::Audit { tally.changed } else { 0 };
    let all = [
        (metric::SWEEP_FOREIGN_ANSWER, tally.foreign + usize::from(is_foreign)),
        (metric::SWEEP_REAUTHORISE, usize::from(must_authorise)),
        (metric::SWEEP_FAILED, usize::from(has_failed)),
        (metric::AUDIT_FOUND, found),
        (metric::UNRECOGNISED_STATUS, tally.unrecognised),
    ];
    all.into_iter().filter(|(_, count)| *count > 0).map(|(name, count)| (name, Tally::number(count))).collect()
}
