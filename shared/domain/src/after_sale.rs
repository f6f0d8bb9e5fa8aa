//! A refund case at the marketplace: what a buyer asks back of a trade or of one of its lines, and where that stands.
//!
//! Nothing of our own ledger: this is between the buyer and the seller at the marketplace.

use crate::fact::{Outcome, Prefer, join};
use crate::id::{LineId, MessageId, RawStatus};
use crate::money::Money;
use crate::time::UnixMillis;

/// Where a refund case stands, in words common to all marketplaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AfterSaleState {
    /// The marketplace used a word that we do not know.
    Unrecognised,
    /// Asked for; the seller has to agree.
    Requested,
    /// The seller said no; the buyer has to change the request.
    Refused,
    /// Agreed; the buyer has to send the goods back.
    AwaitingReturn,
    /// The goods are on their way back; the seller has to receive them.
    Returning,
    /// The money went back. An end.
    Refunded,
    /// Called off. An end.
    Closed,
}

impl AfterSaleState {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Unrecognised,
        Self::Requested,
        Self::Refused,
        Self::AwaitingReturn,
        Self::Returning,
        Self::Refunded,
        Self::Closed,
    ];

    /// The name in answers, events and items.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unrecognised => "unrecognised",
            Self::Requested => "requested",
            Self::Refused => "refused",
            Self::AwaitingReturn => "awaiting_return",
            Self::Returning => "returning",
            Self::Refunded => "refunded",
            Self::Closed => "closed",
        }
    }

    /// The state of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

/// A report of where a case stands. The latest is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateReport {
    /// When, by the marketplace's clock.
    pub at: UnixMillis,
    /// The marketplace's message, or the reading of a sweep.
    pub id: MessageId,
    /// The common state.
    pub state: AfterSaleState,
    /// The marketplace's own word.
    pub raw: RawStatus,
}

impl Prefer for StateReport {
    fn is_preferred_to(&self, other: &Self) -> bool {
        (self.at, &self.id, &self.raw) > (other.at, &other.id, &other.raw)
    }
}

/// A report of what is asked back. The latest is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// When, by the marketplace's clock.
    pub at: UnixMillis,
    /// The marketplace's message, or the reading of a sweep.
    pub id: MessageId,
    /// The line of the trade; absent when it is for the whole trade.
    pub line: Option<LineId>,
    /// How much; absent where the marketplace did not say.
    pub money: Option<Money>,
}

impl Claim {
    /// What a report at `at` says is asked back; `None` when it says nothing. Taobao's details name no money and its
    /// messages do, so a claim without money gives way to any that has it, whenever that was.
    pub fn reported(at: UnixMillis, id: &MessageId, line: Option<LineId>, money: Option<Money>) -> Option<Self> {
        let at = if money.is_some() { at } else { UnixMillis::EPOCH };
        (line.is_some() || money.is_some()).then(|| Self { at, id: id.clone(), line, money })
    }

    /// What decides between two: the time, then more of the report.
    fn weight(&self) -> (UnixMillis, &MessageId, Option<&LineId>, Option<i64>) {
        (self.at, &self.id, self.line.as_ref(), self.money.map(Money::minor))
    }
}

impl Prefer for Claim {
    fn is_preferred_to(&self, other: &Self) -> bool {
        self.weight() > other.weight()
    }
}

/// What was reported of one case. The two facts do not depend on each other: a push tells of a state and of no money.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AfterSale {
    /// Where it stands.
    pub state: Option<StateReport>,
    /// What is asked back.
    pub claim: Option<Claim>,
}

impl AfterSale {
    /// Whether any of what this says is what `joined` keeps.
    pub fn is_part_of(&self, joined: &Self) -> bool {
        (self.state.is_some() && self.state == joined.state) || (self.claim.is_some() && self.claim == joined.claim)
    }

    /// Takes another report of the same case in, fact by fact. The better of the outcomes of the facts that it has.
    pub fn join(&mut self, other: Self) -> Option<Outcome> {
        let state = other.state.map(|state| join(&mut self.state, state));
        let claim = other.claim.map(|claim| join(&mut self.claim, claim));
        state.into_iter().chain(claim).min()
    }
}
