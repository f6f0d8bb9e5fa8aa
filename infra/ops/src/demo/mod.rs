//! `sampan local demo`: the main job, shown. The shop front creates orders; deliveries and callbacks go in as 1688, a
//! warehouse, six gateways and strangers send them, repeated and in any order; and what comes out is read back,
//! checked against the story, and printed. Then marketplaces are asked for orders of which nobody told, and for products,
//! whose pictures are brought here.

mod acts;
mod beside;
mod images;
mod payments;
mod plan;
mod probe;
mod shop_front;
mod story;
mod sweeps;
mod tally;

use std::time::Duration;

use adapters::clock::{Clock, SystemClock};
use adapters::secrets::Secrets;
use anyhow::{Context, bail};
use clap::Args;
use domain::{OrderStatus, OrderView, UnixMillis};

use crate::http::Api;
use crate::local::SimulatedUrls;
use crate::samples::Gateways;
use crate::simulate::{Simulated, SimulatedImages};
use crate::stack::Session;
use crate::table::{bar, heading, step};
use crate::{orders, queues, table};
use acts::Senders;
use beside::{Beside, beside_table};
use plan::{Order, Plan, Planned};
use shop_front::ShopFront;
use tally::Tally;

/// Of so many deliveries about one is sent twice, as senders do that missed an answer.
const DUPLICATE_ONE_IN: usize = 4;
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

/// Runs the demo, and fails when anything ended otherwise than the story tells. Sweeps are shown where the stack asks
/// these simulated marketplaces.
pub async fn run(session: &Session, simulated: Option<SimulatedUrls>, arguments: Arguments) -> anyhow::Result<()> {
    let now = SystemClock.now();
    let seed = arguments.seed.unwrap_or_else(|| now.get().unsigned_abs());
    let secrets = session.secrets().await?;
    let (api, gateways, shop_front) = (session.api()?, Gateways::new(&secrets), ShopFront::new(&secrets)?);
    let plan =
        plan::plan(&secrets, &gateways, now).context("the demo needs the secrets of infra/local/secrets.json")?;
    let senders = Senders { api: &api, secrets: &secrets, gateways: &gateways, shop_front: &shop_front };
    let mut tally = Tally::default();
    let mut random = fastrand::Rng::with_seed(seed);
    step("Demo", &format!("everything is shuffled with --seed {seed}"));
    let orders = play(session, &senders, plan, now, &mut random, &mut tally).await?;

    let views = read_orders(session, &orders).await?;
    let mut all = Vec::with_capacity(orders.len());
    for (order, view) in orders.iter().zip(&views) {
        all.push(Beside::read(session, order, view).await?);
    }
    print_endings(&tally, &all);
    print_quarantine(session).await?;
    print_time_to_visible(&api, &secrets, &shop_front, arguments.probes).await?;
    let swept = sweep(session, simulated.as_ref()).await?;
    let told = tally.surprises.into_iter().chain(all.iter().flat_map(Beside::surprises));
    let surprises: Vec<String> = told.chain(swept).collect();
    if !surprises.is_empty() {
        bail!("not everything went as the story tells (--seed {seed}):\n{}", surprises.join("\n"));
    }
    println!("\nAll answers, all {} orders and the whole ledger are as the story tells.", orders.len());
    print_next(&all);
    Ok(())
}

/// Plays the acts of the sweeps and of the pictures, unless the stack asks other marketplaces than the simulated ones.
async fn sweep(session: &Session, simulated: Option<&SimulatedUrls>) -> anyhow::Result<Vec<String>> {
    let asked = session.parameters().await?;
    let is_asked = |urls: &&SimulatedUrls| {
        let is_it = |name: &str| asked.get(name).is_some_and(|asked| *asked == urls.marketplaces);
        ["Ali1688Url", "TaobaoUrl"].into_iter().all(is_it)
    };
    let Some(urls) = simulated.filter(is_asked) else {
        heading("Sweeps and pictures are not shown: this stack asks other marketplaces than the simulated ones");
        return Ok(Vec::new());
    };
    let mut surprises = sweeps::play(session, &Simulated::new(urls.marketplaces.clone())?).await?;
    surprises.extend(images::play(session, &SimulatedImages::new(urls.images.clone())?).await?);
    Ok(surprises)
}

/// Plays the story: orders are created; everything is sent at once, and what the story says is late; money is given
/// back; and the gateways tell of that.
async fn play(
    session: &Session,
    senders: &Senders<'_>,
    plan: Plan,
    now: UnixMillis,
    random: &mut fastrand::Rng,
    tally: &mut Tally,
) -> anyhow::Result<Vec<Order>> {
    let Plan { mut first, mut late, mut orders } = plan;
    senders.create(&mut orders, tally).await?;
    let again: Vec<Planned> = first.iter().filter(|_| random.usize(..DUPLICATE_ONE_IN) == 0).cloned().collect();
    first.extend(again);
    for order in &mut orders {
        order.told = payments::told(order, now).with_context(|| format!("the payments of {}", order.id))?;
        for told in &order.told {
            // What cannot be told fails now, and not when half of the story is sent.
            senders.gateways.callback(&told.event, now).with_context(|| format!("the payments of {}", order.id))?;
            let callbacks = told.callbacks();
            if told.late { late.extend(callbacks) } else { first.extend(callbacks) }
        }
    }
    let mut send = async |mut all: Vec<Planned>, what: &str, tally: &mut Tally| {
        step("Sending", &format!("{} things: {what}", all.len()));
        random.shuffle(&mut all);
        senders.send(&all, tally).await
    };
    send(first, "deliveries, links, callbacks and forgeries, many of them twice", tally).await?;
    poison(session, now, tally).await?;
    settle(session, now, tally).await?;
    send(late, "what the story keeps for late", tally).await?;
    settle(session, now, tally).await?;
    let refunds = senders.refund(&mut orders, tally).await?;
    send(refunds, "callbacks that tell of the refunds that were just asked for", tally).await?;
    settle(session, now, tally).await?;
    Ok(orders)
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

async fn read_orders(session: &Session, orders: &[Order]) -> anyhow::Result<Vec<OrderView>> {
    let mut views = Vec::with_capacity(orders.len());
    for order in orders {
        let view = orders::read(session, &order.id).await?;
        views.push(view.with_context(|| format!("the order {} is not known", order.id))?);
    }
    Ok(views)
}

fn print_endings(tally: &Tally, all: &[Beside<'_>]) {
    heading("What became of everything that was sent");
    println!("{}", tally.table());
    heading("The orders");
    println!("{}", orders::orders_table(all.iter().map(|beside| (beside.order.id.as_str(), beside.view))));
    println!(
        "They are created when the demo runs, and all else is as old as the story tells: so PENDING may come late."
    );
    heading("The ledger beside the orders");
    println!("{}\n{}", beside_table(all), beside::LEGEND);
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

fn print_next(all: &[Beside<'_>]) {
    let id = all.first().map_or("ID", |beside| beside.order.id.as_str());
    let completed = all.iter().find(|beside| beside.view.status == OrderStatus::Completed);
    let trade = completed.and_then(|beside| beside.view.trades.first());
    let trade = trade.map_or("ID".to_owned(), |linked| linked.trade.trade_id.to_string());
    heading("Where to go next");
    for (command, what) in [
        (format!("target/debug/sampan order show {id} --json"), "an order, as its readers get it"),
        (format!("target/debug/sampan trade show 1688 {} {trade}", plan::SHOP), "a trade, with its parcels"),
        (format!("target/debug/sampan ledger show --order {id}"), "its payments, entry by entry"),
        ("target/debug/sampan ledger list --conflicts".to_owned(), "payments that were told of in two ways"),
        ("target/debug/sampan watermark show".to_owned(), "how far each sweep of the marketplaces is"),
        ("target/debug/sampan sweep --marketplace taobao --all".to_owned(), "ask a marketplace now for what changed"),
        (
            format!("target/debug/sampan audit --marketplace 1688 --shop {}", plan::SHOP),
            "yesterday's orders there beside ours",
        ),
        (
            format!("target/debug/sampan images sync --shop {} --full", plan::SHOP),
            "the pictures of all its products once more",
        ),
        ("target/debug/sampan images verify".to_owned(), "what is known of pictures beside the bucket"),
        ("target/debug/sampan send --sample ORDER_BUYER_VIEW_ORDER_PAY".to_owned(), "a delivery of your own"),
        ("target/debug/sampan send --help".to_owned(), "how to send events and payments of your own"),
        ("target/debug/sampan help".to_owned(), "all that the operator can do"),
        ("target/debug/sampan order list --status PURCHASED".to_owned(), "the orders of a status"),
        ("make demo".to_owned(), "the same again, with new orders"),
        ("make down".to_owned(), "stop it all"),
    ] {
        println!("  {command:<72} {what}");
    }
}
