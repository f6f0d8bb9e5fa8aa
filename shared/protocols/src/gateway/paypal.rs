//! PayPal: RSA over `transmission id|time|webhook id|CRC-32 of the body`, with the key of a certificate named by URL.
//!
//! The webhook id is ours, never taken from a request. A certificate is believed for where it lies: a URL that is
//! pinned, or one at PayPal's own address for certificates. The time is not bounded: PayPal tries for three days with
//! one stamp, and a callback that is played again is a duplicate. Sources: developer.paypal.com, "Integrate webhooks",
//! "Webhook event names", "Currency codes"; paypal/PayPal-Java-SDK.

use std::collections::HashMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use domain::{Gateway, Money, MovementKind, UnixMillis};
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
        if url.len() > Self::BYTES_MAX || !url.bytes().all(is_plain) || !url.starts_with("https://") {
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
        candidates.into_iter().find_map(text)
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
        let up = links.iter().find(|link| link.0.rel == "up").and_then(|link| link.0.href.split_once("/captures/"));
        let beside =
            || part::<Supplementary>(self.supplementary_data).ok().map(|beside| beside.related_ids.0.capture_id);
        up.map(|(_, id)| id.to_owned()).or_else(beside)
    }
}

fn capture(event: &Event<'_>, kind: MovementKind) -> Result<Item, Refusal> {
    let capture: Resource<'_> = part(event.resource)?;
    event.movement(kind, (&capture.id, &capture.id), capture.order(), capture.amount.0.money()?)
}

fn refund(event: &Event<'_>, kind: MovementKind) -> Result<Item, Refusal> {
    let refund: Resource<'_> = part(event.resource)?;
    let payment = refund.capture_id().ok_or(Refusal::Malformed("the refund names no capture"))?;
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
    event.movement(kind, (payment, &dispute.dispute_id), None, dispute.dispute_amount.0.money()?)
}
