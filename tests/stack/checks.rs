//! The nightly check, invoked now: what it finds on the stack, and what `sampan check` says of it.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, ensure};
use aws_sdk_lambda::primitives::Blob;
use domain::{Currency, Money, MovementKind, OrderId, PaymentEvent, TransactionId, UnixMillis};
use reqwest::Method;
use sampan::stack::FACTS_FILE;
use serde_json::Value;

use crate::stage::{Stage, fresh_trade, links, now};

const HOUR_MS: i64 = 3_600_000;

/// Money of this order was captured so long ago.
async fn captured(stage: &Stage, order: &str, ago_ms: i64) -> anyhow::Result<()> {
    let event = PaymentEvent {
        payment: format!("stripe#pi_{order}").parse()?,
        transaction_id: TransactionId::new(format!("ch_{order}"))?,
        kind: MovementKind::Captured,
        order: Some(OrderId::new(order)?),
        money: Money::new(10_230, Currency::EUR)?,
        occurred_at: UnixMillis::from_seconds(now().saturating_add_ms(-ago_ms).seconds())?,
    };
    ensure!(stage.pay(&event).await?.status == 200, "the callback was refused");
    Ok(())
}

pub async fn nobody_s(stage: Arc<Stage>) -> anyhow::Result<()> {
    let [old, linked, fresh] = ["old", "linked", "fresh"].map(|name| format!("nobody-s-{name}-{}", stage.run));
    captured(&stage, &old, 5 * HOUR_MS).await?;
    captured(&stage, &linked, 5 * HOUR_MS).await?;
    captured(&stage, &fresh, HOUR_MS).await?;
    let body = links(&[fresh_trade()]);
    ensure!(stage.ask(Method::PUT, &format!("/orders/{linked}/trades"), &body).await?.status == 200, "no link");

    let function = stage.session.stack.function("order-check")?;
    let lambda = aws_sdk_lambda::Client::new(&stage.session.config);
    let answer = lambda.invoke().function_name(function).payload(Blob::new("{}")).send().await?;
    let answer: Value = serde_json::from_slice(answer.payload().map(Blob::as_ref).unwrap_or_default())?;
    let found = answer["found"].as_array().with_context(|| format!("order-check answered {answer}"))?;
    let concern = |order: &str| found.iter().find(|found| found["order_id"] == order).map(|found| &found["concern"]);
    ensure!(concern(&old).is_some_and(|concern| concern == "paid_not_created"), "{answer}");
    ensure!(concern(&linked).is_some_and(|concern| concern == "paid_not_created"), "{answer}");
    ensure!(concern(&fresh).is_none() && answer["next"].is_null(), "{answer}");

    // Only a stack of this machine has facts in a file, by which the command finds it.
    if stage.directory.join(FACTS_FILE).exists() {
        let sampan = std::env::current_exe()?.parent().and_then(Path::parent).context("no directory")?.join("sampan");
        let told = Command::new(sampan).arg("check").env("SAMPAN_LOCAL_DIR", &stage.directory).output()?;
        let table = String::from_utf8_lossy(&told.stdout);
        ensure!(table.contains(&old) && table.contains(&linked) && !table.contains(&fresh), "{table}");
        ensure!(!told.status.success(), "a check that finds something ends well");
    }
    Ok(())
}
