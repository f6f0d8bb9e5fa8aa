//! Windows of time, and the slices that they are read in.

use crate::time::UnixMillis;

const SECOND_MS: i64 = 1_000;
const DAY_MS: i64 = 24 * 60 * 60 * SECOND_MS;
/// How far back a backfill goes when nobody says, in milliseconds: three months, as far as Taobao lists
/// (`taobao.trades.sold.get`).
pub const HISTORY_MS: i64 = 90 * DAY_MS;
/// China's time is 8 hours ahead of UTC, all year.
const CHINA_OFFSET_MS: i64 = 8 * 60 * 60 * SECOND_MS;

/// What bounds a sweep. Times in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How far back a sweep reads again: how late a change may be committed, and the two clocks differ, taken together.
    pub overlap_ms: i64,
    /// How long after a change the list is sure to show it, where nothing is late.
    pub settle_lag_ms: i64,
    /// The longest slice. Taobao takes no more than a day (`trades.sold.increment.get`).
    pub slice_ms_max: i64,
    /// The most rows of a slice. More would keep the watermark still for too long, and what is read twice is larger.
    pub slice_rows_max: u64,
    /// Rows of a page. Taobao recommends 40 to 50; for 1688 most implementers use 50 at most.
    pub page_rows: u64,
}

impl Limits {
    /// Those of this version: overlap 30 minutes, settle lag 30 seconds, slices of a day and 2,000 rows, pages of 50.
    pub const DEFAULT: Self = Self {
        overlap_ms: 30 * 60 * SECOND_MS,
        settle_lag_ms: 30 * SECOND_MS,
        slice_ms_max: DAY_MS,
        slice_rows_max: 2_000,
        page_rows: 50,
    };
}

/// From `start` to before `end`. Whole seconds, because marketplaces know no finer time; `start` is before `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    start: UnixMillis,
    end: UnixMillis,
}

impl Window {
    /// From a time to before another, both moved back to their second. `None` when nothing lies between.
    pub fn new(start: UnixMillis, end: UnixMillis) -> Option<Self> {
        let whole = |time: UnixMillis| time.saturating_add_ms(-time.get().rem_euclid(SECOND_MS));
        let (start, end) = (whole(start), whole(end));
        (start < end).then_some(Self { start, end })
    }

    /// What an incremental sweep reads now. Without a watermark it begins with the overlap: history is for a backfill.
    /// `None` when the clock stands before all that was read.
    pub fn of_sweep(watermark: Option<UnixMillis>, now: UnixMillis, limits: &Limits) -> Option<Self> {
        let end = now.saturating_add_ms(-limits.settle_lag_ms);
        let start = watermark.unwrap_or(end).saturating_add_ms(-limits.overlap_ms);
        Self::new(start, end)
    }

    /// Its first moment.
    pub const fn start(self) -> UnixMillis {
        self.start
    }

    /// The first moment after it.
    pub const fn end(self) -> UnixMillis {
        self.end
    }

    /// How long it is, in milliseconds.
    pub const fn length_ms(self) -> i64 {
        self.end.ms_since(self.start)
    }

    /// What of it lies before and after a moment.
    fn cut(self, at: UnixMillis) -> (Option<Self>, Option<Self>) {
        (Self::new(self.start, at.min(self.end)), Self::new(at.max(self.start), self.end))
    }

    /// Its parts of at most so many milliseconds, in turn.
    fn parts(self, part_ms_max: i64) -> Vec<Self> {
        let part_ms_max = part_ms_max.max(SECOND_MS);
        let starts = std::iter::successors(Some(self.start), |start| {
            Some(start.saturating_add_ms(part_ms_max)).filter(|next| *next < self.end)
        });
        starts.filter_map(|start| Self::new(start, start.saturating_add_ms(part_ms_max).min(self.end))).collect()
    }

    /// Its two halves; itself when it is a second.
    fn halves(self) -> Vec<Self> {
        let half = self.length_ms() / 2;
        let middle = self.start.saturating_add_ms(half - half.rem_euclid(SECOND_MS));
        let (before, after) = self.cut(middle);
        before.into_iter().chain(after).collect()
    }
}

/// What is promised of a slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zone {
    /// Partly settled: if one page holds it all, it was read at one moment and is complete; else it is divided.
    Mixed,
    /// It only loses rows. It must be complete before the watermark moves over it.
    Settled,
    /// Rows may still come. It is read as it is found, and again when it is settled.
    Fresh,
}

/// A part of a window that is read as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    /// When.
    pub window: Window,
    /// What is promised of it.
    pub zone: Zone,
}

impl Slice {
    /// The slices of a sweep's window, the earliest first. What was committed at most `overlap_ms` late is settled when
    /// it lies before `window.end() − overlap_ms`. A window of more than one slice is cut there at once; a short one is
    /// tried as one first, because most hold less than a page.
    pub fn of_window(window: Window, limits: &Limits) -> Vec<Self> {
        let whole = Self { window, zone: Zone::Mixed };
        if window.length_ms() <= limits.slice_ms_max { vec![whole] } else { whole.divided(limits) }
    }

    /// The slices of a window that lies so far back that all of it is settled: of a backfill or an audit.
    pub fn of_history(window: Window, limits: &Limits) -> Vec<Self> {
        let settled = |window| Self { window, zone: Zone::Settled };
        window.parts(limits.slice_ms_max).into_iter().map(settled).collect()
    }

    /// Its parts, the earliest first: a mixed slice at the end of what is settled, any other in halves. The fresh part
    /// begins a second later: marketplaces take both ends of a window for included, so that the second of the cut is
    /// in the settled part, and it is where the next sweep's settled part begins.
    pub fn divided(self, limits: &Limits) -> Vec<Self> {
        let fresh = |window| Self { window, zone: Zone::Fresh };
        match self.zone {
            Zone::Mixed => {
                let cut = self.window.end.saturating_add_ms(-limits.overlap_ms);
                let (settled, rest) = (self.window.cut(cut).0, self.window.cut(cut.saturating_add_ms(SECOND_MS)).1);
                let settled = settled.into_iter().flat_map(|settled| Self::of_history(settled, limits));
                settled.chain(rest.map(fresh)).collect()
            }
            Zone::Settled | Zone::Fresh => {
                self.window.halves().into_iter().map(|window| Self { window, ..self }).collect()
            }
        }
    }

    /// Whether it can be divided: a second cannot.
    pub fn is_divisible(self) -> bool {
        self.zone == Zone::Mixed || self.window.length_ms() > SECOND_MS
    }
}

/// The next midnight in China: when daily quotas begin anew. Source: TOP, "accesscontrol.limited-by-app-access-count".
pub fn china_midnight_after(now: UnixMillis) -> UnixMillis {
    let since_midnight = now.saturating_add_ms(CHINA_OFFSET_MS).get().rem_euclid(DAY_MS);
    now.saturating_add_ms(DAY_MS - since_midnight)
}

/// The last whole day in China: what a nightly audit looks at.
pub fn china_day_before(now: UnixMillis) -> Option<Window> {
    let midnight = china_midnight_after(now).saturating_add_ms(-DAY_MS);
    Window::new(midnight.saturating_add_ms(-DAY_MS), midnight)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> UnixMillis {
        UnixMillis::from_seconds(seconds).unwrap()
    }

    fn window(start: i64, end: i64) -> Window {
        Window::new(at(start), at(end)).unwrap()
    }

    #[test]
    fn the_settled_parts_of_successive_sweeps_meet_without_a_gap() {
        let limits = Limits::DEFAULT;
        let settled = |watermark: i64, now: i64| {
            let window = Window::of_sweep(Some(at(watermark)), at(now), &limits).unwrap();
            let slices = Slice { window, zone: Zone::Mixed }.divided(&limits);
            let of = |zone| slices.iter().filter(move |slice| slice.zone == zone).map(|slice| slice.window);
            (of(Zone::Settled).collect::<Vec<_>>(), of(Zone::Fresh).collect::<Vec<_>>(), window.end())
        };
        for step in [1, 7, 300, 4_000, 200_000, 1_000_000] {
            let (first, fresh, watermark) = settled(1_000_000, 1_000_000 + 30 + step);
            assert_eq!(fresh.last().map(|slice| slice.end()), Some(watermark));
            assert_eq!(first.first().map(|slice| slice.start()), Some(at(1_000_000 - 1_800)));
            assert!(first.windows(2).all(|pair| pair[0].end() == pair[1].start()));
            let (second, _, _) = settled(watermark.seconds(), watermark.seconds() + 30 + 300);
            assert_eq!(first.last().map(|slice| slice.end()), second.first().map(|slice| slice.start()), "{step}");
        }
    }

    #[test]
    fn slices_are_at_most_a_day_and_halves_end_at_a_second() {
        let slices = Slice::of_history(window(0, 3 * 86_400 + 5), &Limits::DEFAULT);
        assert_eq!(
            slices.iter().map(|slice| slice.window.length_ms() / 1_000).collect::<Vec<_>>(),
            [86_400, 86_400, 86_400, 5]
        );
        let mut slice = Slice { window: window(10, 15), zone: Zone::Settled };
        while slice.is_divisible() {
            let halves = slice.divided(&Limits::DEFAULT);
            assert_eq!(halves.len(), 2);
            assert_eq!(halves[0].window.end(), halves[1].window.start());
            slice = halves[1];
        }
        assert_eq!(slice.window.length_ms(), 1_000);
    }

    #[test]
    fn a_clock_before_all_that_was_read_has_nothing_to_read_or_reads_less() {
        let limits = Limits::DEFAULT;
        assert_eq!(Window::of_sweep(Some(at(10_000)), at(10_000 - 1_800 + 30), &limits), None);
        let back = Window::of_sweep(Some(at(10_000)), at(10_000 - 300), &limits).unwrap();
        assert_eq!((back.start(), back.end()), (at(8_200), at(9_670)));
        assert_eq!(Window::of_sweep(None, at(10_000), &limits).unwrap().start(), at(10_000 - 30 - 1_800));
    }

    #[test]
    fn midnight_and_yesterday_are_china_s() {
        let now = UnixMillis::from_rfc3339("2026-11-25T15:59:59.001Z").unwrap();
        assert_eq!(china_midnight_after(now).to_rfc3339(), "2026-11-25T16:00:00.000Z");
        let midnight = UnixMillis::from_rfc3339("2026-11-25T16:00:00.000Z").unwrap();
        assert_eq!(china_midnight_after(midnight).to_rfc3339(), "2026-11-26T16:00:00.000Z");
        let yesterday = china_day_before(now).unwrap();
        assert_eq!(yesterday.start().to_rfc3339(), "2026-11-23T16:00:00.000Z");
        assert_eq!(yesterday.end().to_rfc3339(), "2026-11-24T16:00:00.000Z");
    }
}
