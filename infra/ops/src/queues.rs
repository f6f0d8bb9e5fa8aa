//! `sampan quarantine` and `sampan redrive`: looking at queues of messages that wait for a person, and
//! putting them back.
//!
//! Invariant (law 1): a message leaves the queue that it is kept in only after the queue of its work has it.
//! A failure between the two leaves it in both, which changes nothing: facts are written once.
//!
//! A queue does not hand out what somebody else holds, such as a list that was interrupted. Every answer
//! counts those messages too and says so: what is not seen is not gone.

use std::collections::BTreeMap;

use adapters::aws::SqsQuarantine;
use adapters::clock::{Clock, SystemClock};
use adapters::ports::Quarantined;
use anyhow::{Context, anyhow, bail, ensure};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName, QueueAttributeName};
use clap::{Args, Subcommand, ValueEnum};
use comfy_table::Table;
use futures::StreamExt;
use protocols::images::IMAGE_REQUESTED;
use serde::Deserialize;

use crate::stack::Session;
use crate::table::{bar, step, table};

/// Messages of one receive. Source: SQS ReceiveMessage.
const RECEIVE_MESSAGES_MAX: i32 = 10;
/// How long received messages are ours, in seconds: long enough to look at all of them, or to move ten.
const HELD_SECONDS: i32 = 60;
/// How long one receive waits for messages, in seconds. Waiting asks all of the queue's servers.
const WAIT_SECONDS: i32 = 1;
/// Receives in a row that must be empty before a queue counts as empty.
const EMPTY_RECEIVES_MIN: u32 = 2;
/// Messages that a list shows at most.
const LIST_MESSAGES_MAX: usize = 1_000;
/// What to do about messages that somebody else holds, for [`HELD_SECONDS`] if it was a command of ours.
const AGAIN: &str = "run the command again in a minute";
/// Messages in flight to the queue of their work at once.
const MOVES_AT_ONCE_MAX: usize = 10;

/// A queue of work. Each has a dead-letter queue of its own; the quarantine is both's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Queue {
    /// What outsiders reported, on its way to status-writer
    Events,
    /// Pictures that are to be fetched, on their way to image-sync
    Images,
}

impl Queue {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::Events, Self::Images];

    /// Its name in the facts of a stack.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Images => "images",
        }
    }

    /// The name of its dead-letter queue.
    pub(crate) const fn dead_letters(self) -> &'static str {
        match self {
            Self::Events => "events_dlq",
            Self::Images => "images_dlq",
        }
    }

    /// Whose work a message is. What nobody can read is status-writer's, which puts it back into quarantine.
    fn of(message: &str) -> Self {
        #[derive(Deserialize)]
        struct Head {
            #[serde(rename = "type")]
            kind: String,
        }
        // Another version of the same message is the same function's to judge.
        let (of_images, _) = IMAGE_REQUESTED.rsplit_once('.').unwrap_or_default();
        let head = serde_json::from_str::<Head>(message);
        if head.is_ok_and(|head| head.kind.starts_with(of_images)) { Self::Images } else { Self::Events }
    }
}

/// What to do with the quarantine.
#[derive(Debug, Subcommand)]
pub enum QuarantineCommand {
    /// List what is there, without taking anything
    List {
        /// Print the messages too; they may hold what people must not read
        #[arg(long)]
        body: bool,
    },
    /// Put messages back on the queue of their work, then delete them here
    Replay(ReplayArguments),
    /// Delete a message that nobody will ever read, for good
    Discard {
        /// The one with this id, as `quarantine list` shows it
        #[arg(long, value_name = "ID")]
        id: String,
    },
}

/// Which messages to put back.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct ReplayArguments {
    /// All that can be taken now; what somebody else holds is counted and left
    #[arg(long)]
    pub all: bool,
    /// The one with this id, as `quarantine list` shows it
    #[arg(long, value_name = "ID")]
    pub id: Option<String>,
}

/// How much to put back.
#[derive(Debug, Args)]
pub struct RedriveArguments {
    /// Whose dead letters [default: both queues']
    #[arg(long, value_name = "QUEUE")]
    queue: Option<Queue>,
    /// Messages of a queue at most [default: all that can be taken at the start]
    #[arg(long)]
    limit: Option<usize>,
}

/// A message that is kept, and why.
#[derive(Debug, Clone)]
pub struct Kept {
    /// Its id in the quarantine.
    pub id: String,
    /// Its id in the queue that it came from.
    pub first_id: String,
    /// Why it is here.
    pub reason: String,
    age_seconds: i64,
    /// The message. It may hold what people must not read.
    pub body: String,
}

/// Lists or replays the quarantine.
pub async fn quarantine(session: &Session, command: QuarantineCommand) -> anyhow::Result<()> {
    match command {
        QuarantineCommand::List { body } => {
            let (kept, missing) = look(session).await?;
            println!("{}", kept_table(&kept));
            if let Some(missing) = missing {
                step("Listing", &missing);
            }
            if body {
                for kept in &kept {
                    println!("\n{}\n{}", kept.id, kept.body);
                }
            }
            Ok(())
        }
        QuarantineCommand::Replay(ReplayArguments { id: Some(id), .. }) => replay_one(session, &id).await,
        QuarantineCommand::Discard { id } => discard_one(session, &id).await,
        QuarantineCommand::Replay(ReplayArguments { id: None, .. }) => {
            move_all(session, "quarantine", Queue::of, None, "Replaying").await
        }
    }
}

/// Puts messages of the dead-letter queues back.
pub async fn redrive(session: &Session, arguments: RedriveArguments) -> anyhow::Result<()> {
    let RedriveArguments { queue: wanted, limit } = arguments;
    for queue in Queue::ALL.into_iter().filter(|queue| wanted.is_none_or(|wanted| wanted == *queue)) {
        move_all(session, queue.dead_letters(), |_| queue, limit, "Redriving").await?;
    }
    Ok(())
}

/// What the quarantine hands out, oldest first, up to a thousand messages. Everything is handed back at once.
pub async fn list(session: &Session) -> anyhow::Result<Vec<Kept>> {
    look(session).await.map(|(kept, _)| kept)
}

/// The same, and what of the quarantine is not in it, where something is not.
async fn look(session: &Session) -> anyhow::Result<(Vec<Kept>, Option<String>)> {
    let (client, queue) = (session.sqs(), session.stack.queue("quarantine")?);
    let now = SystemClock.now();
    let (messages, missing) = hold(&client, queue).await?;
    let mut kept: Vec<Kept> = messages
        .values()
        .map(|message| {
            let text = |name: &str| attribute(message, name).to_owned();
            let sent = message.attributes().and_then(|all| all.get(&MessageSystemAttributeName::SentTimestamp));
            let sent_ms: i64 = sent.and_then(|sent| sent.parse().ok()).unwrap_or(now.get());
            Kept {
                id: message.message_id().unwrap_or("").to_owned(),
                first_id: text(SqsQuarantine::MESSAGE_ID),
                reason: text(SqsQuarantine::REASON),
                age_seconds: (now.get() - sent_ms).div_euclid(1_000),
                body: message.body().unwrap_or("").to_owned(),
            }
        })
        .collect();
    release(&client, queue, messages.values()).await;
    kept.sort_by_key(|kept| std::cmp::Reverse(kept.age_seconds));
    Ok((kept, missing))
}

/// What the quarantine wrote beside a message.
fn attribute<'a>(message: &'a Message, name: &str) -> &'a str {
    let attribute = message.message_attributes().and_then(|attributes| attributes.get(name));
    attribute.and_then(|attribute| attribute.string_value()).unwrap_or_default()
}

/// Kept messages as a table; never their bodies.
pub(crate) fn kept_table(kept: &[Kept]) -> Table {
    let mut rows = table(["id", "queue", "id there", "reason", "age", "bytes"]);
    for kept in kept {
        let (queue, age) = (Queue::of(&kept.body).as_str().to_owned(), format!("{} s", kept.age_seconds));
        let bytes = kept.body.len().to_string();
        rows.add_row([kept.id.clone(), queue, kept.first_id.clone(), kept.reason.clone(), age, bytes]);
    }
    rows
}

async fn receive(client: &Client, queue: &str) -> anyhow::Result<Vec<Message>> {
    let answer = client
        .receive_message()
        .queue_url(queue)
        .max_number_of_messages(RECEIVE_MESSAGES_MAX)
        .visibility_timeout(HELD_SECONDS)
        .wait_time_seconds(WAIT_SECONDS)
        .message_attribute_names("All")
        .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
        .send()
        .await
        .context("cannot receive messages")?;
    Ok(answer.messages.unwrap_or_default())
}

/// Takes up to [`LIST_MESSAGES_MAX`] messages, each once, by their id, and says what it did not get. They are
/// ours for [`HELD_SECONDS`].
async fn hold(client: &Client, queue: &str) -> anyhow::Result<(BTreeMap<String, Message>, Option<String>)> {
    let start = depth(client, queue).await?;
    let mut held = BTreeMap::new();
    let mut empty_receives = 0;
    while empty_receives < EMPTY_RECEIVES_MIN && held.len() < LIST_MESSAGES_MAX {
        let known = held.len();
        let received = receive(client, queue).await?;
        held.extend(received.into_iter().map(|message| (message.message_id().unwrap_or("").to_owned(), message)));
        empty_receives = if held.len() == known { empty_receives + 1 } else { 0 };
    }
    let missing = not_seen(start, held.len());
    Ok((held, missing))
}

/// Hands messages back at once. One that cannot be handed back comes back by itself.
async fn release(client: &Client, queue: &str, messages: impl Iterator<Item = &Message>) {
    for message in messages {
        let call = client.change_message_visibility().queue_url(queue).visibility_timeout(0);
        call.set_receipt_handle(message.receipt_handle().map(str::to_owned)).send().await.ok();
    }
}

/// Sends a message to the queue of its work, and only then deletes it where it was kept.
async fn move_one(
    (session, client): (&Session, &Client),
    from: &str,
    to: impl Fn(&str) -> Queue,
    message: &Message,
) -> anyhow::Result<Queue> {
    let body = message.body().context("the message has no body")?;
    ensure!(
        !attribute(message, SqsQuarantine::MESSAGE_ID).starts_with(Quarantined::OF_SWEEPS),
        "{} is an answer of a marketplace, which no queue takes: a sweep asks again; then discard it",
        message.message_id().unwrap_or("a message")
    );
    let queue = to(body);
    let name = queue.as_str();
    let send = client.send_message().queue_url(session.stack.queue(name)?).message_body(body);
    send.send().await.with_context(|| format!("cannot send to {name}"))?;
    let deleted = delete(client, from, message).await;
    deleted.with_context(|| format!("it is on the {name} queue, and cannot be deleted where it was kept"))?;
    Ok(queue)
}

async fn delete(client: &Client, queue: &str, message: &Message) -> anyhow::Result<()> {
    let delete = client.delete_message().queue_url(queue);
    delete.set_receipt_handle(message.receipt_handle().map(str::to_owned)).send().await?;
    Ok(())
}

/// Does something with the message of the quarantine that has this id; the others are handed back.
async fn with_one<T>(
    session: &Session,
    id: &str,
    act: impl AsyncFnOnce(&Client, &str, &Message) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let (client, queue) = (session.sqs(), session.stack.queue("quarantine")?);
    let (mut held, missing) = hold(&client, queue).await?;
    let done = match (held.remove(id), missing) {
        (Some(message), _) => act(&client, queue, &message).await,
        (None, None) => Err(anyhow!("the quarantine has no message {id}")),
        (None, Some(missing)) => Err(anyhow!("no message {id} among those that were seen; {missing}")),
    };
    release(&client, queue, held.values()).await;
    done
}

/// Puts the message with this id back.
pub(crate) async fn replay_one(session: &Session, id: &str) -> anyhow::Result<()> {
    let moved = with_one(session, id, async |client, queue, message| {
        move_one((session, client), queue, Queue::of, message).await
    });
    step("Replaying", &format!("1 message is on the {} queue again", moved.await?.as_str()));
    Ok(())
}

/// Deletes the message with this id.
async fn discard_one(session: &Session, id: &str) -> anyhow::Result<()> {
    let deleted = with_one(session, id, async |client, queue, message| {
        delete(client, queue, message).await.context("it cannot be deleted")
    });
    deleted.await?;
    step("Discarding", "1 message is gone");
    Ok(())
}

/// Moves what a queue can hand out at the start, or less, and says what is left. The bound keeps events that fail
/// again from going round.
async fn move_all(
    session: &Session,
    from: &str,
    to: impl Fn(&str) -> Queue + Copy,
    limit: Option<usize>,
    name: &'static str,
) -> anyhow::Result<()> {
    let (client, queue) = (session.sqs(), session.stack.queue(from)?);
    let start = depth(&client, queue).await?;
    let bound = limit.unwrap_or(usize::MAX).min(start.visible);
    let bar = bar(name, bound);
    let (mut moved, mut stay, mut empty_receives) = (0, Vec::new(), 0);
    while moved + stay.len() < bound && empty_receives < EMPTY_RECEIVES_MIN {
        let mut messages = receive(&client, queue).await?;
        empty_receives = if messages.is_empty() { empty_receives + 1 } else { 0 };
        let surplus = messages.split_off(messages.len().min(bound - moved - stay.len()));
        release(&client, queue, surplus.iter()).await;
        let client = &client;
        let moves = messages.into_iter().map(|message| async move {
            let ended = move_one((session, client), queue, to, &message).await;
            (message, ended)
        });
        let mut moves = futures::stream::iter(moves).buffer_unordered(MOVES_AT_ONCE_MAX);
        while let Some((message, ended)) = moves.next().await {
            match ended {
                Ok(_) => moved += 1,
                Err(error) => stay.push((message, error)),
            }
            bar.inc(1);
        }
    }
    release(&client, queue, stay.iter().map(|(message, _)| message)).await;
    bar.finish_and_clear();
    step(name, &format!("{moved} of {} messages of {from} are on their queue again", start.total()));
    if let Some(rest) = left(start, moved + stay.len(), depth(&client, queue).await?) {
        step(name, &rest);
    }
    match stay.first() {
        None => Ok(()),
        Some((_, first)) => {
            bail!("could not be moved, and stay where they are: {}; one of them: {first:#}", stay.len())
        }
    }
}

/// About how many messages a queue has. On AWS the counts may be a minute old.
/// Source: SQS GetQueueAttributes, ApproximateNumberOfMessages and ApproximateNumberOfMessagesNotVisible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Depth {
    /// Those that it can hand out.
    pub(crate) visible: usize,
    /// Those that somebody received and neither deleted nor handed back.
    pub(crate) held: usize,
}

impl Depth {
    /// All of them.
    pub(crate) fn total(self) -> usize {
        self.visible.saturating_add(self.held)
    }
}

pub(crate) async fn depth(client: &Client, queue: &str) -> anyhow::Result<Depth> {
    let visible = QueueAttributeName::ApproximateNumberOfMessages;
    let held = QueueAttributeName::ApproximateNumberOfMessagesNotVisible;
    let call = client.get_queue_attributes().queue_url(queue);
    let answer = call.attribute_names(visible.clone()).attribute_names(held.clone()).send().await;
    let answer = answer.context("cannot ask the queue how many messages it has")?;
    let count = |name: &QueueAttributeName| {
        let count = answer.attributes().and_then(|all| all.get(name)).and_then(|count| count.parse().ok());
        count.context("the queue does not tell how many messages it has")
    };
    Ok(Depth { visible: count(&visible)?, held: count(&held)? })
}

/// What a look at a queue that had this at its start, and gave this many messages, did not see.
fn not_seen(start: Depth, seen: usize) -> Option<String> {
    if seen >= LIST_MESSAGES_MAX {
        let all = start.total().max(seen);
        return Some(format!("cut off after {seen} of about {all} messages; `replay --all` moves the others too"));
    }
    let unseen = start.total().saturating_sub(seen);
    (unseen > 0).then(|| format!("not seen: about {unseen}, held by somebody else; {AGAIN}"))
}

/// What a queue still has after a move of this many messages, and what to do about it.
fn left(start: Depth, moved: usize, now: Depth) -> Option<String> {
    let unmoved = start.total().saturating_sub(moved);
    match (now.visible, now.held) {
        (0, 0) if unmoved == 0 => None,
        (0, 0) => Some(format!("{unmoved} were taken by somebody else meanwhile; {AGAIN}")),
        (0, held) => Some(format!("left: about {held}, held by somebody else; {AGAIN}")),
        (visible, 0) => Some(format!("left or come since: about {visible}; the command can be run again")),
        (visible, held) => {
            let all = visible.saturating_add(held);
            Some(format!("left or come since: about {all}, {held} of them held by somebody else; {AGAIN}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn depth(visible: usize, held: usize) -> Depth {
        Depth { visible, held }
    }

    #[test]
    fn a_message_goes_back_to_the_queue_whose_work_it_is() {
        for (message, queue) in [
            (r#"{"specversion":"1.0","type":"sampan.image.requested.v1","data":{}}"#, Queue::Images),
            (r#"{"specversion":"1.0","type":"sampan.image.requested.v2"}"#, Queue::Images),
            (r#"{"specversion":"1.0","type":"sampan.trade.changed.v1"}"#, Queue::Events),
            (r#"{"specversion":"1.0","type":"sampan.product.changed.v1"}"#, Queue::Events),
            ("not an event", Queue::Events),
        ] {
            assert_eq!(Queue::of(message), queue, "{message}");
        }
    }

    #[test]
    fn a_look_says_what_it_did_not_see() {
        assert_eq!(not_seen(depth(0, 0), 0), None);
        assert_eq!(not_seen(depth(7, 0), 7), None);
        // More than the queue had counted is not less than all.
        assert_eq!(not_seen(depth(0, 0), 7), None);
        assert!(not_seen(depth(0, 3), 0).unwrap().starts_with("not seen: about 3, held by somebody else"));
        assert!(not_seen(depth(7, 3), 7).unwrap().starts_with("not seen: about 3, held by somebody else"));
        for there in [0, LIST_MESSAGES_MAX, 2_500] {
            let text = not_seen(depth(there, 0), LIST_MESSAGES_MAX).unwrap();
            let all = there.max(LIST_MESSAGES_MAX);
            assert!(text.starts_with(&format!("cut off after 1000 of about {all} messages;")), "{text}");
        }
    }

    #[test]
    fn a_move_is_silent_only_when_nothing_is_left() {
        for (start, moved, now, said) in [
            (depth(0, 0), 0, depth(0, 0), None),
            (depth(5, 0), 5, depth(0, 0), None),
            (depth(0, 5), 0, depth(0, 5), Some("left: about 5, held by somebody else; run")),
            (depth(3, 5), 3, depth(0, 5), Some("left: about 5, held by somebody else; run")),
            (depth(5, 0), 2, depth(3, 0), Some("left or come since: about 3; the command")),
            (depth(5, 2), 2, depth(3, 2), Some("left or come since: about 5, 2 of them held by somebody else; run")),
            (depth(0, 5), 0, depth(5, 0), Some("left or come since: about 5; the command")),
            (depth(5, 0), 2, depth(0, 0), Some("3 were taken by somebody else meanwhile; run")),
        ] {
            let text = left(start, moved, now);
            assert_eq!(text.is_some(), said.is_some(), "{text:?}");
            assert!(text.unwrap_or_default().starts_with(said.unwrap_or_default()), "{said:?}");
        }
    }
}
