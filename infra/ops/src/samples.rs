//! Real messages of 1688, events of a source, and callbacks of gateways, with ids and times of one's own put in.

use adapters::secrets::Secrets;
use anyhow::{Context, bail, ensure};
use domain::{Gateway, MessageId, OrderId, PaymentEvent, ReportedStatus, TradeId, UnixMillis};
use protocols::gateway::{Callback, Item, Verified};
use protocols::{Credentials, Refusal};
use reqwest::Method;
use serde_json::{Value, json};
use simulators::gateway::{self, CallbackRequest, Keys};

use crate::http::{Answer, Request};

macro_rules! pushes {
    ($($name:literal),+ $(,)?) => {
        /// A message of each push type, by its type. Origin: `infra/local/demo/README.md`.
        pub const PUSHES: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../local/demo/push/", $name, ".json")))),+];
    };
}

pushes![
    "LOGISTICS_BUYER_VIEW_TRACE",
    "LOGISTICS_MAIL_NO_CHANGE",
    "ORDER_BATCH_PAY",
    "ORDER_BUYER_VIEW_ANNOUNCE_SENDGOODS",
    "ORDER_BUYER_VIEW_BUYER_MAKE",
    "ORDER_BUYER_VIEW_ORDER_BOPS_CLOSE",
    "ORDER_BUYER_VIEW_ORDER_BUYER_CLOSE",
    "ORDER_BUYER_VIEW_ORDER_BUYER_REFUND_IN_SALES",
    "ORDER_BUYER_VIEW_ORDER_COMFIRM_RECEIVEGOODS",
    "ORDER_BUYER_VIEW_ORDER_PAY",
    "ORDER_BUYER_VIEW_ORDER_PRICE_MODIFY",
    "ORDER_BUYER_VIEW_ORDER_REFUND_AFTER_SALES",
    "ORDER_BUYER_VIEW_ORDER_SELLER_CLOSE",
    "ORDER_BUYER_VIEW_ORDER_SUCCESS",
    "ORDER_BUYER_VIEW_PART_PART_SENDGOODS",
    "PRODUCT_PRODUCT_INVENTORY_CHANGE",
    "PRODUCT_RELATION_VIEW_PRODUCT_CHANGE",
    "PRODUCT_RELATION_VIEW_PRODUCT_EXPIRE",
];

/// A captured request body of a paid order, signed with the secret of the local stack's shop.
pub const CAPTURED_BODY: &str = include_str!("../../local/demo/push/http_body_ORDER_PAY.txt");
/// The id of the message in it.
pub const CAPTURED_MESSAGE_ID: &str = "92705609220";

/// A message of 1688 about these trades. A message that names more trades than are given names the last
/// one again.
pub fn push(name: &str, trades: &[TradeId], id: &MessageId, at: UnixMillis) -> anyhow::Result<String> {
    let sample = PUSHES.iter().find(|(known, _)| *known == name);
    let (_, text) = sample.with_context(|| format!("there is no sample {name}"))?;
    let mut message: Value = serde_json::from_str(text).with_context(|| format!("the sample {name} is not JSON"))?;
    let mut slots = Slots { trades, next: 0, id, at };
    slots.fill(&mut message);
    Ok(message.to_string())
}

/// What is put into a sample.
struct Slots<'a> {
    trades: &'a [TradeId],
    next: usize,
    id: &'a MessageId,
    at: UnixMillis,
}

impl Slots<'_> {
    fn fill(&mut self, value: &mut Value) {
        if let Some(fields) = value.as_object_mut() {
            for (name, field) in fields {
                match self.value_of(name) {
                    Some(text) => put(field, text),
                    None => self.fill(field),
                }
            }
        } else if let Some(items) = value.as_array_mut() {
            items.iter_mut().for_each(|item| self.fill(item));
        }
    }

    fn value_of(&mut self, name: &str) -> Option<String> {
        match name {
            "orderId" => {
                let trade = self.trades.get(self.next).or(self.trades.last());
                self.next += 1;
                trade.map(TradeId::to_string)
            }
            // One consignment a message of a trade.
            "logisticsId" => self.trades.first().map(|trade| format!("LP{trade}")),
            "msgId" => Some(self.id.to_string()),
            "gmtBorn" => Some(self.at.get().to_string()),
            _ => None,
        }
    }
}

/// Numbers stay numbers, as the vendor writes them; ids are below 2^64.
fn put(field: &mut Value, text: String) {
    *field = match text.parse::<u64>() {
        Ok(number) if field.is_number() => Value::from(number),
        _ => Value::from(text),
    };
}

/// A source's report, in the form that goes with its scheme.
pub fn report(credentials: &Credentials, order: &OrderId, status: ReportedStatus, at: UnixMillis) -> String {
    let status = status.status().as_str().to_ascii_lowercase();
    let body = match credentials {
        Credentials::FlatHmac(_) => json!({"order_id": order, "new_status": status, "timestamp": at.seconds()}),
        Credentials::StandardWebhooks(_) | Credentials::Ali1688(_) => json!({
            "type": "order.status",
            "timestamp": at.to_rfc3339(),
            "data": {"order_id": order, "status": status},
        }),
    };
    body.to_string()
}

/// The payment gateways, played with test keys. Only a stack whose secrets hold those keys can tell them from nobody.
#[derive(Debug)]
pub struct Gateways<'a> {
    keys: Keys,
    secrets: &'a Secrets,
}

impl<'a> Gateways<'a> {
    /// The gateways as the stack with these secrets knows them.
    pub fn new(secrets: &'a Secrets) -> Self {
        Self { keys: Keys::local(), secrets }
    }

    /// The callback that tells of a movement, signed now. Fails for what the gateway cannot say, and where the stack
    /// would not read in it what was meant.
    pub fn callback(&self, event: &PaymentEvent, now: UnixMillis) -> anyhow::Result<Request> {
        let (gateway, kind, money) = (event.payment.gateway, event.kind.as_str(), event.money);
        let name = gateway.as_str();
        let sent = gateway::callback(&self.keys, event, None, now);
        let sent = sent.with_context(|| format!("{name} has no callback that tells of {kind} {money}"))?;
        let verified = self.verified(gateway, &sent, now).with_context(|| strange_keys(gateway))?;
        let items = verified.read().with_context(|| format!("the stack would refuse the callback of {name}"))?;
        let [Item::Movement(payment)] = items.as_slice() else {
            bail!("the stack's settings of {name} read no movement in the callback that tells of {kind}");
        };
        let read = payment.event();
        let is_meant = (&read.payment, read.kind, read.money) == (&event.payment, event.kind, money);
        ensure!(is_meant, "the stack reads {} {} where {name} tells of {kind} {money}", read.kind.as_str(), read.money);
        Ok(request(sent))
    }

    /// The callback with a body of one's own, signed now as the gateway signs. What the body says is its sender's
    /// affair, and may be nonsense; the keys must be the stack's all the same.
    pub fn signed(&self, gateway: Gateway, body: &str, now: UnixMillis) -> anyhow::Result<Request> {
        let sent = gateway::signed(&self.keys, gateway, body.to_owned(), now);
        let sent = sent.with_context(|| format!("{} cannot sign this body: Adyen signs JSON", gateway.as_str()))?;
        match self.verified(gateway, &sent, now) {
            Err(refusal) if matches!(refusal, Refusal::SignatureInvalid | Refusal::Unknown(_)) => {
                Err(refusal).with_context(|| strange_keys(gateway))
            }
            Ok(_) | Err(_) => Ok(request(sent)),
        }
    }

    fn verified(
        &self,
        gateway: Gateway,
        sent: &CallbackRequest,
        now: UnixMillis,
    ) -> Result<Callback<Verified>, Refusal> {
        let callback = Callback::new(gateway, sent.headers.clone(), sent.body.clone());
        callback.verify(self.secrets.gateway(gateway)?, None, now)
    }
}

fn strange_keys(gateway: Gateway) -> String {
    format!(
        "the secrets of the stack do not hold the test keys of {}, and only with those can a callback be signed here; \
         the gateways of infra/local/secrets.json are such keys",
        gateway.as_str()
    )
}

/// A gateway's request as the stack's API takes it.
pub fn request(sent: CallbackRequest) -> Request {
    let headers = sent.headers.into_iter().map(|(name, value)| (name.into(), value)).collect();
    Request { method: Method::POST, path: sent.path, headers, body: sent.body }
}

/// What a gateway takes for a yes, as a closing table shows it.
pub const fn accepted(gateway: Gateway) -> &'static str {
    match gateway {
        Gateway::Adyen => "200 [accepted]",
        Gateway::Alipay => "200 success",
        Gateway::Wechatpay => "200 {\"code\":\"SUCCESS\"}",
        Gateway::Stripe | Gateway::Paypal | Gateway::Airwallex => "200 accepted",
    }
}

/// An answer to a callback as a closing table shows it: gateways that want words of their own get them bare.
pub fn callback_label(answer: &Answer) -> String {
    match String::from_utf8_lossy(&answer.body) {
        words if answer.is_success() && answer.word().is_empty() => format!("{} {words}", answer.status),
        _ => answer.label(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::ShopId;
    use domain::{Currency, Event, Money, MovementKind, PaymentId, PaymentKey, TradeKey, TransactionId};
    use protocols::ali1688;

    const NOW: i64 = 1_795_248_000_000;

    fn captured(gateway: Gateway, code: &str) -> PaymentEvent {
        PaymentEvent {
            payment: PaymentKey { gateway, payment_id: PaymentId::new("P1").unwrap() },
            transaction_id: TransactionId::new("P1").unwrap(),
            kind: MovementKind::Captured,
            order: Some(OrderId::new("A-1").unwrap()),
            money: Money::new(10_230, Currency::from_code(code).unwrap()).unwrap(),
            occurred_at: UnixMillis::new(NOW - 7_000).unwrap(),
        }
    }

    #[test]
    fn every_gateway_can_be_played_where_the_secrets_hold_the_test_keys_and_nowhere_else() {
        let now = UnixMillis::new(NOW).unwrap();
        let local = Secrets::from_json(include_str!("../../local/secrets.json")).unwrap();
        let strange = Secrets::from_json(r#"{"gateways": {"stripe": {"signing_secrets": ["another"]}}}"#).unwrap();
        for gateway in Gateway::ALL {
            let event = captured(gateway, "CNY");
            let request = Gateways::new(&local).callback(&event, now).unwrap();
            assert_eq!(request.path, format!("/payments/{}", gateway.as_str()));
            let error = Gateways::new(&strange).callback(&event, now).unwrap_err();
            assert!(error.to_string().contains("do not hold the test keys"), "{error}");
        }
    }

    #[test]
    fn what_a_gateway_cannot_say_fails_with_its_name() {
        let now = UnixMillis::new(NOW).unwrap();
        let local = Secrets::from_json(include_str!("../../local/secrets.json")).unwrap();
        let error = Gateways::new(&local).callback(&captured(Gateway::Alipay, "EUR"), now).unwrap_err();
        assert_eq!(error.to_string(), "alipay has no callback that tells of captured 102.30 EUR");
    }

    #[test]
    fn a_body_of_one_s_own_is_signed_as_its_gateway_signs() {
        let now = UnixMillis::new(NOW).unwrap();
        let local = Secrets::from_json(include_str!("../../local/secrets.json")).unwrap();
        let gateways = Gateways::new(&local);
        let request = gateways.signed(Gateway::Stripe, r#"{"type":  "x"}"#, now).unwrap();
        assert_eq!(request.body, br#"{"type":  "x"}"#);
        assert!(gateways.signed(Gateway::Adyen, "not JSON", now).is_err());
        assert!(gateways.signed(Gateway::Adyen, r#"{"notificationItems":[]}"#, now).is_ok(), "the stack may refuse it");
    }

    fn trades_named_by(name: &str, trades: &[TradeId]) -> Vec<TradeKey> {
        let id = MessageId::new("77").unwrap();
        let message = push(name, trades, &id, UnixMillis::new(1_700_000_000_123).unwrap()).unwrap();
        let push = ali1688::push::read(&message, &ShopId::new("demo").unwrap()).unwrap();
        assert_eq!((push.kind.as_str(), push.message_id), (name, id));
        let trade = |event| match event {
            Event::Trade(change) => Some(change.trade),
            Event::Product(_) => None,
            Event::Order(_) => panic!("a push speaks of trades or of products"),
        };
        push.events.into_iter().filter_map(trade).collect()
    }

    #[test]
    fn every_sample_reads_as_a_push_about_the_given_trades() {
        let trades = ["176376000000000001", "9007199254740993"].map(|id| TradeId::new(id).unwrap());
        for (name, _) in PUSHES {
            let expected = match *name {
                "ORDER_BATCH_PAY" => 2,
                name if name.starts_with("PRODUCT_") => 0,
                _ => 1,
            };
            let named = trades_named_by(name, &trades);
            let named: Vec<_> = named.into_iter().map(|trade| trade.trade_id).collect();
            assert_eq!(named, trades[..expected], "{name}");
        }
    }
}
