//! The queues on SQS: batches of ten and of bytes, sending again only what failed.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{MessageAttributeValue, SendMessageBatchRequestEntry};
use aws_types::SdkConfig;
use futures::{StreamExt, TryStreamExt};
use protocols::{VerifiedEvent, cloudevents};

use super::error::classify;
use crate::error::{Cause, Certainty, PortError};
use crate::ports::{EventQueue, Quarantine, Quarantined};

const SEND: &str = "events.send";
const QUARANTINE: &str = "quarantine.put";

/// Messages in one call. Source: SQS SendMessageBatch.
const BATCH_MESSAGES_MAX: usize = 10;
/// Bytes in one call. AWS takes 1 MiB since 2025; emulators and older regions take this.
const BATCH_BYTES_MAX: usize = 262_144;
/// Tries for entries that SQS took the call of and refused themselves.
const ENTRY_ATTEMPTS_MAX: usize = 3;
/// Calls side by side for one delivery: the largest push is 30 calls, and its sender waits a second.
const CALLS_AT_ONCE_MAX: usize = 6;

/// The events queue.
#[derive(Debug, Clone)]
pub struct SqsEventQueue {
    client: Client,
    queue_url: String,
}

impl SqsEventQueue {
    /// The queue of that URL.
    pub fn new(config: &SdkConfig, queue_url: String) -> Self {
        Self { client: Client::new(config), queue_url }
    }

    /// Sends one batch; entries that SQS refused by themselves are sent again, the others are not.
    async fn send_batch(&self, mut messages: Vec<String>) -> Result<(), PortError> {
        for _ in 0..ENTRY_ATTEMPTS_MAX {
            let entries = messages.iter().enumerate().map(|(index, message)| entry(index, message));
            let entries = entries.collect::<Result<Vec<_>, _>>()?;
            let call = self.client.send_message_batch().queue_url(&self.queue_url).set_entries(Some(entries));
            let answer = call.send().await.map_err(|error| classify(SEND, error))?;
            let failed: Vec<usize> = answer.failed().iter().filter_map(|entry| entry.id().parse().ok()).collect();
            if failed.is_empty() {
                return Ok(());
            }
            messages = messages
                .into_iter()
                .enumerate()
                .filter(|(index, _)| failed.contains(index))
                .map(|(_, message)| message)
                .collect();
        }
        Err(PortError::new(SEND, Cause::Away, Certainty::Indeterminate))
    }
}

fn entry(index: usize, message: &str) -> Result<SendMessageBatchRequestEntry, PortError> {
    SendMessageBatchRequestEntry::builder()
        .id(index.to_string())
        .message_body(message)
        .build()
        .map_err(|error| PortError { source: Some(Box::new(error)), ..PortError::unreadable(SEND) })
}

/// Cuts messages into batches that one call takes.
fn batches(messages: Vec<String>) -> Vec<Vec<String>> {
    let mut batches: Vec<Vec<String>> = Vec::new();
    let mut bytes = 0;
    for message in messages {
        let fits = |batch: &Vec<String>| batch.len() < BATCH_MESSAGES_MAX && bytes + message.len() <= BATCH_BYTES_MAX;
        match batches.last_mut().filter(|batch| fits(batch)) {
            Some(batch) => {
                bytes += message.len();
                batch.push(message);
            }
            None => {
                bytes = message.len();
                batches.push(vec![message]);
            }
        }
    }
    batches
}

impl EventQueue for SqsEventQueue {
    async fn send(&self, events: &[VerifiedEvent]) -> Result<(), PortError> {
        let messages = events
            .iter()
            .map(|event| cloudevents::write(event.event()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| PortError { source: Some(Box::new(error)), ..PortError::unreadable(SEND) })?;
        futures::stream::iter(batches(messages))
            .map(|batch| self.send_batch(batch))
            .buffer_unordered(CALLS_AT_ONCE_MAX)
            .try_collect()
            .await
    }
}

/// The quarantine queue: the message as it came, its reason and its first id as attributes.
#[derive(Debug, Clone)]
pub struct SqsQuarantine {
    client: Client,
    queue_url: String,
}

impl SqsQuarantine {
    /// The attribute that says why.
    pub const REASON: &'static str = "reason";
    /// The attribute that holds the message's id in the queue that it came from.
    pub const MESSAGE_ID: &'static str = "message_id";

    /// The queue of that URL.
    pub fn new(config: &SdkConfig, queue_url: String) -> Self {
        Self { client: Client::new(config), queue_url }
    }
}

impl Quarantine for SqsQuarantine {
    async fn put(&self, message: &Quarantined) -> Result<(), PortError> {
        let text = |text: &str| MessageAttributeValue::builder().data_type("String").string_value(text).build().ok();
        let call = self.client.send_message().queue_url(&self.queue_url).message_body(&message.body);
        let call =
            text(&message.reason).into_iter().fold(call, |call, reason| call.message_attributes(Self::REASON, reason));
        let call =
            text(&message.message_id).into_iter().fold(call, |call, id| call.message_attributes(Self::MESSAGE_ID, id));
        call.send().await.map(drop).map_err(|error| classify(QUARANTINE, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n_small_messages_take_a_tenth_of_the_calls_rounded_up() {
        for (messages, calls) in [(0, 0), (1, 1), (10, 1), (11, 2), (300, 30)] {
            assert_eq!(batches(vec!["m".to_owned(); messages]).len(), calls);
        }
    }

    #[test]
    fn a_batch_never_has_more_bytes_than_a_call_takes() {
        let large = "m".repeat(BATCH_BYTES_MAX / 3 + 1);
        let cut = batches(vec![large; 7]);
        assert_eq!(cut.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 2, 1]);
    }
}
