//! Callbacks over HTTP: who is believed, what is answered, and what an order then shows.

use std::sync::atomic::{AtomicU64, Ordering};

use adapters::certificates::{FOUND_KEPT_MS, MISSES_MAX, MISSING_KEPT_MS};
use adapters::secrets::Secrets;
use adapters::testing::{Fault, FaultPlan};
use domain::{Currency, Gateway, Money, MovementKind, OrderId, PaymentEvent, PaymentKey, TransactionId, UnixMillis};
use lambda::http::{Request, Response};
use lambda::log::{WideEvent, metric};
use protocols::gateway::PublicKey;
use serde_json::{Value, json};
use simulators::gateway::PAYPAL_CERTIFICATE;

use crate::creation::incident;
use crate::support::{NOW, Shop, callback, client, keys, request, sent_request, stripe};

static NONCES: AtomicU64 = AtomicU64::new(0);

/// Where the simulated PayPal says that its certificate is.
const CERTIFICATE_URL: &str = "https://api.paypal.com/v1/notifications/certs/CERT-local";

async fn asked(shop: &Shop, method: &str, path: &str, body: &str) -> (u16, Value) {
    let nonce = format!("payments-{}", NONCES.fetch_add(1, Ordering::Relaxed));
    let response = shop.ask(client(method, path, &nonce, NOW, body)).await.unwrap();
    (response.status_code, serde_json::from_str(&response.body).unwrap())
}

async fn order(shop: &Shop, id: &str) -> Value {
    asked(shop, "GET", &format!("/orders/{id}"), "").await.1
}

async fn created(shop: &Shop) {
    assert_eq!(asked(shop, "POST", "/orders", &incident("A-1").to_string()).await.0, 201);
}

async fn paid(shop: &Shop, request: Request) -> Response {
    shop.pay(request).await.unwrap()
}

/// A movement of the payment `P1` at this gateway.
fn movement(gateway: Gateway, kind: MovementKind, minor: i64, order: Option<&str>) -> PaymentEvent {
    let currency = match gateway {
        Gateway::Alipay | Gateway::Wechatpay => Currency::CNY,
        Gateway::Stripe | Gateway::Paypal | Gateway::Adyen | Gateway::Airwallex => Currency::EUR,
    };
    // Stripe and Adyen name a capture apart from its payment, the others by it.
    let transaction = match (gateway, kind) {
        (Gateway::Stripe | Gateway::Adyen, _) => format!("{}-1", kind.as_str()),
        (_, MovementKind::Captured) => "P1".to_owned(),
        (_, _) => format!("{}-1", kind.as_str()),
    };
    PaymentEvent {
        payment: format!("{}#P1", gateway.as_str()).parse().unwrap(),
        transaction_id: TransactionId::new(transaction).unwrap(),
        kind,
        order: order.map(|order| OrderId::new(order).unwrap()),
        money: Money::new(minor, currency).unwrap(),
        occurred_at: UnixMillis::new(NOW - 5_000).unwrap(),
    }
}

fn captured(minor: i64) -> Request {
    callback(&movement(Gateway::Stripe, MovementKind::Captured, minor, Some("A-1")), NOW)
}

fn refunded(minor: i64) -> Request {
    callback(&movement(Gateway::Stripe, MovementKind::Refunded, minor, None), NOW)
}

#[tokio::test]
async fn every_gateway_s_capture_is_kept_and_answered_in_its_own_words() {
    for (gateway, words) in [
        (Gateway::Stripe, r#"{"status":"accepted"}"#),
        (Gateway::Paypal, r#"{"status":"accepted"}"#),
        (Gateway::Adyen, "[accepted]"),
        (Gateway::Airwallex, r#"{"status":"accepted"}"#),
        (Gateway::Alipay, "success"),
        (Gateway::Wechatpay, r#"{"code":"SUCCESS"}"#),
    ] {
        let shop = Shop::new();
        let event = movement(gateway, MovementKind::Captured, 10_230, Some("A-1"));
        for outcome in ["applied", "duplicate"] {
            let calls = shop.plan.calls().len();
            let response = paid(&shop, callback(&event, NOW)).await;
            assert_eq!((response.status_code, response.body.as_str()), (200, words), "{gateway:?}");
            let log = shop.log.all();
            assert_eq!(log.last().unwrap().get("outcome"), Some(&json!(outcome)), "{gateway:?}");
            let made = shop.plan.calls().split_off(calls);
            let to_ledger: Vec<_> = made.iter().filter(|call| **call != "secrets.read").collect();
            assert_eq!(to_ledger, [&"ledger.record"], "{gateway:?}: one call, first and duplicate");
        }
        let kept = shop.ledger.all();
        assert_eq!(kept[&event.payment].entries, std::slice::from_ref(&event), "{gateway:?}");
    }
}

#[tokio::test]
async fn a_captured_payment_makes_the_order_paid_by_the_gateway_s_word() {
    let shop = Shop::new();
    created(&shop).await;
    paid(&shop, captured(10_230)).await;
    let order = order(&shop, "A-1").await;
    assert_eq!((order["status"].as_str(), order["flags"].as_array().map(Vec::len)), (Some("PAID"), Some(0)));
    assert_eq!(
        order["payment"],
        json!({"currency": "EUR", "due_minor": 10_230, "paid_minor": 10_230,
                                        "refunded_minor": 0, "state": "paid"})
    );
    // Since the capture, which is before we heard of it: the gateway's clock, not ours.
    let entry =
        json!({"status": "PAID", "at": "2026-11-21T07:59:55.000Z", "source": "stripe", "event_id": "captured-1"});
    assert!(order["history"].as_array().unwrap().contains(&entry), "{order}");
}

#[tokio::test]
async fn too_little_too_much_and_the_wrong_money_are_flagged_and_never_paid_by_themselves() {
    let dollars = |minor| {
        let event = movement(Gateway::Stripe, MovementKind::Captured, minor, Some("A-1"));
        let money = Money::new(minor, Currency::from_code("USD").unwrap()).unwrap();
        callback(&PaymentEvent { money, ..event }, NOW)
    };
    for (callback, status, state, flags) in [
        (captured(10_229), "PENDING", "partly_paid", json!(["underpaid"])),
        (captured(10_231), "PAID", "overpaid", json!(["overpaid"])),
        (dollars(10_230), "PENDING", "unpaid", json!(["wrong_currency"])),
    ] {
        let shop = Shop::new();
        created(&shop).await;
        paid(&shop, callback).await;
        let order = order(&shop, "A-1").await;
        assert_eq!(
            (&order["status"], &order["payment"]["state"], &order["flags"]),
            (&json!(status), &json!(state), &flags)
        );
    }
}

#[tokio::test]
async fn callbacks_may_come_before_the_order_and_a_refund_before_its_capture() {
    let shop = Shop::new();
    paid(&shop, refunded(230)).await;
    assert_eq!(asked(&shop, "GET", "/orders/A-1", "").await.0, 404, "a refund that names no order waits unseen");
    paid(&shop, captured(10_230)).await;
    let waiting = order(&shop, "A-1").await;
    assert_eq!(waiting["flags"], json!(["not_created"]));
    assert_eq!(
        waiting["payment"],
        json!({"currency": "EUR", "due_minor": null, "paid_minor": 10_230,
                                          "refunded_minor": 230, "state": "partly_refunded"})
    );
    created(&shop).await;
    let order = order(&shop, "A-1").await;
    assert_eq!((&order["status"], &order["payment"]["state"]), (&json!("PAID"), &json!("partly_refunded")));
}

#[tokio::test]
async fn what_is_captured_fails_and_is_captured_after_all_is_paid_in_whatever_order_it_is_told() {
    let told = |kind, later_ms| {
        let named = movement(Gateway::Stripe, MovementKind::Captured, 10_230, Some("A-1"));
        callback(&PaymentEvent { kind, occurred_at: named.occurred_at.saturating_add_ms(later_ms), ..named }, NOW)
    };
    let [first, failed, again] = [
        told(MovementKind::Captured, 0),
        told(MovementKind::CaptureFailed, 1_000),
        told(MovementKind::Captured, 2_000),
    ];
    for [one, two, three] in [
        [&first, &failed, &again],
        [&first, &again, &failed],
        [&failed, &first, &again],
        [&failed, &again, &first],
        [&again, &first, &failed],
        [&again, &failed, &first],
    ] {
        let shop = Shop::new();
        created(&shop).await;
        for request in [one, two, three, one] {
            assert_eq!(paid(&shop, request.clone()).await.status_code, 200);
        }
        let payment = order(&shop, "A-1").await["payment"].clone();
        assert_eq!((&payment["state"], &payment["paid_minor"]), (&json!("paid"), &json!(10_230)));
    }
}

/// What is logged of a capture, one that contradicts it, and one that names no order.
pub async fn counted() -> Vec<WideEvent> {
    let shop = Shop::new();
    paid(&shop, captured(10_230)).await;
    paid(&shop, captured(99_999)).await;
    let payment = "stripe#P2".parse().unwrap();
    let unnamed = PaymentEvent { payment, ..movement(Gateway::Stripe, MovementKind::Captured, 10_230, None) };
    paid(&shop, callback(&unnamed, NOW)).await;
    shop.log.all()
}

#[tokio::test]
async fn a_contradiction_is_kept_flagged_alarmed_and_answered_200_and_never_applied() {
    let shop = Shop::new();
    created(&shop).await;
    paid(&shop, captured(10_230)).await;
    for _ in 0..2 {
        assert_eq!(paid(&shop, captured(99_999)).await.status_code, 200);
        let line = shop.log.all().pop().unwrap();
        assert_eq!(
            (line.get("outcome"), line.metrics()),
            (Some(&json!("conflict")), [metric::PAYMENT_CONFLICT].as_slice())
        );
        assert_eq!(line.get("order.id"), Some(&json!("A-1")));
    }
    let order = order(&shop, "A-1").await;
    assert_eq!((&order["payment"]["paid_minor"], &order["flags"]), (&json!(10_230), &json!(["payment_conflict"])));
    let facts = shop.ledger.all().into_values().next().unwrap();
    assert_eq!((facts.entries.len(), facts.conflicts.len()), (1, 1));
}

#[tokio::test]
async fn one_payment_never_counts_for_two_orders() {
    let shop = Shop::new();
    created(&shop).await;
    asked(&shop, "POST", "/orders", &incident("B-2").to_string()).await;
    paid(&shop, captured(10_230)).await;
    let elsewhere = movement(Gateway::Stripe, MovementKind::Captured, 10_230, Some("B-2"));
    assert_eq!(paid(&shop, callback(&elsewhere, NOW)).await.status_code, 200);
    for (id, paid, status) in [("A-1", 10_230, "PAID"), ("B-2", 0, "PENDING")] {
        let order = order(&shop, id).await;
        assert_eq!((&order["payment"]["paid_minor"], &order["status"]), (&json!(paid), &json!(status)), "{id}");
        assert_eq!(order["flags"], json!(["payment_conflict"]), "{id}");
    }
}

#[tokio::test]
async fn captured_money_that_names_no_order_is_kept_and_alarmed() {
    let shop = Shop::new();
    let event = movement(Gateway::Stripe, MovementKind::Captured, 10_230, None);
    let metrics = async || {
        assert_eq!(paid(&shop, callback(&event, NOW)).await.status_code, 200);
        shop.log.all().pop().unwrap().metrics().to_vec()
    };
    for _ in 0..2 {
        assert_eq!(metrics().await, [metric::PAYMENT_WITHOUT_ORDER]);
    }
    assert_eq!(shop.ledger.all().len(), 1);
}

#[tokio::test]
async fn types_that_move_no_money_are_acknowledged_and_unknown_ones_counted() {
    let shop = Shop::new();
    for (kind, counted) in [("charge.refunded", None), ("payout.paid", None), ("invented.by.stripe", Some(&json!(1)))] {
        assert_eq!(paid(&shop, stripe(kind, NOW, &json!({}))).await.status_code, 200, "{kind}");
        let line = shop.log.all().pop().unwrap();
        assert_eq!(
            (line.get("outcome"), line.get("callback.type")),
            (Some(&json!("acknowledged")), Some(&json!(kind)))
        );
        assert_eq!(line.get("push.other_count"), counted, "{kind}");
    }
    assert!(shop.ledger.all().is_empty());
}

#[tokio::test]
async fn a_gateway_that_we_do_not_have_is_404_and_a_stranger_401() {
    let shop = Shop::new();
    let good = captured(10_230);
    for (path, status) in
        [("/payments/elsewhere", 404), ("/payments/", 404), ("/payments", 404), ("/payments/stripe/x", 404)]
    {
        assert_eq!(paid(&shop, Request { path: path.to_owned(), ..good.clone() }).await.status_code, status, "{path}");
    }
    assert_eq!(paid(&shop, Request { method: "GET".to_owned(), ..good.clone() }).await.status_code, 404);
    for gateway in Gateway::ALL {
        let path = format!("/payments/{}", gateway.as_str());
        let bare = request("POST", &path, &[], good.body.clone().unwrap());
        let status = paid(&shop, bare).await.status_code;
        assert!(matches!(status, 400 | 401), "{gateway:?}: {status}");
        if gateway != Gateway::Stripe {
            let status = paid(&shop, Request { path, ..good.clone() }).await.status_code;
            assert!(matches!(status, 400 | 401), "Stripe's signature at {gateway:?}: {status}");
        }
    }
    shop.secrets.set(Some(Secrets::from_json("{}").unwrap()));
    shop.clock.advance_ms(10 * 60 * 1_000);
    assert_eq!(paid(&shop, good).await.status_code, 404, "a gateway without an entry");
    assert!(shop.ledger.all().is_empty());
}

/// A shop that pins no certificate of PayPal.
fn unpinned() -> Shop {
    let shop = Shop::new();
    let mut section: Value = serde_json::from_str(simulators::gateway::SECTION).unwrap();
    section["paypal"]["certificates"] = json!({});
    shop.secrets.set(Some(Secrets::from_json(&json!({"gateways": section}).to_string()).unwrap()));
    shop
}

fn paypal() -> Request {
    callback(&movement(Gateway::Paypal, MovementKind::Captured, 10_230, Some("A-1")), NOW)
}

fn with_url(url: &str) -> Request {
    let mut request = paypal();
    request
        .headers
        .iter_mut()
        .filter(|(name, _)| name == "paypal-cert-url")
        .for_each(|(_, value)| *value = url.to_owned());
    request
}

#[tokio::test]
async fn a_certificate_that_is_not_pinned_is_fetched_once_from_paypal_alone() {
    let shop = unpinned();
    shop.certificates.publish(CERTIFICATE_URL, PublicKey::from_certificate(PAYPAL_CERTIFICATE).unwrap());
    for (wait_ms, readings) in [(0, 1), (1_000, 1), (FOUND_KEPT_MS, 2)] {
        shop.clock.advance_ms(wait_ms);
        assert_eq!(paid(&shop, paypal()).await.status_code, 200);
        assert_eq!(shop.certificates.readings(), readings);
    }
    for url in [
        "http://api.paypal.com/v1/notifications/certs/CERT-local",
        "https://api.paypal.com.evil.example/v1/notifications/certs/CERT-local",
        "https://evil.example/v1/notifications/certs/CERT-local",
        "https://api.paypal.com@evil.example/v1/notifications/certs/CERT-local",
        "https://xpaypal.com/v1/notifications/certs/CERT-local",
        "https://127.0.0.1/v1/notifications/certs/CERT-local",
        "",
        "not a URL",
    ] {
        assert_eq!(paid(&shop, with_url(url)).await.status_code, 401, "{url}");
    }
    assert_eq!(shop.certificates.readings(), 2, "nothing else was fetched");
}

#[tokio::test]
async fn a_url_without_a_certificate_is_asked_for_once_a_minute_and_too_many_urls_must_wait() {
    let shop = unpinned();
    for (wait_ms, readings) in [(0, 1), (1_000, 1), (MISSING_KEPT_MS, 2)] {
        shop.clock.advance_ms(wait_ms);
        assert_eq!(paid(&shop, paypal()).await.status_code, 401);
        assert_eq!(shop.certificates.readings(), readings);
    }
    for number in 1..MISSES_MAX + 5 {
        let url = format!("https://api.paypal.com/v1/notifications/certs/CERT-{number}");
        let expected = if number < MISSES_MAX { 401 } else { 429 };
        assert_eq!(paid(&shop, with_url(&url)).await.status_code, expected, "{number}");
    }
    assert_eq!(shop.certificates.readings(), 2 + MISSES_MAX - 1);
}

#[tokio::test]
async fn nobody_who_names_invented_urls_keeps_a_certificate_out_that_was_found_once() {
    let shop = unpinned();
    shop.certificates.publish(CERTIFICATE_URL, PublicKey::from_certificate(PAYPAL_CERTIFICATE).unwrap());
    assert_eq!(paid(&shop, paypal()).await.status_code, 200);
    shop.clock.advance_ms(FOUND_KEPT_MS);
    for number in 0..2 * MISSES_MAX {
        let url = format!("https://api.paypal.com/v1/notifications/certs/CERT-{number}");
        paid(&shop, with_url(&url)).await;
    }
    assert_eq!(paid(&shop, paypal()).await.status_code, 200, "it is asked for again");
}

#[tokio::test]
async fn a_certificate_that_was_found_stays_good_while_its_host_gives_no_answer() {
    let shop = Shop { plan: FaultPlan::at([(4, Fault::Before)]), ..unpinned() };
    shop.certificates.publish(CERTIFICATE_URL, PublicKey::from_certificate(PAYPAL_CERTIFICATE).unwrap());
    for (wait_ms, readings) in [(0, 1), (FOUND_KEPT_MS, 1), (1_000, 1), (MISSING_KEPT_MS, 2)] {
        shop.clock.advance_ms(wait_ms);
        assert_eq!(paid(&shop, paypal()).await.status_code, 200);
        assert_eq!(shop.certificates.readings(), readings);
    }
}

#[tokio::test]
async fn a_source_of_certificates_that_is_away_is_asked_once_a_minute() {
    let shop = Shop { plan: FaultPlan::at([(1, Fault::Before)]), ..unpinned() };
    for _ in 0..5 {
        assert!(matches!(paid(&shop, paypal()).await.status_code, 429 | 503), "PayPal is asked to try again");
    }
    assert_eq!(shop.plan.calls().iter().filter(|call| **call == "certificates.key").count(), 1);
}

#[tokio::test]
async fn a_pinned_certificate_is_never_fetched_even_when_it_cannot_be_read() {
    let shop = Shop::new();
    assert_eq!(paid(&shop, paypal()).await.status_code, 200);
    let mut section: Value = serde_json::from_str(simulators::gateway::SECTION).unwrap();
    section["paypal"]["certificates"] = json!({CERTIFICATE_URL: "-----BEGIN CERTIFICATE-----\nnot base64\n"});
    shop.secrets.set(Some(Secrets::from_json(&json!({"gateways": section}).to_string()).unwrap()));
    shop.clock.advance_ms(10 * 60 * 1_000);
    assert_eq!(paid(&shop, paypal()).await.status_code, 401);
    assert_eq!(shop.certificates.readings(), 0);
}

/// Two items of Adyen's, each signed by itself.
fn two_items() -> (Value, PaymentKey) {
    let capture = movement(Gateway::Adyen, MovementKind::Captured, 10_230, Some("A-1"));
    let refund = movement(Gateway::Adyen, MovementKind::Refunded, 230, Some("A-1"));
    let item = |event| -> Value {
        let body: Value = serde_json::from_slice(&callback(event, NOW).body.unwrap()).unwrap();
        body["notificationItems"][0].clone()
    };
    (json!({"live": "false", "notificationItems": [item(&capture), item(&refund)]}), capture.payment)
}

fn adyen(body: &Value) -> Request {
    request("POST", "/payments/adyen", &[], body.to_string())
}

#[tokio::test]
async fn a_notification_of_several_items_is_kept_whole_or_sent_again() {
    let (body, payment) = two_items();
    for fault in Fault::ALL {
        // secrets.read, then the two movements.
        let shop = Shop::under(FaultPlan::at([(2, fault)]));
        let first = shop.pay(adyen(&body)).await.map(|response| response.status_code);
        assert!(matches!(first, None | Some(429 | 503)), "{fault:?}: {first:?}");
        let again = paid(&shop, adyen(&body)).await;
        assert_eq!((again.status_code, again.body.as_str()), (200, "[accepted]"), "{fault:?}");
        let facts = shop.ledger.all().remove(&payment).unwrap();
        assert_eq!((facts.entries.len(), facts.conflicts.len()), (2, 0), "{fault:?}");
    }
    let mut forged = body.clone();
    forged["notificationItems"][1]["NotificationRequestItem"]["amount"]["value"] = json!(231);
    let shop = Shop::new();
    assert_eq!(paid(&shop, adyen(&forged)).await.status_code, 401);
    assert!(shop.ledger.all().is_empty(), "one forged item refuses the whole");
}

/// What a shop's gateways send in a day: every kind of outcome, in the wrong order.
fn day() -> Vec<Request> {
    let mut day: Vec<Request> = Gateway::ALL
        .into_iter()
        .map(|gateway| callback(&movement(gateway, MovementKind::Captured, 10_230, Some("A-1")), NOW))
        .collect();
    day.insert(0, refunded(230));
    day.extend([captured(10_230), captured(1), adyen(&two_items().0), stripe("payout.paid", NOW, &json!({}))]);
    day
}

#[tokio::test]
async fn each_call_of_a_day_of_callbacks_faulted_in_every_way_and_redelivered_ends_in_the_same_ledger() {
    let undisturbed = live_through(FaultPlan::none()).await;
    let calls = undisturbed.plan.calls();
    assert!(calls.contains(&"certificates.key") && calls.len() >= day().len(), "{calls:?}");
    let mut points = 0;
    for (position, verb) in calls.iter().enumerate() {
        for fault in Fault::ALL {
            let shop = live_through(FaultPlan::at([(position, fault)])).await;
            assert_eq!(shop.ledger.all(), undisturbed.ledger.all(), "{fault:?} at {position}, {verb}");
            points += 1;
        }
    }
    println!("callback faults: {points} points covered");
    assert!(points >= 60, "the battery shrank to {points} points");
}

/// Gateways try again until they are answered 200. A process that was gone starts with empty caches.
async fn live_through(plan: FaultPlan) -> Shop {
    let mut shop = Shop { plan: plan.clone(), ..unpinned() };
    shop.certificates.publish(CERTIFICATE_URL, PublicKey::from_certificate(PAYPAL_CERTIFICATE).unwrap());
    for request in day() {
        let mut tries = 0;
        loop {
            let answer = shop.pay(request.clone()).await.map(|response| response.status_code);
            match answer {
                Some(200) => break,
                // A gateway waits before it tries again; a certificate is not asked for in the same minute.
                Some(429 | 503) => shop.clock.advance_ms(MISSING_KEPT_MS),
                Some(status) => panic!("a fault of ours was answered {status}"),
                None => shop = Shop { cache: Default::default(), certificate_cache: Default::default(), ..shop },
            }
            tries += 1;
            assert!(tries < 4, "a gateway gave up");
        }
    }
    shop
}

#[tokio::test]
async fn no_word_of_a_payer_is_logged_or_answered() {
    let person = json!({"payer_name": "Canary Zhangsan", "email": "canary@example.com", "phone": "+86-555-0100-canary",
                        "card": "4242424242424242", "address": {"line1": "7 Canary Lane"}});
    let words = ["Canary", "canary", "4242"];
    let shop = Shop::new();
    for gateway in Gateway::ALL {
        let event = movement(gateway, MovementKind::Captured, 10_230, Some("A-1"));
        let now = UnixMillis::new(NOW).unwrap();
        let sent = simulators::gateway::callback(keys(), &event, person.as_object(), now).unwrap();
        let response = paid(&shop, sent_request(sent.clone())).await;
        assert_eq!(response.status_code, 200, "{gateway:?}: {}", response.body);
        let mut forged = sent_request(sent);
        forged.body = forged.body.map(|body| [body.as_slice(), b" "].concat());
        let refused = paid(&shop, forged).await;
        for text in [response.body, refused.body] {
            assert!(words.iter().all(|word| !text.contains(word)), "{gateway:?}: {text}");
        }
    }
    for line in shop.log.all() {
        assert!(words.iter().all(|word| !line.to_string().contains(word)), "{line}");
    }
}
