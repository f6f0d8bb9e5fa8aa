//! What a function did, by its own log lines.

use std::collections::BTreeMap;

use domain::UnixMillis;
use protocols::log::{event, field, metric};

use crate::logs::Line;

/// The parts that the time is divided into, for a plot.
pub(super) const PARTS: usize = 60;

/// How the counts of several lines come together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    /// Each line tells of other things.
    All,
    /// Each line tells how it is by then.
    TheLast,
}

/// Counts in lines that ask for a person, and what to do about them. An alarm watches each.
const COUNTERS: [(&str, Of, &str); 11] = [
    (metric::PAYMENT_CONFLICT, Of::All, "x a callback contradicted the ledger: `sampan ledger list --conflicts`"),
    (metric::PAYMENT_WITHOUT_ORDER, Of::All, "x captured money named no order: `sampan ledger list --without-order`"),
    (metric::ORDER_DAMAGED, Of::All, "x an order had no rate that can be read: order.id says which"),
    (
        metric::SWEEP_FOREIGN_ANSWER,
        Of::All,
        "x a marketplace answered for another account: event.source says which shop",
    ),
    (
        metric::SWEEP_REAUTHORISE,
        Of::All,
        "x a token was not taken: the shop in event.source must authorise the app anew",
    ),
    (metric::SIGNED_REFUSED, Of::All, "x refused with a good signature: event.source says who, reason why"),
    (metric::AUDIT_UNFINISHED, Of::All, "x an audit did not come to its end: `sampan audit` does it again"),
    (
        metric::SECRETS_UNUSABLE,
        Of::TheLast,
        "entries of the secrets document cannot be used: secrets.sections says where",
    ),
    (metric::PAID_TOO_LONG, Of::TheLast, "orders are paid and not bought: `sampan check`"),
    (metric::PAID_NOT_CREATED, Of::TheLast, "orders are paid and not created: `sampan check`"),
    (metric::CHECK_UNFINISHED, Of::TheLast, "x a check did not come to its end: `sampan check` goes on"),
];

/// The sums of a function's lines.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Activity {
    /// How often a unit of work ended so, in each part of the time.
    pub(super) outcomes: BTreeMap<String, [u64; PARTS]>,
    /// How long units of work took, in milliseconds.
    pub(super) took_ms: Vec<i64>,
    /// How old what became a fact was by then, in milliseconds.
    pub(super) age_ms: Vec<i64>,
    /// Bytes of pictures that were fetched.
    pub(super) bytes: u64,
    /// What asks for a person, by its place among [`COUNTERS`].
    counts: [u64; COUNTERS.len()],
}

impl Activity {
    /// Of these lines, with their times in milliseconds. Lines of libraries, and what is no work of its own (calls of
    /// marketplaces, a look at the secrets), are left out.
    pub(super) fn of(lines: Vec<(i64, String)>, (from, to): (UnixMillis, UnixMillis)) -> Self {
        let mut activity = Self::default();
        let part_ms = (to.ms_since(from) / i64::try_from(PARTS).unwrap_or(1)).max(1);
        for (at, line) in lines {
            let Some(line) = Line::read(&line) else { continue };
            let Some((event, outcome)) = line.ended() else { continue };
            if [event::MARKETPLACE_CALLED, event::LIBRARY_WARNED].contains(&event) {
                continue;
            }
            for ((name, of, _), count) in COUNTERS.iter().zip(&mut activity.counts) {
                if let Some(told) = line.count(name) {
                    *count = if *of == Of::All { count.saturating_add(told) } else { told };
                }
            }
            if event == event::SECRETS_READ {
                continue;
            }
            let part = usize::try_from((at - from.get()) / part_ms).unwrap_or_default().min(PARTS - 1);
            let counts = activity.outcomes.entry(outcome.to_owned()).or_insert([0; PARTS]);
            if let Some(count) = counts.get_mut(part) {
                *count += 1;
            }
            activity.took_ms.extend(line.milliseconds(field::DURATION_MS));
            activity.age_ms.extend(line.milliseconds(field::EVENT_AGE_MS));
            activity.bytes = activity.bytes.saturating_add(line.count(field::IMAGE_BYTES).unwrap_or_default());
        }
        activity.took_ms.sort_unstable();
        activity.age_ms.sort_unstable();
        activity
    }

    /// What of the work of this function asks for a person.
    pub(super) fn asks(&self, folder: &str) -> Vec<String> {
        let of = |outcome: &str| self.outcomes.get(outcome).map_or(0, |counts| counts.iter().sum::<u64>());
        let troubled = of("failed") + of("unavailable");
        // What orders-api refuses is told to the shop front, which is ours.
        let refused = if folder == "orders-api" { 0 } else { of("refused") };
        let counted = COUNTERS.iter().zip(self.counts).map(|((_, _, words), count)| (count, *words));
        [
            (troubled, "x failed or unavailable, by its log: error.chain says why"),
            (refused, "x refused, by its log: event.source says who, reason why"),
        ]
        .into_iter()
        .chain(counted)
        .filter(|(count, _)| *count > 0)
        .map(|(count, words)| format!("{folder}: {count} {words}"))
        .collect()
    }

    /// Outcomes with their sums, the most frequent first.
    pub(super) fn outcomes_text(&self) -> String {
        let sums = self.outcomes.iter().map(|(outcome, counts)| (counts.iter().sum::<u64>(), outcome));
        let mut sums: Vec<(u64, &String)> = sums.collect();
        sums.sort_by(|one, other| other.cmp(one));
        let texts: Vec<String> = sums.into_iter().map(|(sum, outcome)| format!("{sum} {outcome}")).collect();
        if texts.is_empty() { "nothing came".to_owned() } else { texts.join(", ") }
    }
}

/// What half of the values are at most, and what 99 of a hundred are; nothing of no values. They are in order.
pub(super) fn halves(values: &[i64]) -> String {
    let at_most = |percent: usize| {
        let nth = (values.len() * percent).div_ceil(100).saturating_sub(1);
        values.get(nth).map(ToString::to_string)
    };
    at_most(50).zip(at_most(99)).map(|(half, most)| format!("{half}, {most}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_that_an_alarm_watches_is_told_in_a_terminal() {
        // Told otherwise: by the outcome `failed`, and by what waits in quarantine.
        let told_otherwise = [metric::SWEEP_FAILED, metric::IMAGE_REFUSED];
        let told = |name: &&str| COUNTERS.iter().any(|(counter, ..)| counter == name) || told_otherwise.contains(name);
        let untold: Vec<&str> = metric::COUNTERS.into_iter().filter(|name| !told(name)).collect();
        assert_eq!(untold, metric::UNWATCHED);
    }

    #[test]
    fn lines_are_counted_by_outcome_and_time_and_measured() {
        let from = UnixMillis::new(1_795_248_000_000).unwrap();
        let to = from.saturating_add_ms(3_600_000);
        let at = |minute: i64| from.get() + minute * 60_000 + 30_000;
        let line = |outcome: &str, age: i64| {
            format!(r#"{{"event":"record.processed","outcome":"{outcome}","duration_ms":7,"event.age_ms":{age}}}"#)
        };
        let lines = vec![
            (at(0), line("applied", 100)),
            (at(59), line("applied", 300)),
            (at(59), line("failed", 200)),
            (at(59), r#"{"event":"marketplace.called","outcome":"answered"}"#.to_owned()),
            (at(59), r#"{"event":"library.warned","outcome":"warn","library.message":"slow"}"#.to_owned()),
            (at(59), "START RequestId".to_owned()),
        ];
        let activity = Activity::of(lines, (from, to));
        let applied = &activity.outcomes["applied"];
        assert_eq!((applied[0], applied[59], applied.iter().sum::<u64>()), (1, 1, 2));
        assert_eq!(activity.outcomes_text(), "2 applied, 1 failed");
        let asks = "status-writer: 1 x failed or unavailable, by its log: error.chain says why";
        assert_eq!(activity.asks("status-writer"), [asks]);
        assert_eq!((halves(&activity.age_ms).as_str(), halves(&[])), ("200, 300", String::new()));
        assert_eq!(Activity::of(Vec::new(), (from, to)).outcomes_text(), "nothing came");
    }

    #[test]
    fn what_lines_count_asks_for_a_person_all_together_or_as_it_is_by_now() {
        let line = |event: &str, outcome: &str, counts: &str| {
            (0, format!(r#"{{"event":"{event}","outcome":"{outcome}","duration_ms":null,{counts}}}"#))
        };
        let lines = vec![
            line("callback.received", "conflict", r#""payment_conflict":1"#),
            line("callback.received", "conflict", r#""payment_conflict":1"#),
            line("callback.received", "refused", r#""reason":"there is no such gateway""#),
            line("orders.checked", "finished", r#""paid_too_long":7,"check_unfinished":1"#),
            line("orders.checked", "finished", r#""paid_too_long":2,"check_unfinished":0"#),
        ];
        let asks = Activity::of(lines, (UnixMillis::EPOCH, UnixMillis::EPOCH)).asks("f");
        let begin = ["f: 1 x refused", "f: 2 x a callback contradicted", "f: 2 orders are paid and not bought"];
        assert_eq!(asks.len(), begin.len(), "{asks:?}");
        assert!(asks.iter().zip(begin).all(|(ask, begin)| ask.starts_with(begin)), "{asks:?}");
    }
}
