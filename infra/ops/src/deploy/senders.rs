//! What is to be entered at marketplaces, sources and gateways, so that they send to a stack.

use adapters::aws::{Settings, connect};
use serde_json::Value;

use crate::secrets;
use crate::stack::Stack;
use crate::table::{heading, ruled_table};

/// Gateways, and what of their callbacks moves money. Source: functions/payment-callback/README.md.
const GATEWAYS: [(&str, &str); 6] = [
    (
        "stripe",
        "a webhook endpoint with payment_intent.succeeded, payment_intent.payment_failed, refund.created, refund.updated, \
         refund.failed, charge.dispute.created, charge.dispute.closed",
    ),
    (
        "paypal",
        "a webhook with PAYMENT.CAPTURE.*, PAYMENT.REFUND.*, CUSTOMER.DISPUTE.CREATED, CUSTOMER.DISPUTE.RESOLVED; its id is \
         webhook_id of the secrets document",
    ),
    ("adyen", "a standard webhook with an HMAC key, which is in hmac_keys of the secrets document"),
    (
        "airwallex",
        "a webhook with payment_intent.succeeded, payment_attempt.capture_failed, refund.*, payment_dispute.*",
    ),
    ("alipay", "the notify_url of each payment"),
    ("wechatpay", "the notify_url of each payment and of each refund"),
];
/// What 1688 is to send.
const PUSHES: &str = "open.1688.com, the app's message subscription: the pushes of orders as their buyer \
                      (ORDER_BUYER_VIEW_*), of logistics, and of products (PRODUCT_RELATION_VIEW_*)";

/// The names under a part of the document; a word in their place while there is none.
fn names(document: &Value, path: &str, otherwise: &str) -> Vec<String> {
    let names = secrets::names(document, path);
    if names.is_empty() { vec![otherwise.to_owned()] } else { names }
}

/// Tells it, for what the secrets document names.
pub(super) async fn tell(settings: &Settings, stack: &Stack) -> anyhow::Result<()> {
    let document = secrets::kept(&connect(settings.clone()), &stack.secret_id).await?;
    let document: Value = document.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    if document.is_null() {
        println!(
            "\nThe secret has no value yet, so every delivery is answered 503. Write your secrets document, then\n  \
             sampan --stack {} secrets put FILE",
            stack.stack
        );
    }
    let mut rows = ruled_table(["sender", "URL", "what to enter there"]);
    for shop in names(&document, "/marketplaces/1688", "{shop}") {
        rows.add_row(["1688".to_owned(), format!("{}/webhooks/1688/{shop}", stack.api_url), PUSHES.to_owned()]);
    }
    for source in names(&document, "/sources", "{source}") {
        let scheme = document.pointer(&format!("/sources/{source}/scheme")).and_then(Value::as_str);
        let what = format!("signed by {}", scheme.unwrap_or("standard-webhooks or hmac-sha256"));
        rows.add_row([source.clone(), format!("{}/webhooks/events/{source}", stack.api_url), what]);
    }
    let all = GATEWAYS.map(|(gateway, _)| gateway.to_owned()).to_vec();
    let known = document.pointer("/gateways").and_then(Value::as_object);
    let gateways = known.map_or(all, |known| known.keys().cloned().collect());
    for (gateway, what) in GATEWAYS.iter().filter(|(gateway, _)| gateways.iter().any(|known| known == gateway)) {
        rows.add_row([(*gateway).to_owned(), format!("{}/payments/{gateway}", stack.api_url), (*what).to_owned()]);
    }
    heading("What to enter where");
    println!("{rows}");
    Ok(())
}
