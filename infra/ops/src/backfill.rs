//! `sampan backfill`: the orders of the past, read once by the time of their creation.
//!
//! Invariant: how far a backfill is stands in the sweeps table and nowhere else. So it can be stopped at any moment, at
//! any machine, and be gone on with.

use std::time::Duration;

use adapters::clock::{Clock, SystemClock};
use adapters::ports::SweepKey;
use anyhow::{Context, ensure};
use clap::Args;
use domain::UnixMillis;
use domain::sweep::{HISTORY_MS, Limits, SweepKind, SweepState, Window};
use indicatif::ProgressBar;

use crate::days;
use crate::stack::Session;
use crate::sweep::{ShopArguments, Sweeper};
use crate::table::{progress, step};

/// Between two looks at the sweeps table.
const LOOK_MS: u64 = 1_000;

/// What to read.
#[derive(Debug, Args)]
#[command(after_help = "\
A day is a day in China and counts whole. With neither --from nor --to it goes on with what it is not through with, else
it reads the last three months. It may be stopped at any time: the same command again goes on where it was. A run on the
stack that was under way goes on to its end by itself, and is waited for.")]
pub struct Arguments {
    #[command(flatten)]
    shop: ShopArguments,
    /// The first day or moment, as YYYY-MM-DD or RFC 3339 [default: three months before the end]
    #[arg(long, value_name = "DATE")]
    from: Option<String>,
    /// The last day, or the moment after the last, as YYYY-MM-DD or RFC 3339 [default: now]
    #[arg(long, value_name = "DATE")]
    to: Option<String>,
}

/// Reads the past, however many runs it takes, and shows how far it is.
pub async fn run(session: &Session, arguments: Arguments) -> anyhow::Result<()> {
    let Arguments { shop, from, to } = arguments;
    let (from, to) = (from.as_deref().map(days::start).transpose()?, to.as_deref().map(days::end).transpose()?);
    let sweeper = Sweeper::new(session)?;
    let key = shop.key(SweepKind::Backfill);
    let state = sweeper.state(&key).await?;
    let goal = goal((from, to), &state, SystemClock.now())?;
    let far = Progress::of(&state, goal);
    step("Backfill", &format!("{} {}: {}", shop.marketplace.as_str(), shop.shop, span(goal)));
    if far.done_ms > 0 {
        step("Backfill", &format!("goes on where it was: {far}"));
    }
    let bar = progress("Backfill", far.done_ms, goal.length_ms());
    let sweeper = sweeper.beside(bar.clone());
    let state = tokio::select! {
        ended = sweeper.run(&key, Some(goal)) => ended?,
        never = watch(&sweeper, &key, goal, &bar) => match never {},
    };
    bar.finish_and_clear();
    step("Backfill", &format!("{}; the writer stores what was queued", Progress::of(&state, goal)));
    Ok(())
}

/// Shows how far it is, for as long as somebody waits for it.
async fn watch(sweeper: &Sweeper, key: &SweepKey, goal: Window, bar: &ProgressBar) -> std::convert::Infallible {
    loop {
        // A look that fails is made again; the run itself tells of what is wrong.
        if let Ok(state) = sweeper.state(key).await {
            let far = Progress::of(&state, goal);
            bar.set_position(far.done_ms.unsigned_abs());
            bar.set_message(far.to_string());
        }
        tokio::time::sleep(Duration::from_millis(LOOK_MS)).await;
    }
}

fn span(goal: Window) -> String {
    let (start, end) = (days::moment(goal.start()), days::moment(goal.end()));
    format!("{start} to {end}, {} days", days::days(goal.length_ms()))
}

/// The window that is meant. Where no end was named, or one that is not over, what was begun from the same time goes on:
/// its end was the now of then.
fn goal(
    (from, to): (Option<UnixMillis>, Option<UnixMillis>),
    state: &SweepState,
    now: UnixMillis,
) -> anyhow::Result<Window> {
    // What was just made may not be listed yet. The sweeps by the schedule read it.
    let settled = now.saturating_add_ms(-Limits::DEFAULT.settle_lag_ms);
    let end = to.map_or(settled, |to| to.min(settled));
    let start = from.unwrap_or(end.saturating_add_ms(-HISTORY_MS));
    ensure!(start < settled, "--from is not in the past");
    let wanted = Window::new(start, end).context("--from is not before --to")?;
    let is_open = to.is_none_or(|to| to > settled);
    let begun = state.goal.filter(|_| state.remaining().is_some());
    let begun = begun.filter(|begun| is_open && (from.is_none() || begun.start() == wanted.start()));
    Ok(begun.unwrap_or(wanted))
}

/// How far a backfill is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Progress {
    done_ms: i64,
    length_ms: i64,
    listed: u64,
    changed: u64,
}

impl Progress {
    /// Nothing of it while the table has another goal, or one that was reached and is begun again.
    fn of(state: &SweepState, goal: Window) -> Self {
        let length_ms = goal.length_ms();
        if state.goal != Some(goal) {
            return Self { done_ms: 0, length_ms, listed: 0, changed: 0 };
        }
        let left_ms = state.remaining().map_or(0, Window::length_ms);
        Self { done_ms: length_ms - left_ms, length_ms, listed: state.listed, changed: state.changed }
    }
}

impl std::fmt::Display for Progress {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (done, all) = (days::days(self.done_ms), days::days(self.length_ms));
        write!(formatter, "{done} of {all} days, {} orders read, {} queued", self.listed, self.changed)
    }
}

#[cfg(test)]
mod tests {
    use domain::LeaseToken;

    use super::*;

    fn at(day: i64) -> UnixMillis {
        UnixMillis::from_seconds(1_795_000_000 + day * 86_400).unwrap()
    }

    fn window(from: i64, to: i64) -> Window {
        Window::new(at(from), at(to)).unwrap()
    }

    /// A backfill of that window that is so far.
    fn state(goal: Window, watermark: UnixMillis) -> SweepState {
        let token = LeaseToken::new("a").unwrap();
        SweepState::default().aimed(goal).claimed(&token).advanced(&token, watermark, 700, 30).unwrap()
    }

    #[test]
    fn the_same_words_again_go_on_with_what_was_begun() {
        let (now, later) = (at(100), at(100).saturating_add_ms(3_600_000));
        for words in [(None, None), (Some(at(50)), None), (Some(at(50)), Some(at(60))), (Some(at(50)), Some(at(200)))] {
            let first = goal(words, &SweepState::default(), now).unwrap();
            let begun = state(first, first.start().saturating_add_ms(1_000));
            assert_eq!(goal(words, &begun, later).unwrap(), first, "{words:?}");
        }
    }

    #[test]
    fn other_words_or_what_is_through_begin_anew() {
        let begun = state(window(50, 60), at(55));
        assert_eq!(goal((Some(at(40)), Some(at(60))), &begun, at(100)).unwrap(), window(40, 60));
        assert_eq!(goal((Some(at(50)), Some(at(58))), &begun, at(100)).unwrap(), window(50, 58));
        assert_eq!(goal((None, None), &begun, at(100)).unwrap(), window(50, 60));
        let through = state(window(50, 60), at(60));
        let anew = goal((None, None), &through, at(100)).unwrap();
        assert_eq!((anew.length_ms(), anew.end()), (HISTORY_MS, at(100).saturating_add_ms(-30_000)));
        assert!(goal((Some(at(60)), Some(at(50))), &begun, at(100)).is_err());
        assert!(goal((Some(at(101)), None), &begun, at(100)).is_err());
    }

    #[test]
    fn progress_is_of_this_goal_and_counts_days_and_orders() {
        let half = state(window(50, 60), at(55));
        assert_eq!(Progress::of(&half, window(50, 60)).to_string(), "5 of 10 days, 700 orders read, 30 queued");
        assert_eq!(Progress::of(&half, window(50, 61)).to_string(), "0 of 11 days, 0 orders read, 0 queued");
        let through = state(window(50, 60), at(60));
        assert_eq!(Progress::of(&through, window(50, 60)).to_string(), "10 of 10 days, 700 orders read, 30 queued");
    }
}
