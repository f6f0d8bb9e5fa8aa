//! What became of each kind of thing that the demo sent: the answers it got, and what the functions' own
//! log lines say of the rest of the way.

use std::collections::{BTreeMap, HashMap};

use comfy_table::Table;
use domain::{Recorded, UnixMillis};
use protocols::log::field;

use super::plan::{EventKey, Planned};
use crate::logs::{Line, structured};
use crate::stack::Session;
use crate::table::{count, table};

/// How a push that is no event ends in the intake, an event in the writer, and a movement in the ledger.
const OUTCOMES: [&str; 7] = ["applied", "duplicate", "conflict", "stale", "quarantined", "failed", "acknowledged"];

/// Under what the callback of this line was planned, the likeliest first. A movement's is planned under its payment, what
/// moves no money under its type; a contradiction has the name of what it contradicts, and only its outcome tells them
/// apart.
fn callback_keys(line: &Line) -> impl Iterator<Item = EventKey> {
    let text = |field| line.text(field).map(str::to_owned);
    let kind = text(field::PAYMENT_KIND).zip(text(field::PAYMENT_TRANSACTION));
    let movement = text(field::PAYMENT_KEY).zip(kind.map(|(kind, transaction)| format!("{kind}#{transaction}")));
    let is_conflict = line.text(field::OUTCOME) == Some(Recorded::Conflict.as_str());
    let contradiction = movement.clone().filter(|_| is_conflict).map(|(payment, name)| (payment, otherwise(&name)));
    let silent = text(field::EVENT_SOURCE).zip(text(field::CALLBACK_TYPE));
    [contradiction, movement, silent].into_iter().flatten()
}

/// Under what a contradiction is planned.
pub(super) fn otherwise(name: &str) -> String {
    format!("{name}#otherwise")
}

/// One kind.
#[derive(Debug, Default)]
struct Row {
    kind: String,
    sent: usize,
    answers: BTreeMap<String, usize>,
    outcomes: BTreeMap<String, usize>,
}

/// All kinds.
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
    fn row(&mut self, kind: &str) -> usize {
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
        if label.starts_with('2') {
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
        let mut told: Vec<(Option<usize>, Line)> = Vec::new();
        for function in ["webhook-intake", "status-writer"] {
            let lines = structured(session, function, since).await?;
            told.extend(lines.into_iter().map(|line| (self.kind_of(&line), line)));
        }
        let callbacks = structured(session, "payment-callback", since).await?;
        let kind_of = |line: &Line| callback_keys(line).find_map(|key| self.events.get(&key).copied());
        told.extend(callbacks.into_iter().map(|line| (kind_of(&line), line)));
        self.rows.iter_mut().for_each(|row| row.outcomes.clear());
        let mut counted = 0;
        // Intake also tells that it accepted an event; what became of it is the writer's word.
        for (index, line) in told {
            let outcome = line.text(field::OUTCOME).filter(|outcome| OUTCOMES.contains(outcome));
            if let Some((row, outcome)) = index.and_then(|index| self.rows.get_mut(index)).zip(outcome) {
                *row.outcomes.entry(outcome.to_owned()).or_default() += 1;
                counted += 1;
            }
        }
        Ok(counted)
    }

    fn kind_of(&self, line: &Line) -> Option<usize> {
        let text = |field| line.text(field).map(str::to_owned);
        let event = text(field::EVENT_SOURCE).zip(text(field::EVENT_ID)).and_then(|key| self.events.get(&key));
        event.or_else(|| self.messages.get(line.text(field::SQS_MESSAGE_ID)?)).copied()
    }

    /// The closing table.
    pub(super) fn table(&self) -> Table {
        let mut rows = table([
            "what was sent",
            "sent",
            "answers",
            "applied",
            "dupl.",
            "confl.",
            "stale",
            "quarant.",
            "failed",
            "acknowl.",
        ]);
        let mut totals = [0; OUTCOMES.len()];
        let mut sorted: Vec<&Row> = self.rows.iter().collect();
        sorted.sort_by_key(|row| &row.kind);
        for row in sorted {
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
