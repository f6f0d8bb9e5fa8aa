//! Which gateway is believed, and what it then said: every published vector and sample, every flipped bit, every
//! movement that the simulated gateways can tell, and the rates that money is converted by.

use std::collections::{BTreeMap, HashMap};

use adapters::secrets::Secrets;
use domain::{Currency, Gateway, Money, MovementKind, OrderId, PaymentEvent, PaymentId, PaymentKey};
use domain::{TransactionId, UnixMillis};
use protocols::gateway::paypal::{self, CertificateUrl};
use protocols::gateway::{Callback, Credentials, Item, PublicKey, adyen, airwallex, alipay, stripe, wechatpay};
use protocols::{Refusal, ecb};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use simulators::gateway::{self as simulated, CallbackRequest, Capture, Keys};

use crate::support::{flips, secret, text_flips};

/// 2026-11-21T08:00:00Z.
fn now() -> UnixMillis {
    UnixMillis::new(1_795_248_000_000).unwrap()
}

fn at(seconds: i64) -> UnixMillis {
    UnixMillis::from_seconds(seconds).unwrap()
}

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

type Headers = Vec<(String, String)>;

fn headers(headers: &[(&str, &str)]) -> Headers {
    headers.iter().map(|(name, value)| (name.to_lowercase(), (*value).to_owned())).collect()
}

fn judged(
    credentials: &Credentials,
    gateway: Gateway,
    headers: &[(String, String)],
    body: &[u8],
    now: UnixMillis,
) -> Result<Vec<Item>, Refusal> {
    Callback::new(gateway, headers.to_vec(), body.to_vec()).verify(credentials, None, now)?.read()
}

/// One line an item; a refusal is its code.
fn shown(judged: Result<Vec<Item>, Refusal>) -> Vec<String> {
    let line = |item: Item| match item {
        Item::Silent { kind } => format!("silent {kind}"),
        Item::Unknown { kind } => format!("unknown {kind}"),
        Item::Movement(payment) => {
            let event = payment.event();
            let order = event.order.as_ref().map_or("-", OrderId::as_str);
            let (payment, transaction) = (&event.payment.payment_id, &event.transaction_id);
            let at = event.occurred_at.to_rfc3339();
            format!("{} {payment} {transaction} {} {order} {at}", event.kind.as_str(), event.money)
        }
    };
    judged.map_or_else(|refusal| vec![refusal.code().to_owned()], |items| items.into_iter().map(line).collect())
}

#[derive(Deserialize)]
struct StripeCase {
    name: String,
    secret: String,
    timestamp: Option<i64>,
    now: i64,
    payload: String,
    header: String,
    expected_valid: bool,
    expected_v1: Option<String>,
}

#[test]
fn every_published_stripe_signature_is_judged_as_published() {
    for case in cases::<StripeCase>(include_str!("../fixtures/vectors/stripe.json"), 7) {
        let credentials = Credentials::Stripe(stripe::Credentials { signing_secrets: vec![secret(&case.secret)] });
        let callback = Callback::new(
            Gateway::Stripe,
            headers(&[("Stripe-Signature", &case.header)]),
            case.payload.clone().into_bytes(),
        );
        let verified = callback.verify(&credentials, None, at(case.now));
        assert_eq!(verified.is_ok(), case.expected_valid, "{}: {verified:?}", case.name);
        if let Some(v1) = case.expected_v1 {
            let signed = stripe::sign(&secret(&case.secret), case.timestamp.unwrap(), case.payload.as_bytes());
            assert_eq!((signed.as_str(), signed.split_once("v1=").unwrap().1), (case.header.as_str(), v1.as_str()));
        }
    }
}

#[derive(Deserialize)]
struct PaypalCase {
    name: String,
    #[serde(default)]
    headers: HashMap<String, Option<String>>,
    webhook_id: Option<String>,
    body: Option<String>,
    message: Option<String>,
    crc32: Option<u32>,
    certificate_pem: Option<String>,
    public_key_spki_pem: Option<String>,
    of: Option<String>,
    urls: Option<Vec<String>>,
    text: Option<String>,
}

/// Where a published case says nothing of its certificate's address.
const CERTIFICATE: &str = "https://api.sandbox.paypal.com/v1/notifications/certs/CERT-1";

impl PaypalCase {
    fn url(&self) -> String {
        self.headers["PAYPAL-CERT-URL"].clone().unwrap_or_else(|| CERTIFICATE.to_owned())
    }

    fn callback(&self, url: &str, body: &str) -> Callback<protocols::gateway::Unverified> {
        let given = self.headers.iter().map(|(name, value)| (name.to_lowercase(), value.clone()));
        let headers = given.map(|(name, value)| (name, value.unwrap_or_else(|| url.to_owned())));
        let headers =
            headers.map(|(name, value)| if name == "paypal-cert-url" { (name, url.into()) } else { (name, value) });
        Callback::new(Gateway::Paypal, headers.collect(), body.as_bytes().to_vec())
    }

    fn key(&self) -> PublicKey {
        PublicKey::from_certificate(self.certificate_pem.as_ref().unwrap()).unwrap()
    }

    fn credentials(&self, certificates: HashMap<String, Option<PublicKey>>) -> Credentials {
        let webhook_id = self.webhook_id.clone().unwrap();
        Credentials::Paypal(paypal::Credentials { webhook_id, certificates })
    }
}

#[test]
fn every_published_paypal_signature_is_judged_as_published() {
    let cases = cases::<PaypalCase>(include_str!("../fixtures/vectors/paypal.json"), 8);
    let (mut signed, mut checksums) = (0, 0);
    for case in &cases {
        if let (Some(text), Some(crc32)) = (&case.text, case.crc32) {
            assert_eq!(paypal::message("", "", "", text.as_bytes()), format!("|||{crc32}"), "{}", case.name);
            checksums += 1;
        }
        let (Some(body), Some(message)) = (&case.body, &case.message) else { continue };
        let header = |name: &str| case.headers[name].clone().unwrap();
        let (id, time) = (header("PAYPAL-TRANSMISSION-ID"), header("PAYPAL-TRANSMISSION-TIME"));
        assert_eq!(paypal::message(&id, &time, case.webhook_id.as_ref().unwrap(), body.as_bytes()), *message);
        if let Some(pem) = &case.public_key_spki_pem {
            assert_eq!(PublicKey::from_pem(pem), Some(case.key()));
        }
        let wanted = match case.name.as_str() {
            "java_sdk" => "unknown BILLING.PLAN.CREATED",
            "python_sdk" => "captured 4EU7004268015634R 4EU7004268015634R 20.00 USD - 2015-05-18T15:45:13.000Z",
            "node_sdk" => "captured 8RS6210148826604N 8RS6210148826604N 6.01 USD - 2016-10-05T14:57:40.000Z",
            name => panic!("{name}"),
        };
        let (url, callback) = (case.url(), case.callback(&case.url(), body));
        let pinned = case.credentials(HashMap::from([(url.clone(), Some(case.key()))]));
        assert_eq!(callback.wanted_certificate(&pinned), Ok(None));
        assert_eq!(shown(callback.verify(&pinned, None, now()).and_then(Callback::read)), [wanted]);
        let (none, key) = (case.credentials(HashMap::new()), case.key());
        assert_eq!(callback.wanted_certificate(&none).unwrap().unwrap().as_str(), url);
        assert_eq!(shown(callback.verify(&none, Some(&key), now()).and_then(Callback::read)), [wanted]);
        signed += 1;
    }
    assert_eq!((signed, checksums), (3, 3));

    let named = |name: &str| cases.iter().find(|case| case.name == name).unwrap();
    let changed = named(named("negative_body_space_added").of.as_ref().unwrap());
    let body = format!("{} ", changed.body.as_ref().unwrap());
    let credentials = changed.credentials(HashMap::from([(changed.url(), Some(changed.key()))]));
    let judged = changed.callback(&changed.url(), &body).verify(&credentials, None, now());
    assert_eq!(judged.err(), Some(Refusal::SignatureInvalid));
}

/// Addresses that are not PayPal's, though some read like it.
const STRANGE_URLS: [&str; 14] = [
    "HTTPS://api.paypal.com/v1/notifications/certs/CERT-x",
    "https://user@api.paypal.com/v1/notifications/certs/CERT-x",
    "https://user:password@api.paypal.com/v1/notifications/certs/CERT-x",
    "https://api.paypal.com./v1/notifications/certs/CERT-x",
    "https://api.paypal.com:8443/v1/notifications/certs/CERT-x",
    "https://api.paypal.com.evil/v1/notifications/certs/CERT-x",
    "https://paypal.com.evil/v1/notifications/certs/CERT-x",
    "https://127.0.0.1/v1/notifications/certs/CERT-x",
    "https://[::ffff:127.0.0.1]/v1/notifications/certs/CERT-x",
    "https://p\u{430}ypal.com/v1/notifications/certs/CERT-x",
    "https://\u{24df}aypal.com/v1/notifications/certs/CERT-x",
    "https://evil.example/#.paypal.com/v1/notifications/certs/CERT-x",
    "https://evil.example\\.paypal.com/v1/notifications/certs/CERT-x",
    "file:///v1/notifications/certs/CERT-x",
];

#[test]
fn a_good_signature_with_a_certificate_from_elsewhere_is_refused_and_nothing_is_fetched() {
    let cases = cases::<PaypalCase>(include_str!("../fixtures/vectors/paypal.json"), 8);
    let published = cases.iter().find_map(|case| case.urls.clone()).unwrap();
    assert_eq!(published.len(), 5);
    let (good, key) = (&cases[0], cases[0].key());
    let body = good.body.as_ref().unwrap();
    for url in published.iter().map(String::as_str).chain(STRANGE_URLS) {
        let (callback, credentials) = (good.callback(url, body), good.credentials(HashMap::new()));
        assert_eq!(CertificateUrl::new(url), None, "{url}");
        assert_eq!(callback.wanted_certificate(&credentials), Err(Refusal::SignatureInvalid), "{url}");
        let judged = callback.verify(&credentials, Some(&key), now());
        assert_eq!(judged.err(), Some(Refusal::SignatureInvalid), "{url}");
    }
}

#[derive(Deserialize)]
struct AdyenCase {
    name: String,
    hmac_key_hex: String,
    item: Option<Value>,
    string_to_sign: Option<String>,
    expected: Option<String>,
    signature: Option<String>,
}

fn adyen_credentials(key: &str, capture: adyen::Capture) -> Credentials {
    Credentials::Adyen(adyen::Credentials { hmac_keys: vec![secret(key)], capture })
}

fn notification(item: &Value) -> Vec<u8> {
    json!({"live": "false", "notificationItems": [{"NotificationRequestItem": item}]}).to_string().into_bytes()
}

#[test]
fn every_published_adyen_signature_is_judged_as_published() {
    let mut read = Vec::new();
    for case in cases::<AdyenCase>(include_str!("../fixtures/vectors/adyen.json"), 8) {
        let credentials = adyen_credentials(&case.hmac_key_hex, adyen::Capture::Automatic);
        let claimed = case.signature.or(case.expected.clone()).unwrap();
        if let (Some(string), Some(expected)) = (&case.string_to_sign, &case.expected) {
            let signed = adyen::sign(&secret(&case.hmac_key_hex), string.as_bytes());
            assert_eq!(signed.as_ref(), Some(expected), "{}", case.name);
        }
        let Some(mut item) = case.item else {
            let headers = headers(&[("HmacSignature", &claimed)]);
            let body = case.string_to_sign.unwrap().into_bytes();
            read.extend(shown(judged(&credentials, Gateway::Adyen, &headers, &body, now())));
            continue;
        };
        let string = adyen::string_to_sign(&item.to_string()).unwrap();
        assert!(case.string_to_sign.is_none_or(|published| published == string), "{}", case.name);
        // What is published of an item leaves out its time, which is not signed.
        item["eventDate"] = "2026-01-19T16:42:03+01:00".into();
        item["additionalData"] = json!({"hmacSignature": claimed});
        read.extend(shown(judged(&credentials, Gateway::Adyen, &[], &notification(&item), now())));
    }
    let at = "2026-01-19T15:42:03.000Z";
    assert_eq!(
        read,
        [
            format!("captured 7914073381342284 7914073381342284 11.30 EUR TestPayment-1407325143704 {at}"),
            "silent REPORT_AVAILABLE".to_owned(),
            format!("captured M8NB66SBZSGLNK82 M8NB66SBZSGLNK82 10.00 EUR - {at}"),
            "silent REPORT_AVAILABLE".to_owned(),
            "silent merchant.created".to_owned(),
            format!("refund_failed 8535516988218431 9313547924770610 1500 JPY - {at}"),
            "signature_invalid".to_owned(),
            "signature_invalid".to_owned(),
        ]
    );
}

#[derive(Deserialize)]
struct AirwallexCase {
    name: String,
    secret: String,
    timestamp: String,
    body: String,
    expected: Option<String>,
    signature: Option<String>,
    expected_valid: bool,
}

#[test]
fn every_airwallex_vector_is_judged_as_it_says() {
    for case in cases::<AirwallexCase>(include_str!("../fixtures/vectors/airwallex.json"), 2) {
        let credentials = Credentials::Airwallex(airwallex::Credentials { secrets: vec![secret(&case.secret)] });
        let computed = airwallex::sign(&secret(&case.secret), &case.timestamp, case.body.as_bytes());
        assert!(case.expected.as_ref().is_none_or(|expected| *expected == computed), "{}", case.name);
        let claimed = case.signature.or(case.expected).unwrap();
        let headers = headers(&[("x-timestamp", &case.timestamp), ("x-signature", &claimed)]);
        let wanted = match case.expected_valid {
            true => "captured int_test_0001 int_test_0001 67.05 USD order-1001 2026-10-01T08:09:27.000Z",
            false => "signature_invalid",
        };
        let read = shown(judged(&credentials, Gateway::Airwallex, &headers, case.body.as_bytes(), now()));
        assert_eq!(read, [wanted], "{}", case.name);
    }
}

#[derive(Deserialize)]
struct AlipayCase {
    name: String,
    public_key_spki_b64: String,
    params: BTreeMap<String, String>,
    content: Option<String>,
    sign: Option<String>,
    http_body: Option<String>,
    expected_valid: bool,
}

fn alipay_cases() -> Vec<AlipayCase> {
    cases(include_str!("../fixtures/vectors/alipay.json"), 2)
}

impl AlipayCase {
    fn credentials(&self) -> Credentials {
        Credentials::Alipay(alipay::Credentials {
            app_id: self.params["app_id"].clone(),
            seller_id: self.params["seller_id"].clone(),
            public_keys: vec![PublicKey::from_pem(&self.public_key_spki_b64).unwrap()],
        })
    }
}

fn form(fields: &BTreeMap<String, String>) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

#[test]
fn every_alipay_vector_is_judged_as_it_says() {
    for case in alipay_cases() {
        let content = alipay::content(&case.params);
        assert!(case.content.as_ref().is_none_or(|published| *published == content), "{}", case.name);
        assert!(case.sign.as_ref().is_none_or(|sign| *sign == case.params["sign"]), "{}", case.name);
        let trade = "2017041121001004070200183979";
        let wanted = match case.expected_valid {
            true => format!("captured {trade} {trade} 12.00 CNY 20170411145511 2017-04-11T06:55:50.000Z"),
            false => "signature_invalid".to_owned(),
        };
        for body in case.http_body.clone().into_iter().chain([form(&case.params)]) {
            let read = shown(judged(&case.credentials(), Gateway::Alipay, &[], body.as_bytes(), now()));
            assert_eq!(read, [wanted.as_str()], "{}", case.name);
        }
    }
}

#[derive(Deserialize)]
struct WechatpayCase {
    name: String,
    api_v3_key: Option<String>,
    nonce: Option<String>,
    associated_data: Option<String>,
    ciphertext: Option<String>,
    plaintext: Option<String>,
    message: Option<String>,
    signature: Option<String>,
    public_key_spki_pem: Option<String>,
    #[serde(default)]
    headers: HashMap<String, String>,
    now: Option<i64>,
    body: Option<String>,
}

fn wechatpay_cases() -> HashMap<String, WechatpayCase> {
    let cases = cases::<WechatpayCase>(include_str!("../fixtures/vectors/wechatpay_v3.json"), 4);
    cases.into_iter().map(|case| (case.name.clone(), case)).collect()
}

impl WechatpayCase {
    /// Of the merchant whom the vectors are for.
    fn credentials(&self) -> Credentials {
        let key = PublicKey::from_pem(self.public_key_spki_pem.as_ref().unwrap()).unwrap();
        Credentials::Wechatpay(wechatpay::Credentials {
            mchid: "1900000109".to_owned(),
            api_v3_key: secret(self.api_v3_key.as_ref().unwrap()),
            public_keys: HashMap::from([(self.headers["Wechatpay-Serial"].clone(), key)]),
        })
    }

    fn read(&self, credentials: &Credentials, body: &str) -> Vec<String> {
        let headers: Headers = self.headers.iter().map(|(name, value)| (name.to_lowercase(), value.clone())).collect();
        shown(judged(credentials, Gateway::Wechatpay, &headers, body.as_bytes(), at(self.now.unwrap())))
    }
}

const WECHATPAY_PAID: &str =
    "captured 4200000000202610010000000001 4200000000202610010000000001 1.00 CNY order-1001 2026-10-01T04:00:00.000Z";

#[test]
fn every_wechat_pay_vector_is_judged_as_it_says() {
    use base64::Engine;
    let cases = wechatpay_cases();
    let opened = |case: &WechatpayCase| {
        let field = |field: &Option<String>| field.clone().unwrap();
        let (key, nonce) = (secret(&field(&case.api_v3_key)), field(&case.nonce));
        wechatpay::decrypt(&key, &nonce, &field(&case.associated_data), &field(&case.ciphertext))
    };
    assert_eq!(opened(&cases["java_sdk_aes256gcm"]), cases["java_sdk_aes256gcm"].plaintext);

    let rsa = &cases["java_sdk_rsa"];
    let signature = base64::prelude::BASE64_STANDARD.decode(rsa.signature.as_ref().unwrap()).unwrap();
    let (key, message) = (PublicKey::from_pem(rsa.public_key_spki_pem.as_ref().unwrap()).unwrap(), rsa.message.clone());
    assert!(key.made(&signature, message.unwrap().as_bytes()));
    assert!(!key.made(&signature, b"massage"));

    let whole = &cases["transaction_success_32_byte_key"];
    let (credentials, body) = (whole.credentials(), whole.body.clone().unwrap());
    let (timestamp, nonce) = (&whole.headers["Wechatpay-Timestamp"], &whole.headers["Wechatpay-Nonce"]);
    assert_eq!(
        Some(wechatpay::message(timestamp, nonce, body.as_bytes())),
        whole.message.clone().map(String::into_bytes)
    );
    let resource = &serde_json::from_str::<Value>(&body).unwrap()["resource"];
    let text = |name: &str| resource[name].as_str().unwrap();
    let key = secret(whole.api_v3_key.as_ref().unwrap());
    let plaintext = wechatpay::decrypt(&key, text("nonce"), text("associated_data"), text("ciphertext"));
    assert_eq!(plaintext, whole.plaintext);
    assert_eq!(whole.read(&credentials, &body), [WECHATPAY_PAID]);

    let probe = &cases["negative_probe_signtest"];
    assert_eq!(probe.read(&credentials, probe.body.as_ref().unwrap()), ["signature_invalid"]);
}

#[derive(Deserialize)]
struct RateCase {
    name: String,
    rates: Option<BTreeMap<String, String>>,
    from: Option<String>,
    to: Option<String>,
    minor_in: Option<i64>,
    cross_rate: Option<String>,
    minor_out_half_even: Option<i64>,
    zero: Option<Vec<String>>,
    three: Option<Vec<String>>,
    four: Option<Vec<String>>,
    none: Option<Vec<String>>,
    two_count: Option<usize>,
}

fn currency(code: &str) -> Currency {
    Currency::from_code(code).unwrap()
}

#[test]
fn every_published_rate_and_conversion_is_as_published() {
    let rates = ecb::read(include_str!("../fixtures/fx/eurofxref-daily.2024-06-28.xml")).unwrap();
    let day = UnixMillis::from_rfc3339("2024-06-28T18:00:00Z").unwrap();
    let rate = |from: &str, to: &str| rates.rate(currency(from), currency(to), day).unwrap();
    let (mut published, mut converted) = (0, 0);
    for case in cases::<RateCase>(include_str!("../fixtures/vectors/ecb_fx.json"), 7) {
        for (code, per_euro) in case.rates.into_iter().flatten() {
            assert_eq!(rate("EUR", &code).value(), per_euro.parse().unwrap(), "{code}");
            published += 1;
        }
        let (Some(from), Some(to)) = (case.from, case.to) else { continue };
        let rate = rate(&from, &to);
        assert_eq!(rate.value().round_dp(12), case.cross_rate.unwrap().parse().unwrap(), "{}", case.name);
        let amount = Money::new(case.minor_in.unwrap(), currency(&from)).unwrap();
        assert_eq!(rate.convert(amount).unwrap().minor(), case.minor_out_half_even.unwrap(), "{}", case.name);
        converted += 1;
    }
    assert_eq!((published, converted), (31, 5));
}

#[test]
fn every_currency_has_the_minor_units_of_iso_4217() {
    let mut cases = cases::<RateCase>(include_str!("../fixtures/vectors/ecb_fx.json"), 7);
    let iso = cases.pop().unwrap();
    let mut by_exponent: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    let letters = || (b'A'..=b'Z').map(char::from);
    for first in letters() {
        for code in letters().flat_map(|second| letters().map(move |third| format!("{first}{second}{third}"))) {
            if let Ok(currency) = Currency::from_code(&code) {
                by_exponent.entry(currency.exponent()).or_default().push(code);
            }
        }
    }
    for code in iso.none.unwrap() {
        assert!(Currency::from_code(&code).is_err(), "{code}");
    }
    assert_eq!(by_exponent[&0], iso.zero.unwrap());
    assert_eq!(by_exponent[&3], iso.three.unwrap());
    assert_eq!(by_exponent[&4], iso.four.unwrap());
    // Old money may still be told of in currencies that ISO 4217 has withdrawn since.
    let withdrawn = ["BGN", "CUC", "HRK", "SLL", "ZWL"];
    let current = by_exponent[&2].iter().filter(|code| !withdrawn.contains(&code.as_str()));
    assert_eq!(current.count(), iso.two_count.unwrap());
}

/// The files of a folder of samples, which must be as many as are listed.
fn all_are_listed(gateway: Gateway, listed: usize) {
    let folder = format!("{}/../fixtures/{}", env!("CARGO_MANIFEST_DIR"), gateway.as_str());
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), listed, "{gateway:?}");
}

fn read_sent(keys: &Keys, gateway: Gateway, sent: &CallbackRequest) -> Vec<String> {
    shown(judged(&keys.credentials(gateway), gateway, &sent.headers, &sent.body, now()))
}

/// What a sample says when the simulated gateway signs it.
fn signed_again(keys: &Keys, gateway: Gateway, body: &str) -> Vec<String> {
    read_sent(keys, gateway, &simulated::signed(keys, gateway, body.to_owned(), now()).unwrap())
}

macro_rules! samples {
    ($folder:literal: $($name:literal => $said:expr),* $(,)?) => {
        [$((include_str!(concat!("../fixtures/", $folder, "/", $name)), $said)),*]
    };
}

#[test]
fn every_sample_of_stripe_says_what_it_says() {
    let samples = samples! { "stripe":
        "charge.dispute.created.json" =>
            "dispute_opened pi_1PgafyB7WZ01zgkWSjxsAJo3 dp_1Pgc71B7WZ01zgkWMevJiAUx 10.00 USD -",
        "charge.refunded.json" => "silent charge.refunded",
        "payment_intent.succeeded.json" =>
            "captured pi_1PgafyB7WZ01zgkWSjxsAJo3 ch_1PgafuB7WZ01zgkWXYmPNZs8 10.99 USD order-1001",
        "payment_intent.succeeded.jpy.json" => "captured pi_test_jpy ch_1PgafuB7WZ01zgkWXYmPNZs8 1500 JPY order-1001",
        "payout.paid.json" => "silent payout.paid",
        "refund.created.json" => "refunded pi_1PgafyB7WZ01zgkWSjxsAJo3 re_1Pgc72B7WZ01zgkWqPvrRrPE 1.00 USD -",
    };
    all_are_listed(Gateway::Stripe, samples.len());
    for (body, wanted) in samples {
        let at = if wanted.starts_with("silent") { "" } else { " 2026-09-30T16:00:00.000Z" };
        assert_eq!(signed_again(&Keys::local(), Gateway::Stripe, body), [format!("{wanted}{at}")]);
    }
}

#[test]
fn every_sample_of_paypal_says_what_it_says() {
    let samples = samples! { "paypal":
        "PAYMENT.CAPTURE.COMPLETED.json" =>
            "captured 5VK462069F664902F 5VK462069F664902F 10.00 USD order-1001 2021-10-17T05:05:03.389Z",
        "java_sdk.body.json" => "unknown BILLING.PLAN.CREATED",
        "node_sdk.body.json" => "captured 8RS6210148826604N 8RS6210148826604N 6.01 USD - 2016-10-05T14:57:40.000Z",
        "python_sdk.body.json" => "captured 4EU7004268015634R 4EU7004268015634R 20.00 USD - 2015-05-18T15:45:13.000Z",
    };
    all_are_listed(Gateway::Paypal, samples.len());
    for (body, wanted) in samples {
        assert_eq!(signed_again(&Keys::local(), Gateway::Paypal, body), [wanted]);
    }
}

#[test]
fn every_sample_of_adyen_says_what_the_capture_mode_makes_it() {
    let samples = samples! { "adyen":
        "authorisationTrue.json" => ("silent AUTHORISATION",
            "captured 123456789 123456789 101.00 EUR 8313842560770001 2017-01-19T15:42:03.000Z"),
        "cancellation-true.json" => ("silent CANCELLATION",
            "capture_failed 8313547924770610 8313547924770610 5.00 EUR - 2018-03-05T08:08:05.000Z"),
        "captureFalse.json" => (
            "capture_failed ORIGINAL_PSP PSP_REFERENCE 236.23 USD 00000001 2017-01-25T17:08:19.000Z",
            "capture_failed ORIGINAL_PSP ORIGINAL_PSP 236.23 USD 00000001 2017-01-25T17:08:19.000Z"),
        "captureTrue.json" => (
            "captured ORIGINAL_PSP PSP_REFERENCE 236.23 USD 00000001 2017-01-25T17:08:19.000Z",
            "captured ORIGINAL_PSP ORIGINAL_PSP 236.23 USD 00000001 2017-01-25T17:08:19.000Z"),
        "chargeback.json" => (
            "dispute_lost 9913333333333333 9915555555555555 10.00 EUR - 2018-03-23T12:55:31.000Z",
            "dispute_lost 9913333333333333 9915555555555555 10.00 EUR - 2018-03-23T12:55:31.000Z"),
        "refundFalse.json" => (
            "refund_failed ORIGINAL_PSP PSP_REFERENCE 15.00 EUR - 2017-02-17T10:04:07.000Z",
            "refund_failed ORIGINAL_PSP PSP_REFERENCE 15.00 EUR - 2017-02-17T10:04:07.000Z"),
        "refundTrue.json" => (
            "refunded ORIGINAL_PSP PSP_REFERENCE 15.00 EUR - 2017-02-17T10:11:44.000Z",
            "refunded ORIGINAL_PSP PSP_REFERENCE 15.00 EUR - 2017-02-17T10:11:44.000Z"),
    };
    let items = samples! { "adyen":
        "signed_backslash_item.json" => "T7FD4VM4D3RZNN82 T7FD4VM4D3RZNN82 10.00 EUR - 2023-01-09T15:27:29.000Z",
        "signed_colon_item.json" => "M8NB66SBZSGLNK82 M8NB66SBZSGLNK82 10.00 EUR - 2023-01-10T12:40:54.000Z",
        "signed_forwardslash_item.json" => "X3GWNS6KJ8NKGK82 X3GWNS6KJ8NKGK82 10.00 EUR - 2023-01-10T12:37:30.000Z",
        "signed_mixed_item.json" => "ZVWN7D3WSMK2WN82 ZVWN7D3WSMK2WN82 10.00 EUR - 2023-01-10T12:42:29.000Z",
    };
    all_are_listed(Gateway::Adyen, samples.len() + items.len());
    let keys = |capture| Keys::local().with_adyen_capture(capture);
    for (body, (manual, automatic)) in samples {
        assert_eq!(signed_again(&keys(Capture::Manual), Gateway::Adyen, body), [manual]);
        assert_eq!(signed_again(&keys(Capture::Automatic), Gateway::Adyen, body), [automatic]);
    }
    // These are signed by the key that Adyen published with them.
    let key = "74F490DD33F7327BAECC88B2947C011FC02D014A473AAA33A8EC93E4DC069174";
    for (item, wanted) in items {
        let body = notification(&serde_json::from_str(item).unwrap());
        let read = |capture| shown(judged(&adyen_credentials(key, capture), Gateway::Adyen, &[], &body, now()));
        assert_eq!(read(adyen::Capture::Automatic), [format!("captured {wanted}")]);
        assert_eq!(read(adyen::Capture::Manual), ["silent AUTHORISATION"]);
    }
}

#[test]
fn every_sample_of_airwallex_alipay_and_wechat_pay_says_what_it_says() {
    let keys = Keys::local();
    let airwallex = samples! { "airwallex": "payment_intent.succeeded.json" =>
        "captured int_sgst8jdw8h0herze16s int_sgst8jdw8h0herze16s 10.00 HKD \
            a647fd73-b71f-4f0b-b25b-42c794655bc5 2025-04-19T09:44:36.000Z"
    };
    all_are_listed(Gateway::Airwallex, airwallex.len());
    for (body, wanted) in airwallex {
        assert_eq!(signed_again(&keys, Gateway::Airwallex, body), [wanted]);
    }

    let trade = "2017041121001004070200183979";
    let alipay = samples! { "alipay":
        "notify_trade_success.form.txt" =>
            format!("captured {trade} {trade} 12.00 CNY 20170411145511 2017-04-11T06:55:50.000Z"),
        "notify_partial_refund.form.txt" =>
            format!("refunded_in_total {trade} RF-1 2.00 CNY 20170411145511 2017-04-12T02:00:00.123Z"),
    };
    all_are_listed(Gateway::Alipay, alipay.len());
    for (body, wanted) in alipay {
        // Signed by the key of the vectors.
        let credentials = alipay_cases()[0].credentials();
        let read = judged(&credentials, Gateway::Alipay, &[], body.trim_end().as_bytes(), now());
        assert_eq!(shown(read), [wanted]);
    }

    let wechatpay = samples! { "wechatpay":
        "go_sdk_notify.body.json" => "unknown PAYSCORE.USER_OPEN_SERVICE",
        "transaction_success_32_byte_key.body.json" => WECHATPAY_PAID,
        "refund_success.plaintext.json" =>
            "refunded 4200000000202610010000000001 50200000000202610020000000001 0.40 CNY order-1001 \
                2026-10-02T04:00:00.000Z",
    };
    all_are_listed(Gateway::Wechatpay, wechatpay.len());
    let [(unknown, is_unknown), (paid, is_paid), (refunded, is_refunded)] = wechatpay;
    assert_eq!(signed_again(&keys, Gateway::Wechatpay, unknown), [is_unknown]);
    let published = &wechatpay_cases()["transaction_success_32_byte_key"];
    assert_eq!(published.read(&published.credentials(), paid.trim_end()), [is_paid]);
    // Encrypted again, for the simulated merchant.
    let refunded = refunded.replace("1900000109", "1900000001");
    let body = simulated::wechatpay_body(&keys, "REFUND.SUCCESS", &refunded, now()).unwrap();
    assert_eq!(signed_again(&keys, Gateway::Wechatpay, &body), [is_refunded]);
    let elsewhere = simulated::wechatpay_body(&keys, "REFUND.SUCCESS", &refunded.replace("1900000001", "1"), now());
    assert_eq!(signed_again(&keys, Gateway::Wechatpay, &elsewhere.unwrap()), ["impossible"]);
}

fn event(gateway: Gateway, kind: MovementKind, payment: &str, transaction: &str) -> PaymentEvent {
    let payment = PaymentKey { gateway, payment_id: PaymentId::new(payment).unwrap() };
    PaymentEvent {
        payment,
        transaction_id: TransactionId::new(transaction).unwrap(),
        kind,
        order: Some(OrderId::new("A-1").unwrap()),
        money: Money::new(10_230, Currency::CNY).unwrap(),
        occurred_at: now().saturating_add_ms(-7_000),
    }
}

/// A capture as each gateway tells it.
fn captured(keys: &Keys, gateway: Gateway) -> (PaymentEvent, CallbackRequest) {
    let event = event(gateway, MovementKind::Captured, "P1", "P1");
    let sent = simulated::callback(keys, &event, None, now()).unwrap();
    (event, sent)
}

#[test]
fn the_secrets_document_knows_the_simulated_gateways_and_all_they_say_arrives() {
    let document = format!(r#"{{"gateways":{}}}"#, simulated::SECTION);
    let (secrets, keys) = (Secrets::from_json(&document).unwrap(), Keys::from_document(&document).unwrap());
    let mut arrived = BTreeMap::new();
    for gateway in Gateway::ALL {
        for kind in MovementKind::ALL {
            for (payment, transaction) in [("P1", "T1"), ("P1", "P1")] {
                let event = event(gateway, kind, payment, transaction);
                let Some(sent) = simulated::callback(&keys, &event, None, now()) else { continue };
                let read =
                    judged(secrets.gateway(gateway).unwrap(), gateway, &sent.headers, &sent.body, now()).unwrap();
                let [Item::Movement(payment)] = read.as_slice() else { panic!("{read:?}") };
                // Disputes name no order at two of them.
                let order = payment.event().order.clone();
                assert_eq!(*payment.event(), PaymentEvent { order, ..event }, "{gateway:?} {kind:?}");
                *arrived.entry(gateway.as_str()).or_insert(0) += 1;
            }
        }
    }
    let wanted = [("adyen", 14), ("airwallex", 11), ("alipay", 3), ("paypal", 12), ("stripe", 14), ("wechatpay", 5)];
    assert_eq!(arrived, BTreeMap::from(wanted));
}

#[test]
fn a_second_chargeback_is_a_movement_of_its_own() {
    let keys = Keys::local();
    for transaction in ["D1", "D1.second"] {
        let event = event(Gateway::Adyen, MovementKind::DisputeLost, "P1", transaction);
        let sent = simulated::callback(&keys, &event, None, now()).unwrap();
        assert!(read_sent(&keys, Gateway::Adyen, &sent)[0].starts_with(&format!("dispute_lost P1 {transaction} ")));
    }
}

#[test]
fn credentials_of_another_gateway_let_nobody_in() {
    let keys = Keys::local();
    for gateway in Gateway::ALL {
        let (_, sent) = captured(&keys, gateway);
        for other in Gateway::ALL {
            let judged = judged(&keys.credentials(other), gateway, &sent.headers, &sent.body, now());
            let is_own = other == gateway;
            assert_eq!(judged.err(), (!is_own).then_some(Refusal::SignatureInvalid), "{gateway:?} {other:?}");
        }
    }
}

/// Headers that carry no part of a signature.
const UNSIGNED: [&str; 2] = ["content-type", "paypal-auth-version"];
/// Headers in which a letter's case means nothing: hex, and the name of an algorithm.
const CASELESS: [&str; 3] = ["stripe-signature", "x-signature", "paypal-auth-algo"];

#[test]
fn a_flipped_bit_of_a_header_is_refused() {
    let keys = Keys::local();
    let mut count = BTreeMap::new();
    for gateway in Gateway::ALL {
        let (_, sent) = captured(&keys, gateway);
        let credentials = keys.credentials(gateway);
        for (position, (name, value)) in sent.headers.iter().enumerate() {
            if UNSIGNED.contains(&name.as_str()) {
                continue;
            }
            for flipped in text_flips(value) {
                // `v1` and `t` are no hex.
                let parts = |text: &str| {
                    text.split(',').map(|part| part.split_once('=').map(|part| part.0.to_owned())).collect::<Vec<_>>()
                };
                let is_same = CASELESS.contains(&name.as_str())
                    && flipped.eq_ignore_ascii_case(value)
                    && (name != "stripe-signature" || parts(&flipped) == parts(value));
                if is_same {
                    continue;
                }
                let mut headers = sent.headers.clone();
                headers[position].1 = flipped;
                let refusal = judged(&credentials, gateway, &headers, &sent.body, now()).unwrap_err();
                assert_eq!(refusal.status(), 401, "{headers:?}");
                *count.entry(gateway.as_str()).or_insert(0) += 1;
            }
        }
    }
    assert!(count["stripe"] > 400 && count["paypal"] > 3_000 && count["wechatpay"] > 3_000, "{count:?}");
    assert!(count["airwallex"] > 400 && !count.contains_key("adyen") && !count.contains_key("alipay"), "{count:?}");
}

#[test]
fn a_flipped_bit_of_a_body_is_refused() {
    let keys = Keys::local();
    for gateway in [Gateway::Stripe, Gateway::Paypal, Gateway::Airwallex, Gateway::Alipay, Gateway::Wechatpay] {
        let (_, sent) = captured(&keys, gateway);
        let credentials = keys.credentials(gateway);
        let fields = |body: &[u8]| form_urlencoded::parse(body).into_owned().collect::<Vec<_>>();
        let (mut refused, mut same) = (0, 0);
        for body in flips(&sent.body) {
            // The case of an escape's hex digit means nothing in a form.
            if gateway == Gateway::Alipay && fields(&body) == fields(&sent.body) {
                same += 1;
                continue;
            }
            let refusal = judged(&credentials, gateway, &sent.headers, &body, now()).unwrap_err();
            assert_eq!(refusal.status(), 401, "{gateway:?} {:?}", String::from_utf8_lossy(&body));
            refused += 1;
        }
        assert_eq!(refused + same, sent.body.len() * 8);
        assert!(same < 100 && (gateway == Gateway::Alipay || same == 0));
    }
}

/// Adyen signs eight fields of an item. A flip elsewhere may go unseen, and must not change what is said of money.
#[test]
fn a_flipped_bit_of_what_adyen_signs_is_refused_and_no_other_changes_the_money() {
    let keys = Keys::local();
    let event = event(Gateway::Adyen, MovementKind::Refunded, "P1", "T1");
    let sent = simulated::callback(&keys, &event, None, now()).unwrap();
    let (credentials, text) = (keys.credentials(Gateway::Adyen), String::from_utf8(sent.body.clone()).unwrap());
    let signature = serde_json::from_str::<Value>(&text).unwrap()["notificationItems"][0]["NotificationRequestItem"]
        ["additionalData"]["hmacSignature"]
        .as_str()
        .unwrap()
        .to_owned();
    let signed = [
        r#""P1""#,
        r#""T1""#,
        r#""A-1""#,
        "10230",
        r#""CNY""#,
        r#""REFUND""#,
        r#""true""#,
        "SimulatedMerchant",
        &signature,
    ];
    let spans: Vec<_> = signed
        .iter()
        .map(|value| {
            let trimmed = value.trim_matches('"');
            let start = text.find(value).unwrap() + usize::from(value.starts_with('"'));
            start..start + trimmed.len()
        })
        .collect();
    let mut refused = 0;
    for (bit, body) in flips(&sent.body).enumerate() {
        let is_signed = spans.iter().any(|span| span.contains(&(bit / 8)));
        match judged(&credentials, Gateway::Adyen, &sent.headers, &body, now()) {
            Err(_) => refused += usize::from(is_signed),
            Ok(items) => {
                assert!(!is_signed, "{:?}", String::from_utf8_lossy(&body));
                let [Item::Movement(payment)] = items.as_slice() else { panic!("{items:?}") };
                let occurred_at = payment.event().occurred_at;
                assert_eq!(*payment.event(), PaymentEvent { occurred_at, order: None, ..event.clone() });
            }
        }
    }
    assert_eq!(refused, spans.iter().map(|span| span.len() * 8).sum::<usize>());
}

#[test]
fn a_header_that_is_missing_or_doubled_is_refused() {
    let keys = Keys::local();
    let platform = r#"{"type":"merchant.created"}"#.to_owned();
    let platform = simulated::signed(&keys, Gateway::Adyen, platform, now()).unwrap();
    assert_eq!(read_sent(&keys, Gateway::Adyen, &platform), ["silent merchant.created"]);
    let requests = Gateway::ALL.map(|gateway| (gateway, captured(&keys, gateway).1));
    let mut tried = 0;
    for (gateway, sent) in requests.into_iter().chain([(Gateway::Adyen, platform)]) {
        let credentials = keys.credentials(gateway);
        for (position, (name, value)) in sent.headers.iter().enumerate() {
            if UNSIGNED.contains(&name.as_str()) {
                continue;
            }
            let judged = |headers: &Headers| judged(&credentials, gateway, headers, &sent.body, now());
            let mut headers = sent.headers.clone();
            headers.remove(position);
            // WeChat Pay need not name its one algorithm.
            let refusal = (name != "wechatpay-signature-type").then_some(Refusal::SignatureMissing);
            assert_eq!(judged(&headers).err(), refusal, "without {name}");
            headers.extend([(name.clone(), value.clone()), (name.clone(), value.clone())]);
            assert_eq!(judged(&headers).err(), Some(Refusal::SignatureInvalid), "{name} twice");
            headers.truncate(headers.len() - 2);
            headers.push((name.clone(), format!("{value},{value}")));
            assert_eq!(judged(&headers).unwrap_err().status(), 401, "{name} twice in one");
            headers.pop();
            headers.push((name.clone(), String::new()));
            let refusal = (name != "wechatpay-signature-type").then_some(Refusal::SignatureMissing);
            assert_eq!(judged(&headers).err(), refusal, "{name} empty");
            tried += 1;
        }
    }
    assert_eq!(tried, 1 + 5 + 2 + 5 + 1);
}

#[test]
fn what_is_cut_off_or_nonsense_is_refused_and_never_a_fault() {
    let keys = Keys::local();
    let nonsense = [
        "",
        " ",
        "\u{0}",
        "null",
        "[]",
        "{}",
        "[[[[",
        "{\"a\":",
        "\u{feff}{}",
        "=",
        "&&&",
        "%",
        "%zz=%zz",
        "sign=&sign=",
        "sign_type=RSA2&sign=!",
        "{\"notificationItems\":[{\"NotificationRequestItem\":{\"additionalData\":{\"hmacSignature\":7}}}]}",
    ];
    for gateway in Gateway::ALL {
        let (_, sent) = captured(&keys, gateway);
        let credentials = keys.credentials(gateway);
        for end in 0..sent.body.len() {
            assert!(
                judged(&credentials, gateway, &sent.headers, &sent.body[..end], now()).is_err(),
                "{gateway:?} {end}"
            );
        }
        for body in nonsense {
            assert!(
                judged(&credentials, gateway, &sent.headers, body.as_bytes(), now()).is_err(),
                "{gateway:?} {body}"
            );
            // Well signed, it can still not be read.
            let Some(signed) = simulated::signed(&keys, gateway, body.to_owned(), now()) else { continue };
            let read = read_sent(&keys, gateway, &signed);
            let refused = ["malformed", "impossible", "signature_missing", "signature_invalid", "silent unnamed"];
            assert!(refused.contains(&read[0].as_str()), "{gateway:?} {body}: {read:?}");
        }
        for (position, (name, _)) in sent.headers.iter().enumerate() {
            if UNSIGNED.contains(&name.as_str()) {
                continue;
            }
            let long = "a".repeat(100_000);
            for value in
                ["=", "====", "!", "zz", "\u{e9}", "\u{0}", ",,,,", "t=,v1=", "-1", "99999999999999999999", &long]
            {
                let mut headers = sent.headers.clone();
                headers[position].1 = value.to_owned();
                let refusal = judged(&credentials, gateway, &headers, &sent.body, now()).unwrap_err();
                assert_eq!(refusal.status(), 401, "{name} {value:.20}");
            }
        }
    }
}

#[test]
fn keys_that_cannot_be_read_let_nobody_in() {
    let section = |from: &str, to: &str| simulated::SECTION.replace(from, to);
    let keys = Keys::local();
    for (gateway, section) in [
        (Gateway::Stripe, section("whsec_local_stack_only_stripe", "whsec_other")),
        (Gateway::Adyen, section("6c6f63616c", "zz6f63616c")),
        (Gateway::Airwallex, section("local-stack-only-airwallex-secret", "other")),
        (Gateway::Paypal, section("BEGIN CERTIFICATE", "BEGIN CERTIFICAT")),
        (Gateway::Paypal, section("WH-LOCAL-STACK-ONLY", "WH-OTHER")),
        (Gateway::Alipay, section("BEGIN PUBLIC KEY", "BEGIN PUBLIC KE")),
        (Gateway::Wechatpay, section("BEGIN PUBLIC KEY", "BEGIN PUBLIC KE")),
        (Gateway::Wechatpay, section("PUB_KEY_ID_0", "PUB_KEY_ID_1")),
    ] {
        assert_ne!(section, simulated::SECTION, "{gateway:?}");
        let secrets = Secrets::from_json(&format!(r#"{{"gateways":{section}}}"#)).unwrap();
        let (_, sent) = captured(&keys, gateway);
        let judged = judged(secrets.gateway(gateway).unwrap(), gateway, &sent.headers, &sent.body, now());
        assert_eq!(judged.err(), Some(Refusal::SignatureInvalid), "{gateway:?}");
    }
}
