//! The products of one shop: what is listed, and what pushes reported.

use std::collections::{BTreeMap, HashMap};

use adapters::clock::Clock;
use adapters::ports::{Catalogue, ImageQueue, Manifest, MarketError, Products, Quarantine, Sweeps};
use domain::sweep::{Limits, SweepKind, SweepState, Window};
use domain::{ListingDigest, ProductId, ProductKey, UnixMillis};
use lambda::log::{WideEvent, field};
use lambda::sweep::{Course, Held, Listing, RunTime, Stop, Tally, Work, read, set_aside};
use protocols::marketplace::{Account, Answer, ListPage, ListQuery, Listed, ListedBy, Owned, Role};
use protocols::sweeps::Outcome;

use crate::job::{Job, Kind};
use crate::look::{Counts, PRODUCTS_AT_ONCE_MAX, Wanted, look_at};

/// What bounds a sweep of products: as of orders, but pages of 20 rows, which is the most that 1688 gives (it says that
/// more counts as 20), and slices of a quarter of a year, because most products are not touched for months.
pub const LIMITS: Limits = Limits { page_rows: 20, slice_ms_max: 90 * 24 * 60 * 60 * 1_000, ..Limits::DEFAULT };
/// From when on products can have been modified: 2000-01-01T00:00:00Z, before there was an API. A backfill without a
/// window reads everything since.
pub const CATALOGUE_FROM: UnixMillis = protocols::delivery::EARLIEST;
/// Reports of pushes that are read at a time.
const REPORTS_AT_ONCE_MAX: usize = 1_000;

/// The products of one shop.
#[derive(Debug)]
pub(crate) struct Shop<'a, C, P, M, I, Q> {
    account: Account,
    kind: Kind,
    goal: Option<Window>,
    limits: Limits,
    catalogue: &'a C,
    known: (&'a P, &'a M),
    sinks: (&'a I, &'a Q),
    /// Reports of pushes that are still to be dealt with.
    waiting: BTreeMap<ProductId, UnixMillis>,
    /// Those that were dealt with in this run: the index may go on showing them for a while.
    dealt_with: BTreeMap<ProductId, UnixMillis>,
    /// What was looked at in this run, by the digest that the list had: also what could not be read.
    looked_at: HashMap<ProductId, ListingDigest>,
    counts: Counts,
}

impl<'a, C, P, M, I, Q> Shop<'a, C, P, M, I, Q> {
    /// The products of the account.
    pub(crate) fn new(
        account: Account,
        job: &Job,
        limits: Limits,
        catalogue: &'a C,
        known: (&'a P, &'a M),
        sinks: (&'a I, &'a Q),
    ) -> Self {
        Self {
            account,
            kind: job.kind,
            goal: job.goal,
            limits,
            catalogue,
            known,
            sinks,
            waiting: BTreeMap::new(),
            dealt_with: BTreeMap::new(),
            looked_at: HashMap::new(),
            counts: Counts::default(),
        }
    }
}

impl<C: Catalogue, P: Products, M: Manifest, I: ImageQueue, Q: Quarantine> Shop<'_, C, P, M, I, Q> {
    async fn look(&mut self, wanted: &[Wanted], time: &RunTime<'_, impl Clock>, tally: &mut Tally) -> Result<(), Stop> {
        let asked = (self.catalogue, &self.account);
        look_at(wanted, asked, self.known, self.sinks, time, (&mut self.counts, tally)).await?;
        for Wanted { id, listed, changed_at, .. } in wanted {
            if let Some(listed) = listed {
                self.looked_at.insert(id.clone(), listed.clone());
            }
            if let Some(changed_at) = changed_at {
                self.waiting.remove(id);
                self.dealt_with.insert(id.clone(), *changed_at);
            }
        }
        Ok(())
    }

    /// Reads which products pushes reported. What comes after this is asked of details that are asked for later, so that
    /// a report counts as dealt with only when its change can be seen.
    async fn read_reports(&mut self) -> Result<(), Stop> {
        let (marketplace, shop) = (self.account.marketplace(), &self.account.shop);
        let pending = self.known.0.pending(marketplace, shop, REPORTS_AT_ONCE_MAX).await?;
        let is_new = |id: &ProductId, at: UnixMillis| self.dealt_with.get(id).is_none_or(|dealt_with| *dealt_with < at);
        let new = pending.into_iter().map(|(ProductKey { product_id, .. }, at)| (product_id, at));
        self.waiting = new.filter(|(id, at)| is_new(id, *at)).collect();
        Ok(())
    }

    /// Deals with what pushes reported and the list did not bring.
    async fn follow_reports(
        &mut self,
        held: &mut Held<'_, impl Sweeps>,
        time: &RunTime<'_, impl Clock>,
        tally: &mut Tally,
    ) -> Result<(), Stop> {
        while !self.waiting.is_empty() {
            let wanted = self.reported().await?;
            for wanted in wanted.chunks(PRODUCTS_AT_ONCE_MAX) {
                time.for_a_page()?;
                held.beat(time.clock.now()).await?;
                self.look(wanted, time, tally).await?;
            }
            self.read_reports().await?;
        }
        Ok(())
    }

    /// What the reports that wait are of. A product that the shop's list ever had is the shop's own; of others' products
    /// nothing but pushes tells.
    async fn reported(&mut self) -> Result<Vec<Wanted>, Stop> {
        let waiting = std::mem::take(&mut self.waiting);
        let keys: Vec<ProductKey> = waiting.keys().map(|id| self.account.product(id.clone())).collect();
        let sold = self.known.0.listings(&keys).await?;
        let wanted = waiting.into_iter().zip(&keys).map(|((id, at), key)| {
            let role = if sold.contains_key(key) { Role::Seller } else { Role::Buyer };
            Wanted { id, role, listed: None, changed_at: Some(at) }
        });
        Ok(wanted.collect())
    }

    /// The rows that say something else than when their product was last swept, and those that a push reported.
    async fn changed(&self, rows: Vec<Listed<ProductId>>) -> Result<Vec<Wanted>, Stop> {
        let is_new = |row: &Listed<ProductId>| self.looked_at.get(&row.id) != Some(&row.digest);
        let fresh: Vec<Listed<ProductId>> = rows.into_iter().filter(is_new).collect();
        if fresh.is_empty() {
            return Ok(Vec::new());
        }
        let keys: Vec<ProductKey> = fresh.iter().map(|row| self.account.product(row.id.clone())).collect();
        let known = self.known.0.listings(&keys).await?;
        let wanted = fresh.into_iter().zip(keys).filter_map(|(Listed { id, digest, .. }, key)| {
            let changed_at = self.waiting.get(&id).copied();
            let is_wanted = changed_at.is_some() || known.get(&key) != Some(&digest);
            is_wanted.then_some(Wanted { id, role: Role::Seller, listed: Some(digest), changed_at })
        });
        Ok(wanted.collect())
    }
}

impl<C: Catalogue, P: Products, M: Manifest, I: ImageQueue, Q: Quarantine> Listing for Shop<'_, C, P, M, I, Q> {
    type Id = ProductId;

    fn account(&self) -> &Account {
        &self.account
    }

    async fn page(&self, query: &ListQuery) -> Result<Answer<ListPage<ProductId>>, MarketError> {
        self.catalogue.list(&self.account, query).await
    }

    async fn take(
        &mut self,
        page: Owned<ListPage<ProductId>>,
        time: &RunTime<'_, impl Clock>,
        tally: &mut Tally,
    ) -> Result<(), Stop> {
        let ListPage { rows, malformed, .. } = page.into_inner();
        tally.listed += rows.len() + malformed.len();
        for row in malformed {
            set_aside(&self.account, "product", row, self.sinks.1, tally).await?;
        }
        let mut wanted = self.changed(rows).await?;
        // One page may have a product twice, when it changes places.
        wanted.sort_by(|one, other| one.id.cmp(&other.id));
        wanted.dedup_by(|one, other| one.id == other.id);
        for wanted in wanted.chunks(PRODUCTS_AT_ONCE_MAX) {
            self.look(wanted, time, tally).await?;
        }
        Ok(())
    }

    fn passed(&mut self, limits: &Limits) {
        if Tally::number(self.looked_at.len()) > limits.slice_rows_max {
            self.looked_at.clear();
        }
    }
}

impl<C: Catalogue, P: Products, M: Manifest, I: ImageQueue, Q: Quarantine> Work for Shop<'_, C, P, M, I, Q> {
    fn account(&self) -> &Account {
        &self.account
    }

    fn kind(&self) -> SweepKind {
        self.kind.sweep()
    }

    /// What a backfill is to read, when it is not said: what it is not through with, else everything.
    fn goal(&self, state: &SweepState, now: UnixMillis) -> Option<Window> {
        let unfinished = state.goal.filter(|_| state.remaining().is_some());
        match self.kind {
            Kind::Incremental => None,
            Kind::Backfill => {
                let everything = Window::new(CATALOGUE_FROM, now.saturating_add_ms(-self.limits.settle_lag_ms));
                self.goal.or(unfinished).or(everything)
            }
        }
    }

    /// The list first, so that a product that was pushed and is listed is asked for once; then what only pushes
    /// reported, also when the list is one that cannot be read.
    async fn work(
        &mut self,
        held: &mut Held<'_, impl Sweeps>,
        time: &RunTime<'_, impl Clock>,
        tally: &mut Tally,
    ) -> Result<(), Stop> {
        let limits = self.limits;
        match self.kind {
            Kind::Backfill => read((Course::Goal(ListedBy::Modified), limits), self, held, time, tally).await,
            Kind::Incremental => {
                self.read_reports().await?;
                let listed = read((Course::Onward, limits), self, held, time, tally).await;
                match &listed {
                    Err(stop) if stop.outcome() != Outcome::Failed => return listed,
                    Ok(()) | Err(_) => {}
                }
                let followed = self.follow_reports(held, time, tally).await;
                listed.and(followed)
            }
        }
    }

    fn requested(&self) -> Option<u64> {
        Some(Tally::number(self.counts.requested))
    }

    fn describe(&self, event: WideEvent) -> WideEvent {
        event
            .with(field::IMAGES_REQUESTED, self.counts.requested)
            .with(field::IMAGES_REMOVED, self.counts.removed)
            .with(field::IMAGES_ELSEWHERE, self.counts.elsewhere)
            .with(field::IMAGES_BEYOND, self.counts.beyond)
    }
}
