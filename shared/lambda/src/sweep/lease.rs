//! The lease of a sweep: one run at a time where that is possible, and no harm where it is not.
//!
//! Nobody compares clocks. Who finds a lease held looks again after [`LEASE_MS`] by its own clock, and takes it over
//! when it did not move.

use std::time::Duration;

use adapters::PortError;
use adapters::clock::Clock;
use adapters::error::{Cause, Certainty, Disposition};
use adapters::ports::{SweepKey, Sweeps};
use domain::sweep::{NotYours, SweepState, Window};
use domain::{LeaseToken, UnixMillis};

use super::stop::Stop;
use super::time::RunTime;

/// How long a lease stands still before another run takes it over, in milliseconds. A page with its details takes a
/// few seconds; whoever needs longer without a beat is gone, or loses a little work.
pub const LEASE_MS: u64 = 60_000;
/// How often a run that has no slice to report says that it is alive, in milliseconds.
const BEAT_MS: i64 = 10_000;
/// How often a state is replaced again because it moved, or because an answer was lost.
const ROUNDS_MAX: usize = 5;

/// A lease that this run has, with the state as it stands.
#[derive(Debug)]
pub struct Held<'a, S> {
    sweeps: &'a S,
    key: SweepKey,
    token: LeaseToken,
    state: SweepState,
    beaten_at: UnixMillis,
}

/// Takes the lease. `None` when another run is at work; stops when there is no time to see whether it still is.
pub(super) async fn claim<'a, S: Sweeps>(
    key: &SweepKey,
    token: LeaseToken,
    sweeps: &'a S,
    time: &RunTime<'_, impl Clock>,
) -> Result<Option<Held<'a, S>>, Stop> {
    let clock = time.clock;
    let mut state = sweeps.read(key).await?;
    if state.lease.is_some() {
        if time.to_work().left(clock.now()) <= Duration::from_millis(LEASE_MS) {
            return Err(Stop::Deadline);
        }
        clock.sleep(LEASE_MS).await;
        let later = sweeps.read(key).await?;
        if later.lease.is_some() && later.lease != state.lease {
            return Ok(None);
        }
        state = later;
    }
    let mut held = Held { sweeps, key: key.clone(), token, state, beaten_at: clock.now() };
    let found = held.state.lease.clone();
    let claimed = held.replace(|state, token| {
        let is_free = state.lease.is_none() || state.lease == found;
        if is_free { Ok(state.claimed(token)) } else { Err(NotYours) }
    });
    match claimed.await {
        Ok(()) => Ok(Some(held)),
        Err(Stop::LeaseLost) => Ok(None),
        Err(stop) => Err(stop),
    }
}

impl<S: Sweeps> Held<'_, S> {
    /// The state as it stands.
    pub const fn state(&self) -> &SweepState {
        &self.state
    }

    /// Replaces the state by what a change makes of it, however often it must be tried.
    pub(super) async fn replace(
        &mut self,
        change: impl Fn(&SweepState, &LeaseToken) -> Result<SweepState, NotYours>,
    ) -> Result<(), Stop> {
        for _ in 0..ROUNDS_MAX {
            let next = change(&self.state, &self.token)?;
            match self.sweeps.replace(&self.key, &next).await {
                Ok(None) => {
                    self.state = next;
                    return Ok(());
                }
                Ok(Some(there)) => self.state = there,
                Err(error) => match error.disposition() {
                    // Asked again with the same, it is done once: the version says so.
                    Disposition::Reconcile | Disposition::Retry => {}
                    Disposition::Reject => return Err(error.into()),
                },
            }
        }
        Err(PortError::new("sweeps.replace", Cause::Contended, Certainty::Indeterminate).into())
    }

    /// Sets the goal, unless it is set and not reached.
    pub(super) async fn aim(&mut self, goal: Window) -> Result<(), Stop> {
        if self.state.aimed(goal) == self.state {
            return Ok(());
        }
        self.replace(|state, token| state.beaten(token).map(|_| state.aimed(goal))).await
    }

    /// Says that everything before `end` was read and is durable.
    pub async fn advance(
        &mut self,
        now: UnixMillis,
        end: UnixMillis,
        (listed, changed): (u64, u64),
    ) -> Result<(), Stop> {
        self.beaten_at = now;
        self.replace(|state, token| state.advanced(token, end, listed, changed)).await
    }

    /// Says that the run is alive, when it did not for a while.
    pub async fn beat(&mut self, now: UnixMillis) -> Result<(), Stop> {
        if now.ms_since(self.beaten_at) < BEAT_MS {
            return Ok(());
        }
        self.beaten_at = now;
        self.replace(SweepState::beaten).await
    }

    /// Gives the lease back. Whether that worked matters little: a lease that nobody beats is taken over.
    pub(super) async fn release(mut self) -> SweepState {
        self.replace(SweepState::released).await.ok();
        self.state
    }
}
