//! What of an order asks for a person because nothing happened: each of its facts is right, and time went by.
//!
//! Invariant: [`check`] is a function of the facts and of the time, like the view; nothing is kept of it.

use crate::id::OrderId;
use crate::order::OrderStatus;
use crate::payment::MovementKind;
use crate::time::UnixMillis;
use crate::view::{OrderKnowledge, view};

/// How long an order may wait before somebody is told, in milliseconds: 4 hours. A shop buys within the hour that it is
/// paid in; half a working day later a customer asks.
pub const WAIT_MS_MAX: i64 = 4 * 60 * 60 * 1_000;

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Concern {
    /// It is paid, and nobody bought what it is for.
    PaidTooLong,
    /// Its money was captured and did not all go back, and nobody created it.
    PaidNotCreated,
}

impl Concern {
    /// The name in logs and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PaidTooLong => "paid_too_long",
            Self::PaidNotCreated => "paid_not_created",
        }
    }
}

/// Something that is wrong with an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finding {
    /// What.
    pub concern: Concern,
    /// Since when it is so: the money came, or came to cover what is due.
    pub since: UnixMillis,
}

/// What is wrong with an order for longer than [`WAIT_MS_MAX`]. At most one thing can be: what nobody created has nothing
/// due, and so is never paid.
pub fn check(id: &OrderId, known: &OrderKnowledge, now: UnixMillis) -> Option<Finding> {
    let seen = view(id, known);
    let found = if seen.status == OrderStatus::Paid {
        Some(Finding { concern: Concern::PaidTooLong, since: seen.status_at? })
    } else if known.order.placed.is_none() && seen.settlement.sums.captured > seen.settlement.sums.returned() {
        Some(Finding { concern: Concern::PaidNotCreated, since: first_capture(id, known)? })
    } else {
        None
    };
    found.filter(|finding| now.ms_since(finding.since) >= WAIT_MS_MAX)
}

/// When money for the order was captured first.
fn first_capture(id: &OrderId, known: &OrderKnowledge) -> Option<UnixMillis> {
    let owned = known.payments.iter().filter(|payment| payment.owner() == Some(id));
    let captures = owned.flat_map(|payment| &payment.entries).filter(|entry| entry.kind == MovementKind::Captured);
    captures.map(|entry| entry.occurred_at).min()
}
