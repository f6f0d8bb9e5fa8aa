//! One delivery: who it claims to be from, whether that is so, what it says, and its answer.

use adapters::clock::Clock;
use adapters::ports::{EventQueue, SecretsSource};
use adapters::secrets::SecretCache;
use domain::{ShopId, SourceName};
use lambda::deadline::Deadline;
use lambda::http::{NotAnswered, Request, Response, before};
use lambda::log::{Log, WideEvent, event, field};
use protocols::{Channel, Content, Delivery, Refusal};
use serde::Serialize;

/// The answer to a delivery that needs no more of its sender.
#[derive(Serialize)]
struct Accepted {
    status: &'static str,
}

/// Takes one delivery in. Never fails: whatever comes is answered, and logged as one event.
pub async fn handle(
    request: Request,
    deadline: Deadline,
    queue: &impl EventQueue,
    source: &impl SecretsSource,
    cache: &SecretCache,
    clock: &impl Clock,
    log: &impl Log,
) -> Response {
    let began = clock.now();
    let request_id = request.request_id.clone();
    let channel = channel(&request);
    let sender = channel.as_ref().map(Channel::sender).unwrap_or_default();
    let taken = match channel {
        Ok(channel) => before(deadline, clock, take(channel, request, queue, source, cache, clock)).await,
        Err(refusal) => Err(refusal.into()),
    };
    let (response, event) = conclude(taken);
    let event = event
        .with(field::EVENT_SOURCE, sender)
        .with(field::REQUEST_ID, request_id)
        .with(field::HTTP_STATUS, response.status_code)
        .with(field::DURATION_MS, clock.now().ms_since(began));
    log.write(event);
    response
}

/// Who the path says it is from.
fn channel(request: &Request) -> Result<Channel, Refusal> {
    match (request.method.as_str(), request.segments().as_slice()) {
        ("POST", ["webhooks", "1688", shop]) => {
            ShopId::new(*shop).map(Channel::Ali1688).map_err(|_| Refusal::Unknown("shop"))
        }
        ("POST", ["webhooks", "events", source]) => {
            SourceName::new(*source).map(Channel::Source).map_err(|_| Refusal::Unknown("source"))
        }
        _ => Err(Refusal::Unknown("route")),
    }
}

/// Verifies, reads and queues.
async fn take(
    channel: Channel,
    request: Request,
    queue: &impl EventQueue,
    source: &impl SecretsSource,
    cache: &SecretCache,
    clock: &impl Clock,
) -> Result<Content, NotAnswered> {
    let now = clock.now();
    let delivery = Delivery::new(channel.clone(), request.query, request.headers, request.body?);
    let verified =
        cache.try_with(source, now, |secrets| delivery.verify(&secrets.credentials(&channel)?, now)).await??;
    let content = verified.read(now).map_err(NotAnswered::Unread)?;
    if let Content::Events(events) = &content {
        queue.send(events).await?;
    }
    Ok(content)
}

/// The answer, and the event with its outcome.
fn conclude(taken: Result<Content, NotAnswered>) -> (Response, WideEvent) {
    let accepted = Response::json(200, &Accepted { status: "accepted" });
    match taken {
        Ok(Content::Events(events)) => {
            let first = events.first().and_then(|event| event.event().id());
            let event = WideEvent::new(event::WEBHOOK_RECEIVED, "accepted").with(field::EVENT_COUNT, events.len());
            (accepted, event.with(field::EVENT_ID, first))
        }
        Ok(Content::Product { kind, message_id }) => {
            let event = WideEvent::new(event::WEBHOOK_RECEIVED, "acknowledged").with(field::PUSH_TYPE, kind);
            (accepted, event.with(field::EVENT_ID, message_id.as_str()).with(field::PRODUCT_COUNT, 1))
        }
        Ok(Content::Other { kind, message_id }) => {
            let event = WideEvent::new(event::WEBHOOK_RECEIVED, "acknowledged").with(field::PUSH_TYPE, kind);
            (accepted, event.with(field::EVENT_ID, message_id.as_str()).with(field::OTHER_COUNT, 1))
        }
        Err(not_answered) => not_answered.conclude(event::WEBHOOK_RECEIVED),
    }
}
