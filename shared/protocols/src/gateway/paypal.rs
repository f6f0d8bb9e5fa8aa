//! PayPal: RSA over `transmission id|time|webhook id|CRC-32 of the body`, with the key of a certificate named by URL.
//!
//! The webhook id is ours, never taken from a request. A certificate is believed for where it lies: a URL that is
//! pinned, or one at PayPal's own address for certificates. The time is not bounded: PayPal tries for three days with
//! one stamp, and a callback that is played again is a duplicate. Sources: developer.paypal.com, "Integrate webhooks",
//! "Webhook event names", "Currency codes"; paypal/PayPal-Java-SDK.

use std::collections::HashMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use domain::{Gateway, Money, MovementKind, OrderId, UnixMillis};
use serde::Deserialize;
use serde_json::value::RawValue;
use url::Url;

use super::reading::{self, Movement, SHAPE, Silent, part, text, unknown};
use super::{Item, PublicKey, Unverified};
use crate::Refusal;
use crate::json::Object;

/// The only algorithm that PayPal signs with.
const ALGORITHM: &str = "SHA256withRSA";

/// What moves no money, or not yet.
const SILENT: Silent = Silent {
    names: &["CUSTOMER.DISPUTE.UPDATED", "PAYMENT.CAPTURE.PENDING", "PAYMENT.REFUND.PENDING", "PAYMENT.SALE.PENDING"],
    prefixes: &["CHECKOUT.", "PAYMENT.AUTHORIZATION."],
};

/// What PayPal's callbacks are checked with.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// `webhook_id`: ours, never taken from a request.
    pub webhook_id: String,
    /// `certificates`: keys by URL. A URL that is here is never fetched; one whose PEM cannot be read has no key.
    pub certificates: HashMap<String, Option<PublicKey>>,
}

/// A body that PayPal signed.
#[derive(Debug)]
pub(super) struct Signed(Vec<u8>);

/// The address of a certificate, at PayPal's.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CertificateUrl(String);

impl CertificateUrl {
    /// The most bytes it may have. PayPal's have about 90.
    pub const BYTES_MAX: usize = 512;
    /// Where PayPal keeps its certificates, at each of its hosts. A page elsewhere at paypal.com that repeats what a
    /// stranger wrote must not become a key.
    const FOLDER: &str = "/v1/notifications/certs/";

    /// Checks it: https, host `paypal.com` or below it, PayPal's folder for certificates, and nothing besides.
    pub fn new(url: &str) -> Option<Self> {
        // A URL is read by more than one library on its way. In these letters they all read the same.
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'/' | b'.' | b'_' | b'-');
        let rest = url.strip_prefix("https://").filter(|rest| !rest.starts_with('/') && rest.bytes().all(is_plain))?;
        if url.len() > Self::BYTES_MAX || rest.contains("//") {
            return None;
        }
        let url = Url::parse(url).ok()?;
        let host = url.host_str()?;
        let is_at_paypal = host == "paypal.com" || host.ends_with(".paypal.com");
        let is_file = url.path().strip_prefix(Self::FOLDER).is_some_and(|name| !name.is_empty());
        // The library leaves out a port that is the scheme's own.
        (is_at_paypal && is_file && url.port().is_none()).then(|| Self(url.into()))
    }

    /// The URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The five headers.
struct Headers<'a> {
    id: &'a str,
    time: &'a str,
    certificate_url: &'a str,
    signature: Vec<u8>,
}

impl<'a> Headers<'a> {
    fn of(request: &'a Unverified) -> Result<Self, Refusal> {
        let headers = Self {
            id: request.header("paypal-transmission-id")?,
            time: request.header("paypal-transmission-time")?,
            certificate_url: request.header("paypal-cert-url")?,
            signature: BASE64_STANDARD
                .decode(request.header("paypal-transmission-sig")?)
                .map_err(|_| Refusal::SignatureInvalid)?,
        };
        let is_known = request.header("paypal-auth-algo")?.eq_ignore_ascii_case(ALGORITHM);
        if is_known { Ok(headers) } else { Err(Refusal::SignatureInvalid) }
    }
}

pub(super) fn wanted_certificate(
    request: &Unverified,
    credentials: &Credentials,
) -> Result<Option<CertificateUrl>, Refusal> {
    let url = Headers::of(request)?.certificate_url;
    match credentials.certificates.get(url) {
        Some(_) => Ok(None),
        None => CertificateUrl::new(url).map(Some).ok_or(Refusal::SignatureInvalid),
    }
}

pub(super) fn verify(
    request: &Unverified,
    credentials: &Credentials,
    fetched: Option<&PublicKey>,
) -> Result<Signed, Refusal> {
    let headers = Headers::of(request)?;
    let key = match credentials.certificates.get(headers.certificate_url) {
        Some(pinned) => pinned.as_ref(),
        None => CertificateUrl::new(headers.certificate_url).and(fetched),
    };
    let message = message(headers.id, headers.time, &credentials.webhook_id, &request.body);
    let is_signed = key.is_some_and(|key| key.made(&headers.signature, message.as_bytes()));
    if is_signed { Ok(Signed(request.body.clone())) } else { Err(Refusal::SignatureInvalid) }
}

/// What PayPal signs of a body. A checksum binds it loosely: who holds one signed transmission can make another body
/// for it. Nobody does but PayPal and we, because transmissions travel by TLS.
pub fn message(transmission_id: &str, transmission_time: &str, webhook_id: &str, body: &[u8]) -> String {
    format!("{transmission_id}|{transmission_time}|{webhook_id}|{}", crc32fast::hash(body))
}

#[derive(Deserialize)]
struct Event<'a> {
    event_type: String,
    resource_type: Option<String>,
    create_time: String,
    #[serde(borrow)]
    resource: Option<&'a RawValue>,
}

/// An amount. Version 1 of the interface calls its parts `total` and `currency`.
#[derive(Deserialize)]
struct Amount {
    #[serde(alias = "total")]
    value: String,
    #[serde(alias = "currency")]
    currency_code: String,
}

/// The fields of a capture, a sale or a refund that money depends on.
#[derive(Deserialize)]
struct Resource<'a> {
    id: String,
    amount: Object<Amount>,
    sale_id: Option<String>,
    #[serde(borrow)]
    custom_id: Option<&'a RawValue>,
    #[serde(borrow)]
    invoice_id: Option<&'a RawValue>,
    #[serde(borrow)]
    custom: Option<&'a RawValue>,
    #[serde(borrow)]
    invoice_number: Option<&'a RawValue>,
    #[serde(borrow)]
    links: Option<&'a RawValue>,
    #[serde(borrow)]
    supplementary_data: Option<&'a RawValue>,
}

pub(super) fn read(signed: &Signed) -> Result<Vec<Item>, Refusal> {
    use MovementKind::{CaptureFailed, Captured, DisputeOpened, RefundFailed, Refunded};
    let event: Event<'_> = reading::object(&signed.0)?;
    let item = match event.event_type.as_str() {
        "PAYMENT.CAPTURE.COMPLETED" | "PAYMENT.SALE.COMPLETED" => capture(&event, Captured),
        "PAYMENT.CAPTURE.DENIED" | "PAYMENT.CAPTURE.DECLINED" | "PAYMENT.SALE.DENIED" => capture(&event, CaptureFailed),
        "PAYMENT.CAPTURE.REFUNDED" | "PAYMENT.CAPTURE.REVERSED" => refund(&event, Refunded),
        "PAYMENT.REFUND.FAILED" => refund(&event, RefundFailed),
        "PAYMENT.SALE.REFUNDED" | "PAYMENT.SALE.REVERSED" => sale_refund(&event),
        "CUSTOMER.DISPUTE.CREATED" => dispute(&event, |_| Some(DisputeOpened)),
        "CUSTOMER.DISPUTE.RESOLVED" => dispute(&event, decided),
        kind => Ok(SILENT.item(kind)),
    };
    item.map(|item| vec![item])
}

impl Event<'_> {
    fn movement(
        &self,
        kind: MovementKind,
        (payment, transaction): (&str, &str),
        order: Option<String>,
        money: Money,
    ) -> Result<Item, Refusal> {
        let occurred_at: UnixMillis = reading::time(&self.create_time)?;
        Movement { gateway: Gateway::Paypal, kind, payment, transaction, order, money, occurred_at }.item()
    }
}

impl Amount {
    fn money(&self) -> Result<Money, Refusal> {
        reading::major(&self.value, &self.currency_code)
    }
}

impl Resource<'_> {
    /// Our order, where the shop front wrote it: as the custom id, else as the invoice's.
    fn order(&self) -> Option<String> {
        let candidates = [self.custom_id, self.invoice_id, self.custom, self.invoice_number];
        candidates.into_iter().filter_map(text).find(|text| OrderId::new(text).is_ok())
    }

    /// The capture that a refund is of: what its link upwards leads to, else what the data beside it name.
    fn capture_id(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Link {
            rel: String,
            href: String,
        }
        #[derive(Deserialize)]
        struct Supplementary {
            related_ids: Object<RelatedIds>,
        }
        #[derive(Deserialize)]
        struct RelatedIds {
            capture_id: String,
        }
        let links: Vec<Object<Link>> =
            self.links.and_then(|links| serde_json::from_str(links.get()).ok()).unwrap_or_default();
        let up = links.iter().filter(|link| link.0.rel == "up");
        let id =
            up.filter_map(|link| link.0.href.split_once("/captures/")).find_map(|(_, id)| id.split(['/', '?']).next());
        let beside =
            || part::<Supplementary>(self.supplementary_data).ok().map(|beside| beside.related_ids.0.capture_id);
        id.map(str::to_owned).or_else(beside)
    }
}

fn capture(event: &Event<'_>, kind: MovementKind) -> Result<Item, Refusal> {
    let capture: Resource<'_> = part(event.resource)?;
    event.movement(kind, (&capture.id, &capture.id), capture.order(), capture.amount.0.money()?)
}

fn refund(event: &Event<'_>, kind: MovementKind) -> Result<Item, Refusal> {
    let refund: Resource<'_> = part(event.resource)?;
    // A reversal may show the capture itself, as it is then.
    let itself = || event.resource_type.as_deref().filter(|kind| *kind == "capture").map(|_| refund.id.clone());
    let payment = refund.capture_id().or_else(itself).ok_or(Refusal::Malformed("the refund names no capture"))?;
    event.movement(kind, (&payment, &refund.id), refund.order(), refund.amount.0.money()?)
}

/// Version 1 prints what went back with a minus sign.
fn sale_refund(event: &Event<'_>) -> Result<Item, Refusal> {
    let refund: Resource<'_> = part(event.resource)?;
    let payment = refund.sale_id.as_deref().ok_or(SHAPE)?;
    let Amount { value, currency_code } = &refund.amount.0;
    let money = reading::major(value.strip_prefix('-').unwrap_or(value), currency_code)?;
    event.movement(MovementKind::Refunded, (payment, &refund.id), refund.order(), money)
}

#[derive(Deserialize)]
struct Dispute {
    dispute_id: String,
    dispute_amount: Object<Amount>,
    disputed_transactions: Vec<Object<DisputedTransaction>>,
    dispute_outcome: Option<Object<Outcome>>,
}

#[derive(Deserialize)]
struct DisputedTransaction {
    seller_transaction_id: String,
}

#[derive(Deserialize)]
struct Outcome {
    outcome_code: Option<String>,
    /// What the buyer got, which may be less than what was disputed.
    amount_refunded: Option<Object<Amount>>,
}

/// Who won. PayPal pays the buyer itself where it says so of a payout.
fn decided(outcome: Option<&str>) -> Option<MovementKind> {
    match outcome? {
        "RESOLVED_BUYER_FAVOUR" | "ACCEPTED" => Some(MovementKind::DisputeLost),
        "RESOLVED_SELLER_FAVOUR" | "RESOLVED_WITH_PAYOUT" | "CANCELED_BY_BUYER" | "DENIED" => {
            Some(MovementKind::DisputeWon)
        }
        _ => None,
    }
}

fn dispute(event: &Event<'_>, kind: impl Fn(Option<&str>) -> Option<MovementKind>) -> Result<Item, Refusal> {
    let dispute: Dispute = part(event.resource)?;
    let outcome = dispute.dispute_outcome.as_ref().and_then(|outcome| outcome.0.outcome_code.as_deref());
    let Some(kind) = kind(outcome) else { return Ok(unknown(&event.event_type)) };
    let payment = &dispute.disputed_transactions.first().ok_or(SHAPE)?.0.seller_transaction_id;
    let refunded = dispute.dispute_outcome.as_ref().and_then(|outcome| outcome.0.amount_refunded.as_ref());
    let refunded = refunded.filter(|_| kind == MovementKind::DisputeLost);
    let money = refunded.unwrap_or(&dispute.dispute_amount).0.money()?;
    event.movement(kind, (payment, &dispute.dispute_id), None, money)
}

#[cfg(test)]
mod tests {
    use super::super::rsa::testing;
    use super::reading::shown;
    use super::*;

    const URL: &str = "https://api.paypal.com/v1/notifications/certs/CERT-1";
    const BODY: &[u8] = b"{}";

    fn credentials(certificates: &[(&str, Option<PublicKey>)]) -> Credentials {
        let certificates = certificates.iter().map(|(url, key)| ((*url).to_owned(), key.clone())).collect();
        Credentials { webhook_id: "WH".to_owned(), certificates }
    }

    fn good() -> Vec<(String, String)> {
        let signature = testing::sign(message("id", "time", "WH", BODY).as_bytes());
        [
            ("paypal-transmission-id", "id"),
            ("paypal-transmission-time", "time"),
            ("paypal-transmission-sig", &signature),
            ("paypal-cert-url", URL),
            ("paypal-auth-algo", "SHA256withRSA"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
    }

    fn with(name: &str, value: &str) -> Unverified {
        let mut headers = good();
        headers.iter_mut().filter(|(key, _)| key == name).for_each(|(_, old)| *old = value.to_owned());
        Unverified { headers, body: BODY.to_vec() }
    }

    #[test]
    fn a_pinned_certificate_is_never_fetched_and_another_s_key_is_no_help() {
        let (key, request) = (testing::public(), with("", ""));
        let pinned = credentials(&[(URL, Some(key.clone()))]);
        assert_eq!(wanted_certificate(&request, &pinned), Ok(None));
        assert!(verify(&request, &pinned, None).is_ok());
        // Its PEM could not be read: no key, and none is fetched in its place.
        let unreadable = credentials(&[(URL, None)]);
        assert_eq!(wanted_certificate(&request, &unreadable), Ok(None));
        assert_eq!(verify(&request, &unreadable, Some(&key)).err(), Some(Refusal::SignatureInvalid));
        let elsewhere = credentials(&[("https://api.paypal.com/v1/notifications/certs/CERT-2", Some(key))]);
        assert_eq!(verify(&request, &elsewhere, None).err(), Some(Refusal::SignatureInvalid));
    }

    #[test]
    fn a_certificate_is_fetched_from_paypal_alone() {
        let (key, none) = (testing::public(), credentials(&[]));
        let wanted = wanted_certificate(&with("", ""), &none);
        assert_eq!(wanted, Ok(CertificateUrl::new(URL)));
        assert_eq!(wanted.unwrap().unwrap().as_str(), URL);
        assert!(verify(&with("", ""), &none, Some(&key)).is_ok());
        assert_eq!(verify(&with("", ""), &none, None).err(), Some(Refusal::SignatureInvalid));
        let stranger = with("paypal-cert-url", "https://evil.example/v1/notifications/certs/CERT-1");
        assert_eq!(wanted_certificate(&stranger, &none), Err(Refusal::SignatureInvalid));
        assert_eq!(verify(&stranger, &none, Some(&key)).err(), Some(Refusal::SignatureInvalid));
    }

    #[test]
    fn a_url_that_is_not_at_paypal_s_folder_is_none() {
        let file = "/v1/notifications/certs/CERT-1";
        for origin in [
            "https://api.paypal.com",
            "https://api.sandbox.paypal.com",
            "https://api-m.sandbox.paypal.com",
            "https://paypal.com",
            "https://api.paypal.com:443",
            "https://API.PayPal.com",
        ] {
            assert!(CertificateUrl::new(&format!("{origin}{file}")).is_some(), "{origin}");
        }
        for origin in [
            "http://api.paypal.com",
            "HTTPS://api.paypal.com",
            "ftp://api.paypal.com",
            "//api.paypal.com",
            "",
            "https:api.paypal.com",
            "https:/api.paypal.com",
            "https:///api.paypal.com",
            "https://api.paypal.com.",
            "https://api.paypal.com:80",
            "https://api.paypal.com:8443",
            "https://api.paypal.com:0443x",
            "https://api.paypal.com.evil",
            "https://paypal.com.evil.example",
            "https://xpaypal.com",
            "https://paypal.com@evil.example",
            "https://evil.example@api.paypal.com",
            "https://:@api.paypal.com",
            "https://evil.example/https://api.paypal.com",
            "https://evil.example#.paypal.com",
            "https://evil.example?.paypal.com",
            "https://evil.example\\.paypal.com",
            "https://evil.example%2f.paypal.com",
            "https://127.0.0.1",
            "https://[::1]",
            "https://2130706433",
            "https://.paypal.com.",
            "https://p\u{430}ypal.com",
            "https://\u{24df}aypal.com",
            "https://api\u{3002}paypal.com",
            "https://api.paypal.com\n",
            " https://api.paypal.com",
            "https://api.pay\tpal.com",
        ] {
            assert_eq!(CertificateUrl::new(&format!("{origin}{file}")), None, "{origin}");
        }
        for path in ["", "/", "/v1/notifications/certs/", "/v1/notifications/certs", "/error", "/v1/oauth2/CERT"] {
            assert_eq!(CertificateUrl::new(&format!("https://api.paypal.com{path}")), None, "{path}");
        }
        for end in ["?x", "#x", "/../../../error", "%2e", " ", "\0", "&x", &"x".repeat(CertificateUrl::BYTES_MAX)] {
            assert_eq!(CertificateUrl::new(&format!("{URL}{end}")), None, "{end}");
        }
    }

    #[test]
    fn a_header_that_is_missing_doubled_or_none_is_refused() {
        let key = credentials(&[(URL, Some(testing::public()))]);
        let judged = |headers: &[(String, String)]| {
            let request = Unverified { headers: headers.to_vec(), body: BODY.to_vec() };
            assert_eq!(wanted_certificate(&request, &key).err(), verify(&request, &key, None).err());
            verify(&request, &key, None).map(|_| ())
        };
        for position in 0..good().len() {
            let mut headers = good();
            let header = headers.remove(position);
            assert_eq!(judged(&headers), Err(Refusal::SignatureMissing), "without {}", header.0);
            headers.extend([header.clone(), header]);
            assert_eq!(judged(&headers), Err(Refusal::SignatureInvalid), "{:?} twice", headers.last());
        }
        let invalid = |name, value| verify(&with(name, value), &key, None).err() == Some(Refusal::SignatureInvalid);
        for value in ["!", "AAAA", "====", "\u{e9}"] {
            assert!(invalid("paypal-transmission-sig", value), "{value}");
        }
        for value in ["SHA1withRSA", "none", "SHA256withRSA,SHA256withRSA"] {
            assert!(invalid("paypal-auth-algo", value), "{value}");
        }
        assert!(invalid("paypal-transmission-id", "other") && invalid("paypal-transmission-time", "other"));
        assert!(verify(&with("paypal-auth-algo", "sha256WITHrsa"), &key, None).is_ok());
    }

    #[test]
    fn the_webhook_id_is_ours() {
        let mut other = credentials(&[(URL, Some(testing::public()))]);
        other.webhook_id = "WH-of-another".to_owned();
        assert_eq!(verify(&with("", ""), &other, None).err(), Some(Refusal::SignatureInvalid));
    }

    const AT: &str = "2021-10-17T05:05:03.389Z";

    fn said(kind: &str, resource: &str) -> String {
        let body = format!(r#"{{"id":"WH-1","create_time":"{AT}","event_type":"{kind}","resource":{resource}}}"#);
        shown(read(&Signed(body.into_bytes()))).join(", ")
    }

    #[test]
    fn a_capture_is_a_payment_of_its_own() {
        let capture = |rest: &str| format!(r#"{{"id":"C1","amount":{{"value":"10.00","currency_code":"USD"}}{rest}}}"#);
        for (kind, wanted) in [
            ("PAYMENT.CAPTURE.COMPLETED", "captured"),
            ("PAYMENT.CAPTURE.DENIED", "capture_failed"),
            ("PAYMENT.CAPTURE.DECLINED", "capture_failed"),
        ] {
            for (rest, order) in [
                (r#","custom_id":"A-1","invoice_id":"B-2""#, "A-1"),
                (r#","custom_id":"","invoice_id":"B-2""#, "B-2"),
                (r#","invoice_id":"B-2""#, "B-2"),
                (r#","custom_id":"Hello World!""#, "-"),
                (r#","custom_id":7"#, "-"),
                ("", "-"),
            ] {
                assert_eq!(said(kind, &capture(rest)), format!("{wanted} C1 C1 10.00 USD {order} {AT}"), "{rest}");
            }
        }
    }

    #[test]
    fn a_sale_of_version_1_is_a_capture() {
        let sale = r#"{"id":"S1","amount":{"total":"6.01","currency":"USD","details":{"tax":"0.01"}},
            "invoice_number":"","custom":"A-1"}"#;
        assert_eq!(said("PAYMENT.SALE.COMPLETED", sale), format!("captured S1 S1 6.01 USD A-1 {AT}"));
        assert_eq!(said("PAYMENT.SALE.DENIED", sale), format!("capture_failed S1 S1 6.01 USD A-1 {AT}"));
        for total in ["-2.50", "2.50"] {
            let refund = format!(
                r#"{{"id":"R1","sale_id":"S1","amount":{{"total":"{total}","currency":"USD"}},"invoice_number":"A-1"}}"#
            );
            for kind in ["PAYMENT.SALE.REFUNDED", "PAYMENT.SALE.REVERSED"] {
                assert_eq!(said(kind, &refund), format!("refunded S1 R1 2.50 USD - {AT}"));
                assert_eq!(said(kind, &refund.replace("sale_id", "sale")), "400");
                assert_eq!(said(kind, &refund.replace(total, "a lot")), "400");
            }
        }
    }

    #[test]
    fn a_refund_is_of_the_capture_that_its_link_or_its_data_name() {
        let refund = |rest: &str| format!(r#"{{"id":"R1","amount":{{"value":"4.00","currency_code":"USD"}}{rest}}}"#);
        let up = r#","links":[{"rel":"self","href":"https://x/v2/payments/refunds/R1"},
            {"rel":"up","href":"https://x/v2/payments/captures/C1"}]"#;
        let beside = r#","supplementary_data":{"related_ids":{"order_id":"O1","capture_id":"C1"}}"#;
        let order_above = r#","links":[{"rel":"up","href":"https://x/v2/checkout/orders/O1"}]"#;
        for (kind, wanted) in [
            ("PAYMENT.CAPTURE.REFUNDED", "refunded"),
            ("PAYMENT.CAPTURE.REVERSED", "refunded"),
            ("PAYMENT.REFUND.FAILED", "refund_failed"),
        ] {
            let wanted = format!("{wanted} C1 R1 4.00 USD - {AT}");
            assert_eq!(said(kind, &refund(up)), wanted);
            assert_eq!(said(kind, &refund(beside)), wanted);
            assert_eq!(said(kind, &refund(&format!("{order_above}{beside}"))), wanted);
            for end in ["/", "?x=1", "/refund"] {
                assert_eq!(said(kind, &refund(&up.replace("captures/C1", &format!("captures/C1{end}")))), wanted);
            }
            for rest in ["", order_above, r#","links":7"#, r#","links":[{"rel":"up","href":"https://x/captures/"}]"#] {
                assert_eq!(said(kind, &refund(rest)), "400", "{rest}");
            }
        }
    }

    #[test]
    fn a_dispute_ends_as_its_outcome_says() {
        let dispute = |outcome: &str| {
            format!(
                r#"{{"dispute_id":"PP-1","dispute_amount":{{"value":"9.00","currency_code":"USD"}},
                    "disputed_transactions":[{{"seller_transaction_id":"C1","custom":"A-1"}}]{outcome}}}"#
            )
        };
        let wanted = |kind: &str| format!("{kind} C1 PP-1 9.00 USD - {AT}");
        assert_eq!(said("CUSTOMER.DISPUTE.CREATED", &dispute("")), wanted("dispute_opened"));
        for (code, kind) in [
            ("RESOLVED_BUYER_FAVOUR", "dispute_lost"),
            ("ACCEPTED", "dispute_lost"),
            ("RESOLVED_SELLER_FAVOUR", "dispute_won"),
            ("RESOLVED_WITH_PAYOUT", "dispute_won"),
            ("CANCELED_BY_BUYER", "dispute_won"),
            ("DENIED", "dispute_won"),
        ] {
            let outcome = format!(r#","dispute_outcome":{{"outcome_code":"{code}"}}"#);
            assert_eq!(said("CUSTOMER.DISPUTE.RESOLVED", &dispute(&outcome)), wanted(kind), "{code}");
        }
        for outcome in ["", r#","dispute_outcome":null"#, r#","dispute_outcome":{"outcome_code":"NONE"}"#] {
            assert_eq!(said("CUSTOMER.DISPUTE.RESOLVED", &dispute(outcome)), "unknown CUSTOMER.DISPUTE.RESOLVED");
        }
        let nothing = dispute("").replace(r#"{"seller_transaction_id":"C1","custom":"A-1"}"#, "");
        assert_eq!(said("CUSTOMER.DISPUTE.CREATED", &nothing), "400");
    }

    #[test]
    fn an_amount_is_a_decimal_text() {
        let capture = |value: &str, code: &str| {
            let resource = format!(r#"{{"id":"C1","amount":{{"value":{value},"currency_code":"{code}"}}}}"#);
            said("PAYMENT.CAPTURE.COMPLETED", &resource)
        };
        for (value, code, wanted) in [
            (r#""500""#, "JPY", "500 JPY"),
            (r#""500""#, "TWD", "500.00 TWD"),
            (r#""500""#, "HUF", "500.00 HUF"),
            (r#""0.10""#, "EUR", "0.10 EUR"),
        ] {
            assert_eq!(capture(value, code), format!("captured C1 C1 {wanted} - {AT}"));
        }
        for (value, code) in [(r#""0.5""#, "JPY"), (r#""-1.00""#, "EUR"), (r#""1.00""#, "eur"), (r#""1.001""#, "EUR")] {
            assert_eq!(capture(value, code), "422", "{value} {code}");
        }
        for value in ["1", r#""1e2""#, r#""1,00""#, r#""""#, "null"] {
            assert_eq!(capture(value, "EUR"), "400", "{value}");
        }
    }

    #[test]
    fn what_moves_no_money_is_silent_and_what_nobody_knows_is_unknown() {
        let prefixed = ["CHECKOUT.ORDER.APPROVED", "PAYMENT.AUTHORIZATION.VOIDED"];
        for kind in SILENT.names.iter().chain(&prefixed) {
            assert_eq!(said(kind, "7"), format!("silent {kind}"));
        }
        for kind in ["BILLING.PLAN.CREATED", "PAYMENT.CAPTURE.OF_TOMORROW", "PAYMENT.SALE"] {
            assert_eq!(said(kind, "null"), format!("unknown {kind}"));
        }
        assert_eq!(said("PAYMENT.CAPTURE.COMPLETED", "null"), "400");
    }
}
