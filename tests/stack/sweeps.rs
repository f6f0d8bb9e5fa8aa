//! Sweeps over real HTTP: the simulated marketplaces, the function behind the Lambda API, the queue, the writer, the
//! tables. What is kept in the end is what the marketplaces hold.

use std::sync::Arc;
use std::time::Duration;

use adapters::ports::{SweepKey, Sweeps, TradeStore};
use anyhow::{Context, ensure};
use domain::sweep::{SweepKind, Window};
use domain::{AfterSaleState, Marketplace, ShopId, TradeFacts, TradeKey};
use futures::{StreamExt, TryStreamExt, stream};
use protocols::marketplace::Told;
use protocols::sweeps::{Outcome, Whose};
use reqwest::Method;
use sampan::sweep::Sweeper;

use crate::stage::{MISTAKEN_SHOP, Stage, now};

const MINUTE_MS: i64 = 60_000;
/// Trades that are read side by side.
const READS_AT_ONCE: usize = 16;

fn key(kind: SweepKind, marketplace: Marketplace, shop: &str) -> anyhow::Result<SweepKey> {
    Ok(SweepKey { kind, marketplace, shop: ShopId::new(shop)? })
}

/// What the simulated marketplace holds of its shop `demo`, as a reader that understood everything would tell. What
/// changed without its modified time is left out: that is the audit's to find.
fn truth(stage: &Stage, marketplace: Marketplace) -> anyhow::Result<Vec<Told>> {
    let market = stage.marketplaces.market(marketplace, "demo").context("a shop")?;
    let told = market.truth().filter(|order| !market.changed_silently().contains(&order.id));
    Ok(told.map(|order| order.told(marketplace, String::new())).collect())
}

/// How a trade that is kept differs from the marketplace's.
fn difference(told: &Told, kept: &TradeFacts) -> Option<String> {
    let Some(detail) = &kept.detail else { return Some("it has no detail".to_owned()) };
    let status = kept.statuses.current().map(|report| (report.status, report.raw.clone()));
    if status != Some((told.status, told.raw_status.clone())) {
        return Some(format!("its status is {status:?}, and {:?} ({}) there", told.status, told.raw_status));
    }
    if (detail.modified_at, &detail.content) != (told.modified_at, &told.content) {
        return Some(format!("{detail:?}\nand there {told:?}"));
    }
    let case_of = |case: &protocols::marketplace::ToldCase| (case.id.clone(), case.state);
    let state_of = |id: &domain::AfterSaleId| kept.after_sales.get(id)?.state.as_ref().map(|state| state.state);
    let missing = told.cases.iter().map(case_of).find(|(id, state)| state_of(id) != Some(*state));
    if let Some((id, state)) = missing {
        return Some(format!("the case {id} is {:?}, and {} there", state_of(&id), state.as_str()));
    }
    let waybill_of = |package: &protocols::marketplace::ToldPackage| {
        kept.packages.get(&package.id).is_some_and(|kept| {
            kept.waybill.as_ref().map(|waybill| (&waybill.carrier, &waybill.number))
                == package.waybill.as_ref().map(|(carrier, number)| (carrier, number))
        })
    };
    let lost = told.packages.iter().find(|package| !waybill_of(package));
    lost.map(|package| format!("the consignment {} differs", package.id))
}

/// Every trade of the shop `demo` is kept as the marketplace has it.
async fn equals_the_truth(stage: &Stage, marketplace: Marketplace) -> anyhow::Result<usize> {
    stage.queue_is_empty().await?;
    let (trades, truth) = (stage.session.trades()?, truth(stage, marketplace)?);
    let reads = stream::iter(&truth).map(|told| async {
        let trade: TradeKey = format!("{}#demo#{}", marketplace.as_str(), told.trade_id).parse()?;
        let difference = difference(told, &trades.read(&trade).await?);
        anyhow::Ok(difference.map(|difference| format!("{trade}: {difference}")))
    });
    let differing: Vec<String> =
        reads.buffer_unordered(READS_AT_ONCE).try_filter_map(async |found| Ok(found)).try_collect().await?;
    ensure!(differing.is_empty(), "{} of {} differ: {}", differing.len(), truth.len(), differing[0]);
    Ok(truth.len())
}

pub async fn five_thousand(stage: Arc<Stage>) -> anyhow::Result<()> {
    let sweeper = Sweeper::new(&stage.session)?;
    let end = now().saturating_add_ms(-MINUTE_MS);
    let goal = Window::new(end.saturating_add_ms(-32 * 24 * 60 * MINUTE_MS), end);
    for marketplace in Marketplace::ALL {
        let state = sweeper.run(&key(SweepKind::Backfill, marketplace, "demo")?, goal).await?;
        let kept = equals_the_truth(&stage, marketplace).await?;
        println!(
            "sweeps: {} has {kept} orders, read {} rows, queued {}",
            marketplace.as_str(),
            state.listed,
            state.changed
        );
        let incremental = key(SweepKind::Incremental, marketplace, "demo")?;
        let sweeps = stage.session.sweeps()?;
        let state = sweeps.read(&incremental).await?;
        ensure!(sweeps.replace(&incremental, &state.set(now().saturating_add_ms(-31 * MINUTE_MS))).await?.is_none());
        // Half an hour of change, minute by minute, while the list is read: most of it late, all within the overlap.
        let change = async {
            for minute in (1..=30).rev() {
                let from = now().saturating_add_ms(-minute * MINUTE_MS);
                stage.marketplaces.play(marketplace, "demo", (from, from.saturating_add_ms(MINUTE_MS - 1_000)), 8);
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            anyhow::Ok(())
        };
        futures::try_join!(change, sweeper.run(&incremental, None))?;
        settle().await;
        let state = sweeper.run(&incremental, None).await?;
        let kept = equals_the_truth(&stage, marketplace).await?;
        println!("sweeps: after 240 changes {kept} orders are as {} has them", marketplace.as_str());
        ensure!(state.watermark.is_some_and(|watermark| now().ms_since(watermark) < 5 * MINUTE_MS));
    }
    Ok(())
}

/// Until the latest change is older than the settle lag.
async fn settle() {
    tokio::time::sleep(Duration::from_secs(62)).await;
}

pub async fn refund(stage: Arc<Stage>) -> anyhow::Result<()> {
    let with_case = {
        let told = truth(&stage, Marketplace::Taobao)?;
        told.into_iter().find(|told| !told.cases.is_empty()).context("no order has a refund case")?
    };
    let sweeper = Sweeper::new(&stage.session)?;
    let day = with_case.content.created_at.context("an order that was made")?;
    let goal = Window::new(day.saturating_add_ms(-MINUTE_MS), day.saturating_add_ms(MINUTE_MS));
    sweeper.run(&key(SweepKind::Backfill, Marketplace::Taobao, "demo")?, goal).await?;
    stage.queue_is_empty().await?;
    let answer = stage.ask(Method::GET, &format!("/trades/taobao/demo/{}", with_case.trade_id), "").await?;
    let trade: serde_json::Value = serde_json::from_slice(&answer.body)?;
    let case = &with_case.cases[0];
    let shown = trade["after_sales"].as_array().context("after_sales")?;
    let shown = shown.iter().find(|shown| shown["id"] == case.id.as_str()).with_context(|| format!("{trade}"))?;
    ensure!(case.state != AfterSaleState::Unrecognised && shown["state"] == case.state.as_str(), "{shown}");
    ensure!(shown["line"] == serde_json::to_value(&case.line)?, "{shown}");
    ensure!(trade["detail"]["lines"].as_array().map(Vec::len) == Some(with_case.content.lines.len()), "{trade}");
    Ok(())
}

/// The stack's secrets know a shop whose token is the shop `demo`'s: what is answered is of `demo`'s seller.
pub async fn foreign(stage: Arc<Stage>) -> anyhow::Result<()> {
    let sweeper = Sweeper::new(&stage.session)?;
    let mistaken = ShopId::new(MISTAKEN_SHOP)?;
    let goal = Window::new(now().saturating_add_ms(-32 * 24 * 60 * MINUTE_MS), now().saturating_add_ms(-MINUTE_MS));
    let whose = Whose { marketplace: Marketplace::Taobao, shop: Some(mistaken.clone()) };
    let swept = sweeper.invoke(SweepKind::Backfill, &whose, goal).await?;
    let swept = swept.first().context("no shop was swept")?;
    ensure!(swept.outcome == Outcome::Failed && swept.changed == 0, "{swept:?}");
    ensure!(swept.reason.as_deref().is_some_and(|reason| reason.contains("another account")), "{swept:?}");
    stage.queue_is_empty().await?;
    let trades = stage.session.trades()?;
    for told in truth(&stage, Marketplace::Taobao)?.into_iter().take(50) {
        let trade: TradeKey = format!("taobao#{mistaken}#{}", told.trade_id).parse()?;
        ensure!(trades.read(&trade).await?.is_empty(), "{trade} was written");
    }
    let state = sweeper.state(&key(SweepKind::Backfill, Marketplace::Taobao, MISTAKEN_SHOP)?).await?;
    // Days without an order name nobody, and are read.
    ensure!((state.listed, state.changed) == (0, 0) && state.remaining().is_some(), "{state:?}");
    Ok(())
}
