//! One batch: read each record, sync its picture, a few side by side; answer with those that have to come again.

use std::collections::BTreeSet;

use adapters::PortError;
use adapters::clock::Clock;
use adapters::ports::{ImageBucket, ImageSource, Manifest, Quarantine, Quarantined};
use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use domain::ImageRequest;
use futures::stream::{self, StreamExt};
use lambda::batch::{self, NoMessageId, Record};
use lambda::deadline::Deadline;
use lambda::log::{Log, WideEvent, event, field, metric};
use protocols::images;

pub use crate::sync::Studio;
use crate::sync::{Costs, NotSynced, Synced, sync};

/// Pictures that are dealt with side by side beyond those that are being transferred: while one is looked at or put into
/// the bucket, another may come. With ten connections that is 14 x 32 MiB of spooled pictures at the very most, of the
/// 512 MB that a function has on disk.
pub const BESIDE_TRANSFERS: usize = 4;

/// How a record ended.
enum Ending {
    Synced(Synced),
    Quarantined(String),
    Failed(PortError),
    HandedBack,
}

/// Syncs one batch of pictures. The answer names the records that have to come again; an error fails the invocation,
/// which hands the whole batch out again.
pub async fn handle(
    event: SqsEvent,
    (deadline, at_once): (Deadline, usize),
    source: &impl ImageSource,
    stores: (&impl ImageBucket, &impl Manifest),
    studio: &Studio,
    quarantine: &impl Quarantine,
    (clock, log): (&impl Clock, &impl Log),
) -> Result<SqsBatchResponse, NoMessageId> {
    let records = batch::records(event)?;
    let ended = stream::iter(records)
        .map(|record| async move {
            let began = clock.now();
            let request = images::read(&record.body);
            let mut costs = Costs::default();
            let work = async {
                let synced = match &request {
                    Ok(request) => sync(request, source, stores, studio, clock, &mut costs).await,
                    Err(reason) => Err(NotSynced::Refused(reason.to_string())),
                };
                match synced {
                    Ok(synced) => Ending::Synced(synced),
                    Err(NotSynced::Refused(reason)) => set_aside(quarantine, &record, reason).await,
                    Err(NotSynced::Failed(error)) => Ending::Failed(error),
                }
            };
            // What was left half done is done again from the start, which changes nothing.
            let ending = deadline.begun_within(clock, work).await.unwrap_or(Ending::HandedBack);
            log.write(line(&record, request.ok().as_ref(), &ending, &costs, clock.now().ms_since(began)));
            (record.message_id, ending)
        })
        .buffer_unordered(at_once)
        .collect::<Vec<_>>()
        .await;
    let has_failed = |ending: &Ending| matches!(ending, Ending::Failed(_) | Ending::HandedBack);
    let failed = ended.into_iter().filter(|(_, ending)| has_failed(ending)).map(|(id, _)| id);
    Ok(batch::answer(failed.collect::<BTreeSet<String>>()))
}

/// Keeps for a person what will never be a picture of ours.
async fn set_aside(quarantine: &impl Quarantine, record: &Record, reason: String) -> Ending {
    let (message_id, body) = (record.message_id.clone(), record.body.clone());
    match quarantine.put(&Quarantined { message_id, body, reason: reason.clone() }).await {
        Ok(()) => Ending::Quarantined(reason),
        Err(error) => Ending::Failed(error),
    }
}

/// The one event that is logged of a record.
fn line(record: &Record, request: Option<&ImageRequest>, ending: &Ending, costs: &Costs, took_ms: i64) -> WideEvent {
    let line = match ending {
        Ending::Synced(synced) => WideEvent::new(event::IMAGE_SYNCED, synced.as_str()),
        Ending::Quarantined(reason) => WideEvent::new(event::IMAGE_SYNCED, "quarantined")
            .with(field::REASON, reason.as_str())
            .with_metric(metric::IMAGE_REFUSED),
        Ending::Failed(error) => WideEvent::new(event::IMAGE_SYNCED, "failed").with_failure(error),
        Ending::HandedBack => WideEvent::new(event::IMAGE_SYNCED, "handed_back"),
    };
    line.with(field::SQS_MESSAGE_ID, record.message_id.as_str())
        .with(field::SQS_RECEIVE_COUNT, record.receive_count)
        .with(field::IMAGE_KEY, request.map(|request| request.image.to_string()))
        .with(field::IMAGE_DIGEST, costs.digest.as_ref().map(|digest| digest.as_str()))
        .with(field::IMAGE_BYTES, costs.bytes)
        .with(field::IMAGE_REQUESTS, costs.requests)
        .with(field::IMAGE_PUTS, costs.puts)
        .with(field::IMAGE_THUMBNAILS, costs.thumbnails)
        .with(field::DURATION_MS, took_ms)
}
