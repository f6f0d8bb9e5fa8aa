//! Hostile input on the routes of quotes, new orders and refunds, by a client that signs and by one that cannot.
//!
//! Law: no panic and no 5xx; nothing is written unless 201 is answered, and then one order or one refund, as it was
//! asked for, that reads back; a change after signing is refused or does the same; and neither the log nor an answer
//! repeats a word of a person, a card or a secret.

use std::collections::BTreeMap;

use domain::{Currency, Event, Money, OrderFacts, OrderId, PaymentFacts, PaymentKey, TradeFacts, TradeKey};
use lambda::http::{ApiEvent, BODY_BYTES_MAX, Request, Response};
use protocols::orders_api;
use serde_json::{Value, json};

use crate::creation::incident;
use crate::hostile_payments::{CANARIES, CARD, assert_silent};
use crate::mutations::{deep, deepened, mutate, mutate_text, tamper, through_gateway, with};
use crate::support::{self, Dice, NOW, Shop, client, stripe};

/// Fields that nobody reads, with a person, a card and a secret in them.
const PERSON: &str = r#""name":"Canary 金丝雀","phone":"139 0000 3712","address":["7 Aviary Lane"],"card":{"number":"4242 4242 4242 4242"},"email":"canary@aviary.example","note":"tok!c4n4ry","secret":"whsec_local_stack_only_stripe""#;

/// Everything that a request could have changed.
#[derive(Debug, Clone, PartialEq)]
struct State {
    events: Vec<Event>,
    orders: BTreeMap<OrderId, OrderFacts>,
    trades: BTreeMap<TradeKey, TradeFacts>,
    ledger: BTreeMap<PaymentKey, PaymentFacts>,
}

fn state(shop: &Shop) -> State {
    State { events: shop.events.all(), orders: shop.orders.all(), trades: shop.trades.all(), ledger: shop.ledger.all() }
}

/// A shop with the order of the incident, paid.
async fn paid_shop() -> Shop {
    let shop = Shop::new();
    let created = shop.ask(client("POST", "/orders", "first", NOW, &incident("A-1").to_string())).await.unwrap();
    let intent = json!({"id": "pi_1", "amount": 10_230, "currency": "eur", "latest_charge": "ch_1",
                        "metadata": {"order_id": "A-1"}});
    let captured = shop.pay(stripe("payment_intent.succeeded", NOW, &intent)).await.unwrap();
    assert_eq!((created.status_code, captured.status_code), (201, 200));
    shop
}

/// A request before the client signs it.
#[derive(Debug, Clone)]
struct Draft {
    method: &'static str,
    path: String,
    nonce: String,
    body: Vec<u8>,
}

impl Draft {
    fn new(method: &'static str, path: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { method, path: path.to_owned(), nonce: "id-1".to_owned(), body: body.into() }
    }

    /// The request, with canaries in headers that nobody reads.
    fn signed(&self) -> Request {
        let timestamp = (NOW / 1_000).to_string();
        let signable = protocols::client::Signable {
            timestamp: &timestamp,
            nonce: &self.nonce,
            method: self.method,
            path_with_query: &self.path,
            body: &self.body,
        };
        let signed = signable.sign(&support::secret(support::CLIENT_SECRET));
        let headers = [
            ("x-app-key", "shopfront"),
            ("x-timestamp", &timestamp),
            ("x-nonce", &self.nonce),
            ("x-signature", &signed),
            ("cookie", "name=Canary 金丝雀; card=4242 4242 4242 4242"),
        ];
        support::request(self.method, &self.path, &headers, self.body.clone())
    }
}

/// The body with canaries wherever there is room for them.
fn spiced(body: &Value) -> String {
    with(&body.to_string(), PERSON)
        .replace(r#""price":{"#, &format!(r#""price":{{{PERSON},"#))
        .replace(r#""lines":[{"#, &format!(r#""lines":[{{{PERSON},"#))
}

fn order(id: &str) -> String {
    spiced(&incident(id))
}

fn quoted_order() -> String {
    let mut body = incident("B-3");
    body["quote"] = json!({"rate": "0.0062000124000248", "captured_at": "2026-11-21T07:59:00Z"});
    spiced(&body)
}

fn refund(amount: i64, currency: &str) -> String {
    spiced(&json!({"refund_id": "r-1", "amount_minor": amount, "currency": currency}))
}

const QUOTE: &str = "/quotes?from=JPY&to=EUR&amount_minor=16500&note=tok!c4n4ry";

fn drafts() -> Vec<Draft> {
    vec![
        Draft::new("POST", "/orders", order("B-2")),
        Draft::new("POST", "/orders", quoted_order()),
        Draft::new("POST", "/orders/A-1/refunds", refund(5_500, "JPY")),
        Draft::new("POST", "/orders/A-1/refunds", refund(10_230, "EUR")),
        Draft::new("GET", QUOTE, ""),
    ]
}

/// Asks and asserts the law. Gives the answer and what it left.
async fn send(shop: &Shop, request: Request) -> (Response, State) {
    let before = state(shop);
    let asked = request.clone();
    let answer = shop.ask(request).await.unwrap();
    let (code, after) = (answer.status_code, state(shop));
    assert!(matches!(code, 200 | 201) || (400..500).contains(&code), "{answer:?}");
    assert_silent(shop, &answer);
    if code == 201 {
        assert_written(&before, &after, &asked);
    } else {
        assert_eq!(after, before);
    }
    (answer, after)
}

/// One order or one refund more, as it was asked for, and nothing else.
fn assert_written(before: &State, after: &State, asked: &Request) {
    let unchanged = State { orders: before.orders.clone(), ..after.clone() };
    assert_eq!(unchanged, *before, "nothing but orders");
    let body = asked.body.as_ref().unwrap();
    let changed: Vec<_> = after.orders.iter().filter(|(id, facts)| before.orders.get(id) != Some(facts)).collect();
    let [(id, facts)] = changed.as_slice() else { panic!("{} orders changed", changed.len()) };
    let placed = facts.placed.as_ref().unwrap();
    assert_reads_back(placed.due);
    let Some(had) = before.orders.get(*id) else {
        let wanted = orders_api::read_order_request(body).unwrap();
        assert_eq!((*id, &placed.content), (&wanted.id, &wanted.content));
        assert_eq!(placed.rate.as_ref().unwrap().convert(wanted.content.price), Ok(placed.due));
        assert_reads_back(placed.content.price);
        assert_eq!(facts.refunds.len(), 0);
        return;
    };
    let (wanted, asked) = orders_api::read_refund_request(body).unwrap();
    let refund = &facts.refunds[&wanted];
    assert_eq!((refund.asked, facts.refunds.len()), (asked, had.refunds.len() + 1));
    let granted: i64 = facts.refunds.values().map(|refund| refund.charged.minor()).sum();
    assert!(granted <= 10_230 && refund.charged.minor() > 0, "{granted}");
    [refund.asked, refund.priced, refund.charged].into_iter().for_each(assert_reads_back);
}

fn assert_reads_back(money: Money) {
    let currency = Currency::from_code(money.currency().code()).unwrap();
    assert_eq!(Money::new(money.minor(), currency), Ok(money));
}

#[tokio::test]
async fn whatever_a_client_signs_for_quotes_orders_and_refunds_is_read_or_refused() {
    let mut dice = Dice::seeded(support::seed("orders changed before signing"));
    let drafts = drafts();
    let splices: Vec<Vec<u8>> = drafts.iter().map(|draft| draft.body.clone()).filter(|body| !body.is_empty()).collect();
    let queries: Vec<Vec<u8>> = vec![QUOTE.into(), b"/quotes?from=CNY&to=USD&amount_minor=1".to_vec()];
    let (mut answers, mut written): (BTreeMap<u16, usize>, usize) = (BTreeMap::new(), 0);
    for round in 0..support::rounds(2_000, 100_000) {
        let mut draft = drafts[dice.below(drafts.len())].clone();
        match dice.below(8) {
            0 => mutate_text(&mut dice, &mut draft.path),
            1 => mutate_text(&mut dice, &mut draft.nonce),
            _ if draft.method == "GET" => {
                let mut bytes = std::mem::take(&mut draft.path).into_bytes();
                mutate(&mut dice, &mut bytes, &queries);
                draft.path = String::from_utf8_lossy(&bytes).into_owned();
            }
            _ => mutate(&mut dice, &mut draft.body, &splices),
        }
        let shop = paid_shop().await;
        let (answer, left) = send(&shop, through_gateway(draft.signed())).await;
        *answers.entry(answer.status_code).or_default() += 1;
        if answer.status_code == 201 {
            written += 1;
            let again = Draft { nonce: "again".to_owned(), ..draft.clone() };
            let (repeated, left_then) = send(&shop, through_gateway(again.signed())).await;
            assert_eq!((repeated.status_code, left_then), (200, left.clone()), "round {round}: {draft:?}");
            for id in left.orders.keys() {
                let (read, _) = send(&shop, client("GET", &format!("/orders/{id}"), id.as_str(), NOW, "")).await;
                assert_eq!(read.status_code, 200, "round {round}: {draft:?}");
            }
        } else if answer.status_code == 200 && answer.body.contains("converted_minor") {
            assert_is_a_quote(&answer);
        }
    }
    println!("orders changed before signing: {written} written, {answers:?}");
    assert!(written > 0 && [200, 400, 404, 422].iter().all(|code| answers.contains_key(code)), "{answers:?}");
}

fn assert_is_a_quote(answer: &Response) {
    let quote: Value = serde_json::from_str(&answer.body).unwrap();
    for (code, minor) in [("from", "amount_minor"), ("to", "converted_minor")] {
        let currency = Currency::from_code(quote[code].as_str().unwrap()).unwrap();
        assert!(Money::new(quote[minor].as_i64().unwrap(), currency).is_ok(), "{quote}");
    }
}

#[tokio::test]
async fn a_request_of_a_client_that_was_changed_after_signing_is_refused_or_does_the_same() {
    let mut dice = Dice::seeded(support::seed("orders changed after signing"));
    let drafts = drafts();
    let splices: Vec<Vec<u8>> = drafts.iter().map(|draft| draft.body.clone()).filter(|body| !body.is_empty()).collect();
    let mut done = Vec::new();
    for draft in &drafts {
        let (answer, left) = send(&paid_shop().await, through_gateway(draft.signed())).await;
        assert!(matches!(answer.status_code, 200 | 201), "{answer:?}");
        done.push((answer, left));
    }
    let (mut accepted, mut refused) = (0, 0);
    for round in 0..support::rounds(2_000, 100_000) {
        let mut changed = drafts[dice.below(drafts.len())].signed();
        tamper(&mut dice, &mut changed, &splices);
        let told = send(&paid_shop().await, through_gateway(changed.clone())).await;
        if matches!(told.0.status_code, 200 | 201) {
            assert!(done.contains(&told), "round {round}: {changed:?}");
            accepted += 1;
        } else {
            refused += 1;
        }
    }
    println!("orders changed after signing: {refused} refused, {accepted} did the same and were accepted");
    assert!(accepted > 0 && refused > accepted);
}

/// A request and how it must be answered.
type Trick = (&'static str, Draft, u16);

fn of_orders() -> Vec<Trick> {
    let good = incident("B-2").to_string();
    let order = |body: String| Draft::new("POST", "/orders", body);
    let replaced = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        order(good.replacen(from, to, 1))
    };
    let amount = |text: &str| replaced("16500", text);
    let line = r#"{"quantity":3,"sku":"silk scarf","unit_price_minor":5500}"#;
    let lines = |count: usize| replaced(&format!("[{line}]"), &format!("[{}]", vec![line; count].join(",")));
    let quote = |rate: &str| with(&good, &format!(r#""quote":{{"rate":{rate},"captured_at":"2026-11-21T07:59:00Z"}}"#));
    vec![
        ("as it is", order(good.clone()), 201),
        ("nothing", order(String::new()), 400),
        ("a list of it", order(format!("[{good}]")), 400),
        ("it twice", order(good.repeat(2)), 400),
        ("a byte order mark before it", order(format!("\u{feff}{good}")), 400),
        ("a NUL behind it", order(format!("{good}\0")), 400),
        ("brackets all the way", order("[".repeat(250_000)), 400),
        ("an unread field 100,000 deep", order(deepened(&good)), 201),
        ("an unread field with half a character", order(with(&good, r#""x":"\ud800""#)), 201),
        ("two ids", order(with(&good, r#""order_id":"B-4""#)), 400),
        ("two prices", order(with(&good, r#""price":{"amount_minor":1,"currency":"JPY"}"#)), 400),
        ("an id with the separator of keys", replaced("\"B-2\"", "\"B#2\""), 400),
        ("an id that climbs", replaced("\"B-2\"", "\"../B-2\""), 400),
        ("an id of 64 bytes", replaced("\"B-2\"", &format!("\"{}\"", "B".repeat(64))), 201),
        ("an id of 65 bytes", replaced("\"B-2\"", &format!("\"{}\"", "B".repeat(65))), 400),
        ("an id of 64 KiB", replaced("\"B-2\"", &format!("\"{}\"", "B".repeat(65_536))), 400),
        ("an id of wide letters", replaced("\"B-2\"", "\"\u{ff22}-2\""), 400),
        ("an id with a NUL", replaced("\"B-2\"", r#""B-2\u0000""#), 400),
        ("an id that is half a character", replaced("\"B-2\"", r#""\ud800""#), 400),
        ("an id in a list", replaced("\"B-2\"", r#"["B-2"]"#), 400),
        ("an id that is a person", replaced("\"B-2\"", "\"Canary 金丝雀\""), 400),
        ("an amount beyond floats", amount("1e999"), 400),
        ("an amount that is not a number", amount("NaN"), 400),
        ("an amount with a power", amount("165e2"), 400),
        ("an amount led by a zero", amount("016500"), 400),
        ("an amount with a fraction", amount("16500.0"), 400),
        ("an amount of wide digits", amount("\"\u{ff11}\""), 400),
        ("an amount in a list", amount("[16500]"), 400),
        ("an amount 100,000 deep", amount(&deep(100_000)), 400),
        ("an amount below zero by nothing", amount("-0"), 422),
        ("an amount beyond 64 bits", amount("99999999999999999999"), 422),
        ("an amount of 200,000 digits", amount(&"9".repeat(200_000)), 422),
        ("an amount beyond what we count", amount("1000000000000001"), 422),
        // What the yen come to in euros has two digits more, and still fits.
        ("the greatest amount", amount("1000000000000000"), 201),
        ("a small currency", replaced("\"JPY\"", "\"jpy\""), 422),
        ("a currency of wide letters", replaced("\"JPY\"", "\"\u{ff2a}PY\""), 422),
        ("a currency with a NUL", replaced("\"JPY\"", r#""JPY\u0000""#), 422),
        ("gold", replaced("\"EUR\"", "\"XAU\""), 422),
        ("a currency that is a number", replaced("\"EUR\"", "978"), 400),
        ("500 lines", lines(500), 201),
        ("501 lines", lines(501), 422),
        ("no lines", lines(0), 422),
        ("lines as an object", replaced(&format!("[{line}]"), line), 400),
        ("a quantity of wide digits", replaced(":3", ":\"\u{ff13}\""), 400),
        ("a quantity below zero", replaced(":3", ":-3"), 422),
        ("a quantity beyond floats", replaced(":3", ":3e999"), 400),
        ("a thing with half a character", replaced("silk scarf", r"\udfff"), 400),
        ("a thing with U+FFFF", replaced("silk scarf", r"\uffff"), 400),
        ("a thing with a NUL", replaced("silk scarf", r"\u0000"), 400),
        ("a thing written from right to left", replaced("silk scarf", "\u{202e}scarf"), 201),
        ("a quote that is a number", order(quote("0.0062")), 400),
        ("a quote beyond floats", order(quote("\"1e999\"")), 400),
        ("a quote that is not a number", order(quote("\"NaN\"")), 400),
        ("a quote below zero", order(quote("\"-0.0062\"")), 400),
        ("a quote of nothing", order(quote("\"-0\"")), 400),
        ("a quote of 64 KiB", order(quote(&format!("\"0.{}\"", "6".repeat(65_536)))), 400),
        ("a quote of wide digits", order(quote("\"\u{ff10}.0062\"")), 400),
        ("a quote in a list", order(with(&good, r#""quote":["0.0062","2026-11-21T07:59:00Z"]"#)), 400),
    ]
}

fn of_refunds() -> Vec<Trick> {
    const GOOD: &str = r#"{"refund_id":"r-1","amount_minor":5500,"currency":"JPY"}"#;
    let refund = |body: String| Draft::new("POST", "/orders/A-1/refunds", body);
    let replaced = |from: &str, to: &str| refund(GOOD.replacen(from, to, 1));
    let of = |path: &str| Draft::new("POST", path, GOOD);
    vec![
        ("as it is", refund(GOOD.to_owned()), 201),
        ("nothing", refund(String::new()), 400),
        ("a list of it", refund(format!("[{GOOD}]")), 400),
        ("its fields in a list", refund(r#"["r-1",5500,"JPY"]"#.to_owned()), 400),
        ("it twice", refund(GOOD.repeat(2)), 400),
        ("two amounts", refund(with(GOOD, r#""amount_minor":1"#)), 400),
        ("an unread field 100,000 deep", refund(deepened(GOOD)), 201),
        ("an id with the separator of keys", replaced("r-1", "r#1"), 400),
        ("an id of 64 bytes", replaced("r-1", &"r".repeat(64)), 201),
        ("an id of 64 KiB", replaced("r-1", &"r".repeat(65_536)), 400),
        ("an id with a NUL", replaced("r-1", r"r\u0000"), 400),
        ("an id that is half a character", replaced("r-1", r"\ud800"), 400),
        ("an id of wide letters", replaced("r-1", "\u{ff52}-1"), 400),
        ("an id that is a number", replaced("\"r-1\"", "1"), 400),
        ("an amount beyond floats", replaced("5500", "1e999"), 400),
        ("an amount that is not a number", replaced("5500", "NaN"), 400),
        ("an amount that is a text", replaced("5500", "\"5500\""), 400),
        ("an amount of wide digits", replaced("5500", "\"\u{ff15}\""), 400),
        ("an amount in an object", replaced("5500", r#"{"a":5500}"#), 400),
        ("an amount below zero by nothing", replaced("5500", "-0"), 422),
        ("an amount below zero", replaced("5500", "-5500"), 422),
        ("an amount beyond 64 bits", replaced("5500", "99999999999999999999"), 422),
        ("the greatest amount", replaced("5500", "1000000000000000"), 422),
        ("more than was paid", replaced("5500", "16501"), 422),
        ("a small currency", replaced("JPY", "jpy"), 422),
        ("a third currency", replaced("JPY", "USD"), 422),
        ("a currency with a space", replaced("JPY", "JPY "), 422),
        ("a currency in a list", replaced("\"JPY\"", r#"["JPY"]"#), 400),
        ("of an order of nobody", of("/orders/B-9/refunds"), 404),
        ("of an order with the separator", of("/orders/A#1/refunds"), 400),
        ("of an order of 64 KiB", of(&format!("/orders/{}/refunds", "A".repeat(65_536))), 400),
        ("of an order that is a person", of("/orders/Canary 金丝雀/refunds"), 400),
        ("of an order with a NUL", of("/orders/A-1\0/refunds"), 400),
        ("of no order", of("/orders//refunds"), 400),
        ("of the order above", of("/orders/../refunds"), 404),
        ("with a slash behind", of("/orders/A-1/refunds/"), 404),
        ("of a refund", of("/orders/A-1/refunds/r-1"), 404),
        ("with a query", of("/orders/A-1/refunds?amount_minor=1"), 201),
    ]
}

fn of_quotes() -> Vec<Trick> {
    let quote = |query: &str| Draft::new("GET", &format!("/quotes?{query}"), "");
    let amount = |text: &str| quote(&format!("from=JPY&to=EUR&amount_minor={text}"));
    vec![
        ("as it is", amount("16500"), 200),
        ("no query", Draft::new("GET", "/quotes", ""), 400),
        ("an amount beyond floats", amount("1e999"), 400),
        ("an amount that is not a number", amount("NaN"), 400),
        ("an amount with a plus", amount("%2B1"), 400),
        ("an amount with a plus that is a space", amount("+1"), 400),
        ("an amount with a NUL", amount("1%00"), 400),
        ("an amount of wide digits", amount("%EF%BC%91"), 400),
        ("an amount that is no UTF-8", amount("%FF"), 400),
        ("an amount escaped", amount("%31"), 200),
        ("an amount led by zeroes", amount("0000000000000000000000001"), 200),
        ("an amount below zero by nothing", amount("-0"), 200),
        ("an amount below zero", amount("-1"), 422),
        ("an amount of 64 KiB", amount(&"9".repeat(65_536)), 422),
        ("the greatest amount", amount("1000000000000000"), 200),
        ("more than the greatest amount", amount("1000000000000001"), 422),
        ("what is too much in the other currency", quote("from=EUR&to=KRW&amount_minor=1000000000000000"), 422),
        ("two amounts", amount("1&amount_minor=1"), 400),
        ("an amount in an array", quote("from=JPY&to=EUR&amount_minor[]=1"), 400),
        ("a small currency", quote("from=jpy&to=EUR&amount_minor=1"), 422),
        ("a currency of wide letters", quote("from=%EF%BC%AAPY&to=EUR&amount_minor=1"), 422),
        ("a currency that is a person", quote("from=Canary&to=EUR&amount_minor=1"), 422),
        ("gold", quote("from=XAU&to=EUR&amount_minor=1"), 422),
        ("a currency without a rate", quote("from=KWD&to=EUR&amount_minor=1"), 422),
        ("no currency", quote("from=&to=EUR&amount_minor=1"), 422),
        ("a field in capitals", quote("From=JPY&to=EUR&amount_minor=1"), 400),
        ("fields between semicolons", quote("from=JPY;to=EUR;amount_minor=1"), 400),
        ("10,000 fields", amount(&format!("1{}", "&x=1".repeat(10_000))), 200),
        ("fields of nothing", amount("1&&=&%&=%zz"), 200),
        ("a body", Draft::new("GET", QUOTE, vec![0xff; 1_000]), 200),
        ("a slash behind", Draft::new("GET", "/quotes/?from=JPY&to=EUR&amount_minor=1", ""), 404),
        ("another method", Draft::new("POST", QUOTE, ""), 404),
    ]
}

#[tokio::test]
async fn every_known_trick_with_quotes_orders_and_refunds_has_its_answer() {
    let mut tried = 0;
    for (name, draft, wanted) in [of_orders(), of_refunds(), of_quotes()].concat() {
        let (answer, _) = send(&paid_shop().await, through_gateway(draft.signed())).await;
        assert_eq!(answer.status_code, wanted, "{} {:.60}: {name}: {:.200}", draft.method, draft.path, answer.body);
        tried += 1;
    }
    println!("tricks with quotes, orders and refunds: {tried}");
}

#[tokio::test]
async fn a_body_of_an_order_or_a_refund_is_read_up_to_its_limit_and_no_byte_more() {
    for (path, good) in [("/orders", order("B-2")), ("/orders/A-1/refunds", refund(5_500, "JPY"))] {
        for (bytes, wanted) in [(BODY_BYTES_MAX, 201), (BODY_BYTES_MAX + 1, 413), (257 * 1_024, 413)] {
            let padded = format!("{good}{}", " ".repeat(bytes - good.len()));
            let (answer, _) =
                send(&paid_shop().await, through_gateway(Draft::new("POST", path, padded).signed())).await;
            assert_eq!(answer.status_code, wanted, "{path} {bytes}");
        }
        let broken = Draft::new("POST", path, [good.as_bytes(), b"\xff"].concat());
        assert_eq!(send(&paid_shop().await, through_gateway(broken.signed())).await.0.status_code, 400, "{path}");
    }
}

#[tokio::test]
async fn no_person_card_or_secret_in_a_request_of_a_client_is_logged_or_answered() {
    for draft in drafts() {
        let good = draft.signed();
        send(&paid_shop().await, good.clone()).await;
        let body = String::from_utf8(draft.body.clone()).unwrap();
        let with_card = Draft { body: with(&body, &format!(r#""pan":"{CARD}""#)).into_bytes(), ..draft.clone() };
        let (answer, _) = send(&paid_shop().await, with_card.signed()).await;
        assert!(matches!(answer.status_code, 200 | 201), "{answer:?}");
        for canary in CANARIES {
            for position in 0..good.headers.len() {
                let mut request = good.clone();
                canary.clone_into(&mut request.headers[position].1);
                send(&paid_shop().await, request).await;
            }
            for body in [canary.to_owned(), format!("\"{canary}\""), format!("{{\"{canary}\":0}}")] {
                let spiced = Draft { body: body.into_bytes(), ..draft.clone() };
                send(&paid_shop().await, spiced.signed()).await;
            }
            let spiced = Draft { path: format!("{}?{canary}={canary}", draft.path), ..draft.clone() };
            send(&paid_shop().await, spiced.signed()).await;
        }
    }
    // In the place of each value: no id, no amount and no currency may hold them.
    for canary in &CANARIES[..6] {
        for (path, body) in [
            ("/orders", incident("B-2")),
            (
                "/orders/A-1/refunds",
                json!({"refund_id": "r",
            "amount_minor": 1, "currency": "EUR"}),
            ),
        ] {
            for name in body.as_object().unwrap().keys() {
                let mut body = body.clone();
                body[name] = (*canary).into();
                let (answer, _) = send(&paid_shop().await, Draft::new("POST", path, body.to_string()).signed()).await;
                assert!(matches!(answer.status_code, 400 | 422), "{name}: {canary}");
            }
        }
    }
}

#[tokio::test]
async fn an_event_with_odd_or_missing_fields_is_a_request_of_nobody() {
    for (method, path) in [("POST", "/orders"), ("POST", "/orders/A-1/refunds"), ("GET", "/quotes")] {
        let to = format!(r#""requestContext":{{"http":{{"method":"{method}"}}}},"rawPath":"{path}""#);
        for event in [
            format!("{{{to}}}"),
            format!(r#"{{{to},"body":null,"headers":{{}}}}"#),
            format!(r#"{{{to},"body":"*","isBase64Encoded":true}}"#),
            format!(r#"{{{to},"body":"e30 =","isBase64Encoded":true}}"#),
            format!(r#"{{{to},"rawQueryString":"from=JPY&to=EUR&amount_minor=1"}}"#),
            format!(r#"{{{to},"headers":{{"X-App-Key":"","X-Timestamp":"","X-Nonce":"","X-Signature":""}}}}"#),
            format!(r#"{{{to},"cookies":["tok!c4n4ry"],"stageVariables":null,"body":"{{}}"}}"#),
        ] {
            let read: ApiEvent = serde_json::from_str(&event).unwrap();
            let (answer, _) = send(&paid_shop().await, Request::new(read, "r1".to_owned())).await;
            assert_eq!(answer.status_code, 401, "{event}");
        }
        let headers = headers_of(&Draft::new(method, path, "{}").signed());
        let event = json!({"headers": headers, "rawPath": path, "requestContext": {"http": {"method": method}},
                           "body": "e30=\n", "isBase64Encoded": true});
        let read: ApiEvent = serde_json::from_value(event).unwrap();
        let (answer, _) = send(&paid_shop().await, Request::new(read, "r1".to_owned())).await;
        assert_eq!(answer.status_code, 400, "{path}");
    }
}

fn headers_of(request: &Request) -> BTreeMap<String, String> {
    request.headers.iter().cloned().collect()
}
