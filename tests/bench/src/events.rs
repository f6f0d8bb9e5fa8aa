//! What the functions are handed: signed deliveries and callbacks as the HTTP API hands them over, and batches of the
//! events queue. No two are the same, unless that is asked for.

use adapters::clock::{Clock, SystemClock};
use adapters::secrets::Secrets;
use anyhow::Context;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use domain::{
    Currency, Gateway, Money, MovementKind, OrderId, PaymentEvent, PaymentKey, ShopId, TransactionId, UnixMillis,
};
use protocols::client::Signable;
use protocols::{Channel, Credentials, ali1688};
use secrecy::SecretString;
use serde_json::{Value, json};
use simulators::gateway::{self, Keys};

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
        request("POST", "/webhooks/1688/demo", vec![form], body.as_bytes())
    }

    /// A callback of Stripe that an order's money was captured.
    pub fn callback(&self, nth: u64, order: &str) -> anyhow::Result<String> {
        let now = SystemClock.now();
        let event = captured(nth, order, now)?;
        let sent = gateway::callback(&self.keys, &event, None, now).context("not a callback of Stripe")?;
        let headers = sent.headers.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
        Ok(request("POST", &sent.path, headers, &sent.body))
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
        request("GET", &path, headers.map(|(name, value)| (name.to_owned(), value)).into(), b"")
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

/// A request as the HTTP API hands it over. Source: API Gateway developer guide, payload format version 2.0.
fn request(method: &str, path: &str, headers: Vec<(String, String)>, body: &[u8]) -> String {
    let headers: serde_json::Map<String, Value> =
        headers.into_iter().map(|(name, value)| (name, Value::from(value))).collect();
    json!({
        "version": "2.0", "routeKey": format!("{method} {path}"), "rawPath": path, "rawQueryString": "",
        "headers": headers, "body": BASE64_STANDARD.encode(body), "isBase64Encoded": true,
        "requestContext": {
            "accountId": "000000000000", "apiId": "bench", "domainName": "bench.execute-api", "stage": "$default",
            "requestId": "bench", "time": "26/Nov/2026:00:00:00 +0000", "timeEpoch": 1_795_000_000_000_u64,
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "bench"},
        },
    })
    .to_string()
}

/// A batch of ten events of the queue that touches four items: two orders, a trade's status and its package.
pub fn batch(nth: u64) -> String {
    let at = SystemClock.now();
    let trade = (3_000_000_000 + nth).to_string();
    let event = |id: u64, kind: &str, source: &str, subject: &str, data: Value| {
        let time = at.saturating_add_ms(i64::try_from(id).unwrap_or_default()).to_rfc3339();
        json!({"specversion": "1.0", "id": format!("{nth}-{id}"), "source": source, "type": kind, "subject": subject,
               "time": time, "data": data})
    };
    let of_order = |id: u64, order: &str, status: &str| {
        let order = format!("{order}-{nth}");
        event(id, "sampan.order.changed.v1", "/sources/warehouse", &order, json!({"order_id": order, "status": status}))
    };
    let of_trade = |id: u64, said: (&str, Value), raw: Option<&str>| {
        let mut data = json!({"marketplace": "1688", "shop": "demo", "trade_id": trade, said.0: said.1});
        if let (Some(fields), Some(raw)) = (data.as_object_mut(), raw) {
            fields.insert("raw_status".to_owned(), raw.into());
        }
        event(id, "sampan.trade.changed.v1", "/marketplaces/1688/demo", &trade, data)
    };
    let status = |id, status: &str, raw| of_trade(id, ("status", status.into()), Some(raw));
    let trace = |id, word: &str| of_trade(id, ("shipping", json!({"logistics_id": "LP1", "trace_status": word})), None);
    let events = [
        of_order(0, "one", "arrived"),
        of_order(1, "one", "packed"),
        of_order(2, "one", "arrived"),
        of_order(3, "two", "arrived"),
        status(4, "awaiting_payment", "waitbuyerpay"),
        status(5, "awaiting_shipment", "waitsellersend"),
        status(6, "shipped", "waitbuyerreceive"),
        status(7, "shipped", "waitbuyerreceive"),
        trace(8, "CONSIGN"),
        trace(9, "SIGN"),
    ];
    let records = (0..).zip(&events).map(|(id, event): (u64, &Value)| {
        json!({"messageId": format!("00000000-0000-4000-8000-{:012x}", nth * 10 + id), "body": event.to_string(),
               "receiptHandle": "bench", "attributes": {"ApproximateReceiveCount": "1"}, "messageAttributes": {},
               "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:events",
               "awsRegion": "us-east-1", "md5OfBody": ""})
    });
    json!({"Records": records.collect::<Vec<_>>()}).to_string()
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
