//! What became of pictures: the sums of image-sync's own log lines.

use std::collections::{BTreeMap, BTreeSet};

use comfy_table::Table;
use protocols::log::{event, field};

use crate::logs::Line;
use crate::table::table;

/// What a picture can end as: its word in the log, and what that means.
const OUTCOMES: [(&str, &str); 7] = [
    ("stored", "fetched; its bytes are new here"),
    ("known", "fetched; the same bytes were here already, so they are stored once"),
    ("unchanged", "the host said that it is as it was; nothing was fetched"),
    ("stale", "a later request for it was served before"),
    ("quarantined", "refused; its request is in quarantine, with the reason"),
    ("failed", "not to be had now; its request is handed out again"),
    ("handed_back", "the run's time was over; its request is handed out again"),
];

/// The sums.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures {
    outcomes: BTreeMap<String, u64>,
    /// Bytes that were fetched.
    pub bytes: u64,
    /// Requests that image hosts were asked.
    pub requests: u64,
    /// Objects that were put into the bucket.
    pub puts: u64,
    /// Thumbnails among them.
    pub thumbnails: u64,
    digests: BTreeSet<String>,
    /// Pictures that wait for another try.
    waiting: BTreeSet<String>,
}

impl Figures {
    /// Takes a line in, if it is of a picture.
    pub(crate) fn add(&mut self, line: &str) {
        let Some(line) = Line::read(line) else { return };
        let Some((event::IMAGE_SYNCED, outcome)) = line.ended() else { return };
        let waits = matches!(outcome, "failed" | "handed_back");
        if let Some(key) = line.text(field::IMAGE_KEY) {
            if waits {
                self.waiting.insert(key.to_owned())
            } else {
                self.waiting.remove(key)
            };
        }
        *self.outcomes.entry(outcome.to_owned()).or_default() += 1;
        self.digests.extend(line.text(field::IMAGE_DIGEST).map(str::to_owned));
        let count = |field| line.count(field).unwrap_or_default();
        self.bytes += count(field::IMAGE_BYTES);
        self.requests += count(field::IMAGE_REQUESTS);
        self.puts += count(field::IMAGE_PUTS);
        self.thumbnails += count(field::IMAGE_THUMBNAILS);
    }

    /// Pictures that ended so.
    pub fn ended_as(&self, outcome: &str) -> u64 {
        self.outcomes.get(outcome).copied().unwrap_or_default()
    }

    /// Requests that came to their end: no other try follows.
    pub fn ended(&self) -> u64 {
        let again = self.ended_as("failed").saturating_add(self.ended_as("handed_back"));
        self.outcomes.values().sum::<u64>().saturating_sub(again)
    }

    /// Different pictures that were fetched.
    pub fn pictures(&self) -> usize {
        self.digests.len()
    }

    /// Pictures whose request waits for another try, as far as it was told.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// What became of the requests.
    pub(crate) fn outcomes_table(&self) -> Table {
        let mut rows = table(["outcome", "pictures", "what that is"]);
        for (outcome, meaning) in OUTCOMES {
            let count = self.ended_as(outcome);
            if count > 0 {
                rows.add_row([outcome.to_owned(), count.to_string(), meaning.to_owned()]);
            }
        }
        rows
    }
}

impl std::fmt::Display for Figures {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { bytes, requests, puts, thumbnails, .. } = self;
        let (skipped, once) = (self.ended_as("unchanged"), self.ended_as("known"));
        let fetched = indicatif::BinaryBytes(*bytes);
        write!(
            formatter,
            "{requests} requests, {fetched} fetched, {puts} objects put, {thumbnails} of them thumbnails; {skipped} \
             skipped, {once} stored already"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(outcome: &str, position: u32, rest: &str) -> String {
        format!(r#"{{"event":"image.synced","outcome":"{outcome}","image.key":"1688#demo#7#main-{position}"{rest}}}"#)
    }

    #[test]
    fn the_sums_are_of_the_lines_of_pictures_alone() {
        let mut figures = Figures::default();
        let rest =
            r#","image.bytes":1048576,"image.requests":2,"image.puts":3,"image.thumbnails":2,"image.digest":"a""#;
        for line in [
            line("stored", 1, rest),
            line("known", 2, r#","image.bytes":1048576,"image.requests":1,"image.digest":"a""#),
            line("unchanged", 3, r#","image.requests":1"#),
            r#"{"event":"record.processed","outcome":"applied","image.bytes":5}"#.to_owned(),
            "REPORT RequestId: 1".to_owned(),
        ] {
            figures.add(&line);
        }
        assert_eq!((figures.bytes, figures.requests, figures.puts, figures.thumbnails), (2 << 20, 4, 3, 2));
        assert_eq!((figures.ended(), figures.pictures(), figures.waiting()), (3, 1, 0));
        assert_eq!(
            figures.to_string(),
            "4 requests, 2.00 MiB fetched, 3 objects put, 2 of them thumbnails; 1 skipped, 1 stored already"
        );
        let shown = figures.outcomes_table().to_string();
        assert!(shown.contains("unchanged") && !shown.contains("quarantined"), "{shown}");
    }

    #[test]
    fn what_failed_waits_until_it_ends() {
        let mut figures = Figures::default();
        for outcome in ["failed", "handed_back"] {
            figures.add(&line(outcome, 1, ""));
            assert_eq!((figures.waiting(), figures.ended()), (1, 0));
        }
        figures.add(&line("stored", 1, ""));
        assert_eq!((figures.waiting(), figures.ended()), (0, 1));
    }
}
