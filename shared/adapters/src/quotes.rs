//! Rates for quotes, kept for a while. Quotes alone may use them: an order captures its rate afresh.

use std::sync::Arc;

use domain::{ReferenceRates, UnixMillis};
use tokio::sync::Mutex;

use crate::error::PortError;
use crate::ports::RateSource;

/// How long rates are good for quotes, in milliseconds. They change once a day, and a customer sees many quotes.
pub const KEPT_MS_MAX: i64 = 10 * 60 * 1_000;

/// Rates as they were fetched last, and when.
#[derive(Debug, Default)]
pub struct QuoteCache(Mutex<Option<(Arc<ReferenceRates>, UnixMillis)>>);

impl QuoteCache {
    /// Rates that are at most [`KEPT_MS_MAX`] old, and when they were fetched.
    pub async fn rates(
        &self,
        source: &impl RateSource,
        now: UnixMillis,
    ) -> Result<(Arc<ReferenceRates>, UnixMillis), PortError> {
        let mut slot = self.0.lock().await;
        if let Some((rates, fetched_at)) = slot.as_ref().filter(|(_, at)| now.ms_since(*at) < KEPT_MS_MAX) {
            return Ok((Arc::clone(rates), *fetched_at));
        }
        let rates = Arc::new(source.rates().await?);
        *slot = Some((Arc::clone(&rates), now));
        Ok((rates, now))
    }
}
