//! The time of a run: a sweep stops where it can go on, and is not cut off.

use adapters::clock::Clock;
use adapters::ports::MarketError;
use protocols::marketplace::{FlowControl, Refused};

use super::stop::Stop;
use crate::deadline::Deadline;

/// Time that a page may take with its details, their tries and their queueing, and the lease to be given back, in
/// milliseconds. No page is begun later.
pub const PAGE_MS_MAX: u64 = 20_000;
/// The part of it that is the lease's, in milliseconds: a call with all its tries, and a little.
const LEAVE_MS: i64 = 8_000;
/// The longest silence that is waited for within a run, in seconds. A longer one is left to a later run.
const SILENCE_S_MAX: u64 = 10;
/// How often one call is made again after a silence.
const SILENCES_MAX: u32 = 3;

/// The time of a run.
#[derive(Debug, Clone, Copy)]
pub struct RunTime<'a, C> {
    /// When it must be over.
    pub deadline: Deadline,
    /// What time it is.
    pub clock: &'a C,
}

impl<C: Clock> RunTime<'_, C> {
    /// When work must be over, so that the lease can be given back.
    pub fn to_work(&self) -> Deadline {
        self.deadline.sooner_by_ms(LEAVE_MS)
    }

    /// Whether there is time for one more page.
    pub fn for_a_page(&self) -> Result<(), Stop> {
        let left = self.deadline.left(self.clock.now());
        if left.as_millis() > u128::from(PAGE_MS_MAX) { Ok(()) } else { Err(Stop::Deadline) }
    }

    /// Asks the marketplace, and again after a short silence that it asked for. What the adapter tries again by itself
    /// was tried by then; everything else stops the run.
    pub async fn ask<T>(&self, call: impl AsyncFn() -> Result<T, MarketError>) -> Result<T, Stop> {
        for _ in 0..SILENCES_MAX {
            match call().await {
                Err(MarketError::Refused(Refused { flow: FlowControl::WaitSeconds(seconds), .. }))
                    if seconds <= SILENCE_S_MAX =>
                {
                    self.clock.sleep(seconds.saturating_mul(1_000)).await;
                    self.for_a_page()?;
                }
                answered => return answered.map_err(Stop::from),
            }
        }
        call().await.map_err(Stop::from)
    }
}
