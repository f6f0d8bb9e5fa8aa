//! `sampan status`: how a stack is, in a terminal or as a page to send: what waits, what functions did, how far sweeps are,
//! and what asks for a person.
//!
//! Invariant: it only looks. Its figures are the queues' own counts, the functions' own log lines and the sweeps' own state,
//! so they are the same on AWS and on the local stack.

mod activity;
mod page;

use std::path::PathBuf;

use adapters::clock::{Clock, SystemClock};
use adapters::ports::{SweepKey, Sweeps};
use anyhow::{Context, ensure};
use clap::Args;
use domain::UnixMillis;
use domain::sweep::SweepKind;

use crate::days;
use crate::logs;
use crate::queues::{Depth, Queue, depth};
use crate::stack::Session;
use crate::table::{heading, step, table};
use crate::watermark;
use activity::Activity;

/// The longest time back that is looked at, in minutes: a day of a busy shop's lines is what one wants to fetch.
const MINUTES_MAX: u32 = 24 * 60;
/// How far a sweep of orders, and one of products, may be behind before it asks for a person: as the alarms have it.
const ORDERS_LAG_MS_MAX: i64 = 15 * 60 * 1_000;
const PRODUCTS_LAG_MS_MAX: i64 = 3 * 60 * 60 * 1_000;

/// What to look at.
#[derive(Debug, Args)]
pub struct Arguments {
    /// How far back, in minutes
    #[arg(long, value_name = "MINUTES", default_value_t = 60)]
    since: u32,
    /// Write it as a page to this file, with plots; one file that needs nothing else
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// How a stack is.
#[derive(Debug)]
struct Status {
    stack: String,
    at: UnixMillis,
    minutes: u32,
    queues: Vec<(&'static str, Depth)>,
    functions: Vec<(String, Activity)>,
    /// How far each sweep is that goes on for ever; none of one that never ran.
    sweeps: Vec<(SweepKey, Option<UnixMillis>)>,
}

/// Looks, and tells.
pub async fn run(session: &Session, arguments: Arguments) -> anyhow::Result<()> {
    ensure!((1..=MINUTES_MAX).contains(&arguments.since), "--since takes 1 to {MINUTES_MAX} minutes");
    let status = look(session, arguments.since).await?;
    if let Some(file) = arguments.html {
        std::fs::write(&file, page::write(&status)).with_context(|| format!("cannot write {}", file.display()))?;
        step("Status", &format!("written to {}", file.display()));
        return Ok(());
    }
    tell(&status);
    Ok(())
}

async fn look(session: &Session, minutes: u32) -> anyhow::Result<Status> {
    let at = SystemClock.now();
    let since = at.saturating_add_ms(-i64::from(minutes) * 60_000);
    let (sqs, mut queues) = (session.sqs(), Vec::new());
    let all = Queue::ALL.into_iter().flat_map(|queue| [queue.as_str(), queue.dead_letters()]);
    for name in all.chain(["quarantine"]) {
        queues.push((name, depth(&sqs, session.stack.queue(name)?).await?));
    }
    let mut functions = Vec::new();
    for folder in session.stack.functions.keys() {
        let lines = logs::timed(session, folder, since).await?;
        functions.push((folder.clone(), Activity::of(lines, (since, at))));
    }
    let (secrets, store, mut sweeps) = (session.secrets().await?, session.sweeps()?, Vec::new());
    for key in watermark::keys_of(&secrets).into_iter().filter(|key| lag_ms_max(key.kind).is_some()) {
        let state = store.read(&key).await.with_context(|| format!("cannot read how far the sweep {key} is"))?;
        sweeps.push((key, state.watermark));
    }
    Ok(Status { stack: session.stack.stack.clone(), at, minutes, queues, functions, sweeps })
}

/// How far behind a sweep may be; none of a sweep that has an end.
const fn lag_ms_max(kind: SweepKind) -> Option<i64> {
    match kind {
        SweepKind::Incremental => Some(ORDERS_LAG_MS_MAX),
        SweepKind::Products => Some(PRODUCTS_LAG_MS_MAX),
        SweepKind::Tmc | SweepKind::Backfill | SweepKind::Audit | SweepKind::Catalogue => None,
    }
}

impl Status {
    /// What asks for a person, and what to do about it.
    fn attention(&self) -> Vec<String> {
        let queues = self.queues.iter().filter(|(_, depth)| depth.total() > 0).filter_map(|(name, depth)| {
            let what = match *name {
                "events_dlq" => {
                    "in the dead-letter queue of events: `sampan redrive --queue events` when the cause is gone"
                }
                "images_dlq" => {
                    "in the dead-letter queue of pictures: `sampan redrive --queue images` when the cause is gone"
                }
                "quarantine" => "in quarantine, unreadable or refused: `sampan quarantine list`",
                _ => return None,
            };
            Some(format!("{} {what}", depth.total()))
        });
        let sweeps = self.sweeps.iter().filter_map(|(key, read_to)| {
            let behind_ms = read_to.map(|read_to| self.at.ms_since(read_to))?;
            let is_late = behind_ms > lag_ms_max(key.kind)?;
            is_late.then(|| format!("the sweep {key} is {} behind: its function's log says why", days::span(behind_ms)))
        });
        let functions = self.functions.iter().flat_map(|(folder, activity)| activity.asks(folder));
        queues.chain(sweeps).chain(functions).collect()
    }
}

fn tell(status: &Status) {
    let mut rows = table(["queue", "waiting", "at work"]);
    for (name, depth) in &status.queues {
        rows.add_row([(*name).to_owned(), depth.visible.to_string(), depth.held.to_string()]);
    }
    heading("What waits");
    println!("{rows}");
    let mut rows = table(["function", "what became of it", "took, ms: half, 99 %", "age of facts, ms: half, 99 %"]);
    for (folder, activity) in &status.functions {
        let [took, age] = [&activity.took_ms, &activity.age_ms].map(|values| activity::halves(values));
        rows.add_row([folder.clone(), activity.outcomes_text(), took, age]);
    }
    heading(&format!("The last {} minutes, by the functions' own lines", status.minutes));
    println!("{rows}");
    let mut rows = table(["sweep", "read to", "behind"]);
    for (key, read_to) in &status.sweeps {
        let behind = read_to.map(|read_to| days::span(status.at.ms_since(read_to)));
        let read_to = read_to.map_or_else(|| "never ran".to_owned(), days::moment);
        rows.add_row([key.to_string(), read_to, behind.unwrap_or_default()]);
    }
    heading("Sweeps");
    println!("{rows}");
    heading("What asks for a person");
    let attention = status.attention();
    if attention.is_empty() {
        println!("nothing");
    }
    for line in attention {
        println!("- {line}");
    }
}
