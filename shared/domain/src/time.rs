//! One kind of time: milliseconds since 1970-01-01T00:00:00Z, from an injected clock or from a sender.
//!
//! Invariant: a `UnixMillis` lies in the years 1970 to 9999, so it always has an RFC 3339 form.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

/// Milliseconds since the Unix epoch, UTC. From 0 to [`UnixMillis::MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct UnixMillis(i64);

/// Why a number or a text is not a time that we keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTime {
    /// Before 1970 or after 9999.
    #[error("time is before 1970 or after 9999")]
    OutOfRange,
    /// Not `YYYY-MM-DDTHH:MM:SS[.fraction]` with `Z` or an offset.
    #[error("time is not RFC 3339")]
    NotRfc3339,
}

impl UnixMillis {
    /// 9999-12-31T23:59:59.999Z, the last moment with a four-digit year.
    pub const MAX: Self = Self(253_402_300_799_999);
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);

    /// Checks the range.
    pub const fn new(millis: i64) -> Result<Self, InvalidTime> {
        if millis < 0 || millis > Self::MAX.0 {
            return Err(InvalidTime::OutOfRange);
        }
        Ok(Self(millis))
    }

    /// From whole seconds since the epoch.
    pub fn from_seconds(seconds: i64) -> Result<Self, InvalidTime> {
        Self::new(seconds.checked_mul(1_000).ok_or(InvalidTime::OutOfRange)?)
    }

    /// From an RFC 3339 text with any offset; digits below a millisecond are dropped.
    pub fn from_rfc3339(text: &str) -> Result<Self, InvalidTime> {
        let parsed = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| InvalidTime::NotRfc3339)?;
        let millis = parsed.unix_timestamp_nanos().div_euclid(1_000_000);
        Self::new(i64::try_from(millis).map_err(|_| InvalidTime::OutOfRange)?)
    }

    /// Milliseconds since the epoch.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// The last millisecond of this time's second. A time of whole seconds says only that something was within that
    /// second; as a report it counts for the whole of it, so that it is not older than what was pushed within it.
    pub const fn end_of_second(self) -> Self {
        Self(self.0.div_euclid(1_000) * 1_000 + 999)
    }

    /// RFC 3339 in UTC with milliseconds, such as `2026-11-21T08:00:00.000Z`.
    pub fn to_rfc3339(self) -> String {
        let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000)
            .ok()
            .and_then(|moment| moment.format(format).ok())
            .unwrap_or_default()
    }

    /// This time and so many milliseconds more, held at the ends of the range.
    pub fn saturating_add_ms(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis).clamp(0, Self::MAX.0))
    }

    /// How many milliseconds lie between `earlier` and this; negative when `earlier` is later.
    pub const fn ms_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl TryFrom<i64> for UnixMillis {
    type Error = InvalidTime;
    fn try_from(millis: i64) -> Result<Self, InvalidTime> {
        Self::new(millis)
    }
}

impl From<UnixMillis> for i64 {
    fn from(time: UnixMillis) -> Self {
        time.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_the_range_are_times_and_their_neighbours_are_not() {
        assert!(UnixMillis::new(0).is_ok());
        assert_eq!(UnixMillis::new(-1), Err(InvalidTime::OutOfRange));
        assert!(UnixMillis::new(UnixMillis::MAX.get()).is_ok());
        assert_eq!(UnixMillis::new(UnixMillis::MAX.get() + 1), Err(InvalidTime::OutOfRange));
        assert_eq!(UnixMillis::from_seconds(i64::MAX), Err(InvalidTime::OutOfRange));
    }

    #[test]
    fn rfc3339_keeps_milliseconds_and_turns_offsets_into_utc() {
        let time = UnixMillis::from_rfc3339("2026-09-14T10:44:25.1239+08:00").unwrap();
        assert_eq!(time.to_rfc3339(), "2026-09-14T02:44:25.123Z");
        assert_eq!(UnixMillis::MAX.to_rfc3339(), "9999-12-31T23:59:59.999Z");
        assert_eq!(UnixMillis::EPOCH.to_rfc3339(), "1970-01-01T00:00:00.000Z");
        assert_eq!(UnixMillis::from_rfc3339("2026-09-14"), Err(InvalidTime::NotRfc3339));
    }
}
