//! The one place that asks what time it is, and that waits.

use std::future::Future;
use std::time::Duration;

use domain::UnixMillis;

/// Tells the time. Errors: none; a clock before 1970 tells 1970.
pub trait Clock {
    /// Now.
    fn now(&self) -> UnixMillis;

    /// Lets so many milliseconds pass.
    fn sleep(&self, millis: u64) -> impl Future<Output = ()> + Send;
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

    fn sleep(&self, millis: u64) -> impl Future<Output = ()> + Send {
        tokio::time::sleep(Duration::from_millis(millis))
    }
}

impl<C: Clock> Clock for &C {
    fn now(&self) -> UnixMillis {
        (**self).now()
    }

    fn sleep(&self, millis: u64) -> impl Future<Output = ()> + Send {
        (**self).sleep(millis)
    }
}
