//! Hostile input on every route: seeded mutations of real requests, and the fixed list of known tricks.
//!
//! Law: no panic and no 5xx; whatever is not answered 200 changed nothing; what is queued reads back as it
//! was written; and neither the log nor an answer repeats a word that a stranger wrote.

use std::collections::BTreeMap;

use domain::{Event, OrderFacts, OrderId, TradeFacts, TradeKey};
use lambda::http::{ApiEvent, BODY_BYTES_MAX, Request, Response};
use protocols::ali1688::signature;
use protocols::{cloudevents, flat_hmac, standard_webhooks};

use crate::mutations::{deep, deepened, mutate, mutate_text, tamper, through_gateway, with};
use crate::signatures::SAMPLES;
use crate::support::{self, APP_SECRET, CLIENT_SECRET, Dice, NOW, SCANNER_SECRET, Shop, WAREHOUSE_SECRET, secret};

/// What no log line and no answer may hold: persons and secrets, as they stand in the requests below. Each of
/// a person has a character that no id may have, so that no mutation makes it the id of a thing.
const CANARIES: [&str; 8] = [
    "Canary \u{91d1}\u{4e1d}\u{96c0}",
    "139 0000 3712",
    "7 Aviary Lane",
    "tok!c4n4ry",
    APP_SECRET,
    WAREHOUSE_SECRET,
    SCANNER_SECRET,
    CLIENT_SECRET,
];

/// The canaries as fields of a JSON object.
const PERSON: &str = r#""toFullName":"Canary 金丝雀","toPhone":"139 0000 3712","address":{"line":"7 Aviary Lane"},"note":["tok!c4n4ry"]"#;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Push,
    Warehouse,
    Scanner,
    Client,
}

/// A request before it is signed.
#[derive(Debug, Clone)]
struct Draft {
    scheme: Scheme,
    method: &'static str,
    path: String,
    /// `webhook-id` or `X-Nonce`.
    id: String,
    /// The message of a push, the body of all others.
    content: Vec<u8>,
}

impl Draft {
    fn new(scheme: Scheme, method: &'static str, path: &str, content: impl Into<Vec<u8>>) -> Self {
        Self { scheme, method, path: path.to_owned(), id: "id-1".to_owned(), content: content.into() }
    }

    /// The request, signed with the good secret, with canaries in headers that we do not read.
    fn signed(&self) -> Request {
        let body = &self.content;
        let mut request = match self.scheme {
            Scheme::Push => support::request(self.method, &self.path, &[], push_form(body)),
            Scheme::Warehouse => {
                let signed = standard_webhooks::sign(&secret(WAREHOUSE_SECRET), &self.id, NOW / 1_000, body).unwrap();
                let timestamp = (NOW / 1_000).to_string();
                let headers = [
                    ("webhook-id", self.id.as_str()),
                    ("webhook-timestamp", &timestamp),
                    ("webhook-signature", &signed),
                ];
                support::request(self.method, &self.path, &headers, body.clone())
            }
            Scheme::Scanner => {
                let signed = flat_hmac::sign(&secret(SCANNER_SECRET), body);
                support::request(self.method, &self.path, &[("x-signature", &signed)], body.clone())
            }
            Scheme::Client => self.signed_by_client(),
        };
        let canaries =
            [("authorization", "Bearer tok!c4n4ry"), ("cookie", "name=Canary 金丝雀"), ("x-phone", "139 0000 3712")];
        request.headers.extend(canaries.map(|(name, value)| (name.to_owned(), value.to_owned())));
        request
    }

    fn signed_by_client(&self) -> Request {
        let timestamp = (NOW / 1_000).to_string();
        let signable = protocols::client::Signable {
            timestamp: &timestamp,
            nonce: &self.id,
            method: self.method,
            path_with_query: &self.path,
            body: &self.content,
        };
        let signed = signable.sign(&secret(CLIENT_SECRET));
        let headers =
            [("x-app-key", "shopfront"), ("x-timestamp", &timestamp), ("x-nonce", &self.id), ("x-signature", &signed)];
        support::request(self.method, &self.path, &headers, self.content.clone())
    }
}

/// A signed form, in which only the bytes with a meaning in forms are escaped, so that much fits in.
fn push_form(message: &[u8]) -> Vec<u8> {
    let fields = [("message".to_owned(), String::from_utf8_lossy(message).into_owned())];
    let signed = signature::sign(&secret(APP_SECRET), "", &fields);
    let mut form = b"message=".to_vec();
    for byte in message {
        match byte {
            b'%' | b'&' | b'+' => form.extend_from_slice(format!("%{byte:02X}").as_bytes()),
            other => form.push(*other),
        }
    }
    form.extend_from_slice(format!("&_aop_signature={signed}").as_bytes());
    form
}

fn order_event() -> String {
    support::status_event("A-1", "arrived", NOW - 1_000).replacen('{', &format!("{{{PERSON},"), 1)
}

fn flat_event() -> String {
    format!(r#"{{{PERSON},"order_id":"A-1","new_status":"packed","timestamp":{}}}"#, NOW / 1_000)
}

fn links() -> String {
    format!(r#"{{{PERSON},"trades":[{{"marketplace":"1688","shop":"demo","trade_id":"167539019420540000"}}]}}"#)
}

/// A good request of each kind on each route, with canaries wherever there is room for them.
fn drafts() -> Vec<Draft> {
    let spiced = |message: &str| message.replacen("\"bizKey\"", &format!("{PERSON},\"bizKey\""), 1);
    let mut drafts: Vec<Draft> = SAMPLES
        .iter()
        .map(|(_, message, _)| Draft::new(Scheme::Push, "POST", "/webhooks/1688/demo", spiced(message)))
        .collect();
    // As many again of the others together, so that each scheme has its share of the rounds.
    for _ in 0..4 {
        drafts.extend([
            Draft::new(Scheme::Warehouse, "POST", "/webhooks/events/warehouse", order_event()),
            Draft::new(Scheme::Scanner, "POST", "/webhooks/events/scanner", flat_event()),
            Draft::new(Scheme::Client, "PUT", "/orders/A-1/trades", links()),
            Draft::new(Scheme::Client, "GET", "/orders/A-1?verbose=tok!c4n4ry", ""),
            Draft::new(Scheme::Client, "GET", "/trades/1688/demo/167539019420540000", ""),
        ]);
    }
    drafts
}

/// Everything that a request could have changed.
type State = (Vec<Event>, BTreeMap<OrderId, OrderFacts>, BTreeMap<TradeKey, TradeFacts>);

fn state(shop: &Shop) -> State {
    (shop.events.all(), shop.orders.all(), shop.trades.all())
}

/// A shop that knows one order and one trade.
async fn known_shop() -> Shop {
    let shop = Shop::new();
    for request in [support::push(SAMPLES[9].1), support::warehouse("msg_0", NOW, &order_event())] {
        assert_eq!(shop.deliver(request).await.unwrap().status_code, 200);
    }
    let queued = shop.events.all().into_iter().map(|event| cloudevents::write(&event).unwrap());
    assert!(shop.write(support::batch(queued)).await.unwrap().is_empty());
    shop
}

/// Asserts that no log line and no given answer holds a canary.
fn assert_silent(shop: &Shop, answer: Option<&Response>) {
    let lines = shop.log.all().into_iter().map(|line| line.to_string());
    for text in lines.chain(answer.map(|answer| answer.body.clone())) {
        assert!(CANARIES.iter().all(|canary| !text.contains(canary)), "{text}");
    }
}

/// Sends the request to the function of the scheme and asserts the law. Gives what was answered, and the
/// events that it queued.
async fn send(shop: &Shop, scheme: Scheme, request: Request) -> (u16, Vec<Event>) {
    let before = state(shop);
    let answer = match scheme {
        Scheme::Client => shop.ask(request).await.unwrap(),
        Scheme::Push | Scheme::Warehouse | Scheme::Scanner => shop.deliver(request).await.unwrap(),
    };
    let code = answer.status_code;
    assert!(code == 200 || (400..500).contains(&code), "{answer:?}");
    let queued = shop.events.all().split_off(before.0.len());
    if code != 200 {
        assert_eq!(state(shop), before);
    }
    for event in &queued {
        assert_eq!(cloudevents::read(&cloudevents::write(event).unwrap()).as_ref(), Ok(event));
    }
    assert_silent(shop, Some(&answer));
    (code, queued)
}

/// What the signature of a request covers, and the signature, in one normal form: two requests of one
/// content are the same to us.
fn signed_content(scheme: Scheme, request: &Request) -> Vec<String> {
    let body = request.body.clone().unwrap_or_else(|refusal| refusal.code().as_bytes().to_vec());
    let header = |name: &str| request.header(name).map(str::to_owned).unwrap_or_default();
    match scheme {
        Scheme::Push => {
            let fields: Vec<(String, String)> = form_urlencoded::parse(request.query.as_bytes())
                .chain(form_urlencoded::parse(&body))
                .map(|(name, value)| (name.into_owned(), value.into_owned()))
                .collect();
            let (claimed, signed): (Vec<_>, Vec<_>) =
                fields.into_iter().partition(|(name, _)| name == signature::PARAMETER);
            let mut pairs: Vec<String> = signed.into_iter().map(|(name, value)| name + &value).collect();
            pairs.sort();
            vec![pairs.concat(), claimed.into_iter().map(|(_, value)| value.to_uppercase()).collect()]
        }
        Scheme::Warehouse => {
            let mut claimed: Vec<String> = header("webhook-signature").split(' ').map(str::to_owned).collect();
            claimed.retain(|entry| entry.len() == "v1,".len() + 44);
            claimed.sort();
            claimed.dedup();
            vec![header("webhook-id"), header("webhook-timestamp"), hex(&body), claimed.concat()]
        }
        Scheme::Scanner => vec![hex(&body), header("x-signature").to_uppercase()],
        Scheme::Client => vec![
            ["x-app-key", "x-timestamp", "x-nonce"].map(header).join("\n"),
            format!("{} {}", request.method, request.path_with_query()),
            hex(&body),
            header("x-signature").to_uppercase(),
        ],
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_request_that_was_changed_after_signing_is_refused_or_says_the_same() {
    let mut dice = Dice::seeded(support::seed("changed after signing"));
    let drafts = drafts();
    let bodies: Vec<Vec<u8>> = drafts.iter().filter_map(|draft| draft.signed().body.ok()).collect();
    let splices: Vec<Vec<u8>> = bodies.into_iter().filter(|body| !body.is_empty()).collect();
    let goods: Vec<(Vec<String>, Request)> = drafts
        .iter()
        .map(|draft| through_gateway(draft.signed()))
        .zip(&drafts)
        .map(|(good, draft)| (signed_content(draft.scheme, &good), good))
        .collect();
    let (mut accepted, mut refused) = (0, 0);
    for round in 0..support::rounds(2_000, 100_000) {
        let draft = &drafts[dice.below(drafts.len())];
        let mut changed = draft.signed();
        tamper(&mut dice, &mut changed, &splices);
        let changed = through_gateway(changed);
        // A splice may also make another sender's good request of it.
        let content = signed_content(draft.scheme, &changed);
        let same = goods.iter().find(|(good, _)| *good == content).map(|(_, good)| good.clone());
        let (code, queued) = send(&known_shop().await, draft.scheme, changed.clone()).await;
        if code == 200 {
            let same = same.unwrap_or_else(|| panic!("round {round}: {changed:?}"));
            let (_, wanted) = send(&known_shop().await, draft.scheme, same).await;
            assert_eq!(queued, wanted, "round {round}: {changed:?}");
        }
        *(if code == 200 { &mut accepted } else { &mut refused }) += 1;
    }
    println!("changed after signing: {refused} refused, {accepted} said the same and were accepted");
    assert!(accepted > 0 && refused > accepted);
}

#[tokio::test]
async fn whatever_is_signed_is_read_or_refused_and_never_breaks_anything() {
    let mut dice = Dice::seeded(support::seed("changed before signing"));
    let drafts = drafts();
    let contents = drafts.iter().map(|draft| draft.content.clone());
    let splices: Vec<Vec<u8>> = contents.filter(|content| !content.is_empty()).collect();
    let mut answers: BTreeMap<u16, usize> = BTreeMap::new();
    for _ in 0..support::rounds(2_000, 100_000) {
        let mut draft = drafts[dice.below(drafts.len())].clone();
        match dice.below(8) {
            0 => mutate_text(&mut dice, &mut draft.path),
            1 => mutate_text(&mut dice, &mut draft.id),
            _ => mutate(&mut dice, &mut draft.content, &splices),
        }
        let (code, _) = send(&known_shop().await, draft.scheme, through_gateway(draft.signed())).await;
        *answers.entry(code).or_default() += 1;
    }
    println!("changed before signing: {answers:?}");
    assert!([200, 400, 404].iter().all(|code| answers.contains_key(code)), "{answers:?}");
}

#[tokio::test]
async fn a_changed_queue_message_is_a_fact_or_in_quarantine() {
    let mut dice = Dice::seeded(support::seed("queue messages"));
    let shop = Shop::new();
    for draft in drafts() {
        send(&shop, draft.scheme, draft.signed()).await;
    }
    let messages: Vec<Vec<u8>> =
        shop.events.all().iter().map(|event| cloudevents::write(event).unwrap().into_bytes()).collect();
    let (mut facts, mut quarantined) = (0, 0);
    for round in 0..support::rounds(200, 10_000) {
        let shop = Shop::new();
        let bodies: Vec<String> = (0..10)
            .map(|_| {
                let mut message = messages[dice.below(messages.len())].clone();
                mutate(&mut dice, &mut message, &messages);
                String::from_utf8_lossy(&message).into_owned()
            })
            .collect();
        let failed = shop.write(support::batch(bodies.clone())).await.unwrap();
        assert!(failed.is_empty(), "round {round}: {failed:?}");
        let (good, bad): (Vec<_>, Vec<_>) = bodies.into_iter().partition(|body| cloudevents::read(body).is_ok());
        for message in &good {
            let event = cloudevents::read(message).unwrap();
            assert_eq!(cloudevents::read(&cloudevents::write(&event).unwrap()).unwrap(), event, "round {round}");
        }
        let mut kept: Vec<String> = shop.quarantine.all().into_iter().map(|kept| kept.body).collect();
        let mut wanted = bad;
        kept.sort();
        wanted.sort();
        assert_eq!(kept, wanted, "round {round}");
        let is_nothing_kept =
            shop.orders.all().is_empty() && shop.trades.all().is_empty() && shop.products.all().is_empty();
        assert_eq!(good.is_empty(), is_nothing_kept, "round {round}");
        assert_eq!(shop.log.all().len(), 10, "round {round}");
        assert_silent(&shop, None);
        facts += good.len();
        quarantined += kept.len();
    }
    println!("queue messages: {facts} facts, {quarantined} in quarantine");
    assert!(facts > 0 && quarantined > 0);
}

/// A signed content and how it must be answered.
type Trick = (&'static str, String, u16);

const BY_KEY: &str = r#"{"a":"#;

fn push_of(fields: &str) -> String {
    format!(r#"{{"msgId":1,"type":"ORDER_X","gmtBorn":{NOW},"userInfo":"u","data":{fields}}}"#)
}

fn push_of_id(id: &str) -> String {
    push_of(&format!(r#"{{"orderId":{id},"currentStatus":"success"}}"#))
}

fn push_of_status(word: &str) -> String {
    push_of(&format!(r#"{{"orderId":1,"currentStatus":"{word}"}}"#))
}

fn push_of_paid(count: usize) -> String {
    push_of(&format!(r#"{{"batchPay":[{}]}}"#, vec![r#"{"orderId":1,"status":"x"}"#; count].join(",")))
}

fn shapes_of_pushes() -> Vec<Trick> {
    let good = push_of_status("success");
    let born = |at: &str| good.replace(&NOW.to_string(), at);
    let objects = format!("{}1{}", BY_KEY.repeat(40_000), "}".repeat(40_000));
    vec![
        ("brackets all the way", "[".repeat(250_000), 400),
        ("data 100,000 deep, which is no part that we know", push_of(&deep(100_000)), 200),
        ("an unread field 100,000 deep", deepened(&good), 200),
        ("an unread field in data 100,000 deep", push_of(&deepened(r#"{"y":1}"#)), 200),
        ("objects 40,000 deep", push_of(&objects), 200),
        ("an id that is 100,000 brackets", push_of_id(&deep(100_000)), 400),
        ("data in a text in a text", push_of(r#""\"{}\"""#), 200),
        ("data that is null", push_of("null"), 200),
        ("300 orders", push_of_paid(300), 200),
        ("301 orders", push_of_paid(301), 422),
        ("100,000 orders", push_of_paid(100_000), 413),
        ("no orders", push_of_paid(0), 200),
        ("a key that comes twice", push_of(r#"{"orderId":1,"orderId":2,"currentStatus":"success"}"#), 400),
        ("an envelope with two types", with(&good, r#""type":"PRODUCT_X""#), 400),
        ("a byte order mark", format!("\u{feff}{good}"), 400),
        ("two messages", good.repeat(2), 400),
        ("nothing", String::new(), 400),
        ("a type that is a person", good.replace("ORDER_X", CANARIES[0]), 400),
        ("a time of next year", born("1826784000000"), 422),
        ("a time after 9999", born("253402300800000"), 400),
    ]
}

fn words_in_pushes() -> Vec<Trick> {
    let good = push_of_status("success");
    vec![
        ("an id of 24 digits", push_of_id(&format!("\"{}\"", "9".repeat(24))), 200),
        ("an id of 25 digits", push_of_id(&format!("\"{}\"", "9".repeat(25))), 400),
        ("an id of 200,000 digits", push_of_id(&"9".repeat(200_000)), 400),
        ("an id of 2^64", push_of_id("18446744073709551616"), 400),
        ("an id that is a float", push_of_id("1.0"), 400),
        ("an id beyond floats", push_of_id("1e999999"), 400),
        ("an id that is not a number", push_of_id("NaN"), 400),
        ("an id below 0", push_of_id("-1"), 400),
        ("an id that climbs", push_of_id(r#""../../etc""#), 400),
        ("an id with the separator of keys", push_of_id("\"1#demo#2\""), 400),
        ("a status with a NUL", push_of_status(r"\u0000"), 400),
        ("a status with U+FFFE", push_of_status("\u{fffe}"), 400),
        ("a status with U+FFFF, escaped", push_of_status(r"\uffff"), 400),
        ("a status with half a character", push_of_status(r"\ud800"), 400),
        ("a status that is too long", push_of_status(&"s".repeat(33)), 400),
        ("a status that is no ASCII", push_of_status("\u{202e}\u{1f600}"), 200),
        ("an unread field with half a character", with(&good, r#""x":"\ud800""#), 200),
        ("an unread field with a NUL", with(&good, r#""x":"\u0000""#), 200),
    ]
}

fn events_of_the_warehouse() -> Vec<Trick> {
    let event = |status: &str| support::status_event("A-1", status, NOW);
    let at = |time: &str| format!(r#"{{"type":"x","timestamp":{time}}}"#);
    vec![
        ("an unread field 100,000 deep", deepened(&event("arrived")), 200),
        ("data 100,000 deep", format!(r#"{{"type":"order.status","timestamp":1,"data":{}}}"#, deep(100_000)), 400),
        ("a time 100,000 deep", at(&deep(100_000)), 400),
        ("a time beyond floats", at("1e999999"), 400),
        ("a time that is not a number", at("NaN"), 400),
        ("a time beyond seconds", at("9223372036854775807"), 400),
        ("a time before 1970", at("-1"), 400),
        ("a status that no source reports", event("paid"), 422),
        ("a status that is a person", event(CANARIES[0]), 422),
        ("a type that is a person", event("arrived").replace("order.status", CANARIES[0]), 422),
        ("an order that climbs", event("arrived").replace("A-1", "../A-1"), 400),
        ("an order of 65 letters", event("arrived").replace("A-1", &"a".repeat(65)), 400),
        ("a key that comes twice", with(&event("arrived"), r#""type":"order.status""#), 400),
        ("nothing", String::new(), 400),
        ("a byte order mark", format!("\u{feff}{}", event("arrived")), 400),
    ]
}

fn scans() -> Vec<Trick> {
    vec![
        ("nothing", String::new(), 400),
        ("100,000 deep", deep(100_000), 400),
        ("an unread field 100,000 deep", deepened(&flat_event()), 200),
        ("no time", r#"{"order_id":"A-1","new_status":"packed"}"#.to_owned(), 400),
    ]
}

fn links_of_clients() -> Vec<Trick> {
    const LINK: &str = r#"{"marketplace":"1688","shop":"demo","trade_id":"1"}"#;
    let many = |count: usize| format!(r#"{{"trades":[{}]}}"#, vec![LINK; count].join(","));
    vec![
        ("nothing", String::new(), 400),
        ("no links", many(0), 400),
        ("50 links", many(50), 200),
        ("51 links", many(51), 422),
        ("links 100,000 deep", format!(r#"{{"trades":{}}}"#, deep(100_000)), 400),
        ("an unread field 100,000 deep", deepened(&links()), 200),
        ("a link that climbs", links().replace("demo", "../demo"), 400),
        ("a link to a market of a person", links().replace("\"1688\"", "\"Canary\""), 422),
    ]
}

/// A draft to the usual path of a scheme.
fn draft(scheme: Scheme, content: impl Into<Vec<u8>>) -> Draft {
    match scheme {
        Scheme::Push => Draft::new(scheme, "POST", "/webhooks/1688/demo", content),
        Scheme::Warehouse => Draft::new(scheme, "POST", "/webhooks/events/warehouse", content),
        Scheme::Scanner => Draft::new(scheme, "POST", "/webhooks/events/scanner", content),
        Scheme::Client => Draft::new(scheme, "PUT", "/orders/A-1/trades", content),
    }
}

const SCHEMES: [Scheme; 4] = [Scheme::Push, Scheme::Warehouse, Scheme::Scanner, Scheme::Client];

#[tokio::test]
async fn every_known_trick_has_its_answer() {
    let table = [
        (Scheme::Push, shapes_of_pushes()),
        (Scheme::Push, words_in_pushes()),
        (Scheme::Warehouse, events_of_the_warehouse()),
        (Scheme::Scanner, scans()),
        (Scheme::Client, links_of_clients()),
    ];
    for (scheme, tricks) in table {
        for (name, content, wanted) in tricks {
            let request = through_gateway(draft(scheme, content).signed());
            assert_eq!(send(&known_shop().await, scheme, request).await.0, wanted, "{scheme:?}: {name}");
        }
    }
}

#[tokio::test]
async fn broken_utf_8_is_malformed() {
    let table: [(Scheme, &[u8]); 4] = [
        (Scheme::Push, b"{\"msgId\":1,\"type\":\"\xff\"}"),
        (Scheme::Warehouse, b"{\"type\":\"\xff\",\"timestamp\":1}"),
        (Scheme::Scanner, b"{\"order_id\":\"\xc0\xaf\",\"timestamp\":1}"),
        (Scheme::Client, b"{\"trades\":[\"\xed\xa0\x80\"]}"),
    ];
    for (scheme, content) in table {
        let request = through_gateway(draft(scheme, content).signed());
        assert_eq!(send(&known_shop().await, scheme, request).await.0, 400, "{scheme:?}");
    }
}

#[tokio::test]
async fn a_body_is_read_up_to_its_limit_and_no_byte_more() {
    let message = support::status_push(7, "success", NOW, 1);
    for scheme in SCHEMES {
        let good = match scheme {
            Scheme::Push => message.clone(),
            Scheme::Warehouse => order_event(),
            Scheme::Scanner => flat_event(),
            Scheme::Client => links(),
        };
        let around = draft(scheme, good.as_bytes()).signed().body.unwrap().len() - good.len();
        for (length, wanted) in [(BODY_BYTES_MAX, 200), (BODY_BYTES_MAX + 1, 413), (10 << 20, 413)] {
            let pad = " ".repeat(length - around - good.len());
            let request = draft(scheme, format!("{good}{pad}")).signed();
            assert_eq!(request.body.as_ref().unwrap().len(), length);
            let (code, _) = send(&known_shop().await, scheme, through_gateway(request)).await;
            assert_eq!(code, wanted, "{scheme:?} {length}");
        }
        // 10 MB that are no UTF-8, so that they come as base64.
        let request = draft(scheme, vec![0xff; 10 << 20]).signed();
        assert_eq!(send(&known_shop().await, scheme, through_gateway(request)).await.0, 413, "{scheme:?}");
    }
}

#[tokio::test]
async fn a_form_of_odd_fields_is_read_once_or_refused() {
    let message = support::status_push(7, "success", NOW, 1);
    let content = ("message".to_owned(), message.clone());
    let many = (0..10_000).map(|number| (format!("f{number}"), "x".to_owned()));
    let other = |name: &str| (name.to_owned(), message.clone());
    let table = [
        ("10,000 fields", std::iter::once(content.clone()).chain(many).collect(), 200),
        ("two messages", vec![content.clone(), content.clone()], 400),
        ("no message", vec![other("Message")], 400),
        ("an array of messages", vec![other("message[]")], 400),
        ("a field without a name", vec![content.clone(), other("")], 200),
        ("a message with a NUL in its name", vec![other("message\0")], 400),
    ];
    for (name, fields, wanted) in table {
        let claimed = signature::sign(&secret(APP_SECRET), "", &fields);
        let form = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(&fields)
            .append_pair(signature::PARAMETER, &claimed)
            .finish();
        let request = support::request("POST", "/webhooks/1688/demo", &[], form);
        assert_eq!(send(&Shop::new(), Scheme::Push, through_gateway(request)).await.0, wanted, "{name}");
    }
    // The signature covers name and value as one text: moving the border between them is no message.
    let good = String::from_utf8(push_form(message.as_bytes())).unwrap();
    for moved in [good.replacen("message=", "messag=e", 1), good.replacen("message={", "message{=", 1)] {
        let request = support::request("POST", "/webhooks/1688/demo", &[], moved);
        assert_eq!(send(&Shop::new(), Scheme::Push, request).await.0, 400);
    }
}

#[tokio::test]
async fn a_path_or_a_method_that_is_not_served_is_not_found() {
    let webhook = support::status_push(7, "success", NOW, 1);
    let paths = [
        "",
        "/",
        "//",
        "/webhooks",
        "/webhooks/1688",
        "/webhooks/1688/",
        "/webhooks/1688/demo/",
        "/webhooks/1688/demo/x",
        "/webhooks/1688/../demo",
        "/webhooks/1688/%64emo",
        "/webhooks/1688/demo%00",
        "/webhooks/1688/..%2fdemo",
        "/webhooks/1688/*",
        "/webhooks/events/..",
        "/webhooks/1688//demo",
        "/WEBHOOKS/1688/demo",
        "/webhooks/1688/demo\0",
        "/webhooks\\1688\\demo",
    ];
    for path in paths {
        let request = Draft::new(Scheme::Push, "POST", path, webhook.as_bytes()).signed();
        assert_eq!(send(&Shop::new(), Scheme::Push, through_gateway(request)).await.0, 404, "{path}");
    }
    let asked = [
        ("GET", "/orders"),
        ("GET", "/orders/"),
        ("GET", "/orders/../A-1"),
        ("GET", "/orders/A-1/"),
        ("GET", "/orders/%41-1"),
        ("GET", "/orders/A-1/trades"),
        ("GET", "/orders/.."),
        ("GET", "/trades/1688/demo"),
        ("GET", "/trades/1688/demo/../1"),
        ("GET", "/trades/ebay/demo/1"),
        ("GET", "/trades/1688/demo/%31"),
        ("GET", "/trades/1688/d#mo/1"),
        ("POST", "/orders/A-1/trades"),
        ("DELETE", "/orders/A-1"),
        ("HEAD", "/orders/A-1"),
        ("", "/orders/A-1"),
        ("PUT", "/orders/A-1"),
    ];
    for (method, path) in asked {
        let request = Draft::new(Scheme::Client, method, path, links()).signed();
        assert_eq!(send(&known_shop().await, Scheme::Client, through_gateway(request)).await.0, 404, "{method} {path}");
    }
    for method in ["GET", "PUT", "DELETE", "post", "", "POST ", "\0"] {
        for scheme in [Scheme::Push, Scheme::Warehouse, Scheme::Scanner] {
            let request = Draft { method, ..draft(scheme, webhook.as_bytes()) }.signed();
            assert_eq!(send(&Shop::new(), scheme, through_gateway(request)).await.0, 404, "{method}");
        }
    }
}

#[tokio::test]
async fn an_event_with_odd_or_missing_fields_is_a_request_that_is_refused() {
    let to = r#""requestContext":{"http":{"method":"POST"}},"rawPath":"/webhooks/1688/demo""#;
    let table = [
        ("{}".to_owned(), 404),
        (r#"{"version":"1.0","httpMethod":"POST","path":"/webhooks/1688/demo"}"#.to_owned(), 404),
        (r#"{"requestContext":{},"rawPath":"/webhooks/1688/demo"}"#.to_owned(), 404),
        (format!("{{{to}}}"), 401),
        (format!(r#"{{{to},"body":null}}"#), 401),
        (format!(r#"{{{to},"body":"*","isBase64Encoded":true}}"#), 400),
        (format!(r#"{{{to},"body":"/w=","isBase64Encoded":true}}"#), 400),
        (format!(r#"{{{to},"body":"/w==","isBase64Encoded":true}}"#), 401),
        (format!(r#"{{{to},"body":"","isBase64Encoded":true}}"#), 401),
        (format!(r#"{{{to},"headers":{{}},"cookies":["tok!c4n4ry"],"stageVariables":null}}"#), 401),
        (format!(r#"{{{to},"rawQueryString":"%&&=%ff=&_aop_signature"}}"#), 401),
        (format!(r#"{{{to},"rawQueryString":"_aop_signature=%E9"}}"#), 401),
    ];
    for (event, wanted) in table {
        let read: ApiEvent = serde_json::from_str(&event).unwrap();
        let shop = Shop::new();
        let request = Request::new(read, "r1".to_owned());
        let (asked, _) = send(&shop, Scheme::Client, request.clone()).await;
        let (delivered, _) = send(&shop, Scheme::Push, request).await;
        assert_eq!((asked, delivered), (401, wanted), "{event}");
    }
}

#[tokio::test]
async fn a_good_request_logs_and_answers_no_word_of_a_person() {
    for draft in drafts() {
        let shop = known_shop().await;
        let (code, _) = send(&shop, draft.scheme, through_gateway(draft.signed())).await;
        assert_eq!(code, 200, "{draft:?}");
        assert_silent(&shop, None);
    }
    // Canaries in the place of each header, where the request is refused.
    for scheme in SCHEMES {
        let good = draft(scheme, links()).signed();
        for position in 0..good.headers.len() {
            for canary in CANARIES {
                let mut request = good.clone();
                canary.clone_into(&mut request.headers[position].1);
                send(&Shop::new(), scheme, request).await;
            }
        }
    }
}
