//! `sampan local demo`: the main job, shown. Deliveries go in as 1688, a warehouse and strangers send them,
//! and what comes out is read back, checked against the story, and printed.

mod plan;
mod probe;
mod shop_front;
mod tally;

use std::time::Duration;

use adapters::clock::{Clock, SystemClock};
use adapters::secrets::Secrets;
use anyhow::{Context, bail};
use clap::Args;
use domain::{OrderView, UnixMillis};
use futures::{StreamExt, TryStreamExt};

use crate::http::Api;
use crate::queues;
use crate::stack::Session;
use crate::table::{bar, heading, step};
use crate::{orders, table};
use plan::{Act, Ending, Planned};
use shop_front::ShopFront;
use tally::Tally;

/// Of so many deliveries about one is sent twice, as senders do that missed an answer.
const DUPLICATE_ONE_IN: usize = 4;
/// Requests at once.
const SENDERS: usize = 8;
/// Between two looks at the logs.
const LOOK_MS: u64 = 250;
/// Looks at the logs: half a minute, for a stack whose functions start cold.
const LOOKS_MAX: u32 = 120;
/// Messages of the quarantine that are shown.
const QUARANTINE_SHOWN: usize = 10;

/// How the demo is run.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The seed of the order in which deliveries are sent [default: a new one, which is printed]
    #[arg(long)]
    seed: Option<u64>,
    /// Events that the time from POST to visible is measured with
    #[arg(long, default_value_t = 100)]
    probes: usize,
}

/// Runs the demo, and fails when anything ended otherwise than the story tells.
pub async fn run(session: &Session, arguments: Arguments) -> anyhow::Result<()> {
    let now = SystemClock.now();
    let seed = arguments.seed.unwrap_or_else(|| now.get().unsigned_abs());
    let secrets = session.secrets().await?;
    let api = session.api()?;
    let shop_front = ShopFront::new(&secrets)?;
    let mut plan = plan::plan(&secrets, now).context("the demo needs the secrets of infra/local/secrets.json")?;
    let mut random = fastrand::Rng::with_seed(seed);
    let twice: Vec<Planned> = plan.first.iter().filter(|_| random.usize(..DUPLICATE_ONE_IN) == 0).cloned().collect();
    step(
        "Demo",
        &format!("{} things to send, {} of them twice, shuffled with --seed {seed}", plan.first.len(), twice.len()),
    );
    plan.first.extend(twice);
    random.shuffle(&mut plan.first);

    let sender = Sender { api: &api, secrets: &secrets, shop_front: &shop_front };
    let mut tally = Tally::default();
    let mut kinds: Vec<&str> = plan.first.iter().map(|planned| planned.kind.as_str()).collect();
    kinds.sort_unstable();
    for kind in kinds {
        tally.row(kind);
    }
    sender.send(&plan.first, &mut tally).await?;
    poison(session, now, &mut tally).await?;
    settle(session, now, &mut tally).await?;
    sender.send(&plan.late, &mut tally).await?;
    settle(session, now, &mut tally).await?;

    let orders = read_orders(session, &plan.endings).await?;
    heading("What became of everything that was sent");
    println!("{}", tally.table());
    heading("The orders");
    println!("{}", orders::orders_table(orders.iter().map(|(ending, view)| (ending.order.as_str(), view))));
    print_quarantine(session).await?;
    print_time_to_visible(&api, &secrets, &shop_front, arguments.probes).await?;
    let surprises = surprises(&tally, &orders);
    if !surprises.is_empty() {
        bail!("not everything went as the story tells (--seed {seed}):\n{}", surprises.join("\n"));
    }
    println!("\nAll answers and all {} orders are as the story tells.", orders.len());
    print_next(&orders);
    Ok(())
}

struct Sender<'a> {
    api: &'a Api,
    secrets: &'a Secrets,
    shop_front: &'a ShopFront<'a>,
}

impl Sender<'_> {
    async fn send(&self, all: &[Planned], tally: &mut Tally) -> anyhow::Result<()> {
        let bar = bar("Sending", all.len());
        let mut answers = futures::stream::iter(all)
            .map(|planned| async move { anyhow::Ok((planned, self.send_one(planned).await?)) })
            .buffer_unordered(SENDERS);
        while let Some((planned, label)) = answers.try_next().await? {
            tally.answered(planned, label);
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(())
    }

    /// The answer's label. An order that a client reads or writes has no word of its own in it.
    async fn send_one(&self, planned: &Planned) -> anyhow::Result<String> {
        let request = match &planned.act {
            Act::Deliver(delivery) => delivery.sign(self.secrets, SystemClock.now())?,
            Act::Request(request) => request.clone(),
            Act::Link(order, trades) => self.shop_front.link(order, plan::SHOP, trades),
        };
        let answer = self.api.send(request).await?;
        let is_order = answer.is_success() && matches!(planned.act, Act::Link(..));
        Ok(if is_order { answer.status.to_string() } else { answer.label() })
    }
}

/// A stranger with a key to the queue puts something on it that is no event.
async fn poison(session: &Session, now: UnixMillis, tally: &mut Tally) -> anyhow::Result<()> {
    let body = format!("not an event, of the demo at {}", now.to_rfc3339());
    let send = session.sqs().send_message().queue_url(session.stack.queue("events")?).message_body(body);
    let sent = send.send().await.context("cannot put a message on the events queue")?;
    let id = sent.message_id().context("the queue gave the message no id")?;
    tally.queued("poison: put on the queue directly", id.to_owned());
    Ok(())
}

/// Waits until the functions have told of everything that was accepted.
async fn settle(session: &Session, since: UnixMillis, tally: &mut Tally) -> anyhow::Result<()> {
    let bar = bar("Settling", tally.expected);
    for _ in 0..LOOKS_MAX {
        let told = tally.read_outcomes(session, since).await?;
        bar.set_position(u64::try_from(told).unwrap_or(u64::MAX));
        if told >= tally.expected {
            bar.finish_and_clear();
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(LOOK_MS)).await;
    }
    bar.finish_and_clear();
    tally.surprises.push("the logs do not tell of everything that was accepted".to_owned());
    Ok(())
}

async fn read_orders<'a>(session: &Session, endings: &'a [Ending]) -> anyhow::Result<Vec<(&'a Ending, OrderView)>> {
    let mut orders = Vec::with_capacity(endings.len());
    for ending in endings {
        let view = orders::read(session, &ending.order).await?;
        orders.push((ending, view.with_context(|| format!("the order {} is not known", ending.order))?));
    }
    Ok(orders)
}

/// What is not as the story tells.
fn surprises(tally: &Tally, orders: &[(&Ending, OrderView)]) -> Vec<String> {
    let mut surprises = tally.surprises.clone();
    for (ending, view) in orders {
        if view.status.as_str() != ending.status {
            surprises.push(format!("{}: {} in place of {}", ending.order, view.status.as_str(), ending.status));
        }
        let raised = |flag: &&String| view.flags.iter().any(|raised| raised.as_str() == flag.as_str());
        let missing = ending.flags.iter().filter(|flag| !raised(flag));
        surprises.extend(missing.map(|flag| format!("{}: the flag {flag} is not raised", ending.order)));
    }
    surprises
}

async fn print_quarantine(session: &Session) -> anyhow::Result<()> {
    let mut kept = queues::list(session).await?;
    heading(&format!(
        "The quarantine holds {} (nothing is lost: `sampan quarantine list`, `sampan quarantine replay`)",
        kept.len()
    ));
    let surplus = kept.len().saturating_sub(QUARANTINE_SHOWN);
    println!("{}", queues::kept_table(&kept.split_off(surplus)));
    Ok(())
}

async fn print_time_to_visible(
    api: &Api,
    secrets: &Secrets,
    shop_front: &ShopFront<'_>,
    probes: usize,
) -> anyhow::Result<()> {
    if probes == 0 {
        return Ok(());
    }
    let took = probe::measure(api, secrets, shop_front, probes).await?;
    heading("From POST to visible in GET /orders/{id}");
    let mut rows = table::table(["probes", "p50", "p99", "longest"]);
    let shown = [50, 99, 100].map(|percent| format!("{:.1?}", probe::percentile(&took, percent)));
    rows.add_row([took.len().to_string()].into_iter().chain(shown));
    println!("{rows}");
    println!("One after the other. The emulator ignores the batching window; on AWS it adds up to 5 s.");
    Ok(())
}

fn print_next(orders: &[(&Ending, OrderView)]) {
    let id = orders.first().map_or("ID", |(ending, _)| ending.order.as_str());
    let trade = orders.first().and_then(|(_, view)| view.trades.first());
    let trade = trade.map_or("ID".to_owned(), |linked| linked.trade.trade_id.to_string());
    heading("Where to go next");
    for (command, what) in [
        (format!("target/debug/sampan order show {id} --json"), "an order, as its readers get it"),
        (format!("target/debug/sampan trade show 1688 {} {trade}", plan::SHOP), "a trade, with its parcels"),
        ("target/debug/sampan send --sample ORDER_BUYER_VIEW_ORDER_PAY".to_owned(), "a delivery of your own"),
        ("target/debug/sampan help".to_owned(), "all that the operator can do"),
        ("target/debug/sampan order list".to_owned(), "all orders"),
        ("make demo".to_owned(), "the same again, with new orders"),
        ("make down".to_owned(), "stop it all"),
    ] {
        println!("  {command:<72} {what}");
    }
}
