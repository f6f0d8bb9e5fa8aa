//! The nightly check: what it finds among all orders, what it leaves alone, and that nothing it reads is changed.

use adapters::PortError;
use adapters::ports::OrderStore;
use adapters::testing::{Fault, FaultPlan, Faulty, MemoryOrders};
use domain::order::{KnownOrder, Link, Origin};
use domain::{
    Currency, Money, MovementKind, OrderFacts, OrderId, OrderReport, Outcome, PaymentEvent, TradeKey, TransactionId,
    UnixMillis,
};
use lambda::deadline::Deadline;
use lambda::log::{MemoryLog, WideEvent, metric};
use order_check::handler::{Answer, Request, SINCE_MS, handle};
use serde_json::{Value, json};

use crate::creation::incident;
use crate::support::{NOW, Shop, batch, callback, client, reading, status_event, warehouse};

const HOUR_MS: i64 = 3_600_000;
const LONG_AGO_MS: i64 = 4 * HOUR_MS;
/// The trade that an order is bought by.
const TRADE: u64 = 7;

async fn created(shop: &Shop, id: &str) {
    let request = client("POST", "/orders", &format!("checks-{id}"), NOW, &incident(id).to_string());
    assert_eq!(shop.ask(request).await.unwrap().status_code, 201);
}

/// A movement of an order's money, so long ago.
async fn moved(shop: &Shop, order: &str, kind: MovementKind, minor: i64, ago_ms: i64) {
    let event = PaymentEvent {
        payment: format!("stripe#pi_{order}").parse().unwrap(),
        transaction_id: TransactionId::new(format!("{}-{order}", kind.as_str())).unwrap(),
        kind,
        order: (kind == MovementKind::Captured).then(|| OrderId::new(order).unwrap()),
        money: Money::new(minor, Currency::EUR).unwrap(),
        occurred_at: UnixMillis::from_seconds((NOW - ago_ms) / 1_000).unwrap(),
    };
    assert_eq!(shop.pay(callback(&event, NOW)).await.unwrap().status_code, 200);
}

async fn captured(shop: &Shop, order: &str, minor: i64, ago_ms: i64) {
    moved(shop, order, MovementKind::Captured, minor, ago_ms).await;
}

/// Everything that was delivered becomes facts.
async fn written(shop: &Shop) {
    let queued = shop.events.all().into_iter().map(|event| protocols::cloudevents::write(&event).unwrap());
    assert_eq!(shop.write(batch(queued)).await.unwrap(), Vec::<String>::new());
}

/// One check with all the time that it needs.
async fn checked(shop: &Shop) -> (Answer, Vec<WideEvent>) {
    let log = MemoryLog::default();
    let facts = (&shop.orders, &shop.trades, &shop.ledger);
    let deadline = Deadline::from_lambda(u64::MAX);
    (handle(Request { after: None }, deadline, facts, (&shop.clock, &log)).await.unwrap(), log.all())
}

/// Each finding by its order.
fn found(answer: &Answer) -> Vec<(&str, &str)> {
    answer.found.iter().map(|found| (found.order_id.as_str(), found.concern.as_str())).collect()
}

/// One order of each kind: those that ask for a person, and those that could be mistaken for them.
async fn shop_of_all_kinds() -> Shop {
    let shop = Shop::new();
    for id in ["paid", "fresh", "part", "bought", "arrived", "returned"] {
        created(&shop, id).await;
    }
    captured(&shop, "paid", 10_230, LONG_AGO_MS).await;
    captured(&shop, "fresh", 10_230, LONG_AGO_MS - 1_000).await;
    captured(&shop, "part", 10_229, LONG_AGO_MS).await;
    captured(&shop, "bought", 10_230, LONG_AGO_MS).await;
    captured(&shop, "arrived", 10_230, LONG_AGO_MS).await;
    captured(&shop, "returned", 10_230, LONG_AGO_MS).await;
    moved(&shop, "returned", MovementKind::Refunded, 10_230, HOUR_MS).await;
    captured(&shop, "nobody-s", 500, LONG_AGO_MS).await;
    captured(&shop, "nobody-s-yet", 500, HOUR_MS).await;
    captured(&shop, "nobody-s-returned", 500, LONG_AGO_MS).await;
    moved(&shop, "nobody-s-returned", MovementKind::Refunded, 500, HOUR_MS).await;
    captured(&shop, "forgotten", 500, SINCE_MS + HOUR_MS).await;
    let order = OrderId::new("bought").unwrap();
    let by =
        Origin { source: "shopfront".to_owned().try_into().unwrap(), event_id: "link".to_owned().try_into().unwrap() };
    let link = Link { trade: format!("1688#demo#{TRADE}").parse().unwrap(), at: UnixMillis::new(NOW).unwrap(), by };
    shop.orders.link(&order, &link).await.unwrap();
    let read = protocols::cloudevents::write(&reading(TRADE, "waitsellersend", NOW - HOUR_MS, NOW)).unwrap();
    assert_eq!(shop.write(batch([read])).await.unwrap(), Vec::<String>::new());
    shop.deliver(warehouse("msg_1", NOW, &status_event("arrived", "arrived", NOW - HOUR_MS))).await.unwrap();
    written(&shop).await;
    shop
}

/// What is logged of a check that finds both, and of one that fails.
pub async fn counted() -> Vec<WideEvent> {
    let (_, mut lines) = checked(&shop_of_all_kinds().await).await;
    let log = MemoryLog::default();
    let shop = Shop::new();
    let ledger = Faulty::new(shop.ledger.clone(), &FaultPlan::at([(0, Fault::TimedOut)]));
    let facts = (&shop.orders, &shop.trades, &ledger);
    handle(Request { after: None }, Deadline::from_lambda(u64::MAX), facts, (&shop.clock, &log)).await.unwrap_err();
    lines.extend(log.all());
    lines
}

/// Whether no count is nought, which would end an alarm although not all was looked at.
fn is_no_all_clear(line: &WideEvent) -> bool {
    [metric::PAID_TOO_LONG, metric::PAID_NOT_CREATED].iter().all(|name| count(line, name) != json!(0))
}

fn count(line: &WideEvent, name: &str) -> Value {
    line.get(name).cloned().unwrap_or_default()
}

#[tokio::test]
async fn what_is_paid_and_not_bought_or_not_created_for_four_hours_is_found_and_nothing_else() {
    let shop = shop_of_all_kinds().await;
    let before = (shop.orders.all(), shop.ledger.all());
    let (answer, lines) = checked(&shop).await;
    assert_eq!(found(&answer), [("nobody-s", "paid_not_created"), ("paid", "paid_too_long")]);
    let since = UnixMillis::from_seconds((NOW - LONG_AGO_MS) / 1_000).unwrap().to_rfc3339();
    assert!(answer.found.iter().all(|found| found.since.as_ref() == Some(&since)), "{answer:?}");
    // Those of the last 60 days.
    assert_eq!((answer.checked, answer.count, answer.next), (9, 2, None));
    let [nobodys, paid, all] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!(
        (nobodys.get("order.id"), nobodys.get("outcome")),
        (Some(&json!("nobody-s")), Some(&json!("paid_not_created")))
    );
    assert_eq!((paid.get("order.id"), paid.get("since")), (Some(&json!("paid")), Some(&json!(since))));
    let counts =
        [metric::PAID_TOO_LONG, metric::PAID_NOT_CREATED, metric::CHECK_UNFINISHED].map(|name| count(all, name));
    assert_eq!((all.get("outcome"), counts), (Some(&json!("finished")), [json!(1), json!(1), json!(0)]));
    assert_eq!((shop.orders.all(), shop.ledger.all()), before, "it only reads");
    assert_eq!(checked(&shop).await.0.found, answer.found, "and finds the same again");
}

#[tokio::test]
async fn what_was_found_is_gone_once_it_is_mended() {
    let shop = shop_of_all_kinds().await;
    shop.deliver(warehouse("msg_2", NOW, &status_event("paid", "cancelled", NOW))).await.unwrap();
    written(&shop).await;
    moved(&shop, "nobody-s", MovementKind::Refunded, 500, 0).await;
    let (answer, lines) = checked(&shop).await;
    assert_eq!(found(&answer), []);
    let all = lines.last().unwrap();
    assert_eq!([metric::PAID_TOO_LONG, metric::PAID_NOT_CREATED].map(|name| count(all, name)), [json!(0), json!(0)]);
}

#[tokio::test]
async fn a_check_without_time_stops_after_a_page_and_goes_on_where_it_was_until_all_is_found() {
    let shop = shop_of_all_kinds().await;
    let (mut names, mut checked, mut after, mut rounds) = (Vec::new(), 0, Value::Null, 0);
    loop {
        let log = MemoryLog::default();
        let request: Request = serde_json::from_value(json!({ "after": after })).unwrap();
        let facts = (&shop.orders, &shop.trades, &shop.ledger);
        let answer = handle(request, Deadline::from_lambda(1), facts, (&shop.clock, &log)).await.unwrap();
        rounds += 1;
        checked += answer.checked;
        names.extend(found(&answer).into_iter().map(|(order, _)| order.to_owned()));
        let line = log.all().pop().unwrap();
        let is_over = answer.next.is_none();
        // What goes on from elsewhere does not know how it was before.
        assert_eq!(count(&line, metric::CHECK_UNFINISHED), if is_over { Value::Null } else { json!(1) });
        assert!(is_no_all_clear(&line), "{line}");
        assert_eq!(line.get("outcome"), Some(&json!(if is_over { "finished" } else { "unfinished" })));
        after = serde_json::to_value(answer.next).unwrap();
        if is_over {
            break;
        }
    }
    names.sort();
    assert_eq!((names, checked), (vec!["nobody-s".to_owned(), "paid".to_owned()], 9));
    assert!(rounds > 9, "{rounds} rounds");
}

#[tokio::test]
async fn whatever_call_fails_the_check_says_so_and_finds_everything_the_next_time() {
    let calls = {
        let shop = shop_of_all_kinds().await;
        let plan = FaultPlan::none();
        check_under(&shop, &plan).await.unwrap();
        plan.calls().len()
    };
    assert!(calls > 20, "{calls} calls");
    for nth in 0..calls {
        let shop = shop_of_all_kinds().await;
        let (_, line) = check_under(&shop, &FaultPlan::at([(nth, Fault::TimedOut)])).await.unwrap_err();
        assert_eq!(line.get("outcome"), Some(&json!("failed")), "call {nth}");
        assert_eq!(count(&line, metric::CHECK_UNFINISHED), json!(1), "call {nth}");
        assert!(is_no_all_clear(&line), "call {nth}: {line}");
        assert_eq!(found(&checked(&shop).await.0).len(), 2, "call {nth}");
    }
}

/// How a look at an order goes wrong.
#[derive(Clone, Copy)]
enum Wrong {
    Unreadable,
    WithoutEnd,
}

/// A table of orders of which one cannot be read.
struct Damaged(MemoryOrders, OrderId, Wrong);

impl OrderStore for Damaged {
    async fn report(&self, order: &OrderId, reports: &[OrderReport]) -> Result<Vec<Outcome>, PortError> {
        self.0.report(order, reports).await
    }

    async fn link(&self, order: &OrderId, link: &Link) -> Result<Outcome, PortError> {
        self.0.link(order, link).await
    }

    async fn read(&self, order: &OrderId) -> Result<OrderFacts, PortError> {
        match self.2 {
            _ if *order != self.1 => self.0.read(order).await,
            Wrong::Unreadable => Err(PortError::unreadable("orders.read")),
            Wrong::WithoutEnd => std::future::pending().await,
        }
    }

    async fn orders_of(&self, trade: &TradeKey) -> Result<Vec<OrderId>, PortError> {
        self.0.orders_of(trade).await
    }

    async fn list(&self) -> Result<Vec<KnownOrder>, PortError> {
        self.0.list().await
    }
}

#[tokio::test]
async fn an_order_that_cannot_be_read_is_named_and_hides_no_other() {
    let shop = shop_of_all_kinds().await;
    let orders = Damaged(shop.orders.clone(), OrderId::new("arrived").unwrap(), Wrong::Unreadable);
    let log = MemoryLog::default();
    let facts = (&orders, &shop.trades, &shop.ledger);
    let deadline = Deadline::from_lambda(u64::MAX);
    let answer = handle(Request { after: None }, deadline, facts, (&shop.clock, &log)).await.unwrap();
    let expected = [("nobody-s", "paid_not_created"), ("paid", "paid_too_long"), ("arrived", "unreadable")];
    assert_eq!((found(&answer), answer.count), (expected.to_vec(), 3));
    let line = log.all().pop().unwrap();
    assert_eq!((line.get("outcome"), count(&line, metric::CHECK_UNFINISHED)), (Some(&json!("unreadable")), json!(1)));
}

#[tokio::test]
async fn a_check_that_is_held_up_ends_in_time_tells_what_it_found_and_is_an_error_when_it_comes_no_further() {
    let shop = shop_of_all_kinds().await;
    let orders = Damaged(shop.orders.clone(), OrderId::new("paid").unwrap(), Wrong::WithoutEnd);
    let facts = (&orders, &shop.trades, &shop.ledger);
    let ends_at = u64::try_from(NOW + lambda::deadline::MARGIN_MS).unwrap() + 100;
    let (mut after, mut lines, mut answers) = (Value::Null, Vec::new(), 0);
    let error = loop {
        let log = MemoryLog::default();
        let request: Request = serde_json::from_value(json!({ "after": after })).unwrap();
        let answer = handle(request, Deadline::from_lambda(ends_at), facts, (&shop.clock, &log)).await;
        lines.extend(log.all());
        match answer {
            Ok(answer) => after = serde_json::to_value(answer.next.unwrap()).unwrap(),
            Err(error) => break error,
        }
        answers += 1;
        assert!(answers < 20);
    };
    assert!(error.chain().contains("before the deadline"), "{}", error.chain());
    assert_eq!(lines.last().unwrap().get("outcome"), Some(&json!("failed")));
    assert!(lines.iter().all(is_no_all_clear));
}

/// A check whose calls fail by a plan; its last line when it does.
async fn check_under(shop: &Shop, plan: &FaultPlan) -> Result<Answer, (String, WideEvent)> {
    let orders = Faulty::new(shop.orders.clone(), plan);
    let trades = Faulty::new(shop.trades.clone(), plan);
    let ledger = Faulty::new(shop.ledger.clone(), plan);
    let log = MemoryLog::default();
    let facts = (&orders, &trades, &ledger);
    let answer = handle(Request { after: None }, Deadline::from_lambda(u64::MAX), facts, (&shop.clock, &log)).await;
    answer.map_err(|error| (error.chain(), log.all().pop().unwrap()))
}
