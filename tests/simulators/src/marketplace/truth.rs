//! The trades of one shop as they are: what every reader is compared with.
//!
//! Invariants: a modified time is a whole second and, but for a late commit, never later than when the change can be
//! read; the lists hold exactly the trades that are there; one seed and one sequence of calls give one history.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use domain::{Marketplace, TradeStatus, UnixMillis};
use fastrand::Rng;
use protocols::marketplace::ListedBy;

use super::index::{Index, Key};
use super::order::{Case, Happened, Order};

/// Trades between two ids that follow each other, so that lines find numbers between them.
const ID_STRIDE: u64 = 10_000_000;
/// How many of the latest modified a change may choose from. Small numbers make what a sweep reads move.
const CHOICES: [usize; 3] = [64, 1_024, usize::MAX];

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// How many trades or products the list has in all.
    pub total: u64,
    /// Those of the page, the latest first.
    pub ids: Vec<u64>,
}

/// In which order a list has what was modified in one second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ties {
    /// By their numbers, the greatest first.
    #[default]
    ById,
    /// In another order each time that it is asked for. No vendor promises a better one.
    Shuffled,
}

/// A kind of change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A trade was modified.
    Modified,
    /// A trade was made.
    Created,
    /// A trade was deleted.
    Deleted,
    /// A trade was modified or made, and its time lies in the past.
    Late,
    /// One of several trades that were modified in one second.
    Tied,
    /// What a trade says changed, and not its time.
    Silent,
    /// A trade came under a word that nobody knows.
    Odd,
}

/// Something that was committed late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Late {
    /// The trade.
    pub id: u64,
    /// The time that it was given.
    pub modified: UnixMillis,
    /// When it could first be read.
    pub committed: UnixMillis,
}

/// A message that waits to be pulled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Its number.
    pub id: u64,
    /// When it was sent.
    pub at: UnixMillis,
    /// What about, such as `taobao_trade_TradeBuyerPay`.
    pub topic: &'static str,
    /// The trade.
    pub trade: u64,
    /// The line that it is about; the first one where it is about the trade.
    pub line: u64,
    /// The trade's word by then.
    pub word: &'static str,
    /// The common status of that word.
    pub status: TradeStatus,
    /// The refund case by then, and what is asked back in fen, when it is about one.
    pub case: Option<(Case, i64)>,
    /// What the buyer pays in all, in fen.
    pub total: i64,
}

/// How often a market changes by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disturbance {
    /// Changes each time it is disturbed, in tenths: 1 is one in ten times, 50 is five.
    pub tenths: u32,
    /// How late a change may be committed, in milliseconds; 0 for never.
    pub late_ms_max: i64,
    /// Whether a trade may be modified twice in one second. A reader that goes by time cannot tell which state is the
    /// later one.
    pub is_hasty: bool,
}

impl Disturbance {
    /// Nothing changes.
    pub const NONE: Self = Self { tenths: 0, late_ms_max: 0, is_hasty: false };
}

/// The trades of one shop.
#[derive(Debug, Clone)]
pub struct Market {
    marketplace: Marketplace,
    owner: String,
    random: Rng,
    orders: Vec<Order>,
    /// Where in `orders` a trade is.
    places: HashMap<u64, usize>,
    by_modified: Index,
    by_created: Index,
    id_base: u64,
    made: u64,
    ties: Ties,
    happened: BTreeMap<Kind, u64>,
    late: Vec<Late>,
    silent: BTreeSet<u64>,
    deleted: BTreeMap<u64, Order>,
    notices: VecDeque<Notice>,
    noticed: u64,
    notices_lost_percent: u8,
}

impl Market {
    /// A shop of so many trades that were made between two times and lived until the later one. The owner is its member
    /// id at 1688, its nick at Taobao.
    pub fn generate(
        marketplace: Marketplace,
        owner: &str,
        seed: u64,
        orders: usize,
        (from, to): (UnixMillis, UnixMillis),
    ) -> Self {
        let base = match marketplace {
            Marketplace::Alibaba1688 => 167_000_000_000_000_000,
            Marketplace::Taobao => 2_800_000_000_000_000_000,
        };
        let mut market = Self {
            marketplace,
            owner: owner.to_owned(),
            random: Rng::with_seed(seed),
            orders: Vec::with_capacity(orders),
            places: HashMap::with_capacity(orders),
            by_modified: Index::default(),
            by_created: Index::default(),
            id_base: base + seed % 700 * 100_000_000_000_000,
            made: 0,
            ties: Ties::ById,
            happened: BTreeMap::new(),
            late: Vec::new(),
            silent: BTreeSet::new(),
            deleted: BTreeMap::new(),
            notices: VecDeque::new(),
            noticed: 0,
            notices_lost_percent: 0,
        };
        let (from, to) = (whole(from), whole(to));
        let span_s = to.ms_since(from).max(0) / 1_000;
        for _ in 0..orders {
            let created = from.saturating_add_ms(market.random.i64(0..=span_s) * 1_000);
            let id = market.next_id();
            let order = Order::grown(id, marketplace, (created, to), &mut market.random);
            market.places.insert(id, market.orders.len());
            market.orders.push(order);
        }
        market.by_modified = Index::of(market.orders.iter().map(|order| key(order.modified, order.id)).collect());
        market.by_created = Index::of(market.orders.iter().map(|order| key(order.created, order.id)).collect());
        market
    }

    /// The marketplace.
    pub const fn marketplace(&self) -> Marketplace {
        self.marketplace
    }

    /// Whose trades these are, by the marketplace's name.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// How many trades there are.
    pub const fn len(&self) -> usize {
        self.orders.len()
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.orders.is_empty()
    }

    /// All trades as they are now, in no order.
    pub fn truth(&self) -> impl Iterator<Item = &Order> {
        self.orders.iter()
    }

    /// A trade.
    pub fn order(&self, id: u64) -> Option<&Order> {
        self.orders.get(*self.places.get(&id)?)
    }

    /// From now on, lists have trades of one second in this order.
    pub const fn set_ties(&mut self, ties: Ties) {
        self.ties = ties;
    }

    /// From now on, so many of a hundred messages are lost.
    pub const fn lose_notices(&mut self, percent: u8) {
        self.notices_lost_percent = percent;
    }

    /// A page of the trades whose time lies from `from` to `to`, both included, as vendors do; the latest first. Pages
    /// are counted from 1.
    pub fn page(&mut self, by: ListedBy, window: (UnixMillis, UnixMillis), page: u64, page_rows: u64) -> Page {
        let index = match by {
            ListedBy::Modified => &self.by_modified,
            ListedBy::Created => &self.by_created,
        };
        page_of(index, (self.ties, &mut self.random), window, page, page_rows)
    }

    /// Lets the next thing happen to a trade: it is paid, sent, received, ends, is called off, a refund of a line moves,
    /// a remark is flagged. `false` when there is no such trade.
    pub fn modify(&mut self, id: u64, at: UnixMillis) -> bool {
        let at = whole(at);
        let is_known = self.change(id, at, at, true);
        self.count(Kind::Modified, is_known);
        is_known
    }

    /// A new trade.
    pub fn create(&mut self, at: UnixMillis) -> u64 {
        let at = whole(at);
        let id = self.add(at, at);
        self.announce(id, at, Happened::Created);
        self.count(Kind::Created, true);
        id
    }

    /// Deletes a trade: it is in no list any more and has no detail. `false` when there is no such trade.
    pub fn delete(&mut self, id: u64) -> bool {
        let Some(place) = self.places.remove(&id) else { return false };
        let order = self.orders.swap_remove(place);
        if let Some(moved) = self.orders.get(place) {
            self.places.insert(moved.id, place);
        }
        self.by_modified.remove(key(order.modified, id));
        self.by_created.remove(key(order.created, id));
        self.silent.remove(&id);
        self.deleted.insert(id, order);
        self.count(Kind::Deleted, true);
        true
    }

    /// Modifies a trade, or makes one, at a time of the past, which can be read only from now on. No message tells of
    /// it. Which trade: one that was last modified before that time.
    pub fn commit_late(&mut self, modified: UnixMillis, now: UnixMillis) -> u64 {
        let modified = whole(modified);
        let is_new = self.random.u8(0..3) == 0;
        let chosen = self.choose(modified.seconds()).filter(|_| !is_new);
        let id = chosen.unwrap_or_else(|| self.add(modified, now));
        if chosen.is_some() {
            self.change(id, modified, now, false);
        }
        self.late.push(Late { id, modified, committed: now });
        self.count(Kind::Late, true);
        id
    }

    /// Modifies up to so many trades in one second; gives them.
    pub fn tie(&mut self, orders: usize, at: UnixMillis) -> Vec<u64> {
        let at = whole(at);
        let mut tied = Vec::with_capacity(orders);
        for _ in 0..orders {
            // What was modified in this second before is not chosen again.
            let Some(id) = self.choose(at.seconds()) else { break };
            self.change(id, at, at, true);
            self.count(Kind::Tied, true);
            tied.push(id);
        }
        tied
    }

    /// Changes a price without the modified time: only who compares everything finds it. `false` when there is no such
    /// trade.
    pub fn change_silently(&mut self, id: u64) -> bool {
        let place = self.places.get(&id).copied();
        let Some(order) = place.and_then(|place| self.orders.get_mut(place)) else { return false };
        order.reprice();
        self.silent.insert(id);
        self.count(Kind::Silent, true);
        true
    }

    /// Puts a trade under a status word that nobody knows, until it is modified again. `false` when there is no such
    /// trade.
    pub fn unknown_status(&mut self, id: u64, at: UnixMillis) -> bool {
        let at = whole(at);
        let is_known = self.change(id, at, at, false);
        if let Some(order) = self.places.get(&id).and_then(|place| self.orders.get_mut(*place)) {
            order.has_odd_word = true;
        }
        if is_known {
            self.announce(id, at, Happened::Renamed);
        }
        self.count(Kind::Odd, is_known);
        is_known
    }

    /// Lets happen what happens between two calls: on the average as much as the disturbance says, of all kinds, mostly
    /// to what was modified lately. Gives how many changes there were.
    pub fn disturb(&mut self, how: Disturbance, now: UnixMillis) -> u64 {
        let before = self.changes();
        let due = how.tenths / 10 + u32::from(self.random.u32(0..10) < how.tenths % 10);
        for _ in 0..due {
            self.disturb_once(how, now);
        }
        self.changes() - before
    }

    fn disturb_once(&mut self, how: Disturbance, now: UnixMillis) {
        let lateness_ms = self.random.i64(0..=how.late_ms_max.max(0));
        let what = self.random.u8(0..100);
        let before = whole(now).seconds() + i64::from(how.is_hasty);
        match (what, self.choose(before)) {
            (0..10, _) | (_, None) => drop(self.create(now)),
            (10..20, Some(_)) if lateness_ms >= 1_000 => {
                self.commit_late(now.saturating_add_ms(-lateness_ms), now);
            }
            (20..23, Some(_)) => {
                let many = self.orders.len() > 1_000 && self.random.u8(0..20) == 0;
                let orders = if many { self.random.usize(60..=120) } else { self.random.usize(2..=6) };
                self.tie(orders, now);
            }
            (23..27, Some(id)) => drop(self.change_silently(id)),
            (27..29, Some(id)) => drop(self.unknown_status(id, now)),
            (29..31, Some(id)) => drop(self.delete(id)),
            (_, Some(id)) => drop(self.modify(id, now)),
        }
    }

    /// Makes so many changes, spread evenly over a time, the earliest first; gives how many there were.
    pub fn play(&mut self, from: UnixMillis, to: UnixMillis, changes: u64) -> u64 {
        let before = self.changes();
        let span = i128::from(to.ms_since(from).max(0));
        let how = Disturbance { tenths: 10, ..Disturbance::NONE };
        for nth in 1..=changes {
            let after_ms = span * i128::from(nth) / i128::from(changes);
            self.disturb_once(how, from.saturating_add_ms(i64::try_from(after_ms).unwrap_or(i64::MAX)));
        }
        self.changes() - before
    }

    /// How many changes there were since it was generated.
    pub fn changes(&self) -> u64 {
        self.happened.values().sum()
    }

    /// How many changes there were of a kind.
    pub fn happened(&self, kind: Kind) -> u64 {
        self.happened.get(&kind).copied().unwrap_or_default()
    }

    /// Everything that was committed late, in turn.
    pub fn late(&self) -> &[Late] {
        &self.late
    }

    /// Trades whose present state came so much later than its time, in milliseconds, that a reader with a shorter
    /// overlap may have missed it.
    pub fn later_than(&self, ms: i64) -> BTreeSet<u64> {
        let is_later = |order: &&Order| order.visible_from.ms_since(order.modified) > ms;
        self.truth().filter(is_later).map(|order| order.id).collect()
    }

    /// Trades that changed silently and were not modified since.
    pub const fn changed_silently(&self) -> &BTreeSet<u64> {
        &self.silent
    }

    /// The trades that were deleted, as they were last.
    pub const fn deleted(&self) -> &BTreeMap<u64, Order> {
        &self.deleted
    }

    /// Messages that wait, the oldest first.
    pub fn notices(&self) -> impl Iterator<Item = &Notice> {
        self.notices.iter()
    }

    /// Takes a message away; `false` when it does not wait.
    pub fn confirm(&mut self, notice: u64) -> bool {
        let place = self.notices.iter().position(|waiting| waiting.id == notice);
        place.and_then(|place| self.notices.remove(place)).is_some()
    }

    fn next_id(&mut self) -> u64 {
        self.made += 1;
        self.id_base + self.made * ID_STRIDE + self.random.u64(0..ID_STRIDE - 100)
    }

    fn count(&mut self, kind: Kind, happened: bool) {
        *self.happened.entry(kind).or_default() += u64::from(happened);
    }

    /// A trade that was last modified before a second; mostly one of the latest.
    fn choose(&mut self, before: i64) -> Option<u64> {
        let end = self.by_modified.rank((before, 0));
        let choices = self.random.choice(CHOICES).unwrap_or(usize::MAX).min(end);
        if choices == 0 {
            return None;
        }
        let rank = end - 1 - self.random.usize(0..choices);
        self.by_modified.ranked(rank..rank + 1).first().map(|(_, id)| *id)
    }

    fn add(&mut self, at: UnixMillis, visible_from: UnixMillis) -> u64 {
        let id = self.next_id();
        let order = Order { visible_from, ..Order::new(id, self.marketplace, at, &mut self.random) };
        self.by_modified.insert(key(at, id));
        self.by_created.insert(key(at, id));
        self.places.insert(id, self.orders.len());
        self.orders.push(order);
        id
    }

    fn change(&mut self, id: u64, at: UnixMillis, visible_from: UnixMillis, is_announced: bool) -> bool {
        let place = self.places.get(&id).copied();
        let Some(order) = place.and_then(|place| self.orders.get_mut(place)) else { return false };
        let before = order.modified;
        let happened = order.live(at, &mut self.random);
        (order.modified, order.visible_from) = (at, visible_from);
        if before != at {
            self.by_modified.remove(key(before, id));
            self.by_modified.insert(key(at, id));
        }
        self.silent.remove(&id);
        if is_announced {
            self.announce(id, at, happened);
        }
        true
    }

    /// Queues the message of what happened, where the marketplace has messages to pull, unless it is lost.
    fn announce(&mut self, id: u64, at: UnixMillis, happened: Happened) {
        let is_lost = self.random.u8(0..100) < self.notices_lost_percent;
        if self.marketplace != Marketplace::Taobao || is_lost {
            return;
        }
        let Some(order) = self.order(id) else { return };
        let line = match happened {
            Happened::Case(place) => order.lines.get(place),
            Happened::Created
            | Happened::Repriced
            | Happened::Paid
            | Happened::PartlyShipped
            | Happened::Shipped
            | Happened::Signed
            | Happened::Finished
            | Happened::Closed
            | Happened::Remarked
            | Happened::Renamed => None,
        };
        let case = line.and_then(|line| Some((line.case?, line.amount())));
        let notice = Notice {
            id: self.id_base + self.noticed,
            at,
            topic: topic(happened, case),
            trade: id,
            line: line.or(order.lines.first()).map_or(id, |line| line.id),
            word: order.word(self.marketplace),
            status: order.common(),
            case,
            total: order.total(),
        };
        self.noticed += 1;
        self.notices.push_back(notice);
    }
}

/// The message's topic. Source: open.taobao.com, message topics of taobao_trade and taobao_refund.
fn topic(happened: Happened, case: Option<(Case, i64)>) -> &'static str {
    use super::order::CaseStage;
    match happened {
        Happened::Created => "taobao_trade_TradeCreate",
        Happened::Repriced => "taobao_trade_TradeModifyFee",
        Happened::Paid => "taobao_trade_TradeBuyerPay",
        Happened::PartlyShipped => "taobao_trade_TradePartlySellerShip",
        Happened::Shipped => "taobao_trade_TradeSellerShip",
        Happened::Finished => "taobao_trade_TradeSuccess",
        Happened::Closed => "taobao_trade_TradeClose",
        Happened::Signed | Happened::Renamed => "taobao_trade_TradeChanged",
        Happened::Remarked => "taobao_trade_TradeMemoModified",
        Happened::Case(_) => match case.map(|(case, _)| case.stage) {
            Some(CaseStage::Requested) | None => "taobao_refund_RefundCreated",
            Some(CaseStage::Refused) => "taobao_refund_RefundSellerRefuseAgreement",
            Some(CaseStage::AwaitingReturn) => "taobao_refund_RefundSellerAgreeAgreement",
            Some(CaseStage::Returning) => "taobao_refund_RefundBuyerReturnGoods",
            Some(CaseStage::Refunded) => "taobao_refund_RefundSuccess",
            Some(CaseStage::Closed) => "taobao_refund_RefundClosed",
        },
    }
}

/// A page of what an index has from one time to another, both included; the latest first.
pub(super) fn page_of(
    index: &Index,
    (ties, random): (Ties, &mut Rng),
    (from, to): (UnixMillis, UnixMillis),
    page: u64,
    page_rows: u64,
) -> Page {
    let first = index.rank((from.get().div_euclid(1_000) + i64::from(from.get() % 1_000 != 0), 0));
    let end = index.rank((to.seconds() + 1, 0)).max(first);
    let number = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    let skipped = number(page.saturating_sub(1).saturating_mul(page_rows));
    let page_end = end.saturating_sub(skipped).max(first);
    let page_start = page_end.saturating_sub(number(page_rows)).max(first);
    let total = u64::try_from(end - first).unwrap_or(u64::MAX);
    let keys = match ties {
        Ties::ById => index.ranked(page_start..page_end).into_iter().rev().collect(),
        Ties::Shuffled => shuffled(index, (first, end), (page_start, page_end), random),
    };
    Page { total, ids: keys.into_iter().map(|(_, id)| id).collect() }
}

/// A page whose trades of one second are in any order: also those that begin before the page or end after it.
fn shuffled(
    index: &Index,
    (first, end): (usize, usize),
    (page_start, page_end): (usize, usize),
    random: &mut Rng,
) -> Vec<Key> {
    let page = index.ranked(page_start..page_end);
    let (Some((earliest, _)), Some((latest, _))) = (page.first(), page.last()) else { return page };
    let start = index.rank((*earliest, 0)).max(first);
    let stop = index.rank((*latest + 1, 0)).min(end);
    let mut keys: Vec<Key> = index.ranked(start..stop).into_iter().rev().collect();
    for second in keys.chunk_by_mut(|one, other| one.0 == other.0) {
        random.shuffle(second);
    }
    keys.into_iter().skip(stop - page_end).take(page_end - page_start).collect()
}

/// Moved back to its second.
pub(super) fn whole(at: UnixMillis) -> UnixMillis {
    at.saturating_add_ms(-at.get().rem_euclid(1_000))
}

pub(super) const fn key(at: UnixMillis, id: u64) -> Key {
    (at.seconds(), id)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: i64 = 86_400_000;

    fn at(ms: i64) -> UnixMillis {
        UnixMillis::new(1_795_248_000_000 + ms).unwrap()
    }

    fn market(seed: u64, orders: usize) -> Market {
        Market::generate(Marketplace::Taobao, "sampan-demo", seed, orders, (at(-30 * DAY_MS), at(0)))
    }

    fn all_pages(market: &mut Market, by: ListedBy, window: (UnixMillis, UnixMillis), rows: u64) -> Vec<u64> {
        let total = market.page(by, window, 1, rows).total;
        (1..=total.div_ceil(rows)).flat_map(|page| market.page(by, window, page, rows).ids).collect()
    }

    #[test]
    fn a_list_has_each_trade_of_its_window_once_the_latest_first_and_both_ends_count() {
        let mut market = market(1, 3_000);
        market.play(at(0), at(3_600_000), 2_000);
        for by in [ListedBy::Modified, ListedBy::Created] {
            let time = |order: &Order| match by {
                ListedBy::Modified => order.modified,
                ListedBy::Created => order.created,
            };
            let mut times: Vec<UnixMillis> = market.truth().map(&time).collect();
            times.sort_unstable();
            let window = (times[500], times[2_500]);
            let within = |order: &&Order| (window.0..=window.1).contains(&time(order));
            let mut expected: Vec<(UnixMillis, u64)> =
                market.truth().filter(within).map(|order| (time(order), order.id)).collect();
            expected.sort_unstable_by(|one, other| other.cmp(one));
            let expected: Vec<u64> = expected.into_iter().map(|(_, id)| id).collect();
            assert_eq!(all_pages(&mut market, by, window, 50), expected);
            let beyond = market.page(by, window, 1_000, 50);
            assert_eq!((beyond.total, beyond.ids), (u64::try_from(expected.len()).unwrap(), Vec::new()));
        }
    }

    #[test]
    fn a_reader_that_pages_forwards_loses_trades_which_a_modification_moves_up() {
        let mut market = market(2, 1_000);
        let window = (at(-30 * DAY_MS), at(0));
        let there_all_the_time: BTreeSet<u64> = market.truth().map(|order| order.id).collect();
        let (mut seen, mut page, mut now) = (BTreeSet::new(), 1, at(1_000));
        loop {
            let read = market.page(ListedBy::Modified, window, page, 50);
            if read.ids.is_empty() {
                break;
            }
            seen.extend(read.ids);
            now = now.saturating_add_ms(1_000);
            market.tie(5, now);
            page += 1;
        }
        let moved = |id: &u64| market.order(*id).is_some_and(|order| order.modified > at(0));
        let lost = there_all_the_time.iter().filter(|id| !seen.contains(id) && !moved(id)).count();
        assert!(lost > 0, "the market is too tame to show what paging forwards loses");
    }

    #[test]
    fn a_late_commit_appears_now_under_a_time_of_the_past() {
        let mut market = market(3, 200);
        market.modify(market.orders[0].id, at(60_000));
        let window = (at(0), at(30_000));
        assert_eq!(market.page(ListedBy::Modified, window, 1, 50).total, 0);
        let id = market.commit_late(at(20_500), at(70_000));
        assert_eq!(market.page(ListedBy::Modified, window, 1, 50), Page { total: 1, ids: vec![id] });
        assert_eq!(market.order(id).unwrap().modified, at(20_000));
        assert_eq!(market.late(), [Late { id, modified: at(20_000), committed: at(70_000) }]);
        assert_eq!((market.later_than(49_999), market.later_than(50_000)), ([id].into(), BTreeSet::new()));
    }

    #[test]
    fn a_silent_change_changes_the_digest_and_not_the_time() {
        let mut market = market(4, 10);
        let before = market.orders[3].clone();
        assert!(market.change_silently(before.id));
        let after = market.order(before.id).unwrap();
        assert_eq!(after.modified, before.modified);
        assert_ne!(after.digest(), before.digest());
        assert!(market.changed_silently().contains(&before.id));
    }

    #[test]
    fn every_modification_changes_the_digest_even_of_a_trade_that_ended() {
        let mut market = market(5, 3);
        let id = market.orders[0].id;
        for second in 1..200 {
            let before = market.order(id).unwrap().clone();
            market.modify(id, at(second * 1_000));
            let after = market.order(id).unwrap();
            let untimed = Order { modified: before.modified, ..after.clone() };
            assert_ne!(untimed.digest(), before.digest(), "second {second}");
        }
    }

    #[test]
    fn trades_of_one_second_may_come_in_another_order_each_time() {
        let mut market = market(6, 500);
        let tied: BTreeSet<u64> = market.tie(120, at(5_000)).into_iter().collect();
        market.set_ties(Ties::Shuffled);
        let window = (at(5_000), at(5_000));
        let reads: Vec<Vec<u64>> = (0..9).map(|_| market.page(ListedBy::Modified, window, 2, 50).ids).collect();
        assert!(reads.iter().all(|ids| ids.len() == 50 && ids.iter().all(|id| tied.contains(id))));
        assert!(reads.windows(2).any(|two| two[0] != two[1]));
        let whole = market.page(ListedBy::Modified, window, 1, 500).ids;
        assert_eq!(whole.into_iter().collect::<BTreeSet<_>>(), tied);
    }

    #[test]
    fn one_seed_gives_one_history_with_changes_of_every_kind() {
        let history = |seed| {
            let mut market = market(seed, 2_000);
            let how = Disturbance { tenths: 25, late_ms_max: 600_000, is_hasty: false };
            for step in 0..2_000 {
                market.disturb(how, at(step * 700));
            }
            market
        };
        let (one, other) = (history(7), history(7));
        assert!(one.truth().eq(other.truth()) && one.notices().eq(other.notices()));
        for kind in [Kind::Modified, Kind::Created, Kind::Deleted, Kind::Late, Kind::Tied, Kind::Silent, Kind::Odd] {
            assert!(one.happened(kind) > 0, "{kind:?}");
        }
        assert!(one.changes() > 4_000);
        let stages: BTreeSet<_> = one.truth().map(|order| order.stage).collect();
        assert_eq!(stages.len(), super::super::Stage::ALL.len());
        assert!(one.truth().all(|order| (1..=3).contains(&order.lines.len()) && order.total() > 0));
    }

    #[test]
    fn a_hundred_thousand_trades_and_tens_of_thousands_of_changes_are_no_burden() {
        let mut market = market(8, 100_000);
        assert_eq!((market.len(), market.by_modified.rank((i64::MAX, 0))), (100_000, 100_000));
        market.play(at(0), at(3_600_000), 30_000);
        let page = market.page(ListedBy::Modified, (at(0), at(3_600_000)), 3, 50);
        assert_eq!(page.ids.len(), 50);
        assert!(market.truth().all(|order| order.id.to_string().len() == 19));
    }

    #[test]
    fn messages_wait_until_they_are_confirmed_and_some_are_lost() {
        let mut market = market(9, 50);
        market.play(at(0), at(60_000), 40);
        let waiting: Vec<u64> = market.notices().map(|notice| notice.id).collect();
        assert!(!waiting.is_empty() && waiting.is_sorted());
        assert!(market.confirm(waiting[0]) && !market.confirm(waiting[0]));
        market.lose_notices(100);
        market.play(at(60_000), at(120_000), 40);
        assert_eq!(market.notices().count(), waiting.len() - 1);
    }

    #[test]
    fn a_shop_may_have_no_trade_or_one() {
        let mut none = market(10, 0);
        assert_eq!(none.page(ListedBy::Modified, (at(-DAY_MS), at(0)), 1, 50), Page { total: 0, ids: Vec::new() });
        assert_eq!(none.tie(3, at(0)), Vec::<u64>::new());
        let mut one = market(10, 1);
        let id = one.orders[0].id;
        assert!(one.delete(id) && !one.delete(id) && !one.modify(id, at(0)) && one.is_empty());
    }
}
