//! Hostile input on the payment routes: what anybody may change in a gateway's callback, and what a gateway itself
//! may sign.
//!
//! Law: no panic and no 5xx; the ledger holds nothing that was not answered 200, and what it holds reads back; a
//! change after signing is refused or says the same; nothing is fetched but from PayPal; and neither the log nor an
//! answer repeats a word of a person, a card or a secret.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use domain::{
    Currency, Gateway, Money, MovementKind, OrderId, PaymentEvent, PaymentFacts, PaymentKey, TransactionId, UnixMillis,
};
use lambda::http::{ApiEvent, Request, Response};
use protocols::gateway::paypal::CertificateUrl;
use protocols::gateway::{adyen, wechatpay};
use serde_json::{Value, json};
use simulators::gateway as simulated;

use crate::mutations::{ByteDice, mutate, tamper, through_gateway};
use crate::support::{self, APP_SECRET, CLIENT_SECRET, Dice, NOW, STRIPE_SECRET, Shop, keys, secret, sent_request};

/// What no log line and no answer may hold: persons and secrets. Each of a person has a character that no id may
/// have, so that no mutation makes it the id of a thing.
pub const CANARIES: [&str; 13] = [
    "Canary \u{91d1}\u{4e1d}\u{96c0}",
    "139 0000 3712",
    "7 Aviary Lane",
    "canary@aviary.example",
    "4242 4242 4242 4242",
    "tok!c4n4ry",
    APP_SECRET,
    CLIENT_SECRET,
    STRIPE_SECRET,
    ADYEN_KEY,
    AIRWALLEX_SECRET,
    API_V3_KEY,
    "WH-LOCAL-STACK-ONLY",
];
/// How many of them are of a person.
const PERSONAL: usize = 6;

/// A card in digits alone. An id may have them, so that they stand in nothing that is mutated.
pub const CARD: &str = "4242424242424242";
pub const ADYEN_KEY: &str = "6c6f63616c2d737461636b2d6f6e6c792d616479656e2d686d61632d6b657921";
pub const AIRWALLEX_SECRET: &str = "local-stack-only-airwallex-secret";
pub const API_V3_KEY: &str = "local-stack-only-api-v3-key-0001";

/// A person and a card, where a gateway puts its own.
pub fn person() -> Value {
    json!({"name": CANARIES[0], "phone": CANARIES[1], "address": {"line1": CANARIES[2]}, "email": CANARIES[3],
           "card": {"number": CANARIES[4]}, "note": [CANARIES[5]]})
}

fn now() -> UnixMillis {
    UnixMillis::new(NOW).unwrap()
}

/// Asserts that no log line and no given answer holds a canary, or a card's digits.
pub fn assert_silent(shop: &Shop, answer: &Response) {
    let lines = shop.log.all().into_iter().map(|line| line.to_string());
    for text in lines.chain([answer.body.clone()]) {
        assert!(CANARIES.iter().all(|canary| !text.contains(canary)), "{text}");
        assert!(!text.contains(CARD), "{text}");
    }
}

/// Sends a callback and asserts the law. Gives the status, and what the ledger holds then.
pub async fn send(shop: &Shop, request: Request) -> (u16, BTreeMap<PaymentKey, PaymentFacts>) {
    let (before, lines, fetched) = (shop.ledger.all(), shop.log.all().len(), shop.certificates.readings());
    let urls: Vec<String> =
        request.headers.iter().filter(|(name, _)| name == "paypal-cert-url").map(|(_, url)| url.clone()).collect();
    let answer = shop.pay(request).await.unwrap();
    let (code, after) = (answer.status_code, shop.ledger.all());
    assert!(code == 200 || (400..500).contains(&code), "{answer:?}");
    assert_silent(shop, &answer);
    if shop.certificates.readings() > fetched {
        assert!(urls.iter().any(|url| is_at_paypal(url)), "{urls:?}");
    }
    if code == 200 {
        let outcomes: Vec<String> = shop.log.all()[lines..].iter().map(outcome).collect();
        let known = ["applied", "duplicate", "conflict", "acknowledged"];
        assert!(!outcomes.is_empty() && outcomes.iter().all(|outcome| known.contains(&outcome.as_str())));
        let count = |ledger: &BTreeMap<_, PaymentFacts>| ledger.values().map(|facts| facts.entries.len()).sum();
        let applied: usize = outcomes.iter().filter(|outcome| *outcome == "applied").count();
        let (kept, had): (usize, usize) = (count(&after), count(&before));
        assert_eq!(kept - had, applied, "{outcomes:?}");
    } else {
        assert_eq!(after, before);
    }
    for (key, facts) in &after {
        facts.entries.iter().chain(&facts.conflicts).for_each(|event| assert_reads_back(key, event));
    }
    (code, after)
}

fn outcome(line: &lambda::log::WideEvent) -> String {
    line.get("outcome").and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Said in another way than the product does.
fn is_at_paypal(url: &str) -> bool {
    let host = url.strip_prefix("https://").and_then(|rest| rest.split(['/', ':', '?', '#', '@', '\\']).next());
    host.is_some_and(|host| host == "paypal.com" || host.ends_with(".paypal.com"))
}

/// Every part of an entry can be written as a text and read as the same again.
fn assert_reads_back(key: &PaymentKey, event: &PaymentEvent) {
    let PaymentEvent { payment, transaction_id, kind, order, money, occurred_at } = event;
    assert_eq!((payment, payment.to_string().parse().as_ref()), (key, Ok(key)));
    assert_eq!(TransactionId::new(transaction_id.as_str()).as_ref(), Ok(transaction_id));
    assert_eq!(MovementKind::from_name(kind.as_str()), Some(*kind));
    assert!(order.iter().all(|order| OrderId::new(order.as_str()).as_ref() == Ok(order)));
    let currency = Currency::from_code(money.currency().code()).unwrap();
    assert_eq!(Money::new(money.minor(), currency).as_ref(), Ok(money));
    assert_eq!(UnixMillis::from_rfc3339(&occurred_at.to_rfc3339()).as_ref(), Ok(occurred_at));
}

/// Where the mutations of a callback begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// The whole body.
    Whole,
    /// What is signed or encrypted by itself: an item of Adyen's, the resource of WeChat Pay's.
    Inner,
}

/// A callback before it is signed.
#[derive(Debug, Clone)]
pub struct Draft {
    gateway: Gateway,
    part: Part,
    /// WeChat Pay's type, which stands outside of its resource.
    kind: String,
    content: Vec<u8>,
}

impl Draft {
    /// A content of the part that says what happened.
    pub fn new(gateway: Gateway, content: impl Into<Vec<u8>>) -> Self {
        let kind = if gateway == Gateway::Wechatpay { "TRANSACTION.SUCCESS" } else { "" }.to_owned();
        let is_inner = matches!(gateway, Gateway::Adyen | Gateway::Wechatpay);
        Self { gateway, part: if is_inner { Part::Inner } else { Part::Whole }, kind, content: content.into() }
    }

    /// The request, as the gateway signs it, with canaries in headers that nobody reads.
    pub fn signed(&self) -> Request {
        let text = String::from_utf8_lossy(&self.content).into_owned();
        let mut request = match (self.gateway, self.part) {
            (Gateway::Adyen, Part::Inner) => adyen_request(&text),
            (Gateway::Wechatpay, Part::Inner) => {
                signed(self.gateway, simulated::wechatpay_body(keys(), &self.kind, &text, now()).unwrap())
            }
            (_, _) => signed(self.gateway, text),
        };
        let canaries = [("authorization", "Bearer tok!c4n4ry"), ("x-card", "4242 4242 4242 4242")];
        request.headers.extend(canaries.map(|(name, value)| (name.to_owned(), value.to_owned())));
        request
    }
}

/// A body that the gateway signed. What Adyen has no place to sign in is signed over its bytes, as its platforms are.
pub fn signed(gateway: Gateway, body: String) -> Request {
    match simulated::signed(keys(), gateway, body.clone(), now()) {
        Some(sent) => sent_request(sent),
        None => {
            let signature = adyen::sign(&secret(ADYEN_KEY), body.as_bytes()).unwrap();
            support::request("POST", "/payments/adyen", &[("hmacsignature", &signature)], body)
        }
    }
}

/// Where an item's signature goes once it is made.
const SIGNATURE: &str = "@SIGNATURE@";

/// A notification of this item. The item is signed as it is written, which the simulated Adyen would write anew.
fn adyen_request(item: &str) -> Request {
    support::request("POST", "/payments/adyen", &[], notification(&[adyen_item(item)]))
}

pub fn adyen_item(item: &str) -> String {
    let made = adyen::string_to_sign(item).and_then(|text| adyen::sign(&secret(ADYEN_KEY), text.as_bytes()));
    item.replace(SIGNATURE, &made.unwrap_or_default())
}

pub fn notification(items: &[String]) -> String {
    let items: Vec<String> = items.iter().map(|item| format!(r#"{{"NotificationRequestItem":{item}}}"#)).collect();
    format!(r#"{{"live":"false","notificationItems":[{}]}}"#, items.join(","))
}

pub fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

pub fn form(fields: &[(String, String)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// Everything that the simulated gateways can tell, of payments with persons and cards.
fn movements() -> Vec<PaymentEvent> {
    let mut movements = Vec::new();
    for gateway in Gateway::ALL {
        for kind in MovementKind::ALL {
            let is_yuan = matches!(gateway, Gateway::Alipay | Gateway::Wechatpay);
            let transaction = if kind == MovementKind::Captured { "P1" } else { "T1" };
            movements.push(PaymentEvent {
                payment: format!("{}#P1", gateway.as_str()).parse().unwrap(),
                transaction_id: TransactionId::new(transaction).unwrap(),
                kind,
                order: Some(OrderId::new("A-1").unwrap()),
                money: Money::new(10_230, if is_yuan { Currency::CNY } else { Currency::EUR }).unwrap(),
                occurred_at: now().saturating_add_ms(-5_000),
            });
        }
    }
    movements
}

fn told(event: &PaymentEvent) -> Option<simulated::CallbackRequest> {
    simulated::callback(keys(), event, person().as_object(), now())
}

/// The resource of a notification of WeChat Pay, and its type.
fn opened(body: &[u8]) -> (String, String) {
    let body: Value = serde_json::from_slice(body).unwrap();
    let text = |name: &str| body["resource"][name].as_str().unwrap();
    let plaintext = wechatpay::decrypt(&secret(API_V3_KEY), text("nonce"), text("associated_data"), text("ciphertext"));
    (body["event_type"].as_str().unwrap().to_owned(), plaintext.unwrap())
}

/// The only item of a notification of Adyen, before it is signed.
fn unsigned_item(body: &[u8]) -> String {
    let mut body: Value = serde_json::from_slice(body).unwrap();
    let item = &mut body["notificationItems"][0]["NotificationRequestItem"];
    item["additionalData"]["hmacSignature"] = SIGNATURE.into();
    item.to_string()
}

/// Every movement of every gateway, and types that move nothing, by each part that can be changed.
fn drafts() -> &'static Vec<Draft> {
    static DRAFTS: OnceLock<Vec<Draft>> = OnceLock::new();
    DRAFTS.get_or_init(|| {
        let mut drafts = Vec::new();
        for (gateway, sent) in movements().iter().filter_map(|event| Some((event.payment.gateway, told(event)?))) {
            let whole = Draft { part: Part::Whole, ..Draft::new(gateway, sent.body.clone()) };
            match gateway {
                Gateway::Adyen => drafts.push(Draft::new(gateway, unsigned_item(&sent.body))),
                Gateway::Wechatpay => {
                    let (kind, plaintext) = opened(&sent.body);
                    drafts.push(Draft { kind, ..Draft::new(gateway, plaintext) });
                }
                Gateway::Stripe | Gateway::Paypal | Gateway::Airwallex | Gateway::Alipay => {}
            }
            drafts.push(whole);
        }
        let silent = |gateway, content: &str| Draft { part: Part::Whole, ..Draft::new(gateway, content) };
        drafts.push(silent(Gateway::Stripe, r#"{"type":"charge.refunded","created":1,"data":{"object":{}}}"#));
        drafts.push(silent(Gateway::Adyen, r#"{"type":"merchant.created","data":{"note":"tok!c4n4ry"}}"#));
        drafts
    })
}

/// A draft by a throw of the dice. Signatures of RSA take most of the time, so those gateways have the smaller share.
fn drawn(dice: &mut Dice) -> Draft {
    let light = [Gateway::Stripe, Gateway::Adyen, Gateway::Airwallex];
    let is_light = dice.below(4) != 0;
    let of: Vec<&Draft> = drafts().iter().filter(|draft| light.contains(&draft.gateway) == is_light).collect();
    of[dice.below(of.len())].clone()
}

pub fn entries(ledger: &BTreeMap<PaymentKey, PaymentFacts>) -> Vec<PaymentEvent> {
    ledger.values().flat_map(|facts| facts.entries.iter().chain(&facts.conflicts)).cloned().collect()
}

/// Adyen does not sign when it was.
fn timeless(event: PaymentEvent) -> PaymentEvent {
    let is_signed = event.payment.gateway != Gateway::Adyen;
    PaymentEvent { occurred_at: if is_signed { event.occurred_at } else { UnixMillis::EPOCH }, ..event }
}

#[tokio::test]
async fn a_callback_that_was_changed_after_signing_is_refused_or_says_the_same() {
    let mut dice = Dice::seeded(support::seed("callbacks changed after signing"));
    let goods: Vec<Request> = drafts().iter().map(|draft| through_gateway(draft.signed())).collect();
    let splices: Vec<Vec<u8>> = goods.iter().map(|good| good.body.clone().unwrap()).collect();
    let mut said = Vec::new();
    for good in &goods {
        let (code, ledger) = send(&Shop::new(), good.clone()).await;
        assert_eq!(code, 200, "{good:?}");
        said.extend(entries(&ledger).into_iter().map(timeless));
    }
    let (mut accepted, mut refused) = (0, 0);
    for round in 0..support::rounds(2_000, 100_000) {
        let mut changed = goods[dice.below(goods.len())].clone();
        tamper(&mut dice, &mut changed, &splices);
        let (code, ledger) = send(&Shop::new(), through_gateway(changed.clone())).await;
        for event in entries(&ledger) {
            assert!(said.contains(&timeless(event)), "round {round}: {changed:?}");
        }
        *(if code == 200 { &mut accepted } else { &mut refused }) += 1;
    }
    println!("callbacks changed after signing: {refused} refused, {accepted} said the same and were accepted");
    assert!(accepted > 0 && refused > accepted);
}

#[tokio::test]
async fn whatever_a_gateway_signs_is_read_or_refused_and_reads_back() {
    let mut dice = Dice::seeded(support::seed("callbacks changed before signing"));
    let splices: Vec<Vec<u8>> = drafts().iter().map(|draft| draft.content.clone()).collect();
    let mut answers: BTreeMap<(&str, u16), usize> = BTreeMap::new();
    let mut kept = 0;
    for round in 0..support::rounds(2_000, 100_000) {
        let mut draft = drawn(&mut dice);
        mutate(&mut dice, &mut draft.content, &splices);
        let (shop, request) = (Shop::new(), through_gateway(draft.signed()));
        let (code, ledger) = send(&shop, request.clone()).await;
        *answers.entry((draft.gateway.as_str(), code)).or_default() += 1;
        if code != 200 {
            continue;
        }
        kept += entries(&ledger).len();
        assert_eq!(send(&shop, request).await, (200, ledger.clone()), "round {round}: again is no other");
        for order in entries(&ledger).into_iter().filter_map(|event| event.order) {
            let asked = support::client("GET", &format!("/orders/{order}"), "n-1", NOW, "");
            let shop = Shop { nonces: Default::default(), ..shop.clone() };
            assert_eq!(shop.ask(asked).await.unwrap().status_code, 200, "round {round}: {order}");
        }
    }
    println!("callbacks changed before signing: {kept} entries kept, {answers:?}");
    let gateways: BTreeSet<&str> = answers.keys().map(|(gateway, _)| *gateway).collect();
    assert_eq!(gateways.len(), Gateway::ALL.len());
    assert!(kept > 0 && [200, 400, 401, 422].iter().all(|code| answers.keys().any(|(_, found)| found == code)));
}

/// What a certificate's address may be changed with.
const URL_PIECES: [&[u8]; 24] = [
    b"paypal.com",
    b".paypal.com",
    b"evil.example",
    b"evil.example/",
    b"@",
    b"@evil.example",
    b"\\",
    b"/",
    b"//",
    b"/../",
    b"%2e%2e/",
    b"#",
    b"?",
    b":443",
    b":8443",
    b":",
    b"https://",
    b"http://",
    b"\t",
    b"\r\n",
    b"\xe3\x80\x82",
    b"xn--",
    b"127.0.0.1",
    b"[::1]",
];

#[tokio::test]
async fn whatever_address_a_callback_names_nothing_is_fetched_but_from_paypal() {
    let mut dice = Dice::seeded(support::seed("certificate addresses"));
    let good = goods(Gateway::Paypal);
    let url = good.header("paypal-cert-url").unwrap().to_owned();
    let (mut fetched, mut refused) = (0, 0);
    for _ in 0..support::rounds(2_000, 100_000) {
        let mut bytes = url.clone().into_bytes();
        for _ in 0..=dice.below(3) {
            let gap = dice.stretch(bytes.len(), 24);
            let piece = dice.pick(&URL_PIECES).to_vec();
            bytes.splice(gap, piece);
        }
        let changed = String::from_utf8_lossy(&bytes).into_owned();
        if changed == url {
            continue;
        }
        let shop = Shop::new();
        let (code, _) = send(&shop, with_header(&good, "paypal-cert-url", &changed)).await;
        assert_eq!(code, 401, "{changed}");
        let is_wanted = CertificateUrl::new(&changed).is_some();
        assert_eq!(shop.certificates.readings(), usize::from(is_wanted), "{changed}");
        assert!(!is_wanted || is_at_paypal(&changed), "{changed}");
        *(if is_wanted { &mut fetched } else { &mut refused }) += 1;
    }
    println!("certificate addresses: {refused} refused, {fetched} at PayPal's and without a certificate");
    assert!(fetched > 0 && refused > fetched);
}

/// A good capture of a gateway, signed once.
pub fn goods(gateway: Gateway) -> Request {
    let capture = movements().into_iter().find(|event| event.payment.gateway == gateway).unwrap();
    sent_request(told(&capture).unwrap())
}

/// The request with another value of a header that it has.
pub fn with_header(request: &Request, name: &str, value: &str) -> Request {
    let mut request = request.clone();
    let header = request.headers.iter_mut().find(|(key, _)| key == name).unwrap();
    value.clone_into(&mut header.1);
    request
}

/// Every text in a value, by its pointer.
fn texts(value: &Value, pointer: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| {
            texts(value, &format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1")), found);
        }),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(number, value)| texts(value, &format!("{pointer}/{number}"), found));
        }
        Value::String(_) => found.push(pointer.to_owned()),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The draft with each canary of a person in the place of each of its texts.
fn spiced(draft: &Draft) -> Vec<Draft> {
    let with_content = |content: String| Draft { content: content.into_bytes(), ..draft.clone() };
    let canaries = &CANARIES[..PERSONAL];
    if draft.gateway == Gateway::Alipay {
        let fields: Vec<(String, String)> = form_urlencoded::parse(&draft.content).into_owned().collect();
        let changed = (0..fields.len()).zip(canaries.iter().cycle()).map(|(position, canary)| {
            let mut fields = fields.clone();
            (*canary).clone_into(&mut fields[position].1);
            form(&fields)
        });
        return changed.map(with_content).collect();
    }
    let good: Value = serde_json::from_slice(&draft.content).unwrap();
    let mut pointers = Vec::new();
    texts(&good, "", &mut pointers);
    let is_heavy = matches!(draft.gateway, Gateway::Paypal | Gateway::Wechatpay);
    let each = if is_heavy { 1 } else { canaries.len() };
    let pairs = pointers.iter().enumerate().flat_map(|(number, pointer)| {
        (0..each).map(move |offset| (pointer, canaries[(number + offset) % canaries.len()]))
    });
    pairs
        .map(|(pointer, canary)| {
            let mut changed = good.clone();
            *changed.pointer_mut(pointer).unwrap() = canary.into();
            with_content(changed.to_string())
        })
        .collect()
}

#[tokio::test]
async fn no_callback_s_person_card_or_secret_is_logged_or_answered() {
    let (mut read, mut refused) = (0, 0);
    for draft in drafts() {
        for request in spiced(draft).iter().map(Draft::signed) {
            *(if send(&Shop::new(), request).await.0 == 200 { &mut read } else { &mut refused }) += 1;
        }
    }
    let card = json!({"pan": CARD, "name": CARD});
    for event in movements() {
        let Some(sent) = simulated::callback(keys(), &event, card.as_object(), now()) else { continue };
        assert_eq!(send(&Shop::new(), sent_request(sent)).await.0, 200);
    }
    for gateway in Gateway::ALL {
        let good = goods(gateway);
        for canary in CANARIES {
            for position in 0..good.headers.len() {
                let mut request = good.clone();
                canary.clone_into(&mut request.headers[position].1);
                send(&Shop::new(), request).await;
            }
            for body in [canary.to_owned(), format!("{{\"{canary}\":1}}"), quoted(canary), format!("{canary}={canary}")]
            {
                let code = send(&Shop::new(), Request { body: Ok(body.into_bytes()), ..good.clone() }).await.0;
                assert!(matches!(code, 400 | 401), "{gateway:?}: {canary}");
                refused += 1;
            }
            let elsewhere = Request { path: format!("/payments/{canary}"), query: canary.to_owned(), ..good.clone() };
            assert_eq!(send(&Shop::new(), elsewhere).await.0, 404);
        }
    }
    println!("canaries: {read} read, {refused} refused, none logged or answered");
    assert!(read > 100 && refused > 100);
}

#[tokio::test]
async fn a_path_or_a_method_that_no_gateway_has_is_not_found() {
    for path in [
        "",
        "/",
        "//payments/stripe/",
        "/payments",
        "/payments/",
        "/payments//stripe",
        "/payments/Stripe",
        "/PAYMENTS/stripe",
        "/payments/stripe/",
        "/payments/stripe\0",
        "/payments/stripe%00",
        "/payments/%73tripe",
        "/payments/../payments/stripe",
        "/payments/stripe/refunds",
        "/payments\\stripe",
        "/payments/stripe#",
        "/webhooks/1688/demo",
        "/orders",
    ] {
        let request = Request { path: path.to_owned(), ..goods(Gateway::Stripe) };
        assert_eq!(send(&Shop::new(), through_gateway(request)).await.0, 404, "{path}");
    }
    for method in ["GET", "PUT", "DELETE", "HEAD", "post", "POST ", "", "\0"] {
        let request = Request { method: method.to_owned(), ..goods(Gateway::Stripe) };
        assert_eq!(send(&Shop::new(), through_gateway(request)).await.0, 404, "{method}");
    }
    let asked = Request { query: "x=tok!c4n4ry&&=%ff".to_owned(), ..goods(Gateway::Stripe) };
    assert_eq!(send(&Shop::new(), asked).await.0, 200, "a query is nothing to us");
}

#[tokio::test]
async fn an_event_with_odd_or_missing_fields_is_a_callback_that_is_refused() {
    for gateway in Gateway::ALL {
        let path = format!("/payments/{}", gateway.as_str());
        let to = format!(r#""requestContext":{{"http":{{"method":"POST"}}}},"rawPath":"{path}""#);
        // Adyen's signature is in the body, so that what is no body is malformed.
        let bare = if gateway == Gateway::Adyen { 400 } else { 401 };
        for (event, wanted) in [
            ("{}".to_owned(), 404),
            (format!(r#"{{"version":"1.0","httpMethod":"POST","path":"{path}"}}"#), 404),
            (format!(r#"{{"requestContext":{{}},"rawPath":"{path}"}}"#), 404),
            (format!("{{{to}}}"), bare),
            (format!(r#"{{{to},"body":null}}"#), bare),
            (format!(r#"{{{to},"body":"*","isBase64Encoded":true}}"#), 400),
            (format!(r#"{{{to},"body":"/w=","isBase64Encoded":true}}"#), 400),
            (format!(r#"{{{to},"body":"/w==","isBase64Encoded":true}}"#), bare),
            (format!(r#"{{{to},"body":"e30 =","isBase64Encoded":true}}"#), 400),
            (format!(r#"{{{to},"body":"-_-_","isBase64Encoded":true}}"#), 400),
            (format!(r#"{{{to},"headers":{{}},"cookies":["tok!c4n4ry"],"stageVariables":null}}"#), bare),
            (format!(r#"{{{to},"headers":{{"Stripe-Signature":"","X-Signature":"","":""}},"body":""}}"#), bare),
            (format!(r#"{{{to},"rawQueryString":"%&&=%ff=&sign=","body":"&&="}}"#), bare),
        ] {
            let read: ApiEvent = serde_json::from_str(&event).unwrap();
            let request = Request::new(read, "r1".to_owned());
            assert_eq!(send(&Shop::new(), request).await.0, wanted, "{gateway:?}: {event}");
        }
    }
}
