//! The demo's client of the orders API: every request signed anew, with a nonce of its own.

use std::sync::atomic::{AtomicU64, Ordering};

use adapters::clock::{Clock, SystemClock};
use adapters::secrets::Secrets;
use anyhow::Context;
use domain::{Currency, Money, OrderId, RefundId, TradeId};
use reqwest::Method;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::story::{Creation, Line};
use crate::http::Request;

/// The rate that a customer was shown, and when.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Quote {
    pub(super) rate: String,
    pub(super) captured_at: String,
}

/// A client that the stack knows.
pub(super) struct ShopFront<'a> {
    app_key: &'a str,
    secret: &'a SecretString,
    run: i64,
    nonces: AtomicU64,
}

impl<'a> ShopFront<'a> {
    /// The first client of the secrets document.
    pub(super) fn new(secrets: &'a Secrets) -> anyhow::Result<Self> {
        let (app_key, secret) = secrets.first_client().context("the secrets of the stack have no client")?;
        Ok(Self { app_key: app_key.as_str(), secret, run: SystemClock.now().get(), nonces: AtomicU64::new(0) })
    }

    /// A request that is good once.
    pub(super) fn request(&self, method: Method, path: String, body: Vec<u8>) -> Request {
        let nonce = format!("{}-{}", self.run, self.nonces.fetch_add(1, Ordering::Relaxed));
        Request::of_client(method, path, body, (self.app_key, self.secret), (&nonce, SystemClock.now()))
    }

    /// Links trades of a 1688 shop to an order.
    pub(super) fn link(&self, order: &OrderId, shop: &str, trades: &[TradeId]) -> Request {
        let link = |trade: &TradeId| json!({"marketplace": "1688", "shop": shop, "trade_id": trade});
        let body = json!({"trades": trades.iter().map(link).collect::<Vec<_>>()});
        self.request(Method::PUT, format!("/orders/{order}/trades"), body.to_string().into_bytes())
    }

    /// Asks what a price comes to.
    pub(super) fn quote(&self, price: Money, to: Currency) -> Request {
        let (from, minor) = (price.currency(), price.minor());
        self.request(Method::GET, format!("/quotes?from={from}&to={to}&amount_minor={minor}"), Vec::new())
    }

    /// Creates an order.
    pub(super) fn create(&self, order: &OrderId, creation: &Creation, quote: Option<&Quote>) -> Request {
        let mut body = json!({
            "order_id": order,
            "price": amount(creation.price),
            "charge_currency": creation.charge_currency.code(),
            "lines": creation.lines.iter().map(line).collect::<Vec<_>>(),
        });
        if let (Some(fields), Some(quote)) = (body.as_object_mut(), quote) {
            fields.insert("quote".to_owned(), json!(quote));
        }
        self.request(Method::POST, "/orders".to_owned(), body.to_string().into_bytes())
    }

    /// Gives money back.
    pub(super) fn refund(&self, order: &OrderId, refund: &RefundId, money: Money) -> Request {
        let mut body = amount(money);
        if let Some(fields) = body.as_object_mut() {
            fields.insert("refund_id".to_owned(), json!(refund));
        }
        self.request(Method::POST, format!("/orders/{order}/refunds"), body.to_string().into_bytes())
    }
}

fn amount(money: Money) -> Value {
    json!({"amount_minor": money.minor(), "currency": money.currency().code()})
}

fn line(line: &Line) -> Value {
    json!({"sku": line.sku, "quantity": line.quantity, "unit_price_minor": line.unit_price.minor()})
}
