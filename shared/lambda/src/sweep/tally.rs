//! What a sweep did, in numbers.

use domain::UnixMillis;

/// Counts of one sweep, of whatever is swept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Calls for pages of lists, or of messages.
    pub list_calls: usize,
    /// Calls for details; where the marketplace has none for many, as many more were made.
    pub detail_calls: usize,
    /// Rows or messages that were read.
    pub listed: usize,
    /// Events that were queued, or products that were looked at.
    pub changed: usize,
    /// What could not be read, and is in quarantine.
    pub malformed: usize,
    /// Statuses in words that we do not know.
    pub unrecognised: usize,
    /// Messages that belong to none of our shops.
    pub foreign: usize,
    /// Up to when everything was read. After a settled slice the watermark stands ahead of it.
    pub read_to: Option<UnixMillis>,
}

impl Tally {
    /// A count as logs and states have it.
    pub fn number(count: usize) -> u64 {
        u64::try_from(count).unwrap_or(u64::MAX)
    }
}
