//! Payment gateways: from what happened to money to the HTTP request that tells of it.
//!
//! Written from the gateways' pages and samples, apart from the readers in `protocols`, so that a test which sends
//! through here and reads there compares two opinions. A request holds more than the readers want, as the real ones do.

mod adyen;
mod airwallex;
mod alipay;
mod paypal;
mod rsa;
mod stripe;
mod wechatpay;

use std::collections::BTreeMap;

use domain::{Gateway, Money, PaymentEvent, UnixMillis};
use protocols::gateway::{self, Credentials, PublicKey};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Map, Value};
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

/// The section `gateways` of a secrets document that knows the simulated gateways.
pub const SECTION: &str = include_str!("../../gateways.json");
/// The certificate that the simulated PayPal signs with.
pub const PAYPAL_CERTIFICATE: &str = include_str!("../../keys/paypal.certificate.pem");
/// The public key that the simulated Alipay signs with.
pub const ALIPAY_PUBLIC_KEY: &str = include_str!("../../keys/alipay.public.pem");
/// The public key that the simulated WeChat Pay signs with.
pub const WECHATPAY_PUBLIC_KEY: &str = include_str!("../../keys/wechatpay.public.pem");

/// What a shop and its gateways share, and what the gateways keep to themselves.
#[derive(Debug)]
pub struct Keys {
    shop: Shop,
    paypal: rsa::Pair,
    alipay: rsa::Pair,
    wechatpay: rsa::Pair,
}

/// The section `gateways` of a secrets document, with all six.
#[derive(Debug, Clone, Deserialize)]
struct Shop {
    stripe: Stripe,
    paypal: Paypal,
    adyen: Adyen,
    airwallex: Airwallex,
    alipay: Alipay,
    wechatpay: Wechatpay,
}

#[derive(Debug, Clone, Deserialize)]
struct Stripe {
    signing_secrets: Vec<SecretString>,
}

#[derive(Debug, Clone, Deserialize)]
struct Paypal {
    webhook_id: String,
    certificates: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Deserialize)]
struct Adyen {
    hmac_keys: Vec<SecretString>,
    capture: Capture,
}

/// When the simulated Adyen takes the customer's money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Capture {
    /// By a call of the shop.
    Manual,
    /// With the authorisation.
    Automatic,
}

#[derive(Debug, Clone, Deserialize)]
struct Airwallex {
    secrets: Vec<SecretString>,
}

#[derive(Debug, Clone, Deserialize)]
struct Alipay {
    app_id: String,
    seller_id: String,
    public_keys: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct Wechatpay {
    mchid: String,
    api_v3_key: SecretString,
    public_keys: BTreeMap<String, String>,
}

impl Keys {
    /// The keys of this crate: those of [`SECTION`], and the private halves.
    pub fn local() -> Self {
        Self::from_section(SECTION).expect("this crate's own section")
    }

    /// The keys of a whole secrets document. `None` unless it has all six gateways.
    pub fn from_document(document: &str) -> Option<Self> {
        let document: Map<String, Value> = serde_json::from_str(document).ok()?;
        Self::from_section(&document.get("gateways")?.to_string())
    }

    /// The keys of a document's section `gateways`. `None` unless it has all six.
    pub fn from_section(section: &str) -> Option<Self> {
        let shop = serde_json::from_str(section).ok()?;
        let (paypal, alipay, wechatpay) = (rsa::Pair::paypal(), rsa::Pair::alipay(), rsa::Pair::wechatpay());
        Some(Self { shop, paypal, alipay, wechatpay })
    }

    /// The same, with Adyen in this mode.
    pub fn with_adyen_capture(mut self, capture: Capture) -> Self {
        self.shop.adyen.capture = capture;
        self
    }

    /// What the shop checks a gateway's callbacks with.
    pub fn credentials(&self, gateway: Gateway) -> Credentials {
        let Shop { stripe, paypal, adyen, airwallex, alipay, wechatpay } = self.shop.clone();
        let key = |pem: String| PublicKey::from_pem(&pem);
        match gateway {
            Gateway::Stripe => {
                Credentials::Stripe(gateway::stripe::Credentials { signing_secrets: stripe.signing_secrets })
            }
            Gateway::Paypal => Credentials::Paypal(gateway::paypal::Credentials {
                webhook_id: paypal.webhook_id,
                certificates: paypal.certificates.into_iter().map(|(url, pem)| (url, key(pem))).collect(),
            }),
            Gateway::Adyen => Credentials::Adyen(gateway::adyen::Credentials {
                hmac_keys: adyen.hmac_keys,
                capture: match adyen.capture {
                    Capture::Manual => gateway::adyen::Capture::Manual,
                    Capture::Automatic => gateway::adyen::Capture::Automatic,
                },
            }),
            Gateway::Airwallex => {
                Credentials::Airwallex(gateway::airwallex::Credentials { secrets: airwallex.secrets })
            }
            Gateway::Alipay => Credentials::Alipay(gateway::alipay::Credentials {
                app_id: alipay.app_id,
                seller_id: alipay.seller_id,
                public_keys: alipay.public_keys.into_iter().filter_map(key).collect(),
            }),
            Gateway::Wechatpay => Credentials::Wechatpay(gateway::wechatpay::Credentials {
                mchid: wechatpay.mchid,
                api_v3_key: wechatpay.api_v3_key,
                public_keys: wechatpay.public_keys.into_iter().filter_map(|(id, pem)| Some((id, key(pem)?))).collect(),
            }),
        }
    }
}

/// A request as a gateway sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallbackRequest {
    /// `/payments/{gateway}`. The method is POST.
    pub path: String,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The raw body.
    pub body: Vec<u8>,
}

/// Fields about a person, as an object: they are put where the gateway puts its own, and no reader may keep them.
pub type Person = Map<String, Value>;

/// What a gateway tells, when, and of whom.
struct Told<'a> {
    event: &'a PaymentEvent,
    person: Person,
    now: UnixMillis,
}

/// The request that tells of a movement, sent and signed now. `None` for what the gateway cannot say: a kind that it
/// has no event for, a currency or an amount that it has not, a capture under another id than its payment's where the
/// two are one there. Left out is what no reader may take: the order of a refund or a dispute at Stripe, PayPal and Adyen, and what is finer
/// than a second, except at Adyen and PayPal and in Alipay's refunds.
pub fn callback(
    keys: &Keys,
    event: &PaymentEvent,
    person: Option<&Person>,
    now: UnixMillis,
) -> Option<CallbackRequest> {
    let told = Told { event, person: person.cloned().unwrap_or_default(), now };
    let body = match event.payment.gateway {
        Gateway::Stripe => stripe::body(&told)?,
        Gateway::Paypal => paypal::body(&told)?,
        Gateway::Adyen => adyen::body(keys, &told)?,
        Gateway::Airwallex => airwallex::body(&told)?,
        Gateway::Alipay => alipay::body(keys, &told)?,
        Gateway::Wechatpay => wechatpay::body(keys, &told)?,
    };
    signed(keys, event.payment.gateway, body, now)
}

/// The request that carries this body, sent and signed now, whatever the body says. `None` for what the gateway has no
/// place to sign in: Adyen signs JSON, and the items of a notification each by itself.
pub fn signed(keys: &Keys, gateway: Gateway, body: String, now: UnixMillis) -> Option<CallbackRequest> {
    let (headers, body) = match gateway {
        Gateway::Stripe => stripe::signed(keys, body, now)?,
        Gateway::Paypal => paypal::signed(keys, body, now)?,
        Gateway::Adyen => adyen::signed(keys, body, now)?,
        Gateway::Airwallex => airwallex::signed(keys, body, now)?,
        Gateway::Alipay => alipay::signed(keys, body, now)?,
        Gateway::Wechatpay => wechatpay::signed(keys, body, now)?,
    };
    Some(CallbackRequest { path: format!("/payments/{}", gateway.as_str()), headers, body: body.into_bytes() })
}

/// The body of a WeChat Pay notification of this type, which was made at this time, with this resource encrypted.
pub fn wechatpay_body(keys: &Keys, event_type: &str, plaintext: &str, at: UnixMillis) -> Option<String> {
    wechatpay::notification(keys, event_type, plaintext, at)
}

/// Headers and body.
type Sent = (Vec<(String, String)>, String);

fn headers<const N: usize>(headers: [(&str, String); N]) -> Vec<(String, String)> {
    headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

impl Told<'_> {
    fn payment(&self) -> &str {
        self.event.payment.payment_id.as_str()
    }

    fn transaction(&self) -> &str {
        self.event.transaction_id.as_str()
    }

    /// The order, or nothing.
    fn order(&self) -> &str {
        self.event.order.as_ref().map(|order| order.as_str()).unwrap_or_default()
    }

    /// Whether payment and movement have one name.
    fn is_one(&self) -> bool {
        self.payment() == self.transaction()
    }

    /// The code of the currency.
    fn code(&self) -> &'static str {
        self.event.money.currency().code()
    }

    /// The amount in major units, such as `102.30`.
    fn major(&self) -> String {
        self.event.money.to_string().split(' ').next().unwrap_or_default().to_owned()
    }

    /// The amount in the gateway's smallest units; `own` are the currencies that it counts in others than ISO 4217.
    fn units(&self, own: &[(&str, u32)]) -> Option<i64> {
        let money: Money = self.event.money;
        let decimals = money.currency().exponent();
        let own = own.iter().find(|(code, _)| *code == self.code()).map_or(decimals, |(_, own)| *own);
        let power = 10_i64.checked_pow(own.abs_diff(decimals))?;
        match own >= decimals {
            true => money.minor().checked_mul(power),
            false => (money.minor().checked_rem(power)? == 0).then_some(money.minor().checked_div(power)?),
        }
    }
}

/// A time at an offset of whole hours, without it: `2026-11-21T08:00:00`.
fn local(at: UnixMillis, hours: i8) -> String {
    let offset = UtcOffset::from_hms(hours, 0, 0).unwrap_or(UtcOffset::UTC);
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]");
    OffsetDateTime::from_unix_timestamp(at.seconds())
        .ok()
        .and_then(|moment| moment.to_offset(offset).format(format).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{Currency, MovementKind, OrderId, PaymentId, PaymentKey, TransactionId};
    use protocols::gateway::{Callback, Item};

    /// 2026-11-21T08:00:00Z.
    fn now() -> UnixMillis {
        UnixMillis::new(1_795_248_000_000).unwrap()
    }

    fn event(gateway: Gateway, kind: MovementKind, (payment, transaction): (&str, &str), money: Money) -> PaymentEvent {
        let payment = PaymentKey { gateway, payment_id: PaymentId::new(payment).unwrap() };
        let transaction_id = TransactionId::new(transaction).unwrap();
        let order = Some(OrderId::new("A-1").unwrap());
        PaymentEvent { payment, transaction_id, kind, order, money, occurred_at: now().saturating_add_ms(-7_000) }
    }

    /// What the shop makes of a request.
    fn read(keys: &Keys, gateway: Gateway, sent: &CallbackRequest) -> PaymentEvent {
        let callback = Callback::new(gateway, sent.headers.clone(), sent.body.clone());
        let items = callback.verify(&keys.credentials(gateway), None, now()).unwrap().read().unwrap();
        let [Item::Movement(payment)] = items.as_slice() else { panic!("{items:?}") };
        payment.event().clone()
    }

    /// Whether the gateway says which order of ours it speaks of.
    fn carries_order(gateway: Gateway, kind: MovementKind) -> bool {
        let is_capture = matches!(kind, MovementKind::Captured | MovementKind::CaptureFailed);
        is_capture || matches!(gateway, Gateway::Airwallex | Gateway::Alipay | Gateway::Wechatpay)
    }

    fn said_by(gateway: Gateway, capture: Capture) -> Vec<&'static str> {
        let keys = Keys::local().with_adyen_capture(capture);
        let is_yuan = matches!(gateway, Gateway::Alipay | Gateway::Wechatpay);
        let currency = if is_yuan { Currency::CNY } else { Currency::EUR };
        let mut said = Vec::new();
        for kind in MovementKind::ALL {
            for ids in [("P1", "T1"), ("P1", "P1")] {
                let event = event(gateway, kind, ids, Money::new(10_230, currency).unwrap());
                let Some(sent) = callback(&keys, &event, None, now()) else { continue };
                let order = event.order.clone().filter(|_| carries_order(gateway, kind));
                assert_eq!(read(&keys, gateway, &sent), PaymentEvent { order, ..event }, "{gateway:?} {kind:?}");
                said.push(kind.as_str());
            }
        }
        said.dedup();
        said
    }

    #[test]
    fn what_a_gateway_says_is_read_as_it_was_meant() {
        let disputes = ["dispute_opened", "dispute_won", "dispute_lost"];
        let both = ["captured", "capture_failed", "refunded", "refund_failed"];
        let all: Vec<&str> = both.into_iter().chain(disputes).collect();
        let without_failed_captures: Vec<&str> = all.iter().copied().filter(|kind| *kind != "capture_failed").collect();
        for capture in [Capture::Manual, Capture::Automatic] {
            for (gateway, wanted) in [
                (Gateway::Stripe, &all[..]),
                (Gateway::Paypal, &all),
                (Gateway::Adyen, &all),
                (Gateway::Airwallex, &without_failed_captures),
                (Gateway::Alipay, &["captured", "refunded_in_total"]),
                (Gateway::Wechatpay, &["captured", "refunded", "refund_failed"]),
            ] {
                assert_eq!(said_by(gateway, capture), wanted, "{gateway:?}");
            }
        }
    }

    #[test]
    fn amounts_of_every_exponent_arrive() {
        let keys = Keys::local();
        let mut refused = Vec::new();
        for gateway in Gateway::ALL {
            for code in ["EUR", "JPY", "KWD", "CLF", "HUF", "TWD", "ISK", "UGX", "MGA", "CLP", "CVE", "IDR"] {
                for minor in [0, 1, 100, 123_400, Money::MINOR_MAX] {
                    let money = Money::new(minor, Currency::from_code(code).unwrap()).unwrap();
                    let event = event(gateway, MovementKind::Captured, ("P1", "P1"), money);
                    match callback(&keys, &event, None, now()) {
                        Some(sent) => assert_eq!(read(&keys, gateway, &sent), event),
                        None => refused.push(format!("{} {code} {minor}", gateway.as_str())),
                    }
                }
            }
        }
        refused.retain(|refused| !refused.starts_with("alipay "));
        // Whole ones of what has no smaller unit there.
        assert_eq!(refused, ["stripe MGA 1", "adyen CVE 1", "adyen IDR 1"]);
    }

    #[test]
    fn a_movement_without_an_order_arrives_without_one() {
        let keys = Keys::local();
        for gateway in Gateway::ALL {
            let mut event = event(gateway, MovementKind::Captured, ("P1", "P1"), Money::zero(Currency::CNY));
            event.order = None;
            assert_eq!(read(&keys, gateway, &callback(&keys, &event, None, now()).unwrap()), event);
        }
    }

    #[test]
    fn persons_stand_in_the_request_and_not_in_what_is_read() {
        let keys = Keys::local();
        let person = serde_json::json!({"name": "Canary Name", "email": "canary@example.com", "last4": "4242"});
        let person = person.as_object().unwrap();
        for gateway in Gateway::ALL {
            let event = event(gateway, MovementKind::Captured, ("P1", "P1"), Money::zero(Currency::CNY));
            let (plain, sent) = (callback(&keys, &event, None, now()), callback(&keys, &event, Some(person), now()));
            let (plain, sent) = (plain.unwrap(), sent.unwrap());
            assert!(sent.body.len() > plain.body.len(), "{gateway:?}");
            let body = String::from_utf8(sent.body.clone()).unwrap();
            // WeChat Pay's is encrypted.
            assert_eq!(body.to_lowercase().contains("canary"), gateway != Gateway::Wechatpay, "{gateway:?}");
            let read = read(&keys, gateway, &sent);
            assert!(!format!("{read:?}").to_lowercase().contains("canary"), "{gateway:?}");
            assert_eq!(read, event);
        }
    }

    #[test]
    fn the_section_holds_the_public_halves() {
        let keys = Keys::local();
        assert_eq!(keys.shop.paypal.certificates.values().collect::<Vec<_>>(), [PAYPAL_CERTIFICATE]);
        assert_eq!(keys.shop.alipay.public_keys, [ALIPAY_PUBLIC_KEY]);
        assert_eq!(keys.shop.wechatpay.public_keys.values().collect::<Vec<_>>(), [WECHATPAY_PUBLIC_KEY]);
        let document = format!(r#"{{"clients":{{}},"gateways":{SECTION}}}"#);
        assert!(Keys::from_document(&document).is_some() && Keys::from_document("{}").is_none());
    }
}
