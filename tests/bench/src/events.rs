//! What the functions are handed: signed deliveries and callbacks as the HTTP API hands them over, and batches of the
//! events queue. No two are the same, unless that is asked for.

use adapters::clock::{Clock, SystemClock};
use adapters::secrets::Secrets;
use anyhow::Context;
use domain::{
    Currency, Gateway, Money, MovementKind, OrderId, PaymentEvent, PaymentKey, ShopId, TransactionId, UnixMillis,
};
use protocols::client::Signable;
use protocols::{Channel, Credentials, ali1688};
use secrecy::SecretString;
use serde_json::{Value, json};
use simulators::gateway::{self, Keys};
use simulators::invocations;

/// The secrets of the local stack.
pub const SECRETS: &str = include_str!("../../../infra/local/secrets.json");
/// The order whose reading is counted, and its trades.
pub const ORDER: &str = "bench-order";
/// The trades that it is linked to.
pub const TRADES: [u64; 3] = [1_000_000_001, 1_000_000_002, 1_000_000_003];

/// Makes events of senders that the stack knows.
#[derive(Debug)]
pub struct Sender {
    push_secret: SecretString,
    client: (String, SecretString),
    keys: Keys,
}

impl Sender {
    /// With the secrets of the local stack.
    pub fn new() -> anyhow::Result<Self> {
        let secrets = Secrets::from_json(SECRETS)?;
        let push_secret = match secrets.credentials(&Channel::Ali1688(ShopId::new("demo")?))? {
            Credentials::Ali1688(secrets) => secrets.into_iter().next(),
            Credentials::StandardWebhooks(_) | Credentials::FlatHmac(_) => None,
        };
        let (key, secret) = secrets.first_client().context("no client")?;
        Ok(Self {
            push_secret: push_secret.context("the shop has no secret")?,
            client: (key.to_string(), secret.clone()),
            keys: Keys::local(),
        })
    }

    /// A push that so many orders were paid: of one order the usual one, of more that of a batch.
    pub fn push(&self, nth: u64, orders: u64) -> String {
        let now = SystemClock.now().get();
        let first = 2_000_000_000 + nth * 1_000;
        let data = match orders {
            1 => json!({"orderId": first, "currentStatus": "waitsellersend", "buyerMemberId": "b2b-665170100",
                        "sellerMemberId": "b2b-1676547900b7bb3"}),
            _ => {
                let paid = (first..first + orders).map(|order| json!({"orderId": order, "status": "successed"}));
                json!({"batchPay": paid.collect::<Vec<_>>()})
            }
        };
        let kind = if orders == 1 { "ORDER_BUYER_VIEW_ORDER_PAY" } else { "ORDER_BATCH_PAY" };
        let message = json!({"bizKey": first.to_string(), "data": data, "gmtBorn": now, "msgId": 90_000_000_000 + nth,
                             "type": kind, "userInfo": "b2b-665170100"});
        let body = ali1688::push::signed_form(&self.push_secret, &message.to_string());
        let form = ("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned());
        request("POST", "/webhooks/1688/demo", &[form], body.as_bytes())
    }

    /// A callback of Stripe that an order's money was captured.
    pub fn callback(&self, nth: u64, order: &str) -> anyhow::Result<String> {
        let now = SystemClock.now();
        let event = captured(nth, order, now)?;
        let sent = gateway::callback(&self.keys, &event, None, now).context("not a callback of Stripe")?;
        Ok(request("POST", &sent.path, &sent.headers, &sent.body))
    }

    /// A client that reads an order.
    pub fn read_order(&self, nth: u64, order: &str) -> String {
        let (timestamp, nonce) = (SystemClock.now().seconds().to_string(), format!("{nth:032x}"));
        let path = format!("/orders/{order}");
        let (key, secret) = &self.client;
        let signature =
            Signable { timestamp: &timestamp, nonce: &nonce, method: "GET", path_with_query: &path, body: b"" };
        let signature = signature.sign(secret);
        let headers =
            [("x-app-key", key.clone()), ("x-timestamp", timestamp), ("x-nonce", nonce), ("x-signature", signature)];
        request("GET", &path, &headers.map(|(name, value)| (name.to_owned(), value)), b"")
    }
}

fn captured(nth: u64, order: &str, at: UnixMillis) -> anyhow::Result<PaymentEvent> {
    Ok(PaymentEvent {
        payment: PaymentKey { gateway: Gateway::Stripe, payment_id: format!("pi_{nth}").try_into()? },
        transaction_id: TransactionId::new(format!("ch_{nth}"))?,
        kind: MovementKind::Captured,
        order: Some(OrderId::new(order)?),
        money: Money::new(10_230, Currency::EUR)?,
        occurred_at: UnixMillis::from_seconds(at.seconds())?,
    })
}

fn request(method: &str, path: &str, headers: &[(String, String)], body: &[u8]) -> String {
    let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    invocations::request(method, path, headers, body).to_string()
}

/// A batch of ten events of the queue that touches four items.
pub fn batch(nth: u64) -> String {
    let (order, other, trade) = (format!("one-{nth}"), format!("two-{nth}"), (3_000_000_000 + nth).to_string());
    invocations::batch_of_ten(&order, &other, &trade, SystemClock.now()).to_string()
}

/// The items of an order that is linked to its trades.
pub fn links() -> Vec<Value> {
    let link = |trade: &u64| {
        let trade = format!("1688#demo#{trade}");
        json!({"pk": {"S": ORDER}, "sk": {"S": format!("trade#{trade}")}, "trade": {"S": trade},
               "at_linked": {"N": "1795000000000"}, "by_linked": {"S": "shopfront#link"}})
    };
    TRADES.iter().map(link).collect()
}
