//! One run: which shops are meant, and each of them swept side by side under one cap.

use adapters::clock::Clock;
use adapters::error::PortError;
use adapters::ports::{EventQueue, Marketplace, Quarantine, RawDetails, SecretsSource, Sweeps, TradeDetails};
use adapters::secrets::{KEPT_MS_MAX, SecretCache};
use domain::sweep::Limits;
use futures::stream::{self, StreamExt};
use lambda::deadline::Deadline;
use lambda::log::{Log, WideEvent, field};
use protocols::marketplace::Account;

use crate::request::{Answer, Job, Outcome, Request, Swept};
use crate::shop::{self, Task};
use crate::time::RunTime;

/// What bounds a run.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Shops side by side.
    pub shops_at_once: usize,
    /// Windows, slices and pages.
    pub limits: Limits,
}

/// Sweeps the shops that are meant. One shop's failure is in its own entry and stops no other. An error when the
/// secrets cannot be read: then no shop is known.
pub async fn handle(
    request: Request,
    (deadline, settings): (Deadline, Settings),
    market: &impl Marketplace,
    trades: (&impl TradeDetails, &impl RawDetails),
    sinks: (&impl EventQueue, &impl Quarantine),
    (sweeps, source, cache): (&impl Sweeps, &impl SecretsSource, &SecretCache),
    (clock, log): (&impl Clock, &impl Log),
) -> Result<Answer, PortError> {
    let job = match request.job() {
        Ok(job) => job,
        Err(invalid) => return Ok(refused(&request, &invalid, log)),
    };
    let secrets = cache.read(source, clock.now(), KEPT_MS_MAX).await?;
    let all = secrets.accounts(job.marketplace);
    let meant = meant(&job, &all);
    if meant.is_empty() && job.shop.is_some() {
        return Ok(refused(&request, &"the secrets document has no such shop with a token", log));
    }
    let swept = stream::iter(meant)
        .map(|account| {
            let task = Task::new(account, &job, settings.limits);
            shop::sweep(task, &all, market, trades, sinks, sweeps, RunTime { deadline, clock })
        })
        .buffer_unordered(settings.shops_at_once);
    let ended: Vec<(Swept, WideEvent)> = swept.collect().await;
    let mut answer = Answer { sweeps: Vec::with_capacity(ended.len()) };
    for (swept, event) in ended {
        log.write(event);
        answer.sweeps.push(swept);
    }
    answer.sweeps.sort_by(|one, other| one.shop.cmp(&other.shop));
    Ok(answer)
}

fn meant(job: &Job, all: &[Account]) -> Vec<Account> {
    let is_meant = |account: &&Account| job.shop.as_ref().is_none_or(|shop| *shop == account.shop);
    all.iter().filter(is_meant).cloned().collect()
}

fn refused(request: &Request, reason: &impl ToString, log: &impl Log) -> Answer {
    let event = WideEvent::new("sweep.finished", Outcome::Refused.as_str());
    log.write(event.with(field::REASON, reason.to_string()));
    Answer { sweeps: vec![Swept::refused(request, reason)] }
}
