//! The cap on what comes from the network, for all transfers of an instance together.
//!
//! Invariant: bytes are taken from one bucket *before* they are read, and what a connection's receive buffer lets come
//! unread was taken when it was opened. So the other side can never have sent more than was taken. In any second that is
//! at most the cap, the bucket's depth and the open receive buffers: with the shares below 104 % of the cap.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf, Take};
use tokio::net::TcpStream;
use tokio::time::Sleep;

/// How deep the bucket is: what may come at once, in thousandths of a second of the cap. Deep enough for timers that fire
/// some milliseconds late.
const BUCKET_PER_MILLE: u64 = 15;
/// What all open receive buffers hold together, in thousandths of a second of the cap.
const BUFFERS_PER_MILLE: u64 = 25;
/// The smallest receive buffer of a connection, in bytes. Below it TCP sends a segment at a time and waits.
const BUFFER_BYTES_MIN: u64 = 8 * 1_024;
/// The largest, in bytes: at 20 ms to a host that is 50 MiB/s for one connection. Linux may give less.
const BUFFER_BYTES_MAX: u64 = 1_024 * 1_024;
/// The most that one read takes, in bytes, so that transfers take turns; never more than a receive buffer holds.
const READ_BYTES_MAX: u64 = 64 * 1_024;
/// The same under a cap that is so high that this is a twelfth of the bucket.
const LONG_READ_BYTES_MAX: u64 = 256 * 1_024;
/// The least that the bucket holds, in bytes, at caps that are lower than anybody wants.
const BUCKET_BYTES_MIN: u64 = 4 * 1_024;
/// The lowest cap, in bytes a second: below it not even one receive buffer is a small part of a second.
pub const BYTES_PER_SECOND_MIN: u64 = 64 * 1_024;

/// What an instance may take from the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cap {
    /// Bytes a second, of everything that arrives at its sockets.
    pub bytes_per_second: u64,
    /// Connections at once.
    pub connections: usize,
}

impl Cap {
    /// The share of one of several instances in the cap of all of them.
    #[must_use]
    pub fn divided(self, instances: u64) -> Self {
        Self { bytes_per_second: self.bytes_per_second / instances.max(1), ..self }
    }

    fn share(self, per_mille: u64) -> u64 {
        self.bytes_per_second.saturating_mul(per_mille) / 1_000
    }

    /// Connections at once: as many as were asked for, or fewer, where their receive buffers would be too large a part of
    /// a second.
    pub fn connections(self) -> usize {
        let bearable = usize::try_from(self.share(BUFFERS_PER_MILLE) / BUFFER_BYTES_MIN).unwrap_or(usize::MAX);
        self.connections.min(bearable).max(1)
    }

    /// The receive buffer of each connection, in bytes.
    pub fn buffer_bytes(self) -> u64 {
        let connections = u64::try_from(self.connections()).unwrap_or(u64::MAX);
        (self.share(BUFFERS_PER_MILLE) / connections).clamp(BUFFER_BYTES_MIN, BUFFER_BYTES_MAX)
    }

    fn read_bytes(self) -> u64 {
        (self.bucket_bytes() / 12).clamp(READ_BYTES_MAX, LONG_READ_BYTES_MAX)
    }

    fn bucket_bytes(self) -> u64 {
        self.share(BUCKET_PER_MILLE).max(BUCKET_BYTES_MIN)
    }
}

/// The bucket that all transfers take from.
///
/// Bytes are booked: whoever takes is told at once when its turn is, and waits for that by itself; what did not come is
/// given back. Neither is possible with the limiter that the calls of marketplaces are under (`governor`). There is no queue that one could stand
/// at the head of and not go on: a connection that nobody reads at the moment holds up no other.
#[derive(Debug)]
pub struct Throttle {
    bytes_per_second: u64,
    /// The most that one read takes.
    read_bytes: u64,
    /// How long the cap takes to fill the bucket.
    depth: Duration,
    /// When the bucket will be full again, after all that was taken.
    full_at: Mutex<Instant>,
}

impl Throttle {
    /// A bucket that fills with the cap.
    pub fn new(cap: Cap) -> Self {
        let bytes_per_second = cap.bytes_per_second.max(BYTES_PER_SECOND_MIN);
        let depth = time_of(cap.bucket_bytes(), bytes_per_second);
        Self { bytes_per_second, read_bytes: cap.read_bytes(), depth, full_at: Mutex::new(Instant::now()) }
    }

    /// Takes so many bytes, when the cap has them after all that was taken before.
    pub async fn take(&self, bytes: u64) {
        /// Given back when nobody waits for it any more.
        struct Booked<'a>(&'a Throttle, u64);
        impl Drop for Booked<'_> {
            fn drop(&mut self) {
                self.0.give_back(self.1);
            }
        }
        let Some(due) = self.book(bytes) else { return };
        let mut booked = Booked(self, bytes);
        tokio::time::sleep_until(due.into()).await;
        booked.1 = 0;
    }

    /// Takes so many bytes, which the cap has at the time that this gives: now, when it gives none.
    fn book(&self, bytes: u64) -> Option<Instant> {
        let (now, mut full_at) = (Instant::now(), self.full_at());
        *full_at = (*full_at).max(now) + time_of(bytes, self.bytes_per_second);
        full_at.checked_sub(self.depth).filter(|due| *due > now)
    }

    /// Gives back what was taken and did not come.
    pub fn give_back(&self, bytes: u64) {
        let mut full_at = self.full_at();
        if let Some(earlier) = full_at.checked_sub(time_of(bytes, self.bytes_per_second)) {
            *full_at = earlier;
        }
    }

    fn full_at(&self) -> MutexGuard<'_, Instant> {
        self.full_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long so many bytes take, to the nanosecond.
fn time_of(bytes: u64, bytes_per_second: u64) -> Duration {
    let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(bytes_per_second.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// Bytes that were taken for a receive buffer. What did not come is given back when this is dropped.
pub(super) struct Taken {
    throttle: Arc<Throttle>,
    bytes: u64,
}

impl Taken {
    pub(super) async fn from(throttle: &Arc<Throttle>, bytes: u64) -> Self {
        throttle.take(bytes).await;
        Self { throttle: Arc::clone(throttle), bytes }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.throttle.give_back(self.bytes);
    }
}

/// What is known of a connection from outside.
#[derive(Debug, Default)]
pub(super) struct Meter {
    /// Milliseconds that its reads waited for the cap.
    throttled_ms: AtomicU64,
    /// Whether all that was sent was read, so that nothing lies in the receive buffer.
    is_drained: AtomicBool,
}

impl Meter {
    pub(super) fn throttled_ms(&self) -> u64 {
        self.throttled_ms.load(Ordering::Acquire)
    }

    pub(super) fn set_drained(&self, is_drained: bool) {
        self.is_drained.store(is_drained, Ordering::Release);
    }
}

/// Bytes that were taken, and whose time is not yet.
struct Waiting {
    until: Pin<Box<Sleep>>,
    bytes: u64,
    since: Instant,
}

/// A connection whose reads are under the cap.
pub(super) struct Throttled {
    /// Up to what was taken.
    stream: Take<TcpStream>,
    throttle: Arc<Throttle>,
    meter: Arc<Meter>,
    /// For what its receive buffer may hold unread.
    buffer: Taken,
    waiting: Option<Waiting>,
    /// Taken for the read that comes next.
    credit: u64,
}

impl Throttled {
    /// Puts a connection under the cap. For what its receive buffer may hold was taken before it was opened.
    pub(super) fn new(stream: TcpStream, buffer: Taken, meter: Arc<Meter>) -> Self {
        let throttle = Arc::clone(&buffer.throttle);
        Self { stream: stream.take(0), throttle, meter, buffer, waiting: None, credit: 0 }
    }

    fn poll_take(&mut self, cx: &mut Context<'_>, bytes: u64) -> Poll<()> {
        if self.waiting.is_none() {
            let Some(due) = self.throttle.book(bytes) else {
                self.credit = bytes;
                return Poll::Ready(());
            };
            let until = Box::pin(tokio::time::sleep_until(due.into()));
            self.waiting = Some(Waiting { until, bytes, since: Instant::now() });
        }
        if let Some(waiting) = &mut self.waiting {
            ready!(waiting.until.as_mut().poll(cx));
            self.credit = waiting.bytes;
            let waited_ms = u64::try_from(waiting.since.elapsed().as_millis()).unwrap_or(u64::MAX);
            self.meter.throttled_ms.fetch_add(waited_ms, Ordering::AcqRel);
            self.waiting = None;
        }
        Poll::Ready(())
    }
}

impl Drop for Throttled {
    /// What lies unread in the receive buffer did come; of a connection that was drained nothing does.
    fn drop(&mut self) {
        if !self.meter.is_drained.load(Ordering::Acquire) {
            self.buffer.bytes = 0;
        }
        let waiting = self.waiting.as_ref().map_or(0, |waiting| waiting.bytes);
        self.throttle.give_back(self.credit.saturating_add(waiting));
    }
}

impl AsyncRead for Throttled {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let room = u64::try_from(buffer.remaining()).unwrap_or(u64::MAX);
        let room = room.min(self.throttle.read_bytes).min(self.buffer.bytes);
        if room == 0 {
            return Poll::Ready(Ok(()));
        }
        ready!(self.stream.get_ref().poll_read_ready(cx))?;
        if self.credit == 0 {
            ready!(self.poll_take(cx, room));
        }
        let (before, limit) = (buffer.filled().len(), self.credit.min(room));
        self.stream.set_limit(limit);
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        let read = u64::try_from(buffer.filled().len().saturating_sub(before)).unwrap_or(u64::MAX);
        self.throttle.give_back(self.credit.saturating_sub(read));
        self.credit = 0;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Throttled {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(self.stream.get_mut()).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(self.stream.get_mut()).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(self.stream.get_mut()).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1_024 * 1_024;

    #[test]
    fn bucket_and_buffers_together_are_a_small_part_of_a_second() {
        for mib in [1, 5, 25, 50, 400] {
            for connections in [1, 10, 64] {
                let cap = Cap { bytes_per_second: mib * MIB, connections };
                let buffers = cap.buffer_bytes() * u64::try_from(cap.connections()).unwrap();
                assert!(buffers + cap.bucket_bytes() <= cap.share(40) + 1, "{cap:?}");
            }
        }
        let fewer = Cap { bytes_per_second: MIB, connections: 10 };
        assert_eq!((fewer.connections(), fewer.buffer_bytes()), (3, 8_738));
        assert_eq!(Cap { bytes_per_second: 50 * MIB, connections: 10 }.divided(2).bytes_per_second, 25 * MIB);
    }

    async fn is_had_at_once(throttle: &Throttle, bytes: u64) -> bool {
        tokio::time::timeout(Duration::ZERO, throttle.take(bytes)).await.is_ok()
    }

    #[tokio::test]
    async fn what_was_given_back_or_not_waited_for_is_there_for_others() {
        let throttle = Throttle::new(Cap { bytes_per_second: BYTES_PER_SECOND_MIN, connections: 1 });
        throttle.take(BUCKET_BYTES_MIN).await;
        throttle.give_back(3_000);
        assert!(!is_had_at_once(&throttle, 4_000).await);
        assert!(is_had_at_once(&throttle, 3_000).await);
        assert!(!is_had_at_once(&throttle, 1_000).await);
    }

    #[tokio::test]
    async fn who_waits_and_does_not_go_on_holds_up_nobody() {
        let throttle = Throttle::new(Cap { bytes_per_second: MIB, connections: 1 });
        throttle.take(MIB / 100).await;
        let mut idle = Box::pin(throttle.take(MIB / 100));
        assert!(futures::poll!(&mut idle).is_pending());
        let began = Instant::now();
        throttle.take(MIB / 100).await;
        assert!(began.elapsed() >= Duration::from_millis(15), "the idle one's bytes count all the same");
        idle.await;
    }

    #[tokio::test]
    async fn what_many_take_is_never_more_than_bucket_and_cap() {
        let (bytes_per_second, began) = (10 * MIB, Instant::now());
        let throttle = Throttle::new(Cap { bytes_per_second, connections: 10 });
        let take = |_| async {
            let mut taken = 0;
            while began.elapsed() < Duration::from_millis(500) {
                throttle.take(READ_BYTES_MAX).await;
                throttle.give_back(READ_BYTES_MAX / 4);
                taken += READ_BYTES_MAX - READ_BYTES_MAX / 4;
            }
            taken
        };
        let taken: u64 = futures::future::join_all((0..10).map(take)).await.into_iter().sum();
        let had = u64::try_from(began.elapsed().as_millis()).unwrap() * bytes_per_second / 1_000;
        let most = had + bytes_per_second / 1_000 * BUCKET_PER_MILLE + bytes_per_second / 1_000;
        assert!(taken <= most, "{taken} of {had}");
    }
}
