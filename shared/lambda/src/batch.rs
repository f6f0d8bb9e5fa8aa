//! SQS batches: records one by one in, the ids that failed out.

use std::collections::BTreeSet;

use aws_lambda_events::event::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent};

/// One message of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// SQS's id, by which a failure is reported.
    pub message_id: String,
    /// The message.
    pub body: String,
    /// How often it was received, this time included.
    pub receive_count: i64,
}

/// A record without an id cannot be reported as failed: an empty identifier means the whole batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a record of the batch has no message id")]
pub struct NoMessageId;

/// The records of a batch. An error fails the invocation, so that SQS hands the whole batch out again.
pub fn records(event: SqsEvent) -> Result<Vec<Record>, NoMessageId> {
    event
        .records
        .into_iter()
        .map(|message| {
            let receive_count = message.attributes.get("ApproximateReceiveCount").and_then(|count| count.parse().ok());
            Ok(Record {
                message_id: message.message_id.filter(|id| !id.is_empty()).ok_or(NoMessageId)?,
                body: message.body.unwrap_or_default(),
                receive_count: receive_count.unwrap_or(1),
            })
        })
        .collect()
}

/// The answer to a batch: every message that is not named is deleted from the queue.
pub fn answer(failed: BTreeSet<String>) -> SqsBatchResponse {
    let failure = |id: String| {
        let mut failure = BatchItemFailure::default();
        failure.item_identifier = id;
        failure
    };
    let mut response = SqsBatchResponse::default();
    response.batch_item_failures = failed.into_iter().map(failure).collect();
    response
}
