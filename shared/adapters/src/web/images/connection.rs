//! One connection to a host: opened under the cap to an address that was checked, asked one thing at a time, and kept
//! for the next question to the same host when it was read to its end.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use url::Host;

use super::hosts::Target;
use super::network::Network;
use super::throttle::{Meter, Taken, Throttle, Throttled};

/// Looking a host up, connecting and TLS, in milliseconds.
const CONNECT_MS_MAX: u64 = 5_000;
/// The longest head of an answer, in bytes, and the most of a body that is read at once.
const HEAD_BYTES_MAX: usize = 256 * 1_024;
/// Lines of a head.
const HEAD_LINES_MAX: usize = 100;

/// Plain or TLS.
enum Stream {
    Plain(Throttled),
    Tls(Box<TlsStream<Throttled>>),
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// Why nothing was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotConnected {
    /// Nobody may connect there: the word for it.
    #[error("{0}")]
    Refused(&'static str),
    /// There is no way now.
    #[error("the host cannot be reached")]
    Away(#[source] Box<dyn std::error::Error + Send + Sync>),
}

fn away(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> NotConnected {
    NotConnected::Away(error.into())
}

/// An open connection, and what drives it while somebody waits for it.
pub(super) struct Line {
    target: Target,
    sender: SendRequest<Empty<Bytes>>,
    driver: Option<Box<Connection<TokioIo<Stream>, Empty<Bytes>>>>,
    meter: Arc<Meter>,
}

/// What a connection is opened with.
pub(super) struct Opening<'a, N> {
    pub(super) network: &'a N,
    pub(super) tls: &'a Arc<ClientConfig>,
    pub(super) throttle: &'a Arc<Throttle>,
    pub(super) buffer_bytes: u64,
}

impl Line {
    /// Opens a connection to one of the target's addresses that are allowed.
    pub(super) async fn open(target: Target, with: &Opening<'_, impl Network + Sync>) -> Result<Self, NotConnected> {
        let buffer = Taken::from(with.throttle, with.buffer_bytes).await;
        let limit = Duration::from_millis(CONNECT_MS_MAX);
        let connected = tokio::time::timeout(limit, connect(&target, with.network, with.buffer_bytes)).await;
        let meter = Arc::new(Meter::default());
        let throttled = Throttled::new(connected.map_err(away)??, buffer, Arc::clone(&meter));
        let stream = match target.is_tls {
            false => Stream::Plain(throttled),
            true => {
                let shaken = TlsConnector::from(Arc::clone(with.tls)).connect(server_name(&target)?, throttled);
                let shaken = tokio::time::timeout(limit, shaken).await.map_err(away)?;
                Stream::Tls(Box::new(shaken.map_err(away)?))
            }
        };
        let mut settings = http1::Builder::new();
        settings.max_headers(HEAD_LINES_MAX).max_buf_size(HEAD_BYTES_MAX);
        let (sender, driver) = settings.handshake(TokioIo::new(stream)).await.map_err(away)?;
        Ok(Self { target, sender, driver: Some(Box::new(driver)), meter })
    }

    /// Whether it leads to that target.
    pub(super) fn leads_to(&self, target: &Target) -> bool {
        self.target == *target
    }

    /// Whether another question can go this way.
    pub(super) async fn is_ready(&mut self) -> bool {
        driven(&mut self.driver, self.sender.ready()).await.is_ok()
    }

    /// Milliseconds that this connection waited for the cap.
    pub(super) fn throttled_ms(&self) -> u64 {
        self.meter.throttled_ms()
    }

    /// Asks, when it is ready. The answer's body follows by [`Line::frame`].
    pub(super) async fn ask(&mut self, request: Request<Empty<Bytes>>) -> hyper::Result<Response<Incoming>> {
        self.meter.set_drained(false);
        let Self { sender, driver, .. } = self;
        driven(driver, sender.send_request(request)).await
    }

    /// Some more of an answer's body; `None` at its end.
    pub(super) async fn frame(&mut self, body: &mut Incoming) -> Option<hyper::Result<Bytes>> {
        loop {
            match driven(&mut self.driver, body.frame()).await? {
                Ok(frame) => {
                    // Trailers say nothing for us.
                    if let Ok(bytes) = frame.into_data() {
                        return Some(Ok(bytes));
                    }
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// An answer was read to its end: nothing lies in the receive buffer.
    pub(super) fn drained(&self) {
        self.meter.set_drained(true);
    }
}

/// Drives a connection while somebody waits for what comes of it.
async fn driven<T>(
    driver: &mut Option<Box<Connection<TokioIo<Stream>, Empty<Bytes>>>>,
    work: impl Future<Output = T>,
) -> T {
    let mut work = pin!(work);
    std::future::poll_fn(|cx| {
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(done);
        }
        let Some(connection) = driver else { return Poll::Pending };
        if Pin::new(connection.as_mut()).poll(cx).is_ready() {
            // Its end, good or bad, is told to whoever waits.
            *driver = None;
        }
        work.as_mut().poll(cx)
    })
    .await
}

async fn connect(
    target: &Target,
    network: &impl Network,
    buffer_bytes: u64,
) -> Result<tokio::net::TcpStream, NotConnected> {
    let addresses = match &target.host {
        Host::Domain(name) => network.resolve(name, target.port).await.map_err(away)?,
        Host::Ipv4(address) => vec![(*address, target.port).into()],
        Host::Ipv6(address) => vec![(*address, target.port).into()],
    };
    let found_some = !addresses.is_empty();
    let mut failed = None;
    // What was checked is what is connected to: nobody looks the name up again.
    for address in addresses.into_iter().filter(|address| target.allows(*address)) {
        match network.connect(address, buffer_bytes).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = Some(error),
        }
    }
    match failed {
        Some(error) => Err(away(error)),
        None if found_some => Err(NotConnected::Refused("address_not_public")),
        None => Err(away("the name has no address")),
    }
}

fn server_name(target: &Target) -> Result<ServerName<'static>, NotConnected> {
    ServerName::try_from(target.host.to_string()).map_err(away)
}
