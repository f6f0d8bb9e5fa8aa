//! Times as an operator writes and reads them: a moment in RFC 3339, or a day, which is one of China's, as the
//! marketplaces' days are.

use anyhow::Context;
use domain::UnixMillis;
use domain::sweep::{Window, china_day_before};

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
/// China's time is 8 hours ahead of UTC, all year.
const CHINA_OFFSET_MS: i64 = 8 * 60 * 60 * 1_000;

/// The first moment of what a text names: `YYYY-MM-DD`, or a moment.
pub(crate) fn start(text: &str) -> anyhow::Result<UnixMillis> {
    match midnight(text) {
        Some(midnight) => Ok(midnight),
        None => UnixMillis::from_rfc3339(text).with_context(|| format!("{text} is not YYYY-MM-DD or RFC 3339")),
    }
}

/// The first moment after what a text names: a day counts whole.
pub(crate) fn end(text: &str) -> anyhow::Result<UnixMillis> {
    match midnight(text) {
        Some(midnight) => Ok(midnight.saturating_add_ms(DAY_MS)),
        None => start(text),
    }
}

/// A whole day.
pub(crate) fn whole(text: &str) -> anyhow::Result<Window> {
    let day = midnight(text).and_then(|midnight| Window::new(midnight, midnight.saturating_add_ms(DAY_MS)));
    day.with_context(|| format!("{text} is not a day, YYYY-MM-DD"))
}

/// The last whole day.
pub(crate) fn yesterday(now: UnixMillis) -> anyhow::Result<Window> {
    china_day_before(now).context("there was no day before")
}

fn midnight(text: &str) -> Option<UnixMillis> {
    UnixMillis::from_rfc3339(&format!("{text}T00:00:00+08:00")).ok()
}

/// The day of a moment, `YYYY-MM-DD`.
pub(crate) fn name(at: UnixMillis) -> String {
    at.saturating_add_ms(CHINA_OFFSET_MS).to_rfc3339().chars().take_while(|letter| *letter != 'T').collect()
}

/// A moment in China, to the second.
pub(crate) fn moment(at: UnixMillis) -> String {
    let text = at.saturating_add_ms(CHINA_OFFSET_MS).to_rfc3339();
    text.get(..19).map_or(text.clone(), |short| format!("{}+08:00", short))
}

/// How long something took or is ago, in its two largest units.
pub(crate) fn span(millis: i64) -> String {
    let seconds = millis.max(0) / 1_000;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, _, _) => format!("{hours} h {minutes} min"),
        (_, _, _) => format!("{days} d {hours} h"),
    }
}

/// How many days a window has, to a tenth.
pub(crate) fn days(millis: i64) -> String {
    let tenths = millis.max(0).saturating_mul(10) / DAY_MS;
    if tenths % 10 == 0 { (tenths / 10).to_string() } else { format!("{}.{}", tenths / 10, tenths % 10) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_china_s_and_counts_whole() {
        assert_eq!(start("2026-09-01").unwrap().to_rfc3339(), "2026-08-31T16:00:00.000Z");
        assert_eq!(end("2026-09-01").unwrap().to_rfc3339(), "2026-09-01T16:00:00.000Z");
        assert_eq!(whole("2026-09-01").unwrap().length_ms(), DAY_MS);
        assert_eq!(name(start("2026-09-01").unwrap()), "2026-09-01");
        assert_eq!(moment(start("2026-09-01").unwrap()), "2026-09-01T00:00:00+08:00");
    }

    #[test]
    fn a_moment_is_itself_and_anything_else_is_refused() {
        for time in ["2026-09-01T08:00:00Z", "2026-09-01T16:00:00+08:00"] {
            assert_eq!(start(time).unwrap(), end(time).unwrap());
        }
        for text in ["yesterday", "2026-13-01", "2026-09-01 08:00:00", ""] {
            assert!(start(text).is_err() && end(text).is_err() && whole(text).is_err(), "{text}");
        }
        assert!(whole("2026-09-01T00:00:00Z").is_err());
    }

    #[test]
    fn spans_have_two_units_at_most() {
        let spans = [-5, 59_000, 61_000, 3_660_000, 90_000_000].map(span);
        assert_eq!(spans, ["0 s", "59 s", "1 min 1 s", "1 h 1 min", "1 d 1 h"]);
        assert_eq!([0, DAY_MS / 2, DAY_MS * 90].map(days), ["0", "0.5", "90"]);
    }
}
