//! Quotes and new orders: which rate they take, and that an order takes one for ever.

use lambda::http::Request;
use serde_json::{Value, json};

use crate::support::{NOW, Shop, client};

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// The order of the incident: 16,500 yen, charged in euros.
pub fn incident(id: &str) -> Value {
    json!({"order_id": id, "price": {"amount_minor": 16_500, "currency": "JPY"}, "charge_currency": "EUR",
           "lines": [{"sku": "silk scarf", "quantity": 3, "unit_price_minor": 5_500}]})
}

fn with(mut body: Value, changes: &[(&str, Value)]) -> Value {
    for (pointer, value) in changes {
        match body.pointer_mut(pointer) {
            Some(field) => *field = value.clone(),
            None => body[pointer.trim_start_matches('/')] = value.clone(),
        }
    }
    body
}

/// A request with a nonce that no other request of the test has.
fn create(shop: &Shop, body: &Value) -> Request {
    asked(shop, "POST", "/orders", &body.to_string())
}

fn asked(shop: &Shop, method: &str, path: &str, body: &str) -> Request {
    let nonce = format!("n{}", shop.log.all().len());
    client(method, path, &nonce, NOW, body)
}

async fn answered(shop: &Shop, request: Request) -> (u16, Value) {
    let response = shop.ask(request).await.unwrap();
    (response.status_code, serde_json::from_str(&response.body).unwrap())
}

fn error(answer: &(u16, Value)) -> (u16, &str) {
    (answer.0, answer.1["error"]["code"].as_str().unwrap_or_default())
}

#[tokio::test]
async fn an_order_is_created_with_its_rate_in_one_write() {
    let shop = Shop::new();
    let (status, order) = answered(&shop, create(&shop, &incident("A-1"))).await;
    assert_eq!(status, 201);
    assert_eq!(
        order,
        json!({
            "order_id": "A-1", "status": "PENDING", "status_at": "2026-11-21T08:00:00.000Z",
            "history": [{"status": "PENDING", "at": "2026-11-21T08:00:00.000Z", "source": "shopfront", "event_id": "n0"}],
            "flags": [],
            "payment": {"currency": "EUR", "due_minor": 10_230, "paid_minor": 0, "refunded_minor": 0, "state": "unpaid"},
            "exchange_rate": {"from": "JPY", "to": "EUR", "rate": "0.0062000124000248", "source": "ECB 2026-11-20",
                              "captured_at": "2026-11-21T08:00:00.000Z"},
            "trades": []
        })
    );
    let writes: Vec<_> = shop.plan.calls().into_iter().filter(|call| call.starts_with("orders.place")).collect();
    assert_eq!(writes.len(), 1);
}

#[tokio::test]
async fn the_same_order_again_is_200_and_other_content_409_whatever_the_rate_of_the_day() {
    let shop = Shop::new();
    let (_, first) = answered(&shop, create(&shop, &incident("A-1"))).await;
    // Nothing of the rate source is needed, and nothing of the new day changes the order.
    shop.rates.set(None);
    shop.clock.advance_ms(100);
    let quoted = with(incident("A-1"), &[("/quote", json!({"rate": "9", "captured_at": "2026-11-21T07:59:00Z"}))]);
    for again in [incident("A-1"), quoted] {
        assert_eq!(answered(&shop, create(&shop, &again)).await, (200, first.clone()));
    }
    for (pointer, value) in [
        ("/price/amount_minor", json!(16_501)),
        ("/price/currency", json!("CNY")),
        ("/charge_currency", json!("USD")),
        ("/lines/0/quantity", json!(2)),
        ("/lines/0/sku", json!("silk tie")),
        ("/lines/0/unit_price_minor", json!(5_501)),
    ] {
        let other = answered(&shop, create(&shop, &with(incident("A-1"), &[(pointer, value)]))).await;
        assert_eq!(error(&other), (409, "conflict"), "{pointer}");
    }
    assert_eq!(answered(&shop, asked(&shop, "GET", "/orders/A-1", "")).await, (200, first));
}

#[tokio::test]
async fn without_a_rate_there_is_no_order() {
    let shop = Shop::new();
    shop.rates.set(None);
    assert_eq!(error(&answered(&shop, create(&shop, &incident("A-1"))).await), (503, "unavailable"));
    shop.rates.set(Some(crate::support::rates()));
    shop.clock.advance_ms(7 * DAY_MS);
    let late = client("POST", "/orders", "late", NOW + 7 * DAY_MS, &incident("A-1").to_string());
    assert_eq!(error(&answered(&shop, late).await), (503, "unavailable"), "rates of eight days ago are stale");
    assert!(shop.orders.all().is_empty());
}

#[tokio::test]
async fn an_order_in_one_currency_needs_no_rate_source() {
    let shop = Shop::new();
    shop.rates.set(None);
    let (status, order) =
        answered(&shop, create(&shop, &with(incident("A-1"), &[("/charge_currency", json!("JPY"))]))).await;
    let rate = &order["exchange_rate"];
    assert_eq!((status, order["payment"]["due_minor"].as_i64()), (201, Some(16_500)));
    assert_eq!((rate["rate"].as_str(), rate["source"].as_str()), (Some("1"), Some("identity 2026-11-21")));
}

#[tokio::test]
async fn an_order_captures_its_rate_afresh_and_a_quote_may_be_ten_minutes_old() {
    let shop = Shop::new();
    let quote = |to: &str| format!("/quotes?from=JPY&to={to}&amount_minor=16500");
    for to in ["EUR", "USD", "EUR"] {
        assert_eq!(answered(&shop, asked(&shop, "GET", &quote(to), "")).await.0, 200);
    }
    assert_eq!(shop.rates.readings(), 1, "quotes share what was fetched");
    for id in ["A-1", "A-2"] {
        answered(&shop, create(&shop, &incident(id))).await;
    }
    assert_eq!(shop.rates.readings(), 3, "each order fetches");
    shop.clock.advance_ms(10 * 60 * 1_000);
    let later = client("GET", &quote("EUR"), "later", NOW + 10 * 60 * 1_000, "");
    assert_eq!(answered(&shop, later).await.0, 200);
    assert_eq!(shop.rates.readings(), 4, "after ten minutes quotes fetch again");
}

#[tokio::test]
async fn a_quote_tells_amount_rate_source_and_time() {
    let shop = Shop::new();
    let (status, quote) = answered(&shop, asked(&shop, "GET", "/quotes?from=JPY&to=EUR&amount_minor=16500", "")).await;
    assert_eq!(status, 200);
    assert_eq!(
        quote,
        json!({"amount_minor": 16_500, "converted_minor": 10_230, "from": "JPY", "to": "EUR",
               "rate": "0.0062000124000248", "source": "ECB 2026-11-20", "captured_at": "2026-11-21T08:00:00.000Z"})
    );
}

#[tokio::test]
async fn an_order_whose_rate_moved_more_than_two_per_cent_since_its_quote_is_refused_with_the_new_one() {
    // 0.0062000124 is the rate: 2 % above 0.0060784435, and just over 2 % above 0.0060784434.
    for (shown, status) in [
        ("0.0062000124000248", 201),
        ("0.0061", 201),
        ("0.0063", 201),
        ("0.0060784436", 201),
        ("0.0060784434", 409),
        ("0.0064", 409),
        ("0.0000001", 409),
        ("161.29", 409),
    ] {
        let shop = Shop::new();
        let quote = json!({"rate": shown, "captured_at": "2026-11-20T23:00:00Z"});
        let answer = answered(&shop, create(&shop, &with(incident("A-1"), &[("/quote", quote)]))).await;
        assert_eq!(answer.0, status, "{shown}: {}", answer.1);
        assert_eq!(shop.orders.all().is_empty(), status == 409);
        if status == 409 {
            assert_eq!(answer.1["error"]["code"], "rate_moved");
            assert_eq!(answer.1["quote"]["rate"], "0.0062000124000248");
            assert_eq!(answer.1["quote"]["converted_minor"], 10_230);
        }
    }
}

#[tokio::test]
async fn what_cannot_be_an_order_is_refused_and_nothing_is_written() {
    let shop = Shop::new();
    let line = json!({"sku": "s", "quantity": 1, "unit_price_minor": 1});
    for (pointer, value, status) in [
        ("/order_id", json!(""), 400),
        ("/order_id", json!("a b"), 400),
        ("/order_id", json!(7), 400),
        ("/price/amount_minor", json!("16500"), 400),
        ("/price/amount_minor", json!(1.5), 400),
        ("/price/amount_minor", json!(null), 400),
        ("/price/amount_minor", json!(0), 422),
        ("/price/amount_minor", json!(-1), 422),
        ("/price/amount_minor", json!(i64::MAX), 422),
        ("/price/amount_minor", json!(u64::MAX), 422),
        ("/price/currency", json!("jpy"), 422),
        ("/price/currency", json!("XAU"), 422),
        ("/price/currency", json!("KWD"), 422),
        ("/price", json!([16_500, "JPY"]), 400),
        ("/charge_currency", json!("Euro"), 422),
        ("/charge_currency", json!(null), 400),
        ("/lines", json!([]), 422),
        ("/lines", json!(vec![line; 501]), 422),
        ("/lines/0/quantity", json!(0), 422),
        ("/lines/0/quantity", json!(1_000_001), 422),
        ("/lines/0/quantity", json!("1"), 400),
        ("/lines/0/unit_price_minor", json!(-1), 422),
        ("/lines/0/sku", json!(""), 400),
        ("/lines/0/sku", json!("a\u{0}"), 400),
        ("/lines/0", json!(["s", 1, 1]), 400),
        ("/quote", json!({"rate": 0.0062, "captured_at": "2026-11-20T23:00:00Z"}), 400),
        ("/quote", json!({"rate": "0", "captured_at": "2026-11-20T23:00:00Z"}), 400),
        ("/quote", json!({"rate": "0.0062", "captured_at": "yesterday"}), 400),
        ("/quote", json!({"rate": "0.0062"}), 400),
    ] {
        let answer = answered(&shop, create(&shop, &with(incident("A-1"), &[(pointer, value.clone())]))).await;
        assert_eq!(answer.0, status, "{pointer} {value}: {}", answer.1);
    }
    let tiny = with(incident("A-1"), &[("/price", json!({"amount_minor": 1, "currency": "KRW"}))]);
    assert_eq!(error(&answered(&shop, create(&shop, &tiny)).await), (422, "impossible"), "one won is no cent");
    assert!(shop.orders.all().is_empty());
}

#[tokio::test]
async fn a_query_that_is_no_quote_is_refused() {
    let shop = Shop::new();
    for (query, status) in [
        ("", 400),
        ("?from=JPY&to=EUR", 400),
        ("?from=JPY&to=EUR&amount_minor=", 400),
        ("?from=JPY&to=EUR&amount_minor=1.5", 400),
        ("?from=JPY&to=EUR&amount_minor=1&amount_minor=2", 400),
        ("?from=JPY&from=CNY&to=EUR&amount_minor=1", 400),
        ("?from=JPY&to=EUR&amount_minor=-1", 422),
        ("?from=JPY&to=EUR&amount_minor=99999999999999999999", 422),
        ("?from=jpy&to=EUR&amount_minor=1", 422),
        ("?from=JPY&to=XXX&amount_minor=1", 422),
        ("?from=JPY&to=KWD&amount_minor=1", 422),
        ("?from=JPY&to=EUR&amount_minor=0", 200),
        ("?from=EUR&to=EUR&amount_minor=7", 200),
    ] {
        let answer = answered(&shop, asked(&shop, "GET", &format!("/quotes{query}"), "")).await;
        assert_eq!(answer.0, status, "{query}: {}", answer.1);
    }
}

#[tokio::test]
async fn a_hundred_creations_of_one_id_make_one_order() {
    let shop = Shop::new();
    let creations = (0..100).map(|number| {
        let body = with(incident("A-1"), &[("/lines/0/quantity", json!(3 + i64::from(number % 4 == 0)))]).to_string();
        shop.ask(client("POST", "/orders", &format!("n{number}"), NOW, &body))
    });
    let answers = futures::future::join_all(creations).await;
    let count = |status| answers.iter().flatten().filter(|answer| answer.status_code == status).count();
    assert_eq!(count(201), 1, "one is created");
    assert_eq!(count(200) + count(409), 99);
    assert!(count(200) == 24 || count(200) == 74, "the same content is 200: {}", count(200));
    assert_eq!(shop.orders.all().len(), 1);
}
