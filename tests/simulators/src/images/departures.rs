//! Which bytes left the host, and when.
//!
//! A byte is counted when the kernel takes it from the host. What lies in a socket's send buffer has not left yet, but
//! that buffer is kept at the kernel's smallest (see [`super::Options::send_buffer_bytes`]), so that a count is never
//! further from the wire than a few kilobytes a connection.

use std::time::{Duration, Instant};

/// Which bytes are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bytes {
    /// All that went through the sockets: heads, the framing of chunks, bodies.
    All,
    /// Those of bodies alone.
    OfBodies,
}

/// What left within one millisecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slot {
    /// Which millisecond since the record began.
    ms: u64,
    all: u64,
    of_bodies: u64,
}

impl Slot {
    fn bytes(self, which: Bytes) -> u64 {
        match which {
            Bytes::All => self.all,
            Bytes::OfBodies => self.of_bodies,
        }
    }
}

/// The record of a host, over all its connections. What leaves within a millisecond is one entry of it.
#[derive(Debug, Clone)]
pub struct Departures {
    began: Instant,
    slots: Vec<Slot>,
    /// Requests that are being answered, and how many of them the host holds up on purpose.
    answering: u64,
    held: u64,
    idle_since: Option<Instant>,
    /// When there was no work: from and to, in milliseconds since the record began.
    idle: Vec<(u64, u64)>,
}

impl Departures {
    pub(super) fn new(now: Instant) -> Self {
        Self { began: now, slots: Vec::new(), answering: 0, held: 0, idle_since: None, idle: Vec::new() }
    }

    /// Begins anew; what is being answered goes on.
    pub(super) fn forget(&mut self, now: Instant) {
        let idle_since = self.idle_since.map(|_| now);
        *self = Self { answering: self.answering, held: self.held, idle_since, ..Self::new(now) };
    }

    pub(super) fn left(&mut self, now: Instant, all: usize, of_bodies: usize) {
        let (ms, number) = (self.ms(now), |bytes: usize| u64::try_from(bytes).unwrap_or(u64::MAX));
        // A thread may come to the record a moment after another that was later; it counts as of then.
        match self.slots.last_mut().filter(|slot| slot.ms >= ms) {
            Some(slot) => {
                slot.all += number(all);
                slot.of_bodies += number(of_bodies);
            }
            None => self.slots.push(Slot { ms, all: number(all), of_bodies: number(of_bodies) }),
        }
    }

    /// An answer is begun or ended, held up or let go: by so much each.
    pub(super) fn count(&mut self, now: Instant, answering: i64, held: i64) {
        self.answering = self.answering.saturating_add_signed(answering);
        self.held = self.held.saturating_add_signed(held);
        let is_idle = self.answering > 0 && self.held == self.answering;
        match (self.idle_since, is_idle) {
            (None, true) => self.idle_since = Some(now),
            (Some(since), false) => {
                self.idle.push((self.ms(since), self.ms(now)));
                self.idle_since = None;
            }
            (None, false) | (Some(_), true) => {}
        }
    }

    fn ms(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.began).as_millis()).unwrap_or(u64::MAX)
    }

    /// All that left.
    pub fn total(&self, which: Bytes) -> u64 {
        self.slots.iter().map(|slot| slot.bytes(which)).sum()
    }

    /// The most that left within any stretch of this width, which may begin at any moment: never too little, and at
    /// most what left within two milliseconds too much.
    pub fn worst_window(&self, which: Bytes, width: Duration) -> u64 {
        // A stretch that begins within a millisecond ends within one, so it touches one more than its width.
        let touched = u64::try_from(width.as_millis()).unwrap_or(u64::MAX).saturating_add(1);
        let (mut first, mut sum, mut worst) = (self.slots.iter().peekable(), 0, 0);
        for slot in &self.slots {
            sum += slot.bytes(which);
            while let Some(gone) = first.next_if(|first| first.ms + touched <= slot.ms) {
                sum -= gone.bytes(which);
            }
            worst = worst.max(sum);
        }
        worst
    }

    /// What left between two moments.
    pub fn between(&self, which: Bytes, from: Instant, to: Instant) -> u64 {
        let (from, to) = (self.ms(from), self.ms(to));
        self.slots.iter().filter(|slot| (from..to).contains(&slot.ms)).map(|slot| slot.bytes(which)).sum()
    }

    /// From the first byte to the last, without the time in which the host held up every answer that it owed.
    /// What a client waits between two requests is work undone, and counts.
    pub fn working(&self) -> Duration {
        let (Some(first), Some(last)) = (self.slots.first(), self.slots.last()) else { return Duration::ZERO };
        let idle = self.idle.iter().map(|(from, to)| to.min(&last.ms).saturating_sub(*from.max(&first.ms)));
        Duration::from_millis((last.ms + 1 - first.ms).saturating_sub(idle.sum()))
    }

    /// How many bytes a second left on the average of [`Self::working`].
    pub fn mean(&self, which: Bytes) -> u64 {
        let ms = u64::try_from(self.working().as_millis()).unwrap_or(u64::MAX);
        self.total(which).saturating_mul(1_000).checked_div(ms).unwrap_or(0)
    }

    /// How many entries the record has.
    pub fn entries(&self) -> usize {
        self.slots.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn after(record: &Departures, ms: u64) -> Instant {
        record.began + Duration::from_millis(ms)
    }

    fn of(left: &[(u64, usize)]) -> Departures {
        let mut record = Departures::new(Instant::now());
        for (ms, bytes) in left {
            record.left(after(&record, *ms), *bytes, bytes / 2);
        }
        record
    }

    #[test]
    fn the_worst_window_is_found_wherever_it_begins() {
        let record = of(&[(0, 10), (900, 10), (1_500, 30), (1_899, 4), (1_901, 100), (5_000, 120)]);
        assert_eq!(record.worst_window(Bytes::All, SECOND), 134);
        assert_eq!(record.worst_window(Bytes::OfBodies, SECOND), 67);
        assert_eq!(record.worst_window(Bytes::All, Duration::from_millis(1)), 120);
        assert_eq!(record.worst_window(Bytes::All, 10 * SECOND), record.total(Bytes::All));
        assert_eq!(of(&[]).worst_window(Bytes::All, SECOND), 0);
    }

    #[test]
    fn a_window_agrees_with_the_sum_of_every_stretch() {
        let mut random = fastrand::Rng::with_seed(3);
        let mut ms = 0;
        let left: Vec<(u64, usize)> = std::iter::repeat_with(|| {
            ms += random.u64(0..400);
            (ms, random.usize(1..1_000))
        })
        .take(300)
        .collect();
        let record = of(&left);
        let within =
            |from: u64| left.iter().filter(move |(at, _)| (from..=from + 1_000).contains(at)).map(|left| left.1);
        let worst = left.iter().map(|(from, _)| within(*from).sum::<usize>()).max().unwrap();
        assert_eq!(usize::try_from(record.worst_window(Bytes::All, SECOND)).unwrap(), worst);
    }

    #[test]
    fn a_millisecond_is_one_entry_and_a_late_word_is_not_lost() {
        let record = of(&[(5, 1), (5, 2), (4, 3), (6, 4)]);
        assert_eq!((record.entries(), record.total(Bytes::All)), (2, 10));
        assert_eq!(record.between(Bytes::All, after(&record, 5), after(&record, 6)), 6);
    }

    #[test]
    fn the_mean_leaves_out_only_the_time_in_which_every_answer_was_held_up() {
        let mut record = Departures::new(Instant::now());
        // Two answers. One is held up from 100 to 1,300, the other from 200 to 1,200.
        record.count(after(&record, 0), 2, 0);
        for (ms, held) in [(0, 0), (100, 1), (200, 1), (1_200, -1), (1_300, -1)] {
            record.left(after(&record, ms), 500, 400);
            record.count(after(&record, ms), 0, held);
        }
        record.left(after(&record, 1_999), 0, 0);
        assert_eq!(record.working(), SECOND);
        assert_eq!((record.mean(Bytes::All), record.mean(Bytes::OfBodies)), (2_500, 2_000));
        assert_eq!(of(&[]).mean(Bytes::All), 0);
    }
}
