//! The demo's client of the orders API: every request signed anew, with a nonce of its own.

use std::sync::atomic::{AtomicU64, Ordering};

use adapters::clock::{Clock, SystemClock};
use adapters::secrets::Secrets;
use anyhow::Context;
use domain::{OrderId, TradeId};
use reqwest::Method;
use secrecy::SecretString;
use serde_json::json;

use crate::http::Request;

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
}
