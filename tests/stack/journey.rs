//! The main job through the stack: webhook, queue, writer, view.

use std::sync::Arc;

use adapters::aws::SqsQuarantine;
use anyhow::{Context, ensure};
use reqwest::Method;
use sampan::queues::{self, QuarantineCommand};
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
    let quarantine = stage.session.stack.queue("quarantine")?;
    let receive = sqs.receive_message().queue_url(quarantine).message_attribute_names("All").wait_time_seconds(5);
    let kept = receive.send().await?.messages.unwrap_or_default();
    let message = kept.first().context("quarantine is empty")?;
    let reason = message
        .message_attributes()
        .and_then(|all| all.get(SqsQuarantine::REASON))
        .and_then(|reason| reason.string_value());
    ensure!(message.body() == Some("not an event"), "{message:?}");
    ensure!(reason == Some("malformed: not JSON at line 1 column 2"), "{reason:?}");
    let handle = message.receipt_handle().context("no receipt")?;
    let back = sqs.change_message_visibility().queue_url(quarantine).receipt_handle(handle).visibility_timeout(0);
    back.send().await?;
    let id = message.message_id().context("no id")?.to_owned();
    queues::quarantine(&stage.session, QuarantineCommand::Discard { id }).await?;
    ensure!(stage.messages("quarantine").await? == 0, "quarantine holds more than the poison");
    Ok(())
}
