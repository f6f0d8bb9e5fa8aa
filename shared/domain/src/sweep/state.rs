//! How far a sweep is, and who is at it.
//!
//! A state is replaced whole, if nobody replaced it meanwhile (compare-and-set on `version`). So a lease is only there
//! to save work: what is safe is the watermark, which two runs at once cannot move back.

use super::window::Window;
use crate::id::LeaseToken;
use crate::time::UnixMillis;

/// What a sweep is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SweepKind {
    /// What was modified since the watermark.
    Incremental,
    /// Messages that wait at the marketplace.
    Tmc,
    /// What was created within a window of the past.
    Backfill,
    /// What was created yesterday, compared with what we have.
    Audit,
    /// Products that were modified since the watermark, or that pushes reported.
    Products,
    /// Products that were last modified within a window of the past.
    Catalogue,
}

impl SweepKind {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Incremental, Self::Tmc, Self::Backfill, Self::Audit, Self::Products, Self::Catalogue];

    /// The name in events and keys.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Incremental => "incremental",
            Self::Tmc => "tmc",
            Self::Backfill => "backfill",
            Self::Audit => "audit",
            Self::Products => "products",
            Self::Catalogue => "catalogue",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Whether it follows the clock for ever, and so can be behind it: the others have a goal of their own, and messages
    /// are confirmed one by one.
    pub const fn follows_the_clock(self) -> bool {
        matches!(self, Self::Incremental | Self::Products)
    }
}

/// Who is at a sweep. Nobody's clock is in it: who waits counts by its own clock how long the beat stands still.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The run.
    pub token: LeaseToken,
    /// Counts up while the run is alive.
    pub beat: u64,
}

/// How far a sweep of one kind, marketplace and shop is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SweepState {
    /// Counts replacements; 0 for a state that was never kept.
    pub version: u64,
    /// All that the sweep reads was read and queued up to here: of a backfill or an audit by time of creation within its
    /// goal. Of an incremental one, by modified time: for good up to the overlap before it, where the next one begins, and
    /// once up to it, when the run was through.
    pub watermark: Option<UnixMillis>,
    /// What a backfill or an audit is to read.
    pub goal: Option<Window>,
    /// Who is at it.
    pub lease: Option<Lease>,
    /// The marketplace asked for silence until then.
    pub paused_until: Option<UnixMillis>,
    /// Rows that were read for the goal.
    pub listed: u64,
    /// Trades that were queued for the goal, because they were new or differed.
    pub changed: u64,
}

/// Another run has the lease, or took it over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("another run is at this sweep")]
pub struct NotYours;

impl SweepState {
    /// The state that replaces this one after a change.
    fn next(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut next = Self { version: self.version.saturating_add(1), ..self.clone() };
        change(&mut next);
        next
    }

    fn owned_by(&self, token: &LeaseToken) -> Result<u64, NotYours> {
        self.lease.as_ref().filter(|lease| lease.token == *token).map(|lease| lease.beat).ok_or(NotYours)
    }

    /// Taken by a run, whoever had it before.
    pub fn claimed(&self, token: &LeaseToken) -> Self {
        self.next(|next| next.lease = Some(Lease { token: token.clone(), beat: 0 }))
    }

    /// The run is alive.
    pub fn beaten(&self, token: &LeaseToken) -> Result<Self, NotYours> {
        let beat = self.owned_by(token)?.saturating_add(1);
        Ok(self.next(|next| next.lease = Some(Lease { token: token.clone(), beat })))
    }

    /// Read and queued up to `end`, so many rows, of which so many were changes. Never moves back.
    pub fn advanced(&self, token: &LeaseToken, end: UnixMillis, listed: u64, changed: u64) -> Result<Self, NotYours> {
        let state = self.beaten(token)?;
        Ok(Self {
            watermark: Some(state.watermark.map_or(end, |watermark| watermark.max(end))),
            listed: state.listed.saturating_add(listed),
            changed: state.changed.saturating_add(changed),
            ..state
        })
    }

    /// The marketplace asked for silence.
    pub fn paused(&self, token: &LeaseToken, until: UnixMillis) -> Result<Self, NotYours> {
        Ok(Self { paused_until: Some(until), ..self.beaten(token)? })
    }

    /// Given back. Nothing when it is another's by now.
    pub fn released(&self, token: &LeaseToken) -> Result<Self, NotYours> {
        self.owned_by(token)?;
        Ok(self.next(|next| next.lease = None))
    }

    /// With a goal, from its start; as it is when it has this goal and is not through with it.
    pub fn aimed(&self, goal: Window) -> Self {
        if self.goal == Some(goal) && self.remaining().is_some() {
            return self.clone();
        }
        self.next(|next| {
            *next = Self { version: next.version, lease: next.lease.clone(), goal: Some(goal), ..Self::default() };
        })
    }

    /// With the watermark that an operator wants. Whoever is at the sweep loses its lease, and so cannot move it on
    /// from where it thought to be.
    pub fn set(&self, watermark: UnixMillis) -> Self {
        self.next(|next| (next.watermark, next.lease) = (Some(watermark), None))
    }

    /// What is left to read of the goal.
    pub fn remaining(&self) -> Option<Window> {
        let goal = self.goal?;
        Window::new(self.watermark.map_or(goal.start(), |watermark| watermark.max(goal.start())), goal.end())
    }

    /// Whether the marketplace wants silence now.
    pub fn is_paused(&self, now: UnixMillis) -> bool {
        self.paused_until.is_some_and(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> UnixMillis {
        UnixMillis::from_seconds(seconds).unwrap()
    }

    fn token(text: &str) -> LeaseToken {
        LeaseToken::new(text).unwrap()
    }

    #[test]
    fn a_watermark_never_moves_back_and_a_lost_lease_moves_nothing() {
        let mine = SweepState::default().claimed(&token("a")).advanced(&token("a"), at(10), 1, 1).unwrap();
        assert_eq!(mine.advanced(&token("a"), at(9), 0, 0).unwrap().watermark, Some(at(10)));
        let stolen = mine.claimed(&token("b"));
        assert_eq!(stolen.advanced(&token("a"), at(11), 0, 0), Err(NotYours));
        assert_eq!(stolen.released(&token("a")), Err(NotYours));
        assert_eq!(stolen.released(&token("b")).unwrap().lease, None);
        let set = mine.set(at(5));
        assert_eq!((set.watermark, set.advanced(&token("a"), at(11), 0, 0)), (Some(at(5)), Err(NotYours)));
    }

    #[test]
    fn every_replacement_has_a_version_of_its_own() {
        let first = SweepState::default().claimed(&token("a"));
        let second = first.beaten(&token("a")).unwrap();
        assert_eq!([first.version, second.version, second.set(at(1)).version], [1, 2, 3]);
        assert_eq!(second.lease.map(|lease| lease.beat), Some(1));
    }

    #[test]
    fn a_goal_is_gone_on_with_until_it_is_through_and_then_begun_again() {
        let goal = Window::new(at(0), at(100)).unwrap();
        let aimed = SweepState::default().aimed(goal).claimed(&token("a"));
        assert_eq!(aimed.remaining(), Some(goal));
        let half = aimed.advanced(&token("a"), at(50), 7, 3).unwrap();
        assert_eq!(half.aimed(goal), half);
        assert_eq!(half.remaining(), Window::new(at(50), at(100)));
        let through = half.advanced(&token("a"), at(100), 1, 1).unwrap();
        assert_eq!((through.remaining(), through.listed, through.changed), (None, 8, 4));
        let again = through.aimed(goal);
        assert_eq!((again.remaining(), again.listed), (Some(goal), 0));
        let other = Window::new(at(0), at(60)).unwrap();
        assert_eq!(half.aimed(other).remaining(), Some(other));
    }
}
