//! What the stack answers to those that it does not take in.

use std::sync::Arc;

use anyhow::ensure;
use reqwest::Method;
use sampan::http::Request;
use secrecy::SecretString;

use crate::stage::{Stage, get, links, nonce, now, status_push};

fn post(path: &str, body: impl Into<Vec<u8>>) -> Request {
    let form = ("Content-Type".into(), "application/x-www-form-urlencoded".to_owned());
    Request { method: Method::POST, path: path.to_owned(), headers: vec![form], body: body.into() }
}

pub async fn codes(stage: Arc<Stage>) -> anyhow::Result<()> {
    let message = status_push(1, "waitbuyerpay", now(), 1).to_string();
    let forged = protocols::ali1688::push::signed_form(&SecretString::from("a stranger's"), &message);
    let used = nonce();
    let path = format!("/orders/unknown-{}", stage.run);
    let requests = [
        (post("/webhooks/1688/demo", forged.clone()), "401 signature_invalid"),
        (post("/webhooks/1688/demo", "message=%7B%7D"), "401 signature_missing"),
        (post("/webhooks/1688/elsewhere", forged), "404 not_found"),
        (post("/webhooks/events/elsewhere", "{}"), "404 not_found"),
        (post("/webhooks/events/warehouse", "{}"), "401 signature_missing"),
        (get("/orders/A-1"), "401 signature_missing"),
        (stage.signed(Method::GET, &path, "", &used)?, "404 not_found"),
        (stage.signed(Method::GET, &path, "", &used)?, "401 nonce_used"),
        (stage.signed(Method::GET, "/trades/1688/demo/1", "", &nonce())?, "404 not_found"),
        (stage.signed(Method::PUT, &format!("{path}/trades"), "{", &nonce())?, "400 malformed"),
        (stage.signed(Method::PUT, &format!("{path}/trades"), &links(&[1; 51]), &nonce())?, "422 impossible"),
        (post("/payments/stripe", "{}"), "401 signature_missing"),
        (post("/payments/alipay", "sign=AAAA&sign_type=RSA2"), "401 signature_invalid"),
        (post("/payments/elsewhere", "{}"), "404 not_found"),
        (get("/quotes?from=JPY&to=EUR&amount_minor=1"), "401 signature_missing"),
        (stage.signed(Method::GET, "/quotes?from=JPY&to=XXX&amount_minor=1", "", &nonce())?, "422 impossible"),
        (stage.signed(Method::POST, "/orders", "{", &nonce())?, "400 malformed"),
        (stage.signed(Method::POST, &format!("{path}/refunds"), "{}", &nonce())?, "400 malformed"),
        (get("/elsewhere"), "404 Not Found"),
    ];
    for (request, label) in requests {
        let what = format!("{} {}", request.method, request.path);
        let answer = stage.api.send(request).await?;
        ensure!(answer.label() == label, "{what}: {} instead of {label}", answer.label());
    }
    Ok(())
}

pub async fn hostile(stage: Arc<Stage>) -> anyhow::Result<()> {
    stage.queue_is_empty().await?;
    let before = kept(&stage).await?;
    let deep = "[".repeat(100_000);
    let bodies: [(&str, Vec<u8>); 7] = [
        ("empty", Vec::new()),
        ("10 MB", vec![b'a'; 10 * 1_024 * 1_024]),
        ("257 KiB", vec![b'a'; 257 * 1_024]),
        ("deep", format!("message={deep}&_aop_signature=00").into_bytes()),
        ("broken UTF-8", b"message=\xff\xfe\x80&_aop_signature=\xff".to_vec()),
        ("NUL", b"\0\0\0".to_vec()),
        ("huge number", b"{\"timestamp\":1e999999999,\"order_id\":NaN}".to_vec()),
    ];
    let routes = [
        "/webhooks/1688/demo",
        "/webhooks/events/warehouse",
        "/webhooks/events/scanner",
        "/orders/A/trades",
        "/orders/A/refunds",
        "/orders",
        "/payments/stripe",
        "/payments/paypal",
        "/payments/adyen",
        "/payments/airwallex",
        "/payments/alipay",
        "/payments/wechatpay",
    ];
    for route in routes {
        for (name, body) in &bodies {
            let mut request = post(route, body.clone());
            request.headers.extend([
                ("X-Signature".into(), "00".repeat(32)),
                ("webhook-id".into(), "\u{e9}".to_owned()),
                ("webhook-timestamp".into(), "NaN".to_owned()),
                ("webhook-signature".into(), "v1,AA== ".repeat(1_000)),
                ("stripe-signature".into(), "t=0,v1=zz,".repeat(1_000)),
                ("paypal-cert-url".into(), "https://169.254.169.254/".to_owned()),
                ("paypal-transmission-sig".into(), "!".to_owned()),
                ("wechatpay-serial".into(), "\u{e9}".to_owned()),
            ]);
            if route.starts_with("/orders") {
                request.method = if route.ends_with("trades") { Method::PUT } else { Method::POST };
                request.headers.push(("X-App-Key".into(), "shopfront".to_owned()));
            }
            let answer = stage.api.send(request).await?;
            ensure!((400..500).contains(&answer.status), "{name} to {route}: {}", answer.label());
        }
    }
    // The writer empties the queue at once, so that what was enqueued would be in a table or in quarantine.
    stage.queue_is_empty().await?;
    let after = kept(&stage).await?;
    ensure!(after == before, "{before:?} became {after:?}: something was enqueued");
    Ok(())
}

/// How many items the tables of facts and messages the quarantine and the dead-letter queue hold.
async fn kept(stage: &Stage) -> anyhow::Result<Vec<u64>> {
    let client = stage.session.dynamodb();
    let mut counts = vec![stage.messages("quarantine").await?, stage.messages("events_dlq").await?];
    for table in ["orders", "trades", "payments"] {
        let mut pages = client.scan().table_name(stage.session.stack.table(table)?).into_paginator().send();
        let mut count = 0;
        while let Some(page) = pages.next().await {
            count += u64::try_from(page?.items().len())?;
        }
        counts.push(count);
    }
    Ok(counts)
}
