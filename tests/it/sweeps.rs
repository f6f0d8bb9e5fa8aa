//! Sweeps over a marketplace whose lists change while they are read: nothing is missed, and the watermark only moves on.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use adapters::clock::Clock;
use adapters::error::PortError;
use adapters::ports::{DetailOf, EventQueue, MarketError, RawDetails, SweepKey, Sweeps, TradeDetails};
use adapters::secrets::{SecretCache, Secrets};
use adapters::testing::{
    Fault, FaultPlan, Faulty, ManualClock, MemoryQuarantine, MemoryRawDetails, MemorySecrets, MemorySweeps,
};
use domain::event::TradeFact;
use domain::sweep::{Limits, SweepKind, Window};
use domain::{
    AfterSale, AfterSaleId, Event, ListingDigest, Marketplace as Place, MessageId, Outcome, RawDetail, ShopId,
    TradeDetail, TradeId, TradeKey, UnixMillis,
};
use lambda::deadline::Deadline;
use lambda::log::{MemoryLog, WideEvent, field, metric};
use lambda::sweep::Settings;
use order_sweep::handler::handle;
use protocols::VerifiedEvent;
use protocols::marketplace::{Account, Answer as Answered, FlowControl, ListPage, ListQuery, ListedBy, Message};
use protocols::sweeps::{Answer, Outcome as Ended, Request};
use simulators::marketplace::{Conduct, Disturbance, Garbled, Market, MemoryMarketplace, Saying, Ties};

use crate::support::{Dice, NOW, rounds, seed};

const HOUR_MS: i64 = 3_600_000;
/// Between two sweeps.
const EVERY_MS: i64 = 5 * 60_000;
/// The time of one run.
const RUN_MS: u64 = 240_000;
const OWNER: &str = "sampan-demo";
const OTHER_OWNER: &str = "sampan-other";

fn at(millis: i64) -> UnixMillis {
    UnixMillis::new(millis).unwrap()
}

fn secrets() -> Secrets {
    let shop = |nick: &str| serde_json::json!({"app_key": "1", "app_secrets": ["s"], "session": format!("of {nick}"), "seller_nick": nick});
    let taobao = serde_json::json!({"demo": shop(OWNER), "other": shop(OTHER_OWNER)});
    let ali =
        serde_json::json!({"demo": {"app_key": "1", "app_secrets": ["s"], "access_token": "t", "member_id": "b2b-1"}});
    let document = serde_json::json!({"marketplaces": {"taobao": taobao, "1688": ali}});
    Secrets::from_json(&document.to_string()).unwrap()
}

/// The queue and the writer behind it in one: what the trades table would know.
#[derive(Debug, Clone, Default)]
struct Book(Arc<Mutex<HashMap<TradeKey, Seen>>>);

#[derive(Debug, Clone, Default)]
struct Seen {
    listed: Option<ListingDigest>,
    modified: i64,
    facts: usize,
}

impl Book {
    fn knows(&self, trade: &TradeKey) -> Option<Seen> {
        self.0.lock().unwrap().get(trade).cloned()
    }

    fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// Knows these trades as they are now, as after a backfill.
    fn learn<'a>(&self, orders: impl Iterator<Item = &'a simulators::marketplace::Order>) {
        let mut known = self.0.lock().unwrap();
        for order in orders {
            let listed = Some(ListingDigest::new(order.digest()).unwrap());
            known.insert(trade(order.id), Seen { listed, modified: order.modified.get(), facts: 1 });
        }
    }
}

fn trade(id: u64) -> TradeKey {
    format!("taobao#demo#{id}").parse().unwrap()
}

impl EventQueue for Book {
    async fn send(&self, events: &[VerifiedEvent]) -> Result<(), PortError> {
        let mut known = self.0.lock().unwrap();
        for event in events {
            // As the real queue does: what cannot be written is an error.
            protocols::cloudevents::write(event.event()).unwrap();
            let Event::Trade(change) = event.event() else { continue };
            let seen = known.entry(change.trade.clone()).or_default();
            seen.facts += 1;
            if let TradeFact::Snapshot(snapshot) = &change.fact {
                let detail = &snapshot.detail;
                if detail.modified_at.get() >= seen.modified {
                    (seen.listed, seen.modified) = (Some(detail.listed.clone()), detail.modified_at.get());
                }
            }
        }
        Ok(())
    }
}

impl TradeDetails for Book {
    async fn detail(&self, _: &TradeKey, _: &TradeDetail) -> Result<Outcome, PortError> {
        unreachable!("a sweep writes no details")
    }

    async fn after_sale(&self, _: &TradeKey, _: &AfterSaleId, _: &AfterSale) -> Result<Outcome, PortError> {
        unreachable!("a sweep writes no cases")
    }

    async fn listings(&self, trades: &[TradeKey]) -> Result<BTreeMap<TradeKey, ListingDigest>, PortError> {
        let known = self.0.lock().unwrap();
        Ok(trades.iter().filter_map(|key| Some((key.clone(), known.get(key)?.listed.clone()?))).collect())
    }
}

/// A clock that is off.
#[derive(Clone)]
struct Skewed(ManualClock, i64);

impl Clock for Skewed {
    fn now(&self) -> UnixMillis {
        self.0.now().saturating_add_ms(self.1)
    }

    async fn sleep(&self, millis: u64) {
        self.0.sleep(millis).await;
    }
}

/// A marketplace, and a stack that sweeps it.
struct World {
    market: MemoryMarketplace,
    book: Book,
    raw: MemoryRawDetails,
    quarantine: MemoryQuarantine,
    sweeps: MemorySweeps,
    clock: ManualClock,
    secrets: MemorySecrets,
    cache: SecretCache,
    log: MemoryLog,
    limits: Limits,
}

impl World {
    fn of(markets: Vec<Market>, conduct: Conduct, seed: u64) -> Self {
        let clock = ManualClock::at(at(NOW));
        Self {
            market: MemoryMarketplace::new(markets, clock.clone(), conduct, seed),
            book: Book::default(),
            raw: MemoryRawDetails::default(),
            quarantine: MemoryQuarantine::default(),
            sweeps: MemorySweeps::default(),
            clock,
            secrets: MemorySecrets::new(secrets()),
            cache: SecretCache::default(),
            log: MemoryLog::default(),
            limits: Limits::DEFAULT,
        }
    }

    /// One shop with so many orders, made over the two days before now.
    fn with(orders: usize, conduct: Conduct, seed: u64) -> Self {
        let days = (at(NOW - 48 * HOUR_MS), at(NOW - 60_000));
        Self::of(vec![Market::generate(Place::Taobao, OWNER, seed, orders, days)], conduct, seed)
    }

    async fn run(&self, request: &str) -> Answer {
        self.run_by(request, &self.clock, &FaultPlan::none()).await.unwrap()
    }

    /// One run; `None` when its process was gone.
    async fn run_by(&self, request: &str, clock: &(impl Clock + Clone), plan: &FaultPlan) -> Option<Answer> {
        let request: Request = serde_json::from_str(request).unwrap();
        let deadline = Deadline::from_lambda(u64::try_from(clock.now().get()).unwrap() + RUN_MS);
        let market = Faulty::new(self.market.clone(), plan);
        let (book, raw) = (Faulty::new(self.book.clone(), plan), Faulty::new(self.raw.clone(), plan));
        let quarantine = Faulty::new(self.quarantine.clone(), plan);
        let sweeps = Faulty::new(self.sweeps.clone(), plan);
        let settings = Settings { shops_at_once: 4, limits: self.limits };
        let invocation = handle(
            request,
            (deadline, settings),
            &market,
            (&book, &raw),
            (&book, &quarantine),
            (&sweeps, &self.secrets, &self.cache),
            (clock, &self.log),
        );
        plan.run(invocation).await.map(Result::unwrap)
    }

    /// Incremental runs until one finishes.
    async fn sweep(&self) -> u64 {
        for _ in 0..200 {
            let answer = self.run(INCREMENTAL).await;
            match answer.sweeps[0].outcome {
                Ended::Finished => return answer.sweeps[0].changed,
                Ended::Paused => self.clock.advance_ms(EVERY_MS),
                Ended::Unfinished | Ended::Failed | Ended::Held => {}
                outcome => panic!("{outcome:?}: {:?}", answer.sweeps),
            }
        }
        panic!("a sweep never finished: {:?}", self.log.all().last())
    }

    /// Sweeps every five minutes until everything that was committed late is settled.
    async fn settle(&self) {
        self.market.calm_down();
        for _ in 0..=self.limits.overlap_ms / EVERY_MS + 1 {
            self.clock.advance_ms(EVERY_MS);
            self.sweep().await;
        }
    }

    async fn start_at(&self, watermark: UnixMillis) {
        let key = key(SweepKind::Incremental);
        let state = self.sweeps.read(&key).await.unwrap();
        assert_eq!(self.sweeps.replace(&key, &state.set(watermark)).await.unwrap(), None);
    }

    async fn watermark(&self) -> UnixMillis {
        self.sweeps.read(&key(SweepKind::Incremental)).await.unwrap().watermark.unwrap()
    }

    /// The trades whose present state is not known, those left out that nobody can find by modified time.
    fn missed(&self) -> Vec<u64> {
        let market = self.market.market();
        let silent = market.changed_silently();
        let is_missed = |order: &&simulators::marketplace::Order| {
            let listed = self.book.knows(&trade(order.id)).and_then(|seen| seen.listed);
            listed.is_none_or(|listed| listed.as_str() != order.digest())
        };
        market.truth().filter(|order| !silent.contains(&order.id)).filter(is_missed).map(|order| order.id).collect()
    }
}

const INCREMENTAL: &str = r#"{"kind":"incremental","marketplace":"taobao","shop":"demo"}"#;
const TMC: &str = r#"{"kind":"tmc","marketplace":"taobao","shop":"demo"}"#;
const AUDIT: &str = r#"{"kind":"audit","marketplace":"taobao","shop":"demo"}"#;

fn key(kind: SweepKind) -> SweepKey {
    SweepKey { kind, marketplace: Place::Taobao, shop: ShopId::new("demo").unwrap() }
}

fn disturbed(tenths: u32, late_ms_max: i64) -> Conduct {
    let disturbance = Disturbance { tenths, late_ms_max, is_hasty: false };
    Conduct { call_ms: 100, disturbance, changes_max: u64::MAX, refused_percent: 0 }
}

/// One life: a list of so many orders read while it changes, with refusals and crashes, until it is calm again.
async fn live(seed: u64, orders: usize) {
    let mut dice = Dice::seeded(seed);
    let tenths = u32::try_from(1 + dice.below(50)).unwrap();
    let conduct = Conduct { refused_percent: u8::try_from(dice.below(3)).unwrap(), ..disturbed(tenths, 30 * 60_000) };
    let world = World::with(orders, conduct, seed);
    // No vendor promises an order of what was modified in one second. Of many thousands that change fifty times a second,
    // half an hour is more than a run can read again and again.
    if orders <= 500 && dice.below(2) == 0 {
        world.market.market().set_ties(Ties::Shuffled);
    }
    // Most are known from before, and a part was never seen: both must end as the truth is.
    world.book.learn(world.market.market().truth().filter(|order| order.id % 20 != seed % 20));
    world.start_at(at(NOW - 47 * HOUR_MS)).await;
    // What was last modified before the window is no matter of this sweep.
    world.book.learn(world.market.market().truth().filter(|order| order.modified < at(NOW - 47 * HOUR_MS)));
    let mut watermark = world.watermark().await;
    for _ in 0..40 {
        // Every other run has a fault somewhere among its first calls.
        let faults = (dice.below(2) == 0).then(|| (dice.below(120), Fault::ALL[dice.below(Fault::ALL.len())]));
        let answer = world.run_by(INCREMENTAL, &world.clock, &FaultPlan::at(faults)).await;
        let moved = world.watermark().await;
        assert!(moved >= watermark, "seed {seed}: the watermark moved back");
        watermark = moved;
        match answer.map(|answer| answer.sweeps[0].outcome) {
            Some(Ended::Unfinished) => {}
            Some(_) | None => world.clock.advance_ms(EVERY_MS),
        }
    }
    world.settle().await;
    let missed = world.missed();
    assert!(missed.is_empty(), "seed {seed}: {} of {} missed ({tenths} tenths a page)", missed.len(), orders);
}

/// Many lives, on as many threads as there are processors.
fn lives(count: u64, orders: usize, first_seed: u64) {
    let next = std::sync::atomic::AtomicU64::new(0);
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
                loop {
                    let nth = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if nth >= count {
                        return;
                    }
                    runtime.block_on(live(first_seed.wrapping_add(nth), orders));
                }
            });
        }
    });
    println!("sweeps: {count} lives of {orders} orders, 0 missed");
}

#[test]
fn a_hundred_thousand_orders_that_change_while_they_are_read_are_all_found() {
    lives(rounds(4, 1_000), 100_000, seed("sweeps of 100,000 orders"));
}

#[test]
fn shops_of_any_size_that_change_while_they_are_read_are_all_found() {
    let first = seed("sweeps of small shops");
    for (nth, orders) in [0_usize, 1, 49, 51, 500, 4_000].into_iter().enumerate() {
        lives(rounds(12, 300), orders, first.wrapping_add(1_000 * u64::try_from(nth).unwrap()));
    }
}

#[tokio::test]
async fn a_reader_that_pages_forwards_loses_orders_in_the_same_market() {
    let world = World::with(20_000, disturbed(10, 0), 7);
    let account = secrets().accounts(Place::Taobao).into_iter().find(|account| account.owner() == OWNER).unwrap();
    let window = Window::new(at(NOW - 49 * HOUR_MS), at(NOW)).unwrap();
    let mut seen = std::collections::HashSet::new();
    for page in 1.. {
        let query = protocols::marketplace::ListQuery { by: ListedBy::Modified, window, page, page_rows: 50 };
        let listed = adapters::ports::Marketplace::list(&world.market, &account, &query).await.unwrap();
        let rows = listed.belonging_to(&account).unwrap().into_inner().rows;
        if rows.is_empty() {
            break;
        }
        seen.extend(rows.into_iter().map(|row| row.id.to_string()));
    }
    let market = world.market.market();
    let lost = market.truth().filter(|order| order.modified < at(NOW) && !seen.contains(&order.id.to_string())).count();
    println!("forwards: {lost} of 20,000 lost at one change a page");
    assert!(lost > 50, "the harness takes nothing from a reader that loses: {lost}");
}

#[tokio::test]
async fn what_is_committed_later_than_the_overlap_or_changes_without_a_time_is_found_by_the_audit() {
    let world = World::with(500, Conduct::CALM, 11);
    world.start_at(at(NOW - 48 * HOUR_MS)).await;
    world.sweep().await;
    world.settle().await;
    assert_eq!(world.missed(), Vec::<u64>::new());
    // Three hours late, and a change that moves no time, both of orders of yesterday.
    let yesterday = domain::sweep::china_day_before(world.clock.now()).unwrap();
    let (late, silent) = {
        let mut market = world.market.market();
        let before = world.clock.now().saturating_add_ms(-4 * HOUR_MS);
        let created = |order: &&simulators::marketplace::Order| {
            yesterday.start() <= order.created && order.created < yesterday.end() && order.modified < before
        };
        let of_day: Vec<u64> = market.truth().filter(created).map(|order| order.id).collect();
        let late = of_day[0];
        market.modify(late, world.clock.now().saturating_add_ms(-3 * HOUR_MS));
        market.change_silently(of_day[1]);
        (late, of_day[1])
    };
    world.settle().await;
    let digest = |id: u64| world.market.market().order(id).unwrap().digest();
    let listed = |id: u64| world.book.knows(&trade(id)).unwrap().listed.unwrap();
    assert!(listed(late).as_str() != digest(late) && listed(silent).as_str() != digest(silent), "found too early");
    let answer = world.run(AUDIT).await;
    assert_eq!((answer.sweeps[0].outcome, answer.sweeps[0].changed), (Ended::Finished, 2), "{:?}", answer.sweeps);
    assert_eq!((listed(late).as_str(), listed(silent).as_str()), (digest(late).as_str(), digest(silent).as_str()));
    let found = world.log.all().into_iter().find_map(|event| event.get(metric::AUDIT_FOUND).cloned());
    assert_eq!(found, Some(2.into()));
    assert_eq!(world.run(AUDIT).await.sweeps[0].changed, 0, "what an audit found is not found again");
}

#[tokio::test]
async fn a_quiet_window_of_n_orders_in_pages_of_p_costs_at_most_a_call_a_page_and_one() {
    for orders in [0_usize, 1, 49, 50, 51, 99, 100, 101, 777, 1_000, 1_950] {
        // All of them in the last hour, so that a part is settled and a part is fresh.
        let hour = (at(NOW - HOUR_MS), at(NOW - 60_000));
        let market = Market::generate(Place::Taobao, OWNER, 3, orders, hour);
        let world = World::of(vec![market], Conduct::CALM, 3);
        world.start_at(at(NOW - HOUR_MS)).await;
        world.sweep().await;
        let first = world.market.take_calls();
        let pages = u64::try_from(orders.div_ceil(50)).unwrap();
        assert!(first.list <= pages + 1, "{orders} orders: {} list calls", first.list);
        assert_eq!(first.detail_rows, u64::try_from(orders).unwrap(), "each order once");
        assert!(first.details <= 2 * u64::try_from(orders.div_ceil(20)).unwrap() + 1, "{} batches", first.details);
        // The same window again, by the same watermark: nothing changed, so no detail.
        world.start_at(at(NOW - HOUR_MS)).await;
        world.sweep().await;
        let again = world.market.take_calls();
        assert!(again.list <= pages + 1 && again.details == 0, "{orders} orders again: {again:?}");
    }
}

#[tokio::test]
async fn two_sweeps_at_once_with_clocks_ten_minutes_apart_lose_nothing_and_never_move_the_watermark_back() {
    for round in 0..rounds(8, 200) {
        let seed = seed("two sweeps at once").wrapping_add(round);
        let world = World::with(3_000, disturbed(20, 20 * 60_000), seed);
        world.start_at(at(NOW - 48 * HOUR_MS)).await;
        let (ahead, behind) = (Skewed(world.clock.clone(), 5 * 60_000), Skewed(world.clock.clone(), -5 * 60_000));
        let mut watermark = world.watermark().await;
        for _ in 0..12 {
            let plan = FaultPlan::none();
            let both =
                futures::join!(world.run_by(INCREMENTAL, &ahead, &plan), world.run_by(INCREMENTAL, &behind, &plan));
            assert!(both.0.is_some() && both.1.is_some());
            let moved = world.watermark().await;
            assert!(moved >= watermark, "seed {seed}: the watermark moved back");
            watermark = moved;
            world.clock.advance_ms(EVERY_MS);
        }
        world.clock.advance_ms(10 * 60_000);
        world.settle().await;
        assert_eq!(world.missed(), Vec::<u64>::new(), "seed {seed}");
    }
}

#[tokio::test]
async fn every_word_of_flow_control_leads_to_its_own_end() {
    let told = |world: &World, name: &str| world.log.all().into_iter().any(|event| event.metrics().contains(&name));
    for (saying, outcome, calls, metric_told) in [
        // A short silence is kept within the run, and then the call is made again.
        (Saying::Refused(FlowControl::WaitSeconds(3)), Ended::Finished, 2, None),
        (Saying::Refused(FlowControl::WaitSeconds(600)), Ended::Paused, 1, None),
        (Saying::Refused(FlowControl::WaitForMidnight), Ended::Paused, 1, None),
        // The adapter tried these again by itself: the run ends, and the next one tries.
        (Saying::Refused(FlowControl::Retry), Ended::Failed, 1, Some(metric::SWEEP_FAILED)),
        (Saying::Lost, Ended::Failed, 1, Some(metric::SWEEP_FAILED)),
        (Saying::Refused(FlowControl::GiveUp), Ended::Failed, 1, Some(metric::SWEEP_FAILED)),
        (Saying::Refused(FlowControl::Reauthorise), Ended::Failed, 1, Some(metric::SWEEP_REAUTHORISE)),
    ] {
        let world = World::with(0, Conduct { call_ms: 0, ..Conduct::CALM }, 1);
        world.market.say_next([Some(saying)]);
        let began = world.clock.now();
        let answer = world.run(INCREMENTAL).await;
        assert_eq!((answer.sweeps[0].outcome, world.market.take_calls().list), (outcome, calls), "{saying:?}");
        assert!(metric_told.is_none_or(|name| told(&world, name)), "{saying:?}");
        assert!(world.clock.now().ms_since(began) < 10_000, "{saying:?}: a long silence is not slept through");
        if outcome != Ended::Paused {
            continue;
        }
        // Not a call is made until the silence is over.
        assert_eq!(world.run(INCREMENTAL).await.sweeps[0].outcome, Ended::Paused);
        assert_eq!(world.market.take_calls().list, 0, "{saying:?}");
        let until = match saying {
            Saying::Refused(FlowControl::WaitSeconds(seconds)) => {
                began.saturating_add_ms(i64::try_from(seconds).unwrap() * 1_000)
            }
            Saying::Refused(_) | Saying::Lost => domain::sweep::china_midnight_after(began),
        };
        world.clock.advance_ms(until.ms_since(world.clock.now()) - 1);
        assert_eq!(world.run(INCREMENTAL).await.sweeps[0].outcome, Ended::Paused);
        world.clock.advance_ms(1);
        assert_eq!(world.run(INCREMENTAL).await.sweeps[0].outcome, Ended::Finished);
        assert_eq!(world.market.take_calls().list, 1, "{saying:?}");
    }
}

/// What is logged of runs that count all that order-sweep counts: one that ends well, an audit of a day of which nothing is
/// known, and those that ask for a person.
pub async fn counted() -> Vec<WideEvent> {
    let mut lines = Vec::new();
    for saying in [Saying::Lost, Saying::Refused(FlowControl::Reauthorise)] {
        let world = World::with(0, Conduct::CALM, 1);
        world.market.say_next([Some(saying)]);
        world.run(INCREMENTAL).await;
        lines.extend(world.log.all());
    }
    let world = World::with(60, Conduct::CALM, 5);
    world.start_at(at(NOW - HOUR_MS)).await;
    world.run(INCREMENTAL).await;
    world.run(AUDIT).await;
    world.market.answer_as(Some("somebody-else"));
    world.run(INCREMENTAL).await;
    world.run(AUDIT).await;
    lines.extend(world.log.all());
    let unusable = Secrets::from_json(r#"{"clients": {"shopfront": 7}}"#).unwrap();
    let world = World { secrets: MemorySecrets::new(unusable), ..World::with(0, Conduct::CALM, 1) };
    world.run(INCREMENTAL).await;
    lines.extend(world.log.all());
    lines
}

/// What a run answers and tells of its lag, by secrets of this form.
async fn lag(document: &str, kind: &str, shop: &str) -> (usize, String, serde_json::Value) {
    let secrets = MemorySecrets::new(Secrets::from_json(document).unwrap());
    let world = World { secrets, ..World::with(60, Conduct::CALM, 5) };
    let request = format!(r#"{{"kind": "{kind}", "marketplace": "taobao", "shop": "{shop}"}}"#);
    let answer = world.run(&request).await;
    let line: serde_json::Value = serde_json::from_str(&world.log.all().pop().unwrap().to_string()).unwrap();
    (answer.sweeps.len(), line["outcome"].as_str().unwrap().to_owned(), line["sweep.lag_s"].clone())
}

#[tokio::test]
async fn a_stack_without_a_shop_of_a_marketplace_is_not_behind_and_a_shop_that_is_named_is_missed() {
    let untold = serde_json::Value::Null;
    assert_eq!(lag("{}", "incremental", "*").await, (0, "finished".to_owned(), 0.into()));
    assert_eq!(lag("{}", "audit", "*").await, (0, "finished".to_owned(), untold.clone()));
    assert_eq!(lag("{}", "incremental", "demo").await, (1, "refused".to_owned(), untold.clone()));
    // Its only shop cannot be read: it may well be behind, and the alarm is to go off for want of a figure.
    let damaged = r#"{"marketplaces": {"taobao": {"demo": {"app_key": "1"}}}}"#;
    assert_eq!(lag(damaged, "incremental", "*").await, (0, "finished".to_owned(), untold));
}

#[tokio::test]
async fn an_answer_of_another_account_is_refused_alarmed_and_nothing_of_it_is_kept() {
    let world = World::with(60, Conduct::CALM, 5);
    world.start_at(at(NOW - 48 * HOUR_MS)).await;
    world.market.answer_as(Some("somebody-else"));
    let answer = world.run(INCREMENTAL).await;
    assert_eq!(answer.sweeps[0].outcome, Ended::Failed);
    assert_eq!((world.book.len(), world.quarantine.all().len()), (0, 0));
    assert_eq!(world.watermark().await, at(NOW - 48 * HOUR_MS));
    assert!(world.log.all().iter().any(|event| event.metrics().contains(&metric::SWEEP_FOREIGN_ANSWER)));
    assert!(world.log.all().iter().all(|event| !event.to_string().contains("somebody-else")));
    world.market.answer_as(None);
    world.sweep().await;
    assert_eq!(world.missed(), Vec::<u64>::new());
}

#[tokio::test]
async fn one_shop_s_failure_stops_no_other() {
    let days = (at(NOW - 20 * 60_000), at(NOW - 60_000));
    let market = |owner| Market::generate(Place::Taobao, owner, 9, 30, days);
    let world = World::of(vec![market(OWNER)], Conduct::CALM, 9);
    // The other shop's token is not known to the marketplace.
    let answer = world.run(r#"{"kind":"incremental","marketplace":"taobao","shop":"*"}"#).await;
    let outcomes: Vec<_> = answer.sweeps.iter().map(|swept| (swept.shop.as_str(), swept.outcome)).collect();
    assert_eq!(outcomes, [("demo", Ended::Finished), ("other", Ended::Failed)]);
    assert_eq!(world.missed(), Vec::<u64>::new());
}

#[tokio::test]
async fn what_cannot_be_read_is_set_aside_with_its_reason_and_holds_nothing_up() {
    let world = World::with(120, Conduct::CALM, 13);
    let ids: Vec<u64> = world.market.market().truth().map(|order| order.id).take(2).collect();
    world.market.garble(ids[0], Garbled::Row);
    world.market.garble(ids[1], Garbled::Detail);
    world.start_at(at(NOW - 48 * HOUR_MS)).await;
    world.sweep().await;
    let set_aside = world.quarantine.all();
    assert!(set_aside.iter().all(|kept| kept.reason == "garbled" && kept.message_id.starts_with("sweep/taobao/demo/")));
    assert!(ids.iter().all(|id| set_aside.iter().any(|kept| kept.body.contains(&id.to_string()))));
    let mut missed = world.missed();
    missed.sort_unstable();
    let mut garbled = ids.clone();
    garbled.sort_unstable();
    assert_eq!(missed, garbled);
}

/// A marketplace whose answers have so many characters that do not compress.
struct Wordy(MemoryMarketplace, usize);

impl adapters::ports::Marketplace for Wordy {
    async fn list(&self, account: &Account, query: &ListQuery) -> Result<Answered<ListPage<TradeId>>, MarketError> {
        self.0.list(account, query).await
    }

    async fn details(&self, account: &Account, trades: &[TradeId]) -> Result<Vec<DetailOf>, MarketError> {
        let mut dice = Dice::seeded(1);
        let details = self.0.details(account, trades).await?;
        let wordy = details.into_iter().map(|(id, detail)| {
            let mut told = detail.unwrap().belonging_to(account).unwrap().into_inner();
            told.json = (0..self.1 / 16).map(|_| format!("{:016x}", dice.number())).collect();
            (id, Ok(Answered::new(told, [account.owner().to_owned()])))
        });
        Ok(wordy.collect())
    }

    async fn pull(&self, account: &Account) -> Result<Vec<Answered<Message>>, MarketError> {
        self.0.pull(account).await
    }

    async fn confirm(&self, account: &Account, messages: &[MessageId]) -> Result<(), MarketError> {
        self.0.confirm(account, messages).await
    }
}

/// A marketplace that leaves the first detail out, or gives it for the second as well.
struct Mistaken(MemoryMarketplace, bool);

impl adapters::ports::Marketplace for Mistaken {
    async fn list(&self, account: &Account, query: &ListQuery) -> Result<Answered<ListPage<TradeId>>, MarketError> {
        self.0.list(account, query).await
    }

    async fn details(&self, account: &Account, trades: &[TradeId]) -> Result<Vec<DetailOf>, MarketError> {
        let mut details = self.0.details(account, trades).await?;
        let first = details.remove(0);
        if self.1 {
            details.insert(0, (first.0, details[0].1.clone()));
        }
        Ok(details)
    }

    async fn pull(&self, account: &Account) -> Result<Vec<Answered<Message>>, MarketError> {
        self.0.pull(account).await
    }

    async fn confirm(&self, account: &Account, messages: &[MessageId]) -> Result<(), MarketError> {
        self.0.confirm(account, messages).await
    }
}

#[tokio::test]
async fn a_detail_that_is_missing_stops_the_sweep_and_one_of_another_trade_is_set_aside() {
    for (is_swapped, outcome, set_aside) in [(false, Ended::Failed, 0), (true, Ended::Finished, 1)] {
        // All on one page, and so in one call.
        let made = (at(NOW - 20 * 60_000), at(NOW - 60_000));
        let world = World::of(vec![Market::generate(Place::Taobao, OWNER, 41, 3, made)], Conduct::CALM, 41);
        let began = at(NOW - HOUR_MS);
        world.start_at(began).await;
        let market = Mistaken(world.market.clone(), is_swapped);
        let settings = Settings { shops_at_once: 1, limits: world.limits };
        let answer = handle(
            serde_json::from_str(INCREMENTAL).unwrap(),
            (Deadline::from_lambda(u64::MAX), settings),
            &market,
            (&world.book, &world.raw),
            (&world.book, &world.quarantine),
            (&world.sweeps, &world.secrets, &world.cache),
            (&world.clock, &world.log),
        );
        assert_eq!(answer.await.unwrap().sweeps[0].outcome, outcome);
        assert_eq!(world.quarantine.all().len(), set_aside);
        assert_eq!(world.watermark().await == began, !is_swapped, "the watermark moves over what is kept alone");
    }
}

/// The raw answers that were queued with a sweep of three orders.
#[derive(Clone, Default)]
struct RawSeen(Arc<Mutex<Vec<RawDetail>>>);

impl EventQueue for RawSeen {
    async fn send(&self, events: &[VerifiedEvent]) -> Result<(), PortError> {
        for event in events {
            protocols::cloudevents::write(event.event()).unwrap();
            let Event::Trade(change) = event.event() else { continue };
            if let TradeFact::Snapshot(snapshot) = &change.fact {
                self.0.lock().unwrap().push(snapshot.detail.raw.clone());
            }
        }
        Ok(())
    }
}

#[tokio::test]
async fn a_raw_answer_goes_with_the_trade_or_into_the_bucket_when_it_is_large_and_reads_back() {
    for (characters, is_stored) in [(16_000, false), (400_000, true)] {
        let world = World::with(3, Conduct::CALM, 31);
        world.start_at(at(NOW - 48 * HOUR_MS)).await;
        let (market, seen) = (Wordy(world.market.clone(), characters), RawSeen::default());
        let settings = Settings { shops_at_once: 1, limits: world.limits };
        let answer = handle(
            serde_json::from_str(INCREMENTAL).unwrap(),
            (Deadline::from_lambda(u64::MAX), settings),
            &market,
            (&world.book, &world.raw),
            (&seen, &world.quarantine),
            (&world.sweeps, &world.secrets, &world.cache),
            (&world.clock, &world.log),
        );
        assert_eq!(answer.await.unwrap().sweeps[0].changed, 3);
        let seen = seen.0.lock().unwrap().clone();
        assert_eq!(seen.len(), 3);
        for raw in seen {
            let gzip = match raw {
                RawDetail::Inline(gzip) => Some(gzip).filter(|_| !is_stored),
                RawDetail::Stored(key) => world.raw.get(&key).await.unwrap().filter(|_| is_stored),
            };
            let text = adapters::gzip::unpack(&gzip.expect("where it belongs")).unwrap();
            assert_eq!(text.len(), characters);
        }
    }
}

#[tokio::test]
async fn half_an_hour_of_changes_that_no_run_can_read_whole_is_gone_on_with() {
    // Two seconds a call: a run reads about 5,500 rows, and the overlap alone holds more.
    let made = (at(NOW - 90 * 60_000), at(NOW - 60_000));
    let market = Market::generate(Place::Taobao, OWNER, 37, 25_000, made);
    let world = World::of(vec![market], Conduct { call_ms: 2_000, ..Conduct::CALM }, 37);
    world.book.learn(world.market.market().truth().filter(|order| order.id % 7 != 0));
    world.book.learn(world.market.market().truth().filter(|order| order.modified < at(NOW - 40 * 60_000)));
    world.start_at(at(NOW - 10 * 60_000)).await;
    assert_eq!(world.run(INCREMENTAL).await.sweeps[0].outcome, Ended::Unfinished);
    world.sweep().await;
    assert_eq!(world.missed(), Vec::<u64>::new());
}

/// The clock of tokio stands, and goes on by itself when everything waits: a run's time costs none.
#[tokio::test(start_paused = true)]
async fn whatever_never_answers_the_run_ends_in_time_gives_its_lease_back_and_the_next_one_misses_nothing() {
    let world_of = async || {
        let world = World::with(120, Conduct::CALM, 43);
        world.start_at(at(NOW - 48 * HOUR_MS)).await;
        world
    };
    let calls = {
        let (world, plan) = (world_of().await, FaultPlan::none());
        world.run_by(INCREMENTAL, &world.clock, &plan).await;
        plan.calls()
    };
    assert!(calls.len() > 15, "{calls:?}");
    // The last gives the lease back, and is not waited for any longer than its client does.
    for (position, call) in calls.iter().enumerate().take(calls.len() - 1) {
        let world = world_of().await;
        let plan = FaultPlan::at([(position, Fault::Silent)]);
        let answer = world.run_by(INCREMENTAL, &world.clock, &plan).await.unwrap();
        assert_eq!(answer.sweeps[0].outcome, Ended::Unfinished, "{call} at {position}");
        assert_eq!(world.log.all().last().unwrap().get(field::OUTCOME), Some(&"unfinished".into()));
        world.clock.advance_ms(EVERY_MS);
        world.sweep().await;
        assert_eq!(world.missed(), Vec::<u64>::new(), "{call} at {position}");
    }
}

#[tokio::test]
async fn messages_are_confirmed_only_after_the_queue_has_them() {
    let conduct = Conduct::CALM;
    let undisturbed = World::with(200, conduct, 17);
    let tell = |world: &World| world.market.market().play(at(NOW - HOUR_MS), at(NOW), 250);
    tell(&undisturbed);
    assert_eq!(undisturbed.run(TMC).await.sweeps[0].outcome, Ended::Finished);
    assert_eq!(undisturbed.market.market().notices().count(), 0);
    let calls = {
        let world = World::with(200, conduct, 17);
        tell(&world);
        let plan = FaultPlan::none();
        world.run_by(TMC, &world.clock, &plan).await;
        plan.calls().len()
    };
    for position in 0..calls {
        for fault in Fault::ALL {
            let world = World::with(200, conduct, 17);
            tell(&world);
            world.run_by(TMC, &world.clock, &FaultPlan::at([(position, fault)])).await;
            let left = world.market.market().notices().count();
            for _ in 0..3 {
                world.clock.advance_ms(EVERY_MS);
                world.run(TMC).await;
            }
            assert_eq!(world.market.market().notices().count(), 0, "{fault:?} at {position}: {left} were left");
            let told = |world: &World| {
                let known = world.book.0.lock().unwrap();
                let mut told: Vec<String> = known.keys().map(ToString::to_string).collect();
                told.sort();
                told
            };
            assert_eq!(told(&world), told(&undisturbed), "{fault:?} at {position}");
        }
    }
}

#[tokio::test]
async fn a_message_of_another_of_our_shops_is_that_shop_s_and_a_stranger_s_is_left() {
    let days = (at(NOW - HOUR_MS), at(NOW - 60_000));
    // Each with a seed of its own: message ids are one marketplace's, and no two are alike.
    let market = |owner: &str, seed| Market::generate(Place::Taobao, owner, seed, 40, days);
    let markets = vec![market(OWNER, 19), market(OTHER_OWNER, 20), market("a-stranger", 21)];
    let world = World::of(markets, Conduct::CALM, 19);
    for owner in [OWNER, OTHER_OWNER, "a-stranger"] {
        world.market.market_of(Place::Taobao, owner).unwrap().play(at(NOW - HOUR_MS), at(NOW), 20);
    }
    let answer = world.run(TMC).await;
    assert_eq!(answer.sweeps[0].outcome, Ended::Finished, "{:?}", answer.sweeps);
    let shops: std::collections::BTreeSet<String> =
        world.book.0.lock().unwrap().keys().map(|trade| trade.shop.to_string()).collect();
    assert_eq!(shops.into_iter().collect::<Vec<_>>(), ["demo", "other"]);
    let waiting = |owner| world.market.market_of(Place::Taobao, owner).unwrap().notices().count();
    assert_eq!((waiting(OWNER), waiting(OTHER_OWNER)), (0, 0));
    assert!(waiting("a-stranger") > 0);
    assert!(world.log.all().iter().any(|event| event.metrics().contains(&metric::SWEEP_FOREIGN_ANSWER)));
}

#[tokio::test]
async fn strangers_messages_hide_no_trade_whether_they_come_again_before_ours_or_behind() {
    let days = (at(NOW - HOUR_MS), at(NOW - 60_000));
    let market = |owner: &str, seed| Market::generate(Place::Taobao, owner, seed, 40, days);
    for are_behind in [false, true] {
        let world = World::of(vec![market(OWNER, 19), market("a-stranger", 21)], Conduct::CALM, 19);
        world.start_at(at(NOW - 2 * HOUR_MS)).await;
        let tell = |owner, from, count| {
            let (from, until) = (at(NOW - from), at(NOW - from + 60_000));
            world.market.market_of(Place::Taobao, owner).unwrap().play(from, until, count);
        };
        // More than a pull brings, and older than ours.
        tell("a-stranger", HOUR_MS, 400);
        tell(OWNER, HOUR_MS / 2, 20);
        if are_behind {
            world.market.leave_behind();
        }
        let waiting = |owner| world.market.market_of(Place::Taobao, owner).unwrap().notices().count();
        let (ours, strangers) = (waiting(OWNER), waiting("a-stranger"));
        assert!(strangers > 200 && ours > 0, "{strangers}, {ours}");
        assert_eq!(world.run(TMC).await.sweeps[0].outcome, Ended::Finished);
        assert_eq!((waiting(OWNER), waiting("a-stranger")), (if are_behind { 0 } else { ours }, strangers));
        world.sweep().await;
        assert_eq!(world.missed(), Vec::<u64>::new());
    }
}

#[tokio::test]
async fn a_run_goes_past_so_many_messages_of_strangers_and_no_more() {
    let days = (at(NOW - HOUR_MS), at(NOW - 60_000));
    let market = |owner: &str, seed| Market::generate(Place::Taobao, owner, seed, 40, days);
    let world = World::of(vec![market(OWNER, 19), market("a-stranger", 21)], Conduct::CALM, 19);
    world.market.leave_behind();
    world.market.market_of(Place::Taobao, "a-stranger").unwrap().play(at(NOW - HOUR_MS), at(NOW), 3_000);
    assert!(world.market.market_of(Place::Taobao, "a-stranger").unwrap().notices().count() > 1_500);
    assert_eq!(world.run(TMC).await.sweeps[0].outcome, Ended::Finished);
    // A hundred a pull.
    assert_eq!(world.market.take_calls().pull, 10);
}

#[tokio::test]
async fn a_message_of_an_impossible_time_is_set_aside_whole_before_it_is_confirmed() {
    let world = World::with(20, Conduct::CALM, 17);
    world.market.market().play(at(NOW + 48 * HOUR_MS), at(NOW + 49 * HOUR_MS), 10);
    let waiting: Vec<String> = world.market.market().notices().map(|notice| notice.id.to_string()).collect();
    assert_eq!(world.run(TMC).await.sweeps[0].outcome, Ended::Finished);
    let kept: Vec<String> = world.quarantine.all().into_iter().map(|kept| kept.body).collect();
    assert!(!kept.is_empty() && kept.len() <= waiting.len());
    assert!(kept.iter().all(|body| waiting.iter().any(|id| *body == format!("the message {id}"))), "{kept:?}");
    assert_eq!(world.market.market().notices().count(), 0);
}

/// The watermark of a run that is cut off after the settled part stands ahead of what was read.
#[tokio::test]
async fn a_sweep_that_is_cut_off_tells_of_a_lag_that_hides_no_order() {
    let made = (at(NOW - 3 * HOUR_MS), at(NOW - 60_000));
    let world = || World::of(vec![Market::generate(Place::Taobao, OWNER, 29, 300, made)], Conduct::CALM, 29);
    let mut hidden_by_the_watermark = 0;
    for position in 0.. {
        let world = world();
        world.start_at(at(NOW - 2 * HOUR_MS)).await;
        let plan = FaultPlan::at([(position, Fault::Before)]);
        let answer = world.run_by(INCREMENTAL, &world.clock, &plan).await.unwrap();
        if plan.calls().len() <= position {
            break;
        }
        if answer.sweeps[0].outcome == Ended::Finished {
            continue;
        }
        let line: serde_json::Value = serde_json::from_str(&world.log.all().pop().unwrap().to_string()).unwrap();
        // Where the state could not be read, there is no figure.
        let Some(lag_s) = line["sweep.lag_s"].as_i64() else { continue };
        let lag_ms = lag_s * 1_000;
        let (missed, watermark) = (world.missed(), world.watermark().await);
        let market = world.market.market();
        let modified = market.truth().filter(|order| missed.contains(&order.id)).map(|order| order.modified);
        for modified in modified.filter(|modified| *modified > at(NOW - 2 * HOUR_MS)) {
            assert!(world.clock.now().ms_since(modified) <= lag_ms + 1_000, "{position}: {modified:?}");
            hidden_by_the_watermark += usize::from(modified < watermark);
        }
    }
    assert!(hidden_by_the_watermark > 0);
}

#[tokio::test]
async fn a_backfill_goes_on_where_it_was_cut_off() {
    let days = (at(NOW - 80 * 24 * HOUR_MS), at(NOW - 60_000));
    let world = World::of(vec![Market::generate(Place::Taobao, OWNER, 23, 6_000, days)], Conduct::CALM, 23);
    let backfill = r#"{"kind":"backfill","marketplace":"taobao","shop":"demo"}"#;
    let mut cut_off = 0;
    for run in 0.. {
        assert!(run < 60, "a backfill never ends");
        // The first six processes are gone in the middle of their work.
        let faults = (run < 6).then_some((90 + run, Fault::CrashedAfter));
        let before = world.sweeps.read(&key(SweepKind::Backfill)).await.unwrap().watermark;
        let answer = world.run_by(backfill, &world.clock, &FaultPlan::at(faults)).await;
        let state = world.sweeps.read(&key(SweepKind::Backfill)).await.unwrap();
        assert!(state.watermark >= before);
        match answer.map(|answer| answer.sweeps[0].outcome) {
            Some(Ended::Finished) => break,
            Some(Ended::Unfinished | Ended::Held) | None => cut_off += 1,
            Some(outcome) => panic!("{outcome:?}"),
        }
    }
    assert!(cut_off > 3, "{cut_off}");
    assert_eq!(world.missed(), Vec::<u64>::new());
    let listed = world.market.calls().list;
    assert!(listed < 900, "{listed} list calls for 90 slices: it began anew");
    assert_eq!(world.log.all().last().and_then(|event| event.get(field::SWEEP_KIND).cloned()), Some("backfill".into()));
}

#[tokio::test]
async fn a_run_stops_before_its_deadline_and_the_next_one_goes_on() {
    // 20,000 new orders are 400 pages and 1,000 batches: more than one run's time.
    let world = World::with(20_000, Conduct::CALM, 29);
    world.start_at(at(NOW - 48 * HOUR_MS)).await;
    let began = world.clock.now();
    let answer = world.run(INCREMENTAL).await;
    assert_eq!(answer.sweeps[0].outcome, Ended::Unfinished);
    assert!(world.clock.now().ms_since(began) < i64::try_from(RUN_MS).unwrap());
    let lease = world.sweeps.read(&key(SweepKind::Incremental)).await.unwrap().lease;
    assert_eq!(lease, None, "what a run leaves it gives back");
    world.sweep().await;
    world.settle().await;
    assert_eq!(world.missed(), Vec::<u64>::new());
}
