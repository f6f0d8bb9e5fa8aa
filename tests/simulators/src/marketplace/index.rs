//! Trades or products in the order of a time, so that a page, a count and a move cost little at 100,000 of them.
//!
//! Invariant: the blocks hold the keys in ascending order, none twice, and no block is empty.

/// A time in seconds since 1970, and a trade or a product.
pub(super) type Key = (i64, u64);

/// Keys of a block. A move shifts at most so many, and a count adds up the lengths of a few hundred blocks.
const BLOCK_KEYS_MAX: usize = 512;

/// Keys in ascending order, which can be counted.
#[derive(Debug, Clone, Default)]
pub(super) struct Index(Vec<Vec<Key>>);

impl Index {
    /// Of keys in any order.
    pub(super) fn of(mut keys: Vec<Key>) -> Self {
        keys.sort_unstable();
        Self(keys.chunks(BLOCK_KEYS_MAX / 2).map(<[Key]>::to_vec).collect())
    }

    /// The block that a key is in, or belongs into.
    fn block_of(&self, key: Key) -> usize {
        self.0.partition_point(|block| block.last().is_some_and(|last| *last < key))
    }

    pub(super) fn insert(&mut self, key: Key) {
        let place = self.block_of(key).min(self.0.len().saturating_sub(1));
        let Some(block) = self.0.get_mut(place) else {
            self.0.push(vec![key]);
            return;
        };
        if let Err(at) = block.binary_search(&key) {
            block.insert(at, key);
        }
        if block.len() > BLOCK_KEYS_MAX {
            let upper = block.split_off(BLOCK_KEYS_MAX / 2);
            self.0.insert(place + 1, upper);
        }
    }

    pub(super) fn remove(&mut self, key: Key) {
        let place = self.block_of(key);
        let Some(block) = self.0.get_mut(place) else { return };
        if let Ok(at) = block.binary_search(&key) {
            block.remove(at);
        }
        if block.is_empty() {
            self.0.remove(place);
        }
    }

    /// How many keys there are before this one.
    pub(super) fn rank(&self, key: Key) -> usize {
        let place = self.block_of(key);
        let before: usize = self.0.iter().take(place).map(Vec::len).sum();
        before + self.0.get(place).map_or(0, |block| block.partition_point(|kept| *kept < key))
    }

    /// The keys of these ranks, ascending.
    pub(super) fn ranked(&self, ranks: std::ops::Range<usize>) -> Vec<Key> {
        let mut skip = ranks.start;
        let mut keys = Vec::with_capacity(ranks.len());
        for block in &self.0 {
            if skip >= block.len() {
                skip -= block.len();
                continue;
            }
            keys.extend(block.iter().skip(skip).take(ranks.len() - keys.len()));
            skip = 0;
            if keys.len() >= ranks.len() {
                break;
            }
        }
        keys
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn an_index_is_a_sorted_set_whatever_is_put_in_and_taken_out() {
        let mut random = fastrand::Rng::with_seed(7);
        let keys: Vec<Key> = (0..3_000).map(|id| (random.i64(0..500), id)).collect();
        let mut set: BTreeSet<Key> = keys.iter().copied().collect();
        let mut index = Index::of(keys);
        for id in 3_000..20_000 {
            let key = (random.i64(0..500), id);
            index.insert(key);
            set.insert(key);
            let gone = *set.iter().nth(random.usize(0..set.len().min(40))).unwrap();
            index.remove(gone);
            set.remove(&gone);
        }
        assert_eq!(index.ranked(0..set.len()), set.iter().copied().collect::<Vec<_>>());
        for probe in (0..500).step_by(17) {
            assert_eq!(index.rank((probe, 0)), set.range(..(probe, 0)).count());
        }
        assert_eq!(index.ranked(700..733), set.iter().copied().skip(700).take(33).collect::<Vec<_>>());
        assert_eq!(index.ranked(set.len()..set.len() + 9), Vec::new());
    }

    #[test]
    fn an_index_of_nothing_takes_its_first_key_and_loses_its_last() {
        let mut index = Index::default();
        assert_eq!((index.rank((9, 9)), index.ranked(0..5)), (0, Vec::new()));
        index.insert((1, 1));
        index.remove((2, 2));
        index.remove((1, 1));
        index.remove((1, 1));
        assert_eq!(index.ranked(0..5), Vec::new());
    }
}
