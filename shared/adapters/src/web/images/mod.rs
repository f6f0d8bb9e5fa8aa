//! Pictures from their hosts: asked only of hosts that are listed, at addresses that are public, under the cap, and
//! only if they changed; kept as they come (memory, or a file) and named by their SHA-256.
//!
//! Invariant: an answer is read up to a named size, within a named time, and not slower than a named speed; every
//! redirect is checked like the first URL; nothing of the environment (proxies, files) is looked at.

mod connection;
mod hosts;
mod network;
mod throttle;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use backon::{ExponentialBuilder, Retryable};
use bytes::Bytes;
use domain::{Format, ImageDigest, ImageUrl, Known, Validator, Validators};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, ETAG, HOST, HeaderName, IF_MODIFIED_SINCE,
    IF_NONE_MATCH, LAST_MODIFIED, LOCATION, RETRY_AFTER, USER_AGENT,
};
use hyper::{Method, Request, Response, StatusCode};
use rustls::ClientConfig;
use sha2::{Digest, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::Url;

use connection::{Line, NotConnected, Opening};
use hosts::Target;
pub use hosts::{ImageHosts, InvalidImageHosts, is_public};
pub use network::{Network, SystemNetwork};
pub use throttle::{BYTES_PER_SECOND_MIN, Cap, Throttle};

use crate::error::{Cause, Certainty, PortError};
use crate::ports::{Asked, Fetched, ImageSource, NoImage, Spooled};
use crate::spool::{Buffers, Spool};

/// The largest picture that is taken, in bytes. The largest at the marketplaces have some MiB; ten of these at once fit
/// the 512 MB that a function has on disk.
pub const IMAGE_BYTES_MAX: u64 = 32 * 1_024 * 1_024;
/// Redirects that are followed for one picture.
const REDIRECTS_MAX: usize = 5;
/// Tries of one picture. What fails three times is left to the queue.
const TRIES_MAX: usize = 3;
/// The first wait before another try, in milliseconds; it doubles, with jitter.
const BACKOFF_MS_MIN: u64 = 250;
/// The longest wait before another try, in milliseconds. A host that asks for a longer one is left to the queue.
const RETRY_AFTER_MS_MAX: u64 = 10_000;
/// One whole picture, in milliseconds: the largest at 400 KiB/s. Waiting for our own cap does not count.
const PICTURE_MS_MAX: u64 = 80_000;
/// How long a host may take to begin its answer, or to send any more of it, in milliseconds.
const SILENCE_MS_MAX: u64 = 10_000;
/// A host that sends less than this, in bytes a second over [`SPEED_MS`], only holds a connection.
const BYTES_PER_SECOND_SLOWEST: u64 = 2 * 1_024;
/// The time over which the speed is looked at, in milliseconds. Waiting for our own cap does not count here either.
const SPEED_MS: u64 = 10_000;
/// Connections to one host at once, of an instance: a good guest at a host that many pictures are at.
const HOST_CONNECTIONS_MAX: usize = 10;
/// Hosts whose connections are counted, before those that nobody asks are forgotten.
const HOSTS_COUNTED_MAX: usize = 64;
/// What a picture must be long enough for, to be told from anything else, in bytes.
const MAGIC_BYTES: usize = 12;

const FETCH: &str = "images.fetch";
const AGENT: &str = concat!("sampan/", env!("CARGO_PKG_VERSION"));

/// The hosts of pictures, by HTTP.
pub struct WebImages<N> {
    network: N,
    hosts: ImageHosts,
    tls: Arc<ClientConfig>,
    throttle: Arc<Throttle>,
    buffer_bytes: u64,
    connections: usize,
    open: Arc<Semaphore>,
    of_host: Mutex<HashMap<String, Arc<Semaphore>>>,
    buffers: Buffers,
    idle: Mutex<VecDeque<Line>>,
}

impl<N> std::fmt::Debug for WebImages<N> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("WebImages").field("hosts", &self.hosts).finish_non_exhaustive()
    }
}

/// Why a try failed.
#[derive(Debug)]
enum Failed {
    /// For good: the word for it.
    Refused(&'static str),
    /// For now. With the wait that the host asks for, where it does.
    Lost { cause: Cause, wait: Option<Duration>, source: Option<Box<dyn std::error::Error + Send + Sync>> },
}

impl Failed {
    const fn because(cause: Cause) -> Self {
        Self::Lost { cause, wait: None, source: None }
    }

    fn away(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Lost { cause: Cause::Away, wait: None, source: Some(source.into()) }
    }

    /// What a host refuses it refuses again at once; and one that asks for a long silence gets it.
    fn may_be_tried_again(&self) -> bool {
        let longest = Duration::from_millis(RETRY_AFTER_MS_MAX);
        match self {
            Self::Refused(_) | Self::Lost { cause: Cause::Rejected, .. } => false,
            Self::Lost { wait, .. } => wait.is_none_or(|wait| wait <= longest),
        }
    }
}

impl From<NotConnected> for Failed {
    fn from(error: NotConnected) -> Self {
        match error {
            NotConnected::Refused(word) => Self::Refused(word),
            NotConnected::Away(source) => Self::away(source),
        }
    }
}

impl From<Failed> for NoImage {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Refused(word) => Self::Refused(word.to_owned()),
            Failed::Lost { cause, source, .. } => {
                Self::Lost(PortError { source, ..PortError::new(FETCH, cause, Certainty::Determinate) })
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl WebImages<SystemNetwork> {
    /// The hosts that are listed, under this cap. An error when the compiled-in roots cannot be used.
    pub fn new(hosts: ImageHosts, cap: Cap) -> Result<Self, rustls::Error> {
        Self::over(SystemNetwork, hosts, cap)
    }
}

impl<N> WebImages<N> {
    /// The same over another network.
    pub fn over(network: N, hosts: ImageHosts, cap: Cap) -> Result<Self, rustls::Error> {
        Ok(Self {
            network,
            hosts,
            tls: Arc::new(super::tls()?),
            throttle: Arc::new(Throttle::new(cap)),
            buffer_bytes: cap.buffer_bytes(),
            connections: cap.connections(),
            open: Arc::new(Semaphore::new(cap.connections())),
            of_host: Mutex::new(HashMap::new()),
            buffers: Buffers::default(),
            idle: Mutex::new(VecDeque::new()),
        })
    }

    /// The right to have a connection to a host. The host's turn is waited for first, so that one that is slow does not
    /// hold up the others.
    async fn permits(&self, host: &str) -> Result<[OwnedSemaphorePermit; 2], Failed> {
        let of_host = {
            let mut of_host = lock(&self.of_host);
            if of_host.len() >= HOSTS_COUNTED_MAX {
                of_host.retain(|_, counted| Arc::strong_count(counted) > 1);
            }
            let count = || Arc::new(Semaphore::new(self.connections.min(HOST_CONNECTIONS_MAX)));
            Arc::clone(of_host.entry(host.to_owned()).or_insert_with(count))
        };
        let of_host = of_host.acquire_owned().await.map_err(Failed::away)?;
        let open = Arc::clone(&self.open).acquire_owned().await.map_err(Failed::away)?;
        Ok([of_host, open])
    }

    /// An idle connection to the target, if there is one. Open connections, idle ones included, are never more than may
    /// be: the oldest idle one goes where a new one takes its place.
    fn idle_line(&self, target: &Target) -> Option<Line> {
        let mut idle = lock(&self.idle);
        let found = idle.iter().position(|line| line.leads_to(target)).and_then(|position| idle.remove(position));
        while found.is_none() && idle.len() > self.open.available_permits() {
            idle.pop_front();
        }
        found
    }

    fn keep_line(&self, line: Line) {
        line.drained();
        lock(&self.idle).push_back(line);
    }
}

/// What a host answered, and the connection that it came by.
struct Answer {
    line: Line,
    response: Response<Incoming>,
    /// The target's turn and the connection's: given back when the answer was read.
    permits: [OwnedSemaphorePermit; 2],
}

impl<N: Network + Sync + Send> WebImages<N> {
    async fn ask(&self, method: Method, url: &Url, known: &Known, requests: &AtomicU32) -> Result<Answer, Failed> {
        let target = self.hosts.target(url).map_err(Failed::Refused)?;
        let permits = self.permits(&target.host.to_string()).await?;
        let silence = Duration::from_millis(SILENCE_MS_MAX);
        if let Some(mut line) = self.idle_line(&target)
            && line.is_ready().await
        {
            requests.fetch_add(1, Ordering::Relaxed);
            // A host may close what nobody uses at any moment: that is no failure of its.
            if let Ok(Ok(response)) = tokio::time::timeout(silence, line.ask(request(&method, url, known)?)).await {
                return Ok(Answer { line, response, permits });
            }
        }
        let opening = Opening {
            network: &self.network,
            tls: &self.tls,
            throttle: &self.throttle,
            buffer_bytes: self.buffer_bytes,
        };
        let mut line = Line::open(target, &opening).await?;
        requests.fetch_add(1, Ordering::Relaxed);
        let answered = tokio::time::timeout(silence, line.ask(request(&method, url, known)?)).await;
        let response = answered.map_err(Failed::away)?.map_err(Failed::away)?;
        Ok(Answer { line, response, permits })
    }

    /// Asks, and asks where the host sends us, up to a picture, a no or the limit.
    async fn follow(&self, method: Method, url: &Url, known: &Known, requests: &AtomicU32) -> Result<Answer, Failed> {
        let mut url = url.clone();
        for _ in 0..=REDIRECTS_MAX {
            let answer = self.ask(method.clone(), &url, known, requests).await?;
            if !is_redirect(answer.response.status()) {
                return Ok(answer);
            }
            let location = header(&answer.response, LOCATION).ok_or(Failed::Refused("redirect_without_target"))?;
            url = url.join(location).map_err(|_| Failed::Refused("redirect_malformed"))?;
        }
        Err(Failed::Refused("too_many_redirects"))
    }

    async fn try_once(&self, url: &Url, known: &Known, requests: &AtomicU32) -> Result<Fetched, Failed> {
        if let Known::Length(bytes) = known
            && self.has_length(url, *bytes, requests).await?
        {
            return Ok(Fetched::Unchanged);
        }
        let answer = self.follow(Method::GET, url, known, requests).await?;
        match (answer.response.status(), known) {
            (StatusCode::OK, _) => {}
            (StatusCode::NOT_MODIFIED, Known::Validators(_)) => {
                self.drain(answer).await;
                return Ok(Fetched::Unchanged);
            }
            (status, _) => {
                let failed = refused(status, &answer.response);
                self.drain(answer).await;
                return Err(failed);
            }
        }
        let validators = validators(&answer.response);
        if let Known::Validators(known) = known
            && known.etag.is_some()
            && known.etag == validators.etag
        {
            // The host knows no conditions, and says all the same that nothing changed: its bytes are left alone.
            return Ok(Fetched::Unchanged);
        }
        self.spool(answer, validators).await.map(Fetched::Changed)
    }

    /// Whether what is there is as long: all that can be asked of a host without validators. `false` where it does not
    /// say.
    async fn has_length(&self, url: &Url, bytes: u64, requests: &AtomicU32) -> Result<bool, Failed> {
        let answer = self.follow(Method::HEAD, url, &Known::Nothing, requests).await?;
        let is_there = answer.response.status() == StatusCode::OK;
        let length = content_length(&answer.response);
        self.drain(answer).await;
        Ok(is_there && length == Some(bytes))
    }

    /// Keeps a connection whose answer has no body, or a short one that is at hand.
    async fn drain(&self, answer: Answer) {
        let Answer { mut line, response, permits } = answer;
        let mut body = response.into_body();
        let at_hand = async {
            match line.frame(&mut body).await {
                Some(Ok(_)) => line.frame(&mut body).await.is_none(),
                Some(Err(_)) => false,
                None => true,
            }
        };
        if tokio::time::timeout(Duration::from_millis(BACKOFF_MS_MIN), at_hand).await.unwrap_or(false) {
            self.keep_line(line);
        }
        drop(permits);
    }

    /// Reads a picture to its end.
    async fn spool(&self, answer: Answer, validators: Validators) -> Result<Spooled, Failed> {
        let Answer { mut line, response, permits } = answer;
        if header(&response, CONTENT_ENCODING).is_some_and(|encoding| !encoding.eq_ignore_ascii_case("identity")) {
            return Err(Failed::Refused("encoded"));
        }
        if content_length(&response).is_some_and(|bytes| bytes > IMAGE_BYTES_MAX) {
            return Err(Failed::Refused("too_large"));
        }
        let mut body = response.into_body();
        let mut reading = Reading::new(&self.buffers);
        let mut speed = Speed::new(line.throttled_ms());
        let silence = Duration::from_millis(SILENCE_MS_MAX);
        while let Some(frame) = tokio::time::timeout(silence, line.frame(&mut body)).await.map_err(Failed::away)? {
            let bytes = frame.map_err(Failed::away)?;
            reading.take(&bytes)?;
            speed.passed(reading.bytes, line.throttled_ms())?;
        }
        self.keep_line(line);
        drop(permits);
        reading.finish(validators)
    }
}

/// A picture that is kept, looked at and hashed while it comes.
struct Reading {
    spool: Spool,
    digest: Sha256,
    head: Vec<u8>,
    bytes: u64,
}

impl Reading {
    fn new(buffers: &Buffers) -> Self {
        let (spool, head) = (Spool::new(buffers), Vec::with_capacity(MAGIC_BYTES));
        Self { spool, digest: Sha256::new(), head, bytes: 0 }
    }

    /// What begins like no picture is not read on.
    fn take(&mut self, bytes: &[u8]) -> Result<(), Failed> {
        self.bytes = self.bytes.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        if self.bytes > IMAGE_BYTES_MAX {
            return Err(Failed::Refused("too_large"));
        }
        let lacks = MAGIC_BYTES.saturating_sub(self.head.len());
        self.head.extend(bytes.iter().take(lacks));
        if self.head.len() == MAGIC_BYTES && lacks > 0 && Format::of(&self.head).is_none() {
            return Err(Failed::Refused("not_an_image"));
        }
        self.digest.update(bytes);
        self.spool.write(bytes).map_err(Failed::away)
    }

    fn finish(self, validators: Validators) -> Result<Spooled, Failed> {
        let Self { spool, digest, bytes, .. } = self;
        let digest = ImageDigest::new(hex::encode(digest.finalize())).ok_or(Failed::because(Cause::Unreadable))?;
        let content = Arc::new(spool.finish().map_err(Failed::away)?);
        Ok(Spooled { content, digest, bytes, validators })
    }
}

/// Whether a host is fast enough to be waited for.
struct Speed {
    began: Lap,
    lap: Lap,
}

/// A moment of a download.
#[derive(Clone, Copy)]
struct Lap {
    at: Instant,
    bytes: u64,
    throttled_ms: u64,
}

impl Lap {
    /// How long the host has had since: the time for which we waited for our own cap is not the host's.
    fn of_host_ms(&self, now: &Self) -> u64 {
        let elapsed = now.at.saturating_duration_since(self.at).as_millis();
        let throttled = now.throttled_ms.saturating_sub(self.throttled_ms);
        u64::try_from(elapsed).unwrap_or(u64::MAX).saturating_sub(throttled)
    }
}

impl Speed {
    fn new(throttled_ms: u64) -> Self {
        let began = Lap { at: Instant::now(), bytes: 0, throttled_ms };
        Self { began, lap: began }
    }

    /// So many bytes came by now.
    fn passed(&mut self, bytes: u64, throttled_ms: u64) -> Result<(), Failed> {
        let now = Lap { at: Instant::now(), bytes, throttled_ms };
        if self.began.of_host_ms(&now) > PICTURE_MS_MAX {
            return Err(Failed::away("the host takes too long for a picture"));
        }
        let lap_ms = self.lap.of_host_ms(&now);
        if lap_ms < SPEED_MS {
            return Ok(());
        }
        let came = bytes.saturating_sub(self.lap.bytes);
        self.lap = now;
        let is_slow = came.saturating_mul(1_000) < BYTES_PER_SECOND_SLOWEST.saturating_mul(lap_ms);
        if is_slow { Err(Failed::away("the host sends too slowly")) } else { Ok(()) }
    }
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    )
}

/// What an answer without a picture means. That a picture is not there may mend itself: what the marketplace names now
/// may reach all of the host's machines a little later.
fn refused(status: StatusCode, response: &Response<Incoming>) -> Failed {
    let cause = match status {
        StatusCode::TOO_MANY_REQUESTS => Cause::Throttled,
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::REQUEST_TIMEOUT => Cause::Away,
        status if status.is_server_error() => Cause::Away,
        status if status.is_client_error() => Cause::Rejected,
        _ => Cause::Unreadable,
    };
    let source = format!("the host answered {}", status.as_u16());
    Failed::Lost { cause, wait: retry_after(response), source: Some(source.into()) }
}

/// The wait that a host asks for: seconds, or a date, which is read against the date of the same answer, so that no clock
/// of ours is compared with the host's. Source: RFC 9110, 10.2.3.
fn retry_after(response: &Response<Incoming>) -> Option<Duration> {
    let text = header(response, RETRY_AFTER)?;
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let (until, now) = (http_date(text)?, http_date(header(response, hyper::header::DATE)?)?);
    Some(Duration::try_from(until - now).unwrap_or_default())
}

/// A time as HTTP writes it. Source: RFC 9110, 5.6.7.
fn http_date(text: &str) -> Option<time::PrimitiveDateTime> {
    let format = time::macros::format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    time::PrimitiveDateTime::parse(text, format).ok()
}

fn header(response: &Response<Incoming>, name: HeaderName) -> Option<&str> {
    response.headers().get(name)?.to_str().ok()
}

fn content_length(response: &Response<Incoming>) -> Option<u64> {
    header(response, CONTENT_LENGTH)?.parse().ok()
}

fn validators(response: &Response<Incoming>) -> Validators {
    let given = |name| header(response, name).and_then(|text| Validator::new(text).ok());
    Validators { etag: given(ETAG), last_modified: given(LAST_MODIFIED) }
}

/// A request, with what is known of the picture as its conditions.
fn request(method: &Method, url: &Url, known: &Known) -> Result<Request<Empty<Bytes>>, Failed> {
    let path = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
    let host = match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (host, _) => host.unwrap_or_default().to_owned(),
    };
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, host)
        .header(USER_AGENT, AGENT)
        .header(ACCEPT, "image/*")
        .header(ACCEPT_ENCODING, "identity");
    if let Known::Validators(Validators { etag, last_modified }) = known {
        let conditions = [(IF_NONE_MATCH, etag), (IF_MODIFIED_SINCE, last_modified)];
        for (name, value) in conditions {
            if let Some(value) = value {
                request = request.header(name, value.as_str());
            }
        }
    }
    request.body(Empty::new()).map_err(|_| Failed::Refused("url_malformed"))
}

impl<N: Network + Sync + Send> ImageSource for WebImages<N> {
    async fn fetch(&self, url: &ImageUrl, known: &Known) -> Asked {
        let requests = AtomicU32::new(0);
        let Ok(url) = Url::parse(url.as_str()) else {
            return Asked { answer: Err(NoImage::Refused("url_malformed".to_owned())), requests: 0 };
        };
        let try_once = async || self.try_once(&url, known, &requests).await;
        let backoff = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(BACKOFF_MS_MIN))
            .with_max_delay(Duration::from_millis(RETRY_AFTER_MS_MAX))
            .with_max_times(TRIES_MAX - 1)
            .with_jitter();
        let asked_to_wait = |failed: &Failed, usual: Option<Duration>| match failed {
            Failed::Lost { wait: Some(wait), .. } => usual.map(|usual| usual.max(*wait)),
            Failed::Lost { wait: None, .. } | Failed::Refused(_) => usual,
        };
        let fetched = try_once.retry(backoff).when(Failed::may_be_tried_again).adjust(asked_to_wait).await;
        Asked { answer: fetched.map_err(NoImage::from), requests: requests.into_inner() }
    }
}
