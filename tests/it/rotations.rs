//! A secret is changed while deliveries come and a stranger tries: by the steps of the runbook nobody who signs rightly is
//! refused.

use std::sync::Arc;

use adapters::secrets::{KEPT_MS_MAX, Secrets};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use lambda::http::Request;
use serde_json::json;

use crate::support::*;

/// Between two requests of one sender. The stranger comes as often.
const EVERY_MS: i64 = 7_000;
/// How long each step is watched.
const WATCHED_MS: i64 = 12 * 60_000;
/// Instances of a function that are warm, each with a cache of its own.
const INSTANCES: usize = 5;

const OLD: &str = "old-secret-0123456789abcdef";
const NEW: &str = "new-secret-0123456789abcdef";
/// What nobody ever gave to anybody.
const STRANGERS: &str = "strangers-secret-0123456789";

/// Who signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sender {
    Marketplace,
    Warehouse,
    Scanner,
    Gateway,
    ShopFront,
}

const SENDERS: [Sender; 5] =
    [Sender::Marketplace, Sender::Warehouse, Sender::Scanner, Sender::Gateway, Sender::ShopFront];

/// The document while these secrets are good, for whoever signs.
fn document(good: &[&str]) -> Secrets {
    let standard: Vec<String> = good.iter().map(|text| standard(text)).collect();
    let shop = json!({"app_key": "1", "app_secrets": good, "access_token": "t", "member_id": "b2b-665170100"});
    let document = json!({
        "marketplaces": {"1688": {"demo": shop}},
        "sources": {"warehouse": {"scheme": "standard-webhooks", "secrets": standard},
                    "scanner": {"scheme": "hmac-sha256", "secrets": good}},
        "gateways": {"stripe": {"signing_secrets": good}},
        "clients": {"shopfront": {"secrets": good}}
    });
    Secrets::from_json(&document.to_string()).unwrap()
}

/// A secret in the form of Standard Webhooks.
fn standard(text: &str) -> String {
    format!("whsec_{}", BASE64_STANDARD.encode(text))
}

impl Sender {
    /// A request of its, signed now.
    fn request(self, with: &str, nth: u64, now: i64) -> Request {
        let seconds = now / 1_000;
        match self {
            Self::Marketplace => {
                let message = status_push(700 + nth, "waitbuyerpay", now, nth);
                let form = protocols::ali1688::push::signed_form(&secret(with), &message);
                request("POST", "/webhooks/1688/demo", &[], form)
            }
            Self::Warehouse => {
                let (id, body) = (format!("msg_{nth}"), status_event("A-1", "arrived", now));
                let with = secret(&standard(with));
                let signature = protocols::standard_webhooks::sign(&with, &id, seconds, body.as_bytes()).unwrap();
                let timestamp = seconds.to_string();
                let headers =
                    [("webhook-id", id.as_str()), ("webhook-timestamp", &timestamp), ("webhook-signature", &signature)];
                request("POST", "/webhooks/events/warehouse", &headers, body)
            }
            Self::Scanner => {
                let body = json!({"order_id": "A-1", "new_status": "arrived", "timestamp": seconds}).to_string();
                let signature = protocols::flat_hmac::sign(&secret(with), body.as_bytes());
                request("POST", "/webhooks/events/scanner", &[("x-signature", &signature)], body)
            }
            Self::Gateway => {
                let event = json!({"id": "evt_1", "type": "payout.paid", "created": seconds, "data": {"object": {}}});
                let body = event.to_string();
                let signature = protocols::gateway::stripe::sign(&secret(with), seconds, body.as_bytes());
                request("POST", "/payments/stripe", &[("stripe-signature", &signature)], body)
            }
            Self::ShopFront => {
                let (path, timestamp, nonce) = ("/orders/A-1", seconds.to_string(), format!("{nth:032x}"));
                let signable = protocols::client::Signable {
                    timestamp: &timestamp,
                    nonce: &nonce,
                    method: "GET",
                    path_with_query: path,
                    body: b"",
                };
                let signature = signable.sign(&secret(with));
                let headers = [
                    ("x-app-key", "shopfront"),
                    ("x-timestamp", &timestamp),
                    ("x-nonce", &nonce),
                    ("x-signature", &signature),
                ];
                request("GET", path, &headers, "")
            }
        }
    }
}

/// Functions with several warm instances, and their secrets.
struct Stack {
    instances: Vec<Shop>,
    sender: Sender,
    sent: u64,
}

impl Stack {
    /// Instances that became warm one after the other, so that each has its own time of looking again.
    async fn warm(sender: Sender) -> Self {
        let first = Shop::new();
        first.secrets.set(Some(document(&[OLD])));
        // What is theirs together is the same; what each keeps is its own.
        let instance = || Shop { cache: Arc::default(), ..first.clone() };
        let mut stack = Self { instances: (0..INSTANCES).map(|_| instance()).collect(), sender, sent: 0 };
        for nth in 0..INSTANCES {
            assert_ne!(stack.status(nth, OLD).await, 401, "{sender:?}");
            first.clock.advance_ms(41_000);
        }
        stack
    }

    /// What a request is answered by one of the instances.
    async fn status(&mut self, instance: usize, with: &str) -> u16 {
        let shop = &self.instances[instance % INSTANCES];
        self.sent += 1;
        let request = self.sender.request(with, self.sent, adapters::clock::Clock::now(&shop.clock).get());
        let answer = match self.sender {
            Sender::Marketplace | Sender::Warehouse | Sender::Scanner => shop.deliver(request).await,
            Sender::Gateway => shop.pay(request).await,
            Sender::ShopFront => shop.ask(request).await,
        };
        answer.unwrap().status_code
    }

    fn write(&self, good: &[&str]) {
        self.instances[0].secrets.set(Some(document(good)));
    }

    /// Lets the sender sign so for a while, and the stranger try. How many of the sender's were refused.
    async fn watch(&mut self, with: &str, for_ms: i64) -> u32 {
        let mut refused = 0;
        for nth in 0..usize::try_from(for_ms / EVERY_MS).unwrap() {
            assert_eq!(self.status(nth * 3, STRANGERS).await, 401);
            assert_eq!(self.status(nth * 3 + 1, STRANGERS).await, 401);
            match self.status(nth * 2, with).await {
                401 => refused += 1,
                // The order is not there, and the nonces are good.
                200 | 404 => {}
                status => panic!("{:?}: {status}", self.sender),
            }
            self.instances[0].clock.advance_ms(EVERY_MS);
        }
        refused
    }
}

#[tokio::test]
async fn by_the_steps_of_the_runbook_nobody_who_signs_rightly_is_refused() {
    for sender in SENDERS {
        let mut stack = Stack::warm(sender).await;
        assert_eq!(stack.watch(OLD, WATCHED_MS).await, 0, "{sender:?} before");
        stack.write(&[OLD, NEW]);
        assert_eq!(stack.watch(OLD, KEPT_MS_MAX).await, 0, "{sender:?} while every instance looks again");
        assert_eq!(stack.watch(NEW, WATCHED_MS).await, 0, "{sender:?} after it changed over");
        stack.write(&[NEW]);
        assert_eq!(stack.watch(NEW, WATCHED_MS).await, 0, "{sender:?} after the old one was taken out");
        assert_eq!(stack.watch(OLD, EVERY_MS * 5).await, 5, "{sender:?}: the old one lets nobody in any more");
    }
}

#[tokio::test]
async fn whoever_changes_over_at_once_is_refused_while_a_stranger_uses_the_looks_up() {
    for sender in SENDERS {
        let mut stack = Stack::warm(sender).await;
        stack.watch(OLD, WATCHED_MS).await;
        stack.write(&[OLD, NEW]);
        assert!(stack.watch(NEW, 60_000).await > 0, "{sender:?}: then the step between would be for nothing");
    }
}
