//! The one place that asks what time it is.

use domain::UnixMillis;

/// Tells the time. Errors: none; a clock before 1970 tells 1970.
pub trait Clock {
    /// Now.
    fn now(&self) -> UnixMillis;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    fn now(&self) -> UnixMillis {
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .ok()
            .and_then(|since| i64::try_from(since.as_millis()).ok())
            .and_then(|millis| UnixMillis::new(millis).ok())
            .unwrap_or(UnixMillis::EPOCH)
    }
}

impl<C: Clock> Clock for &C {
    fn now(&self) -> UnixMillis {
        (**self).now()
    }
}
