//! What is held in memory, counted by the allocator: of a sweep pages, and not the list; of a picture that is stored
//! what is on its way, and not the file. A program of its own, because the allocator counts for the whole program.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::as_conversions, clippy::print_stdout, missing_docs)]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

use adapters::aws::{S3Images, Settings as AwsSettings, connect};
use adapters::clock::Clock;
use adapters::error::PortError;
use adapters::ports::{
    DetailOf, EventQueue, ImageBucket, MarketError, Marketplace, ObjectBody, Quarantine, Quarantined, RawDetails,
    Stored, TradeDetails,
};
use adapters::secrets::{SecretCache, Secrets};
use adapters::spool::Content;
use adapters::testing::{ManualClock, MemorySecrets, MemorySweeps};
use domain::sweep::Limits;
use domain::{
    AfterSale, AfterSaleId, Format, ImageDigest, ImageObject, ListingDigest, MessageId, Outcome, RawStatus, StoredKey,
    TradeContent, TradeDetail, TradeId, TradeKey, TradeStatus, UnixMillis,
};
use lambda::deadline::Deadline;
use lambda::log::MemoryLog;
use lambda::sweep::Settings;
use order_sweep::handler::handle;
use peak_alloc::PeakAlloc;
use protocols::VerifiedEvent;
use protocols::marketplace::{Account, Answer, ListPage, ListQuery, Listed, Message, Told};
use protocols::sweeps::{Outcome as Ended, Request};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// The tests take turns, because what one holds is counted for the other.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

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
    assert_eq!((answer.sweeps[0].outcome, answer.sweeps[0].changed), (Ended::Finished, orders));
    MEMORY.peak_usage() - before
}

#[tokio::test]
async fn a_sweep_of_100_000_orders_holds_no_more_than_one_of_1_000() {
    let _turn = TURN.lock().await;
    // Once before, so that what is made once is there.
    peak(100).await;
    let (thousand, hundred_thousand) = (peak(1_000).await, peak(100_000).await);
    println!("memory: {thousand} bytes for 1,000 orders, {hundred_thousand} for 100,000");
    assert!(hundred_thousand < SWEEP_BYTES_MAX, "{hundred_thousand} bytes");
    // A slice of a day holds 16 and 1,667 of them: what a slice keeps of each row is what is more.
    let per_row = hundred_thousand.saturating_sub(thousand) / 1_667;
    assert!(per_row < 512, "{per_row} bytes more for each row of a slice");
}

/// What storing a picture may hold at most, whatever its size: what is read of the file at once, some times over in the
/// HTTP client's queue.
const PUT_BYTES_MAX: usize = 2 * 1_024 * 1_024;

/// Answers one request after another on a connection with 200, reading slower than it is sent to; tells how many bytes
/// of body each had.
fn answer_slowly(mut stream: TcpStream, told: &std::sync::mpsc::Sender<usize>) -> Option<()> {
    let mut chunk = [0; 64 * 1_024];
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let read = stream.read(&mut chunk[..1]).ok().filter(|read| *read > 0)?;
            head.extend_from_slice(&chunk[..read]);
        }
        let head = String::from_utf8(head).ok()?.to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok())?;
        let mut left = length;
        while left > 0 {
            std::thread::sleep(std::time::Duration::from_millis(1));
            let wanted = left.min(chunk.len());
            left -= stream.read(&mut chunk[..wanted]).ok().filter(|read| *read > 0)?;
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").ok()?;
        told.send(length).ok()?;
    }
}

/// A bucket that takes everything, slowly, and what it was given.
fn slow_bucket() -> (S3Images, Receiver<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (tell, told) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            answer_slowly(stream.unwrap(), &tell);
        }
    });
    let settings = AwsSettings {
        region: "eu-central-1".to_owned(),
        access_key_id: "test".to_owned(),
        secret_access_key: "test".to_owned(),
        session_token: None,
        endpoint_url: Some(endpoint),
    };
    (S3Images::new(&connect(settings), "pictures".to_owned()), told)
}

/// The most bytes that storing a file of that size held above what there was before it.
async fn peak_of_a_put(bucket: &S3Images, told: &Receiver<usize>, bytes: usize) -> usize {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&vec![7; bytes]).unwrap();
    let content = Content::File(file.into_temp_path());
    let digest = ImageDigest::new("0".repeat(64)).unwrap();
    let object = ImageObject::Original(digest.clone(), Format::Jpeg);
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    let body = ObjectBody::Content(&content, u64::try_from(bytes).unwrap(), &digest);
    assert_eq!(bucket.put(&object, body).await.unwrap(), Stored::Now);
    assert_eq!(told.recv().unwrap(), bytes);
    MEMORY.peak_usage().saturating_sub(before)
}

#[tokio::test]
async fn storing_a_picture_of_30_mb_holds_no_more_than_what_is_on_its_way() {
    let _turn = TURN.lock().await;
    let (bucket, told) = slow_bucket();
    // Once before, so that the client and its connection are there.
    peak_of_a_put(&bucket, &told, 1_000).await;
    let (small, large) =
        (peak_of_a_put(&bucket, &told, 3_000_000).await, peak_of_a_put(&bucket, &told, 30_000_000).await);
    println!("memory: {small} bytes for a picture of 3 MB, {large} for one of 30 MB");
    assert!(large < PUT_BYTES_MAX, "{large} bytes");
}
