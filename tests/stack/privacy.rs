//! Law 7: secrets and people stay out of logs. Names are planted, everything is logged, all logs are read.

use std::sync::Arc;

use anyhow::ensure;
use reqwest::Method;
use sampan::http::Request;
use sampan::local;
use serde_json::json;

use crate::stage::{Stage, fresh_trade, nonce, now, root};

/// A person, as deliveries carry them.
const PEOPLE: [&str; 4] = ["Canary Zhangsan", "+86-555-0100-canary", "7 Canary Lane", "canary@example.com"];

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
    let headers = vec![("X-Signature", PEOPLE[3].to_owned()), ("webhook-id", PEOPLE[2].to_owned())];
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
    let queue = stage.session.stack.queue("events")?;
    stage.session.sqs().send_message().queue_url(queue).message_body(person.to_string()).send().await?;
    stage.queue_is_empty().await?;

    let logs = local::logs(&stage.directory, &stage.session.stack).await?;
    let lines = logs.lines().count();
    for event in ["webhook.received", "record.processed", "request.answered"] {
        ensure!(logs.contains(event), "no {event} in the logs: they were not read");
    }
    let secrets = secrets_of(&std::fs::read_to_string(root().join("infra/local/secrets.json"))?)?;
    ensure!(secrets.len() >= 4, "only {} secrets were looked for", secrets.len());
    for canary in PEOPLE.iter().map(|person| (*person).to_owned()).chain(secrets) {
        ensure!(!logs.contains(&canary), "{canary} is in the logs");
    }
    println!("{lines} log lines hold no canary");
    Ok(())
}

/// Every text in a list of the document: lists hold secrets, and nothing else does.
fn secrets_of(document: &str) -> anyhow::Result<Vec<String>> {
    fn collect(value: &serde_json::Value, found: &mut Vec<String>) {
        let listed = value.as_array().into_iter().flatten().filter_map(serde_json::Value::as_str);
        found.extend(listed.map(str::to_owned));
        value.as_object().into_iter().flat_map(serde_json::Map::values).for_each(|value| collect(value, found));
    }
    let mut found = Vec::new();
    collect(&serde_json::from_str(document)?, &mut found);
    Ok(found)
}
