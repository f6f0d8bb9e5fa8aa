//! One request of a client: who asks, what for, and its answer.

use adapters::clock::Clock;
use adapters::ports::{Ledger, Nonces, OrderBook, OrderStore, RateSource, SecretsSource, TradeStore};
use adapters::quotes::QuoteCache;
use adapters::secrets::SecretCache;
use domain::{OrderId, Origin, TradeKey, UnixMillis};
use lambda::deadline::Deadline;
use lambda::http::{NotAnswered, Request, Response, before, refused_event};
use lambda::log::{Log, WideEvent, event, field, metric};
use protocols::{Refusal, orders_api};
use rust_decimal::Decimal;

use crate::authentication::authenticate;
use crate::{creation, reading, refunds};

/// What a request asks for.
#[derive(Debug)]
enum Asked {
    Quote,
    Create,
    Order(OrderId),
    Link(OrderId),
    Refund(OrderId),
    Trade(TradeKey),
}

impl Asked {
    fn read(request: &Request) -> Result<Self, Refusal> {
        let unknown = |what| move |_| Refusal::Unknown(what);
        let order = |id: &str| OrderId::new(id).map_err(|_| Refusal::Malformed("the path has no order id"));
        match (request.method.as_str(), request.segments().as_slice()) {
            ("GET", ["quotes"]) => Ok(Self::Quote),
            ("POST", ["orders"]) => Ok(Self::Create),
            ("GET", ["orders", id]) => OrderId::new(*id).map(Self::Order).map_err(unknown("order")),
            ("PUT", ["orders", id, "trades"]) => order(id).map(Self::Link),
            ("POST", ["orders", id, "refunds"]) => order(id).map(Self::Refund),
            ("GET", ["trades", marketplace, shop, trade_id]) => orders_api::trade_key(marketplace, *shop, *trade_id)
                .map(Self::Trade)
                .map_err(|_| Refusal::Unknown("trade")),
            _ => Err(Refusal::Unknown("route")),
        }
    }

    /// What it is about, as the log names it. A new order's id is in the body.
    fn subject(&self) -> Option<Subject> {
        match self {
            Self::Order(id) | Self::Link(id) | Self::Refund(id) => Some((field::ORDER_ID, id.to_string())),
            Self::Trade(key) => Some((field::TRADE_ID, key.to_string())),
            Self::Quote | Self::Create => None,
        }
    }
}

/// A field of the log that names a thing, and its name.
type Subject = (&'static str, String);

/// The facts of orders, of trades and of payments.
type Facts<'a, O, T, L> = (&'a O, &'a T, &'a L);
/// Where rates are published, what quotes keep of them, and how many per cent an order's rate may be off its quote.
type Rates<'a, R> = (&'a R, &'a QuoteCache, Decimal);

/// Answers one request. Never fails: whatever comes is answered, and logged as one event.
pub async fn handle(
    request: Request,
    deadline: Deadline,
    facts: Facts<'_, impl OrderStore + OrderBook, impl TradeStore, impl Ledger>,
    rates: Rates<'_, impl RateSource>,
    (nonces, source, cache): (&impl Nonces, &impl SecretsSource, &SecretCache),
    clock: &impl Clock,
    log: &impl Log,
) -> Response {
    let began = clock.now();
    let asked = Asked::read(&request);
    let mut subjects: Vec<Subject> = asked.as_ref().ok().and_then(Asked::subject).into_iter().collect();
    let work = async {
        let client = authenticate(&request, began, source, cache, nonces).await?;
        answer(asked, &request, client, began, facts, rates, &mut subjects).await
    };
    let answered = before(deadline, clock, work).await;
    let (response, event) = conclude(answered);
    let event = subjects.into_iter().fold(event, |event, (name, id)| event.with(name, id));
    log.write(
        event
            .with(field::REQUEST_ID, request.request_id)
            .with(field::HTTP_STATUS, response.status_code)
            .with(field::DURATION_MS, clock.now().ms_since(began)),
    );
    response
}

async fn answer(
    asked: Result<Asked, Refusal>,
    request: &Request,
    client: Origin,
    now: UnixMillis,
    facts: Facts<'_, impl OrderStore + OrderBook, impl TradeStore, impl Ledger>,
    (source, quotes, tolerance_percent): Rates<'_, impl RateSource>,
    subjects: &mut Vec<Subject>,
) -> Result<Response, NotAnswered> {
    let body = request.body.as_deref().map_err(|refusal| *refusal)?;
    match asked? {
        Asked::Quote => {
            let (amount, to) = orders_api::read_quote_request(&request.query)?;
            creation::quote(amount, to, now, (source, quotes)).await
        }
        Asked::Create => {
            let wanted = orders_api::read_order_request(body)?;
            subjects.push((field::ORDER_ID, wanted.id.to_string()));
            creation::create(wanted, now, client, facts, (source, tolerance_percent)).await
        }
        Asked::Order(id) => reading::show_order(200, id, facts).await,
        Asked::Link(id) => reading::link(id, orders_api::read_links(body, now, &client)?, facts).await,
        Asked::Refund(id) => {
            let wanted = orders_api::read_refund_request(body)?;
            subjects.push((field::REFUND_ID, wanted.0.to_string()));
            refunds::refund(id, wanted, now, client, facts).await
        }
        Asked::Trade(key) => reading::show_trade(key, facts.0, facts.1).await,
    }
}

/// The answer, and the event with its outcome.
fn conclude(answered: Result<Response, NotAnswered>) -> (Response, WideEvent) {
    let (response, event) = match answered {
        Ok(response) => {
            let refused = response.refusal.map(|refusal| refused_event(event::REQUEST_ANSWERED, refusal));
            (response, refused.unwrap_or_else(|| WideEvent::new(event::REQUEST_ANSWERED, "answered")))
        }
        Err(not_answered) => not_answered.conclude(event::REQUEST_ANSWERED),
    };
    match response.refusal {
        Some(Refusal::Damaged(_)) => (response, event.with_metric(metric::ORDER_DAMAGED)),
        _ => (response, event),
    }
}
