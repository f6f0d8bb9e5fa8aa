//! The queues on SQS: batches of ten and of bytes, sending again only what failed.

use std::borrow::Cow;
use std::collections::HashSet;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::BuildError;
use aws_sdk_sqs::types::{MessageAttributeValue, SendMessageBatchRequestEntry};
use domain::ImageRequest;
use futures::{StreamExt, TryStreamExt};
use protocols::{VerifiedEvent, cloudevents, images};

use super::error::classify;
use crate::error::{Cause, Certainty, PortError};
use crate::ports::{EventQueue, ImageQueue, Quarantine, Quarantined};

const SEND: &str = "events.send";
const SEND_IMAGES: &str = "image_queue.send";
const QUARANTINE: &str = "quarantine.put";

/// Messages in one call. Source: SQS SendMessageBatch.
const BATCH_MESSAGES_MAX: usize = 10;
/// Bytes in one call. AWS takes 1 MiB since 2025; emulators and older regions take this.
const BATCH_BYTES_MAX: usize = 262_144;
/// Bytes of a message in quarantine with its attributes. Source: SQS quotas, message size; the template sets it.
const QUARANTINED_BYTES_MAX: usize = 1_048_576;
/// Bytes of one attribute of a message in quarantine, with its name and type.
const ATTRIBUTE_BYTES_MAX: usize = 4_096;
/// What is said of a message that is not in quarantine as it came.
const NOT_WHOLE: &str = " (cut, or without characters that a queue cannot hold)";
/// Tries for entries that SQS took the call of and refused themselves.
const ENTRY_ATTEMPTS_MAX: usize = 3;
/// Calls side by side for one delivery: the largest push is 30 calls, and its sender waits a second.
const CALLS_AT_ONCE_MAX: usize = 6;

/// A queue that takes messages in batches.
#[derive(Debug, Clone)]
struct Batched {
    client: Client,
    queue_url: String,
    /// The verb of the port that it serves.
    operation: &'static str,
}

impl Batched {
    /// Sends all messages, ten a call.
    async fn send(&self, messages: Vec<String>) -> Result<(), PortError> {
        futures::stream::iter(batches(messages))
            .map(|batch| self.send_batch(batch))
            .buffer_unordered(CALLS_AT_ONCE_MAX)
            .try_collect()
            .await
    }

    /// Sends one batch. An entry is durable only when SQS names it as successful; all others are sent again.
    async fn send_batch(&self, mut messages: Vec<String>) -> Result<(), PortError> {
        for _ in 0..ENTRY_ATTEMPTS_MAX {
            let entries = messages.iter().enumerate().map(|(index, message)| entry(index, message));
            let entries = entries.collect::<Result<Vec<_>, _>>().map_err(|error| self.unreadable(error))?;
            let call = self.client.send_message_batch().queue_url(&self.queue_url).set_entries(Some(entries));
            let answer = call.send().await.map_err(|error| classify(self.operation, error))?;
            let taken: HashSet<usize> =
                answer.successful().iter().filter_map(|entry| entry.id().parse().ok()).collect();
            messages = messages
                .into_iter()
                .enumerate()
                .filter(|(index, _)| !taken.contains(index))
                .map(|(_, message)| message)
                .collect();
            if messages.is_empty() {
                return Ok(());
            }
        }
        Err(PortError::new(self.operation, Cause::Away, Certainty::Indeterminate))
    }

    /// What is to be sent has no form as a message.
    fn unreadable(&self, error: impl std::error::Error + Send + Sync + 'static) -> PortError {
        PortError { source: Some(Box::new(error)), ..PortError::unreadable(self.operation) }
    }
}

fn entry(index: usize, message: &str) -> Result<SendMessageBatchRequestEntry, BuildError> {
    SendMessageBatchRequestEntry::builder().id(index.to_string()).message_body(message).build()
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

/// The events queue.
#[derive(Debug, Clone)]
pub struct SqsEventQueue(Batched);

impl SqsEventQueue {
    /// The queue of that URL.
    pub fn new(client: &Client, queue_url: String) -> Self {
        Self(Batched { client: client.clone(), queue_url, operation: SEND })
    }
}

impl EventQueue for SqsEventQueue {
    async fn send(&self, events: &[VerifiedEvent]) -> Result<(), PortError> {
        let messages = events.iter().map(|event| cloudevents::write(event.event()));
        let messages = messages.collect::<Result<Vec<_>, _>>().map_err(|error| self.0.unreadable(error))?;
        self.0.send(messages).await
    }
}

/// The image queue.
#[derive(Debug, Clone)]
pub struct SqsImageQueue(Batched);

impl SqsImageQueue {
    /// The queue of that URL.
    pub fn new(client: &Client, queue_url: String) -> Self {
        Self(Batched { client: client.clone(), queue_url, operation: SEND_IMAGES })
    }
}

impl ImageQueue for SqsImageQueue {
    async fn send(&self, requests: &[ImageRequest]) -> Result<(), PortError> {
        let messages = requests.iter().map(images::write);
        let messages = messages.collect::<Result<Vec<_>, _>>().map_err(|error| self.0.unreadable(error))?;
        self.0.send(messages).await
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
    pub fn new(client: &Client, queue_url: String) -> Self {
        Self { client: client.clone(), queue_url }
    }
}

impl Quarantine for SqsQuarantine {
    async fn put(&self, message: &Quarantined) -> Result<(), PortError> {
        let body = holdable(&message.body, QUARANTINED_BYTES_MAX - 2 * ATTRIBUTE_BYTES_MAX);
        let reason = match &body {
            Cow::Borrowed(_) => message.reason.clone(),
            Cow::Owned(_) => format!("{}{NOT_WHOLE}", holdable(&message.reason, ATTRIBUTE_BYTES_MAX / 2)),
        };
        let text = |text: &str| {
            let text = holdable(text, ATTRIBUTE_BYTES_MAX - 64);
            MessageAttributeValue::builder().data_type("String").string_value(text).build().ok()
        };
        let call = self.client.send_message().queue_url(&self.queue_url).message_body(body);
        let call = text(&reason).into_iter().fold(call, |call, reason| call.message_attributes(Self::REASON, reason));
        let call =
            text(&message.message_id).into_iter().fold(call, |call, id| call.message_attributes(Self::MESSAGE_ID, id));
        call.send().await.map(drop).map_err(|error| classify(QUARANTINE, error))
    }
}

/// The text as a queue can hold it: not empty, no longer than this, and without the characters that SQS does not take. What
/// cannot be read comes from outside and may be anything; a sweep that could not set it aside would stand still for ever.
/// Source: SQS SendMessage, MessageBody.
fn holdable(text: &str, bytes_max: usize) -> Cow<'_, str> {
    let is_taken = |letter: char| match letter {
        '\t' | '\n' | '\r' => true,
        '\u{fffe}' | '\u{ffff}' => false,
        letter => letter >= ' ',
    };
    if !text.is_empty() && text.len() <= bytes_max && text.chars().all(is_taken) {
        return Cow::Borrowed(text);
    }
    let mut held = String::with_capacity(text.len().min(bytes_max));
    for letter in text.chars().map(|letter| if is_taken(letter) { letter } else { char::REPLACEMENT_CHARACTER }) {
        if held.len() + letter.len_utf8() > bytes_max {
            break;
        }
        held.push(letter);
    }
    Cow::Owned(if held.is_empty() { "(nothing)".to_owned() } else { held })
}

#[cfg(test)]
mod tests {
    use super::super::stub::{Answer, Script};
    use super::*;

    /// This many events, read from pushes that 1688 signed.
    fn events(count: usize) -> Vec<VerifiedEvent> {
        let now = domain::UnixMillis::new(1_795_248_000_000).unwrap();
        let channel = protocols::Channel::Ali1688(domain::ShopId::new("demo").unwrap());
        let secret = secrecy::SecretString::from("s");
        let event = |number: usize| {
            let message = format!(
                r#"{{"msgId":{number},"type":"T","gmtBorn":1795247000000,"data":{{"orderId":{number},"currentStatus":"success"}}}}"#
            );
            let form = protocols::ali1688::push::signed_form(&secret, &message);
            let delivery = protocols::Delivery::new(channel.clone(), String::new(), Vec::new(), form.into_bytes());
            let credentials = protocols::Credentials::Ali1688(vec![secret.clone()]);
            let content = delivery.verify(&credentials, now).unwrap().read(now).unwrap();
            let protocols::Content::Events(events) = content else { panic!("{content:?}") };
            events
        };
        (0..count).flat_map(event).collect()
    }

    /// An answer to this many entries that took all but these.
    fn taken_but(entries: usize, failed: &[usize]) -> Answer {
        let failure =
            |id: &usize| serde_json::json!({"Id": id.to_string(), "Code": "InternalError", "SenderFault": false});
        let success = |id: usize| serde_json::json!({"Id": id.to_string(), "MessageId": "m", "MD5OfMessageBody": "d"});
        let taken: Vec<_> = (0..entries).filter(|id| !failed.contains(id)).map(success).collect();
        let failed: Vec<_> = failed.iter().map(failure).collect();
        Answer::Text(200, serde_json::json!({"Successful": taken, "Failed": failed}).to_string())
    }

    fn sent(script: &Script) -> Vec<Vec<String>> {
        let entries = |body: &serde_json::Value| body["Entries"].as_array().unwrap().clone();
        let subject = |entry: &serde_json::Value| {
            let message: serde_json::Value = serde_json::from_str(entry["MessageBody"].as_str().unwrap()).unwrap();
            message["subject"].as_str().unwrap().to_owned()
        };
        script.asked().iter().map(|(_, body)| entries(body).iter().map(subject).collect()).collect()
    }

    /// This many pictures that are wanted.
    fn requests(count: usize) -> Vec<ImageRequest> {
        let url = domain::ImageUrl::new("https://cbu01.alicdn.com/a.jpg").unwrap();
        let position = domain::Position::new("main-1").unwrap();
        let request = |number: usize| {
            let product = format!("1688#demo#{number}").parse().unwrap();
            let image = domain::ImageKey { product, position: position.clone() };
            ImageRequest { image, url: url.clone(), asked_at: domain::UnixMillis::EPOCH, refetch: false }
        };
        (0..count).map(request).collect()
    }

    /// Sends so many messages to both queues, each with this script; what was asked of each, and what came of it.
    async fn both(count: usize, answers: Vec<Answer>) -> Vec<(Vec<Vec<String>>, Result<(), PortError>)> {
        let (one, other) = (Script::new(answers.clone()), Script::new(answers));
        let url = || "http://stub.invalid/q".to_owned();
        let queued = SqsEventQueue::new(&one.sqs(), url()).send(&events(count)).await;
        let wanted = SqsImageQueue::new(&other.sqs(), url()).send(&requests(count)).await;
        vec![(sent(&one), queued), (sent(&other), wanted)]
    }

    #[tokio::test]
    async fn n_messages_take_a_tenth_of_the_calls_rounded_up() {
        for (count, calls) in [(0, 0), (1, 1), (10, 1), (11, 2), (95, 10)] {
            for (asked, came) in both(count, vec![taken_but(10, &[]); calls]).await {
                came.unwrap();
                assert_eq!((asked.len(), asked.concat().len()), (calls, count));
            }
        }
    }

    #[tokio::test]
    async fn only_the_entries_that_failed_are_sent_again() {
        for (asked, came) in both(4, vec![taken_but(4, &[1, 3]), taken_but(2, &[0]), taken_but(1, &[])]).await {
            came.unwrap();
            assert_eq!(asked, [vec!["0", "1", "2", "3"], vec!["1", "3"], vec!["1"]]);
        }
    }

    #[tokio::test]
    async fn entries_that_keep_failing_and_lost_answers_may_have_happened() {
        for answers in [vec![taken_but(1, &[0]); ENTRY_ATTEMPTS_MAX], vec![Answer::Lost]] {
            for ((_, came), operation) in both(1, answers).await.into_iter().zip([SEND, SEND_IMAGES]) {
                let error = came.unwrap_err();
                assert_eq!((error.certainty, error.operation), (Certainty::Indeterminate, operation), "{error:?}");
            }
        }
    }

    #[tokio::test]
    async fn an_answer_that_does_not_name_an_entry_as_taken_is_not_a_yes() {
        let unreadable = r#"{"Successful": [], "Failed": [{"Id": "?", "Code": "C", "SenderFault": false}]}"#;
        for answer in [Answer::Text(200, "{}".to_owned()), taken_but(1, &[]), Answer::Text(200, unreadable.to_owned())]
        {
            for (_, came) in both(10, vec![answer; ENTRY_ATTEMPTS_MAX]).await {
                let error = came.unwrap_err();
                assert_eq!(error.certainty, Certainty::Indeterminate, "{error:?}");
            }
        }
    }

    #[test]
    fn a_batch_never_has_more_bytes_than_a_call_takes() {
        let large = "m".repeat(BATCH_BYTES_MAX / 3 + 1);
        let cut = batches(vec![large; 7]);
        assert_eq!(cut.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 2, 1]);
    }
}
