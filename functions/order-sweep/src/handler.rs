//! One run: what is asked for, and each shop that is meant swept.

use adapters::clock::Clock;
use adapters::error::PortError;
use adapters::ports::{EventQueue, Marketplace, Quarantine, RawDetails, SecretsSource, Sweeps, TradeDetails};
use adapters::secrets::SecretCache;
use lambda::deadline::Deadline;
use lambda::log::Log;
use lambda::sweep::{self, Settings};
use protocols::sweeps::{Answer, Request};

use crate::job::Job;
use crate::shop::Orders;

/// Sweeps the shops that are meant. One shop's failure is in its own entry and stops no other. An error when the
/// secrets cannot be read: then no shop is known.
pub async fn handle(
    request: Request,
    (deadline, settings): (Deadline, Settings),
    market: &impl Marketplace,
    trades: (&impl TradeDetails, &impl RawDetails),
    sinks: (&impl EventQueue, &impl Quarantine),
    state: (&impl Sweeps, &impl SecretsSource, &SecretCache),
    told: (&impl Clock, &impl Log),
) -> Result<Answer, PortError> {
    let job = match Job::of(&request) {
        Ok(job) => job,
        Err(invalid) => return Ok(sweep::refused(&request, &invalid, told.1)),
    };
    let begin = |account, others| Orders::new((account, others), &job, settings.limits, market, trades, sinks);
    sweep::run(&request, &job.whose, (deadline, settings), begin, state, told).await
}
