//! The fixed list of known tricks with the callbacks of payment gateways, each with its answer.

use std::collections::BTreeMap;

use adapters::secrets::Secrets;
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE};
use domain::Gateway;
use lambda::http::{BODY_BYTES_MAX, Request};
use protocols::gateway::{adyen, airwallex, stripe};
use serde_json::{Value, json};
use simulators::gateway as simulated;

use crate::hostile_payments::{
    ADYEN_KEY, AIRWALLEX_SECRET, API_V3_KEY, CANARIES, Draft, adyen_item, entries, form, goods, notification, person,
    quoted, send, signed, with_header,
};
use crate::mutations::through_gateway;
use crate::mutations::{deep, deepened, with};
use crate::support::{self, NOW, STRIPE_SECRET, Shop, secret};

/// The gateways that speak JSON, in the order of the columns below.
const JSON: [Gateway; 5] = [Gateway::Stripe, Gateway::Paypal, Gateway::Adyen, Gateway::Airwallex, Gateway::Wechatpay];

const STRIPE: usize = 0;
const PAYPAL: usize = 1;
const ADYEN: usize = 2;
const AIRWALLEX: usize = 3;
const WECHATPAY: usize = 4;

/// The least that each of them says of a capture. The tokens that tricks replace stand in it once: `$AMOUNT`,
/// `$CURRENCY`, `$PAYMENT`, `$ORDER`, `$TIME`, `$TYPE`.
const TEMPLATES: [&str; 5] = [
    r#"{"type":$TYPE,"created":$TIME,"data":{"object":{"id":$PAYMENT,"amount":$AMOUNT,"currency":$CURRENCY,"latest_charge":"ch_1","metadata":{"order_id":$ORDER}}}}"#,
    r#"{"event_type":$TYPE,"create_time":$TIME,"resource":{"id":$PAYMENT,"amount":{"value":$AMOUNT,"currency_code":$CURRENCY},"custom_id":$ORDER}}"#,
    r#"{"eventCode":$TYPE,"eventDate":$TIME,"pspReference":"T1","originalReference":$PAYMENT,"merchantReference":$ORDER,"amount":{"value":$AMOUNT,"currency":$CURRENCY},"success":"true","additionalData":{"hmacSignature":"@SIGNATURE@"}}"#,
    r#"{"name":$TYPE,"created_at":$TIME,"data":{"object":{"id":$PAYMENT,"amount":$AMOUNT,"currency":$CURRENCY,"merchant_order_id":$ORDER}}}"#,
    r#"{"mchid":"1900000001","trade_state":$TYPE,"success_time":$TIME,"transaction_id":$PAYMENT,"amount":{"total":$AMOUNT,"currency":$CURRENCY},"out_trade_no":$ORDER}"#,
];

/// What stands where the tokens are.
const GOOD: [(&str, [&str; 5]); 6] = [
    ("$AMOUNT", ["10230", "\"102.30\"", "10230", "102.30", "10230"]),
    ("$CURRENCY", ["\"eur\"", "\"EUR\"", "\"EUR\"", "\"EUR\"", "\"CNY\""]),
    ("$PAYMENT", ["\"P1\""; 5]),
    ("$ORDER", ["\"A-1\""; 5]),
    (
        "$TIME",
        [
            "1795247995",
            "\"2026-11-21T07:59:55Z\"",
            "\"2026-11-21T07:59:55Z\"",
            "\"2026-11-21T07:59:55Z\"",
            "\"2026-11-21T07:59:55Z\"",
        ],
    ),
    (
        "$TYPE",
        [
            "\"payment_intent.succeeded\"",
            "\"PAYMENT.CAPTURE.COMPLETED\"",
            "\"CAPTURE\"",
            "\"payment_intent.succeeded\"",
            "\"SUCCESS\"",
        ],
    ),
];

/// The template of a column, with something else where a token is.
fn filled(column: usize, token: &str, value: &str) -> String {
    assert!(TEMPLATES[column].contains(token), "{token}");
    let changed = TEMPLATES[column].replace(token, value);
    GOOD.iter().fold(changed, |text, (token, good)| text.replace(token, good[column]))
}

fn good(column: usize) -> String {
    filled(column, "$TYPE", GOOD[5].1[column])
}

/// What is written in a token's place, and how each gateway is answered.
type Row = (&'static str, String, [u16; 5]);

const BAD: [u16; 5] = [400; 5];
const CANNOT: [u16; 5] = [422; 5];
const FINE: [u16; 5] = [200; 5];

fn amounts() -> Vec<Row> {
    let row = |name, text: &str, wanted| (name, text.to_owned(), wanted);
    vec![
        row("not a number", "NaN", BAD),
        row("beyond all numbers", "-Infinity", BAD),
        row("beyond floats", "1e999", BAD),
        row("a power", "10230e0", BAD),
        row("with a plus", "+1", BAD),
        row("in hex", "0x10", BAD),
        row("led by a zero", "010230", BAD),
        row("a list", "[10230]", BAD),
        row("an object", "{}", BAD),
        row("nothing", "null", BAD),
        row("a truth", "true", BAD),
        row("60,000 deep", &deep(60_000), BAD),
        row("of wide digits", "\"\u{ff11}\u{ff10}\"", BAD),
        row("of Arabic digits", "\"\u{661}\"", BAD),
        row("half a character", r#""\ud800""#, BAD),
        row("a NUL", r#""1\u0000""#, BAD),
        row("an empty text", r#""""#, BAD),
        row("a text with a space", r#"" 1""#, BAD),
        // A zero below zero is a zero, where amounts are whole.
        row("below zero by nothing", "-0", [200, 400, 200, 422, 200]),
        row("below zero by nothing, as a text", r#""-0""#, [400, 422, 200, 400, 400]),
        row("below zero", "-1", [422, 400, 422, 422, 422]),
        row("beyond 64 bits", "99999999999999999999", [422, 400, 422, 422, 422]),
        row("beyond what we count", "1000000000000001", [422, 400, 422, 422, 422]),
        row("of 150,000 digits", &"9".repeat(150_000), [422, 400, 422, 422, 422]),
        row("a fraction of 150,000 digits", &format!("0.{}1", "0".repeat(150_000)), [400, 400, 400, 422, 400]),
        row("a text of a number", r#""10230""#, [400, 200, 200, 400, 400]),
        row("in major units", "102.30", [400, 400, 400, 200, 400]),
        row("in major units, as a text", r#""102.30""#, [400, 200, 400, 400, 400]),
        row("finer than the currency", "102.301", [400, 400, 400, 422, 400]),
        row("finer than the currency, as a text", r#""102.301""#, [400, 422, 400, 400, 400]),
    ]
}

fn currencies() -> Vec<Row> {
    let row = |name, text: &str, wanted| (name, text.to_owned(), wanted);
    vec![
        row("small", r#""eur""#, [200, 422, 422, 422, 422]),
        row("of both cases", r#""eUr""#, [200, 422, 422, 422, 422]),
        row("of wide letters", "\"\u{ff25}\u{ff35}\u{ff32}\"", CANNOT),
        row("with a dotless i", "\"\u{131}sk\"", CANNOT),
        row("with a space", r#""EUR ""#, CANNOT),
        row("with a NUL", r#""EUR\u0000""#, CANNOT),
        row("of no state", r#""XXX""#, CANNOT),
        row("gold", r#""XAU""#, CANNOT),
        row("empty", r#""""#, CANNOT),
        row("a sign", "\"\u{20ac}\"", CANNOT),
        row("64 KiB", &quoted(&"E".repeat(65_536)), CANNOT),
        row("half a character", r#""\ud800""#, BAD),
        row("a list", r#"["EUR"]"#, BAD),
        row("a number", "978", [400, 400, 422, 400, 400]),
        // WeChat Pay leaves it out where it is the yuan.
        row("nothing", "null", [400, 400, 422, 400, 200]),
    ]
}

fn payments() -> Vec<Row> {
    let row = |name, text: &str, wanted| (name, text.to_owned(), wanted);
    vec![
        row("with the separator of keys", r#""stripe#P1""#, BAD),
        row("with a space", r#""P 1""#, BAD),
        row("with a NUL", r#""P1\u0000""#, BAD),
        row("with a new line", r#""P1\n""#, BAD),
        row("of wide letters", "\"\u{ff30}1\"", BAD),
        row("half a character", r#""\udfff\ud800""#, BAD),
        row("of 64 bytes", &quoted(&"P".repeat(64)), FINE),
        row("of 65 bytes", &quoted(&"P".repeat(65)), BAD),
        row("of 64 KiB", &quoted(&"P".repeat(65_536)), BAD),
        row("a list", r#"["P1"]"#, BAD),
        row("an object", r#"{"id":"P1"}"#, BAD),
        row("60,000 deep", &deep(60_000), BAD),
        // Of its fields Adyen signs what is written, and an item without another reference is of itself.
        row("a number", "7", [400, 400, 200, 400, 400]),
        row("empty", r#""""#, [400, 400, 200, 400, 400]),
        row("nothing", "null", [400, 400, 200, 400, 400]),
        row("with the separator of Adyen's", r#""P1:2""#, [200, 200, 400, 200, 200]),
    ]
}

/// None of these is an order of ours, and the money is kept where the rest can be read.
fn orders() -> Vec<Row> {
    let row = |name, text: &str, wanted| (name, text.to_owned(), wanted);
    vec![
        row("with the separator of keys", r#""A#1""#, FINE),
        row("that climbs", r#""../A-1""#, FINE),
        row("with a NUL", r#""A-1\u0000""#, FINE),
        row("of 65 bytes", &quoted(&"A".repeat(65)), FINE),
        row("of 64 KiB", &quoted(&"A".repeat(65_536)), FINE),
        row("a person", &quoted(CANARIES[0]), FINE),
        row("a card", &quoted(CANARIES[4]), FINE),
        row("empty", r#""""#, FINE),
        row("nothing", "null", FINE),
        row("half a character", r#""\ud800""#, [200, 200, 400, 200, 400]),
        row("a list", r#"["A-1"]"#, [200, 200, 400, 200, 400]),
        row("an object", r#"{"id":"A-1"}"#, [200, 200, 400, 200, 400]),
        row("60,000 deep", &deep(60_000), [200, 200, 400, 200, 400]),
    ]
}

fn times() -> Vec<Row> {
    let row = |name, text: &str, wanted| (name, text.to_owned(), wanted);
    vec![
        row("empty", r#""""#, BAD),
        row("before 1970", r#""1969-12-31T23:59:59Z""#, BAD),
        row("before 1970, as a number", "-1", BAD),
        row("after 9999", r#""10000-01-01T00:00:00Z""#, BAD),
        row("after 9999, as a number", "253402300800", BAD),
        row("the end of 64 bits", "9223372036854775807", BAD),
        row("the beginning of 64 bits", "-9223372036854775808", BAD),
        row("beyond floats", "1e999", BAD),
        row("a fraction", "1795247995.5", BAD),
        row("on a day that is none", r#""2026-02-30T00:00:00Z""#, BAD),
        row("of wide digits", "\"\u{ff12}026-11-21T07:59:55Z\"", BAD),
        row("half a character", r#""\ud800""#, BAD),
        row("of 64 KiB", &quoted(&"2".repeat(65_536)), BAD),
        row("cut between bytes of a letter", "\"\u{e9}\u{e9}\"", BAD),
        row("a list", "[1795247995]", BAD),
        row("nothing", "null", [400, 400, 400, 400, 200]),
    ]
}

/// WeChat Pay's type stands outside of what it encrypts; its column is of a word that nobody reads.
fn types() -> Vec<Row> {
    let row = |name, text: &str, wanted| (name, text.to_owned(), wanted);
    vec![
        row("a person", &quoted(CANARIES[0]), FINE),
        row("a card", &quoted(CANARIES[4]), FINE),
        row("a line of a log", r#""x\n{\"outcome\":\"applied\"}""#, FINE),
        row("of 64 KiB", &quoted(&"t".repeat(65_536)), FINE),
        row("empty", r#""""#, FINE),
        row("a list", r#"["CAPTURE"]"#, [400, 400, 400, 400, 200]),
        row("half a character", r#""\ud800""#, [400, 400, 400, 400, 200]),
        row("nothing", "null", [400, 400, 200, 400, 200]),
        row("a number", "7", [400, 400, 200, 400, 200]),
    ]
}

#[tokio::test]
async fn every_trick_in_a_field_has_its_answer_at_every_gateway() {
    let mut tried = 0;
    for (token, rows) in [
        ("$AMOUNT", amounts()),
        ("$CURRENCY", currencies()),
        ("$PAYMENT", payments()),
        ("$ORDER", orders()),
        ("$TIME", times()),
        ("$TYPE", types()),
    ] {
        for (name, value, wanted) in rows {
            for (column, gateway) in JSON.into_iter().enumerate() {
                let request = through_gateway(Draft::new(gateway, filled(column, token, &value)).signed());
                let (code, ledger) = send(&Shop::new(), request).await;
                assert_eq!(code, wanted[column], "{gateway:?}: {token} {name}");
                if token == "$ORDER" {
                    assert!(entries(&ledger).iter().all(|event| event.order.is_none()), "{gateway:?}: {name}");
                }
                if token == "$TYPE" && gateway != Gateway::Wechatpay {
                    assert!(ledger.is_empty(), "{gateway:?}: {name}");
                }
                tried += 1;
            }
        }
    }
    println!("tricks in fields: {tried}");
}

/// Shapes that a whole content may have, made of a good one.
fn shapes(good: &str) -> Vec<(&'static str, String, u16)> {
    let first = good.split(',').next().unwrap_or_default().trim_start_matches('{').to_owned();
    vec![
        ("as it is", good.to_owned(), 200),
        ("nothing", String::new(), 400),
        ("null", "null".to_owned(), 400),
        ("a list of it", format!("[{good}]"), 400),
        ("a text of it", Value::from(good).to_string(), 400),
        ("it twice", good.repeat(2), 400),
        ("a byte order mark before it", format!("\u{feff}{good}"), 400),
        ("a NUL behind it", format!("{good}\0"), 400),
        ("space around it", format!(" \r\n\t{good}\n"), 200),
        ("a key that comes twice", with(good, &first), 400),
        ("brackets all the way", "[".repeat(150_000), 400),
        ("objects all the way", r#"{"a":"#.repeat(30_000), 400),
        ("an unread field 50,000 deep", with(good, &format!("\"x\":{}", deep(50_000))), 200),
        ("an unread field with half a character", with(good, r#""x":"\ud800""#), 200),
        ("an unread number beyond floats", with(good, r#""x":-1e-999999"#), 200),
        ("an unread key with a NUL", with(good, r#""\u0000":0"#), 200),
    ]
}

#[tokio::test]
async fn every_shape_of_a_body_has_its_answer_at_every_gateway() {
    for (column, gateway) in JSON.into_iter().enumerate() {
        for (name, content, wanted) in shapes(&good(column)) {
            let request = through_gateway(Draft::new(gateway, content).signed());
            assert_eq!(send(&Shop::new(), request).await.0, wanted, "{gateway:?}: {name}");
        }
        let broken = good(column).replace("\"A-1\"", "\"\u{fffd}\"").into_bytes();
        let position = broken.windows(3).position(|bytes| bytes == "\u{fffd}".as_bytes()).unwrap();
        let broken = [&broken[..position], b"\xff", &broken[position + 3..]].concat();
        if let Some(request) = signed_bytes(gateway, &broken) {
            assert_eq!(send(&Shop::new(), through_gateway(request)).await.0, 400, "{gateway:?}: broken UTF-8");
        }
    }
}

/// Bytes that are no text, where the signature is over bytes.
fn signed_bytes(gateway: Gateway, body: &[u8]) -> Option<Request> {
    let seconds = NOW / 1_000;
    match gateway {
        Gateway::Stripe => {
            let signature = stripe::sign(&secret(STRIPE_SECRET), seconds, body);
            Some(support::request("POST", "/payments/stripe", &[("stripe-signature", &signature)], body))
        }
        Gateway::Airwallex => {
            let time = NOW.to_string();
            let signature = airwallex::sign(&secret(AIRWALLEX_SECRET), &time, body);
            let headers = [("x-timestamp", time.as_str()), ("x-signature", &signature)];
            Some(support::request("POST", "/payments/airwallex", &headers, body))
        }
        Gateway::Paypal | Gateway::Adyen | Gateway::Alipay | Gateway::Wechatpay => None,
    }
}

#[tokio::test]
async fn a_notification_of_adyen_holds_1_to_100_items_that_are_each_signed() {
    let item = adyen_item(&good(ADYEN));
    let wrapped = notification(std::slice::from_ref(&item));
    let with_time = |time: &str| item.replace("2026-11-21T07:59:55Z", time);
    for (name, body, wanted, kept) in [
        ("no items", notification(&[]), 400, 0),
        ("100 of one", notification(&vec![item.clone(); 100]), 200, 1),
        ("101 of one", notification(&vec![item.clone(); 101]), 400, 0),
        ("one that is later, which nobody signed", notification(&[with_time("2026-11-21T08:00:00Z")]), 200, 1),
        ("one at no time", notification(&[item.clone(), with_time("yesterday")]), 400, 0),
        ("items as an object", wrapped.replace(":[{", ":{\"a\":{").replace("}]}", "}}}"), 400, 0),
        ("items that are null", r#"{"notificationItems":null}"#.to_owned(), 401, 0),
        ("items and a type", with(&wrapped, r#""type":"merchant.created""#), 200, 1),
        ("an item in a list", wrapped.replace(&item, &format!("[{item}]")), 400, 0),
        ("an item of two signatures", with_signature(&item, r#""AAAA","hmacSignature":"AAAA""#), 400, 0),
        ("a signature that is a number", with_signature(&item, "7"), 400, 0),
        ("a signature in a list", with_signature(&item, r#"["AAAA"]"#), 400, 0),
        ("a signature that is nothing", with_signature(&item, "null"), 401, 0),
        ("a signature that is empty", with_signature(&item, r#""""#), 401, 0),
        ("items twice", with(&wrapped, r#""notificationItems":[]"#), 400, 0),
    ] {
        let request = support::request("POST", "/payments/adyen", &[], body);
        let (code, ledger) = send(&Shop::new(), through_gateway(request)).await;
        assert_eq!((code, entries(&ledger).len()), (wanted, kept), "{name}");
    }
}

/// A notification of the item with this in the place of its signature.
fn with_signature(item: &str, signature: &str) -> String {
    let (head, _) = item.split_once(r#""hmacSignature":"#).unwrap();
    notification(&[format!(r#"{head}"hmacSignature":{signature}}}}}"#)])
}

/// A merchant's order number may hold the separator of what Adyen signs. The border between it and the account
/// before it must not move: the rest of the number would be somebody else's order.
#[tokio::test]
async fn fields_of_adyen_cannot_trade_places_within_what_was_signed() {
    let item = |account: &str, reference: &str| {
        with(&filled(ADYEN, "$ORDER", &quoted(reference)), &format!(r#""merchantAccountCode":"{account}""#))
    };
    let good = adyen_item(&item("Shop", "elsewhere:A-1"));
    let string = adyen::string_to_sign(&good);
    let moved = good.replace(r#""Shop""#, r#""Shop:elsewhere""#).replace(r#""elsewhere:A-1""#, r#""A-1""#);
    assert_eq!((string.is_some(), adyen::string_to_sign(&moved)), (true, string));
    for (item, wanted) in [(good, 200), (moved, 400)] {
        let request = support::request("POST", "/payments/adyen", &[], notification(std::slice::from_ref(&item)));
        let (code, ledger) = send(&Shop::new(), request).await;
        assert_eq!(code, wanted, "{item}");
        assert!(entries(&ledger).iter().all(|event| event.order.is_none()), "{item}");
    }
}

fn alipay_fields(changes: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut fields: BTreeMap<&str, &str> = BTreeMap::from([
        ("app_id", "2026000000000001"),
        ("seller_id", "2088000000000001"),
        ("notify_id", "n1"),
        ("notify_type", "trade_status_sync"),
        ("notify_time", "2026-11-21 16:00:00"),
        ("trade_status", "TRADE_SUCCESS"),
        ("trade_no", "P1"),
        ("out_trade_no", "A-1"),
        ("total_amount", "102.30"),
        ("gmt_payment", "2026-11-21 15:59:55"),
        ("sign_type", "RSA2"),
    ]);
    fields.extend(changes.iter().copied());
    fields.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// What is changed in a good form, and how it is answered.
type FormTrick<'a> = (&'a str, Vec<(&'a str, &'a str)>, u16);

#[tokio::test]
async fn every_trick_in_a_form_of_alipay_has_its_answer() {
    let long = "9".repeat(65_536);
    let many: Vec<(String, String)> = (0..5_000).map(|number| (format!("f{number}"), "x".to_owned())).collect();
    let table: Vec<FormTrick<'_>> = vec![
        ("as it is", vec![], 200),
        ("an amount beyond floats", vec![("total_amount", "1e999")], 400),
        ("an amount that is not a number", vec![("total_amount", "NaN")], 400),
        ("an amount of wide digits", vec![("total_amount", "\u{ff11}")], 400),
        ("an amount with a comma", vec![("total_amount", "1,000.00")], 400),
        ("an empty amount", vec![("total_amount", "")], 400),
        ("an amount below zero", vec![("total_amount", "-0.01")], 422),
        ("an amount below zero by nothing", vec![("total_amount", "-0")], 422),
        ("an amount of 64 KiB", vec![("total_amount", &long)], 422),
        ("an amount finer than a fen", vec![("total_amount", "0.001")], 422),
        ("a refund that is not a number", vec![("refund_fee", "all of it")], 400),
        ("a payment with the separator of keys", vec![("trade_no", "alipay#P1")], 400),
        ("a payment of 64 KiB", vec![("trade_no", &long)], 400),
        ("a payment with a NUL", vec![("trade_no", "P1\0")], 400),
        ("an order with the separator of keys", vec![("out_trade_no", "A#1")], 200),
        ("an order of 64 KiB", vec![("out_trade_no", &long)], 200),
        ("an order that is a person", vec![("out_trade_no", CANARIES[0])], 200),
        ("a status that is a person", vec![("trade_status", CANARIES[0])], 200),
        ("a status in another case", vec![("trade_status", "trade_success")], 200),
        ("a type that is a card", vec![("notify_type", CANARIES[4])], 200),
        ("a time that is none", vec![("gmt_payment", "2026-02-30 00:00:00")], 400),
        ("a time with a zone", vec![("gmt_payment", "2026-11-21T15:59:55Z")], 400),
        ("a time before 1970", vec![("gmt_payment", "1900-01-01 00:00:00")], 400),
        ("another app", vec![("app_id", "2026000000000002")], 422),
        ("another seller", vec![("seller_id", " 2088000000000001")], 422),
        ("the older signature", vec![("sign_type", "RSA")], 401),
        ("a signature of another case", vec![("sign_type", "rsa2")], 401),
        ("a field without a name", vec![("", "x")], 200),
        ("a field with signs of forms in its name", vec![("a&b=c", "x")], 401),
        ("a field with signs of forms in its value", vec![("a", "x=y&z")], 200),
        ("a field of broken escapes", vec![("x", "%zz%"), ("y\0", "\u{202e}")], 200),
        ("an array of amounts", vec![("total_amount[]", "0.01")], 200),
        ("the amount in another case", vec![("TOTAL_AMOUNT", "0.01")], 200),
    ];
    for (name, changes, wanted) in table {
        let request = through_gateway(signed(Gateway::Alipay, form(&alipay_fields(&changes))));
        assert_eq!(send(&Shop::new(), request).await.0, wanted, "{name}");
    }
    let fields = [alipay_fields(&[]), many].concat();
    let request = through_gateway(signed(Gateway::Alipay, form(&fields)));
    assert_eq!(send(&Shop::new(), request).await.0, 200, "5,000 fields");
}

#[tokio::test]
async fn a_form_of_alipay_that_was_put_together_otherwise_is_refused_or_says_the_same() {
    let good = signed(Gateway::Alipay, form(&alipay_fields(&[("body", "x & y"), ("refund_fee", "2.00")])));
    let good = Request { headers: Vec::new(), ..good };
    let body = String::from_utf8(good.body.clone().unwrap()).unwrap();
    let fields: Vec<(String, String)> = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let turned: Vec<_> = fields.iter().rev().cloned().collect();
    let said = send(&Shop::new(), good.clone()).await;
    for (name, body, is_same) in [
        ("in another order", form(&turned), true),
        ("empty fields between", body.replace('&', "&&"), true),
        ("a space as an escape", body.replace('+', "%20"), true),
        ("everything escaped", escaped(&fields), true),
        ("a field that comes twice", format!("{body}&total_amount=102.30"), false),
        ("a signature that comes twice", format!("{body}&sign=AAAA"), false),
        ("one more field", format!("{body}&x=1"), false),
        ("one more field that is empty", format!("{body}&x"), false),
        ("one field less", body.replacen("notify_id=n1&", "", 1), false),
        ("no signature", body.replace("sign=", "sing="), false),
        ("no type of signature", body.replace("sign_type=RSA2", ""), false),
        ("as JSON", Value::from_iter(fields.clone()).to_string(), false),
    ] {
        let (code, ledger) = send(&Shop::new(), Request { body: Ok(body.into_bytes()), ..good.clone() }).await;
        match is_same {
            true => assert_eq!((code, &ledger), (200, &said.1), "{name}"),
            false => assert_eq!(code, 401, "{name}"),
        }
    }
}

/// Alipay signs `a=1&b=2` without escapes, so that one field may be hidden in the field before it: a refund would
/// then read as a capture.
#[tokio::test]
async fn no_field_of_alipay_hides_in_another() {
    let good = signed(Gateway::Alipay, form(&alipay_fields(&[("refund_fee", "2.00"), ("out_biz_no", "R1")])));
    let fields: Vec<(String, String)> = form_urlencoded::parse(good.body.as_ref().unwrap()).into_owned().collect();
    let mut tried = 0;
    for hidden in fields.iter().map(|(name, _)| name).filter(|name| !name.starts_with("sign")) {
        let sorted: BTreeMap<String, String> = fields.iter().cloned().collect();
        let Some((before, value)) = sorted.range(..hidden.clone()).rfind(|(name, _)| !name.starts_with("sign")) else {
            continue;
        };
        // In the value of the field before it, or with that field in its own name: the signed text is the same.
        let in_value = (before.clone(), format!("{value}&{hidden}={}", sorted[hidden]));
        let in_name = (format!("{before}={value}&{hidden}"), sorted[hidden].clone());
        for merged in [in_value, in_name] {
            let mut cut = sorted.clone();
            cut.remove(hidden);
            cut.remove(before);
            cut.insert(merged.0, merged.1);
            let body = form(&cut.into_iter().collect::<Vec<_>>());
            let (code, ledger) = send(&Shop::new(), Request { body: Ok(body.into_bytes()), ..good.clone() }).await;
            assert!(code == 401 && ledger.is_empty(), "{hidden}: {code}");
            tried += 1;
        }
    }
    assert!(tried > 16, "{tried}");
}

fn escaped(fields: &[(String, String)]) -> String {
    let escape = |text: &str| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
    fields.iter().map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect::<Vec<_>>().join("&")
}

/// Where a gateway's signature is, and its other spellings with how each is answered.
fn spellings(signature: &str) -> Vec<(&'static str, String, u16)> {
    let bytes = BASE64_STANDARD.decode(signature).unwrap();
    let (head, tail) = signature.split_at(8);
    vec![
        ("as it is", signature.to_owned(), 200),
        ("with a space in it", format!("{head} {tail}"), 401),
        ("with a new line in it", format!("{head}\r\n{tail}"), 401),
        ("with a new line behind it", format!("{signature}\n"), 401),
        ("without its padding", BASE64_STANDARD_NO_PAD.encode(&bytes), 401),
        ("with more padding", format!("{signature}="), 401),
        ("in the alphabet of URLs", format!("-_{}", &BASE64_URL_SAFE.encode(&bytes)[2..]), 401),
        ("in hex", bytes.iter().map(|byte| format!("{byte:02x}")).collect(), 401),
        ("one byte longer", BASE64_STANDARD.encode([&bytes[..], &[0]].concat()), 401),
        ("one byte shorter", BASE64_STANDARD.encode(&bytes[1..]), 401),
        ("of zeroes", BASE64_STANDARD.encode(vec![0; bytes.len()]), 401),
        ("of 64 KiB", BASE64_STANDARD.encode(vec![0xff; 65_536]), 401),
        ("of no base64", "!".to_owned(), 401),
        ("of padding alone", "====".to_owned(), 401),
        ("of wide letters", "\u{ff21}\u{ff21}\u{ff21}\u{ff21}".to_owned(), 401),
        ("a NUL", "\0".to_owned(), 401),
        ("a probe of WeChat Pay's", format!("WECHATPAY/SIGNTEST/{signature}"), 401),
        ("twice in one", format!("{signature},{signature}"), 401),
    ]
}

/// The signature of a gateway's good request, and the request with another one in its place.
fn claimed(gateway: Gateway) -> (String, impl Fn(&str) -> Request) {
    let good = goods(gateway);
    let body = String::from_utf8(good.body.clone().unwrap()).unwrap();
    let fields: Vec<(String, String)> = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let name = if gateway == Gateway::Paypal { "paypal-transmission-sig" } else { "wechatpay-signature" };
    let signature = match gateway {
        Gateway::Adyen => body.split_once(r#""hmacSignature":""#).unwrap().1.split('"').next().unwrap().to_owned(),
        Gateway::Alipay => fields.iter().find(|(name, _)| name == "sign").unwrap().1.clone(),
        Gateway::Stripe | Gateway::Paypal | Gateway::Airwallex | Gateway::Wechatpay => {
            good.header(name).unwrap().to_owned()
        }
    };
    let made = signature.clone();
    let with_claim = move |claim: &str| match gateway {
        Gateway::Adyen => {
            let body = body.replace(&quoted(&made), &Value::from(claim).to_string());
            Request { body: Ok(body.into_bytes()), ..good.clone() }
        }
        Gateway::Alipay => {
            let mut fields = fields.clone();
            fields.iter_mut().filter(|(name, _)| name == "sign").for_each(|(_, sign)| claim.clone_into(sign));
            Request { body: Ok(form(&fields).into_bytes()), ..good.clone() }
        }
        Gateway::Stripe | Gateway::Paypal | Gateway::Airwallex | Gateway::Wechatpay => with_header(&good, name, claim),
    };
    (signature, with_claim)
}

#[tokio::test]
async fn a_signature_in_base64_has_one_spelling() {
    for gateway in [Gateway::Paypal, Gateway::Wechatpay, Gateway::Adyen, Gateway::Alipay] {
        let (signature, with_claim) = claimed(gateway);
        for (spelling, claim, wanted) in spellings(&signature) {
            assert_eq!(send(&Shop::new(), with_claim(&claim)).await.0, wanted, "{gateway:?}: {spelling}");
        }
    }
}

#[tokio::test]
async fn every_trick_in_a_header_has_its_answer() {
    let stripe_signature = goods(Gateway::Stripe).header("stripe-signature").unwrap().to_owned();
    let (time, hex) = stripe_signature.split_once(",v1=").unwrap();
    let airwallex_hex = goods(Gateway::Airwallex).header("x-signature").unwrap().to_owned();
    let many = |count: usize| format!("{time}{},v1={hex}", ",v1=00".repeat(count));
    let table: Vec<(Gateway, &str, &str, String, u16)> = vec![
        (Gateway::Stripe, "stripe-signature", "in capitals", format!("{time},v1={}", hex.to_uppercase()), 200),
        (Gateway::Stripe, "stripe-signature", "of odd length", format!("{time},v1={}", &hex[1..]), 401),
        (Gateway::Stripe, "stripe-signature", "with a digit more", format!("{time},v1={hex}0"), 401),
        (Gateway::Stripe, "stripe-signature", "with a space", format!("{time}, v1={hex}"), 401),
        (Gateway::Stripe, "stripe-signature", "as the test scheme", format!("{time},v0={hex}"), 401),
        (Gateway::Stripe, "stripe-signature", "and others", format!("{time},v0=00,v1={hex},v1=00"), 200),
        (Gateway::Stripe, "stripe-signature", "the last of eight", many(7), 200),
        (Gateway::Stripe, "stripe-signature", "the last of nine", many(8), 401),
        (Gateway::Stripe, "stripe-signature", "the last of 10,000", many(10_000), 401),
        (Gateway::Stripe, "stripe-signature", "of two times", format!("{time},{stripe_signature}"), 401),
        (Gateway::Stripe, "stripe-signature", "twice", format!("{stripe_signature},{stripe_signature}"), 401),
        (Gateway::Stripe, "stripe-signature", "with a plus", stripe_signature.replace("t=", "t=+"), 401),
        (Gateway::Stripe, "stripe-signature", "of a time led by zero", stripe_signature.replace("t=", "t=0"), 401),
        (Gateway::Stripe, "stripe-signature", "of a time below zero", stripe_signature.replace("t=", "t=-"), 401),
        (Gateway::Stripe, "stripe-signature", "of wide digits", stripe_signature.replace("t=1", "t=\u{ff11}"), 401),
        (Gateway::Stripe, "stripe-signature", "of the end of time", format!("t={},v1={hex}", i64::MAX), 401),
        (Gateway::Stripe, "stripe-signature", "of the beginning", format!("t={},v1={hex}", i64::MIN), 401),
        (Gateway::Airwallex, "x-signature", "in capitals", airwallex_hex.to_uppercase(), 200),
        (Gateway::Airwallex, "x-signature", "of odd length", airwallex_hex[1..].to_owned(), 401),
        (Gateway::Airwallex, "x-signature", "of wide digits", airwallex_hex.replacen('a', "\u{ff41}", 1) + "0", 401),
        (Gateway::Airwallex, "x-timestamp", "below zero", format!("-{NOW}"), 401),
        (Gateway::Airwallex, "x-timestamp", "of wide digits", "\u{ff11}".to_owned(), 401),
        (Gateway::Airwallex, "x-timestamp", "of 64 KiB", "9".repeat(65_536), 401),
        (Gateway::Airwallex, "x-timestamp", "a digit less", NOW.to_string()[1..].to_owned(), 401),
        (Gateway::Paypal, "paypal-auth-algo", "in capitals", "SHA256WITHRSA".to_owned(), 200),
        (Gateway::Paypal, "paypal-auth-algo", "of none", "none".to_owned(), 401),
        (Gateway::Paypal, "paypal-auth-algo", "a weaker one", "SHA1withRSA".to_owned(), 401),
        (Gateway::Paypal, "paypal-auth-version", "of 64 KiB", "v".repeat(65_536), 200),
        (Gateway::Paypal, "paypal-transmission-id", "with the separator", "a|b".to_owned(), 401),
        (Gateway::Paypal, "paypal-transmission-id", "of 64 KiB", "a".repeat(65_536), 401),
        (Gateway::Wechatpay, "wechatpay-serial", "of another key", "PUB_KEY_ID_1".to_owned(), 401),
        (Gateway::Wechatpay, "wechatpay-serial", "of 64 KiB", "P".repeat(65_536), 401),
        (Gateway::Wechatpay, "wechatpay-timestamp", "with a plus", format!("+{}", NOW / 1_000), 401),
        (Gateway::Wechatpay, "wechatpay-timestamp", "the end of time", i64::MAX.to_string(), 401),
        (Gateway::Wechatpay, "wechatpay-timestamp", "the beginning", i64::MIN.to_string(), 401),
        (Gateway::Wechatpay, "wechatpay-timestamp", "in milliseconds", NOW.to_string(), 401),
        (Gateway::Wechatpay, "wechatpay-nonce", "with a line", "a\nb".to_owned(), 401),
        (Gateway::Wechatpay, "wechatpay-signature-type", "of another algorithm", "WECHATPAY2-SM2-WITH-SM3".into(), 401),
    ];
    for (gateway, header, name, value, wanted) in table {
        let (code, _) = send(&Shop::new(), with_header(&goods(gateway), header, &value)).await;
        assert_eq!(code, wanted, "{gateway:?}: {header} {name}");
    }
    for gateway in Gateway::ALL {
        let (good, before) = (goods(gateway), ("x-unread".to_owned(), "\0\u{ff11}\r\n".to_owned()));
        for position in 0..good.headers.len() {
            let mut doubled = good.clone();
            doubled.headers.insert(0, before.clone());
            doubled.headers.push(good.headers[position].clone());
            let is_read = !matches!(good.headers[position].0.as_str(), "content-type" | "paypal-auth-version");
            let wanted = if is_read { 401 } else { 200 };
            assert_eq!(send(&Shop::new(), doubled).await.0, wanted, "{gateway:?}: {:?}", good.headers[position].0);
        }
    }
}

#[tokio::test]
async fn a_timestamp_of_airwallex_is_as_long_as_it_was_signed() {
    let time = "0".repeat(4_096);
    let signature = airwallex::sign(&secret(AIRWALLEX_SECRET), &time, good(AIRWALLEX).as_bytes());
    let headers = [("x-timestamp", time.as_str()), ("x-signature", &signature)];
    let request = support::request("POST", "/payments/airwallex", &headers, good(AIRWALLEX));
    assert_eq!(send(&Shop::new(), request.clone()).await.0, 200);
    // Nothing separates the time from the body: a digit that moves between them leaves no object.
    let moved = Request { body: Ok([b"0", good(AIRWALLEX).as_bytes()].concat()), ..request };
    assert_eq!(send(&Shop::new(), with_header(&moved, "x-timestamp", &time[1..])).await.0, 400);
}

#[tokio::test]
async fn a_resource_of_wechat_pay_that_is_not_as_it_was_sealed_is_refused() {
    let body = String::from_utf8(goods(Gateway::Wechatpay).body.unwrap()).unwrap();
    let sent: Value = serde_json::from_str(&body).unwrap();
    let sealed = sent["resource"]["ciphertext"].as_str().unwrap();
    let bytes = BASE64_STANDARD.decode(sealed).unwrap();
    let mut flipped = bytes.clone();
    flipped[0] ^= 1;
    let long = "0".repeat(65_536);
    for (name, pointer, value, wanted) in [
        ("a flipped bit", "/resource/ciphertext", json!(BASE64_STANDARD.encode(&flipped)), 401),
        ("its tag alone", "/resource/ciphertext", json!(BASE64_STANDARD.encode(&bytes[bytes.len() - 16..])), 401),
        ("less than a tag", "/resource/ciphertext", json!(BASE64_STANDARD.encode(&bytes[..15])), 401),
        ("base64 with a space", "/resource/ciphertext", json!(sealed.replacen('A', "A ", 1)), 401),
        ("base64 of URLs", "/resource/ciphertext", json!(format!("-_{}", &sealed[2..])), 401),
        ("no base64", "/resource/ciphertext", json!("!"), 401),
        ("a list", "/resource/ciphertext", json!([sealed]), 400),
        ("no nonce", "/resource/nonce", json!(""), 401),
        ("a nonce of 13 bytes", "/resource/nonce", json!("0123456789abc"), 401),
        ("a nonce of 64 KiB", "/resource/nonce", json!(long), 401),
        ("a nonce of wide digits", "/resource/nonce", json!("\u{ff11}\u{ff11}\u{ff11}\u{ff11}"), 401),
        ("a nonce that is a number", "/resource/nonce", json!(7), 400),
        ("other data beside it", "/resource/associated_data", json!("refund"), 401),
        ("no data beside it", "/resource/associated_data", json!(null), 401),
        ("another algorithm", "/resource/algorithm", json!("AEAD_SM4_GCM"), 401),
        ("no resource", "/resource", json!(null), 400),
        ("a resource in a list", "/resource", json!([sent["resource"]]), 400),
        ("a type of another kind", "/event_type", json!("REFUND.SUCCESS"), 400),
        ("a type that is a person", "/event_type", json!(CANARIES[0]), 200),
        ("a type of 64 KiB", "/event_type", json!(long), 200),
        ("a type that is a number", "/event_type", json!(7), 400),
        ("no time", "/create_time", json!(null), 400),
        ("a summary that is a person", "/summary", person(), 200),
    ] {
        let mut changed = sent.clone();
        *changed.pointer_mut(pointer).unwrap() = value;
        let request = through_gateway(signed(Gateway::Wechatpay, changed.to_string()));
        assert_eq!(send(&Shop::new(), request).await.0, wanted, "{name}");
    }
    for (name, plaintext, wanted) in [
        ("a merchant that is a number", good(WECHATPAY).replace("\"1900000001\"", "1900000001"), 400),
        ("another merchant", good(WECHATPAY).replace("1900000001", "1900000002"), 422),
        ("two merchants", with(&good(WECHATPAY), r#""mchid":"1900000002""#), 400),
        ("a merchant 50,000 deep", good(WECHATPAY).replace("\"1900000001\"", &deep(50_000)), 400),
        ("a field 50,000 deep", with(&good(WECHATPAY), &format!("\"x\":{}", deep(50_000))), 200),
    ] {
        let request = through_gateway(Draft::new(Gateway::Wechatpay, plaintext).signed());
        assert_eq!(send(&Shop::new(), request).await.0, wanted, "{name}");
    }
}

#[tokio::test]
async fn an_unread_field_may_be_deeper_than_any_stack() {
    for column in [STRIPE, PAYPAL, ADYEN, AIRWALLEX] {
        let request = through_gateway(Draft::new(JSON[column], deepened(&good(column))).signed());
        assert_eq!(send(&Shop::new(), request).await.0, 200, "{:?}", JSON[column]);
    }
}

/// A good capture in a body of this many bytes.
fn padded(gateway: Gateway, bytes: usize) -> Request {
    let good = goods(gateway);
    let body = String::from_utf8(good.body.clone().unwrap()).unwrap();
    match gateway {
        // Nothing between two signs is no field.
        Gateway::Alipay => {
            Request { body: Ok(format!("{body}{}", "&".repeat(bytes - body.len())).into_bytes()), ..good }
        }
        // The space around items is not signed.
        Gateway::Adyen => {
            Request { body: Ok(format!("{body}{}", " ".repeat(bytes - body.len())).into_bytes()), ..good }
        }
        Gateway::Stripe | Gateway::Paypal | Gateway::Airwallex | Gateway::Wechatpay => {
            signed(gateway, format!("{body}{}", " ".repeat(bytes - body.len())))
        }
    }
}

#[tokio::test]
async fn a_callback_is_read_up_to_its_limit_and_no_byte_more() {
    for gateway in Gateway::ALL {
        for (bytes, wanted) in [(BODY_BYTES_MAX, 200), (BODY_BYTES_MAX + 1, 413), (257 * 1_024, 413)] {
            let request = padded(gateway, bytes);
            assert_eq!(request.body.as_ref().unwrap().len(), bytes);
            assert_eq!(send(&Shop::new(), through_gateway(request)).await.0, wanted, "{gateway:?} {bytes}");
        }
        let noise = Request { body: Ok(vec![0xff; BODY_BYTES_MAX + 1]), ..goods(gateway) };
        assert_eq!(send(&Shop::new(), through_gateway(noise)).await.0, 413, "{gateway:?}: no text");
    }
}

/// Keys that cannot be read, in PEM: of another kind, cut off, or nothing.
fn keys_of_another_kind() -> Vec<(&'static str, String)> {
    let (public, certificate) = (simulated::ALIPAY_PUBLIC_KEY, simulated::PAYPAL_CERTIFICATE);
    let pem = |kind: &str, base64: &str| format!("-----BEGIN {kind}-----\n{base64}\n-----END {kind}-----\n");
    let bare: String = public.lines().filter(|line| !line.starts_with('-')).collect();
    vec![
        ("nothing", String::new()),
        ("no PEM", "!".to_owned()),
        ("a private key by name", pem("PRIVATE KEY", &bare)),
        ("a key of Ed25519", pem("PUBLIC KEY", "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=")),
        ("a certificate that is a key", pem("CERTIFICATE", &bare)),
        ("a key with spaces of another alphabet", public.replace('+', "-")),
        ("a key cut off", public[..public.len() / 2].to_owned()),
        ("a certificate cut off", certificate[..certificate.len() / 2].to_owned()),
        ("no bytes", pem("PUBLIC KEY", "")),
        ("64 KiB", pem("PUBLIC KEY", &"A".repeat(65_536))),
        ("a NUL", pem("PUBLIC KEY", "\0")),
    ]
}

#[tokio::test]
async fn a_key_of_another_kind_lets_nobody_in_and_is_not_replaced_by_one_from_elsewhere() {
    let section: Value = serde_json::from_str(simulated::SECTION).unwrap();
    let url = section["paypal"]["certificates"].as_object().unwrap().keys().next().unwrap().clone();
    let serial = section["wechatpay"]["public_keys"].as_object().unwrap().keys().next().unwrap().clone();
    let mut cases = Vec::new();
    for (name, pem) in keys_of_another_kind() {
        cases.push((Gateway::Paypal, name, "/paypal/certificates", json!({url.as_str(): pem}), 401));
        cases.push((Gateway::Alipay, name, "/alipay/public_keys", json!([pem]), 401));
        cases.push((Gateway::Wechatpay, name, "/wechatpay/public_keys", json!({serial.as_str(): pem}), 401));
    }
    for (name, key, wanted) in [
        ("hex of odd length", &ADYEN_KEY[1..], 401),
        ("no hex", "zz", 401),
        ("hex with spaces", " 6c6f", 401),
        ("nothing", "", 404),
    ] {
        cases.push((Gateway::Adyen, name, "/adyen/hmac_keys", json!([key]), wanted));
    }
    cases.push((Gateway::Wechatpay, "31 bytes", "/wechatpay/api_v3_key", json!(&API_V3_KEY[1..]), 401));
    for (gateway, name, pointer, value, wanted) in cases {
        let mut section = section.clone();
        *section.pointer_mut(pointer).unwrap() = value;
        let shop = Shop::new();
        shop.secrets.set(Some(Secrets::from_json(&json!({"gateways": section}).to_string()).unwrap()));
        assert_eq!(send(&shop, goods(gateway)).await.0, wanted, "{gateway:?}: {name}");
        assert_eq!(shop.certificates.readings(), 0, "{gateway:?}: {name}");
    }
}
