//! The main job through the stack: webhook, queue, writer, view.

use std::sync::Arc;

use adapters::aws::SqsQuarantine;
use adapters::ports::{Quarantine, Quarantined};
use anyhow::{Context, ensure};
use reqwest::Method;
use sampan::queues::{self, Kept, QuarantineCommand, ReplayArguments};
use serde_json::json;

use crate::stage::{Stage, fresh_trade, links, now, status_push};

pub async fn push_to_order(stage: Arc<Stage>) -> anyhow::Result<()> {
    let (order, trade, at) = (format!("journey-{}", stage.run), fresh_trade(), now());
    let linked = stage.ask(Method::PUT, &format!("/orders/{order}/trades"), &links(&[trade])).await?;
    ensure!(linked.status == 200, "{}", linked.label());
    let later = at.saturating_add_ms(1);
    for answer in [
        stage.push(&status_push(trade, "waitbuyerpay", at, 1)).await?,
        stage.push(&status_push(trade, "waitsellersend", later, 2)).await?,
        stage.warehouse("msg_1", &order, "arrived", now()).await?,
    ] {
        ensure!(answer.label() == "200 accepted", "{}", answer.label());
    }
    let seen = stage
        .order_when(&order, |order| {
            order["status"] == "ARRIVED" && order["history"].as_array().is_some_and(|history| history.len() == 3)
        })
        .await?;
    ensure!(seen["flags"] == json!(["not_created", "moved_on_unpaid"]), "{seen}");
    ensure!(
        seen["trades"][0]["status"] == "awaiting_shipment"
            && seen["trades"][0]["trade_id"].as_str() == Some(&trade.to_string()),
        "{seen}"
    );
    let path = format!("/trades/1688/demo/{trade}");
    let answer = stage.ask(Method::GET, &path, "").await?;
    let detail: serde_json::Value = serde_json::from_slice(&answer.body)?;
    ensure!(answer.status == 200 && detail["order_ids"] == json!([order]), "{detail}");
    Ok(())
}

pub async fn poison(stage: Arc<Stage>) -> anyhow::Result<()> {
    let (sqs, order) = (stage.session.sqs(), format!("beside-poison-{}", stage.run));
    sqs.send_message().queue_url(stage.session.stack.queue("events")?).message_body("not an event").send().await?;
    stage.warehouse("msg_2", &order, "packed", now()).await?;
    stage.order_when(&order, |order| order["status"] == "PACKED").await?;
    stage.queue_is_empty().await?;
    let kept = queues::list(&stage.session).await?;
    let message = kept.first().context("quarantine is empty")?;
    ensure!(message.body == "not an event", "{message:?}");
    ensure!(message.reason == "malformed: not JSON at line 1 column 2", "{message:?}");
    discard(&stage, kept).await?;
    ensure!(stage.messages("quarantine").await? == 0, "quarantine holds more than the poison");
    answer_of_a_marketplace(&stage).await
}

/// What a sweep set aside is on no queue's way back, and does not stop those that are.
async fn answer_of_a_marketplace(stage: &Stage) -> anyhow::Result<()> {
    let event = json!({"specversion": "1.0", "type": "sampan.nothing.v9", "id": "beside-an-answer"}).to_string();
    let quarantine = SqsQuarantine::new(&stage.session.sqs(), stage.session.stack.queue("quarantine")?.to_owned());
    for (message_id, body) in [("sweep/1688/demo/7", "{}"), ("of-the-queue", event.as_str())] {
        let (message_id, body) = (message_id.to_owned(), body.to_owned());
        quarantine.put(&Quarantined { message_id, body, reason: "malformed".to_owned() }).await?;
    }
    let all = ReplayArguments { all: true, id: None };
    let replayed = queues::quarantine(&stage.session, QuarantineCommand::Replay(all)).await;
    let refused = replayed.err().context("an answer was replayed")?.to_string();
    ensure!(refused.contains("an answer of a marketplace"), "{refused}");
    stage.queue_is_empty().await?;
    let kept = queues::list(&stage.session).await?;
    let ids: Vec<&str> = kept.iter().map(|message| message.first_id.as_str()).collect();
    // The other was handled, and came back under the id that the queue gave it.
    ensure!(ids.len() == 2 && ids.contains(&"sweep/1688/demo/7") && !ids.contains(&"of-the-queue"), "{ids:?}");
    discard(stage, kept).await
}

async fn discard(stage: &Stage, kept: Vec<Kept>) -> anyhow::Result<()> {
    for message in kept {
        queues::quarantine(&stage.session, QuarantineCommand::Discard { id: message.id }).await?;
    }
    Ok(())
}
