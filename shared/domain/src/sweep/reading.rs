//! One slice, page by page: which page is next, and when enough was read.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::window::{Limits, Slice, Zone};

/// Passes over a settled slice that does not add up, before it is divided. Rows in one second may come in any order,
/// and a pass in which a row left before it was read tells too little.
const PASSES_MAX: u32 = 3;
/// Passes over a second, which cannot be divided. Of 120 rows in an order of their own each time, a page of 50 at a time
/// brings all within half of these.
const SECOND_PASSES_MAX: u32 = 16;

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Read this page, counted from 1.
    Read(u64),
    /// Read the parts instead: it holds too much, or never adds up.
    Divide,
    /// It was read.
    Complete,
    /// It cannot be divided and never adds up: the list is not one that can be read.
    Unsteady,
}

/// Where in a pass a reading is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The first page, which tells how many there are.
    First,
    /// A later page, on the way back from the last to the second.
    Back(u64),
    /// The first page again, because something moved.
    FirstAgain,
    /// No page is left to read.
    Ended(Step),
}

/// The reading of one slice. The first page tells how many rows there are; then pages are read from the last to the
/// second; the first is read again when anything moved meanwhile.
///
/// Calls for a slice of N rows that nothing moves, in pages of p: ⌈N/p⌉, and 1 for none.
#[derive(Debug)]
pub struct Reading {
    limits: Limits,
    slice: Slice,
    phase: Phase,
    /// How many rows there were at the first page of this pass, at the latest page, and at most since `seen` was begun.
    first_total: u64,
    last_total: u64,
    most_total: u64,
    has_moved: bool,
    passes: u32,
    /// The distinct rows of the slice, by their hashes: not many more than `slice_rows_max`, unless one second holds
    /// more. Two rows of one hash would make a slice be read again, and no more.
    seen: HashSet<u64>,
}

impl Reading {
    /// A reading that begins with the first page.
    pub fn new(slice: Slice, limits: Limits) -> Self {
        Self {
            limits,
            slice,
            phase: Phase::First,
            first_total: 0,
            last_total: 0,
            most_total: 0,
            has_moved: false,
            passes: 0,
            seen: HashSet::new(),
        }
    }

    /// What to do next.
    pub const fn step(&self) -> Step {
        match self.phase {
            Phase::First | Phase::FirstAgain => Step::Read(1),
            Phase::Back(page) => Step::Read(page),
            Phase::Ended(step) => step,
        }
    }

    /// How many rows the latest page said that there are.
    pub const fn total(&self) -> u64 {
        self.last_total
    }

    /// Takes the page that [`Step::Read`] asked for: how many rows it said there are in all, and what tells each that
    /// it had from all others.
    pub fn took<K: Hash>(&mut self, total: u64, rows: impl IntoIterator<Item = K>) {
        // What left can no longer be seen, so that the rows are counted anew.
        if self.phase == Phase::First && total != self.most_total {
            self.seen.clear();
            self.most_total = total;
        }
        self.most_total = self.most_total.max(total);
        self.seen.extend(rows.into_iter().map(|row| {
            let mut hasher = DefaultHasher::new();
            row.hash(&mut hasher);
            hasher.finish()
        }));
        self.last_total = total;
        if self.phase == Phase::First {
            self.first_total = total;
            self.has_moved = false;
            self.passes += 1;
        }
        self.has_moved |= total != self.first_total;
        self.phase = match self.phase {
            Phase::First => self.after_first_page(),
            Phase::Back(page) if page > 2 => Phase::Back(page - 1),
            Phase::Back(_) if self.has_moved => Phase::FirstAgain,
            Phase::Back(_) | Phase::FirstAgain => self.after_pass(),
            Phase::Ended(step) => Phase::Ended(step),
        };
    }

    fn after_first_page(&self) -> Phase {
        let pages = self.first_total.div_ceil(self.limits.page_rows.max(1));
        let holds_too_much = self.first_total > self.limits.slice_rows_max && self.slice.is_divisible();
        match self.slice.zone {
            _ if pages <= 1 => self.after_pass(),
            Zone::Mixed => Phase::Ended(Step::Divide),
            Zone::Settled | Zone::Fresh if holds_too_much => Phase::Ended(Step::Divide),
            Zone::Settled | Zone::Fresh => Phase::Back(pages),
        }
    }

    /// A settled slice adds up when as many distinct rows were seen as there ever were since the count was begun: then
    /// every one of them was seen, also when rows change places within a second.
    fn after_pass(&self) -> Phase {
        let adds_up = u64::try_from(self.seen.len()).unwrap_or(u64::MAX) >= self.most_total;
        let passes_max = if self.slice.is_divisible() { PASSES_MAX } else { SECOND_PASSES_MAX };
        match self.slice.zone {
            Zone::Fresh => Phase::Ended(Step::Complete),
            Zone::Settled | Zone::Mixed if adds_up => Phase::Ended(Step::Complete),
            Zone::Settled | Zone::Mixed if self.passes < passes_max => Phase::First,
            Zone::Settled | Zone::Mixed if self.slice.is_divisible() => Phase::Ended(Step::Divide),
            Zone::Settled | Zone::Mixed => Phase::Ended(Step::Unsteady),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::window::Window;
    use super::*;
    use crate::time::UnixMillis;

    fn slice(zone: Zone, seconds: i64) -> Slice {
        let start = UnixMillis::from_seconds(1_000_000).unwrap();
        let window = Window::new(start, start.saturating_add_ms(seconds * 1_000)).unwrap();
        Slice { window, zone }
    }

    /// Reads a list that `moves` before each call; gives the trades that were seen, the calls, and the end.
    fn read(
        zone: Zone,
        list: &mut Vec<u64>,
        limits: Limits,
        mut moves: impl FnMut(&mut Vec<u64>, u64),
    ) -> (HashSet<u64>, u64, Step) {
        let mut reading = Reading::new(slice(zone, 600), limits);
        let (mut seen, mut calls) = (HashSet::new(), 0);
        while let Step::Read(page) = reading.step() {
            moves(list, calls);
            calls += 1;
            let from = usize::try_from((page - 1) * limits.page_rows).unwrap();
            let rows: Vec<u64> =
                list.iter().copied().skip(from).take(usize::try_from(limits.page_rows).unwrap()).collect();
            reading.took(u64::try_from(list.len()).unwrap(), &rows);
            seen.extend(rows);
        }
        (seen, calls, reading.step())
    }

    fn limits(page_rows: u64) -> Limits {
        Limits { page_rows, ..Limits::DEFAULT }
    }

    #[test]
    fn a_quiet_slice_of_n_rows_costs_a_call_a_page() {
        for rows in [0_u64, 1, 9, 10, 11, 20, 99, 1_001] {
            let mut list: Vec<u64> = (0..rows).collect();
            let (seen, calls, end) = read(Zone::Settled, &mut list, limits(10), |_, _| {});
            assert_eq!((seen.len(), calls, end), (list.len(), rows.div_ceil(10).max(1), Step::Complete));
        }
    }

    #[test]
    fn a_list_that_loses_rows_while_it_is_read_hides_none() {
        let mut completed = 0;
        for step in 1..40 {
            let mut list: Vec<u64> = (0..200).collect();
            let (seen, _, end) = read(Zone::Settled, &mut list, limits(10), |list, call| {
                // Now and then one leaves, read or not.
                if call % 9 == step % 9 {
                    list.remove(usize::try_from(call * 7 + step).unwrap() % list.len());
                }
            });
            completed += u64::from(end == Step::Complete);
            assert!(list.iter().all(|row| seen.contains(row)), "step {step}");
        }
        assert!(completed > 0, "what only loses rows can be read");
    }

    #[test]
    fn a_row_that_leaves_does_not_stand_for_one_that_was_not_seen() {
        let mut reading = Reading::new(slice(Zone::Settled, 1), limits(2));
        reading.took(4, [1, 2]);
        // Rows of one second in another order: 2 comes again, and 3 hides. Then 1 leaves.
        reading.took(4, [2, 4]);
        reading.took(3, [2, 4]);
        reading.took(3, [2]);
        assert_eq!(reading.step(), Step::Read(1), "three rows were seen and three are there, and 3 was not");
        reading.took(3, [3, 4]);
        reading.took(3, [2]);
        assert_eq!(reading.step(), Step::Complete);
    }

    #[test]
    fn a_row_that_comes_too_late_makes_a_settled_slice_be_read_again() {
        let mut list: Vec<u64> = (0..60).collect();
        let mut late = 1_000;
        let (seen, calls, end) = read(Zone::Settled, &mut list, limits(10), |list, call| {
            if call == 3 {
                late += 1;
                list.insert(0, late);
            }
        });
        assert_eq!(end, Step::Complete);
        assert!(list.iter().all(|row| seen.contains(row)) && calls > 7, "{calls} calls");
    }

    #[test]
    fn a_slice_that_holds_too_much_is_divided_at_once_and_a_mixed_one_when_it_is_more_than_a_page() {
        let mut list: Vec<u64> = (0..2_001).collect();
        let (_, calls, end) = read(Zone::Settled, &mut list, limits(10), |_, _| {});
        assert_eq!((calls, end), (1, Step::Divide));
        let mut list: Vec<u64> = (0..11).collect();
        assert_eq!(read(Zone::Mixed, &mut list, limits(10), |_, _| {}).2, Step::Divide);
        list.truncate(10);
        assert_eq!(read(Zone::Mixed, &mut list, limits(10), |_, _| {}).2, Step::Complete);
    }

    #[test]
    fn a_second_that_never_adds_up_is_unsteady() {
        let mut reading = Reading::new(slice(Zone::Settled, 1), limits(10));
        let mut calls = 0;
        while let Step::Read(_) = reading.step() {
            // One trade, again and again, of a list that says it has twenty.
            reading.took(20, ["1"]);
            calls += 1;
        }
        assert_eq!((reading.step(), calls), (Step::Unsteady, 2 * u64::from(SECOND_PASSES_MAX)));
    }
}
