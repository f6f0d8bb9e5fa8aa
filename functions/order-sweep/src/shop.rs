//! What is done for one shop, by the kind of sweep.

use std::sync::Arc;

use adapters::clock::Clock;
use adapters::ports::{EventQueue, Marketplace, Quarantine, RawDetails, Sweeps, TradeDetails};
use domain::UnixMillis;
use domain::sweep::{HISTORY_MS, Limits, SweepKind, SweepState, Window, china_day_before};
use lambda::log::WideEvent;
use lambda::sweep::{Course, Held, RunTime, Stop, Tally, Work, read};
use protocols::marketplace::{Account, ListedBy};

use crate::job::{Job, Kind};
use crate::messages;
use crate::page::Trades;

/// The orders of one shop.
#[derive(Debug)]
pub(crate) struct Orders<'a, M, D, R, E, Q> {
    account: Account,
    others: Arc<[Account]>,
    kind: Kind,
    goal: Option<Window>,
    limits: Limits,
    market: &'a M,
    trades: (&'a D, &'a R),
    sinks: (&'a E, &'a Q),
}

impl<'a, M, D, R, E, Q> Orders<'a, M, D, R, E, Q> {
    /// The orders of the account, which is one of ours at its marketplace.
    pub(crate) fn new(
        (account, others): (Account, Arc<[Account]>),
        job: &Job,
        limits: Limits,
        market: &'a M,
        trades: (&'a D, &'a R),
        sinks: (&'a E, &'a Q),
    ) -> Self {
        Self { account, others, kind: job.kind, goal: job.goal, limits, market, trades, sinks }
    }
}

impl<M: Marketplace, D: TradeDetails, R: RawDetails, E: EventQueue, Q: Quarantine> Work for Orders<'_, M, D, R, E, Q> {
    fn account(&self) -> &Account {
        &self.account
    }

    fn kind(&self) -> SweepKind {
        self.kind.sweep()
    }

    /// What a backfill or an audit is to read, when it is not said: what it is not through with, else three months or
    /// yesterday.
    fn goal(&self, state: &SweepState, now: UnixMillis) -> Option<Window> {
        let unfinished = state.goal.filter(|_| state.remaining().is_some());
        let usual = match self.kind {
            Kind::Backfill => {
                let end = now.saturating_add_ms(-self.limits.settle_lag_ms);
                unfinished.or_else(|| Window::new(end.saturating_add_ms(-HISTORY_MS), end))
            }
            Kind::Audit => china_day_before(now),
            Kind::Incremental | Kind::Tmc => None,
        };
        self.goal.or(usual)
    }

    async fn work(
        &mut self,
        held: &mut Held<'_, impl Sweeps>,
        time: &RunTime<'_, impl Clock>,
        tally: &mut Tally,
    ) -> Result<(), Stop> {
        let course = match self.kind {
            Kind::Tmc => {
                let asked = (self.market, &self.account, &*self.others);
                return messages::drain(asked, self.sinks, held, time, tally).await;
            }
            Kind::Incremental => Course::Onward,
            Kind::Backfill | Kind::Audit => Course::Goal(ListedBy::Created),
        };
        let mut trades = Trades::new((self.market, &self.account), self.trades, self.sinks);
        read((course, self.limits), &mut trades, held, time, tally).await
    }

    fn describe(&self, event: WideEvent) -> WideEvent {
        event
    }
}
