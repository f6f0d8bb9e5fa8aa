//! Sweeps of products: every picture of what is there is asked for, every picture that is gone is marked, whatever changes
//! or fails meanwhile, and the calls come to what the arithmetic says.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use adapters::error::PortError;
use adapters::ports::{Catalogue, ImageQueue, Manifest, MarketError, NoDetail, ProductOf, Products, SweepKey, Sweeps};
use adapters::secrets::{SecretCache, Secrets};
use adapters::testing::{
    Fault, FaultPlan, Faulty, ManualClock, MemoryProducts, MemoryQuarantine, MemorySecrets, MemorySweeps,
};
use domain::image::{Format, ImageDigest, Original, Validators};
use domain::sweep::{Limits, Slice, SweepKind, Window};
use domain::{
    ImageEntry, ImageKey, ImageRecord, ImageRequest, ImageUrl, Marketplace as Place, Outcome, Position, ProductId,
    ProductKey, ShopId, UnixMillis,
};
use lambda::deadline::Deadline;
use lambda::log::{MemoryLog, WideEvent, field, metric};
use lambda::sweep::Settings;
use product_sweep::LIMITS;
use product_sweep::handler::handle;
use protocols::marketplace::{Account, Answer as Answered, FlowControl, ListPage, ListQuery, Role, ToldProduct};
use protocols::sweeps::{Answer, Outcome as Ended, Request};
use simulators::marketplace::{
    Assortment, CatalogueCalls, Conduct, Disturbance, Garbled, MemoryCatalogue, PICTURE_HOST, Product, Saying, Ties,
};

use crate::support::{Dice, NOW, rounds, seed};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// Between two sweeps.
const EVERY_MS: i64 = 15 * 60_000;
/// The time of one run: as long as Lambda lets a function go on.
const RUN_MS: u64 = 15 * 60_000;
const OWNER: &str = "b2b-1";

const INCREMENTAL: &str = r#"{"kind":"incremental","marketplace":"1688","shop":"demo"}"#;
const BACKFILL: &str = r#"{"kind":"backfill","marketplace":"1688","shop":"demo"}"#;

fn at(millis: i64) -> UnixMillis {
    UnixMillis::new(millis).unwrap()
}

fn secrets() -> Secrets {
    let shop = |member: &str| serde_json::json!({"app_key": "1", "app_secrets": ["s"], "access_token": "t", "member_id": member});
    let document = serde_json::json!({"marketplaces": {"1688": {"demo": shop(OWNER), "other": shop("b2b-2")}}});
    Secrets::from_json(&document.to_string()).unwrap()
}

fn product(id: u64) -> ProductKey {
    format!("1688#demo#{id}").parse().unwrap()
}

fn number(product: &ProductKey) -> u64 {
    product.product_id.as_str().parse().unwrap()
}

/// A picture that was fetched or is gone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Hung {
    fetched: Option<(UnixMillis, String)>,
    removed_at: Option<UnixMillis>,
}

impl Hung {
    fn is_shown(&self) -> bool {
        let removed_at = self.removed_at.unwrap_or(UnixMillis::EPOCH);
        self.fetched.as_ref().is_some_and(|(asked_at, _)| removed_at <= *asked_at)
    }
}

/// The image queue and whoever fetches from it in one: what is queued is in the manifest at once, or, of a slow one, when
/// it arrives.
#[derive(Debug, Clone, Default)]
struct Gallery(Arc<Mutex<Rooms>>);

#[derive(Debug, Default)]
struct Rooms {
    products: HashMap<u64, BTreeMap<Position, Hung>>,
    requests: u64,
    is_slow: bool,
    on_the_way: Vec<ImageRequest>,
}

impl Rooms {
    fn hang(&mut self, request: &ImageRequest) {
        let ImageRequest { image, url, asked_at, .. } = request;
        let hung = self.products.entry(number(&image.product)).or_default().entry(image.position.clone()).or_default();
        if hung.fetched.as_ref().is_none_or(|(known, _)| known <= asked_at) {
            hung.fetched = Some((*asked_at, url.to_string()));
        }
    }
}

impl Gallery {
    fn requests(&self) -> u64 {
        self.0.lock().unwrap().requests
    }

    fn len(&self) -> usize {
        self.0.lock().unwrap().products.len()
    }

    /// From now on what is queued takes its time.
    fn slow_down(&self) {
        self.0.lock().unwrap().is_slow = true;
    }

    /// Lets some of what is on its way arrive, in another order than it was sent in; all of it without dice.
    fn arrive(&self, dice: Option<&mut Dice>) {
        let mut rooms = self.0.lock().unwrap();
        let on_the_way = std::mem::take(&mut rooms.on_the_way);
        let Some(dice) = dice else {
            on_the_way.iter().rev().for_each(|request| rooms.hang(request));
            return;
        };
        for request in on_the_way {
            if dice.below(3) > 0 { rooms.on_the_way.push(request) } else { rooms.hang(&request) }
        }
    }

    /// The pictures of a product that are not marked as removed.
    fn shown(&self, id: u64) -> BTreeMap<String, String> {
        let rooms = self.0.lock().unwrap();
        let hung = rooms.products.get(&id).into_iter().flatten().filter(|(_, hung)| hung.is_shown());
        hung.filter_map(|(position, hung)| Some((position.to_string(), hung.fetched.clone()?.1))).collect()
    }

    fn ids(&self) -> Vec<u64> {
        self.0.lock().unwrap().products.keys().copied().collect()
    }
}

impl ImageQueue for Gallery {
    async fn send(&self, requests: &[ImageRequest]) -> Result<(), PortError> {
        let mut rooms = self.0.lock().unwrap();
        for request in requests {
            // As the real queue does: what cannot be written is an error.
            protocols::images::write(request).unwrap();
            assert!(!request.refetch);
            rooms.requests += 1;
            if rooms.is_slow { rooms.on_the_way.push(request.clone()) } else { rooms.hang(request) }
        }
        Ok(())
    }
}

fn record((asked_at, url): &(UnixMillis, String)) -> ImageRecord {
    let digest = ImageDigest::new("0".repeat(64)).unwrap();
    ImageRecord {
        asked_at: *asked_at,
        fetched_at: *asked_at,
        url: ImageUrl::new(url.as_str()).unwrap(),
        original: Original { digest, format: Format::Jpeg, bytes: 1, width: 1, height: 1 },
        validators: Validators::default(),
        thumbnails: Vec::new(),
    }
}

impl Manifest for Gallery {
    async fn read(&self, _: &ImageKey) -> Result<ImageEntry, PortError> {
        unreachable!("a sweep reads products whole")
    }

    async fn of_product(&self, product: &ProductKey) -> Result<BTreeMap<Position, ImageEntry>, PortError> {
        let rooms = self.0.lock().unwrap();
        let entry = |hung: &Hung| ImageEntry { record: hung.fetched.as_ref().map(record), removed_at: hung.removed_at };
        let of_product = rooms.products.get(&number(product)).into_iter().flatten();
        Ok(of_product.map(|(position, hung)| (position.clone(), entry(hung))).collect())
    }

    async fn keep(&self, _: &ImageKey, _: &ImageRecord) -> Result<Outcome, PortError> {
        unreachable!("a sweep fetches nothing")
    }

    async fn remove(&self, image: &ImageKey, seen_at: UnixMillis) -> Result<Outcome, PortError> {
        let mut rooms = self.0.lock().unwrap();
        let of_product = rooms.products.entry(number(&image.product)).or_default();
        let hung = of_product.entry(image.position.clone()).or_default();
        hung.removed_at = hung.removed_at.max(Some(seen_at));
        Ok(Outcome::Applied)
    }

    async fn list(&self, _: Option<&ImageKey>) -> Result<Vec<(ImageKey, ImageEntry)>, PortError> {
        unreachable!("a sweep lists nothing")
    }
}

/// A marketplace with products, and a stack that sweeps them.
struct World {
    catalogue: MemoryCatalogue,
    products: MemoryProducts,
    gallery: Gallery,
    quarantine: MemoryQuarantine,
    sweeps: MemorySweeps,
    clock: ManualClock,
    secrets: MemorySecrets,
    cache: SecretCache,
    log: MemoryLog,
    limits: Limits,
    run_ms: u64,
}

impl World {
    /// One shop with so many products, last modified over the days before now.
    fn with(products: usize, days: i64, conduct: Conduct, seed: u64) -> Self {
        let modified = (at(NOW - days * DAY_MS), at(NOW - 60_000));
        let clock = ManualClock::at(at(NOW));
        let assortment = Assortment::generate(OWNER, seed, products, modified);
        Self {
            catalogue: MemoryCatalogue::new([assortment], clock.clone(), conduct, seed),
            products: MemoryProducts::default(),
            gallery: Gallery::default(),
            quarantine: MemoryQuarantine::default(),
            sweeps: MemorySweeps::default(),
            clock,
            secrets: MemorySecrets::new(secrets()),
            cache: SecretCache::default(),
            log: MemoryLog::default(),
            limits: LIMITS,
            run_ms: RUN_MS,
        }
    }

    async fn run(&self, request: &str) -> Answer {
        self.run_of(request, &self.catalogue, &FaultPlan::none()).await.unwrap()
    }

    /// One run; `None` when its process was gone.
    async fn run_of(
        &self,
        request: &str,
        catalogue: &(impl Catalogue + Clone + Sync),
        plan: &FaultPlan,
    ) -> Option<Answer> {
        let request: Request = serde_json::from_str(request).unwrap();
        let ends_at = u64::try_from(self.clock.now_ms()).unwrap().saturating_add(self.run_ms);
        let catalogue = Faulty::new(catalogue.clone(), plan);
        let (products, gallery) = (Faulty::new(self.products.clone(), plan), Faulty::new(self.gallery.clone(), plan));
        let quarantine = Faulty::new(self.quarantine.clone(), plan);
        let sweeps = Faulty::new(self.sweeps.clone(), plan);
        let settings = Settings { shops_at_once: 4, limits: self.limits };
        let invocation = handle(
            request,
            (Deadline::from_lambda(ends_at), settings),
            &catalogue,
            (&products, &gallery),
            (&gallery, &quarantine),
            (&sweeps, &self.secrets, &self.cache),
            (&self.clock, &self.log),
        );
        plan.run(invocation).await.map(Result::unwrap)
    }

    /// Runs of a kind until one finishes; how many there were.
    async fn sweep(&self, request: &str) -> u32 {
        for runs in 1..400 {
            let answer = self.run(request).await;
            match answer.sweeps[0].outcome {
                Ended::Finished => return runs,
                Ended::Paused => self.clock.advance_ms(EVERY_MS),
                Ended::Unfinished | Ended::Failed | Ended::Held => {}
                outcome => panic!("{outcome:?}: {:?}", answer.sweeps),
            }
        }
        panic!("a sweep never finished: {:?}", self.log.all().last())
    }

    /// Sweeps every quarter of an hour until everything that was committed late is settled.
    async fn settle(&self) {
        self.catalogue.calm_down();
        for _ in 0..=self.limits.overlap_ms / EVERY_MS + 1 {
            self.clock.advance_ms(EVERY_MS);
            self.deliver(100).await;
            self.sweep(INCREMENTAL).await;
        }
    }

    /// Lets so many of a hundred pushes arrive that were sent meanwhile, twice each.
    async fn deliver(&self, percent: u64) {
        let pushes = self.catalogue.assortment().take_pushes();
        for push in pushes {
            if push.product % 100 < percent {
                self.products.changed(&product(push.product), push.at).await.unwrap();
                self.products.changed(&product(push.product), push.at).await.unwrap();
            }
        }
    }

    async fn start_at(&self, watermark: UnixMillis) {
        let key = key(SweepKind::Products);
        let state = self.sweeps.read(&key).await.unwrap();
        assert_eq!(self.sweeps.replace(&key, &state.set(watermark)).await.unwrap(), None);
    }

    async fn watermark(&self, kind: SweepKind) -> Option<UnixMillis> {
        self.sweeps.read(&key(kind)).await.unwrap().watermark
    }

    /// The products whose pictures are not those that were asked for and not marked, but for these.
    fn wrong(&self, excepted: &BTreeSet<u64>) -> Vec<String> {
        let assortment = self.catalogue.assortment();
        let host = assortment.picture_host();
        let of_product = |product: &Product| (product.id, product.pictures(host));
        let truth: HashMap<u64, BTreeMap<String, String>> = assortment.truth().map(of_product).collect();
        let ids: BTreeSet<u64> = truth.keys().copied().chain(self.gallery.ids()).collect();
        let nothing = BTreeMap::new();
        ids.difference(excepted)
            .filter_map(|id| {
                let (there, here) = (truth.get(id).unwrap_or(&nothing), self.gallery.shown(*id));
                (*there != here).then(|| format!("{id}: {here:?} instead of {there:?}"))
            })
            .collect()
    }

    fn assert_right(&self, excepted: &BTreeSet<u64>, what: &str) {
        self.gallery.arrive(None);
        let wrong = self.wrong(excepted);
        assert!(wrong.is_empty(), "{what}: {} products are wrong, such as {:?}", wrong.len(), wrong.first());
    }

    fn told(&self, name: &str) -> bool {
        self.log.all().iter().any(|event| event.metrics().contains(&name))
    }
}

trait NowMs {
    fn now_ms(&self) -> i64;
}

impl NowMs for ManualClock {
    fn now_ms(&self) -> i64 {
        adapters::clock::Clock::now(self).get()
    }
}

fn key(kind: SweepKind) -> SweepKey {
    SweepKey { kind, marketplace: Place::Alibaba1688, shop: ShopId::new("demo").unwrap() }
}

const QUICK: Conduct = Conduct { call_ms: 100, ..Conduct::CALM };

/// The calls for pages that a window of settled rows costs: a page of 20 each, and one call for each part that holds too
/// much and is read in halves.
fn pages_of(slice: Slice, modified: &[i64], limits: &Limits) -> u64 {
    // Both ends count, as at the vendor.
    let (start, end) = (slice.window.start().get(), slice.window.end().get());
    let rows = modified.partition_point(|at| *at <= end) - modified.partition_point(|at| *at < start);
    let rows = u64::try_from(rows).unwrap();
    if rows > limits.slice_rows_max && slice.is_divisible() {
        return 1 + slice.divided(limits).into_iter().map(|half| pages_of(half, modified, limits)).sum::<u64>();
    }
    rows.div_ceil(limits.page_rows).max(1)
}

fn shown_ms(millis: i64) -> String {
    format!("{} min {} s", millis / 60_000, millis % 60_000 / 1_000)
}

/// One line of figures: what a sweep cost, and what the arithmetic says of it.
fn report(what: &str, calls: &CatalogueCalls, took_ms: i64) {
    let CatalogueCalls { list, details, .. } = calls;
    println!(
        "products: {what}: {list} pages + {details} details = {} calls; {} at 20 calls a second, {} by the clock at 100 ms \
         a call, {} calls in the busiest second",
        list + details,
        shown_ms(i64::try_from((list + details) * 50).unwrap()),
        shown_ms(took_ms),
        calls.most_in_a_second()
    );
    assert!(calls.most_in_a_second() <= 20);
}

#[tokio::test]
async fn a_hundred_thousand_products_cost_the_calls_that_the_arithmetic_says_and_none_is_missed() {
    let products = usize::try_from(rounds(20_000, 100_000)).unwrap();
    let many = u64::try_from(products).unwrap();
    let mut world = World::with(products, 3 * 365, QUICK, 11);
    // One run as long as it takes: what is cut off is another test's.
    world.run_ms = 10 * 24 * 3_600_000;
    let began = world.clock.now_ms();
    let everything = Window::new(product_sweep::CATALOGUE_FROM, at(NOW - LIMITS.settle_lag_ms)).unwrap();
    let pages = |world: &World| -> u64 {
        let mut modified: Vec<i64> = world.catalogue.assortment().truth().map(|one| one.modified.get()).collect();
        modified.sort_unstable();
        let slices = Slice::of_history(everything, &LIMITS);
        slices.into_iter().map(|slice| pages_of(slice, &modified, &LIMITS)).sum()
    };
    let expected = pages(&world);
    assert_eq!(world.run(BACKFILL).await.sweeps[0].outcome, Ended::Finished);
    let calls = world.catalogue.take_calls();
    assert_eq!((calls.list, calls.details), (expected, many), "the first sweep");
    // Parts that hold too much, and those that hold nothing, cost little beside the pages.
    assert!(calls.list <= many / LIMITS.page_rows + many / 200 + 150, "{} pages", calls.list);
    report("first sweep", &calls, world.clock.now_ms() - began);
    world.assert_right(&BTreeSet::new(), "the first sweep");

    // A day later a tenth of them changed. The incremental sweep reads that day.
    world.start_at(at(NOW)).await;
    let day = (at(NOW + 60_000), at(NOW + DAY_MS - HOUR_MS));
    assert_eq!(world.catalogue.assortment().touch(day, products / 10), products / 10);
    world.clock.advance_ms(NOW + DAY_MS - world.clock.now_ms().min(NOW + DAY_MS));
    let (began, requests) = (world.clock.now_ms(), world.gallery.requests());
    assert_eq!(world.run(INCREMENTAL).await.sweeps[0].outcome, Ended::Finished);
    let calls = world.catalogue.take_calls();
    let changed = many / 10;
    assert_eq!(calls.details, changed, "a detail for each that changed, and for no other");
    assert!((changed / 20..=changed / 20 + changed / 500 + 8).contains(&calls.list), "{} pages", calls.list);
    report("a day with 10 % changed, by modified time", &calls, world.clock.now_ms() - began);
    world.assert_right(&BTreeSet::new(), "the incremental sweep");
    assert!(world.gallery.requests() > requests);
    if products == 100_000 {
        assert!(world.clock.now_ms() - began < 20 * 60_000);
    }
}

#[tokio::test]
async fn a_whole_catalogue_of_which_a_tenth_changed_is_read_in_twenty_minutes() {
    let products = usize::try_from(rounds(20_000, 100_000)).unwrap();
    let many = u64::try_from(products).unwrap();
    let mut world = World::with(products, 3 * 365, QUICK, 12);
    world.run_ms = 10 * 24 * 3_600_000;
    // All were swept before, as they were.
    for one in world.catalogue.assortment().truth() {
        let listed = Some(domain::ListingDigest::new(one.digest()).unwrap());
        let swept = adapters::ports::SweptProduct { listed, changed_at: None };
        futures::executor::block_on(world.products.swept(&product(one.id), &swept)).unwrap();
    }
    world.catalogue.assortment().touch((at(NOW + 60_000), at(NOW + DAY_MS - HOUR_MS)), products / 10);
    world.clock.advance_ms(DAY_MS);
    let began = world.clock.now_ms();
    let swept = world.run(BACKFILL).await.sweeps.remove(0);
    assert_eq!((swept.outcome, swept.changed), (Ended::Finished, many / 10));
    // A row of the second in which two slices meet is in both.
    assert!((many..many + 100).contains(&swept.listed), "{} rows", swept.listed);
    let calls = world.catalogue.take_calls();
    assert_eq!(calls.details, many / 10);
    assert!((many / 20..=many / 20 + many / 200 + 150).contains(&calls.list), "{} pages", calls.list);
    let took_ms = world.clock.now_ms() - began;
    report("the whole catalogue, 10 % of it changed", &calls, took_ms);
    assert!(took_ms < 20 * 60_000, "{}", shown_ms(took_ms));
}

#[tokio::test]
async fn a_run_stops_before_its_deadline_and_the_next_ones_go_on() {
    let world = World::with(30_000, 900, QUICK, 13);
    let (began, runs) = (world.clock.now_ms(), world.sweep(BACKFILL).await);
    assert!(runs >= 2, "{runs}");
    let calls = world.catalogue.take_calls();
    // What a run had queued it has kept: at most a page is asked for twice.
    assert!((30_000..=30_000 + 20 * u64::from(runs)).contains(&calls.details), "{} details", calls.details);
    report(&format!("30,000 in {runs} runs of 15 minutes"), &calls, world.clock.now_ms() - began);
    world.assert_right(&BTreeSet::new(), "in runs");
    assert_eq!(world.sweeps.read(&key(SweepKind::Catalogue)).await.unwrap().lease, None);
}

/// A shop of a few products that was swept once, to which things happen: the scene that runs are cut off in.
async fn scene() -> World {
    let mut world = World::with(64, 400, QUICK, 5);
    // More than a page in a slice, and slices that are divided.
    world.limits = Limits { page_rows: 5, slice_rows_max: 20, ..LIMITS };
    world.start_at(at(NOW - HOUR_MS)).await;
    world.sweep(BACKFILL).await;
    {
        let mut assortment = world.catalogue.assortment();
        let ids: Vec<u64> = assortment.truth().map(|product| product.id).collect();
        for (nth, id) in ids.iter().enumerate() {
            let when = at(NOW - 40 * 60_000 + i64::try_from(nth).unwrap() * 30_000);
            match nth % 6 {
                0 | 1 => drop(assortment.modify(*id, when)),
                2 if nth % 12 == 2 => drop(assortment.take_away(*id, when)),
                3 if nth % 18 == 3 => drop(assortment.delete(*id, when)),
                4 if nth % 12 == 4 => drop(assortment.change_silently(*id, when)),
                _ => {}
            }
        }
        for _ in 0..3 {
            assortment.create(at(NOW - 60_000));
        }
        let followed = [1, 2, 3].map(|minute| assortment.follow(at(NOW - 30 * 60_000 + minute * 60_000)));
        assert!(assortment.modify(followed[0], at(NOW - 20 * 60_000)));
        assert!(assortment.delete(followed[1], at(NOW - 10 * 60_000)));
    }
    let garbled: Vec<u64> = world.catalogue.assortment().truth().map(|product| product.id).take(2).collect();
    world.catalogue.garble(garbled[0], Garbled::Row);
    world.catalogue.garble(garbled[1], Garbled::Detail);
    world.deliver(100).await;
    world.clock.advance_ms(EVERY_MS);
    world
}

#[tokio::test]
async fn a_run_that_is_cut_off_anywhere_leaves_nothing_out_and_nothing_wrong() {
    let plan = FaultPlan::none();
    let undisturbed = scene().await;
    undisturbed.run_of(INCREMENTAL, &undisturbed.catalogue, &plan).await.unwrap();
    let calls = plan.calls();
    let verbs: BTreeSet<&str> = calls.iter().copied().collect();
    let expected = [
        "catalogue.details",
        "catalogue.list",
        "image_queue.send",
        "manifest.of_product",
        "manifest.remove",
        "products.asked",
        "products.listings",
        "products.pending",
        "products.swept",
        "quarantine.put",
        "sweeps.read",
        "sweeps.replace",
    ];
    assert_eq!(verbs, expected.into_iter().collect(), "the scene has every verb in it");
    let stride = usize::try_from(rounds(7, 1)).unwrap();
    let first = usize::try_from(seed("cut points") % 7).unwrap() % stride;
    let mut lives = 0;
    for position in (first..calls.len()).step_by(stride) {
        for fault in Fault::ALL {
            cut_off(position, fault, &format!("{fault:?} at {position}: {}", calls[position])).await;
            lives += 1;
        }
    }
    println!("products: a run of {} port calls cut off at {lives} points, nothing left out", calls.len());
}

async fn cut_off(position: usize, fault: Fault, what: &str) {
    let world = scene().await;
    let before = world.watermark(SweepKind::Products).await;
    world.run_of(INCREMENTAL, &world.catalogue, &FaultPlan::at([(position, fault)])).await;
    assert!(world.watermark(SweepKind::Products).await >= before, "{what}: the watermark moved back");
    world.clock.advance_ms(EVERY_MS);
    world.sweep(INCREMENTAL).await;
    // What could not be read is in quarantine, and is read when it can be.
    assert!(world.quarantine.all().iter().any(|kept| kept.reason == "garbled"), "{what}");
    world.catalogue.heal();
    world.settle().await;
    world.sweep(BACKFILL).await;
    world.assert_right(&BTreeSet::new(), what);
    let pending = world.products.all().into_values().filter(|known| known.is_pending).count();
    assert_eq!(pending, 0, "{what}: reports that nobody deals with");
}

#[tokio::test]
async fn a_first_sweep_that_is_cut_off_anywhere_goes_on() {
    let plan = FaultPlan::none();
    let small = || {
        let mut world = World::with(40, 700, QUICK, 6);
        world.limits = Limits { page_rows: 5, slice_rows_max: 20, slice_ms_max: 365 * DAY_MS, ..LIMITS };
        world
    };
    let undisturbed = small();
    undisturbed.run_of(BACKFILL, &undisturbed.catalogue, &plan).await.unwrap();
    let calls = plan.calls().len();
    let stride = usize::try_from(rounds(11, 1)).unwrap();
    for position in (usize::try_from(seed("first sweeps") % 11).unwrap() % stride..calls).step_by(stride) {
        for fault in Fault::ALL {
            let world = small();
            world.run_of(BACKFILL, &world.catalogue, &FaultPlan::at([(position, fault)])).await;
            world.sweep(BACKFILL).await;
            world.assert_right(&BTreeSet::new(), &format!("{fault:?} at {position}"));
            let expected = undisturbed.gallery.requests();
            assert!(world.gallery.requests() >= expected, "{fault:?} at {position}: each at least once");
        }
    }
}

/// One life: a catalogue that changes while it is read, with refusals, faults and pushes that are lost, until it is calm.
async fn live(seed: u64, products: usize) {
    let mut dice = Dice::seeded(seed);
    let disturbance =
        Disturbance { tenths: u32::try_from(1 + dice.below(20)).unwrap(), late_ms_max: 30 * 60_000, is_hasty: false };
    let refused_percent = u8::try_from(dice.below(3)).unwrap();
    let world = World::with(products, 20, Conduct { disturbance, refused_percent, ..QUICK }, seed);
    if dice.below(2) == 0 {
        world.catalogue.assortment().set_ties(Ties::Shuffled);
    }
    world.start_at(at(NOW - HOUR_MS)).await;
    if dice.below(2) == 0 {
        world.gallery.slow_down();
    }
    let arriving = u64::try_from(dice.below(101)).unwrap();
    let mut gone = BTreeSet::new();
    for round in 0..12 {
        let request = if round % 3 == 2 { BACKFILL } else { INCREMENTAL };
        let faults = (dice.below(2) == 0).then(|| (dice.below(150), Fault::ALL[dice.below(Fault::ALL.len())]));
        let before = world.watermark(SweepKind::Products).await;
        world.run_of(request, &world.catalogue, &FaultPlan::at(faults)).await;
        assert!(world.watermark(SweepKind::Products).await >= before, "seed {seed}: the watermark moved back");
        world.gallery.arrive(Some(&mut dice));
        // A push that was lost never tells of a product that is gone or changed silently; nothing else does.
        gone.extend(world.catalogue.assortment().gone().iter().filter(|id| **id % 100 >= arriving));
        world.deliver(arriving).await;
        world.clock.advance_ms(EVERY_MS);
    }
    world.catalogue.calm_down();
    gone.extend(world.catalogue.assortment().gone().iter().filter(|id| **id % 100 >= arriving));
    world.deliver(arriving).await;
    let silent = world.catalogue.assortment().changed_silently().clone();
    gone.extend(silent.iter().filter(|id| **id % 100 >= arriving));
    for _ in 0..=world.limits.overlap_ms / EVERY_MS + 1 {
        world.clock.advance_ms(EVERY_MS);
        world.sweep(INCREMENTAL).await;
    }
    world.sweep(BACKFILL).await;
    world.assert_right(&gone, &format!("seed {seed}, {products} products, {arriving} % of the pushes"));
}

#[tokio::test]
async fn products_that_change_while_they_are_read_are_all_found() {
    let first = seed("sweeps of products");
    for (nth, products) in [0_usize, 1, 19, 21, 300].into_iter().enumerate() {
        for life in 0..rounds(5, 200) {
            live(first.wrapping_add(1_000 * u64::try_from(nth).unwrap() + life), products).await;
        }
    }
    for life in 0..rounds(1, 40) {
        live(first.wrapping_add(9_000 + life), 4_000).await;
    }
}

#[tokio::test]
async fn what_only_a_push_tells_is_found_by_it_and_what_is_listed_too_is_asked_for_once() {
    let world = World::with(200, 100, QUICK, 21);
    world.sweep(BACKFILL).await;
    world.start_at(at(NOW)).await;
    world.catalogue.take_calls();
    let ids: Vec<u64> = world.catalogue.assortment().truth().map(|product| product.id).collect();
    {
        let mut assortment = world.catalogue.assortment();
        assert!(assortment.change_silently(ids[0], at(NOW + 1_000)));
        assert!(assortment.delete(ids[1], at(NOW + 2_000)));
        assert!(assortment.modify(ids[2], at(NOW + 3_000)));
        assert!(assortment.take_away(ids[3], at(NOW + 4_000)));
    }
    world.clock.advance_ms(EVERY_MS);
    world.sweep(INCREMENTAL).await;
    assert_eq!(world.catalogue.take_calls().details, 2, "the list tells of two");
    assert_eq!(world.wrong(&[ids[0], ids[1]].into()).len(), 0);
    assert!(!world.gallery.shown(ids[1]).is_empty() && world.gallery.shown(ids[3]).is_empty());
    world.deliver(100).await;
    world.clock.advance_ms(EVERY_MS);
    world.sweep(INCREMENTAL).await;
    // All four were reported, two of which are in the overlap that is read again.
    assert_eq!(world.catalogue.take_calls().details, 4);
    world.assert_right(&BTreeSet::new(), "after the pushes");
    assert!(world.gallery.shown(ids[1]).is_empty(), "a product that is gone has no picture any more");
    world.clock.advance_ms(EVERY_MS);
    world.sweep(INCREMENTAL).await;
    assert_eq!(world.catalogue.take_calls().details, 0, "nothing waits any more");
    // A product that comes back has its pictures again.
    world.catalogue.assortment().modify(ids[3], at(world.clock.now_ms()));
    world.clock.advance_ms(EVERY_MS);
    world.sweep(INCREMENTAL).await;
    world.assert_right(&BTreeSet::new(), "after it came back");
    assert!(!world.gallery.shown(ids[3]).is_empty());
}

#[tokio::test]
async fn products_of_others_are_asked_for_as_their_buyer_when_a_push_tells_of_them() {
    let world = World::with(30, 100, QUICK, 22);
    world.sweep(BACKFILL).await;
    world.start_at(at(NOW)).await;
    let own = world.catalogue.assortment().truth().map(|product| product.id).next().unwrap();
    let (kept, lost) = {
        let mut assortment = world.catalogue.assortment();
        assert!(assortment.change_silently(own, at(NOW + 1_000)));
        (assortment.follow(at(NOW + 2_000)), assortment.follow(at(NOW + 3_000)))
    };
    let sweep = async || {
        world.deliver(100).await;
        world.clock.advance_ms(EVERY_MS);
        world.catalogue.take_calls();
        world.sweep(INCREMENTAL).await;
        world.catalogue.take_calls().details
    };
    assert_eq!(sweep().await, 3);
    world.assert_right(&BTreeSet::new(), "one of ours and two of others");
    assert!(!world.gallery.shown(kept).is_empty() && !world.gallery.shown(lost).is_empty());
    {
        let mut assortment = world.catalogue.assortment();
        assert!(assortment.modify(kept, at(world.clock.now_ms())) && assortment.delete(lost, at(world.clock.now_ms())));
    }
    assert_eq!(sweep().await, 2);
    world.assert_right(&BTreeSet::new(), "one changed and one gone");
    assert!(world.gallery.shown(lost).is_empty());
    assert_eq!(sweep().await, 0, "nothing waits any more");
}

#[tokio::test]
async fn a_picture_that_is_dropped_while_it_is_on_its_way_is_marked_all_the_same() {
    for is_crashed in [false, true] {
        let world = World::with(1, 30, QUICK, 20);
        world.gallery.slow_down();
        world.start_at(at(NOW)).await;
        let id = world.catalogue.assortment().truth().map(|product| product.id).next().unwrap();
        // The first sweep ends, or its process is gone right after the requests were queued.
        let (plan, probe) = (FaultPlan::none(), World::with(1, 30, QUICK, 20));
        probe.run_of(BACKFILL, &probe.catalogue, &plan).await;
        let queued = plan.calls().iter().position(|call| *call == "image_queue.send").unwrap();
        let plan = FaultPlan::at(is_crashed.then_some((queued, Fault::CrashedAfter)));
        assert_eq!(world.run_of(BACKFILL, &world.catalogue, &plan).await.is_none(), is_crashed);
        assert!(world.gallery.requests() > 0 && world.gallery.shown(id).is_empty());
        assert!(world.catalogue.assortment().take_away(id, at(NOW + 1_000)));
        world.clock.advance_ms(EVERY_MS);
        world.sweep(INCREMENTAL).await;
        world.assert_right(&BTreeSet::new(), "what arrived too late");
        assert!(world.gallery.shown(id).is_empty());
    }
}

/// A marketplace during whose answers a push comes, that leaves the first detail out, or that gives it for the second.
#[derive(Clone)]
struct Mistaken(MemoryCatalogue, MemoryProducts, Mistake);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mistake {
    PushMeanwhile,
    LeavesOut,
    Swaps,
    Position,
}

impl Catalogue for Mistaken {
    async fn list(&self, account: &Account, query: &ListQuery) -> Result<Answered<ListPage<ProductId>>, MarketError> {
        self.0.list(account, query).await
    }

    async fn details(
        &self,
        account: &Account,
        role: Role,
        products: &[ProductId],
    ) -> Result<Vec<ProductOf>, MarketError> {
        let mut details = self.0.details(account, role, products).await?;
        match self.2 {
            Mistake::PushMeanwhile => {
                for id in products {
                    self.1.changed(&account.product(id.clone()), at(NOW + 2 * DAY_MS)).await.unwrap();
                }
            }
            Mistake::LeavesOut => drop(details.remove(0)),
            Mistake::Swaps => {
                let first = details.remove(0);
                details.insert(0, (first.0, details[0].1.clone()));
            }
            Mistake::Position => {
                let told = details[0].1.clone().unwrap().belonging_to(account).unwrap().into_inner();
                let pictures = told
                    .pictures
                    .into_iter()
                    .map(|picture| protocols::marketplace::ToldPicture { position: None, ..picture });
                let told = ToldProduct { pictures: pictures.collect(), ..told };
                details[0].1 = Ok(Answered::new(told, None));
            }
        }
        Ok(details)
    }
}

#[tokio::test]
async fn a_push_that_comes_while_its_product_is_read_still_waits_afterwards() {
    let world = World::with(3, 100, QUICK, 22);
    let ids: Vec<u64> = world.catalogue.assortment().truth().map(|product| product.id).collect();
    world.products.changed(&product(ids[0]), at(NOW - 1)).await.unwrap();
    let mistaken = Mistaken(world.catalogue.clone(), world.products.clone(), Mistake::PushMeanwhile);
    // The run looks at it, and then at what came meanwhile: as long as pushes come, it goes on.
    let answer = world.run_of(INCREMENTAL, &mistaken, &FaultPlan::none()).await.unwrap();
    assert_eq!(answer.sweeps[0].outcome, Ended::Finished);
    assert_eq!(world.catalogue.take_calls().details, 2, "once for each report");
    let known = world.products.all();
    assert_eq!(
        (known[&product(ids[0])].is_pending, known[&product(ids[0])].changed_at),
        (false, Some(at(NOW + 2 * DAY_MS)))
    );
}

#[tokio::test]
async fn a_detail_that_is_missing_stops_the_sweep_and_what_is_of_another_product_or_has_no_place_is_set_aside() {
    for (mistake, outcome, is_set_aside) in [
        (Mistake::LeavesOut, Ended::Failed, false),
        (Mistake::Swaps, Ended::Finished, true),
        (Mistake::Position, Ended::Finished, true),
    ] {
        let world = World::with(3, 1, QUICK, 23);
        let mistaken = Mistaken(world.catalogue.clone(), world.products.clone(), mistake);
        let answer = world.run_of(BACKFILL, &mistaken, &FaultPlan::none()).await.unwrap();
        assert_eq!(answer.sweeps[0].outcome, outcome, "{mistake:?}");
        assert_eq!(!world.quarantine.all().is_empty(), is_set_aside, "{mistake:?}");
        assert_eq!(world.products.all().is_empty(), !is_set_aside, "{mistake:?}: what was swept");
        // When it is told rightly, all is there. What was set aside whole is asked for again.
        world.sweep(BACKFILL).await;
        if mistake != Mistake::Position {
            world.assert_right(&BTreeSet::new(), &format!("{mistake:?}"));
        }
    }
}

/// What is logged of runs that count all that product-sweep counts: one that ends well, and those that ask for a person.
pub async fn counted() -> Vec<WideEvent> {
    let mut lines = Vec::new();
    for saying in [Saying::Lost, Saying::Refused(FlowControl::Reauthorise)] {
        let world = World::with(5, 1, QUICK, 27);
        world.catalogue.say_next([Some(saying)]);
        world.run(INCREMENTAL).await;
        lines.extend(world.log.all());
    }
    let world = World::with(60, 30, QUICK, 24);
    world.run(INCREMENTAL).await;
    world.catalogue.answer_as(Some("somebody-else"));
    world.run(BACKFILL).await;
    lines.extend(world.log.all());
    lines
}

#[tokio::test]
async fn an_answer_of_another_account_is_refused_alarmed_and_nothing_of_it_is_kept() {
    let world = World::with(60, 30, QUICK, 24);
    world.catalogue.answer_as(Some("somebody-else"));
    let answer = world.run(BACKFILL).await;
    assert_eq!(answer.sweeps[0].outcome, Ended::Failed);
    assert_eq!((world.gallery.len(), world.quarantine.all().len(), world.products.all().len()), (0, 0, 0));
    assert!(world.told(metric::SWEEP_FOREIGN_ANSWER));
    assert!(world.log.all().iter().all(|event| !event.to_string().contains("somebody-else")));
    // Of a push likewise: it goes on waiting.
    let id = world.catalogue.assortment().follow(at(NOW));
    world.deliver(100).await;
    assert_eq!(world.run(INCREMENTAL).await.sweeps[0].outcome, Ended::Failed);
    assert!(world.products.all()[&product(id)].is_pending && world.gallery.len() == 0);
    world.catalogue.answer_as(None);
    world.sweep(BACKFILL).await;
    world.sweep(INCREMENTAL).await;
    world.assert_right(&BTreeSet::new(), "afterwards");
}

#[tokio::test]
async fn what_cannot_be_read_is_set_aside_with_its_reason_and_holds_nothing_up() {
    let world = World::with(120, 30, QUICK, 25);
    let ids: Vec<u64> = world.catalogue.assortment().truth().map(|product| product.id).take(2).collect();
    world.catalogue.garble(ids[0], Garbled::Row);
    world.catalogue.garble(ids[1], Garbled::Detail);
    world.sweep(BACKFILL).await;
    let set_aside = world.quarantine.all();
    assert!(set_aside.iter().all(|kept| kept.reason == "garbled" && kept.message_id.starts_with("sweep/1688/demo/")));
    assert!(ids.iter().all(|id| set_aside.iter().any(|kept| kept.body.contains(&id.to_string()))));
    world.assert_right(&ids.iter().copied().collect(), "the others");
    assert!(ids.iter().all(|id| world.gallery.shown(*id).is_empty()));
    // What can be read again is read by the next sweep of all, although the list says what it said before.
    world.catalogue.heal();
    world.sweep(BACKFILL).await;
    world.assert_right(&BTreeSet::new(), "healed");
}

#[tokio::test]
async fn a_detail_that_cannot_be_read_marks_no_picture_as_removed() {
    let world = World::with(30, 30, QUICK, 26);
    world.sweep(BACKFILL).await;
    let id = world.catalogue.assortment().truth().map(|product| product.id).next().unwrap();
    let before = world.gallery.shown(id);
    world.catalogue.garble(id, Garbled::Detail);
    world.products.changed(&product(id), at(NOW)).await.unwrap();
    world.sweep(INCREMENTAL).await;
    assert_eq!(world.quarantine.all().len(), 1);
    assert_eq!(world.gallery.shown(id), before);
    assert!(!world.products.all()[&product(id)].is_pending, "it is in quarantine, and waits there");
}

#[tokio::test]
async fn every_word_of_flow_control_leads_to_its_own_end() {
    for (saying, outcome, metric_told) in [
        (Saying::Refused(FlowControl::WaitSeconds(3)), Ended::Finished, None),
        (Saying::Refused(FlowControl::WaitSeconds(600)), Ended::Paused, None),
        (Saying::Refused(FlowControl::WaitForMidnight), Ended::Paused, None),
        (Saying::Refused(FlowControl::Retry), Ended::Failed, Some(metric::SWEEP_FAILED)),
        (Saying::Lost, Ended::Failed, Some(metric::SWEEP_FAILED)),
        (Saying::Refused(FlowControl::GiveUp), Ended::Failed, Some(metric::SWEEP_FAILED)),
        (Saying::Refused(FlowControl::Reauthorise), Ended::Failed, Some(metric::SWEEP_REAUTHORISE)),
    ] {
        // Of the list, and of a detail.
        for lead in 0..2 {
            let world = World::with(5, 1, QUICK, 27);
            let before = std::iter::repeat_n(None, lead);
            world.catalogue.say_next(before.chain([Some(saying)]));
            world.start_at(at(NOW - 2 * DAY_MS)).await;
            let answer = world.run(INCREMENTAL).await;
            assert_eq!(answer.sweeps[0].outcome, outcome, "{saying:?} after {lead}");
            assert!(metric_told.is_none_or(|name| world.told(name)), "{saying:?} after {lead}");
            if outcome == Ended::Paused {
                world.catalogue.take_calls();
                assert_eq!(world.run(INCREMENTAL).await.sweeps[0].outcome, Ended::Paused);
                assert_eq!(world.catalogue.take_calls(), CatalogueCalls::default(), "{saying:?}");
            }
            assert!(world.quarantine.all().is_empty(), "a refusal of the call is of no product");
        }
    }
}

#[tokio::test]
async fn a_list_that_cannot_be_read_holds_no_push_up() {
    let world = World::with(40, 30, QUICK, 28);
    world.sweep(BACKFILL).await;
    let id = world.catalogue.assortment().truth().map(|product| product.id).next().unwrap();
    world.catalogue.assortment().change_silently(id, at(NOW));
    world.deliver(100).await;
    world.catalogue.say_next([Some(Saying::Refused(FlowControl::GiveUp))]);
    assert_eq!(world.run(INCREMENTAL).await.sweeps[0].outcome, Ended::Failed);
    world.assert_right(&BTreeSet::new(), "the pushed one");
}

#[tokio::test]
async fn one_shop_s_failure_stops_no_other_and_the_line_says_what_was_done() {
    let world = World::with(30, 10, QUICK, 29);
    // The other shop is not known to the marketplace.
    let answer = world.run(r#"{"kind":"backfill","marketplace":"1688","shop":"*"}"#).await;
    let outcomes: Vec<_> = answer.sweeps.iter().map(|swept| (swept.shop.as_str(), swept.outcome)).collect();
    assert_eq!(outcomes, [("demo", Ended::Finished), ("other", Ended::Failed)]);
    assert_eq!((answer.sweeps[0].kind.as_str(), answer.sweeps[0].listed), ("backfill", 30));
    world.assert_right(&BTreeSet::new(), "the other");
    let lines = world.log.all();
    let line = lines.iter().find(|line| line.get(field::OUTCOME).is_some_and(|outcome| outcome == "finished")).unwrap();
    let number = |name: &str| line.get(name).and_then(serde_json::Value::as_u64);
    assert_eq!(line.get(field::SWEEP_KIND), Some(&"catalogue".into()));
    assert_eq!((number(field::SWEEP_LISTED), number(field::SWEEP_CHANGED)), (Some(30), Some(30)));
    assert_eq!(
        (number(field::IMAGES_REQUESTED), number(field::IMAGES_REMOVED)),
        (Some(world.gallery.requests()), Some(0))
    );
}

#[tokio::test]
async fn a_request_that_cannot_be_done_says_why() {
    let world = World::with(1, 1, QUICK, 30);
    for (request, reason) in [
        (r#"{"kind":"incremental","marketplace":"taobao","shop":"demo"}"#, "products are swept at 1688 alone"),
        (r#"{"kind":"tmc","marketplace":"1688","shop":"demo"}"#, "kind is not incremental or backfill"),
        (
            r#"{"kind":"incremental","marketplace":"1688","shop":"stranger"}"#,
            "the secrets document has no such shop with a token",
        ),
    ] {
        let answer = world.run(request).await;
        assert_eq!((answer.sweeps[0].outcome, answer.sweeps[0].reason.as_deref()), (Ended::Refused, Some(reason)));
    }
    assert_eq!(world.catalogue.take_calls(), CatalogueCalls::default());
}

/// A catalogue whose products are as somebody wants them.
#[derive(Clone)]
struct Told(MemoryCatalogue, String);

impl Catalogue for Told {
    async fn list(&self, account: &Account, query: &ListQuery) -> Result<Answered<ListPage<ProductId>>, MarketError> {
        self.0.list(account, query).await
    }

    async fn details(
        &self,
        account: &Account,
        role: Role,
        products: &[ProductId],
    ) -> Result<Vec<ProductOf>, MarketError> {
        self.0.details(account, role, products).await?;
        let told = |id: &ProductId| {
            let text = self.1.replace("PRODUCT", id.as_str());
            let read = protocols::ali1688::products::read_detail(&text, id).unwrap();
            (id.clone(), read.map_err(NoDetail::Malformed))
        };
        Ok(products.iter().map(told).collect())
    }
}

#[tokio::test]
async fn pictures_beyond_the_limit_are_counted_and_addresses_that_are_none_are_set_aside() {
    let world = World::with(1, 1, QUICK, 31);
    let mains: Vec<String> = (0..230).map(|nth| format!("img/{nth}.jpg")).collect();
    let mut images = serde_json::json!(mains);
    images[3] = "https://[not a host/a.jpg".into();
    images[4] = "data:image/gif;base64,AAAA".into();
    let product = serde_json::json!({"productInfo": {"productID": "PRODUCT", "status": "published", "image": {"images": images}}});
    let told = Told(world.catalogue.clone(), product.to_string());
    let answer = world.run_of(BACKFILL, &told, &FaultPlan::none()).await.unwrap();
    assert_eq!(answer.sweeps[0].outcome, Ended::Finished);
    let line = world.log.all().pop().unwrap();
    let number = |name: &str| line.get(name).and_then(serde_json::Value::as_u64);
    assert_eq!(number(field::IMAGES_REQUESTED), Some(199), "200 of which one has no address");
    assert_eq!((number(field::IMAGES_BEYOND), number(field::IMAGES_ELSEWHERE)), (Some(29), Some(1)));
    let set_aside = world.quarantine.all();
    assert_eq!((set_aside.len(), set_aside[0].body.as_str()), (1, "https://[not a host/a.jpg"));
    assert_eq!(number(field::SWEEP_MALFORMED), Some(1));
    let id = world.gallery.ids()[0];
    assert_eq!(world.gallery.shown(id)["main-1"], format!("{PICTURE_HOST}/img/0.jpg"));
    // The fourth becomes one that can be read: nothing is marked meanwhile.
    assert!(!world.gallery.shown(id).contains_key("main-4") && world.gallery.shown(id).contains_key("main-6"));
}
