//! What goes wrong on demand, by chance, and because an app calls too often.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::UnixMillis;
use fastrand::Rng;

/// China's time is ahead of UTC by so much, in milliseconds.
const CHINA_MS: i64 = 8 * 3_600_000;
const DAY_MS: i64 = 86_400_000;

/// What the marketplace says instead of an answer, in its own form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The app called too often, and is left out for so many seconds.
    Ban {
        /// How long.
        seconds: u64,
    },
    /// The app's quota of the day is used up; it begins anew in so many seconds.
    Quota {
        /// How long until then.
        seconds: u64,
    },
    /// Something behind the gateway did not answer it.
    Busy,
    /// The shop has to authorise the app anew.
    Session,
    /// The signature is not that of the request.
    Signature,
    /// The app may not call this.
    Forbidden,
}

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The marketplace says no.
    Refuse(Refusal),
    /// One part of a batch is refused, by its place; a call that is no batch, or has no such part, is answered.
    RefusePart(usize, Refusal),
    /// HTTP 429.
    TooMany {
        /// The header `Retry-After`, in seconds.
        retry_after_s: Option<u64>,
    },
    /// This HTTP status, such as 500 or 502, and a page for people.
    Status(u16),
    /// HTTP 200, and a page for people.
    Page,
    /// The right answer, after so many milliseconds.
    Hold {
        /// How long.
        ms: u64,
    },
    /// Half of the right answer; then the connection is closed.
    BreakOff,
    /// The right answer, without its last byte.
    Cut,
}

/// How often an app may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Calls a second.
    pub per_second: Option<u64>,
    /// How long an app is left out that made more, in seconds.
    pub ban_s: u64,
    /// Calls a day of China; each part of a batch is one.
    pub per_day: Option<u64>,
}

impl Limits {
    /// As often as it wants.
    pub const NONE: Self = Self { per_second: None, ban_s: 1, per_day: None };
}

#[derive(Debug)]
struct Plan {
    random: Rng,
    percent: u8,
    queue: VecDeque<(Option<String>, Option<Fault>)>,
}

/// A handle to what goes wrong.
#[derive(Debug, Clone)]
pub struct Faults(Arc<Mutex<Plan>>);

impl Faults {
    pub(super) fn new(seed: u64, percent: u8) -> Self {
        Self(Arc::new(Mutex::new(Plan { random: Rng::with_seed(seed), percent, queue: VecDeque::new() })))
    }

    fn lock(&self) -> MutexGuard<'_, Plan> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next calls fail so, one each; `None` lets one be answered.
    pub fn next(&self, faults: impl IntoIterator<Item = Option<Fault>>) {
        self.lock().queue.extend(faults.into_iter().map(|fault| (None, fault)));
    }

    /// The next calls of one API fail so, such as `taobao.trade.fullinfo.get` or [`super::BATCH`].
    pub fn next_of(&self, api: &str, faults: impl IntoIterator<Item = Option<Fault>>) {
        self.lock().queue.extend(faults.into_iter().map(|fault| (Some(api.to_owned()), fault)));
    }

    /// From now on, so many of a hundred calls fail by chance. None is held.
    pub fn set_percent(&self, percent: u8) {
        self.lock().percent = percent;
    }

    /// How many faults wait for their call.
    pub fn waiting(&self) -> usize {
        self.lock().queue.len()
    }

    /// From now on nothing fails.
    pub fn clear(&self) {
        let mut plan = self.lock();
        plan.queue.clear();
        plan.percent = 0;
    }

    /// The fault of a call.
    pub(super) fn take(&self, api: &str) -> Option<Fault> {
        let mut plan = self.lock();
        let place = plan.queue.iter().position(|(of, _)| of.as_deref().is_none_or(|of| of == api));
        if let Some((_, fault)) = place.and_then(|place| plan.queue.remove(place)) {
            return fault;
        }
        if plan.random.u8(0..100) >= plan.percent {
            return None;
        }
        let faults = [
            Fault::Refuse(Refusal::Ban { seconds: 1 }),
            Fault::Refuse(Refusal::Busy),
            Fault::TooMany { retry_after_s: Some(1) },
            Fault::Status(502),
            Fault::BreakOff,
            Fault::Page,
        ];
        plan.random.choice(faults)
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Usage {
    second: i64,
    in_second: u64,
    banned_until_ms: i64,
    day: i64,
    in_day: u64,
}

/// Counts calls by app.
#[derive(Debug)]
pub(super) struct Limiter {
    limits: Limits,
    usage: HashMap<String, Usage>,
}

impl Limiter {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, usage: HashMap::new() }
    }

    /// Counts a call of so many parts; refuses it when that is too much. A call that is refused counts as well.
    pub(super) fn count(&mut self, app: &str, parts: u64, now: UnixMillis) -> Option<Refusal> {
        let Limits { per_second, ban_s, per_day } = self.limits;
        let usage = self.usage.entry(app.to_owned()).or_default();
        let day = (now.get() + CHINA_MS).div_euclid(DAY_MS);
        if usage.second != now.seconds() {
            (usage.second, usage.in_second) = (now.seconds(), 0);
        }
        if usage.day != day {
            (usage.day, usage.in_day) = (day, 0);
        }
        usage.in_second += 1;
        usage.in_day += parts;
        let until = |ms: i64| u64::try_from((ms - now.get()).max(0)).unwrap_or_default().div_ceil(1_000);
        if per_day.is_some_and(|most| usage.in_day > most) {
            return Some(Refusal::Quota { seconds: until((day + 1) * DAY_MS - CHINA_MS) });
        }
        if now.get() < usage.banned_until_ms {
            return Some(Refusal::Ban { seconds: until(usage.banned_until_ms) });
        }
        if per_second.is_some_and(|most| usage.in_second > most) {
            usage.banned_until_ms = now.get() + i64::try_from(ban_s).unwrap_or_default() * 1_000;
            return Some(Refusal::Ban { seconds: ban_s });
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> UnixMillis {
        UnixMillis::new(1_795_248_000_000 + ms).unwrap()
    }

    #[test]
    fn who_calls_too_often_in_a_second_is_left_out_for_a_while() {
        let mut limiter = Limiter::new(Limits { per_second: Some(2), ban_s: 3, per_day: None });
        let mut count = |ms| limiter.count("app", 1, at(ms));
        assert_eq!((count(0), count(10), count(20)), (None, None, Some(Refusal::Ban { seconds: 3 })));
        assert_eq!(
            (count(1_020), count(3_019)),
            (Some(Refusal::Ban { seconds: 2 }), Some(Refusal::Ban { seconds: 1 }))
        );
        assert_eq!(count(4_000), None);
        assert_eq!(limiter.count("another app", 1, at(20)), None);
    }

    #[test]
    fn a_day_is_chinas_and_each_part_of_a_batch_counts() {
        let mut limiter = Limiter::new(Limits { per_day: Some(21), ..Limits::NONE });
        // 16:00 in China: eight hours are left.
        assert_eq!(limiter.count("app", 20, at(0)), None);
        assert_eq!(limiter.count("app", 2, at(0)), Some(Refusal::Quota { seconds: 8 * 3_600 }));
        assert_eq!(limiter.count("app", 1, at(8 * 3_600_000)), None);
    }

    #[test]
    fn a_fault_waits_for_a_call_of_its_api() {
        let faults = Faults::new(1, 0);
        faults.next_of("b", [Some(Fault::BreakOff)]);
        faults.next([Some(Fault::Page), None, Some(Fault::Cut)]);
        assert_eq!((faults.take("a"), faults.take("a")), (Some(Fault::Page), None));
        assert_eq!((faults.take("b"), faults.take("a")), (Some(Fault::BreakOff), Some(Fault::Cut)));
        assert_eq!((faults.take("a"), faults.waiting()), (None, 0));
        faults.set_percent(100);
        assert!(faults.take("a").is_some());
        faults.clear();
        assert_eq!(faults.take("a"), None);
    }
}
