//! Which of two reports of one fact wins, and what became of a report.
//!
//! Invariant: [`join`] keeps the preferred of all reports that it was ever given. Preference is a total
//! order, so the order and the repetition of the reports do not matter (law 2).

/// What became of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// It is the one that is kept now.
    Applied,
    /// The very same report was kept already.
    Duplicate,
    /// A report that is preferred to it was kept already.
    Stale,
}

impl Outcome {
    /// The word in logs and tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Duplicate => "duplicate",
            Self::Stale => "stale",
        }
    }
}

/// One of several competing reports of the same fact.
pub trait Prefer: Eq {
    /// Whether this report is kept when both are known. A total order: of two different reports
    /// exactly one is preferred to the other.
    fn is_preferred_to(&self, other: &Self) -> bool;
}

/// Keeps the preferred report in `slot`.
pub fn join<R: Prefer>(slot: &mut Option<R>, report: R) -> Outcome {
    let outcome = compare(slot.as_ref(), &report);
    if outcome == Outcome::Applied {
        *slot = Some(report);
    }
    outcome
}

/// What would become of `report` if `kept` is kept now.
pub fn compare<R: Prefer>(kept: Option<&R>, report: &R) -> Outcome {
    match kept {
        Some(kept) if kept == report => Outcome::Duplicate,
        Some(kept) if !report.is_preferred_to(kept) => Outcome::Stale,
        Some(_) | None => Outcome::Applied,
    }
}
