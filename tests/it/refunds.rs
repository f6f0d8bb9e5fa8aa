//! Refunds: by the pinned rate, within what was paid, to the minor unit.

use std::sync::atomic::{AtomicU64, Ordering};

use adapters::testing::{Fault, FaultPlan};
use domain::OrderId;
use futures::future::join_all;
use lambda::log::{WideEvent, metric};
use serde_json::{Value, json};

use crate::creation::incident;
use crate::support::{NOW, Shop, client, stripe};

static NONCES: AtomicU64 = AtomicU64::new(0);

async fn asked(shop: &Shop, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let nonce = format!("refunds-{}", NONCES.fetch_add(1, Ordering::Relaxed));
    let text = if body.is_null() { String::new() } else { body.to_string() };
    let response = shop.ask(client(method, path, &nonce, NOW, &text)).await.unwrap();
    (response.status_code, serde_json::from_str(&response.body).unwrap())
}

async fn refund(shop: &Shop, id: &str, amount: i64, currency: &str) -> (u16, Value) {
    let body = json!({"refund_id": id, "amount_minor": amount, "currency": currency});
    asked(shop, "POST", "/orders/A-1/refunds", &body).await
}

/// What goes back, or the answer's status and code.
fn charged(answer: &(u16, Value)) -> Result<i64, (u16, String)> {
    let amount = answer.1["charged"]["amount_minor"].as_i64();
    amount.ok_or_else(|| (answer.0, answer.1["error"]["code"].as_str().unwrap_or_default().to_owned()))
}

fn impossible() -> Result<i64, (u16, String)> {
    Err((422, "impossible".to_owned()))
}

async fn capture(shop: &Shop, minor: i64) {
    let intent = json!({"id": "pi_1", "amount": minor, "amount_received": minor, "currency": "eur",
                        "latest_charge": "ch_1", "metadata": {"order_id": "A-1"}});
    let answer = shop.pay(stripe("payment_intent.succeeded", NOW, &intent)).await.unwrap();
    assert_eq!(answer.status_code, 200, "{}", answer.body);
}

async fn settle_refund(shop: &Shop, id: &str, minor: i64) {
    let refund = json!({"id": id, "amount": minor, "currency": "eur", "status": "succeeded", "payment_intent": "pi_1"});
    assert_eq!(shop.pay(stripe("refund.created", NOW, &refund)).await.unwrap().status_code, 200);
}

/// The order of the incident, created and paid.
async fn paid() -> Shop {
    let shop = Shop::new();
    assert_eq!(asked(&shop, "POST", "/orders", &incident("A-1")).await.0, 201);
    capture(&shop, 10_230).await;
    shop
}

#[tokio::test]
async fn sixteen_and_a_half_thousand_yen_paid_as_102_30_euros_refund_102_30_whatever_the_day_s_rate() {
    for rates in [Some(crate::support::rates()), None] {
        for (amount, currency) in [(16_500, "JPY"), (10_230, "EUR")] {
            let shop = paid().await;
            shop.rates.set(rates.clone());
            let readings = shop.rates.readings();
            let answer = refund(&shop, "r-1", amount, currency).await;
            let expected = json!({"refund_id": "r-1", "order_id": "A-1", "state": "requested",
                                  "priced": {"amount_minor": 16_500, "currency": "JPY"},
                                  "charged": {"amount_minor": 10_230, "currency": "EUR"}});
            assert_eq!(answer, (201, expected));
            assert_eq!(shop.rates.readings(), readings, "no rate is asked for when money moved");
        }
    }
}

#[tokio::test]
async fn partial_refunds_come_to_what_was_paid_and_nothing_goes_beyond() {
    let shop = paid().await;
    let mut sum = 0;
    for (number, (amount, currency)) in
        [(5_501, "JPY"), (1, "EUR"), (333, "JPY"), (2_000, "EUR"), (1, "JPY")].into_iter().enumerate()
    {
        sum += charged(&refund(&shop, &format!("r-{number}"), amount, currency).await).unwrap();
    }
    assert_eq!(charged(&refund(&shop, "r-beyond", 10_231 - sum, "EUR").await), impossible());
    let order = shop.orders.all().remove(&OrderId::new("A-1").unwrap()).unwrap();
    let left = 16_500 - order.refund_totals.priced_minor;
    assert_eq!(charged(&refund(&shop, "r-beyond", left + 1, "JPY").await), impossible());
    sum += charged(&refund(&shop, "r-last", left, "JPY").await).unwrap();
    assert_eq!(sum, 10_230, "the last refund takes the remainder");
    for (amount, currency) in [(1, "JPY"), (1, "EUR")] {
        assert_eq!(charged(&refund(&shop, "r-beyond", amount, currency).await), impossible());
    }
}

#[tokio::test]
async fn the_same_refund_again_is_200_with_its_state_and_another_amount_409() {
    let shop = paid().await;
    let (_, first) = refund(&shop, "r-1", 5_500, "JPY").await;
    assert_eq!(refund(&shop, "r-1", 5_500, "JPY").await, (200, first.clone()));
    for (amount, currency) in [(5_501, "JPY"), (3_410, "EUR")] {
        let other = refund(&shop, "r-1", amount, currency).await;
        assert_eq!((other.0, other.1["error"]["code"].as_str()), (409, Some("conflict")));
    }
    settle_refund(&shop, "re_1", 3_410).await;
    let (status, settled) = refund(&shop, "r-1", 5_500, "JPY").await;
    assert_eq!((status, settled["state"].as_str()), (200, Some("settled")));
    let (_, order) = asked(&shop, "GET", "/orders/A-1", &Value::Null).await;
    assert_eq!(
        order["payment"],
        json!({"currency": "EUR", "due_minor": 10_230, "paid_minor": 10_230,
                                        "refunded_minor": 3_410, "state": "partly_refunded"})
    );
}

#[tokio::test]
async fn an_order_is_refunded_when_gateways_reported_all_of_it_back() {
    let shop = paid().await;
    refund(&shop, "r-1", 16_500, "JPY").await;
    let status = async |shop: &Shop| asked(shop, "GET", "/orders/A-1", &Value::Null).await.1["status"].clone();
    assert_eq!(status(&shop).await, "PAID", "a request is not yet a refund");
    settle_refund(&shop, "re_1", 10_000).await;
    assert_eq!(status(&shop).await, "PAID");
    settle_refund(&shop, "re_2", 230).await;
    assert_eq!(status(&shop).await, "REFUNDED");
}

#[tokio::test]
async fn what_went_back_at_the_gateway_is_not_granted_again() {
    let shop = paid().await;
    settle_refund(&shop, "re_elsewhere", 10_000).await;
    assert_eq!(charged(&refund(&shop, "r-1", 231, "EUR").await), impossible());
    assert_eq!(charged(&refund(&shop, "r-1", 16_500, "JPY").await), impossible());
    assert_eq!(charged(&refund(&shop, "r-1", 230, "EUR").await), Ok(230));
}

/// What is logged of a refund of an order whose record of the rate is lost, after all that led there.
pub async fn counted() -> Vec<WideEvent> {
    let shop = paid().await;
    shop.orders.lose_rate(&OrderId::new("A-1").unwrap());
    refund(&shop, "r-1", 100, "EUR").await;
    shop.log.all()
}

#[tokio::test]
async fn an_order_whose_rate_record_is_lost_refuses_with_an_alarm_that_names_it() {
    let shop = paid().await;
    shop.orders.lose_rate(&OrderId::new("A-1").unwrap());
    let readings = shop.rates.readings();
    let (status, answer) = refund(&shop, "r-1", 100, "EUR").await;
    assert_eq!((status, answer["error"]["code"].as_str()), (409, Some("order_damaged")));
    assert_eq!(shop.rates.readings(), readings, "no live rate is used for money that moved");
    let log = shop.log.all();
    let line = log.last().unwrap();
    assert_eq!(line.metrics(), [metric::ORDER_DAMAGED]);
    assert_eq!(line.get("order.id"), Some(&json!("A-1")));
    assert_eq!(asked(&shop, "GET", "/orders/A-1", &Value::Null).await.1["exchange_rate"], Value::Null);
}

#[tokio::test]
async fn what_cannot_be_a_refund_is_refused() {
    let shop = paid().await;
    for (body, status) in [
        (json!({"refund_id": "r", "amount_minor": 0, "currency": "EUR"}), 422),
        (json!({"refund_id": "r", "amount_minor": -1, "currency": "EUR"}), 422),
        (json!({"refund_id": "r", "amount_minor": 1, "currency": "USD"}), 422),
        (json!({"refund_id": "r", "amount_minor": 1, "currency": "euro"}), 422),
        (json!({"refund_id": "r", "amount_minor": 1.5, "currency": "EUR"}), 400),
        (json!({"refund_id": "", "amount_minor": 1, "currency": "EUR"}), 400),
        (json!({"refund_id": "r#1", "amount_minor": 1, "currency": "EUR"}), 400),
        (json!({"amount_minor": 1, "currency": "EUR"}), 400),
        (json!([]), 400),
    ] {
        assert_eq!(asked(&shop, "POST", "/orders/A-1/refunds", &body).await.0, status, "{body}");
    }
    let body = json!({"refund_id": "r", "amount_minor": 1, "currency": "EUR"});
    assert_eq!(asked(&shop, "POST", "/orders/elsewhere/refunds", &body).await.0, 404);
    assert_eq!(asked(&shop, "POST", "/orders/a%20b/refunds", &body).await.0, 400);
    let unpaid = Shop::new();
    asked(&unpaid, "POST", "/orders", &incident("A-1")).await;
    assert_eq!(charged(&refund(&unpaid, "r", 1, "EUR").await), impossible());
    let known = Shop::new();
    capture(&known, 10_230).await;
    assert_eq!(refund(&known, "r", 1, "EUR").await.0, 409, "paid for, and created by nobody");
}

#[tokio::test]
async fn a_refund_made_elsewhere_beside_a_granted_one_is_not_granted_again() {
    let shop = paid().await;
    assert_eq!(charged(&refund(&shop, "r-1", 5_000, "EUR").await), Ok(5_000));
    settle_refund(&shop, "re_elsewhere", 3_000).await;
    assert_eq!(charged(&refund(&shop, "r-2", 2_231, "EUR").await), impossible());
    assert_eq!(charged(&refund(&shop, "r-2", 2_230, "EUR").await), Ok(2_230));
    settle_refund(&shop, "re_1", 5_000).await;
    assert_eq!(charged(&refund(&shop, "r-3", 1, "EUR").await), impossible());
    for (id, minor, state) in [("r-1", 5_000, "settled"), ("r-2", 2_230, "requested")] {
        assert_eq!(refund(&shop, id, minor, "EUR").await.1["state"], state, "{id}");
    }
}

#[tokio::test]
async fn nothing_that_is_in_dispute_is_granted() {
    let shop = paid().await;
    let dispute = json!({"id": "dp_1", "amount": 10_000, "currency": "eur", "status": "needs_response", "payment_intent": "pi_1"});
    assert_eq!(shop.pay(stripe("charge.dispute.created", NOW, &dispute)).await.unwrap().status_code, 200);
    assert_eq!(charged(&refund(&shop, "r-1", 231, "EUR").await), impossible());
    assert_eq!(charged(&refund(&shop, "r-1", 230, "EUR").await), Ok(230));
}

#[tokio::test]
async fn a_hundred_refunds_at_once_never_exceed_what_was_paid() {
    let shop = paid().await;
    let shop = &shop;
    let answers = join_all((0..100).map(|number| async move {
        let id = format!("r-{number}");
        // A client that is asked to try again does, under the same id.
        loop {
            let answer = refund(shop, &id, 150 + i64::from(number), "EUR").await;
            if answer.0 != 503 {
                return answer;
            }
        }
    }))
    .await;
    let granted: i64 = answers.iter().filter_map(|answer| charged(answer).ok()).sum();
    let facts = shop.orders.all().remove(&OrderId::new("A-1").unwrap()).unwrap();
    let kept: i64 = facts.refunds.values().map(|refund| refund.charged.minor()).sum();
    assert!(granted <= 10_230 && granted > 10_230 - 250, "{granted}");
    assert_eq!((kept, facts.refund_totals.charged_minor), (granted, granted));
}

#[tokio::test]
async fn each_call_of_a_creation_and_a_refund_faulted_in_every_way_and_repeated_ends_in_one_order_and_one_refund() {
    let undisturbed = live_through(FaultPlan::none()).await;
    let calls = undisturbed.plan.calls();
    assert!(calls.contains(&"orders.place") && calls.contains(&"orders.refund"), "{calls:?}");
    for (position, verb) in calls.iter().enumerate() {
        for fault in Fault::ALL {
            let shop = live_through(FaultPlan::at([(position, fault)])).await;
            assert_eq!(shop.ledger.all(), undisturbed.ledger.all(), "{fault:?} at {verb}");
            let facts = |shop: &Shop| {
                let order = shop.orders.all().remove(&OrderId::new("A-1").unwrap()).unwrap();
                let placed = order.placed.map(|placed| (placed.content, placed.due, placed.rate));
                let charged: Vec<_> =
                    order.refunds.values().map(|refund| (refund.id.clone(), refund.charged)).collect();
                (placed, charged, order.refund_totals)
            };
            assert_eq!(facts(&shop), facts(&undisturbed), "{fault:?} at {verb}");
        }
    }
}

/// A shop front and a gateway that try again until they are answered.
async fn live_through(plan: FaultPlan) -> Shop {
    let shop = Shop::under(plan);
    let intent = json!({"id": "pi_1", "amount": 10_230, "currency": "eur", "latest_charge": "ch_1",
                        "metadata": {"order_id": "A-1"}});
    let refund = json!({"refund_id": "r-1", "amount_minor": 5_500, "currency": "JPY"});
    until(async || {
        let nonce = format!("faults-{}", NONCES.fetch_add(1, Ordering::Relaxed));
        shop.ask(client("POST", "/orders", &nonce, NOW, &incident("A-1").to_string())).await
    })
    .await;
    until(async || shop.pay(stripe("payment_intent.succeeded", NOW, &intent)).await).await;
    until(async || {
        let nonce = format!("faults-{}", NONCES.fetch_add(1, Ordering::Relaxed));
        shop.ask(client("POST", "/orders/A-1/refunds", &nonce, NOW, &refund.to_string())).await
    })
    .await;
    shop
}

async fn until(attempt: impl AsyncFn() -> Option<lambda::http::Response>) {
    for _ in 0..4 {
        match attempt().await.map(|response| response.status_code) {
            Some(200 | 201) => return,
            Some(429 | 503) | None => {}
            Some(status) => panic!("a fault of ours was answered {status}"),
        }
    }
    panic!("a sender gave up");
}
