//! One request of a client: who asks, what for, and its answer.

use adapters::clock::Clock;
use adapters::ports::{Nonces, OrderStore, SecretsSource, TradeStore, read_order};
use adapters::secrets::SecretCache;
use domain::{OrderId, Origin, Settlement, TradeKey, UnixMillis, view};
use futures::stream::{self, StreamExt, TryStreamExt};
use lambda::deadline::Deadline;
use lambda::http::{NotAnswered, Request, Response, before};
use lambda::log::{Log, WideEvent, field};
use protocols::{Refusal, orders_api};

use crate::authentication::authenticate;

/// Links written side by side.
const LINKS_AT_ONCE_MAX: usize = 8;

/// What a request asks for.
#[derive(Debug)]
enum Asked {
    Order(OrderId),
    Link(OrderId),
    Trade(TradeKey),
}

impl Asked {
    fn read(request: &Request) -> Result<Self, Refusal> {
        let unknown = |what| move |_| Refusal::Unknown(what);
        match (request.method.as_str(), request.segments().as_slice()) {
            ("GET", ["orders", id]) => OrderId::new(*id).map(Self::Order).map_err(|_| Refusal::Unknown("order")),
            ("PUT", ["orders", id, "trades"]) => {
                OrderId::new(*id).map(Self::Link).map_err(|_| Refusal::Malformed("the path has no order id"))
            }
            ("GET", ["trades", marketplace, shop, trade_id]) => {
                orders_api::trade_key(marketplace, *shop, *trade_id).map(Self::Trade).map_err(unknown("trade"))
            }
            _ => Err(Refusal::Unknown("route")),
        }
    }
}

/// Answers one request. Never fails: whatever comes is answered, and logged as one event.
pub async fn handle(
    request: Request,
    deadline: Deadline,
    orders: &impl OrderStore,
    trades: &impl TradeStore,
    (nonces, source, cache): (&impl Nonces, &impl SecretsSource, &SecretCache),
    clock: &impl Clock,
    log: &impl Log,
) -> Response {
    let began = clock.now();
    let asked = Asked::read(&request);
    let subject = asked.as_ref().map(subject).ok();
    let work = async {
        let client = authenticate(&request, began, source, cache, nonces).await?;
        answer(asked, &request, client, began, orders, trades).await
    };
    let answered = before(deadline, clock, work).await;
    let (response, event) = conclude(answered);
    let event = subject.into_iter().fold(event, |event, (name, id)| event.with(name, id));
    log.write(
        event
            .with(field::REQUEST_ID, request.request_id)
            .with(field::HTTP_STATUS, response.status_code)
            .with(field::DURATION_MS, clock.now().ms_since(began)),
    );
    response
}

/// What a request is about, as the log names it.
fn subject(asked: &Asked) -> (&'static str, String) {
    match asked {
        Asked::Order(id) | Asked::Link(id) => (field::ORDER_ID, id.to_string()),
        Asked::Trade(key) => (field::TRADE_ID, key.to_string()),
    }
}

async fn answer(
    asked: Result<Asked, Refusal>,
    request: &Request,
    client: Origin,
    now: UnixMillis,
    orders: &impl OrderStore,
    trades: &impl TradeStore,
) -> Result<Response, NotAnswered> {
    match asked? {
        Asked::Order(id) => show_order(id, orders, trades).await,
        Asked::Link(id) => {
            let body = request.body.as_deref().map_err(|refusal| *refusal)?;
            let links = orders_api::read_links(body, now, &client)?;
            let writes = stream::iter(&links).map(|link| orders.link(&id, link));
            writes.buffer_unordered(LINKS_AT_ONCE_MAX).try_collect::<Vec<_>>().await?;
            show_order(id, orders, trades).await
        }
        Asked::Trade(key) => show_trade(key, orders, trades).await,
    }
}

async fn show_order(id: OrderId, orders: &impl OrderStore, trades: &impl TradeStore) -> Result<Response, NotAnswered> {
    let (facts, statuses) = read_order(orders, trades, &id).await?.ok_or(Refusal::Unknown("order"))?;
    // There is no ledger and no creation in this version: nothing is known to be settled.
    let view = view(&facts, &statuses, &Settlement::default());
    Ok(Response::json(200, &orders_api::order(id, view)))
}

async fn show_trade(
    key: TradeKey,
    orders: &impl OrderStore,
    trades: &impl TradeStore,
) -> Result<Response, NotAnswered> {
    let facts = trades.read(&key).await?;
    let linked_from = orders.orders_of(&key).await?;
    if facts.is_empty() && linked_from.is_empty() {
        return Err(Refusal::Unknown("trade").into());
    }
    Ok(Response::json(200, &orders_api::trade_detail(key, &facts, linked_from)))
}

/// The answer, and the event with its outcome.
fn conclude(answered: Result<Response, NotAnswered>) -> (Response, WideEvent) {
    const ANSWERED: &str = "request.answered";
    match answered {
        Ok(response) => (response, WideEvent::new(ANSWERED, "answered")),
        Err(not_answered) => not_answered.conclude(ANSWERED),
    }
}
