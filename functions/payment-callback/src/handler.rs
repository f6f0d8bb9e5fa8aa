//! One callback: which gateway it claims to be from, whether that is so, what moved, and its answer.

use adapters::certificates::CertificateCache;
use adapters::clock::Clock;
use adapters::ports::{CertificateSource, Ledger, SecretsSource};
use adapters::secrets::SecretCache;
use domain::{Gateway, MovementKind, PaymentEvent, Recorded, UnixMillis};
use lambda::deadline::Deadline;
use lambda::http::{NotAnswered, Request, Response, before};
use lambda::log::{Log, WideEvent, event, field, metric};
use protocols::Refusal;
use protocols::gateway::{Callback, Item, Unverified, acknowledgement};

/// What a callback is checked with: the secrets and their cache, PayPal's certificates and theirs.
type Keys<'a, S, C> = (&'a S, &'a SecretCache, &'a C, &'a CertificateCache);

/// Takes one callback in. Never fails: whatever comes is answered, and logged as one event for each thing it says.
pub async fn handle(
    request: Request,
    deadline: Deadline,
    ledger: &impl Ledger,
    keys: Keys<'_, impl SecretsSource, impl CertificateSource>,
    clock: &impl Clock,
    log: &impl Log,
) -> Response {
    let began = clock.now();
    let request_id = request.request_id.clone();
    let gateway = gateway(&request);
    let mut events = Vec::new();
    let taken = match gateway {
        Ok(gateway) => before(deadline, clock, take(gateway, request, began, ledger, keys, &mut events)).await,
        Err(refusal) => Err(refusal.into()),
    };
    let response = match taken {
        Ok(response) => response,
        Err(not_answered) => {
            let (response, event) = not_answered.conclude(event::CALLBACK_RECEIVED);
            events.push(event);
            response
        }
    };
    for event in events {
        log.write(
            event
                .with(field::EVENT_SOURCE, gateway.map(Gateway::as_str).unwrap_or_default())
                .with(field::REQUEST_ID, request_id.as_str())
                .with(field::HTTP_STATUS, response.status_code)
                .with(field::DURATION_MS, clock.now().ms_since(began)),
        );
    }
    response
}

/// Which gateway the path says it is from.
fn gateway(request: &Request) -> Result<Gateway, Refusal> {
    match (request.method.as_str(), request.segments().as_slice()) {
        ("POST", ["payments", name]) => Gateway::from_name(name).ok_or(Refusal::Unknown("gateway")),
        _ => Err(Refusal::Unknown("route")),
    }
}

/// Verifies, reads, and keeps everything that moved. `events` tells of what was done, also when a later part fails:
/// the gateway then sends all of it again, and what was kept is a duplicate.
async fn take(
    gateway: Gateway,
    request: Request,
    now: UnixMillis,
    ledger: &impl Ledger,
    keys: Keys<'_, impl SecretsSource, impl CertificateSource>,
    events: &mut Vec<WideEvent>,
) -> Result<Response, NotAnswered> {
    let callback = Callback::new(gateway, request.headers, request.body?);
    for item in verified_items(&callback, gateway, now, keys).await? {
        events.push(match item {
            Item::Movement(payment) => movement_event(payment.event(), ledger.record(&payment).await?),
            Item::Silent { kind } => {
                WideEvent::new(event::CALLBACK_RECEIVED, "acknowledged").with(field::CALLBACK_TYPE, kind)
            }
            Item::Unknown { kind } => {
                let event = WideEvent::new(event::CALLBACK_RECEIVED, "acknowledged").with(field::CALLBACK_TYPE, kind);
                event.with(field::OTHER_COUNT, 1)
            }
        });
    }
    let (content_type, words) = acknowledgement(gateway);
    Ok(Response::text(200, content_type, words))
}

/// What a callback says, once a live key is known to have signed it. PayPal names its key by URL: a certificate that
/// is not pinned is fetched first, when it is PayPal's to give.
async fn verified_items(
    callback: &Callback<Unverified>,
    gateway: Gateway,
    now: UnixMillis,
    (source, cache, certificates, certificate_cache): Keys<'_, impl SecretsSource, impl CertificateSource>,
) -> Result<Vec<Item>, NotAnswered> {
    let wanted = |secrets: &adapters::secrets::Secrets| callback.wanted_certificate(secrets.gateway(gateway)?);
    let fetched = match cache.try_with(source, now, wanted).await?? {
        None => None,
        Some(url) => {
            let key = certificate_cache.key(certificates, &url, now).await?;
            Some(key.ok_or(Refusal::SignatureInvalid)?)
        }
    };
    let verify =
        |secrets: &adapters::secrets::Secrets| callback.verify(secrets.gateway(gateway)?, fetched.as_ref(), now);
    cache.try_with(source, now, verify).await??.read().map_err(NotAnswered::Unread)
}

/// What is logged of a movement.
fn movement_event(payment: &PaymentEvent, recorded: Recorded) -> WideEvent {
    let event = WideEvent::new(event::CALLBACK_RECEIVED, recorded.as_str())
        .with(field::PAYMENT_KEY, payment.payment.to_string())
        .with(field::PAYMENT_KIND, payment.kind.as_str())
        .with(field::PAYMENT_TRANSACTION, payment.transaction_id.as_str());
    let event = match &payment.order {
        Some(order) => event.with(field::ORDER_ID, order.as_str()),
        // Money without an order: kept, and seen by nobody until a person looks for it. A duplicate tells again,
        // because the first try may have been cut off before it told.
        None if payment.kind == MovementKind::Captured => event.with_metric(metric::PAYMENT_WITHOUT_ORDER),
        None => event,
    };
    match recorded {
        Recorded::Conflict => event.with_metric(metric::PAYMENT_CONFLICT),
        Recorded::Applied | Recorded::Duplicate => event,
    }
}
