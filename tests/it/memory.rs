//! What a sweep holds in memory, counted by the allocator: pages, and not the list. A program of its own, because the
//! allocator counts for the whole program.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::as_conversions, clippy::print_stdout, missing_docs)]

use std::collections::BTreeMap;

use adapters::clock::Clock;
use adapters::error::PortError;
use adapters::ports::{
    DetailOf, EventQueue, MarketError, Marketplace, Quarantine, Quarantined, RawDetails, TradeDetails,
};
use adapters::secrets::{SecretCache, Secrets};
use adapters::testing::{ManualClock, MemorySecrets, MemorySweeps};
use domain::sweep::Limits;
use domain::{
    AfterSale, AfterSaleId, ListingDigest, MessageId, Outcome, RawStatus, StoredKey, TradeContent, TradeDetail,
    TradeId, TradeKey, TradeStatus, UnixMillis,
};
use lambda::deadline::Deadline;
use lambda::log::MemoryLog;
use lambda::sweep::{Request, Settings};
use order_sweep::handler::handle;
use peak_alloc::PeakAlloc;
use protocols::VerifiedEvent;
use protocols::marketplace::{Account, Answer, ListPage, ListQuery, Listed, Message, Told};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// 2026-11-21T08:00:00Z.
const NOW: i64 = 1_795_248_000_000;
/// What a sweep may hold at most, whatever the list: a slice of hashes and digests, a page, twenty details.
const SWEEP_BYTES_MAX: usize = 4 * 1_024 * 1_024;

/// A shop that made so many orders, one every so many milliseconds, and keeps none in memory.
struct Endless {
    orders: u64,
    every_ms: i64,
}

impl Endless {
    fn created(&self, order: u64) -> UnixMillis {
        let since = i64::try_from(self.orders - order).unwrap() * self.every_ms;
        UnixMillis::new(NOW).unwrap().saturating_add_ms(-60_000 - since)
    }
}

impl Marketplace for Endless {
    async fn list(&self, _: &Account, query: &ListQuery) -> Result<Answer<ListPage<TradeId>>, MarketError> {
        let is_within = |order: &u64| (query.window.start()..=query.window.end()).contains(&self.created(*order));
        let found = (0..self.orders).rev().filter(is_within);
        let skipped = usize::try_from((query.page - 1) * query.page_rows).unwrap();
        let row = |order: u64| Listed {
            id: TradeId::new(order.to_string()).unwrap(),
            modified_at: Some(self.created(order)),
            digest: ListingDigest::new(format!("{order:032x}")).unwrap(),
        };
        let rows: Vec<Listed<TradeId>> = found.clone().skip(skipped).take(query.page_rows as usize).map(row).collect();
        let page = ListPage { total: u64::try_from(found.count()).unwrap(), rows, malformed: Vec::new() };
        Ok(Answer::new(page, None))
    }

    async fn details(&self, _: &Account, trades: &[TradeId]) -> Result<Vec<DetailOf>, MarketError> {
        let told = |id: &TradeId| {
            let told = Told {
                trade_id: id.clone(),
                modified_at: self.created(id.as_str().parse().unwrap()),
                status: TradeStatus::Finished,
                raw_status: RawStatus::new("TRADE_FINISHED").unwrap(),
                content: TradeContent::default(),
                packages: Vec::new(),
                cases: Vec::new(),
                json: format!("{{\"tid\":{id}, \"of\": \"{}\"}}", "x".repeat(4_000)),
            };
            (id.clone(), Ok(Answer::new(told, None)))
        };
        Ok(trades.iter().map(told).collect())
    }

    async fn pull(&self, _: &Account) -> Result<Vec<Answer<Message>>, MarketError> {
        Ok(Vec::new())
    }

    async fn confirm(&self, _: &Account, _: &[MessageId]) -> Result<(), MarketError> {
        Ok(())
    }
}

/// Takes everything, and keeps nothing.
struct Sink;

impl EventQueue for Sink {
    async fn send(&self, _: &[VerifiedEvent]) -> Result<(), PortError> {
        Ok(())
    }
}

impl Quarantine for Sink {
    async fn put(&self, _: &Quarantined) -> Result<(), PortError> {
        Ok(())
    }
}

impl RawDetails for Sink {
    async fn put(&self, _: &TradeKey, _: &[u8]) -> Result<StoredKey, PortError> {
        Ok(StoredKey::new("details").unwrap())
    }

    async fn get(&self, _: &StoredKey) -> Result<Option<Vec<u8>>, PortError> {
        Ok(None)
    }
}

impl TradeDetails for Sink {
    async fn detail(&self, _: &TradeKey, _: &TradeDetail) -> Result<Outcome, PortError> {
        Ok(Outcome::Applied)
    }

    async fn after_sale(&self, _: &TradeKey, _: &AfterSaleId, _: &AfterSale) -> Result<Outcome, PortError> {
        Ok(Outcome::Applied)
    }

    async fn listings(&self, _: &[TradeKey]) -> Result<BTreeMap<TradeKey, ListingDigest>, PortError> {
        Ok(BTreeMap::new())
    }
}

/// The most bytes that a backfill of so many orders held above what there was before it.
async fn peak(orders: u64) -> usize {
    let clock = ManualClock::at(UnixMillis::new(NOW).unwrap());
    let every_ms = 60 * 24 * 3_600_000 / i64::try_from(orders).unwrap();
    let market = Endless { orders, every_ms };
    let secrets = Secrets::from_json(
        r#"{"marketplaces": {"taobao": {"demo": {"app_key": "1", "app_secrets": ["s"], "session": "t", "seller_nick": "n"}}}}"#,
    );
    let (source, cache) = (MemorySecrets::new(secrets.unwrap()), SecretCache::default());
    let (sweeps, log) = (MemorySweeps::default(), MemoryLog::default());
    let settings = Settings { shops_at_once: 1, limits: Limits::DEFAULT };
    let request: Request = serde_json::from_str(r#"{"kind":"backfill","marketplace":"taobao","shop":"demo"}"#).unwrap();
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    let deadline = Deadline::from_lambda(u64::try_from(clock.now().get()).unwrap() + 3_600_000);
    let answer = handle(
        request,
        (deadline, settings),
        &market,
        (&Sink, &Sink),
        (&Sink, &Sink),
        (&sweeps, &source, &cache),
        (&clock, &log),
    )
    .await
    .unwrap();
    assert_eq!((answer.sweeps[0].outcome, answer.sweeps[0].changed), ("finished", orders));
    MEMORY.peak_usage() - before
}

#[tokio::test]
async fn a_sweep_of_100_000_orders_holds_no_more_than_one_of_1_000() {
    // Once before, so that what is made once is there.
    peak(100).await;
    let (thousand, hundred_thousand) = (peak(1_000).await, peak(100_000).await);
    println!("memory: {thousand} bytes for 1,000 orders, {hundred_thousand} for 100,000");
    assert!(hundred_thousand < SWEEP_BYTES_MAX, "{hundred_thousand} bytes");
    // A slice of a day holds 16 and 1,667 of them: what a slice keeps of each row is what is more.
    let per_row = hundred_thousand.saturating_sub(thousand) / 1_667;
    assert!(per_row < 512, "{per_row} bytes more for each row of a slice");
}
