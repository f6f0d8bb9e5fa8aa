//! One run: which shops are meant, and each of them swept side by side under one cap.

use std::collections::BTreeSet;
use std::sync::Arc;

use adapters::clock::Clock;
use adapters::error::PortError;
use adapters::ports::{SecretsSource, Sweeps};
use adapters::secrets::{KEPT_MS_MAX, SecretCache, Unusable};
use domain::sweep::{Limits, SweepKind};
use futures::stream::{self, StreamExt};
use protocols::marketplace::Account;
use protocols::sweeps::{Answer, Outcome, Request, Swept, Whose};

use super::shop::{self, Work};
use super::tally::Tally;
use super::time::RunTime;
use crate::deadline::Deadline;
use crate::log::{Log, WideEvent, event, field, metric};

/// What bounds a run.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Shops side by side.
    pub shops_at_once: usize,
    /// Windows, slices and pages.
    pub limits: Limits,
}

/// Sweeps the shops that are meant; `begin` makes the work of one, with all accounts at its marketplace. One shop's
/// failure is in its own entry and stops no other. An error when the secrets cannot be read: then no shop is known.
pub async fn run<W: Work>(
    request: &Request,
    whose: &Whose,
    (deadline, settings): (Deadline, Settings),
    begin: impl Fn(Account, Arc<[Account]>) -> W,
    (sweeps, source, cache): (&impl Sweeps, &impl SecretsSource, &SecretCache),
    (clock, log): (&impl Clock, &impl Log),
) -> Result<Answer, PortError> {
    let secrets = cache.read(source, clock.now(), KEPT_MS_MAX).await?;
    let all: Arc<[Account]> = secrets.accounts(whose.marketplace).into();
    let is_meant = |account: &&Account| whose.shop.as_ref().is_none_or(|shop| *shop == account.shop);
    let meant: Vec<Account> = all.iter().filter(is_meant).cloned().collect();
    let unusable = secrets.unusable();
    log.write(secrets_event(&unusable));
    if meant.is_empty() {
        return Ok(without_shops(request, whose, unusable.is_empty(), log));
    }
    let mut answer = Answer { sweeps: Vec::with_capacity(meant.len()) };
    let swept = stream::iter(meant)
        .map(|account| shop::sweep(begin(account, Arc::clone(&all)), sweeps, RunTime { deadline, clock }))
        .buffer_unordered(settings.shops_at_once);
    let mut swept = std::pin::pin!(swept);
    while let Some((swept, event)) = swept.next().await {
        log.write(counted(event, request, swept.outcome));
        answer.sweeps.push(Swept { kind: request.kind().to_owned(), ..swept });
    }
    answer.sweeps.sort_by(|one, other| one.shop.cmp(&other.shop));
    Ok(answer)
}

/// The answer when nobody is to be swept: who named a shop is refused; a schedule has no shop of its marketplace yet, and is
/// not behind for that. Unless a part of the document is unusable: the shop may be in that part, and nobody is told that all
/// is well.
fn without_shops(request: &Request, whose: &Whose, all_are_usable: bool, log: &impl Log) -> Answer {
    const REASON: &str = "the secrets document has no such shop with a token";
    if whose.shop.is_some() {
        return refused(request, &REASON, log);
    }
    let follows_the_clock = SweepKind::from_name(request.kind()).is_some_and(SweepKind::follows_the_clock);
    let is_well = follows_the_clock && all_are_usable;
    let event = WideEvent::new(event::SWEEP_FINISHED, Outcome::Finished.as_str())
        .with(field::SWEEP_KIND, request.kind())
        .with(field::EVENT_SOURCE, whose.marketplace.as_str())
        .with(field::SWEEP_LAG_S, is_well.then_some(0));
    log.write(event.with(field::REASON, REASON));
    Answer { sweeps: Vec::new() }
}

/// What is logged of the secrets. A sweep tells how many entries let nobody in, because it runs whether anybody comes or not;
/// by sections and not by names, in whose place a secret may stand.
fn secrets_event(unusable: &[&Unusable]) -> WideEvent {
    let sections: BTreeSet<&str> = unusable.iter().map(|one| one.section.as_str()).collect();
    let outcome = if unusable.is_empty() { "usable" } else { "unusable" };
    let event = WideEvent::new(event::SECRETS_READ, outcome);
    let sections = sections.into_iter().collect::<Vec<_>>().join(", ");
    let event = if unusable.is_empty() { event } else { event.with(field::SECRETS, sections) };
    event.with_count(metric::SECRETS_UNUSABLE, Tally::number(unusable.len()))
}

/// The event of a sweep, which counts when it is the nightly audit and did not come to its end. One for a window that an
/// operator named is gone on with by who asked for it; another run at it is no want.
fn counted(event: WideEvent, request: &Request, outcome: Outcome) -> WideEvent {
    let is_nightly = request.kind() == SweepKind::Audit.as_str() && !request.has_goal();
    let has_ended = matches!(outcome, Outcome::Finished | Outcome::Held);
    if is_nightly && !has_ended { event.with_metric(metric::AUDIT_UNFINISHED) } else { event }
}

/// The answer to a request that cannot be done as it is.
pub fn refused(request: &Request, reason: &impl ToString, log: &impl Log) -> Answer {
    let event = WideEvent::new(event::SWEEP_FINISHED, Outcome::Refused.as_str());
    log.write(event.with(field::REASON, reason.to_string()));
    Answer { sweeps: vec![Swept::refused(request, reason)] }
}
