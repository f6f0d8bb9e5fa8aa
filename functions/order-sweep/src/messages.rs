//! Messages that wait at the marketplace: drained into the queue, and confirmed only then.
//!
//! Invariant (law 1): a message is confirmed only after what it says is durable. Messages wait by app, not by shop: one
//! of another shop of ours is that shop's, and one of nobody that we know is left where it is.

use std::collections::BTreeSet;

use adapters::clock::Clock;
use adapters::ports::{EventQueue, Marketplace, Quarantine, Sweeps};
use domain::MessageId;
use lambda::sweep::{Held, RunTime, Stop, Tally, set_aside};
use protocols::VerifiedEvent;
use protocols::marketplace::{Account, Answer, Malformed, Message, MessageContent, Owned};

/// Messages of nobody's that one run goes past, at most: each pull is a call on the quota of the app, and they come again
/// with every run.
const STRANGERS_MAX: usize = 1_000;

/// Whose message it is: the account's that asked, or another one's of ours.
fn owner<'a>(
    answer: &Answer<Message>,
    account: &'a Account,
    others: &'a [Account],
) -> Option<(&'a Account, Owned<Message>)> {
    let candidates = std::iter::once(account).chain(others);
    candidates
        .filter(|other| other.marketplace() == account.marketplace())
        .find_map(|other| Some((other, answer.clone().belonging_to(other).ok()?)))
}

/// Drains what waits: until a pull brings nothing but what was left already. That comes again, and Taobao does not say
/// whether before or behind what was not handed out yet: before it, it hides the rest, which the next incremental sweep
/// finds.
pub(crate) async fn drain(
    (market, account, others): (&impl Marketplace, &Account, &[Account]),
    (queue, quarantine): (&impl EventQueue, &impl Quarantine),
    held: &mut Held<'_, impl Sweeps>,
    time: &RunTime<'_, impl Clock>,
    tally: &mut Tally,
) -> Result<(), Stop> {
    let mut left: BTreeSet<MessageId> = BTreeSet::new();
    while left.len() < STRANGERS_MAX {
        time.for_a_page()?;
        held.beat(time.clock.now()).await?;
        let mut pulled = time.ask(async || market.pull(account).await).await?;
        tally.list_calls += 1;
        pulled.retain(|answer| !left.contains(answer.id()));
        if pulled.is_empty() {
            break;
        }
        let mut events: Vec<VerifiedEvent> = Vec::new();
        let mut done: Vec<MessageId> = Vec::new();
        for answer in pulled {
            tally.listed += 1;
            let Some((owner, message)) = owner(&answer, account, others) else {
                tally.foreign += 1;
                left.insert(answer.id().clone());
                continue;
            };
            match message.event(owner, time.clock.now()) {
                Ok(event) => events.extend(event),
                Err(refusal) => {
                    let (reason, body) = (refusal.to_string(), message.get().json.clone());
                    set_aside(owner, "message", Malformed { reason, body }, quarantine, tally).await?;
                }
            }
            if let MessageContent::Malformed(malformed) = &message.get().content {
                set_aside(owner, "message", malformed.clone(), quarantine, tally).await?;
            }
            done.push(message.get().id.clone());
        }
        queue.send(&events).await?;
        tally.changed += events.len();
        if !done.is_empty() {
            time.ask(async || market.confirm(account, &done).await).await?;
        }
    }
    Ok(())
}
