//! Sweeps: the marketplaces hold orders that no push told of. They are read, and what is here is laid beside what is
//! there; then the marketplaces change, and are read again.

use std::time::Duration;

use adapters::clock::{Clock, SystemClock};
use adapters::ports::SweepKey;
use anyhow::{Context, anyhow, bail};
use domain::sweep::{Limits, SweepKind, Window};
use domain::{Marketplace, ShopId, UnixMillis};
use futures::future::try_join_all;

use super::plan::SHOP;
use crate::simulate::{Beside, Simulated};
use crate::stack::Session;
use crate::sweep::Sweeper;
use crate::table::{bar, heading, step, table};
use crate::{days, queues};

/// How far back the simulated shops go, and a day more.
const HISTORY_MS: i64 = 31 * 24 * 60 * 60 * 1_000;
/// Changes that are played in each shop, over so many minutes.
const PLAYED: (u32, u32) = (25, 10);
/// Between two looks at the queue.
const LOOK_MS: u64 = 250;
/// Looks at the queue: two minutes.
const LOOKS_MAX: u32 = 480;
/// Ids of trades that differ which a surprise names.
const NAMED_MAX: usize = 3;

/// Plays the act. What is not here as it is there is a surprise.
pub(super) async fn play(session: &Session, simulated: &Simulated) -> anyhow::Result<Vec<String>> {
    let (sweeper, shop) = (Sweeper::new(session)?, ShopId::new(SHOP)?);
    let mut rows = Rows { session, simulated, shop: &shop, table: Vec::new(), surprises: Vec::new() };
    step("Sweeps", "1688 and Taobao are asked for the orders of the last month, of which nobody told");
    rows.add("a backfill of the last month", backfill(&sweeper, &shop).await?).await?;
    let played = SystemClock.now();
    for marketplace in Marketplace::ALL {
        let changes = simulated.play(marketplace, &shop, PLAYED).await?;
        step("Sweeps", &format!("{changes} changes are made at {} within ten minutes", marketplace.as_str()));
    }
    let messages = SweepKey { kind: SweepKind::Tmc, marketplace: Marketplace::Taobao, shop: shop.clone() };
    sweeper.run(&messages, None).await?;
    step("Sweeps", "Taobao's messages were pulled, each confirmed when it was on the queue");
    settle(played).await;
    rows.add("changes there, and a sweep of what changed", changed(&sweeper, &shop).await?).await?;
    heading("What the marketplaces hold, beside what is here");
    let mut told = table(["after", "marketplace", "orders there", "trades here", "differing", "read, queued"]);
    told.add_rows(&rows.table);
    println!("{told}");
    if rows.surprises.is_empty() {
        println!("Whatever they hold is here as it is there, though no push told of it.");
    }
    Ok(rows.surprises)
}

/// Reads the last month of both shops at once. What each read and queued.
async fn backfill(sweeper: &Sweeper, shop: &ShopId) -> anyhow::Result<[String; 2]> {
    let end = SystemClock.now().saturating_add_ms(-Limits::DEFAULT.settle_lag_ms);
    let goal = Window::new(end.saturating_add_ms(-HISTORY_MS), end).context("a month")?;
    let reads = Marketplace::ALL.map(|marketplace| async move {
        let key = SweepKey { kind: SweepKind::Backfill, marketplace, shop: shop.clone() };
        let state = sweeper.run(&key, Some(goal)).await?;
        anyhow::Ok(format!("{}, {}", state.listed, state.changed))
    });
    of_both(try_join_all(reads).await?)
}

/// Reads what changed in both shops. What each read and queued.
async fn changed(sweeper: &Sweeper, shop: &ShopId) -> anyhow::Result<[String; 2]> {
    let mut told = Vec::new();
    for marketplace in Marketplace::ALL {
        let key = SweepKey { kind: SweepKind::Incremental, marketplace, shop: shop.clone() };
        let before = sweeper.state(&key).await?;
        let state = sweeper.run(&key, None).await?;
        let of_this = |now: u64, before: u64| now.saturating_sub(before);
        told.push(format!("{}, {}", of_this(state.listed, before.listed), of_this(state.changed, before.changed)));
    }
    of_both(told)
}

fn of_both(told: Vec<String>) -> anyhow::Result<[String; 2]> {
    told.try_into().map_err(|_| anyhow!("there are two marketplaces"))
}

/// Waits until the last change has settled: a sweep reads nothing that is younger than that.
async fn settle(since: UnixMillis) {
    let wait_ms = Limits::DEFAULT.settle_lag_ms + 1_000 - SystemClock.now().ms_since(since);
    let seconds = u64::try_from(wait_ms.max(0)).unwrap_or_default().div_ceil(1_000);
    let told = format!("{} until the latest changes may be read: lists show some things late", days::span(wait_ms));
    step("Sweeps", &told);
    let bar = bar("Waiting", usize::try_from(seconds).unwrap_or_default());
    for _ in 0..seconds {
        tokio::time::sleep(Duration::from_secs(1)).await;
        bar.inc(1);
    }
    bar.finish_and_clear();
}

/// The rows of the closing table.
struct Rows<'a> {
    session: &'a Session,
    simulated: &'a Simulated,
    shop: &'a ShopId,
    table: Vec<[String; 6]>,
    surprises: Vec<String>,
}

impl Rows<'_> {
    /// Lays both marketplaces beside what is here, once the writer has stored what was queued.
    async fn add(&mut self, after: &str, read: [String; 2]) -> anyhow::Result<()> {
        written(self.session).await?;
        let trades = self.session.trades()?;
        for (marketplace, read) in Marketplace::ALL.into_iter().zip(read) {
            let beside = self.simulated.beside(&trades, marketplace, self.shop).await?;
            let Beside { there, here, differing } = &beside;
            let counts = [*there, *here, differing.len()].map(|count| count.to_string());
            let [there, here, differing] = counts;
            self.table.push([after.to_owned(), marketplace.as_str().to_owned(), there, here, differing, read]);
            self.surprises.extend(surprise(marketplace, after, &beside));
        }
        Ok(())
    }
}

fn surprise(marketplace: Marketplace, after: &str, beside: &Beside) -> Option<String> {
    let named = beside.differing.iter().take(NAMED_MAX).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let (count, name) = (beside.differing.len(), marketplace.as_str());
    (count > 0).then(|| format!("{name}, after {after}: {count} trades are not here as they are there: {named}"))
}

/// Waits until the writer has taken everything from the queue.
async fn written(session: &Session) -> anyhow::Result<()> {
    let (client, queue) = (session.sqs(), session.stack.queue("events")?);
    let mut waiting = queues::depth(&client, queue).await?.total();
    let bar = bar("Writing", waiting);
    for _ in 0..LOOKS_MAX {
        if waiting == 0 {
            bar.finish_and_clear();
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(LOOK_MS)).await;
        waiting = queues::depth(&client, queue).await?.total();
        let left = u64::try_from(waiting).unwrap_or(u64::MAX);
        bar.set_position(bar.length().unwrap_or_default().saturating_sub(left));
    }
    bar.finish_and_clear();
    bail!("the writer does not come to the end of the queue")
}

#[cfg(test)]
mod tests {
    use domain::TradeId;

    use super::*;

    #[test]
    fn what_differs_is_a_surprise_that_names_some_of_it() {
        let differing: Vec<TradeId> = (1..=5).map(|id| TradeId::new(id.to_string()).unwrap()).collect();
        let beside = Beside { there: 9, here: 8, differing };
        let told = surprise(Marketplace::Taobao, "a sweep", &beside).unwrap();
        assert_eq!(told, "taobao, after a sweep: 5 trades are not here as they are there: 1, 2, 3");
        assert_eq!(surprise(Marketplace::Taobao, "a sweep", &Beside { differing: Vec::new(), ..beside }), None);
    }
}
