//! `sampan images sync`: product-sweep invoked now, and image-sync followed until it is through.
//!
//! Invariant: what is counted is what the functions told in their logs and what the queues hold. Stopping this command
//! stops nothing on the stack.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use adapters::clock::{Clock, SystemClock};
use adapters::ports::{ImageQueue, Manifest, Products};
use anyhow::{Context, bail, ensure};
use clap::Args;
use domain::{ImageEntry, ImageKey, ImageRecord, ImageRequest, Marketplace, ProductId, ProductKey, ShopId, UnixMillis};
use futures::future::try_join;
use protocols::sweeps::{Outcome, Request, Swept, Whose};

use super::Figures;
use crate::invoke::Function;
use crate::logs::Follower;
use crate::queues::{Depth, Queue, depth};
use crate::stack::Session;
use crate::sweep::{FAILURE_MS, FAILURES_MAX, LOOK_MS, marketplaces, shop_name};
use crate::table::{ImageBars, step, table};

/// Between two looks at the queue and the log.
const FOLLOW_MS: u64 = 500;
/// How long all must be quiet before what is left counts as waiting for another try: a few looks.
const QUIET_MS_MIN: u128 = 5_000;
/// How long a queue that says that it is empty is not believed while lines are missing: on AWS its count may be a minute
/// old, and so may the last line.
const COUNT_MS_MAX: u128 = 90_000;
/// How long nothing may move at all: the longest run of image-sync twice, and a while for a cold start.
const STILL_MS_MAX: u128 = 11 * 60 * 1_000;

/// How long the index of what waits may be behind, in milliseconds; as a rule it is so by less than a second.
const REPORTS_MS_MAX: u64 = 30_000;

/// Which pictures to bring here.
#[derive(Debug, Args)]
#[command(after_help = "\
Without --full it asks for the pictures of products that changed since the last sweep, or that the marketplace said had
changed; --products adds some. With --full it reads the whole catalogue, and asks for every picture that is known again:
one that did not change costs one request at its host. Stopped at any time, the stack goes on by itself.
It ends with an error when a picture ended in quarantine or in the dead-letter queue, or could not be had yet.")]
pub struct SyncArguments {
    /// Where
    #[arg(long, value_name = "MARKETPLACE", default_value = "1688", value_parser = marketplaces())]
    marketplace: Marketplace,
    /// The shop, by its name in the secrets document
    #[arg(long, value_parser = shop_name)]
    shop: ShopId,
    /// All pictures of all products, also those of products that did not change
    #[arg(long)]
    full: bool,
    /// These products whether they changed or not, by their ids at the marketplace; for those of others that the shop
    /// follows, before a first push tells of them
    #[arg(long, value_name = "ID", value_delimiter = ',', value_parser = product_id, conflicts_with = "full")]
    products: Vec<ProductId>,
    /// Wait for the next tries of pictures that could not be had, which come after about half an hour
    #[arg(long)]
    wait: bool,
}

/// What is to be brought here.
#[derive(Debug, Clone)]
pub struct Work {
    /// Where.
    pub marketplace: Marketplace,
    /// Of which shop.
    pub shop: ShopId,
    /// All products, or those that changed.
    pub is_full: bool,
    /// Whether to wait for further tries.
    pub waits: bool,
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Synced {
    /// Products that were listed.
    pub listed: u64,
    /// Those of them whose pictures were asked for.
    pub changed: u64,
    /// Pictures that the sweep asked for.
    pub requested: u64,
    /// Pictures that were known and are asked for again, as they were asked for last.
    pub again: u64,
    /// What became of pictures meanwhile, these and others.
    pub figures: Figures,
    /// Messages that came into quarantine meanwhile.
    pub quarantined: usize,
    /// Pictures that came into the dead-letter queue meanwhile.
    pub dead: usize,
    /// Pictures that wait for another try.
    pub waiting: usize,
}

impl Synced {
    /// What did not end well, in words.
    fn trouble(&self) -> Option<String> {
        let told = [
            (self.quarantined, "in quarantine (`sampan quarantine list`)"),
            (self.dead, "in the dead-letter queue (`sampan redrive --queue images`, when the cause is gone)"),
            (self.waiting, "not to be had yet; the queue hands them out again after about half an hour"),
        ];
        let told = told.iter().filter(|(count, _)| *count > 0);
        let told: Vec<String> = told.map(|(count, what)| format!("{count} {what}")).collect();
        (!told.is_empty()).then(|| told.join("; "))
    }
}

/// How far the sweep is, for whoever follows the queue meanwhile.
#[derive(Debug, Default)]
struct Asked {
    pictures: AtomicU64,
    is_all: AtomicBool,
}

/// Product-sweep, and what follows it.
#[derive(Debug)]
pub struct Syncer<'a> {
    session: &'a Session,
    function: Function,
    sqs: aws_sdk_sqs::Client,
    bars: ImageBars,
}

impl<'a> Syncer<'a> {
    /// That of a stack.
    pub fn new(session: &'a Session) -> anyhow::Result<Self> {
        let function = Function::new(session, "product-sweep")?;
        Ok(Self { session, function, sqs: session.sqs(), bars: ImageBars::new() })
    }

    /// Sweeps, and follows the queue until nothing of it is left.
    pub async fn run(&self, work: &Work) -> anyhow::Result<Synced> {
        let (since, asked) = (SystemClock.now(), Asked::default());
        let follower = Follower::new(self.session, "image-sync", since)?;
        let before = self.set_aside().await?;
        let sweep = self.sweep(work, since, &asked);
        let (mut synced, (figures, waiting)) = try_join(sweep, self.follow(follower, work.waits, &asked)).await?;
        self.bars.clear();
        let after = self.set_aside().await?;
        let quarantined = usize::try_from(figures.ended_as("quarantined")).unwrap_or(usize::MAX);
        synced.quarantined = after.0.saturating_sub(before.0).max(quarantined);
        synced.dead = after.1.saturating_sub(before.1);
        (synced.figures, synced.waiting) = (figures, waiting);
        Ok(synced)
    }

    /// How many messages wait for a person: in quarantine, and in the dead-letter queue of pictures.
    async fn set_aside(&self) -> anyhow::Result<(usize, usize)> {
        let quarantine = self.depth("quarantine").await?;
        Ok((quarantine.total(), self.depth(Queue::Images.dead_letters()).await?.total()))
    }

    async fn depth(&self, queue: &str) -> anyhow::Result<Depth> {
        depth(&self.sqs, self.session.stack.queue(queue)?).await
    }

    /// Runs until the sweep is through, however many runs that takes.
    async fn sweep(&self, work: &Work, since: UnixMillis, asked: &Asked) -> anyhow::Result<Synced> {
        let kind = if work.is_full { "backfill" } else { "incremental" };
        let request = Request::new(kind, &Whose { marketplace: work.marketplace, shop: Some(work.shop.clone()) }, None);
        let (mut synced, mut failures) = (Synced::default(), 0);
        loop {
            let answer = self.function.sweep(&request).await?;
            let Some(swept) = answer.into_iter().next() else { bail!("product-sweep answered nothing") };
            synced.listed += swept.listed;
            synced.changed += swept.changed;
            synced.requested += swept.requested.unwrap_or_default();
            asked.pictures.store(synced.requested, Ordering::Relaxed);
            failures = if swept.outcome == Outcome::Failed && swept.listed == 0 { failures + 1 } else { 0 };
            if self.goes_on(&swept, failures).await? {
                continue;
            }
            if work.is_full {
                synced.again = self.ask_again(work, since).await?;
                asked.pictures.store(synced.requested.saturating_add(synced.again), Ordering::Relaxed);
            }
            asked.is_all.store(true, Ordering::Relaxed);
            return Ok(synced);
        }
    }

    /// Asks again for every picture of the shop that the sweep did not ask for: its product is as it was, and so the sweep
    /// left it out. The request is the last one's, so that a later one of the sweep's is never overtaken.
    async fn ask_again(&self, work: &Work, since: UnixMillis) -> anyhow::Result<u64> {
        let (manifest, queue) = (self.session.manifest()?, self.session.image_queue()?);
        let (mut again, mut after): (u64, Option<ImageKey>) = (0, None);
        loop {
            let page = manifest.list(after.as_ref()).await.context("cannot read the manifest")?;
            let Some((last, _)) = page.last() else { return Ok(again) };
            after = Some(last.clone());
            let requests: Vec<ImageRequest> =
                page.into_iter().filter_map(|(image, entry)| last_request(image, entry, work, since)).collect();
            queue.send(&requests).await.context("not all pictures are on the image queue; run the command again")?;
            again = again.saturating_add(u64::try_from(requests.len()).unwrap_or(u64::MAX));
        }
    }

    /// Whether another run is needed after this one.
    async fn goes_on(&self, swept: &Swept, failures: u32) -> anyhow::Result<bool> {
        let (shop, reason) = (&swept.shop, swept.reason.as_deref().unwrap_or("it does not say why"));
        let wait_ms = match swept.outcome {
            Outcome::Finished => return Ok(false),
            Outcome::Unfinished => 0,
            Outcome::Held => {
                self.bars.tell("another run is at it; waiting for its end");
                LOOK_MS
            }
            Outcome::Failed if failures < FAILURES_MAX => {
                self.bars.tell(&format!("{reason}; trying again"));
                FAILURE_MS
            }
            Outcome::Failed => bail!("{shop} failed {failures} times: {reason}; the log of product-sweep says more"),
            Outcome::Refused => bail!("{shop} was refused: {reason}"),
            Outcome::Paused => bail!(
                "{} asked for silence; `sampan watermark show` says until when. What was asked for is fetched",
                swept.marketplace
            ),
        };
        tokio::time::sleep(Duration::from_millis(wait_ms)).await;
        Ok(true)
    }

    /// Follows log and queue until nothing is left, or only what waits for another try. The sums, and how many wait.
    async fn follow(&self, mut follower: Follower, waits: bool, asked: &Asked) -> anyhow::Result<(Figures, usize)> {
        let (mut figures, mut moved_at, mut seen) = (Figures::default(), Instant::now(), None);
        loop {
            for line in follower.more().await? {
                figures.add(&line);
            }
            let depth = self.depth(Queue::Images.as_str()).await?;
            let requested = asked.pictures.load(Ordering::Relaxed);
            let state = (depth, figures.ended(), figures.waiting(), requested);
            if seen != Some(state) {
                (seen, moved_at) = (Some(state), Instant::now());
            }
            let queued = u64::try_from(depth.total()).unwrap_or(u64::MAX);
            self.bars.show(figures.ended(), requested.max(figures.ended().saturating_add(queued)), figures.bytes);
            if asked.is_all.load(Ordering::Relaxed) {
                let quiet_ms = moved_at.elapsed().as_millis();
                match standing(depth, &figures, requested, quiet_ms) {
                    Standing::Drained => return Ok((figures, 0)),
                    Standing::Waiting if !waits => return Ok((figures, depth.held)),
                    Standing::Waiting => self.bars.say(&format!("{} wait for another try", depth.held)),
                    Standing::Moving => ensure!(
                        quiet_ms <= STILL_MS_MAX,
                        "{} pictures are on the queue and nothing moves; the log of image-sync may say why",
                        depth.total()
                    ),
                }
            }
            tokio::time::sleep(Duration::from_millis(FOLLOW_MS)).await;
        }
    }
}

/// The request that a picture of the shop was fetched by, when its product still has it and it was not asked for since.
fn last_request(image: ImageKey, entry: ImageEntry, work: &Work, since: UnixMillis) -> Option<ImageRequest> {
    let product = &image.product;
    let is_meant = (product.marketplace, &product.shop) == (work.marketplace, &work.shop) && !entry.is_removed();
    let ImageRecord { asked_at, url, .. } = entry.record.filter(|record| is_meant && record.asked_at < since)?;
    Some(ImageRequest { image, url, asked_at, refetch: false })
}

/// Where the pictures stand that were asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Some are on their way.
    Moving,
    /// All are at their end.
    Drained,
    /// What is left could not be had, and is handed out again later.
    Waiting,
}

fn standing(depth: Depth, figures: &Figures, requested: u64, quiet_ms: u128) -> Standing {
    let is_told = figures.ended() >= requested && figures.waiting() == 0;
    match (depth.visible, depth.held) {
        (0, 0) if is_told || quiet_ms >= COUNT_MS_MAX => Standing::Drained,
        (0, held) if held > 0 && held <= figures.waiting() && quiet_ms >= QUIET_MS_MIN => Standing::Waiting,
        _ => Standing::Moving,
    }
}

/// Reports of products what a push would, and waits until the sweep can see it.
async fn report(
    session: &Session,
    marketplace: Marketplace,
    shop: &ShopId,
    products: &[ProductId],
) -> anyhow::Result<()> {
    let (store, now) = (session.products()?, SystemClock.now());
    let key = |id: &ProductId| ProductKey { marketplace, shop: shop.clone(), product_id: id.clone() };
    let reported: BTreeSet<ProductKey> = products.iter().map(key).collect();
    for product in &reported {
        store.changed(product, now).await.with_context(|| format!("{product} could not be reported"))?;
    }
    let until = Instant::now() + Duration::from_millis(REPORTS_MS_MAX);
    while Instant::now() < until {
        let pending = store.pending(marketplace, shop, usize::MAX).await.context("cannot read what waits")?;
        let pending: BTreeSet<ProductKey> = pending.into_iter().map(|(product, _)| product).collect();
        if reported.is_subset(&pending) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(FOLLOW_MS)).await;
    }
    bail!("what was reported does not show in the index by_pending; the next sweep may still find it")
}

/// An id as both marketplaces write them.
fn product_id(text: &str) -> Result<ProductId, String> {
    if text.bytes().any(|letter| !letter.is_ascii_digit()) {
        return Err("the id of a product is a number".to_owned());
    }
    ProductId::new(text).map_err(|error| error.to_string())
}

/// Brings them here, and tells what it took.
pub(super) async fn run(session: &Session, arguments: SyncArguments) -> anyhow::Result<()> {
    let SyncArguments { marketplace, shop, full, products, wait } = arguments;
    let what = if full { "all products" } else { "products that changed" };
    if !products.is_empty() {
        report(session, marketplace, &shop, &products).await?;
    }
    step("Images", &format!("{} {shop}: the pictures of {what}", marketplace.as_str()));
    let work = Work { marketplace, shop, is_full: full, waits: wait };
    let synced = Syncer::new(session)?.run(&work).await?;
    let mut rows = table(["products listed", "of these looked at", "their pictures", "others, asked for again"]);
    let Synced { listed, changed, requested, again, .. } = synced;
    rows.add_row([listed, changed, requested, again].map(|count| count.to_string()));
    println!("{rows}");
    if synced.figures != Figures::default() {
        println!("{}", synced.figures.outcomes_table());
        step("Images", &synced.figures.to_string());
    }
    match synced.trouble() {
        Some(trouble) => bail!("{trouble}"),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use domain::{Format, ImageDigest, ImageUrl, Original, Position, Validators};

    use super::*;

    const fn depth(visible: usize, held: usize) -> Depth {
        Depth { visible, held }
    }

    fn figures(outcomes: &[&str]) -> Figures {
        let mut figures = Figures::default();
        for (number, outcome) in outcomes.iter().enumerate() {
            let key = format!("1688#demo#7#main-{number}");
            figures.add(&format!(r#"{{"event":"image.synced","outcome":"{outcome}","image.key":"{key}"}}"#));
        }
        figures
    }

    #[test]
    fn a_queue_is_drained_when_it_is_empty_and_every_request_was_told_of() {
        let (one, both) = (figures(&["stored"]), figures(&["stored", "known"]));
        assert_eq!(standing(depth(0, 0), &both, 2, 0), Standing::Drained);
        assert_eq!(standing(depth(0, 0), &Figures::default(), 0, 0), Standing::Drained);
        assert_eq!(standing(depth(0, 0), &one, 2, COUNT_MS_MAX - 1), Standing::Moving);
        assert_eq!(standing(depth(0, 0), &one, 2, COUNT_MS_MAX), Standing::Drained);
        assert_eq!(standing(depth(1, 0), &both, 2, COUNT_MS_MAX), Standing::Moving);
        assert_eq!(standing(depth(0, 1), &both, 2, COUNT_MS_MAX), Standing::Moving);
    }

    #[test]
    fn what_failed_waits_once_nothing_else_is_under_way() {
        let failed = figures(&["stored", "failed", "handed_back"]);
        assert_eq!(standing(depth(0, 2), &failed, 3, QUIET_MS_MIN), Standing::Waiting);
        assert_eq!(standing(depth(0, 2), &failed, 3, QUIET_MS_MIN - 1), Standing::Moving);
        assert_eq!(standing(depth(0, 3), &failed, 3, QUIET_MS_MIN), Standing::Moving, "one is being fetched");
        assert_eq!(standing(depth(1, 2), &failed, 3, QUIET_MS_MIN), Standing::Moving);
    }

    #[test]
    fn a_picture_is_asked_for_again_as_it_was_asked_for_last() {
        let at = |seconds: i64| UnixMillis::from_seconds(seconds).unwrap();
        let work = Work {
            marketplace: Marketplace::Alibaba1688,
            shop: ShopId::new("demo").unwrap(),
            is_full: true,
            waits: false,
        };
        let image =
            |product: &str| ImageKey { product: product.parse().unwrap(), position: Position::new("main-1").unwrap() };
        let record = |asked_at| ImageRecord {
            asked_at: at(asked_at),
            fetched_at: at(asked_at + 1),
            url: ImageUrl::new("https://cbu01.alicdn.com/a.jpg").unwrap(),
            original: Original {
                digest: ImageDigest::new("a".repeat(64)).unwrap(),
                format: Format::Jpeg,
                bytes: 7,
                width: 1,
                height: 1,
            },
            validators: Validators::default(),
            thumbnails: Vec::new(),
        };
        let entry = |asked_at, removed_at: Option<i64>| ImageEntry {
            record: Some(record(asked_at)),
            removed_at: removed_at.map(at),
        };
        let last = |product: &str, entry| last_request(image(product), entry, &work, at(9));
        let ours = "1688#demo#7";
        let again = ImageRequest { image: image(ours), url: record(5).url, asked_at: at(5), refetch: false };
        assert_eq!(last(ours, entry(5, None)), Some(again));
        assert_eq!(last(ours, entry(5, Some(4))).map(|request| request.asked_at), Some(at(5)));
        for (product, entry) in [
            ("1688#other#7", entry(5, None)),
            ("taobao#demo#7", entry(5, None)),
            (ours, entry(9, None)),
            (ours, entry(5, Some(6))),
            (ours, ImageEntry::default()),
        ] {
            assert_eq!(last(product, entry), None, "{product}");
        }
    }

    #[test]
    fn whatever_did_not_end_well_is_told() {
        assert_eq!(Synced { requested: 5, ..Synced::default() }.trouble(), None);
        let trouble = Synced { quarantined: 2, dead: 1, waiting: 3, ..Synced::default() }.trouble().unwrap();
        for part in ["2 in quarantine", "1 in the dead-letter queue", "3 not to be had yet"] {
            assert!(trouble.contains(part), "{trouble}");
        }
    }
}
