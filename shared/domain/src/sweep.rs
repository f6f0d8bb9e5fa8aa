//! How a list that changes while it is read is read so that nothing is missed.
//!
//! A sweep reads `[watermark − overlap, now − settle lag)`, and cuts that at `end − overlap`. What lies before the cut
//! is **settled**: whoever commits late, but within the overlap, commits after it. So a settled slice only ever loses
//! rows (what is modified again moves on to a later time), and a list that only loses rows, read from its last page to
//! its first, hides none: a row that moves up moves to a page that is still to be read. What lies after the cut is
//! **fresh**: it is read for speed, and read again by later sweeps until it was read settled. The settled parts of
//! successive sweeps meet without a gap, because the next one begins at this one's `end − overlap`.
//! See `docs/decisions/2026-11-25-every-order-is-read-once-when-it-is-settled.md`.
//!
//! Invariant: a watermark only moves on, and never beyond what was read and queued.

mod reading;
mod state;
mod window;

pub use reading::{Reading, Step};
pub use state::{Lease, NotYours, SweepKind, SweepState};
pub use window::{HISTORY_MS, Limits, Slice, Window, Zone, china_day_before, china_midnight_after};
