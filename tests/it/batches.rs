//! What the writer makes of a batch: who has to come again, how many writes, what is set aside.

use std::sync::atomic::{AtomicI64, Ordering};

use adapters::clock::Clock;
use adapters::ports::{OrderStore, TradeStore};
use adapters::testing::{Fault, FaultPlan};
use domain::{OrderId, UnixMillis};
use lambda::deadline::{Deadline, MARGIN_MS};

use crate::support::{NOW, Shop, batch, reading};

/// A message that reports an order's status.
fn of_order(order: &str, status: &str, at: i64) -> String {
    let time = UnixMillis::new(at).unwrap().to_rfc3339();
    serde_json::json!({
        "specversion": "1.0", "id": format!("e{at}"), "source": "/sources/warehouse", "subject": order,
        "type": "sampan.order.changed.v1", "time": time, "data": {"order_id": order, "status": status}
    })
    .to_string()
}

/// A message that says this of a trade.
fn of_trade(trade: u32, at: i64, mut said: serde_json::Value) -> String {
    let time = UnixMillis::new(at).unwrap().to_rfc3339();
    said["marketplace"] = "1688".into();
    said["shop"] = "demo".into();
    said["trade_id"] = trade.to_string().into();
    serde_json::json!({
        "specversion": "1.0", "id": at.to_string(), "source": "/marketplaces/1688/demo", "subject": trade.to_string(),
        "type": "sampan.trade.changed.v1", "time": time, "data": said
    })
    .to_string()
}

fn status(trade: u32, status: &str, at: i64) -> String {
    of_trade(trade, at, serde_json::json!({"status": status, "raw_status": "raw"}))
}

fn shipping(trade: u32, trace: &str, at: i64) -> String {
    of_trade(trade, at, serde_json::json!({"shipping": {"logistics_id": "LP1", "trace_status": trace}}))
}

const POISON: &str = r#"{"specversion":"1.0","type":"sampan.order.changed.v9","id":"1","source":"/x"}"#;

/// Ten records that touch ten items: four orders, three trades, two consignments, one that is none.
fn ten() -> Vec<String> {
    let orders = (0..4).map(|number| of_order(&format!("o{number}"), "arrived", NOW));
    let trades = (0..3).map(|number| status(number, "shipped", NOW));
    let packages = (3..5).map(|number| shipping(number, "SIGN", NOW));
    orders.chain(trades).chain(packages).chain([POISON.to_owned()]).collect()
}

/// The record that each port call of such a batch is for, in the order of the calls.
const RECORD_OF_CALL: [usize; 10] = [9, 0, 1, 2, 3, 4, 5, 6, 7, 8];

#[tokio::test]
async fn each_of_the_1_024_subsets_of_failing_records_is_answered_with_exactly_its_ids() {
    let faults = [Fault::Before, Fault::TimedOut, Fault::DoneButTimedOut];
    for subset in 0_usize..1_024 {
        let failing: Vec<usize> = (0..10).filter(|call| subset >> call & 1 == 1).collect();
        let plan = FaultPlan::at(failing.iter().map(|call| (*call, faults[(call + subset) % 3])));
        let shop = Shop::under(plan);
        let mut named = shop.write(batch(ten())).await.unwrap();
        let mut expected: Vec<String> = failing.iter().map(|call| format!("m{}", RECORD_OF_CALL[*call])).collect();
        named.sort();
        expected.sort();
        assert_eq!(named, expected, "subset {subset:#b}");
        assert_eq!(shop.plan.calls().len(), 10, "subset {subset:#b}");
    }
}

#[tokio::test]
async fn a_poison_record_in_the_middle_harms_nobody_and_is_kept_with_its_reason() {
    for (poison, reason) in [
        (POISON, "unknown_type: not an event type of this version"),
        ("CANARY", "malformed: not JSON at line 1 column 1"),
        ("", "malformed: cut off at line 1 column 0"),
        (
            r#"{"specversion":"1.0","type":"sampan.order.changed.v1"}"#,
            "malformed: JSON of another shape at line 1 column 54",
        ),
    ] {
        let shop = Shop::new();
        let mut bodies = ten();
        bodies.truncate(9);
        bodies.insert(5, poison.to_owned());
        assert_eq!(shop.write(batch(bodies)).await, Some(Vec::new()));
        assert_eq!((shop.orders.all().len(), shop.trades.all().len()), (4, 5));
        let kept = shop.quarantine.all();
        assert_eq!(kept.len(), 1);
        assert_eq!(
            (kept[0].message_id.as_str(), kept[0].body.as_str(), kept[0].reason.as_str()),
            ("m5", poison, reason)
        );
    }
}

#[tokio::test]
async fn a_batch_costs_one_write_an_item_and_no_read() {
    let shop = Shop::new();
    let bodies = [
        of_order("a", "arrived", NOW),
        of_order("a", "packed", NOW + 1),
        of_order("a", "arrived", NOW),
        of_order("b", "arrived", NOW),
        status(1, "awaiting_payment", NOW),
        status(1, "awaiting_shipment", NOW + 1),
        status(1, "shipped", NOW + 2),
        status(1, "shipped", NOW + 3),
        shipping(1, "CONSIGN", NOW),
        shipping(1, "SIGN", NOW + 1),
    ];
    assert_eq!(shop.write(batch(bodies)).await, Some(Vec::new()));
    assert_eq!(shop.plan.calls(), ["orders.report", "orders.report", "trades.report", "trades.ship"]);
    let expected =
        ["applied", "applied", "duplicate", "applied", "applied", "applied", "stale", "applied", "stale", "applied"];
    assert_eq!(outcomes(&shop), expected);
}

#[tokio::test]
async fn ten_readings_of_one_trade_are_one_write_an_item_and_no_read() {
    let shop = Shop::new();
    let readings = (0..10).map(|number| reading(101, "waitbuyerreceive", NOW - 1_000 * number, NOW));
    let bodies = readings.map(|event| protocols::cloudevents::write(&event).unwrap());
    assert_eq!(shop.write(batch(bodies)).await, Some(Vec::new()));
    assert_eq!(shop.plan.calls(), ["trades.report", "trades.ship", "trades.after_sale", "trades.detail"]);
    assert_eq!(outcomes(&shop)[..2], ["applied", "stale"]);
    let kept = &shop.trades.all()[&"1688#demo#101".parse().unwrap()];
    assert_eq!(kept.detail.as_ref().unwrap().modified_at.get(), NOW);
    assert_eq!((kept.packages.len(), kept.after_sales.len(), kept.statuses.reports().count()), (1, 1, 1));
}

fn outcomes(shop: &Shop) -> Vec<String> {
    shop.log.all().iter().map(|line| line.get("outcome").unwrap().as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_reading_comes_again_when_any_of_its_writes_failed() {
    let read = || protocols::cloudevents::write(&reading(101, "waitbuyerreceive", NOW, NOW)).unwrap();
    for subset in 0_usize..16 {
        let failing = (0..4).filter(|call| subset >> call & 1 == 1).map(|call| (call, Fault::DoneButTimedOut));
        let shop = Shop::under(FaultPlan::at(failing));
        let bodies = [read(), of_order("o1", "arrived", NOW)];
        // The order's write is the first call.
        let named: Vec<String> = if subset >> 1 == 0 { Vec::new() } else { vec!["m0".to_owned()] };
        let expected = if subset & 1 == 1 { named.into_iter().chain(["m1".to_owned()]).collect() } else { named };
        assert_eq!(shop.write(batch(bodies)).await, Some(expected), "subset {subset:#b}");
        assert_eq!(shop.plan.calls().len(), 5);
    }
}

#[tokio::test]
async fn a_reading_whose_writes_the_deadline_cut_off_comes_again_whole() {
    let shop = Shop::new();
    // Looks at 0, 100, … ms; work may begin until 250 ms: three writes of four.
    let clock = Stepping { now: AtomicI64::new(NOW), step_ms: 100 };
    let deadline = Deadline::from_lambda(u64::try_from(NOW + 250 + MARGIN_MS).unwrap());
    let bodies = [protocols::cloudevents::write(&reading(101, "waitbuyerreceive", NOW, NOW)).unwrap()];
    let (orders, trades) = (&shop.orders, &shop.trades);
    let answer = status_writer::handler::handle(
        batch(bodies),
        deadline,
        orders,
        trades,
        &shop.products,
        &shop.quarantine,
        (&clock, &shop.log),
    );
    let failed = answer.await.unwrap().batch_item_failures;
    assert_eq!(failed.iter().map(|failure| failure.item_identifier.as_str()).collect::<Vec<_>>(), ["m0"]);
    assert_eq!(outcomes(&shop), ["handed_back"]);
}

#[tokio::test]
async fn a_reading_is_what_the_best_of_its_parts_is_and_an_unknown_word_is_counted() {
    let shop = Shop::new();
    let early = reading(101, "waitbuyerreceive", NOW - 5_000, NOW);
    let late = reading(101, "a word of tomorrow", NOW, NOW);
    for event in [&late, &late, &early, &early] {
        let body = protocols::cloudevents::write(event).unwrap();
        assert_eq!(shop.write(batch([body])).await, Some(Vec::new()));
    }
    // Of the early one only the status is new: another word, which has a place of its own.
    assert_eq!(outcomes(&shop), ["applied", "duplicate", "applied", "duplicate"]);
    let counted: Vec<usize> = shop.log.all().iter().map(|line| line.metrics().len()).collect();
    assert_eq!(counted, [1, 1, 0, 0]);
    assert_eq!(shop.log.all()[0].get("unrecognised_status"), Some(&1.into()));
}

/// A clock that moves on by a step at every look.
struct Stepping {
    now: AtomicI64,
    step_ms: i64,
}

impl Clock for Stepping {
    fn now(&self) -> UnixMillis {
        UnixMillis::new(self.now.fetch_add(self.step_ms, Ordering::SeqCst)).unwrap()
    }

    async fn sleep(&self, _: u64) {
        unreachable!("nobody waits here")
    }
}

#[tokio::test]
async fn at_the_deadline_the_untouched_records_are_handed_back() {
    let shop = Shop::new();
    // Looks at 0, 100, 200, … ms; work may begin until 450 ms: five writes.
    let clock = Stepping { now: AtomicI64::new(NOW), step_ms: 100 };
    let deadline = Deadline::from_lambda(u64::try_from(NOW + 450 + MARGIN_MS).unwrap());
    let bodies = (0..10).map(|number| of_order(&format!("o{number}"), "arrived", NOW));
    let (orders, trades) = (shop.orders.clone(), shop.trades.clone());
    let answer = status_writer::handler::handle(
        batch(bodies),
        deadline,
        &orders,
        &trades,
        &shop.products,
        &shop.quarantine,
        (&clock, &shop.log),
    );
    let failed: Vec<String> =
        answer.await.unwrap().batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect();
    assert_eq!(failed, ["m5", "m6", "m7", "m8", "m9"]);
    assert_eq!(shop.orders.all().len(), 5);
    let handed_back = shop.log.all().iter().filter(|line| line.get("outcome").unwrap() == "handed_back").count();
    assert_eq!(handed_back, 5);
}

#[tokio::test]
async fn a_write_that_does_not_answer_is_left_at_the_deadline_and_its_record_handed_back() {
    // The second call is done and then never answers, as a hung connection does.
    let shop = Shop::under(FaultPlan::at([(1, Fault::CrashedAfter)]));
    let deadline = Deadline::from_lambda(u64::try_from(NOW + 50 + MARGIN_MS).unwrap());
    let bodies = (0..4).map(|number| of_order(&format!("o{number}"), "arrived", NOW));
    let (orders, trades) = (adapters::testing::Faulty::new(shop.orders.clone(), &shop.plan), shop.trades.clone());
    let answer = status_writer::handler::handle(
        batch(bodies),
        deadline,
        &orders,
        &trades,
        &shop.products,
        &shop.quarantine,
        (&shop.clock, &shop.log),
    );
    let failed: Vec<String> =
        answer.await.unwrap().batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect();
    assert_eq!(failed, ["m1"]);
    assert_eq!(shop.orders.all().len(), 4);
}

#[tokio::test]
async fn a_record_without_an_id_fails_the_invocation_before_anything_is_written() {
    let shop = Shop::new();
    for id in [None, Some(String::new())] {
        let mut event = batch(ten());
        event.records[3].message_id = id;
        let deadline = Deadline::from_lambda(u64::MAX);
        let answer = status_writer::handler::handle(
            event,
            deadline,
            &shop.orders,
            &shop.trades,
            &shop.products,
            &shop.quarantine,
            (&shop.clock, &shop.log),
        );
        assert!(answer.await.is_err());
    }
    assert!(shop.orders.read(&OrderId::new("o0").unwrap()).await.unwrap().is_empty());
    assert!(shop.trades.read(&"1688#demo#0".parse().unwrap()).await.unwrap().is_empty());
    assert!(shop.quarantine.all().is_empty());
}
