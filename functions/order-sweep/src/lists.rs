//! Lists of trades: slice by slice, page by page, and the watermark behind them.
//!
//! Invariant (law 1): the watermark moves over a slice only after everything of it is durable in the queue.

use adapters::clock::Clock;
use adapters::ports::{EventQueue, Marketplace, Quarantine, RawDetails, Sweeps, TradeDetails};
use domain::TradeId;
use domain::sweep::{Limits, Reading, Slice, Step, SweepKind, Window, Zone};
use protocols::marketplace::{Account, ListPage, ListQuery, ListedBy, Owned};

use crate::lease::Held;
use crate::page::{self, Queued};
use crate::stop::Stop;
use crate::tally::Tally;
use crate::time::RunTime;

/// The first page of a whole window that holds more than a page. What of it is fresh need not be read again.
struct Probe {
    total: u64,
    rows: Vec<(TradeId, domain::UnixMillis)>,
}

impl Probe {
    fn of(page: &ListPage) -> Self {
        let rows = page.rows.iter().filter_map(|row| Some((row.trade_id.clone(), row.modified_at?))).collect();
        Self { total: page.total, rows }
    }

    /// The first page of the fresh part, when so many rows of the window are settled: how many rows it has in all, and
    /// which are on the page.
    fn first_page(self, fresh: Window, settled: u64) -> Option<(u64, Vec<TradeId>)> {
        let total = self.total.checked_sub(settled)?;
        let is_page = !self.rows.is_empty();
        let rows = self.rows.into_iter().filter(|(_, modified_at)| *modified_at >= fresh.start());
        is_page.then(|| (total, rows.map(|(id, _)| id).collect()))
    }
}

/// What is to be read now.
fn slices(kind: SweepKind, held: &Held, now: domain::UnixMillis, limits: &Limits) -> Vec<Slice> {
    let state = held.state();
    match kind {
        SweepKind::Incremental => {
            let window = Window::of_sweep(state.watermark, now, limits);
            window.map(|window| Slice::of_window(window, limits)).unwrap_or_default()
        }
        SweepKind::Backfill | SweepKind::Audit => {
            state.remaining().map(|window| Slice::of_history(window, limits)).unwrap_or_default()
        }
        SweepKind::Tmc => Vec::new(),
    }
}

/// Reads everything that is to be read now, and moves the watermark over it.
pub(crate) async fn sweep(
    (kind, limits): (SweepKind, Limits),
    (market, account): (&impl Marketplace, &Account),
    trades: (&impl TradeDetails, &impl RawDetails),
    sinks: (&impl EventQueue, &impl Quarantine),
    (held, sweeps): (&mut Held, &impl Sweeps),
    time: &RunTime<'_, impl Clock>,
    tally: &mut Tally,
) -> Result<(), Stop> {
    let by = if kind == SweepKind::Incremental { ListedBy::Modified } else { ListedBy::Created };
    let mut pending = slices(kind, held, time.clock.now(), &limits);
    let through = pending.last().map_or(domain::UnixMillis::EPOCH, |slice| slice.window.end());
    pending.reverse();
    let (mut probe, mut settled, mut queued) = (None::<Probe>, 0_u64, Queued::new());
    let mut told = (0, 0);
    while let Some(slice) = pending.pop() {
        let mut reading = Reading::new(slice, limits);
        if slice.zone == Zone::Fresh
            && let Some((total, rows)) = probe.take().and_then(|probe| probe.first_page(slice.window, settled))
        {
            reading.took(total, &rows);
        }
        while let Step::Read(page) = reading.step() {
            time.for_a_page()?;
            held.beat(sweeps, time.clock.now()).await?;
            let query = ListQuery { by, window: slice.window, page, page_rows: limits.page_rows };
            let answer = time.ask(async || market.list(account, &query).await).await?;
            tally.list_calls += 1;
            let page = answer.belonging_to(account)?;
            count_in(&mut reading, &page);
            match (slice.zone, reading.step()) {
                // It is read in parts instead.
                (Zone::Settled | Zone::Fresh, Step::Divide) => break,
                (Zone::Mixed, Step::Divide) => probe = Some(Probe::of(page.get())),
                (_, Step::Read(_) | Step::Complete | Step::Unsteady) => {}
            }
            page::take(page, (market, account), trades, sinks, time, (&mut queued, &mut *tally)).await?;
        }
        match reading.step() {
            Step::Unsteady => return Err(Stop::Unsteady),
            Step::Divide => pending.extend(slice.divided(&limits).into_iter().rev()),
            Step::Complete | Step::Read(_) => {
                settled = if slice.zone == Zone::Settled { settled.saturating_add(reading.total()) } else { settled };
                let counts = (Tally::number(tally.listed), Tally::number(tally.changed));
                let (listed, changed) = (counts.0 - told.0, counts.1 - told.1);
                let end = reached(kind, slice, through, &limits);
                held.advance(sweeps, time.clock.now(), end, (listed, changed)).await?;
                told = counts;
                if Tally::number(queued.len()) > limits.slice_rows_max {
                    queued.clear();
                }
            }
        }
    }
    Ok(())
}

/// Where the watermark stands after a slice. The next sweep begins the overlap before it: so after a settled slice, which
/// need not be read again, it may stand the overlap behind the slice's end, and a run that is cut off is gone on with.
fn reached(kind: SweepKind, slice: Slice, through: domain::UnixMillis, limits: &Limits) -> domain::UnixMillis {
    match (kind, slice.zone) {
        (SweepKind::Incremental, Zone::Settled) => slice.window.end().saturating_add_ms(limits.overlap_ms).min(through),
        (SweepKind::Incremental, Zone::Mixed | Zone::Fresh)
        | (SweepKind::Backfill | SweepKind::Audit | SweepKind::Tmc, _) => slice.window.end(),
    }
}

/// Counts a page in: rows that cannot be read are rows all the same.
fn count_in(reading: &mut Reading, page: &Owned<ListPage>) {
    let ListPage { total, rows, malformed } = page.get();
    let read = rows.iter().map(|row| row.trade_id.as_str());
    reading.took(*total, read.chain(malformed.iter().map(|row| row.body.as_str())));
}
