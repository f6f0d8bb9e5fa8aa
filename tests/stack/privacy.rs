//! Law 7: secrets and people stay out of logs. Names are planted, everything is logged, all logs are read.

use std::sync::Arc;

use adapters::ports::ImageQueue;
use anyhow::ensure;
use domain::{Currency, Gateway, Money, MovementKind, PaymentEvent, TransactionId};
use protocols::log::event;
use reqwest::Method;
use sampan::http::Request;
use sampan::local;
use serde_json::json;
use simulators::images::{Body, Conduct, Format, Resource};

use crate::images;
use crate::stage::{Stage, fresh_trade, nonce, now, root};

/// A person, as deliveries carry them.
const PEOPLE: [&str; 4] = ["Canary Zhangsan", "+86-555-0100-canary", "7 Canary Lane", "canary@example.com"];

/// A card, as careless senders carry it.
const CARD: &str = "4242424242424242";

pub async fn canaries(stage: Arc<Stage>) -> anyhow::Result<()> {
    let person = json!({"toFullName": PEOPLE[0], "toMobile": PEOPLE[1], "toArea": PEOPLE[2], "email": PEOPLE[3]});
    let trade = fresh_trade();
    let mut push = crate::stage::status_push(trade, "waitsellersend", now(), 77);
    push["data"]["receiverInfo"] = person.clone();
    ensure!(stage.push(&push).await?.status == 200, "the push was refused");
    push["type"] = "SOME_OTHER_TYPE".into();
    push["data"] = json!({"receiverInfo": person});
    ensure!(stage.push(&push).await?.status == 200, "the other push was refused");
    push["data"] = json!({"orderId": {"name": PEOPLE[0]}, "currentStatus": PEOPLE[1]});
    ensure!(stage.push(&push).await?.status == 400, "a push of another shape was taken");
    let headers = vec![("X-Signature".into(), PEOPLE[3].to_owned()), ("webhook-id".into(), PEOPLE[2].to_owned())];
    let forged = Request {
        method: Method::POST,
        path: "/webhooks/events/scanner".to_owned(),
        headers,
        body: person.to_string().into_bytes(),
    };
    stage.api.send(forged).await?;
    let body = json!({"trades": [{"marketplace": PEOPLE[0], "shop": PEOPLE[1], "trade_id": PEOPLE[2]}]}).to_string();
    let path = format!("/orders/canary-{}/trades", stage.run);
    ensure!(
        stage.api.send(stage.signed(Method::PUT, &path, &body, &nonce())?).await?.status == 422,
        "a link to nowhere was taken"
    );
    pay_with_people(&stage, &person).await?;
    let queue = stage.session.stack.queue("events")?;
    stage.session.sqs().send_message().queue_url(queue).message_body(person.to_string()).send().await?;
    stage.queue_is_empty().await?;
    ask_for_pictures_of_people(&stage, &person).await?;

    let logs = local::logs(&stage.directory, &stage.session.stack).await?;
    let lines = logs.lines().count();
    for told in [
        event::WEBHOOK_RECEIVED,
        event::RECORD_PROCESSED,
        event::REQUEST_ANSWERED,
        event::CALLBACK_RECEIVED,
        event::SWEEP_FINISHED,
        event::IMAGE_SYNCED,
    ] {
        ensure!(logs.contains(told), "no {told} in the logs: they were not read");
    }
    let secrets = secrets_of(&std::fs::read_to_string(root().join("infra/local/secrets.json"))?)?;
    ensure!(secrets.len() >= 4, "only {} secrets were looked for", secrets.len());
    for canary in PEOPLE.iter().chain(&[CARD]).map(|person| (*person).to_owned()).chain(secrets) {
        ensure!(!logs.contains(&canary), "{canary} is in the logs");
    }
    println!("{lines} log lines hold no canary");
    Ok(())
}

/// Pictures whose addresses and whose bytes name people, at our host and elsewhere, and what is no request at all.
async fn ask_for_pictures_of_people(stage: &Stage, person: &serde_json::Value) -> anyhow::Result<()> {
    let page = Body::of(format!("<html>{person}</html>").into_bytes());
    let named = Conduct::Header("x-person".to_owned(), PEOPLE[1].to_owned());
    stage.images.publish("/canary.jpg", Resource::of("image/jpeg", page).behaving([named]));
    let query = format!("?phone={}&email={}&card={CARD}", PEOPLE[1], PEOPLE[3]);
    let away = Conduct::redirect(302, &format!("http://{CARD}.example/{query}"));
    stage.images.publish("/canary-away.jpg", Resource::picture(Format::Png, 1, (9, 9)).behaving([away]));
    let urls = [
        stage.images.url_of(&format!("/canary.jpg{query}")),
        stage.images.url_of(&format!("/canary-away.jpg{query}")),
        format!("https://elsewhere.example/{query}"),
    ];
    for (product, url) in (30..).zip(urls) {
        stage.session.image_queue()?.send(&[images::request(images::image(stage, product)?, url)?]).await?;
    }
    let queue = stage.session.stack.queue("images")?;
    stage.session.sqs().send_message().queue_url(queue).message_body(person.to_string()).send().await?;
    stage.is_empty("images").await
}

/// A callback of every gateway, with a person and a card number in it: as it is, and forged.
async fn pay_with_people(stage: &Stage, person: &serde_json::Value) -> anyhow::Result<()> {
    let mut person = person.as_object().cloned().unwrap_or_default();
    person.insert("card_number".to_owned(), CARD.into());
    for gateway in Gateway::ALL {
        let payment = format!("canary-{}", stage.run);
        let is_yuan = matches!(gateway, Gateway::Alipay | Gateway::Wechatpay);
        let event = PaymentEvent {
            payment: format!("{}#{payment}", gateway.as_str()).parse()?,
            transaction_id: TransactionId::new(payment)?,
            kind: MovementKind::Captured,
            order: None,
            money: Money::new(100, if is_yuan { Currency::CNY } else { Currency::EUR })?,
            occurred_at: now(),
        };
        ensure!(stage.pay_of(&event, Some(&person)).await?.status == 200, "{gateway:?} was refused");
        let path = format!("/payments/{}", gateway.as_str());
        let headers =
            vec![("stripe-signature".into(), CARD.to_owned()), ("paypal-cert-url".into(), PEOPLE[3].to_owned())];
        let body = serde_json::Value::from(person.clone()).to_string().into_bytes();
        stage.api.send(Request { method: Method::POST, path, headers, body }).await?;
    }
    Ok(())
}

/// Every text in a list of the document, and every key: they are secrets, or public halves that nobody logs either.
fn secrets_of(document: &str) -> anyhow::Result<Vec<String>> {
    fn collect(value: &serde_json::Value, found: &mut Vec<String>) {
        let listed = value.as_array().into_iter().flatten().filter_map(serde_json::Value::as_str);
        found.extend(listed.map(str::to_owned));
        let key = value.get("api_v3_key").and_then(serde_json::Value::as_str);
        found.extend(key.map(str::to_owned));
        value.as_object().into_iter().flat_map(serde_json::Map::values).for_each(|value| collect(value, found));
    }
    let mut found = Vec::new();
    collect(&serde_json::from_str(document)?, &mut found);
    Ok(found)
}
