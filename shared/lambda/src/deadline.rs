//! How long an invocation may go on. What is not done by then is handed back, not cut off.

use std::time::Duration;

use adapters::clock::Clock;
use domain::UnixMillis;

/// Time kept for the answer, in milliseconds: an answer that Lambda does not get is work done twice.
pub const MARGIN_MS: i64 = 1_000;

/// When an invocation must have stopped working.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline(UnixMillis);

impl Deadline {
    /// From the time at which Lambda ends the invocation, in milliseconds since the epoch.
    pub fn from_lambda(ends_at_ms: u64) -> Self {
        let ends_at = i64::try_from(ends_at_ms).ok().and_then(|millis| UnixMillis::new(millis).ok());
        Self(ends_at.unwrap_or(UnixMillis::MAX).saturating_add_ms(-MARGIN_MS))
    }

    /// An earlier one.
    #[must_use]
    pub fn sooner_by_ms(self, millis: i64) -> Self {
        Self(self.0.saturating_add_ms(-millis))
    }

    /// The time that is left, none when it has passed.
    pub fn left(self, now: UnixMillis) -> Duration {
        Duration::from_millis(u64::try_from(self.0.ms_since(now)).unwrap_or(0))
    }

    /// What came of this work; `None` when it was not done in time. What was begun by then may have happened.
    pub async fn within<T>(self, clock: &impl Clock, work: impl Future<Output = T>) -> Option<T> {
        tokio::time::timeout(self.left(clock.now()), work).await.ok()
    }

    /// The same of work that is not even begun when the deadline has passed.
    pub async fn begun_within<T>(self, clock: &impl Clock, work: impl Future<Output = T>) -> Option<T> {
        // One look at the clock: whether there is time, and how much.
        let left = self.left(clock.now());
        if left.is_zero() { None } else { tokio::time::timeout(left, work).await.ok() }
    }

    /// Whether no work may be begun.
    pub fn has_passed(self, now: UnixMillis) -> bool {
        now >= self.0
    }
}
