//! Each port call of intake and writer, faulted in every way, then redelivered: the final state equals
//! the undisturbed one, and nothing that was answered 200 is missing.

use std::collections::BTreeSet;
use std::sync::Arc;

use adapters::testing::{Fault, FaultPlan, Faulty};
use lambda::deadline::{Deadline, MARGIN_MS};
use lambda::http::Request;

use crate::support::{NOW, Shop, batch, client, push, reading, scanner, status_event, status_push, warehouse};

/// Points that the battery covers at least: calls of an undisturbed run times ways to fail.
const POINTS_MIN: usize = 130;

/// Two ways to fail in one life.
const PAIRED: [(Fault, Fault); 3] = [
    (Fault::DoneButTimedOut, Fault::CrashedAfter),
    (Fault::CrashedAfter, Fault::Before),
    (Fault::DoneInPart, Fault::DoneButTimedOut),
];

/// Pairs that the battery covers at least.
const PAIRS_MIN: usize = 1_053;

/// Tries that a sender makes. One fault costs one try.
const TRIES_MAX: usize = 4;

/// The deliveries of the story, as their senders make them each time they try.
fn deliveries() -> Vec<Request> {
    let batch_pay = r#"{"bizKey":"1","gmtBorn":1795247000000,"msgId":9,"type":"ORDER_BATCH_PAY","userInfo":"u",
        "data":{"batchPay":[{"orderId":"101","status":"successed"},{"orderId":"102","status":"ACCOUNT_FROZEN"}]}}"#;
    let trace = r#"{"bizKey":"LP1","gmtBorn":1795247000001,"msgId":10,"type":"LOGISTICS_BUYER_VIEW_TRACE","userInfo":"u",
        "data":{"OrderLogisticsTracingModel":{"logisticsId":"LP1","cpCode":"ZTO","mailNo":"753","statusChanged":"SIGN",
        "changeTime":"2018-05-30 19:30:13","orderLogsItems":[{"orderId":101,"orderEntryId":1}]}}}"#;
    vec![
        push(&status_push(101, "waitbuyerpay", NOW - 9_000, 1)),
        push(&status_push(101, "waitsellersend", NOW - 8_000, 2)),
        push(batch_pay),
        push(trace),
        warehouse("msg_1", NOW, &status_event("A-1", "arrived", NOW - 5_000)),
        warehouse("msg_2", NOW, &status_event("A-1", "packed", NOW - 4_000)),
        scanner(&format!(r#"{{"order_id":"A-2","new_status":"shipped","timestamp":{}}}"#, NOW / 1_000)),
        push(&status_push(101, "waitsellersend", NOW - 8_000, 2)),
    ]
}

/// The messages of two sweeps: one of a trade that was pushed, and a later one of it and of another.
fn readings() -> Vec<String> {
    let readings = [
        reading(101, "waitsellersend", NOW - 8_000, NOW),
        reading(101, "waitbuyerreceive", NOW - 3_000, NOW),
        reading(103, "a word of tomorrow", NOW - 3_000, NOW),
    ];
    readings.iter().map(|event| protocols::cloudevents::write(event).unwrap()).collect()
}

/// Messages that other programs put on the queue.
const STRAYS: [&str; 2] = ["not an event", r#"{"specversion":"1.0","type":"elsewhere.v1","id":"1","source":"/x"}"#];

/// The events that a delivery holds.
async fn said(delivery: &Request) -> Vec<domain::Event> {
    let undisturbed = Shop::new();
    assert_eq!(undisturbed.deliver(delivery.clone()).await.map(|response| response.status_code), Some(200));
    undisturbed.events.all()
}

/// Delivers everything until it is answered 200, then lets the queue hand everything out until nothing is left.
async fn live_through(plan: FaultPlan) -> Shop {
    let mut shop = Shop::under(plan);
    for delivery in deliveries() {
        let said = said(&delivery).await;
        let mut answers = Vec::new();
        while answers.last() != Some(&Some(200)) {
            assert!(answers.len() < TRIES_MAX, "a sender gave up: {answers:?}");
            let queued_before = shop.events.all();
            let answer = shop.deliver(delivery.clone()).await.map(|response| response.status_code);
            match answer {
                // Every event that it holds was queued by this very try.
                Some(200) => {
                    let queued = shop.events.all().split_off(queued_before.len());
                    assert!(said.iter().all(|event| queued.contains(event)), "answered 200 without {said:?}");
                }
                Some(status) => assert!(matches!(status, 429 | 503), "a fault of ours was answered {status}"),
                // The process was gone: the next one starts with an empty cache.
                None => shop.cache = Arc::default(),
            }
            answers.push(answer);
        }
    }
    let events = shop.events.all();
    let mut waiting: Vec<String> = events.iter().map(|event| protocols::cloudevents::write(event).unwrap()).collect();
    waiting.extend(readings());
    waiting.extend(STRAYS.map(str::to_owned));
    for message in waiting.chunks(10) {
        let mut left = message.to_vec();
        for tries in 0.. {
            assert!(tries < TRIES_MAX, "a batch never ended");
            let Some(failed) = shop.write(batch(left.clone())).await else { continue };
            left = (0..left.len())
                .filter(|index| failed.contains(&format!("m{index}")))
                .map(|index| left[index].clone())
                .collect();
            if left.is_empty() {
                break;
            }
        }
    }
    shop
}

/// What is in quarantine. A message may be there twice: better twice than never.
fn set_aside(shop: &Shop) -> BTreeSet<(String, String)> {
    shop.quarantine.all().into_iter().map(|message| (message.body, message.reason)).collect()
}

fn assert_same(shop: &Shop, undisturbed: &Shop, point: &str) {
    assert_eq!(shop.orders.all(), undisturbed.orders.all(), "{point}");
    assert_eq!(shop.trades.all(), undisturbed.trades.all(), "{point}");
    assert_eq!(set_aside(shop), set_aside(undisturbed), "{point}");
}

#[tokio::test]
async fn every_port_call_faulted_in_every_way_and_redelivered_ends_in_the_undisturbed_state() {
    let undisturbed = live_through(FaultPlan::none()).await;
    assert_eq!((undisturbed.orders.all().len(), undisturbed.trades.all().len()), (2, 3));
    assert_eq!(set_aside(&undisturbed).len(), STRAYS.len());
    let calls = undisturbed.plan.calls();
    let verbs: BTreeSet<_> = calls.iter().copied().collect();
    let expected = [
        "events.send",
        "orders.report",
        "quarantine.put",
        "secrets.read",
        "trades.after_sale",
        "trades.detail",
        "trades.report",
        "trades.ship",
    ];
    assert_eq!(verbs.into_iter().collect::<Vec<_>>(), expected);
    let mut points = 0;
    for (position, verb) in calls.iter().enumerate() {
        for fault in Fault::ALL {
            let shop = live_through(FaultPlan::at([(position, fault)])).await;
            assert_same(&shop, &undisturbed, &format!("{fault:?} at call {position}, {verb}"));
            points += 1;
        }
    }
    println!("faults: {points} points covered ({} calls, {} ways to fail)", calls.len(), Fault::ALL.len());
    assert!(points >= POINTS_MIN, "the battery shrank to {points} points");
}

#[tokio::test]
async fn a_dependency_that_never_answers_is_503_before_the_deadline() {
    let deadline = Deadline::from_lambda(u64::try_from(NOW + 50 + MARGIN_MS).unwrap());
    // The first call is done and then never answers, as a hung connection does.
    let hung = || Shop::under(FaultPlan::at([(0, Fault::CrashedAfter)]));
    let shop = hung();
    let (source, queue) = (Faulty::new(shop.secrets.clone(), &shop.plan), shop.events.clone());
    let delivery = deliveries().remove(0);
    let response =
        webhook_intake::handler::handle(delivery, deadline, &queue, &source, &shop.cache, &shop.clock, &shop.log);
    assert_eq!(response.await.status_code, 503);
    assert!(queue.all().is_empty());

    let shop = hung();
    let source = Faulty::new(shop.secrets.clone(), &shop.plan);
    let clients = (&shop.nonces, &source, &*shop.cache);
    let request = client("GET", "/orders/A-1", "n1", NOW, "");
    let facts = (&shop.orders, &shop.trades, &shop.ledger);
    let rates = (&shop.rates, &*shop.quotes, rust_decimal::Decimal::TWO);
    let response = orders_api::handler::handle(request, deadline, facts, rates, clients, &shop.clock, &shop.log);
    assert_eq!(response.await.status_code, 503);
}

#[tokio::test]
async fn two_faults_in_one_life_end_in_the_undisturbed_state() {
    let undisturbed = live_through(FaultPlan::none()).await;
    let calls = undisturbed.plan.calls().len();
    let mut points = 0;
    for first in 0..calls {
        for second in first + 1..=calls {
            for (one, other) in PAIRED {
                let shop = live_through(FaultPlan::at([(first, one), (second, other)])).await;
                assert_same(&shop, &undisturbed, &format!("{one:?} at {first}, {other:?} at {second}"));
                points += 1;
            }
        }
    }
    println!("faults: {points} pairs covered");
    assert!(points >= PAIRS_MIN, "the battery shrank to {points} pairs");
}
