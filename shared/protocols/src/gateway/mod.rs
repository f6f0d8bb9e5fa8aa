//! Payment gateways: a callback is one HTTP request that claims to come from one of them.
//!
//! Invariant (law 5): only [`Callback::verify`] makes a `Callback<Verified>`, only that can be read, and only its
//! reading makes a [`VerifiedPayment`], which is all that the ledger takes.

pub mod adyen;
pub mod airwallex;
pub mod alipay;
pub mod paypal;
mod reading;
mod rsa;
pub mod stripe;
pub mod wechatpay;

use domain::{Gateway, PaymentEvent, UnixMillis};

pub use rsa::PublicKey;

use crate::Refusal;

/// What a gateway's callbacks are checked with. A key that cannot be read is left out, so that it lets nobody in.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// Stripe's.
    Stripe(stripe::Credentials),
    /// PayPal's.
    Paypal(paypal::Credentials),
    /// Adyen's.
    Adyen(adyen::Credentials),
    /// Airwallex's.
    Airwallex(airwallex::Credentials),
    /// Alipay's.
    Alipay(alipay::Credentials),
    /// WeChat Pay's.
    Wechatpay(wechatpay::Credentials),
}

/// Nothing about it is known to be true.
#[derive(Debug)]
pub struct Unverified {
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// A live key signed it.
#[derive(Debug)]
pub struct Verified(Signed);

/// What was signed, as far as reading needs it.
#[derive(Debug)]
enum Signed {
    Stripe(stripe::Signed),
    Paypal(paypal::Signed),
    Adyen(adyen::Signed),
    Airwallex(airwallex::Signed),
    Alipay(alipay::Signed),
    Wechatpay(wechatpay::Signed),
}

/// A callback of a gateway.
#[derive(Debug)]
pub struct Callback<State> {
    gateway: Gateway,
    state: State,
}

/// A movement of money that a gateway signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedPayment(PaymentEvent);

impl VerifiedPayment {
    /// The movement.
    pub const fn event(&self) -> &PaymentEvent {
        &self.0
    }
}

/// One thing that a verified callback says. A callback of Adyen may say several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// Money moved.
    Movement(VerifiedPayment),
    /// A type that moves no money, or whose money another type tells of: acknowledged.
    Silent {
        /// The gateway's type.
        kind: String,
    },
    /// A type that we do not know: acknowledged and counted.
    Unknown {
        /// The gateway's type.
        kind: String,
    },
}

impl Callback<Unverified> {
    /// A request as it came: headers (names in lower case) and raw body.
    pub fn new(gateway: Gateway, headers: Vec<(String, String)>, body: Vec<u8>) -> Self {
        Self { gateway, state: Unverified { headers, body } }
    }

    /// The certificate that must be fetched before this can be verified: PayPal names it by URL. `None` when none
    /// is needed, or when it is pinned; a refusal when the URL is not one that may be fetched.
    pub fn wanted_certificate(&self, credentials: &Credentials) -> Result<Option<paypal::CertificateUrl>, Refusal> {
        match (self.gateway, credentials) {
            (Gateway::Paypal, Credentials::Paypal(credentials)) => paypal::wanted_certificate(&self.state, credentials),
            _ => Ok(None),
        }
    }

    /// Checks the signature over the raw bytes, and the time where the gateway's rules have one. `fetched` is the
    /// certificate that [`Self::wanted_certificate`] asked for. Credentials of another gateway are a refusal.
    pub fn verify(
        &self,
        credentials: &Credentials,
        fetched: Option<&PublicKey>,
        now: UnixMillis,
    ) -> Result<Callback<Verified>, Refusal> {
        let request = &self.state;
        let signed = match (self.gateway, credentials) {
            (Gateway::Stripe, Credentials::Stripe(keys)) => Signed::Stripe(stripe::verify(request, keys, now)?),
            (Gateway::Paypal, Credentials::Paypal(keys)) => Signed::Paypal(paypal::verify(request, keys, fetched)?),
            (Gateway::Adyen, Credentials::Adyen(keys)) => Signed::Adyen(adyen::verify(request, keys)?),
            (Gateway::Airwallex, Credentials::Airwallex(keys)) => Signed::Airwallex(airwallex::verify(request, keys)?),
            (Gateway::Alipay, Credentials::Alipay(keys)) => Signed::Alipay(alipay::verify(request, keys)?),
            (Gateway::Wechatpay, Credentials::Wechatpay(keys)) => {
                Signed::Wechatpay(wechatpay::verify(request, keys, now)?)
            }
            _ => return Err(Refusal::SignatureInvalid),
        };
        Ok(Callback { gateway: self.gateway, state: Verified(signed) })
    }
}

impl Unverified {
    /// The one header of a name in lower case. Of two, nobody could say which one the gateway meant.
    fn header(&self, name: &str) -> Result<&str, Refusal> {
        let mut values = self.headers.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
        match (values.next(), values.next()) {
            (Some(""), None) | (None, _) => Err(Refusal::SignatureMissing),
            (Some(value), None) => Ok(value),
            (Some(_), Some(_)) => Err(Refusal::SignatureInvalid),
        }
    }
}

impl Callback<Verified> {
    /// Reads what was signed; at least one item.
    pub fn read(self) -> Result<Vec<Item>, Refusal> {
        match self.state.0 {
            Signed::Stripe(signed) => stripe::read(&signed),
            Signed::Paypal(signed) => paypal::read(&signed),
            Signed::Adyen(signed) => adyen::read(&signed),
            Signed::Airwallex(signed) => airwallex::read(&signed),
            Signed::Alipay(signed) => alipay::read(&signed),
            Signed::Wechatpay(signed) => wechatpay::read(&signed),
        }
    }
}

/// The content type and the body that a gateway takes for a yes. Sources: the gateways' pages on webhooks; Adyen and
/// Alipay want exactly these words, the others any 2xx.
pub const fn acknowledgement(gateway: Gateway) -> (&'static str, &'static str) {
    match gateway {
        Gateway::Adyen => ("text/plain", "[accepted]"),
        Gateway::Alipay => ("text/plain", "success"),
        Gateway::Wechatpay => ("application/json", r#"{"code":"SUCCESS"}"#),
        Gateway::Stripe | Gateway::Paypal | Gateway::Airwallex => ("application/json", r#"{"status":"accepted"}"#),
    }
}
