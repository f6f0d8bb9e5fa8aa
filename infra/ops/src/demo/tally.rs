//! What became of each kind of thing that the demo sent: the answers it got, and what the functions' own
//! log lines say of the rest of the way.

use std::collections::{BTreeMap, HashMap};

use comfy_table::Table;
use domain::UnixMillis;

use super::plan::{EventKey, Planned};
use crate::logs::{LogLine, structured};
use crate::stack::Session;
use crate::table::{count, table};

/// How a push that is no event ends in the intake, and an event in the writer.
const OUTCOMES: [&str; 6] = ["applied", "duplicate", "stale", "quarantined", "failed", "acknowledged"];

/// One kind.
#[derive(Debug, Default)]
struct Row {
    kind: String,
    sent: usize,
    answers: BTreeMap<String, usize>,
    outcomes: BTreeMap<String, usize>,
}

/// All kinds, in the order of the plan.
#[derive(Debug, Default)]
pub(super) struct Tally {
    rows: Vec<Row>,
    /// The kind of each event that the functions will tell of.
    events: HashMap<EventKey, usize>,
    /// The kind of each message that is not an event, by its id in the queue.
    messages: HashMap<String, usize>,
    /// Lines that the functions owe.
    pub(super) expected: usize,
    /// Answers that were not the expected ones.
    pub(super) surprises: Vec<String>,
}

impl Tally {
    /// The row of a kind.
    pub(super) fn row(&mut self, kind: &str) -> usize {
        if let Some(index) = self.rows.iter().position(|row| row.kind == kind) {
            return index;
        }
        self.rows.push(Row { kind: kind.to_owned(), ..Row::default() });
        self.rows.len() - 1
    }

    fn add(&mut self, index: usize, label: String) {
        if let Some(row) = self.rows.get_mut(index) {
            row.sent += 1;
            *row.answers.entry(label).or_default() += 1;
        }
    }

    /// Takes an answer in.
    pub(super) fn answered(&mut self, planned: &Planned, label: String) {
        let index = self.row(&planned.kind);
        if label.starts_with("200 accepted") {
            self.expected += planned.events.len();
        }
        if !label.starts_with(planned.expected) {
            self.surprises.push(format!("{}: {label} in place of {}", planned.kind, planned.expected));
        }
        self.events.extend(planned.events.iter().map(|event| (event.clone(), index)));
        self.add(index, label);
    }

    /// A message was put on the queue by its side door.
    pub(super) fn queued(&mut self, kind: &str, message_id: String) {
        let index = self.row(kind);
        self.add(index, "queued".to_owned());
        self.messages.insert(message_id, index);
        self.expected += 1;
    }

    /// Reads the outcomes afresh, and tells how many there are.
    pub(super) async fn read_outcomes(&mut self, session: &Session, since: UnixMillis) -> anyhow::Result<usize> {
        let mut told = Vec::new();
        for function in ["webhook-intake", "status-writer"] {
            told.extend(structured(session, function, since).await?);
        }
        self.rows.iter_mut().for_each(|row| row.outcomes.clear());
        let mut counted = 0;
        // Intake also tells that it accepted an event; what became of it is the writer's word.
        for line in told.into_iter().filter(|line| OUTCOMES.contains(&line.outcome.as_str())) {
            let Some(index) = self.kind_of(&line) else { continue };
            if let Some(row) = self.rows.get_mut(index) {
                *row.outcomes.entry(line.outcome).or_default() += 1;
                counted += 1;
            }
        }
        Ok(counted)
    }

    fn kind_of(&self, line: &LogLine) -> Option<usize> {
        let key = line.event_source.clone().zip(line.event_id.clone());
        let event = key.and_then(|key| self.events.get(&key));
        event.or_else(|| self.messages.get(line.message_id.as_ref()?)).copied()
    }

    /// The closing table.
    pub(super) fn table(&self) -> Table {
        let mut rows =
            table(["what was sent", "sent", "answers", "applied", "dupl.", "stale", "quarant.", "failed", "acknowl."]);
        let mut totals = [0; OUTCOMES.len()];
        for row in &self.rows {
            let answers: Vec<String> = row.answers.iter().map(|(label, times)| format!("{times} x {label}")).collect();
            let counts = OUTCOMES.map(|outcome| row.outcomes.get(outcome).copied().unwrap_or_default());
            totals.iter_mut().zip(counts).for_each(|(total, count)| *total += count);
            rows.add_row(
                [row.kind.clone(), row.sent.to_string(), answers.join("\n")].into_iter().chain(counts.map(count)),
            );
        }
        let sent: usize = self.rows.iter().map(|row| row.sent).sum();
        let total = ["all".to_owned(), sent.to_string(), String::new()];
        rows.add_row(total.into_iter().chain(totals.map(count)));
        rows
    }
}
