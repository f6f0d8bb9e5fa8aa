//! The cap on what comes from the network, for all transfers of an instance together.
//!
//! Invariant: bytes are taken from one bucket *before* they are read, and what a connection's receive buffer lets come
//! unread was taken when it was opened. So the other side can never have sent more than was taken. In any second that is
//! at most the cap, the bucket's depth and the open receive buffers: with the shares below 104 % of the cap.

use std::future::Future;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use governor::clock::Clock;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Mutex;

/// The limiter counts in units of so many bytes, because it keeps whole nanoseconds a unit: at 1 GiB/s that is 0.2 % too
/// fast, at 50 MiB/s 0.02 %.
const UNIT_BYTES: u64 = 256;
/// How deep the bucket is: what may come at once, in thousandths of a second of the cap. Deep enough for timers that fire
/// some milliseconds late.
const BUCKET_PER_MILLE: u64 = 15;
/// What all open receive buffers hold together, in thousandths of a second of the cap.
const BUFFERS_PER_MILLE: u64 = 25;
/// The smallest receive buffer of a connection, in bytes. Below it TCP sends a segment at a time and waits.
const BUFFER_BYTES_MIN: u64 = 8 * 1_024;
/// The largest, in bytes: at 5 ms to a host nearby that is 50 MiB/s for one connection.
const BUFFER_BYTES_MAX: u64 = 256 * 1_024;
/// The most that one read takes, in bytes, so that transfers take turns.
const READ_BYTES_MAX: u64 = 16 * 1_024;
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

    fn bucket_bytes(self) -> u64 {
        self.share(BUCKET_PER_MILLE).max(BUCKET_BYTES_MIN)
    }
}

/// The bucket that all transfers take from.
#[derive(Debug)]
pub struct Throttle {
    bucket: DefaultDirectRateLimiter,
    bucket_bytes: u64,
    /// Taken and not used: the next ones take it first.
    returned: AtomicU64,
    /// Who waits, waits in turn.
    turn: Mutex<()>,
}

impl Throttle {
    /// A bucket that fills with the cap.
    pub fn new(cap: Cap) -> Self {
        let per_second = cap.bytes_per_second.max(BYTES_PER_SECOND_MIN);
        let unit = Duration::from_nanos(1_000_000_000_u64.saturating_mul(UNIT_BYTES) / per_second);
        let units = u32::try_from(cap.bucket_bytes() / UNIT_BYTES).ok().and_then(NonZeroU32::new);
        let units = units.unwrap_or(NonZeroU32::MIN);
        let quota = Quota::with_period(unit.max(Duration::from_nanos(1))).unwrap_or(Quota::per_second(NonZeroU32::MAX));
        Self {
            bucket: RateLimiter::direct(quota.allow_burst(units)),
            bucket_bytes: u64::from(units.get()).saturating_mul(UNIT_BYTES),
            returned: AtomicU64::new(0),
            turn: Mutex::new(()),
        }
    }

    /// Takes so many bytes, after whoever asked before, when the cap has them.
    pub async fn take(&self, bytes: u64) {
        let mut wanted = bytes.saturating_sub(self.take_returned(bytes));
        if wanted == 0 {
            return;
        }
        let _turn = self.turn.lock().await;
        while wanted > 0 {
            let part = wanted.min(self.bucket_bytes);
            let units = part.div_ceil(UNIT_BYTES);
            self.wait_for(units).await;
            self.give_back(units.saturating_mul(UNIT_BYTES).saturating_sub(part));
            wanted -= part;
        }
    }

    /// Gives back what was taken and did not come.
    pub fn give_back(&self, bytes: u64) {
        self.returned.fetch_add(bytes, Ordering::AcqRel);
    }

    fn take_returned(&self, bytes: u64) -> u64 {
        let took = self
            .returned
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |returned| Some(returned.saturating_sub(bytes)));
        took.unwrap_or(0).min(bytes)
    }

    async fn wait_for(&self, units: u64) {
        let Some(units) = u32::try_from(units).ok().and_then(NonZeroU32::new) else { return };
        // More than the bucket holds is never asked for.
        while let Ok(Err(not_until)) = self.bucket.check_n(units) {
            tokio::time::sleep(not_until.wait_time_from(self.bucket.clock().now())).await;
        }
    }
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

type Taking = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A connection whose reads are under the cap.
pub(super) struct Throttled {
    stream: TcpStream,
    throttle: Arc<Throttle>,
    meter: Arc<Meter>,
    /// For what its receive buffer may hold unread.
    buffer: Taken,
    taking: Option<(Taking, u64, Instant)>,
    /// Taken for the read that comes next.
    credit: u64,
}

impl Throttled {
    /// Puts a connection under the cap. For what its receive buffer may hold was taken before it was opened.
    pub(super) fn new(stream: TcpStream, buffer: Taken, meter: Arc<Meter>) -> Self {
        let throttle = Arc::clone(&buffer.throttle);
        Self { stream, throttle, meter, buffer, taking: None, credit: 0 }
    }

    fn poll_take(&mut self, cx: &mut Context<'_>, bytes: u64) -> Poll<()> {
        let (taking, taken, _) = self.taking.get_or_insert_with(|| {
            let throttle = Arc::clone(&self.throttle);
            (Box::pin(async move { throttle.take(bytes).await }), bytes, Instant::now())
        });
        ready!(taking.as_mut().poll(cx));
        self.credit = *taken;
        if let Some((_, _, since)) = self.taking.take() {
            let waited_ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
            self.meter.throttled_ms.fetch_add(waited_ms, Ordering::AcqRel);
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
        self.throttle.give_back(self.credit);
    }
}

impl AsyncRead for Throttled {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let room = u64::try_from(buffer.remaining()).unwrap_or(u64::MAX).min(READ_BYTES_MAX);
        if room == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            ready!(self.stream.poll_read_ready(cx))?;
            if self.credit == 0 {
                ready!(self.poll_take(cx, room));
            }
            let bytes = usize::try_from(self.credit.min(room)).unwrap_or(usize::MAX);
            match self.stream.try_read(buffer.initialize_unfilled_to(bytes)) {
                Ok(read) => {
                    buffer.advance(read);
                    let unused = self.credit.saturating_sub(u64::try_from(read).unwrap_or(u64::MAX));
                    self.throttle.give_back(unused);
                    self.credit = 0;
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Throttled {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
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

    #[tokio::test]
    async fn what_was_given_back_is_taken_first() {
        let throttle = Throttle::new(Cap { bytes_per_second: BYTES_PER_SECOND_MIN, connections: 1 });
        throttle.take(BUCKET_BYTES_MIN).await;
        throttle.give_back(3 * UNIT_BYTES);
        let at_once = tokio::time::timeout(Duration::ZERO, throttle.take(3 * UNIT_BYTES)).await;
        assert!(at_once.is_ok());
        assert!(tokio::time::timeout(Duration::ZERO, throttle.take(UNIT_BYTES)).await.is_err());
    }
}
