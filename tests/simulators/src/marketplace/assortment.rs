//! The products of one shop as they are: what every reader is compared with.
//!
//! Invariants, as of [`super::Market`]: a modified time is a whole second and, but for a late commit, never later than when
//! the change can be read; the list holds exactly the shop's own products that are there; one seed and one sequence of calls
//! give one history.

use std::collections::{BTreeSet, HashMap};

use domain::UnixMillis;
use fastrand::Rng;
use protocols::marketplace::Role;

use super::index::Index;
use super::product::{PICTURE_HOST, Product, Shelf};
use super::truth::{Disturbance, Page, Ties, key, page_of, whole};

/// Products between two ids that follow each other.
const ID_STRIDE: u64 = 1_000;
/// How many of the latest modified a change may choose from.
const CHOICES: [usize; 3] = [64, 1_024, usize::MAX];

/// A push that says that a product changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Push {
    /// The product.
    pub product: u64,
    /// When it was sent.
    pub at: UnixMillis,
}

/// The products of one shop.
#[derive(Debug, Clone)]
pub struct Assortment {
    owner: String,
    picture_host: String,
    random: Rng,
    products: Vec<Product>,
    /// Where in `products` one is.
    places: HashMap<u64, usize>,
    by_modified: Index,
    /// Those of others, which the shop follows: in no list.
    followed: BTreeSet<u64>,
    id_base: u64,
    made: u64,
    ties: Ties,
    changes: u64,
    silent: BTreeSet<u64>,
    gone: BTreeSet<u64>,
    pushes: Vec<Push>,
    pushed_at: UnixMillis,
}

impl Assortment {
    /// A shop of so many products that were last modified between two times.
    pub fn generate(owner: &str, seed: u64, products: usize, (from, to): (UnixMillis, UnixMillis)) -> Self {
        let mut assortment = Self {
            owner: owner.to_owned(),
            picture_host: PICTURE_HOST.to_owned(),
            random: Rng::with_seed(seed),
            products: Vec::with_capacity(products),
            places: HashMap::with_capacity(products),
            by_modified: Index::default(),
            followed: BTreeSet::new(),
            id_base: 540_000_000_000 + seed % 700 * 100_000_000,
            made: 0,
            ties: Ties::ById,
            changes: 0,
            silent: BTreeSet::new(),
            gone: BTreeSet::new(),
            pushes: Vec::new(),
            pushed_at: UnixMillis::EPOCH,
        };
        let (from, to) = (whole(from), whole(to));
        let span_s = to.ms_since(from).max(0) / 1_000;
        for _ in 0..products {
            let modified = from.saturating_add_ms(assortment.random.i64(0..=span_s) * 1_000);
            let id = assortment.next_id();
            let product = Product::new(id, modified, &mut assortment.random);
            assortment.places.insert(id, assortment.products.len());
            assortment.products.push(product);
        }
        let keys = assortment.products.iter().map(|product| key(product.modified, product.id));
        assortment.by_modified = Index::of(keys.collect());
        assortment
    }

    /// Has its pictures at this URL from now on, without a slash at its end.
    pub fn set_picture_host(&mut self, url: &str) {
        url.trim_end_matches('/').clone_into(&mut self.picture_host);
    }

    /// Where its pictures are.
    pub fn picture_host(&self) -> &str {
        &self.picture_host
    }

    /// Whose products these are, by the marketplace's name.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// How many products there are.
    pub const fn len(&self) -> usize {
        self.products.len()
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.products.is_empty()
    }

    /// All products as they are now, in no order.
    pub fn truth(&self) -> impl Iterator<Item = &Product> {
        self.products.iter()
    }

    /// A product.
    pub fn product(&self, id: u64) -> Option<&Product> {
        self.products.get(*self.places.get(&id)?)
    }

    /// A product, for whoever asks in this role. The seller's call has none of others. Whether the buyer's has the shop's
    /// own is not documented; here it has not, so that asking in the wrong role shows.
    pub fn product_for(&self, role: Role, id: u64) -> Option<&Product> {
        self.product(id).filter(|_| self.followed.contains(&id) == (role == Role::Buyer))
    }

    /// Products of others, which the shop follows.
    pub const fn followed(&self) -> &BTreeSet<u64> {
        &self.followed
    }

    /// Products that were there once.
    pub const fn gone(&self) -> &BTreeSet<u64> {
        &self.gone
    }

    /// Products whose pictures changed without their modified time, and that were not modified since; and those of others
    /// that changed at all. Of both only pushes tell.
    pub const fn changed_silently(&self) -> &BTreeSet<u64> {
        &self.silent
    }

    /// How many changes there were.
    pub const fn changes(&self) -> u64 {
        self.changes
    }

    /// The pushes since they were last taken.
    pub fn take_pushes(&mut self) -> Vec<Push> {
        std::mem::take(&mut self.pushes)
    }

    /// From now on, lists have products of one second in this order.
    pub const fn set_ties(&mut self, ties: Ties) {
        self.ties = ties;
    }

    /// A page of the products that were modified from one time to another, both included; the latest first.
    pub fn page(&mut self, window: (UnixMillis, UnixMillis), page: u64, page_rows: u64) -> Page {
        page_of(&self.by_modified, (self.ties, &mut self.random), window, page, page_rows)
    }

    /// Lets something change at a product. `false` when there is no such one.
    pub fn modify(&mut self, id: u64, at: UnixMillis) -> bool {
        let at = whole(at);
        let is_known = self.change(id, at);
        if is_known {
            self.push(id, at);
        }
        is_known
    }

    /// A new product.
    pub fn create(&mut self, at: UnixMillis) -> u64 {
        let at = whole(at);
        let id = self.add(at);
        self.push(id, at);
        id
    }

    /// Follows a product of somebody else. It is in no list; only pushes tell of it.
    pub fn follow(&mut self, at: UnixMillis) -> u64 {
        let at = whole(at);
        let id = self.put(at);
        self.followed.insert(id);
        self.silent.insert(id);
        self.push(id, at);
        id
    }

    /// Deletes a product for good: it is in no list, and has no detail. Only a push tells. `false` when there is no such
    /// one.
    pub fn delete(&mut self, id: u64, at: UnixMillis) -> bool {
        let Some(place) = self.places.remove(&id) else { return false };
        let product = self.products.swap_remove(place);
        if let Some(moved) = self.products.get(place) {
            self.places.insert(moved.id, place);
        }
        if !self.followed.contains(&id) {
            self.by_modified.remove(key(product.modified, id));
        }
        self.silent.remove(&id);
        self.gone.insert(id);
        self.push(id, at);
        self.changes += 1;
        true
    }

    /// Takes a product from sale. `false` when there is no such one.
    pub fn take_away(&mut self, id: u64, at: UnixMillis) -> bool {
        let is_known = self.modify(id, at);
        if let Some(product) = self.places.get(&id).and_then(|place| self.products.get_mut(*place)) {
            product.shelf = Shelf::TakenAway;
        }
        is_known
    }

    /// Changes a product's pictures without its modified time. Only a push tells. `false` when there is no such one.
    pub fn change_silently(&mut self, id: u64, at: UnixMillis) -> bool {
        let place = self.places.get(&id).copied();
        let Some(product) = place.and_then(|place| self.products.get_mut(place)) else { return false };
        product.live(&mut self.random);
        self.silent.insert(id);
        self.push(id, at);
        self.changes += 1;
        true
    }

    /// Modifies a product, or makes one, at a time of the past, which can be read only from now on. No push tells of it.
    pub fn commit_late(&mut self, modified: UnixMillis) {
        let modified = whole(modified);
        match self.choose(modified.seconds()).filter(|_| self.random.u8(0..3) > 0) {
            Some(id) => drop(self.change(id, modified)),
            None => drop(self.add(modified)),
        }
    }

    /// Lets happen what happens between two calls: on the average as much as the disturbance says, mostly to what was
    /// modified lately.
    pub fn disturb(&mut self, how: Disturbance, now: UnixMillis) -> u64 {
        let before = self.changes;
        let due = how.tenths / 10 + u32::from(self.random.u32(0..10) < how.tenths % 10);
        for _ in 0..due {
            self.disturb_once(how, now);
        }
        self.changes - before
    }

    fn disturb_once(&mut self, how: Disturbance, now: UnixMillis) {
        let lateness_ms = self.random.i64(0..=how.late_ms_max.max(0));
        let what = self.random.u8(0..100);
        match (what, self.choose(whole(now).seconds() + i64::from(how.is_hasty))) {
            (0..8, _) | (_, None) => drop(self.create(now)),
            (8..10, Some(_)) => drop(self.follow(now)),
            (10..25, Some(_)) if lateness_ms >= 1_000 => self.commit_late(now.saturating_add_ms(-lateness_ms)),
            (25..30, Some(_)) => {
                for _ in 0..self.random.usize(2..=40) {
                    if let Some(id) = self.choose(whole(now).seconds()) {
                        self.modify(id, now);
                    }
                }
            }
            (30..34, Some(id)) => drop(self.delete(id, now)),
            (34..38, Some(id)) => drop(self.change_silently(id, now)),
            (38..42, Some(_)) => self.disturb_followed(now),
            (_, Some(id)) => drop(self.modify(id, now)),
        }
    }

    /// Changes one of others, or deletes it.
    fn disturb_followed(&mut self, now: UnixMillis) {
        let there: Vec<u64> = self.followed.iter().copied().filter(|id| self.places.contains_key(id)).collect();
        let Some(id) = self.random.choice(there) else { return };
        if self.random.u8(0..8) == 0 {
            self.delete(id, now)
        } else {
            self.modify(id, now)
        };
    }

    /// Modifies so many products, each once, spread evenly over a time; gives how many there were.
    pub fn touch(&mut self, (from, to): (UnixMillis, UnixMillis), products: usize) -> usize {
        let own = self.products.iter().map(|product| product.id).filter(|id| !self.followed.contains(id));
        let mut ids: Vec<u64> = own.collect();
        self.random.shuffle(&mut ids);
        ids.truncate(products);
        let (span, count) = (i128::from(to.ms_since(from).max(0)), i128::try_from(ids.len()).unwrap_or(1));
        for (nth, id) in (0_i128..).zip(&ids) {
            let after_ms = i64::try_from(span * nth / count.max(1)).unwrap_or_default();
            self.modify(*id, from.saturating_add_ms(after_ms));
        }
        ids.len()
    }

    /// No two pushes are of one millisecond, and they come in turn.
    fn push(&mut self, product: u64, at: UnixMillis) {
        let at = at.max(self.pushed_at.saturating_add_ms(1));
        self.pushed_at = at;
        self.pushes.push(Push { product, at });
    }

    fn next_id(&mut self) -> u64 {
        self.made += 1;
        self.id_base + self.made * ID_STRIDE + self.random.u64(0..ID_STRIDE)
    }

    /// A product that was last modified before a second; mostly one of the latest.
    fn choose(&mut self, before: i64) -> Option<u64> {
        let end = self.by_modified.rank((before, 0));
        let choices = self.random.choice(CHOICES).unwrap_or(usize::MAX).min(end);
        if choices == 0 {
            return None;
        }
        let rank = end - 1 - self.random.usize(0..choices);
        self.by_modified.ranked(rank..rank + 1).first().map(|(_, id)| *id)
    }

    fn add(&mut self, at: UnixMillis) -> u64 {
        let id = self.put(at);
        self.by_modified.insert(key(at, id));
        id
    }

    fn put(&mut self, at: UnixMillis) -> u64 {
        let id = self.next_id();
        let product = Product::new(id, at, &mut self.random);
        self.places.insert(id, self.products.len());
        self.products.push(product);
        self.changes += 1;
        id
    }

    fn change(&mut self, id: u64, at: UnixMillis) -> bool {
        let place = self.places.get(&id).copied();
        let Some(product) = place.and_then(|place| self.products.get_mut(place)) else { return false };
        let before = product.modified;
        product.live(&mut self.random);
        product.modified = at;
        if self.followed.contains(&id) {
            self.silent.insert(id);
        } else {
            self.by_modified.remove(key(before, id));
            self.by_modified.insert(key(at, id));
            self.silent.remove(&id);
        }
        self.changes += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: i64 = 86_400_000;

    fn at(ms: i64) -> UnixMillis {
        UnixMillis::new(1_795_248_000_000 + ms).unwrap()
    }

    fn assortment(seed: u64, products: usize) -> Assortment {
        Assortment::generate("b2b-1", seed, products, (at(-300 * DAY_MS), at(0)))
    }

    #[test]
    fn a_list_has_each_product_of_its_window_once_the_latest_first() {
        let mut assortment = assortment(1, 3_000);
        for step in 0..2_000 {
            let how = Disturbance { tenths: 20, late_ms_max: 600_000, is_hasty: false };
            assortment.disturb(how, at(step * 700));
        }
        let window = (at(-100 * DAY_MS), at(900_000));
        let within = |product: &&Product| {
            let is_own = !assortment.followed().contains(&product.id);
            is_own && (window.0..=window.1).contains(&product.modified)
        };
        let mut expected: Vec<_> = assortment.truth().filter(within).map(|one| (one.modified, one.id)).collect();
        expected.sort_unstable_by(|one, other| other.cmp(one));
        let total = assortment.page(window, 1, 20).total;
        let listed: Vec<u64> =
            (1..=total.div_ceil(20)).flat_map(|page| assortment.page(window, page, 20).ids).collect();
        assert_eq!(listed, expected.into_iter().map(|(_, id)| id).collect::<Vec<_>>());
        assert!(!assortment.gone().is_empty() && !assortment.changed_silently().is_empty());
        assert!(assortment.gone().iter().all(|id| assortment.product(*id).is_none()));
    }

    #[test]
    fn a_change_that_is_not_late_is_pushed_and_changes_the_digest() {
        let mut assortment = assortment(2, 50);
        let id = assortment.products[7].id;
        for second in 1..200 {
            let before = assortment.product(id).unwrap().clone();
            assert!(assortment.modify(id, at(second * 1_000)));
            let after = assortment.product(id).unwrap().clone();
            assert_ne!(Product { modified: before.modified, ..after.clone() }.digest(), before.digest(), "{second}");
            assert_eq!(assortment.take_pushes(), [Push { product: id, at: after.modified }]);
        }
    }

    #[test]
    fn a_hundred_thousand_products_are_no_burden_and_have_pictures_of_every_kind() {
        let mut assortment = assortment(3, 100_000);
        assert_eq!(assortment.touch((at(0), at(DAY_MS)), 10_000), 10_000);
        assert_eq!(assortment.page((at(0), at(DAY_MS)), 1, 20).total, 10_000);
        let all: BTreeSet<String> = assortment
            .truth()
            .flat_map(|product| product.pictures(PICTURE_HOST))
            .map(|(position, _)| position)
            .collect();
        for position in ["main-1", "main-5", "main-white", "detail-3"] {
            assert!(all.contains(position), "{position}");
        }
        assert!(all.iter().any(|position| position.starts_with("sku-")));
    }

    #[test]
    fn one_seed_gives_one_history() {
        let history = |seed| {
            let mut assortment = assortment(seed, 300);
            for step in 0..500 {
                assortment.disturb(Disturbance { tenths: 15, late_ms_max: 60_000, is_hasty: false }, at(step * 900));
            }
            assortment
        };
        let (mut one, mut other) = (history(7), history(7));
        assert!(one.truth().eq(other.truth()) && one.take_pushes() == other.take_pushes());
    }
}
