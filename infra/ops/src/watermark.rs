//! `sampan watermark`: how far sweeps are, and setting one back.

use adapters::clock::{Clock, SystemClock};
use adapters::ports::{SweepKey, Sweeps};
use adapters::secrets::Secrets;
use anyhow::{Context, bail, ensure};
use clap::{Args, Subcommand};
use comfy_table::Table;
use domain::sweep::{SweepKind, SweepState, Window};
use domain::{Marketplace, ShopId, UnixMillis};

use crate::days;
use crate::stack::Session;
use crate::sweep::{ShopArguments, marketplaces, shop_name};
use crate::table::{step, table};

/// How often a watermark is set again because a sweep moved it at the same time. A sweep replaces its state every few
/// seconds.
const SET_TRIES_MAX: usize = 20;

/// What to do with watermarks.
#[derive(Debug, Subcommand)]
pub enum WatermarkCommand {
    /// Show how far every sweep of the stack's shops is
    Show(ShowArguments),
    /// Set how far the incremental sweep of a shop's orders or products is: the next one reads again what was modified
    /// since
    Set(SetArguments),
}

/// Which sweeps to show.
#[derive(Debug, Args)]
pub struct ShowArguments {
    /// Only those at one marketplace
    #[arg(long, value_name = "MARKETPLACE", value_parser = marketplaces())]
    marketplace: Option<Marketplace>,
    /// Only those of shops of this name
    #[arg(long, value_parser = shop_name)]
    shop: Option<ShopId>,
}

/// Which watermark to set, and where.
#[derive(Debug, Args)]
pub struct SetArguments {
    #[command(flatten)]
    shop: ShopArguments,
    /// That of its products, and not of its orders
    #[arg(long)]
    products: bool,
    /// A moment in RFC 3339, or a day in China as YYYY-MM-DD, from whose start on
    #[arg(long, value_name = "TIME")]
    to: String,
}

/// Shows or sets.
pub async fn run(session: &Session, command: WatermarkCommand) -> anyhow::Result<()> {
    match command {
        WatermarkCommand::Show(arguments) => show(session, &arguments).await,
        WatermarkCommand::Set(arguments) => set(session, &arguments).await,
    }
}

async fn show(session: &Session, arguments: &ShowArguments) -> anyhow::Result<()> {
    let (secrets, sweeps) = (session.secrets().await?, session.sweeps()?);
    let keys = keys(&secrets, arguments);
    ensure!(!keys.is_empty(), "the secrets document has no such shop with a token");
    let mut states = Vec::with_capacity(keys.len());
    for key in keys {
        let state = sweeps.read(&key).await.with_context(|| format!("cannot read how far the sweep {key} is"))?;
        states.push((key, state));
    }
    println!("{}", states_table(&states, SystemClock.now()));
    Ok(())
}

/// Every sweep of every shop that can be asked for.
pub(crate) fn keys_of(secrets: &Secrets) -> Vec<SweepKey> {
    keys(secrets, &ShowArguments { marketplace: None, shop: None })
}

/// Every sweep of every shop that can be asked for, or of those that are wanted.
fn keys(secrets: &Secrets, wanted: &ShowArguments) -> Vec<SweepKey> {
    let markets = Marketplace::ALL.into_iter().filter(|market| wanted.marketplace.is_none_or(|name| name == *market));
    let accounts = markets.flat_map(|market| secrets.accounts(market));
    let mut keys: Vec<SweepKey> = accounts
        .filter(|account| wanted.shop.as_ref().is_none_or(|shop| *shop == account.shop))
        .flat_map(|account| {
            let (marketplace, shop) = (account.marketplace(), account.shop);
            let kinds = SweepKind::ALL.into_iter();
            let kinds = kinds.filter(move |kind| is_swept(*kind, marketplace));
            kinds.map(move |kind| SweepKey { kind, marketplace, shop: shop.clone() })
        })
        .collect();
    keys.sort_by(|one, other| {
        (one.marketplace, &one.shop, one.kind).cmp(&(other.marketplace, &other.shop, other.kind))
    });
    keys
}

/// Messages wait at Taobao alone, and products are swept at 1688 alone.
const fn is_swept(kind: SweepKind, marketplace: Marketplace) -> bool {
    match kind {
        SweepKind::Tmc => matches!(marketplace, Marketplace::Taobao),
        SweepKind::Products | SweepKind::Catalogue => matches!(marketplace, Marketplace::Alibaba1688),
        SweepKind::Incremental | SweepKind::Backfill | SweepKind::Audit => true,
    }
}

fn states_table(states: &[(SweepKey, SweepState)], now: UnixMillis) -> Table {
    let mut rows = table(["marketplace", "shop", "kind", "watermark", "age", "goal", "silent until", "at work"]);
    for (key, state) in states {
        let watermark = state.watermark;
        let text = |text: Option<String>| text.unwrap_or_default();
        rows.add_row([
            key.marketplace.as_str().to_owned(),
            key.shop.to_string(),
            key.kind.as_str().to_owned(),
            // Messages are confirmed one by one, and have no watermark.
            watermark.map_or_else(|| "none".to_owned(), days::moment),
            text(watermark.map(|at| days::span(now.ms_since(at)))),
            text(state.goal.map(|goal| of_goal(state, goal))),
            text(state.paused_until.filter(|until| now < *until).map(days::moment)),
            text(state.lease.as_ref().map(|lease| format!("a run, beat {}", lease.beat))),
        ]);
    }
    rows
}

/// A goal, and how much of it is left.
fn of_goal(state: &SweepState, goal: Window) -> String {
    let left = match state.remaining() {
        Some(left) => format!("{} days left", days::days(left.length_ms())),
        None => "through".to_owned(),
    };
    format!("{} to {}: {left}", days::name(goal.start()), days::name(goal.end().saturating_add_ms(-1)))
}

async fn set(session: &Session, arguments: &SetArguments) -> anyhow::Result<()> {
    let to = days::start(&arguments.to)?;
    ensure!(to <= SystemClock.now(), "{} is in the future: nothing was read up to there", days::moment(to));
    let kind = if arguments.products { SweepKind::Products } else { SweepKind::Incremental };
    let key = arguments.shop.key(kind);
    ensure!(is_swept(kind, key.marketplace), "products are swept at 1688 alone");
    let is_known = |account: protocols::marketplace::Account| account.shop == key.shop;
    let secrets = session.secrets().await?;
    ensure!(
        secrets.accounts(key.marketplace).into_iter().any(is_known),
        "the secrets document has no shop {} at {} with a token",
        key.shop,
        key.marketplace.as_str()
    );
    let was = replace(&session.sweeps()?, &key, to).await?;
    let shown = |at: Option<UnixMillis>| at.map_or_else(|| "none".to_owned(), days::moment);
    step("Watermark", &format!("{key} was {} and is {}", shown(was.watermark), days::moment(to)));
    if was.lease.is_some() {
        step("Watermark", "a run was at it; it stops with its next page, without moving the watermark");
    }
    if let Some(skipped) = was.watermark.filter(|was| *was < to) {
        let finds = if arguments.products { "images sync --full" } else { "audit" };
        let skipped = days::moment(skipped);
        step("Watermark", &format!("what was modified since {skipped} is not read now; `sampan {finds}` finds it"));
    }
    Ok(())
}

/// Sets it in the place of whatever is there, and tells what was.
async fn replace(sweeps: &impl Sweeps, key: &SweepKey, to: UnixMillis) -> anyhow::Result<SweepState> {
    let mut state = sweeps.read(key).await.with_context(|| format!("cannot read how far the sweep {key} is"))?;
    for _ in 0..SET_TRIES_MAX {
        match sweeps.replace(key, &state.set(to)).await.context("cannot write into the sweeps table")? {
            None => return Ok(state),
            Some(there) => state = there,
        }
    }
    bail!("the sweep {key} moved on {SET_TRIES_MAX} times meanwhile; run this again")
}

#[cfg(test)]
mod tests {
    use adapters::testing::MemorySweeps;
    use domain::LeaseToken;

    use super::*;

    #[tokio::test]
    async fn a_watermark_is_set_whoever_is_at_the_sweep_and_he_moves_it_no_more() {
        let (sweeps, token) = (MemorySweeps::default(), LeaseToken::new("a").unwrap());
        let shop = ShopId::new("demo").unwrap();
        let key = SweepKey { kind: SweepKind::Incremental, marketplace: Marketplace::Alibaba1688, shop };
        let (to, later) = (days::start("2026-09-01").unwrap(), days::start("2026-09-06").unwrap());
        let claimed = SweepState::default().claimed(&token);
        let working = claimed.advanced(&token, later, 9, 9).unwrap();
        for state in [claimed, working.clone()] {
            assert_eq!(sweeps.replace(&key, &state).await.unwrap(), None);
        }
        assert_eq!(replace(&sweeps, &key, to).await.unwrap(), working);
        let set = sweeps.read(&key).await.unwrap();
        assert_eq!((set.watermark, set.lease.as_ref()), (Some(to), None));
        assert!(set.advanced(&token, later, 1, 1).is_err());
        let stale = working.advanced(&token, later, 1, 1).unwrap();
        assert_eq!(sweeps.replace(&key, &stale).await.unwrap(), Some(set));
    }

    #[test]
    fn a_table_of_sweeps_tells_where_each_stands_and_who_is_at_it() {
        let shop = ShopId::new("demo").unwrap();
        let key = |kind| SweepKey { kind, marketplace: Marketplace::Taobao, shop: shop.clone() };
        let token = LeaseToken::new("a").unwrap();
        let goal = Window::new(days::start("2026-09-01").unwrap(), days::end("2026-09-10").unwrap()).unwrap();
        let half = days::start("2026-09-06").unwrap();
        let backfill = SweepState::default().aimed(goal).claimed(&token).advanced(&token, half, 1, 1).unwrap();
        let now = half.saturating_add_ms(90_000);
        let paused = SweepState::default().claimed(&token).paused(&token, now.saturating_add_ms(1)).unwrap();
        let states = [
            (key(SweepKind::Backfill), backfill),
            (key(SweepKind::Incremental), paused),
            (key(SweepKind::Tmc), SweepState::default()),
        ];
        let shown = states_table(&states, now).to_string();
        for part in
            ["2026-09-06T00:00:00+08:00", "1 min 30 s", "2026-09-01 to 2026-09-10: 5 days left", "a run, beat 1"]
        {
            assert!(shown.contains(part), "{part} is not in\n{shown}");
        }
        assert_eq!(shown.matches("none").count(), 2, "{shown}");
        let through = SweepState { watermark: Some(goal.end()), goal: Some(goal), ..SweepState::default() };
        assert_eq!(of_goal(&through, goal), "2026-09-01 to 2026-09-10: through");
    }
}
