//! `sampan quarantine` and `sampan redrive`: looking at queues of messages that wait for a person, and
//! putting them back.
//!
//! Invariant (law 1): a message leaves the queue that it is kept in only after the events queue has it.
//! A failure between the two leaves it in both, which changes nothing: facts are written once.

use std::collections::BTreeMap;

use adapters::aws::SqsQuarantine;
use adapters::clock::{Clock, SystemClock};
use anyhow::{Context, bail};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName, QueueAttributeName};
use clap::{Args, Subcommand};
use comfy_table::Table;
use futures::{StreamExt, TryStreamExt};

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
/// Messages in flight to the events queue at once.
const MOVES_AT_ONCE_MAX: usize = 10;

/// What to do with the quarantine.
#[derive(Debug, Subcommand)]
pub enum QuarantineCommand {
    /// List what is there, without taking anything
    List {
        /// Print the messages too; they may hold what people must not read
        #[arg(long)]
        body: bool,
    },
    /// Put messages back on the events queue, then delete them here
    Replay(ReplayArguments),
}

/// Which messages to put back.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct ReplayArguments {
    /// All that are there now
    #[arg(long)]
    all: bool,
    /// The one with this id, as `quarantine list` shows it
    #[arg(long, value_name = "ID")]
    id: Option<String>,
}

/// How much to put back.
#[derive(Debug, Args)]
pub struct RedriveArguments {
    /// Events at most [default: all that are there at the start]
    #[arg(long)]
    limit: Option<usize>,
}

/// A message that is kept, and why.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    /// Its id in the quarantine.
    pub(crate) id: String,
    /// Its id in the queue that it came from.
    pub(crate) first_id: String,
    /// Why it is here.
    pub(crate) reason: String,
    age_seconds: i64,
    body: String,
}

/// Lists or replays the quarantine.
pub async fn quarantine(session: &Session, command: QuarantineCommand) -> anyhow::Result<()> {
    match command {
        QuarantineCommand::List { body } => {
            let kept = list(session).await?;
            println!("{}", kept_table(&kept));
            if body {
                for kept in &kept {
                    println!("\n{}\n{}", kept.id, kept.body);
                }
            }
            Ok(())
        }
        QuarantineCommand::Replay(ReplayArguments { id: Some(id), .. }) => replay_one(session, &id).await,
        QuarantineCommand::Replay(ReplayArguments { id: None, .. }) => {
            move_all(session, "quarantine", None, "Replaying").await
        }
    }
}

/// Puts events of the dead-letter queue back.
pub async fn redrive(session: &Session, arguments: RedriveArguments) -> anyhow::Result<()> {
    move_all(session, "events_dlq", arguments.limit, "Redriving").await
}

/// All that the quarantine holds, up to [`LIST_MESSAGES_MAX`]. Everything is handed back at once.
pub(crate) async fn list(session: &Session) -> anyhow::Result<Vec<Kept>> {
    let (client, queue) = (session.sqs(), session.stack.queue("quarantine")?);
    let now = SystemClock.now();
    let messages = hold(&client, queue, LIST_MESSAGES_MAX).await?;
    let mut kept: Vec<Kept> = messages
        .values()
        .map(|message| {
            let text = |name: &str| {
                let attribute = message.message_attributes().and_then(|attributes| attributes.get(name));
                attribute.and_then(|attribute| attribute.string_value()).unwrap_or("").to_owned()
            };
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
    Ok(kept)
}

/// Kept messages as a table; never their bodies.
pub(crate) fn kept_table(kept: &[Kept]) -> Table {
    let mut rows = table(["id", "id on the events queue", "reason", "age", "bytes"]);
    for kept in kept {
        let age = format!("{} s", kept.age_seconds);
        rows.add_row([kept.id.clone(), kept.first_id.clone(), kept.reason.clone(), age, kept.body.len().to_string()]);
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

/// Takes up to `messages_max` messages, each once, by their id. They are ours for [`HELD_SECONDS`].
async fn hold(client: &Client, queue: &str, messages_max: usize) -> anyhow::Result<BTreeMap<String, Message>> {
    let mut held = BTreeMap::new();
    let mut empty_receives = 0;
    while empty_receives < EMPTY_RECEIVES_MIN && held.len() < messages_max {
        let known = held.len();
        let received = receive(client, queue).await?;
        held.extend(received.into_iter().map(|message| (message.message_id().unwrap_or("").to_owned(), message)));
        empty_receives = if held.len() == known { empty_receives + 1 } else { 0 };
    }
    Ok(held)
}

/// Hands messages back at once. One that cannot be handed back comes back by itself.
async fn release(client: &Client, queue: &str, messages: impl Iterator<Item = &Message>) {
    for message in messages {
        let call = client.change_message_visibility().queue_url(queue).visibility_timeout(0);
        call.set_receipt_handle(message.receipt_handle().map(str::to_owned)).send().await.ok();
    }
}

/// Sends a message to the events queue, and only then deletes it where it was kept.
async fn move_one(client: &Client, from: &str, events: &str, message: &Message) -> anyhow::Result<()> {
    let body = message.body().context("the message has no body")?;
    client.send_message().queue_url(events).message_body(body).send().await.context("cannot send to events")?;
    let delete = client.delete_message().queue_url(from);
    let deleted = delete.set_receipt_handle(message.receipt_handle().map(str::to_owned)).send().await;
    deleted.map(drop).context("it is on the events queue, and cannot be deleted where it was kept")
}

async fn replay_one(session: &Session, id: &str) -> anyhow::Result<()> {
    let (client, queue) = (session.sqs(), session.stack.queue("quarantine")?);
    let mut held = hold(&client, queue, LIST_MESSAGES_MAX).await?;
    let wanted = held.remove(id);
    release(&client, queue, held.values()).await;
    let Some(message) = wanted else { bail!("the quarantine has no message {id}") };
    move_one(&client, queue, session.stack.queue("events")?, &message).await?;
    step("Replaying", "1 message is on the events queue again");
    Ok(())
}

/// Moves what a queue holds at the start, or less. The bound keeps events that fail again from going round.
async fn move_all(session: &Session, from: &str, limit: Option<usize>, name: &'static str) -> anyhow::Result<()> {
    let (client, queue, events) = (session.sqs(), session.stack.queue(from)?, session.stack.queue("events")?);
    let there = count(&client, queue).await?;
    let bound = limit.unwrap_or(usize::MAX).min(there);
    let bar = bar(name, bound);
    let mut moved = 0;
    let mut empty_receives = 0;
    while moved < bound && empty_receives < EMPTY_RECEIVES_MIN {
        let mut messages = receive(&client, queue).await?;
        empty_receives = if messages.is_empty() { empty_receives + 1 } else { 0 };
        let surplus = messages.split_off(messages.len().min(bound - moved));
        release(&client, queue, surplus.iter()).await;
        moved += futures::stream::iter(&messages)
            .map(|message| move_one(&client, queue, events, message))
            .buffer_unordered(MOVES_AT_ONCE_MAX)
            .inspect_ok(|()| bar.inc(1))
            .try_fold(0, |moved, ()| async move { Ok(moved + 1) })
            .await
            .with_context(|| format!("after {} messages", bar.position()))?;
    }
    bar.finish_and_clear();
    step(name, &format!("{moved} of {there} messages are on the events queue again"));
    Ok(())
}

/// About how many messages a queue can hand out.
async fn count(client: &Client, queue: &str) -> anyhow::Result<usize> {
    let name = QueueAttributeName::ApproximateNumberOfMessages;
    let answer = client.get_queue_attributes().queue_url(queue).attribute_names(name.clone()).send();
    let answer = answer.await.context("cannot ask the queue how many messages it holds")?;
    let count = answer.attributes().and_then(|all| all.get(&name)).and_then(|count| count.parse().ok());
    count.context("the queue does not tell how many messages it holds")
}
