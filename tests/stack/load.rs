//! Five thousand deliveries as fast as one client can send, a tenth of them duplicates, in any order.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use adapters::ports::{OrderStore, TradeStore};
use anyhow::{Context, bail, ensure};
use domain::{Link, OrderId, OrderKnowledge, OrderStatus, Origin, TradeKey, TradeStatus, UnixMillis, view};
use futures::stream::{self, StreamExt, TryStreamExt};
use serde_json::{Value, json};

use crate::stage::{Stage, fresh_trade, now, status_push};

const ORDERS: usize = 450;
/// With ten deliveries an order and these, five thousand.
const DUPLICATES: usize = 500;
/// Requests under way at once. A sender's connections, not its speed.
const AT_ONCE: usize = 16;
/// Tries of one delivery, and the pause between them.
const TRIES_MAX: usize = 5;
const RETRY_MS: u64 = 200;
const STATUSES: [(&str, TradeStatus); 5] = [
    ("waitbuyerpay", TradeStatus::AwaitingPayment),
    ("waitsellersend", TradeStatus::AwaitingShipment),
    ("waitbuyerreceive", TradeStatus::Shipped),
    ("confirm_goods", TradeStatus::Signed),
    ("success", TradeStatus::Finished),
];
const REPORTS: [&str; 4] = ["arrived", "packed", "shipped", "completed"];

/// What is posted.
#[derive(Clone)]
enum Post {
    Push(Value),
    Warehouse { id: String, order: String, status: &'static str, at: UnixMillis },
}

/// The ten deliveries of an order and its trade.
fn deliveries(order: &str, trade: u64, at: UnixMillis) -> Vec<Post> {
    let time = |step: usize| at.saturating_add_ms(i64::try_from(step).unwrap_or(0));
    let pushes = STATUSES.iter().enumerate().map(|(step, (word, _))| {
        Post::Push(status_push(trade, word, time(step), 100 + u64::try_from(step).unwrap_or(0)))
    });
    let trace = Post::Push(json!({"bizKey": "LP1", "gmtBorn": time(3).get(), "msgId": 200, "userInfo": "u",
        "type": "LOGISTICS_BUYER_VIEW_TRACE", "data": {"OrderLogisticsTracingModel": {"logisticsId": "LP1",
        "cpCode": "ZTO", "mailNo": "75300000000001", "statusChanged": "SIGN",
        "orderLogsItems": [{"orderId": trade}]}}}));
    let reports = REPORTS.iter().enumerate().map(|(step, status)| Post::Warehouse {
        id: format!("msg_{order}_{status}"),
        order: order.to_owned(),
        status,
        at: time(10 + step),
    });
    pushes.chain([trace]).chain(reports).collect()
}

pub async fn five_thousand(stage: Arc<Stage>) -> anyhow::Result<()> {
    let base = now().saturating_add_ms(-60_000);
    let trades: BTreeMap<OrderId, u64> = (0..ORDERS)
        .map(|number| Ok((OrderId::new(format!("load-{}-{number}", stage.run))?, fresh_trade())))
        .collect::<anyhow::Result<_>>()?;
    link_all(&stage, &trades).await?;
    let mut posts: Vec<Post> =
        trades.iter().flat_map(|(order, trade)| deliveries(order.as_str(), *trade, base)).collect();
    let repeated: Vec<Post> = fastrand::choose_multiple(&posts, DUPLICATES).into_iter().cloned().collect();
    posts.extend(repeated);
    fastrand::shuffle(&mut posts);
    ensure!(posts.len() == 5_000, "{} deliveries", posts.len());

    let (began, again) = (Instant::now(), AtomicUsize::new(0));
    stream::iter(posts).map(Ok).try_for_each_concurrent(AT_ONCE, |post| deliver(&stage, post, &again)).await?;
    let sent = began.elapsed();
    stage.queue_is_empty().await?;
    let again = again.into_inner();
    println!("5,000 deliveries sent in {sent:.1?} ({again} again), all written after {:.1?}", began.elapsed());

    check_all(&stage, &trades).await?;
    ensure!(stage.messages("events_dlq").await? == 0, "the DLQ is not empty");
    ensure!(stage.messages("quarantine").await? == 0, "quarantine is not empty");
    Ok(())
}

async fn link_all(stage: &Stage, trades: &BTreeMap<OrderId, u64>) -> anyhow::Result<()> {
    let store = stage.session.orders()?;
    let links = trades.iter().map(|(order, trade)| {
        let trade: TradeKey = format!("1688#demo#{trade}").parse()?;
        let by = Origin { source: "shopfront".to_owned().try_into()?, event_id: "link".to_owned().try_into()? };
        anyhow::Ok((order, Link { trade, at: now(), by }))
    });
    let links: Vec<_> = links.collect::<anyhow::Result<_>>()?;
    stream::iter(links)
        .map(Ok)
        .try_for_each_concurrent(AT_ONCE, |(order, link)| {
            let store = &store;
            async move { store.link(order, &link).await.map(drop).context("a link was not written") }
        })
        .await
}

/// Posts until it is accepted, as senders do that are asked to try again.
async fn deliver(stage: &Stage, post: Post, again: &AtomicUsize) -> anyhow::Result<()> {
    for _ in 0..TRIES_MAX {
        let answer = match &post {
            Post::Push(message) => stage.push(message).await?,
            Post::Warehouse { id, order, status, at } => stage.warehouse(id, order, status, *at).await?,
        };
        match answer.status {
            200 => return Ok(()),
            429 | 503 => again.fetch_add(1, Ordering::Relaxed),
            _ => bail!("{}", answer.label()),
        };
        tokio::time::sleep(Duration::from_millis(RETRY_MS)).await;
    }
    bail!("a delivery was refused {TRIES_MAX} times")
}

/// Reads every order as the API would, and compares the whole of it with what was sent.
async fn check_all(stage: &Stage, trades: &BTreeMap<OrderId, u64>) -> anyhow::Result<()> {
    let (orders, trade_store) = (stage.session.orders()?, stage.session.trades()?);
    let expected = [
        OrderStatus::Purchasing,
        OrderStatus::Purchased,
        OrderStatus::Arrived,
        OrderStatus::Packed,
        OrderStatus::Shipped,
        OrderStatus::Completed,
    ];
    for (order, trade) in trades {
        let key: TradeKey = format!("1688#demo#{trade}").parse()?;
        let facts = orders.read(order).await?;
        let kept = trade_store.read(&key).await?;
        let statuses = BTreeMap::from([(key, kept.statuses.clone())]);
        let seen = view(order, &OrderKnowledge { order: facts, trades: statuses, payments: Vec::new() });
        let history: Vec<OrderStatus> = seen.history.iter().map(|entry| entry.status).collect();
        ensure!(history == expected, "{order}: {history:?}");
        let reported: Vec<TradeStatus> = kept.statuses.reports().map(|report| report.status).collect();
        ensure!(reported == STATUSES.map(|(_, status)| status), "{order}: {reported:?}");
        let current = kept.statuses.current().map(|report| report.status);
        ensure!(current == Some(TradeStatus::Finished), "{order}: {current:?}");
        let trace = kept.packages.values().next().and_then(|package| package.trace.as_ref());
        ensure!(trace.is_some_and(|trace| trace.status.as_str() == "SIGN"), "{order}: {trace:?}");
    }
    Ok(())
}
