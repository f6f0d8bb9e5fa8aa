//! Lists: slice by slice, page by page, and the watermark behind them.
//!
//! Invariant (law 1): the watermark moves over a slice only after everything of it is durable.

use std::future::Future;
use std::hash::Hash;

use adapters::clock::Clock;
use adapters::ports::{MarketError, Sweeps};
use domain::UnixMillis;
use domain::sweep::{Limits, Reading, Slice, Step, SweepState, Window, Zone};
use protocols::marketplace::{Account, Answer, ListPage, ListQuery, ListedBy, Owned};

use super::lease::Held;
use super::stop::Stop;
use super::tally::Tally;
use super::time::RunTime;

/// Something that is listed by a marketplace and swept. Its futures need not be sent between threads: a function's
/// runtime has one.
pub trait Listing {
    /// What tells a row from all others.
    type Id: AsRef<str> + Clone + Hash;

    /// Whose list it is.
    fn account(&self) -> &Account;

    /// Asks for a page.
    fn page(&self, query: &ListQuery) -> impl Future<Output = Result<Answer<ListPage<Self::Id>>, MarketError>>;

    /// Takes a page in. `Ok` means that all that it leads to is durable. A page may come again.
    fn take(
        &mut self,
        page: Owned<ListPage<Self::Id>>,
        time: &RunTime<'_, impl Clock>,
        tally: &mut Tally,
    ) -> impl Future<Output = Result<(), Stop>>;

    /// The watermark moved over a slice: what was kept to take no row of it in twice may be forgotten.
    fn passed(&mut self, limits: &Limits);
}

/// What of a list is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Course {
    /// What was modified since the watermark.
    Onward,
    /// What is left of the goal, by this time. All of it is settled.
    Goal(ListedBy),
}

impl Course {
    const fn by(self) -> ListedBy {
        match self {
            Self::Onward => ListedBy::Modified,
            Self::Goal(by) => by,
        }
    }

    /// What is to be read now.
    fn slices(self, state: &SweepState, now: UnixMillis, limits: &Limits) -> Vec<Slice> {
        match self {
            Self::Onward => {
                let window = Window::of_sweep(state.watermark, now, limits);
                window.map(|window| Slice::of_window(window, limits)).unwrap_or_default()
            }
            Self::Goal(_) => state.remaining().map(|window| Slice::of_history(window, limits)).unwrap_or_default(),
        }
    }

    /// Where the watermark stands after a slice. The next sweep begins the overlap before it: so after a settled slice,
    /// which need not be read again, it may stand the overlap behind the slice's end, and a run that is cut off is gone
    /// on with.
    fn reached(self, slice: Slice, through: UnixMillis, limits: &Limits) -> UnixMillis {
        match (self, slice.zone) {
            (Self::Onward, Zone::Settled) => slice.window.end().saturating_add_ms(limits.overlap_ms).min(through),
            (Self::Onward, Zone::Mixed | Zone::Fresh) | (Self::Goal(_), _) => slice.window.end(),
        }
    }
}

/// The first page of a whole window that holds more than a page. What of it is fresh need not be read again.
struct Probe<Id> {
    total: u64,
    rows: Vec<(Id, UnixMillis)>,
}

impl<Id: Clone> Probe<Id> {
    fn of(page: &ListPage<Id>) -> Self {
        let rows = page.rows.iter().filter_map(|row| Some((row.id.clone(), row.modified_at?))).collect();
        Self { total: page.total, rows }
    }

    /// The first page of the fresh part, when so many rows of the window are settled: how many rows it has in all, and
    /// which are on the page.
    fn first_page(self, fresh: Window, settled: u64) -> Option<(u64, Vec<Id>)> {
        let total = self.total.checked_sub(settled)?;
        let is_page = !self.rows.is_empty();
        let rows = self.rows.into_iter().filter(|(_, modified_at)| *modified_at >= fresh.start());
        is_page.then(|| (total, rows.map(|(id, _)| id).collect()))
    }
}

/// Reads everything that is to be read now, and moves the watermark over it.
pub async fn read<L: Listing>(
    (course, limits): (Course, Limits),
    listing: &mut L,
    held: &mut Held<'_, impl Sweeps>,
    time: &RunTime<'_, impl Clock>,
    tally: &mut Tally,
) -> Result<(), Stop> {
    let mut pending = course.slices(held.state(), time.clock.now(), &limits);
    let through = pending.last().map_or(UnixMillis::EPOCH, |slice| slice.window.end());
    pending.reverse();
    let (mut probe, mut settled) = (None::<Probe<L::Id>>, 0_u64);
    let mut told = (0, 0);
    while let Some(slice) = pending.pop() {
        let mut reading = Reading::new(slice, limits);
        if slice.zone == Zone::Fresh
            && let Some((total, rows)) = probe.take().and_then(|probe| probe.first_page(slice.window, settled))
        {
            reading.took(total, rows.iter().map(AsRef::as_ref));
        }
        while let Step::Read(page) = reading.step() {
            time.for_a_page()?;
            held.beat(time.clock.now()).await?;
            let query = ListQuery { by: course.by(), window: slice.window, page, page_rows: limits.page_rows };
            let answer = time.ask(async || listing.page(&query).await).await?;
            tally.list_calls += 1;
            let page = answer.belonging_to(listing.account())?;
            count_in(&mut reading, &page);
            match (slice.zone, reading.step()) {
                // It is read in parts instead.
                (Zone::Settled | Zone::Fresh, Step::Divide) => break,
                (Zone::Mixed, Step::Divide) => probe = Some(Probe::of(page.get())),
                (_, Step::Read(_) | Step::Complete | Step::Unsteady) => {}
            }
            listing.take(page, time, tally).await?;
        }
        match reading.step() {
            Step::Unsteady => return Err(Stop::Unsteady),
            Step::Divide => pending.extend(slice.divided(&limits).into_iter().rev()),
            Step::Complete | Step::Read(_) => {
                settled = if slice.zone == Zone::Settled { settled.saturating_add(reading.total()) } else { settled };
                let counts = (Tally::number(tally.listed), Tally::number(tally.changed));
                let (listed, changed) = (counts.0 - told.0, counts.1 - told.1);
                let end = course.reached(slice, through, &limits);
                held.advance(time.clock.now(), end, (listed, changed)).await?;
                told = counts;
                tally.read_to = Some(slice.window.end());
                listing.passed(&limits);
            }
        }
    }
    Ok(())
}

/// Counts a page in: rows that cannot be read are rows all the same.
fn count_in<Id: AsRef<str>>(reading: &mut Reading, page: &Owned<ListPage<Id>>) {
    let ListPage { total, rows, malformed } = page.get();
    let read = rows.iter().map(|row| row.id.as_ref());
    reading.took(*total, read.chain(malformed.iter().map(|row| row.body.as_str())));
}
