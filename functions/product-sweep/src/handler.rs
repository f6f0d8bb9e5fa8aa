//! One run: what is asked for, and each shop that is meant swept.

use adapters::clock::Clock;
use adapters::error::PortError;
use adapters::ports::{Catalogue, ImageQueue, Manifest, Products, Quarantine, SecretsSource, Sweeps};
use adapters::secrets::SecretCache;
use lambda::deadline::Deadline;
use lambda::log::Log;
use lambda::sweep::{self, Settings};
use protocols::sweeps::{Answer, Request};

use crate::job::Job;
use crate::shop::Shop;

/// Sweeps the shops that are meant. One shop's failure is in its own entry and stops no other. An error when the
/// secrets cannot be read: then no shop is known.
pub async fn handle(
    request: Request,
    (deadline, settings): (Deadline, Settings),
    catalogue: &impl Catalogue,
    known: (&impl Products, &impl Manifest),
    sinks: (&impl ImageQueue, &impl Quarantine),
    state: (&impl Sweeps, &impl SecretsSource, &SecretCache),
    told: (&impl Clock, &impl Log),
) -> Result<Answer, PortError> {
    let job = match Job::of(&request) {
        Ok(job) => job,
        Err(invalid) => return Ok(sweep::refused(&request, &invalid, told.1)),
    };
    let begin = |account, _| Shop::new(account, &job, settings.limits, catalogue, known, sinks);
    sweep::run(&request, &job.whose, (deadline, settings), begin, state, told).await
}
