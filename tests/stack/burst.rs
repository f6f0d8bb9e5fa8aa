//! Singles' Day: a backlog of events, and deliveries that go on while it is drained. `make bench-burst`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use adapters::ports::OrderStore;
use anyhow::{Context, ensure};
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use domain::{OrderId, OrderStatus, UnixMillis, view};
use futures::stream::{self, StreamExt, TryStreamExt};
use serde_json::json;

use crate::stage::{Stage, now};

/// Events that wait when the writer begins.
const BACKLOG: u64 = 50_000;
/// What a warehouse says of each order.
const REPORTS: [&str; 2] = ["arrived", "packed"];
/// Messages that SQS takes at once, and such requests under way.
const PER_REQUEST: u64 = 10;
const AT_ONCE: usize = 8;
/// Between two deliveries that go on.
const DELIVERY_MS: u64 = 100;
/// Between two looks at the queue, and how many look alike until nothing moves any more.
const LOOK_MS: u64 = 1_000;
const STILL_LOOKS_MAX: u32 = 120;

fn order(stage: &Stage, kind: &str, number: u64) -> anyhow::Result<OrderId> {
    Ok(OrderId::new(format!("{kind}-{}-{number}", stage.run))?)
}

/// Stops the writer, or lets it go on.
async fn let_write(stage: &Stage, writes: bool) -> anyhow::Result<()> {
    let lambda = aws_sdk_lambda::Client::new(&stage.session.config);
    let writer = stage.session.stack.function("status-writer")?;
    let mappings = lambda.list_event_source_mappings().function_name(writer).send().await?;
    let mapping = mappings.event_source_mappings().first().and_then(|mapping| mapping.uuid()).context("no mapping")?;
    lambda.update_event_source_mapping().uuid(mapping).enabled(writes).send().await?;
    Ok(())
}

/// Puts the backlog on the queue as webhook-intake does, ten at a time: two reports an order, in any order.
async fn fill(stage: &Stage, at: UnixMillis) -> anyhow::Result<()> {
    let mut numbers: Vec<u64> = (0..BACKLOG).collect();
    fastrand::shuffle(&mut numbers);
    let (sqs, queue) = (stage.session.sqs(), stage.session.stack.queue("events")?);
    let requests = numbers.chunks(usize::try_from(PER_REQUEST)?).map(|numbers| {
        let entries = numbers.iter().map(|number| {
            let reports = u64::try_from(REPORTS.len())?;
            let report = usize::try_from(number % reports)?;
            let (order, status) = (order(stage, "burst", number / reports)?, REPORTS[report]);
            let body = json!({"specversion": "1.0", "id": format!("{order}-{status}"), "source": "/sources/warehouse",
                "type": "sampan.order.changed.v1", "subject": order, "time": at.to_rfc3339(),
                "data": {"order_id": order, "status": status}});
            let entry = SendMessageBatchRequestEntry::builder().id(number.to_string()).message_body(body.to_string());
            Ok(entry.build()?)
        });
        let entries: anyhow::Result<Vec<_>> = entries.collect();
        let call = sqs.send_message_batch().queue_url(queue);
        async move { Ok::<_, anyhow::Error>(call.set_entries(Some(entries?)).send().await?) }
    });
    let answers = stream::iter(requests).buffer_unordered(AT_ONCE);
    let taken = answers.try_fold(0, |taken, answer| async move { Ok(taken + answer.successful().len()) }).await?;
    ensure!(u64::try_from(taken)? == BACKLOG, "{taken} of {BACKLOG} were taken");
    Ok(())
}

/// Deliveries that go on until they are stopped; how many were accepted, and how long the slowest answer took.
async fn deliver(stage: &Stage, stopped: &AtomicBool, accepted: &AtomicU64) -> anyhow::Result<Duration> {
    let mut slowest = Duration::ZERO;
    while !stopped.load(Ordering::Relaxed) {
        let number = accepted.load(Ordering::Relaxed);
        let order = order(stage, "live", number)?;
        let began = Instant::now();
        let answer = stage.warehouse(&format!("msg_{order}"), order.as_str(), "arrived", now()).await?;
        slowest = slowest.max(began.elapsed());
        match answer.status {
            200 => accepted.fetch_add(1, Ordering::Relaxed),
            429 | 503 => number,
            _ => anyhow::bail!("a delivery was answered {}", answer.label()),
        };
        tokio::time::sleep(Duration::from_millis(DELIVERY_MS)).await;
    }
    Ok(slowest)
}

/// Waits until what waited is through.
async fn drain(stage: &Stage) -> anyhow::Result<()> {
    let (mut before, mut still) = (u64::MAX, 0);
    loop {
        let waits = stage.messages("events").await?;
        // What is delivered meanwhile is there for a moment; the backlog is what matters.
        if waits <= PER_REQUEST {
            return Ok(());
        }
        still = if waits == before { still + 1 } else { 0 };
        ensure!(still < STILL_LOOKS_MAX, "{waits} events wait, and nothing moves");
        before = waits;
        tokio::time::sleep(Duration::from_millis(LOOK_MS)).await;
    }
}

/// Reads every order back.
async fn check(stage: &Stage, kind: &str, orders: u64, expected: &[OrderStatus]) -> anyhow::Result<()> {
    let store = stage.session.orders()?;
    let checks = (0..orders).map(|number| {
        let store = &store;
        async move {
            let order = order(stage, kind, number)?;
            let known = domain::OrderKnowledge { order: store.read(&order).await?, ..Default::default() };
            let history: Vec<OrderStatus> = view(&order, &known).history.iter().map(|entry| entry.status).collect();
            ensure!(history == expected, "{order}: {history:?}");
            Ok(())
        }
    });
    stream::iter(checks).map(Ok).try_for_each_concurrent(AT_ONCE, |check| check).await
}

pub async fn singles_day(stage: Arc<Stage>) -> anyhow::Result<()> {
    let_write(&stage, false).await?;
    let began = Instant::now();
    fill(&stage, now().saturating_add_ms(-60_000)).await?;
    println!("{BACKLOG} events wait, put there in {:.1?}", began.elapsed());

    let (stopped, accepted) = (AtomicBool::new(false), AtomicU64::new(0));
    let began = Instant::now();
    let_write(&stage, true).await?;
    let draining = async {
        let drained = drain(&stage).await;
        let took = began.elapsed();
        stopped.store(true, Ordering::Relaxed);
        drained.map(|()| took)
    };
    let (took, slowest) = futures::try_join!(draining, deliver(&stage, &stopped, &accepted))?;
    stage.queue_is_empty().await?;
    let (accepted, events_per_s) = (accepted.into_inner(), u128::from(BACKLOG) * 1_000 / took.as_millis().max(1));
    println!(
        "drained in {took:.1?}, {events_per_s} events/s; {accepted} deliveries meanwhile, all accepted, the slowest in {slowest:.1?}"
    );

    let orders = BACKLOG / u64::try_from(REPORTS.len())?;
    check(&stage, "burst", orders, &[OrderStatus::Arrived, OrderStatus::Packed]).await?;
    check(&stage, "live", accepted, &[OrderStatus::Arrived]).await?;
    for queue in ["events_dlq", "quarantine"] {
        ensure!(stage.messages(queue).await? == 0, "{queue} is not empty");
    }
    println!(
        "nothing lost: {orders} orders of the backlog and {accepted} delivered meanwhile read back; DLQ and quarantine empty"
    );
    Ok(())
}
