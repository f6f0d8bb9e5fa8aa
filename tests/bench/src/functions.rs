//! The functions as they are deployed: what a start costs, what a unit of work costs, how much memory they need, and what
//! they ask of AWS; beside a function that does nothing, and the same work in Python and in Node where those are there.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use adapters::clock::{Clock, SystemClock};
use anyhow::{Context, bail, ensure};
use domain::Marketplace;
use serde_json::{Value, json};
use simulators::marketplace::server::{Options, Server, ShopOptions};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::aws::{Asked, Aws, Calls};
use crate::events::{self, ORDER, SECRETS, Sender};
use crate::rivals::Rivals;
use crate::runtime::{Instance, Program};
use crate::table::{Budget, Figures, Row, Unit};

/// Every function, by the name of its program.
const FUNCTIONS: [&str; 8] = [
    "webhook-intake",
    "status-writer",
    "payment-callback",
    "orders-api",
    "order-sweep",
    "product-sweep",
    "image-sync",
    "order-check",
];
const NO_OP: &str = "no-op";
/// What a package has beside its program.
const PARTITIONS: &str = "partitions.json";
/// What a start may cost, in starts of the function that does nothing.
const INIT_NO_OPS_MAX: u64 = 2;
/// What part of another start a start takes that is called faster.
const FASTER: f64 = 0.99;
/// The most memory of those that work all day, in bytes. Source: the budgets of the design.
const PEAK_BYTES_MAX: u64 = 16_000_000;
/// How many times more processor time the same handler may cost elsewhere, at least.
const RIVAL_TIMES_MIN: u64 = 10;
/// Orders that one push names, to count what it costs to queue them; and messages that SQS takes at once.
const ORDERS_OF_PUSH: u64 = 25;
const MESSAGES_PER_CALL: u64 = 10;
/// Calls that an order with its trades and one payment is read by, and the one that claims a client's nonce.
const READ_CALLS: u64 = 4;
const NONCE_CALLS: u64 = 1;
/// Orders of a shop that is swept, all of the day that the sweep reads; and rows of a page.
const ORDERS_OF_SHOP: usize = 500;
const PAGE_ROWS: u64 = 50;
const HOUR_MS: i64 = 3_600_000;
/// What a marketplace's calls for lists are called.
const LIST_CALL: &str = "trades.sold";
/// Items that a batch touches, as `events::batch` makes it.
const ITEMS_OF_BATCH: u64 = 4;

/// How much is done.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    /// How often in a row the programs are unpacked anew without a faster start, until it ends; how often at most, on a
    /// machine that never comes to rest; and the starts of each from there. The fastest counts: what disturbs one, be it
    /// where its pages happen to lie, only ever makes it slower.
    unpackings: usize,
    unpackings_max: usize,
    starts: usize,
    /// Units of work before they are counted, and those that are.
    warm_up: u64,
    counted: u64,
}

impl Scale {
    /// As it was promised.
    pub const FULL: Self = Self { unpackings: 10, unpackings_max: 100, starts: 20, warm_up: 500, counted: 5_000 };
    /// In moments.
    pub const QUICK: Self = Self { unpackings: 2, unpackings_max: 10, starts: 5, warm_up: 100, counted: 1_000 };
}

/// What a unit of work costs, once an instance is warm.
#[derive(Debug, Clone, Copy, Default)]
pub struct Work {
    /// The first one, on the clock.
    pub first: Duration,
    /// Each, on the clock.
    pub warm: Duration,
    /// Each, of the processor.
    pub cpu: Duration,
    /// The most memory of the instance, in bytes.
    pub peak_bytes: u64,
    /// Bytes that each logs.
    pub logged_bytes: u64,
}

/// What the work of those costs that are paid by the million.
#[derive(Debug, Clone, Copy, Default)]
pub struct Works {
    /// One delivery.
    pub webhook: Work,
    /// One batch of ten events.
    pub batch: Work,
    /// One callback.
    pub callback: Work,
}

struct Bench {
    scale: Scale,
    aws: Aws,
    market: Server,
    sender: Sender,
    /// The programs, each written in one go, as the package of a function is unpacked: a linker writes here and there, and
    /// the pages of what it wrote are got one by one.
    programs: TempDir,
}

/// Measures all of them.
pub fn run(scale: Scale, rivals: &Rivals) -> anyhow::Result<(Figures, Works)> {
    Runtime::new()?.block_on(async {
        let bench = Bench::new(scale).await?;
        let mut figures = Figures::default();
        bench.starts(&mut figures).await?;
        let works = bench.works(rivals, &mut figures).await?;
        bench.counts(&mut figures).await?;
        Ok((figures, works))
    })
}

/// Runs one of them below another program, such as a profiler: its start, and that much of its work.
pub fn profile(name: &str, events: u64, under: &[PathBuf]) -> anyhow::Result<()> {
    let name = FUNCTIONS.into_iter().find(|known| *known == name).context("there is no such function")?;
    Runtime::new()?.block_on(async {
        let bench = Bench::new(Scale::QUICK).await?;
        let mut program = bench.program(name);
        program.command.splice(0..0, under.iter().cloned());
        let mut instance = Instance::start(&program).await?;
        for nth in 0..events {
            let event = match name {
                "webhook-intake" => bench.sender.push(nth, 1),
                "status-writer" => events::batch(nth),
                "payment-callback" => bench.sender.callback(nth, &format!("order-{nth}"))?,
                "orders-api" => bench.sender.read_order(nth, ORDER),
                _ => bail!("no event of {name} is made here: profile its start alone"),
            };
            instance.invoke(event).await?;
        }
        instance.end()
    })
}

/// Copies of the programs that stand beside this one, and what a package has beside its program.
fn unpacked() -> anyhow::Result<TempDir> {
    let (this, unpacked) = (std::env::current_exe()?, tempfile::tempdir()?);
    let built = this.parent().context("which program is this?")?;
    std::fs::write(unpacked.path().join(PARTITIONS), include_bytes!("../../../infra/partitions.json"))?;
    for name in [NO_OP].into_iter().chain(FUNCTIONS) {
        std::fs::copy(built.join(name), unpacked.path().join(name)).with_context(|| format!("{name} is not built"))?;
    }
    Ok(unpacked)
}

/// A shop at Taobao whose orders are all of the last day.
fn marketplace() -> Options {
    let shop = ShopOptions { days_back: 1, ..ShopOptions::demo(Marketplace::Taobao, ORDERS_OF_SHOP) };
    Options { shops: vec![shop], ..Options::demo(0) }
}

/// Everything that a function of the stack is told. What it does not need it does not read.
fn environment(aws: &str, market: &str, unpacked: &Path) -> Vec<(&'static str, String)> {
    let queue = |name: &str| format!("{aws}/000000000000/{name}");
    let mut environment = vec![
        ("EVENTS_QUEUE_URL", queue("events")),
        ("QUARANTINE_QUEUE_URL", queue("quarantine")),
        ("IMAGES_QUEUE_URL", queue("images")),
        ("RATES_URL", format!("{aws}/rates")),
        ("ALI1688_URL", market.to_owned()),
        ("TAOBAO_URL", market.to_owned()),
        ("AWS_ENDPOINT_URL", aws.to_owned()),
        ("SMITHY_CLIENT_SDK_CUSTOM_PARTITION", unpacked.join(PARTITIONS).display().to_string()),
    ];
    let fixed = [
        ("AWS_REGION", "us-east-1"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "bench"),
        ("AWS_SECRET_ACCESS_KEY", "bench"),
        ("SECRET_ID", "secrets"),
        ("ORDERS_TABLE", "orders"),
        ("TRADES_TABLE", "trades"),
        ("PAYMENTS_TABLE", "payments"),
        ("IMAGES_TABLE", "images"),
        ("SWEEPS_TABLE", "sweeps"),
        ("NONCES_TABLE", "nonces"),
        ("DETAILS_BUCKET", "details"),
        ("IMAGES_BUCKET", "images"),
        ("QUOTE_TOLERANCE_PERCENT", "2"),
        ("SHOPS_AT_ONCE", "4"),
        ("IMAGE_HOSTS", "alicdn.com"),
        ("IMAGE_BYTES_PER_SECOND", "52428800"),
        ("IMAGE_CONCURRENCY", "10"),
        ("IMAGE_INSTANCES", "2"),
        ("THUMBNAILS", "on"),
    ];
    environment.extend(fixed.map(|(name, value)| (name, value.to_owned())));
    environment
}

impl Bench {
    async fn new(scale: Scale) -> anyhow::Result<Self> {
        let programs = unpacked()?;
        let aws = Aws::start(SECRETS.to_owned()).await?;
        let market = Server::start(marketplace()).await?;
        Ok(Self { scale, aws, market, sender: Sender::new()?, programs })
    }

    fn program(&self, name: &'static str) -> Program {
        self.program_at(name, self.programs.path())
    }

    fn program_at(&self, name: &'static str, unpacked: &Path) -> Program {
        self.program_of(name, vec![unpacked.join(name)])
    }

    fn program_of(&self, name: &'static str, command: Vec<PathBuf>) -> Program {
        let environment = environment(&self.aws.url, &self.market.url, self.programs.path());
        Program { name, command, environment }
    }

    /// How long each takes from its start to its first poll, in turns; and how large each is.
    async fn starts(&self, figures: &mut Figures) -> anyhow::Result<()> {
        let programs: Vec<Program> = [NO_OP].into_iter().chain(FUNCTIONS).map(|name| self.program(name)).collect();
        let mut fastest = vec![Duration::MAX; programs.len()];
        let (mut settled, mut in_vain, mut unpackings) = (fastest.clone(), 0, 0);
        while in_vain < self.scale.unpackings && unpackings < self.scale.unpackings_max {
            let unpacked = unpacked()?;
            for _ in 0..self.scale.starts {
                for (fastest, program) in fastest.iter_mut().zip(&programs) {
                    let program = self.program_at(program.name, unpacked.path());
                    *fastest = Instance::start(&program).await?.init.min(*fastest);
                }
            }
            unpackings += 1;
            in_vain += 1;
            if fastest.iter().zip(&settled).any(|(now, settled)| *now < settled.mul_f64(FASTER)) {
                (in_vain, settled) = (0, fastest.clone());
            }
        }
        if in_vain < self.scale.unpackings {
            eprintln!("After {unpackings} unpackings starts still became faster: this machine does not come to rest.");
        }
        let yardstick = micros(fastest.first().copied().unwrap_or_default());
        for (program, fastest) in programs.iter().zip(fastest) {
            let is_yardstick = program.name == NO_OP;
            figures.add(Row {
                what: "init, from exec to the first poll".to_owned(),
                who: program.name,
                figure: micros(fastest),
                unit: Unit::Micros,
                budget: if is_yardstick { Budget::None } else { Budget::AtMost(INIT_NO_OPS_MAX * yardstick) },
                of: Some(yardstick),
            });
        }
        for program in &programs {
            let bytes = program.command.first().map(|path| size(path)).transpose()?.unwrap_or_default();
            figures.add(row("program".to_owned(), program.name, bytes, Unit::Bytes, Budget::None));
        }
        Ok(())
    }

    /// What a unit of work costs those that work all day.
    async fn works(&self, rivals: &Rivals, figures: &mut Figures) -> anyhow::Result<Works> {
        let webhook = self.work(&self.program("webhook-intake"), |nth| Ok(self.sender.push(nth, 1)), accepted).await?;
        told("a delivery of 1688", "webhook-intake", webhook, figures);
        for rival in rivals.programs() {
            let program = self.program_of(rival.name, rival.command.clone());
            let theirs = self.work(&program, |nth| Ok(self.sender.push(nth, 1)), accepted).await?;
            told_beside("a delivery of 1688", rival.name, theirs, figures);
            figures.add(Row {
                what: format!("CPU of a delivery, against {}", rival.name),
                who: "webhook-intake",
                figure: micros(webhook.cpu),
                unit: Unit::Micros,
                budget: Budget::AtMost(micros(theirs.cpu) / RIVAL_TIMES_MIN),
                of: Some(micros(theirs.cpu)),
            });
        }
        let batch = self.work(&self.program("status-writer"), |nth| Ok(events::batch(nth)), none_failed).await?;
        told("a batch of ten events", "status-writer", batch, figures);
        let callback = |nth| self.sender.callback(nth, &format!("order-{nth}"));
        let callback = self.work(&self.program("payment-callback"), callback, accepted).await?;
        told("a callback of Stripe", "payment-callback", callback, figures);
        Ok(Works { webhook, batch, callback })
    }

    /// One instance at work.
    async fn work(
        &self,
        program: &Program,
        event: impl Fn(u64) -> anyhow::Result<String>,
        is_done: fn(&str) -> bool,
    ) -> anyhow::Result<Work> {
        let Scale { warm_up, counted, .. } = self.scale;
        let mut instance = Instance::start(program).await?;
        let mut first = None;
        let mut before = (instance.cost()?, instance.logged_bytes());
        let mut on_the_clock = Duration::ZERO;
        for nth in 0..warm_up + counted {
            if nth == warm_up {
                before = (instance.cost()?, instance.logged_bytes());
                on_the_clock = Duration::ZERO;
            }
            let event = event(nth)?;
            let began = Instant::now();
            let answer = instance.invoke(event).await.with_context(|| format!("{}, event {nth}", program.name))?;
            let took = began.elapsed();
            ensure!(is_done(&answer), "{} answered event {nth}: {answer}", program.name);
            first = first.or(Some(took));
            on_the_clock += took;
        }
        let cost = instance.cost()?;
        let times = u32::try_from(counted)?;
        Ok(Work {
            first: first.unwrap_or_default(),
            warm: on_the_clock / times,
            cpu: cost.cpu.saturating_sub(before.0.cpu) / times,
            peak_bytes: cost.peak_bytes,
            logged_bytes: instance.logged_bytes().saturating_sub(before.1) / counted,
        })
    }

    /// What each asks of AWS for a unit of work. Secrets are read at the start, and every five minutes.
    async fn counts(&self, figures: &mut Figures) -> anyhow::Result<()> {
        let calls = self.asked("webhook-intake", [self.sender.push(0, ORDERS_OF_PUSH)], accepted).await?;
        let expected = ORDERS_OF_PUSH.div_ceil(MESSAGES_PER_CALL);
        let what = format!("requests to SQS, a push of {ORDERS_OF_PUSH} orders");
        figures.add(counted(&what, "webhook-intake", &calls, &["SendMessageBatch"], expected));

        let batches = [events::batch(0), events::batch(0)];
        let calls = self.asked("status-writer", batches, none_failed).await?;
        let what = format!("writes, ten events on {ITEMS_OF_BATCH} items, twice");
        figures.add(counted(&what, "status-writer", &calls, &["UpdateItem"], 2 * ITEMS_OF_BATCH));
        figures.add(counted("reads, the same", "status-writer", &calls, &["GetItem", "Query", "BatchGetItem"], 0));

        let once = self.sender.callback(u64::MAX, ORDER)?;
        let calls = self.asked("payment-callback", [once.clone()], accepted).await?;
        figures.add(counted("calls, a callback", "payment-callback", &calls, &["PutItem"], 1));
        let calls = self.asked("payment-callback", [once], accepted).await?;
        figures.add(counted("calls, the same callback again", "payment-callback", &calls, &["PutItem"], 1));

        events::links().into_iter().for_each(|item| self.aws.keep("orders", item));
        let has_all = |answer: &str| accepted(answer) && answer.contains("1000000003") && answer.contains("10230");
        let calls = self.asked("orders-api", [self.sender.read_order(0, ORDER)], has_all).await?;
        let reads = ["Query", "BatchGetItem", "GetItem"];
        figures.add(counted("calls, an order of three trades and a payment", "orders-api", &calls, &reads, READ_CALLS));
        figures.add(counted("calls, its client's nonce", "orders-api", &calls, &["PutItem"], NONCE_CALLS));
        figures.add(self.sweep().await?);
        Ok(())
    }

    /// Calls for lists of a sweep of one window.
    async fn sweep(&self) -> anyhow::Result<Row> {
        let at = |hours: i64| SystemClock.now().saturating_add_ms(-hours * HOUR_MS).to_rfc3339();
        let request = json!({"kind": "backfill", "marketplace": "taobao", "shop": "demo", "from": at(25), "to": at(1)});
        let mut instance = Instance::start(&self.program("order-sweep")).await?;
        self.market.take_calls();
        let answer: Value = serde_json::from_str(&instance.invoke(request.to_string()).await?)?;
        let is_finished = answer.pointer("/sweeps/0/outcome").is_some_and(|outcome| outcome == "finished");
        let listed = answer.pointer("/sweeps/0/listed").and_then(Value::as_u64).filter(|_| is_finished);
        let listed = listed.with_context(|| format!("order-sweep answered {answer}"))?;
        let calls = self.market.take_calls();
        let lists = calls.iter().filter(|(name, _)| name.contains(LIST_CALL)).map(|(_, count)| count).sum();
        let budget = Budget::AtMost(listed.div_ceil(PAGE_ROWS) + 1);
        Ok(row(format!("calls for pages, a window of {listed} orders"), "order-sweep", lists, Unit::Count, budget))
    }

    /// What a fresh instance asks for these events.
    async fn asked<const N: usize>(
        &self,
        name: &'static str,
        events: [String; N],
        is_done: impl Fn(&str) -> bool,
    ) -> anyhow::Result<Calls> {
        let mut instance = Instance::start(&self.program(name)).await?;
        self.aws.take_calls();
        for event in events {
            let answer = instance.invoke(event).await?;
            ensure!(is_done(&answer), "{name} answered: {answer}");
        }
        Ok(self.aws.take_calls())
    }
}

/// The answer to a request that was done.
fn accepted(answer: &str) -> bool {
    answer.contains(r#""statusCode":200"#)
}

/// The answer to a batch that was done.
fn none_failed(answer: &str) -> bool {
    answer.contains(r#""batchItemFailures":[]"#)
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn size(path: &Path) -> anyhow::Result<u64> {
    Ok(std::fs::metadata(path).with_context(|| format!("{} is not built", path.display()))?.len())
}

fn row(what: String, who: &'static str, figure: u64, unit: Unit, budget: Budget) -> Row {
    Row { what, who, figure, unit, budget, of: None }
}

/// The figures of somebody's work, whose memory has a budget.
fn told(what: &str, who: &'static str, work: Work, figures: &mut Figures) {
    told_beside(what, who, Work { peak_bytes: 0, ..work }, figures);
    figures.add(row(format!("peak memory, {what}"), who, work.peak_bytes, Unit::Bytes, Budget::AtMost(PEAK_BYTES_MAX)));
}

/// The figures of somebody's work.
fn told_beside(what: &str, who: &'static str, work: Work, figures: &mut Figures) {
    let rows = [("first", work.first), ("warm", work.warm), ("CPU", work.cpu)];
    for (which, time) in rows {
        figures.add(row(format!("{which}, {what}"), who, micros(time), Unit::Micros, Budget::None));
    }
    if work.peak_bytes > 0 {
        figures.add(row(format!("peak memory, {what}"), who, work.peak_bytes, Unit::Bytes, Budget::None));
    }
}

/// How often these operations were asked for.
fn counted(what: &str, who: &'static str, calls: &Calls, operations: &[&str], expected: u64) -> Row {
    let asked: Vec<Asked> = operations.iter().filter_map(|name| calls.get(*name).copied()).collect();
    let (requests, bytes) = asked.iter().fold((0, 0), |sum, one| (sum.0 + one.requests, sum.1 + one.bytes));
    row(format!("{what} ({bytes} B)"), who, requests, Unit::Count, Budget::Exactly(expected))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_is_measured() {
        let folders = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../functions")).unwrap();
        let mut folders: Vec<String> =
            folders.map(|folder| folder.unwrap().file_name().into_string().unwrap()).collect();
        folders.sort();
        let mut measured = FUNCTIONS;
        measured.sort_unstable();
        assert_eq!(folders, measured);
    }
}
