//! Who is believed: every published vector, every flipped bit, rotated secrets, the edges of time and
//! broken headers. What is asserted is the HTTP answer, and that nothing is queued unless it is 200.

use std::collections::BTreeMap;

use adapters::secrets::{KEPT_MS_MAX, REREAD_MS_MIN, STALE_MS_MAX, Secrets};
use domain::{Event, TradeFact, UnixMillis};
use lambda::http::{Request, Response};
use protocols::ali1688::signature;
use protocols::{client, flat_hmac, standard_webhooks};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::support::{
    self, APP_SECRET, NOW, Shop, WAREHOUSE_SECRET, flips, push, request, scanner, secret, text_flips, warehouse,
};

/// A second secret. As base64 after `whsec_` it is good for every scheme.
const NEW_SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

#[derive(Deserialize)]
struct Vectors<C> {
    cases: Vec<C>,
}

/// The cases of a file, which must not shrink.
fn cases<C: DeserializeOwned>(file: &str, count: usize) -> Vec<C> {
    let vectors: Vectors<C> = serde_json::from_str(file).unwrap();
    assert_eq!(vectors.cases.len(), count, "the file has another number of cases than it had");
    vectors.cases
}

/// A stack's document in which these secrets are good for everybody.
fn document(live: &[&str]) -> Secrets {
    let document = serde_json::json!({
        "marketplaces": {"1688": {"demo": {"app_key": "1", "app_secrets": live}}},
        "sources": {"warehouse": {"scheme": "standard-webhooks", "secrets": live},
                    "scanner": {"scheme": "hmac-sha256", "secrets": live}},
        "clients": {"shopfront": {"secrets": live}}
    });
    Secrets::from_json(&document.to_string()).unwrap()
}

fn shop_with(live: &[&str]) -> Shop {
    let shop = Shop::new();
    shop.secrets.set(Some(document(live)));
    shop
}

/// The answer of the function that serves the request's path.
async fn answer(shop: &Shop, request: Request) -> Response {
    let is_webhook = request.path.starts_with("/webhooks");
    if is_webhook { shop.deliver(request).await.unwrap() } else { shop.ask(request).await.unwrap() }
}

async fn status(shop: &Shop, request: Request) -> u16 {
    answer(shop, request).await.status_code
}

fn wrote_nothing(shop: &Shop) -> bool {
    shop.events.all().is_empty() && shop.orders.all().is_empty() && shop.trades.all().is_empty()
}

/// Makes a good request: secret, an id of its own, the time in seconds.
type Sender = fn(&str, &str, i64) -> Request;

/// Every scheme, and whether it bounds the time.
const SENDERS: [(&str, Sender, bool); 4] = [
    ("1688", push_by, false),
    ("standard-webhooks", event_by, true),
    ("hmac-sha256", scan_by, true),
    ("client", link_by, true),
];

fn push_by(key: &str, _id: &str, seconds: i64) -> Request {
    let message = support::status_push(7, "waitsellersend", seconds * 1_000, 1);
    request("POST", "/webhooks/1688/demo", &[], protocols::ali1688::push::signed_form(&secret(key), &message))
}

fn event_by(key: &str, id: &str, seconds: i64) -> Request {
    event_with(key, id, seconds, &support::status_event("A-1", "arrived", NOW))
}

fn event_with(key: &str, id: &str, seconds: i64, body: &str) -> Request {
    let signature = standard_webhooks::sign(&secret(key), id, seconds, body.as_bytes()).unwrap();
    let timestamp = seconds.to_string();
    let headers = [("webhook-id", id), ("webhook-timestamp", &timestamp), ("webhook-signature", &signature)];
    request("POST", "/webhooks/events/warehouse", &headers, body)
}

fn scan_by(key: &str, _id: &str, seconds: i64) -> Request {
    scan_with(key, &format!(r#"{{"order_id":"A-1","new_status":"packed","timestamp":{seconds}}}"#))
}

fn scan_with(key: &str, body: &str) -> Request {
    let signature = flat_hmac::sign(&secret(key), body.as_bytes());
    request("POST", "/webhooks/events/scanner", &[("x-signature", &signature)], body)
}

fn link_by(key: &str, nonce: &str, seconds: i64) -> Request {
    let body = r#"{"trades":[{"marketplace":"1688","shop":"demo","trade_id":"7"}]}"#;
    link_with(key, nonce, seconds, body)
}

fn link_with(key: &str, nonce: &str, seconds: i64, body: &str) -> Request {
    let (path, timestamp) = ("/orders/A-1/trades?dry=0", seconds.to_string());
    let body_bytes = body.as_bytes();
    let signable =
        client::Signable { timestamp: &timestamp, nonce, method: "PUT", path_with_query: path, body: body_bytes };
    let signature = signable.sign(&secret(key));
    let headers =
        [("x-app-key", "shopfront"), ("x-timestamp", &timestamp), ("x-nonce", nonce), ("x-signature", &signature)];
    Request { request_id: format!("invocation of {nonce}"), ..request("PUT", path, &headers, body) }
}

#[derive(Deserialize)]
struct PushCase {
    name: String,
    secret: String,
    form: BTreeMap<String, String>,
    expected: Option<String>,
    http_body: Option<String>,
    signature: Option<String>,
    expected_valid: Option<bool>,
}

fn form(fields: &[(String, String)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

#[tokio::test]
async fn every_published_push_is_judged_as_published() {
    for case in cases::<PushCase>(include_str!("../fixtures/vectors/1688_push.json"), 5) {
        let fields: Vec<(String, String)> = case.form.clone().into_iter().collect();
        let computed = signature::sign(&secret(&case.secret), "", &fields);
        let is_good = case.expected_valid.unwrap_or(true);
        if let Some(expected) = &case.expected {
            assert_eq!(computed, *expected, "{}", case.name);
        }
        let claimed = case.signature.or(case.expected).unwrap();
        assert_eq!(computed.eq_ignore_ascii_case(&claimed), is_good, "{}", case.name);
        let signed = [fields, vec![(signature::PARAMETER.to_owned(), claimed)]].concat();
        // A push without a field named message is well signed and cannot be read.
        let wanted = match (is_good, case.form.contains_key("message")) {
            (false, _) => 401,
            (true, true) => 200,
            (true, false) => 400,
        };
        for body in case.http_body.into_iter().chain([form(&signed)]) {
            let shop = shop_with(&[&case.secret]);
            let answered = status(&shop, request("POST", "/webhooks/1688/demo", &[], body)).await;
            assert_eq!(answered, wanted, "{}", case.name);
            assert_eq!(shop.events.all().is_empty(), wanted != 200, "{}", case.name);
        }
    }
}

#[derive(Deserialize)]
struct ApiCase {
    name: String,
    secret: String,
    path: String,
    params: BTreeMap<String, String>,
    expected: String,
    note: Option<String>,
}

#[test]
fn every_published_api_request_has_the_published_signature() {
    let mut by_key_only = 0;
    for case in cases::<ApiCase>(include_str!("../fixtures/vectors/1688_api.json"), 7) {
        let fields: Vec<(String, String)> = case.params.into_iter().collect();
        let signed = signature::sign(&secret(&case.secret), &case.path, &fields);
        assert_eq!(signed, case.expected, "{}", case.name);
        assert!(
            signature::is_signed(&[secret(&case.secret)], &case.path, &fields, &case.expected.to_lowercase()),
            "{}",
            case.name
        );
        // Where one key is a prefix of another, sorting by key gives the signature that the note warns of.
        by_key_only += usize::from(case.note.is_some_and(|note| {
            assert!(note.contains("327CA64B2D67B27695E8BE8A8488A973DBCFB829"));
            signed != "327CA64B2D67B27695E8BE8A8488A973DBCFB829"
        }));
    }
    assert_eq!(by_key_only, 1);
}

#[derive(Deserialize)]
struct WebhookCase {
    name: String,
    secret: String,
    id: String,
    timestamp: serde_json::Value,
    payload: String,
    signature: String,
    now: i64,
    expected_valid: bool,
}

#[test]
fn every_published_standard_webhook_is_judged_as_published() {
    for case in cases::<WebhookCase>(include_str!("../fixtures/vectors/standard_webhooks.json"), 7) {
        let timestamp = case.timestamp.as_str().map_or_else(|| case.timestamp.to_string(), str::to_owned);
        let headers = standard_webhooks::Headers {
            id: Some(&case.id),
            timestamp: Some(&timestamp),
            signature: Some(&case.signature),
        };
        let now = UnixMillis::from_seconds(case.now).unwrap();
        let verified = standard_webhooks::verify(headers, case.payload.as_bytes(), &[secret(&case.secret)], now);
        assert_eq!(verified.is_ok(), case.expected_valid, "{}: {verified:?}", case.name);
        if case.expected_valid {
            let seconds = timestamp.parse().unwrap();
            let signed = standard_webhooks::sign(&secret(&case.secret), &case.id, seconds, case.payload.as_bytes());
            assert_eq!(signed.as_deref(), Some(case.signature.as_str()), "{}", case.name);
        }
    }
}

#[tokio::test]
async fn query_parameters_of_a_push_are_signed_with_its_form() {
    let message = support::status_push(7, "success", NOW, 1);
    let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let (content, extra) = (field("message", &message), field("app", "a b&c"));
    let claimed = signature::sign(&secret(APP_SECRET), "", &[content.clone(), extra.clone()]);
    let claimed = field(signature::PARAMETER, &claimed);
    let tampered = [field("app", "a b&d")];
    let ask = |query: &[(String, String)], body: &[(String, String)]| {
        request("POST", &format!("/webhooks/1688/demo?{}", form(query)), &[], form(body))
    };
    let (content, extra, claimed) = ([content], [extra], [claimed]);
    let table = [
        ("the signature in the form", ask(&extra, &[content.clone(), claimed.clone()].concat()), 200),
        ("the signature in the query", ask(&[extra.clone(), claimed.clone()].concat(), &content), 200),
        ("all in the query", ask(&[extra.clone(), claimed.clone(), content.clone()].concat(), &[]), 200),
        ("a changed query", ask(&tampered, &[content.clone(), claimed.clone()].concat()), 401),
        ("no query", ask(&[], &[content.clone(), claimed.clone()].concat()), 401),
        ("a doubled query", ask(&[extra.clone(), extra.clone()].concat(), &[content, claimed].concat()), 401),
    ];
    for (name, request, wanted) in table {
        let shop = Shop::new();
        assert_eq!(status(&shop, request).await, wanted, "{name}");
        assert_eq!(shop.events.all().len(), usize::from(wanted == 200), "{name}");
    }
}

/// A JSON object of exactly 1 KiB.
fn padded(json: &str) -> String {
    let object = json.strip_suffix('}').unwrap();
    let pad = "p".repeat(1_024 - object.len() - r#","pad":""}"#.len());
    format!(r#"{object},"pad":"{pad}"}}"#)
}

/// Each request must be refused as unsigned, and leave nothing behind. Gives how many there were.
async fn all_refused(shop: &Shop, requests: impl Iterator<Item = Request>) -> usize {
    let mut count = 0;
    for request in requests {
        assert_eq!(status(shop, request.clone()).await, 401, "{request:?}");
        count += 1;
    }
    assert!(wrote_nothing(shop));
    count
}

#[tokio::test]
async fn a_flipped_bit_of_a_push_is_refused() {
    let message = padded(&support::status_push(7, "waitsellersend", NOW, 1));
    let claimed = signature::sign(&secret(APP_SECRET), "", &[("message".to_owned(), message.clone())]);
    let form = |message: &[u8], claimed: &[u8]| {
        let [message, claimed] =
            [message, claimed].map(|value| form_urlencoded::byte_serialize(value).collect::<String>());
        request("POST", "/webhooks/1688/demo", &[], format!("message={message}&_aop_signature={claimed}"))
    };
    let shop = Shop::new();
    assert_eq!(
        all_refused(&shop, flips(message.as_bytes()).map(|bytes| form(&bytes, claimed.as_bytes()))).await,
        8_192
    );
    // A letter of the signature may change its case.
    let other = flips(claimed.as_bytes()).filter(|flipped| !flipped.eq_ignore_ascii_case(claimed.as_bytes()));
    let letters = claimed.bytes().filter(u8::is_ascii_alphabetic).count();
    assert_eq!(all_refused(&shop, other.map(|bytes| form(message.as_bytes(), &bytes))).await, 40 * 8 - letters);
    assert_eq!(status(&shop, form(message.as_bytes(), claimed.as_bytes())).await, 200);
}

/// The request with each bit of each header flipped in turn, but for the case of a hex digit.
fn header_flips(good: &Request) -> Vec<Request> {
    let mut requests = Vec::new();
    for (position, (name, value)) in good.headers.iter().enumerate() {
        let is_same = |other: &String| name == "x-signature" && other.eq_ignore_ascii_case(value);
        for flipped in text_flips(value).filter(|other| !is_same(other)) {
            let mut request = good.clone();
            request.headers[position].1 = flipped;
            requests.push(request);
        }
    }
    requests
}

fn body_flips(good: &Request) -> impl Iterator<Item = Request> + '_ {
    flips(good.body.as_ref().unwrap()).map(|body| Request { body: Ok(body), ..good.clone() })
}

#[tokio::test]
async fn a_flipped_bit_of_a_signed_event_is_refused() {
    let event = padded(&support::status_event("A-1", "arrived", NOW));
    let scan = padded(&format!(r#"{{"order_id":"A-1","new_status":"packed","timestamp":{}}}"#, NOW / 1_000));
    for good in [warehouse("msg_1", NOW, &event), scanner(&scan)] {
        let shop = Shop::new();
        assert_eq!(all_refused(&shop, body_flips(&good)).await, 8_192);
        assert!(all_refused(&shop, header_flips(&good).into_iter()).await > 400);
        assert_eq!(status(&shop, good).await, 200);
    }
}

#[tokio::test]
async fn a_flipped_bit_of_a_client_s_request_is_refused() {
    let body = padded(r#"{"trades":[{"marketplace":"1688","shop":"demo","trade_id":"7"}]}"#);
    let good = link_with(support::CLIENT_SECRET, "nonce-1", NOW / 1_000, &body);
    let shop = Shop::new();
    assert_eq!(all_refused(&shop, body_flips(&good)).await, 8_192);
    assert!(all_refused(&shop, header_flips(&good).into_iter()).await > 400);
    let methods = text_flips(&good.method).map(|method| Request { method, ..good.clone() });
    let paths = text_flips(&good.path).map(|path| Request { path, ..good.clone() });
    let queries = text_flips(&good.query).map(|query| Request { query, ..good.clone() });
    let elsewhere: Vec<Request> = methods.chain(paths).chain(queries).collect();
    for request in elsewhere {
        assert_eq!(shop.ask(request.clone()).await.unwrap().status_code, 401, "{request:?}");
    }
    assert!(wrote_nothing(&shop));
    assert_eq!(status(&shop, good).await, 200);
}

#[tokio::test]
async fn two_live_secrets_are_both_good() {
    for (name, sender, _) in SENDERS {
        let shop = shop_with(&[WAREHOUSE_SECRET, NEW_SECRET]);
        assert_eq!(status(&shop, sender(WAREHOUSE_SECRET, "1", NOW / 1_000)).await, 200, "{name}");
        assert_eq!(status(&shop, sender(NEW_SECRET, "2", NOW / 1_000)).await, 200, "{name}");
        assert_eq!(status(&shop, sender("whsec_AAAA", "3", NOW / 1_000)).await, 401, "{name}");
    }
}

#[tokio::test]
async fn a_secret_that_was_taken_away_is_refused_once_the_cache_is_past_its_time() {
    for (name, sender, _) in SENDERS {
        let shop = shop_with(&[WAREHOUSE_SECRET, NEW_SECRET]);
        assert_eq!(status(&shop, sender(WAREHOUSE_SECRET, "1", NOW / 1_000)).await, 200, "{name}");
        shop.secrets.set(Some(document(&[NEW_SECRET])));
        shop.clock.advance_ms(KEPT_MS_MAX);
        let now = (NOW + KEPT_MS_MAX) / 1_000;
        assert_eq!(status(&shop, sender(WAREHOUSE_SECRET, "2", now)).await, 401, "{name}");
        assert_eq!(status(&shop, sender(NEW_SECRET, "3", now)).await, 200, "{name}");
        assert_eq!(shop.secrets.readings(), 2, "{name}");
    }
}

#[tokio::test]
async fn a_new_secret_is_good_at_once_and_forgeries_cause_one_look_a_minute() {
    for (name, sender, _) in SENDERS {
        let shop = shop_with(&[WAREHOUSE_SECRET]);
        assert_eq!(status(&shop, sender(WAREHOUSE_SECRET, "1", NOW / 1_000)).await, 200, "{name}");
        shop.secrets.set(Some(document(&[WAREHOUSE_SECRET, NEW_SECRET])));
        shop.clock.advance_ms(REREAD_MS_MIN - 1);
        assert_eq!(status(&shop, sender(NEW_SECRET, "2", NOW / 1_000)).await, 401, "{name}");
        assert_eq!(shop.secrets.readings(), 1, "{name}");
        shop.clock.advance_ms(1);
        assert_eq!(status(&shop, sender(NEW_SECRET, "3", NOW / 1_000)).await, 200, "{name}");
        assert_eq!(shop.secrets.readings(), 2, "{name}");
        for minute in 1..4_usize {
            for forgery in 0..100 {
                let id = format!("{minute}.{forgery}");
                assert_eq!(status(&shop, sender("whsec_AAAA", &id, NOW / 1_000)).await, 401, "{name}");
            }
            assert_eq!(shop.secrets.readings(), 1 + minute, "{name}");
            shop.clock.advance_ms(REREAD_MS_MIN);
        }
    }
}

#[tokio::test]
async fn an_unknown_name_causes_one_look_a_minute() {
    let shop = Shop::new();
    for minute in 1..4 {
        for _ in 0..100 {
            assert_eq!(status(&shop, request("POST", "/webhooks/1688/nobody", &[], "")).await, 404);
        }
        assert_eq!(shop.secrets.readings(), minute);
        shop.clock.advance_ms(REREAD_MS_MIN);
    }
}

#[tokio::test]
async fn the_secrets_are_read_once_in_five_minutes() {
    let shop = Shop::new();
    let step_ms = KEPT_MS_MAX / 500;
    for round in 0..500 {
        assert_eq!(status(&shop, push_by(APP_SECRET, "", NOW / 1_000)).await, 200);
        assert_eq!(shop.secrets.readings(), 1, "{round}");
        shop.clock.advance_ms(step_ms);
    }
    assert_eq!(status(&shop, push_by(APP_SECRET, "", NOW / 1_000)).await, 200);
    assert_eq!(shop.secrets.readings(), 2);
}

#[tokio::test]
async fn secrets_that_cannot_be_read_again_are_kept_for_a_bounded_time() {
    let shop = Shop::new();
    let push = || push_by(APP_SECRET, "", NOW / 1_000);
    assert_eq!(status(&shop, push()).await, 200);
    shop.secrets.set(None);
    let step_ms = REREAD_MS_MIN / 4;
    for _ in 0..STALE_MS_MAX / step_ms - 1 {
        shop.clock.advance_ms(step_ms);
        assert_eq!(status(&shop, push()).await, 200);
    }
    // Once a minute from the fifth to the nineteenth, and the first reading.
    assert_eq!(shop.secrets.readings(), 16);
    shop.clock.advance_ms(step_ms);
    let queued = shop.events.all().len();
    let refused = answer(&shop, push()).await;
    assert_eq!((refused.status_code, refused.body.contains("unavailable")), (503, true));
    assert_eq!(shop.events.all().len(), queued);
    shop.secrets.set(Some(support::secrets()));
    assert_eq!(status(&shop, push()).await, 200);
}

#[tokio::test]
async fn without_secrets_nobody_is_believed() {
    for (name, sender, _) in SENDERS {
        let shop = Shop::new();
        shop.secrets.set(None);
        assert_eq!(status(&shop, sender(WAREHOUSE_SECRET, "1", NOW / 1_000)).await, 503, "{name}");
        assert!(wrote_nothing(&shop), "{name}");
        // Without a secret in the list there is no such counterpart. A client is not told that it is unknown.
        let shop = shop_with(&[]);
        let expected = if name == "client" { 401 } else { 404 };
        assert_eq!(status(&shop, sender(NEW_SECRET, "1", NOW / 1_000)).await, expected, "{name}");
        assert!(wrote_nothing(&shop), "{name}");
    }
}

#[tokio::test]
async fn a_time_may_be_five_minutes_off_and_no_second_more() {
    for (name, sender, _) in SENDERS.into_iter().filter(|(_, _, is_bounded)| *is_bounded) {
        for (offset, wanted) in [(-301, 401), (-300, 200), (0, 200), (300, 200), (301, 401)] {
            let shop = shop_with(&[WAREHOUSE_SECRET]);
            let answered = status(&shop, sender(WAREHOUSE_SECRET, "1", NOW / 1_000 + offset)).await;
            assert_eq!(answered, wanted, "{name} {offset}");
            assert_eq!(wrote_nothing(&shop), wanted != 200, "{name} {offset}");
        }
    }
}

/// How a header may be broken. API Gateway joins a doubled header with a comma.
fn breaks(value: &str) -> Vec<Option<String>> {
    let mut broken = vec![
        None,
        Some(String::new()),
        Some(" ".to_owned()),
        Some(format!("{value},{value}")),
        Some(format!("\u{e9}{value}")),
        Some(format!("{value}\u{20ac}")),
        Some(format!("{value}\u{0}")),
        Some(vec![value; 1_000].join(" ")),
        Some(vec![value; 1_000].join(",")),
        Some("9".repeat(100_000)),
        Some("-1".to_owned()),
        Some("1e3".to_owned()),
        Some("99999999999999999999".to_owned()),
    ];
    // As two entries of a list, of which the second is good, it is one signature of Standard Webhooks.
    if !value.starts_with("v1,") {
        broken.push(Some(format!("{value}, {value}")));
    }
    broken
}

#[tokio::test]
async fn a_broken_header_is_refused() {
    let mut headers = 0;
    for (name, sender, _) in SENDERS {
        let shop = shop_with(&[WAREHOUSE_SECRET]);
        let good = sender(WAREHOUSE_SECRET, "1", NOW / 1_000);
        for (position, (header, value)) in good.headers.iter().enumerate() {
            headers += 1;
            for broken in breaks(value) {
                let mut request = good.clone();
                match &broken {
                    Some(broken) => request.headers[position].1.clone_from(broken),
                    None => drop(request.headers.remove(position)),
                }
                assert_eq!(status(&shop, request).await, 401, "{name} {header} {broken:?}");
            }
        }
        assert!(wrote_nothing(&shop), "{name}");
        assert_eq!(status(&shop, good).await, 200, "{name}");
    }
    assert_eq!(headers, 3 + 1 + 4);
}

#[tokio::test]
async fn a_broken_signature_of_a_push_is_refused() {
    let message = support::status_push(7, "success", NOW, 1);
    let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let content = field("message", &message);
    let claimed = signature::sign(&secret(APP_SECRET), "", std::slice::from_ref(&content));
    let shop = Shop::new();
    for broken in breaks(&claimed) {
        let signed: Vec<_> = broken.iter().map(|broken| field(signature::PARAMETER, broken)).collect();
        let body = form(&[vec![content.clone()], signed].concat());
        assert_eq!(status(&shop, request("POST", "/webhooks/1688/demo", &[], body)).await, 401, "{broken:?}");
    }
    let twice = vec![field(signature::PARAMETER, &claimed); 2];
    let body = form(&[vec![content], twice].concat());
    assert_eq!(status(&shop, request("POST", "/webhooks/1688/demo", &[], body)).await, 401);
    assert!(wrote_nothing(&shop));
}

#[tokio::test]
async fn a_good_signature_is_found_among_eight_and_not_among_nine() {
    let good = event_by(WAREHOUSE_SECRET, "1", NOW / 1_000);
    let claimed = good.header("webhook-signature").unwrap().to_owned();
    let other = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    let table = [
        (format!("{other} {claimed}"), 200),
        (format!("v1a,AAAA {claimed}"), 200),
        (format!("{other}, {claimed}"), 200),
        (format!("{} {claimed}", [other; 7].join(" ")), 200),
        (format!("{} {claimed}", [other; 8].join(" ")), 401),
        (claimed.replace("v1,", "v2,"), 401),
        (claimed.replace("v1,", ""), 401),
        (other.to_owned(), 401),
    ];
    for (value, wanted) in table {
        let mut request = good.clone();
        request.headers[2].1.clone_from(&value);
        assert_eq!(status(&Shop::new(), request).await, wanted, "{value}");
    }
}

#[tokio::test]
async fn who_is_unknown_is_not_found() {
    let long = "a".repeat(33);
    let shop = Shop::new();
    for name in ["nobody", "DEMO", "demo%20", "demo/", "", "a#b", ".", "\u{e9}", &long] {
        for route in ["/webhooks/1688/", "/webhooks/events/", "/webhooks/stripe/", "/webhooks/"] {
            let good = push(&support::status_push(7, "success", NOW, 1));
            let request = Request { path: format!("{route}{name}"), ..good };
            assert_eq!(status(&shop, request).await, 404, "{route}{name}");
        }
    }
    assert!(wrote_nothing(&shop));
}

#[tokio::test]
async fn an_unknown_client_and_a_used_nonce_are_refused() {
    let shop = Shop::new();
    let link = |nonce| link_by(support::CLIENT_SECRET, nonce, NOW / 1_000);
    let mut unknown = link("1");
    unknown.headers[0].1 = "nobody".to_owned();
    let answered = answer(&shop, unknown).await;
    assert_eq!((answered.status_code, answered.body.contains("signature_invalid")), (401, true));

    assert_eq!(status(&shop, link("1")).await, 200);
    let again = Request { request_id: "another invocation".to_owned(), ..link("1") };
    let answered = answer(&shop, again).await;
    assert_eq!((answered.status_code, answered.body.contains("nonce_used")), (401, true));
    assert_eq!(status(&shop, link("2")).await, 200);
}

#[tokio::test]
async fn a_refused_request_does_not_use_up_its_nonce() {
    let shop = Shop::new();
    let good = link_by(support::CLIENT_SECRET, "1", NOW / 1_000);
    let forged = Request { body: Ok(b"{}".to_vec()), request_id: "forged".to_owned(), ..good.clone() };
    assert_eq!(status(&shop, forged).await, 401);
    assert_eq!(status(&shop, good).await, 200);
}

/// An event as one line: trade or product, what was said, message.
fn shown(event: &Event) -> String {
    let change = match event {
        Event::Trade(change) => change,
        Event::Product(change) => return format!("{} changed {}", change.product, change.id),
        Event::Order(_) => panic!("a push speaks of no order: {event:?}"),
    };
    let (trade, id) = (&change.trade, change.fact.message_id().unwrap());
    match &change.fact {
        TradeFact::Status(report) => format!("{trade} {} {} {id}", report.status.as_str(), report.raw),
        TradeFact::Shipping(package, said) => {
            let waybill = said.waybill.as_ref().map(|waybill| format!("{}/{}", waybill.carrier, waybill.number));
            let trace = said.trace.as_ref().map_or("-", |trace| trace.status.as_str());
            format!("{trade} {package} {} {trace} {id}", waybill.unwrap_or_default())
        }
        TradeFact::AfterSale(case, said) => {
            let state = said.state.as_ref().map_or("-", |state| state.state.as_str());
            format!("{trade} {case} {state} {id}")
        }
        TradeFact::Snapshot(_) => panic!("a push is no reading"),
    }
}

macro_rules! samples {
    ($($name:literal => [$($event:literal),*]),* $(,)?) => {
        [$(($name, include_str!(concat!("../../infra/local/demo/push/", $name, ".json")), &[$($event),*] as &[&str])),*]
    };
}

/// Each sample and the events that it means.
pub(crate) const SAMPLES: [(&str, &str, &[&str]); 18] = samples! {
    "LOGISTICS_BUYER_VIEW_TRACE" =>
        ["1688#demo#167539019420540000 LP00107450035961376 ZTO/75300000000001 SIGN 7565094261"],
    "LOGISTICS_MAIL_NO_CHANGE" =>
        ["1688#demo#167539019420540000 LP00107450035961376 YTO/YT0000000000001 - 7565094262"],
    "ORDER_BATCH_PAY" => [
        "1688#demo#167539019420540000 awaiting_shipment successed 7565094260.0",
        "1688#demo#167539019420540001 unrecognised ACCOUNT_BALANCE_NOT_ENOUGH 7565094260.1"
    ],
    "ORDER_BUYER_VIEW_ANNOUNCE_SENDGOODS" => ["1688#demo#167539019420540000 shipped waitbuyerreceive 7565094252"],
    "ORDER_BUYER_VIEW_BUYER_MAKE" => ["1688#demo#167539019420540000 awaiting_payment waitbuyerpay 7565094248"],
    "ORDER_BUYER_VIEW_ORDER_BOPS_CLOSE" => ["1688#demo#167539019420540000 closed cancel 7565094257"],
    "ORDER_BUYER_VIEW_ORDER_BUYER_CLOSE" => ["1688#demo#167539019420540000 closed cancel 7565094255"],
    "ORDER_BUYER_VIEW_ORDER_BUYER_REFUND_IN_SALES" =>
        ["1688#demo#1479266113491823456 1234556 refunded 7565094258"],
    "ORDER_BUYER_VIEW_ORDER_COMFIRM_RECEIVEGOODS" => ["1688#demo#167539019420540000 signed confirm_goods 7565094253"],
    "ORDER_BUYER_VIEW_ORDER_PAY" => ["1688#demo#167539019420540000 awaiting_shipment waitsellersend 7565094250"],
    "ORDER_BUYER_VIEW_ORDER_PRICE_MODIFY" => ["1688#demo#167539019420540000 awaiting_payment waitbuyerpay 7565094249"],
    "ORDER_BUYER_VIEW_ORDER_REFUND_AFTER_SALES" =>
        ["1688#demo#161292821695900310 1234567 awaiting_return 7565094259"],
    "ORDER_BUYER_VIEW_ORDER_SELLER_CLOSE" => ["1688#demo#167539019420540000 closed cancel 7565094256"],
    "ORDER_BUYER_VIEW_ORDER_SUCCESS" => ["1688#demo#167539019420540000 finished success 7565094254"],
    "ORDER_BUYER_VIEW_PART_PART_SENDGOODS" =>
        ["1688#demo#167539019420540000 partly_shipped waitsellersend 7565094251"],
    "PRODUCT_PRODUCT_INVENTORY_CHANGE" => [],
    "PRODUCT_RELATION_VIEW_PRODUCT_CHANGE" =>
        ["1688#demo#548818919805 changed 7565094264.0", "1688#demo#574273466269 changed 7565094264.1"],
    "PRODUCT_RELATION_VIEW_PRODUCT_EXPIRE" => ["1688#demo#548818919805 changed 7565094265"],
};

#[tokio::test]
async fn every_sample_push_means_what_it_says() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../infra/local/demo/push");
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    assert_eq!(files.filter(|name| name.ends_with(".json")).count(), SAMPLES.len());
    for (name, message, wanted) in SAMPLES {
        let shop = Shop::new();
        assert_eq!(status(&shop, push(message)).await, 200, "{name}");
        assert_eq!(shop.events.all().iter().map(shown).collect::<Vec<_>>(), wanted, "{name}");
        for event in shop.events.all() {
            let at = match event {
                Event::Trade(change) => change.fact.at(),
                Event::Product(change) => Some(change.at),
                Event::Order(_) => None,
            };
            assert_eq!(at.map(UnixMillis::get), Some(1_586_227_869_437), "{name}");
        }
        let log = shop.log.all();
        let [line] = log.as_slice() else { panic!("{name}: not one line") };
        let field = |field: &str| line.get(field).cloned().unwrap_or_default();
        if wanted.is_empty() {
            assert_eq!((field("outcome"), field("push.product_count")), ("acknowledged".into(), 1.into()), "{name}");
            assert_eq!(field("push.type"), name);
        } else {
            assert_eq!((field("outcome"), field("event.count")), ("accepted".into(), wanted.len().into()), "{name}");
        }
    }
}

#[tokio::test]
async fn the_captured_request_is_accepted_as_it_came() {
    let body = include_str!("../../infra/local/demo/push/http_body_ORDER_PAY.txt").trim_end();
    let shop = Shop::new();
    assert_eq!(status(&shop, request("POST", "/webhooks/1688/demo", &[], body)).await, 200);
    // Its bizKey is 2251000000000000493.
    let wanted = ["1688#demo#2237000000000000493 awaiting_shipment waitsellersend 92705609220"];
    assert_eq!(shop.events.all().iter().map(shown).collect::<Vec<_>>(), wanted);
}

#[tokio::test]
async fn ids_keep_every_digit_as_numbers_and_as_texts() {
    for id in ["9007199254740993", "58218860983545941", "18446744073709551615"] {
        for (order, message) in [(id.to_owned(), id.to_owned()), (format!(r#""{id}""#), format!(r#""{id}""#))] {
            let shop = Shop::new();
            let body = format!(
                r#"{{"bizKey":"1","gmtBorn":{NOW},"msgId":{message},"type":"ORDER_NEW_TYPE","userInfo":"u",
                    "data":{{"orderId":{order},"currentStatus":"a word of tomorrow"}}}}"#
            );
            assert_eq!(status(&shop, push(&body)).await, 200, "{order}");
            let wanted = format!("1688#demo#{id} unrecognised a word of tomorrow {id}");
            assert_eq!(shop.events.all().iter().map(shown).collect::<Vec<_>>(), [wanted]);
        }
    }
}

#[tokio::test]
async fn what_is_of_an_unknown_type_is_acknowledged_and_logged() {
    let table = [
        (
            push(r#"{"msgId":9007199254740993,"type":"TYPE_OF_TOMORROW","data":{"x":1}}"#),
            "TYPE_OF_TOMORROW",
            "9007199254740993",
        ),
        (push(r#"{"msgId":"m-1","type":"TYPE_WITHOUT_DATA"}"#), "TYPE_WITHOUT_DATA", "m-1"),
        (
            warehouse("msg_1", NOW, r#"{"type":"stock.moved","timestamp":"2026-11-21T08:00:00Z","data":{}}"#),
            "stock.moved",
            "msg_1",
        ),
    ];
    for (request, kind, id) in table {
        let shop = Shop::new();
        assert_eq!(status(&shop, request).await, 200, "{kind}");
        assert!(wrote_nothing(&shop), "{kind}");
        let line = shop.log.all().remove(0);
        let fields =
            ["outcome", "push.type", "event.id", "push.other_count"].map(|name| line.get(name).cloned().unwrap());
        assert_eq!(serde_json::json!(fields), serde_json::json!(["acknowledged", kind, id, 1]), "{kind}");
    }
}
