//! `sampan sweep` and `sampan audit`: order-sweep, invoked now and not by its schedule.
//!
//! Invariant: nothing is decided here of what a sweep reads. Another run may be at it, and a run may end before its
//! work does: then it is invoked again, and goes on where the sweeps table says.

use std::time::Duration;

use adapters::aws::dynamodb::DynamoSweeps;
use adapters::clock::{Clock, SystemClock};
use adapters::ports::{SweepKey, Sweeps};
use anyhow::{Context, bail, ensure};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use comfy_table::Table;
use domain::sweep::{Limits, SweepKind, SweepState, Window};
use domain::{InvalidText, Marketplace, ShopId, UnixMillis};
use indicatif::ProgressBar;
use protocols::sweeps::{Outcome, Request, Swept, Whose};

use crate::days;
use crate::invoke::Function;
use crate::stack::Session;
use crate::table::{step, table};

/// Between two looks at the state of a sweep that another run is at.
pub(crate) const LOOK_MS: u64 = 1_000;
/// How long another run may give no sign of life. One that is alive gives one every 10 seconds; a dead one is taken over.
const STILL_MS_MAX: u64 = 30_000;
/// The longest silence that is waited for, in milliseconds. Beyond it a person rather comes back later.
const SILENCE_MS_MAX: i64 = 10 * 60 * 1_000;
/// Runs in a row that may fail before a person is asked. The function has tried each call several times by then.
pub(crate) const FAILURES_MAX: u32 = 3;
/// Between a run that failed and the next.
pub(crate) const FAILURE_MS: u64 = 5_000;

/// Which shops to sweep now.
#[derive(Debug, Args)]
pub struct SweepArguments {
    /// Where
    #[arg(long, value_name = "MARKETPLACE", value_parser = marketplaces())]
    marketplace: Marketplace,
    #[command(flatten)]
    shops: Shops,
    /// What to read: what was modified since the watermark; messages that wait at Taobao; or yesterday's orders,
    /// compared with ours
    #[arg(long, value_name = "KIND", default_value = "incremental", value_parser = kinds())]
    kind: SweepKind,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Shops {
    /// One shop, by its name in the secrets document
    #[arg(long, value_parser = shop_name)]
    shop: Option<ShopId>,
    /// Every shop that the secrets document has a token of
    #[arg(long)]
    all: bool,
}

/// Which day to compare.
#[derive(Debug, Args)]
pub struct AuditArguments {
    #[command(flatten)]
    shop: ShopArguments,
    /// The day in China, YYYY-MM-DD [default: yesterday]
    #[arg(long, value_name = "DATE")]
    day: Option<String>,
}

/// One shop of one marketplace.
#[derive(Debug, Clone, Args)]
pub struct ShopArguments {
    /// Where
    #[arg(long, value_name = "MARKETPLACE", value_parser = marketplaces())]
    pub(crate) marketplace: Marketplace,
    /// The shop, by its name in the secrets document
    #[arg(long, value_parser = shop_name)]
    pub(crate) shop: ShopId,
}

impl ShopArguments {
    /// One of its sweeps.
    pub(crate) fn key(&self, kind: SweepKind) -> SweepKey {
        SweepKey { kind, marketplace: self.marketplace, shop: self.shop.clone() }
    }
}

/// The marketplaces by their names.
pub(crate) fn marketplaces() -> impl TypedValueParser<Value = Marketplace> {
    let names = Marketplace::ALL.map(Marketplace::as_str);
    PossibleValuesParser::new(names).try_map(|name| Marketplace::from_name(&name))
}

/// A shop by its name.
pub(crate) fn shop_name(name: &str) -> Result<ShopId, InvalidText> {
    ShopId::new(name)
}

/// What may be asked for without a window. A backfill has a command of its own.
fn kinds() -> impl TypedValueParser<Value = SweepKind> {
    let names = [SweepKind::Incremental, SweepKind::Tmc, SweepKind::Audit].map(SweepKind::as_str);
    PossibleValuesParser::new(names).try_map(|name| SweepKind::from_name(&name).ok_or("not a kind of sweep"))
}

/// Order-sweep, and the table of how far its sweeps are.
#[derive(Debug)]
pub struct Sweeper {
    function: Function,
    sweeps: DynamoSweeps,
    /// What shows how far it is while it says something.
    bar: ProgressBar,
}

impl Sweeper {
    /// That of a stack.
    pub fn new(session: &Session) -> anyhow::Result<Self> {
        let function = Function::new(session, "order-sweep")?;
        Ok(Self { function, sweeps: session.sweeps()?, bar: ProgressBar::hidden() })
    }

    /// The same, which shows beside this bar what it has to say.
    #[must_use]
    pub(crate) fn beside(self, bar: ProgressBar) -> Self {
        Self { bar, ..self }
    }

    /// How far a sweep is.
    pub async fn state(&self, key: &SweepKey) -> anyhow::Result<SweepState> {
        self.sweeps.read(key).await.with_context(|| format!("cannot read how far the sweep {key} is"))
    }

    /// One run, for one shop or for all of a marketplace. A backfill and an audit have a goal.
    pub async fn invoke(&self, kind: SweepKind, whose: &Whose, goal: Option<Window>) -> anyhow::Result<Vec<Swept>> {
        self.function.sweep(&Request::new(kind.as_str(), whose, goal)).await
    }

    /// Runs until the sweep of one shop is through, however many runs that takes, and waits for other runs, for short
    /// silences, and out of short failures. The state that it ends with.
    pub async fn run(&self, key: &SweepKey, goal: Option<Window>) -> anyhow::Result<SweepState> {
        let whose = Whose { marketplace: key.marketplace, shop: Some(key.shop.clone()) };
        let (mut failures, mut watermark) = (0, None);
        loop {
            let (state, was_held) = self.wait_for_others(key).await?;
            let is_through = state.goal.is_some() && state.goal == goal && state.remaining().is_none();
            if was_held && is_through {
                // Another run did what is asked for. Asked again, it would be done again.
                return Ok(state);
            }
            let answer = self.invoke(key.kind, &whose, goal).await?;
            let Some(swept) = answer.into_iter().next() else { bail!("order-sweep answered nothing for {key}") };
            let reason = swept.reason.unwrap_or_default();
            let is_further = watermark != swept.watermark;
            failures = if swept.outcome == Outcome::Failed && !is_further { failures + 1 } else { 0 };
            watermark = swept.watermark;
            match swept.outcome {
                Outcome::Finished => return self.state(key).await,
                Outcome::Unfinished | Outcome::Held => {}
                Outcome::Paused => self.keep_silent(key).await?,
                Outcome::Failed if failures < FAILURES_MAX => {
                    self.tell(&format!("{reason}; trying again"));
                    tokio::time::sleep(Duration::from_millis(FAILURE_MS)).await;
                }
                Outcome::Failed => bail!("{key} failed {failures} times: {reason}; the log of order-sweep says more"),
                Outcome::Refused => bail!("{key} was refused: {reason}"),
            }
        }
    }

    /// Waits while another run is at the sweep and alive. The state then, and whether there was one.
    async fn wait_for_others(&self, key: &SweepKey) -> anyhow::Result<(SweepState, bool)> {
        let mut state = self.state(key).await?;
        let (mut was_held, mut still_ms) = (false, 0);
        while state.lease.is_some() && still_ms < STILL_MS_MAX {
            if !was_held {
                self.tell("another run is at it; waiting for its end");
            }
            tokio::time::sleep(Duration::from_millis(LOOK_MS)).await;
            let next = self.state(key).await?;
            still_ms = if next.lease == state.lease { still_ms + LOOK_MS } else { 0 };
            (state, was_held) = (next, true);
        }
        Ok((state, was_held))
    }

    /// Waits until the marketplace may be asked again, when that is soon.
    async fn keep_silent(&self, key: &SweepKey) -> anyhow::Result<()> {
        let now = SystemClock.now();
        let Some(until) = self.state(key).await?.paused_until.filter(|until| now < *until) else { return Ok(()) };
        let left_ms = until.ms_since(now);
        ensure!(
            left_ms <= SILENCE_MS_MAX,
            "{} asked for silence until {}; run the same again then, it goes on where it is",
            key.marketplace.as_str(),
            days::moment(until)
        );
        self.tell(&format!("{} asked for silence of {}", key.marketplace.as_str(), days::span(left_ms)));
        // A little longer: the function's clock may be behind this one.
        tokio::time::sleep(Duration::from_millis(left_ms.unsigned_abs().saturating_add(LOOK_MS))).await;
        Ok(())
    }

    /// Says something beside the bar, where there is one.
    fn tell(&self, what: &str) {
        self.bar.suspend(|| step("Sweep", what));
    }
}

/// Sweeps now, once.
pub async fn run(session: &Session, arguments: SweepArguments) -> anyhow::Result<()> {
    let SweepArguments { marketplace, shops: Shops { shop, all: _ }, kind } = arguments;
    let answer = Sweeper::new(session)?.invoke(kind, &Whose { marketplace, shop }, None).await?;
    println!("{}", swept_table(&answer));
    if answer.iter().any(|swept| swept.outcome == Outcome::Unfinished) {
        step("Sweep", "a run was over before its work; the next one goes on, or run this again");
    }
    let bad = |swept: &&Swept| matches!(swept.outcome, Outcome::Failed | Outcome::Refused);
    let bad = answer.iter().filter(bad).count();
    ensure!(bad == 0, "{bad} of {} sweeps did not go well", answer.len());
    Ok(())
}

fn swept_table(answer: &[Swept]) -> Table {
    let mut rows = table(["sweep", "outcome", "read", "queued", "watermark", "why"]);
    for swept in answer {
        let watermark = swept.watermark.as_deref();
        let watermark = watermark.map(|text| UnixMillis::from_rfc3339(text).map_or(text.to_owned(), days::moment));
        rows.add_row([
            format!("{} {} {}", swept.kind, swept.marketplace, swept.shop),
            swept.outcome.as_str().to_owned(),
            swept.listed.to_string(),
            swept.changed.to_string(),
            watermark.unwrap_or_default(),
            swept.reason.clone().unwrap_or_default(),
        ]);
    }
    rows
}

/// Compares a day's orders with ours, and queues what differs.
pub async fn audit(session: &Session, arguments: AuditArguments) -> anyhow::Result<()> {
    let AuditArguments { shop, day } = arguments;
    let now = SystemClock.now();
    let day = match day {
        Some(day) => days::whole(&day)?,
        None => days::yesterday(now)?,
    };
    let name = days::name(day.start());
    let settled = now.saturating_add_ms(-Limits::DEFAULT.settle_lag_ms);
    ensure!(day.end() <= settled, "{name} is not over in China; an audit looks at a whole day");
    let key = shop.key(SweepKind::Audit);
    step("Audit", &format!("{} {} of {name}", shop.marketplace.as_str(), shop.shop));
    let state = Sweeper::new(session)?.run(&key, Some(day)).await?;
    let mut found = table(["day", "listed", "differ", "what became of them"]);
    let became = if state.changed == 0 { "" } else { "queued; the writer stores them" };
    found.add_row([name, state.listed.to_string(), state.changed.to_string(), became.to_owned()]);
    println!("{found}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        arguments: SweepArguments,
    }

    fn read(words: &str) -> Result<SweepArguments, clap::Error> {
        Line::try_parse_from(words.split(' ')).map(|line| line.arguments)
    }

    #[test]
    fn one_shop_or_every_shop_is_meant_and_said() {
        let one = read("sweep --marketplace 1688 --shop demo").unwrap();
        assert_eq!((one.marketplace, one.kind), (Marketplace::Alibaba1688, SweepKind::Incremental));
        assert_eq!(one.shops.shop.unwrap().as_str(), "demo");
        assert_eq!(read("sweep --marketplace taobao --all --kind tmc").unwrap().kind, SweepKind::Tmc);
        for words in [
            "sweep --marketplace 1688",
            "sweep --marketplace 1688 --all --shop demo",
            "sweep --marketplace ebay --all",
            "sweep --marketplace 1688 --shop *",
            "sweep --marketplace 1688 --all --kind backfill",
        ] {
            assert!(read(words).is_err(), "{words}");
        }
    }

    #[test]
    fn the_table_says_where_a_sweep_stands_and_why_it_did_not_finish() {
        let shop = ShopId::new("a").unwrap();
        let ended = |outcome| Swept::ended(SweepKind::Audit, Marketplace::Taobao, &shop, outcome);
        let failed = Swept {
            watermark: Some("2026-11-24T16:00:00.000Z".to_owned()),
            reason: Some("away".to_owned()),
            ..ended(Outcome::Failed)
        };
        let shown = swept_table(&[ended(Outcome::Held), failed]).to_string();
        assert!(shown.contains("2026-11-25T00:00:00+08:00") && shown.contains("away"), "{shown}");
    }
}
