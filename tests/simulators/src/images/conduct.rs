//! How an answer goes wrong, or otherwise than the plain one.

use std::io::Write;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::picture::{Body, Format};

/// A header of a gigantic head is so long, so that no line of it is too long by itself.
const GIGANTIC_HEADER_BYTES: usize = 1_000;

/// Where in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Before its first byte.
    Head,
    /// Before this byte of the body, counted from 0.
    Byte(u64),
}

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// With the end of the stream.
    Close,
    /// With a reset.
    Reset,
}

/// What is said of the body's length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// Its own.
    Honest,
    /// So many bytes more than come; then the connection ends.
    TooLong(u64),
    /// So many bytes fewer than come.
    TooShort(u64),
    /// None: the body ends with the connection.
    Absent,
    /// None: the body comes in chunks.
    Chunked,
}

/// What `Retry-After` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryAfter {
    /// So many seconds.
    Seconds(u64),
    /// The date that is so many seconds from now, or past.
    Date(i64),
}

/// One way in which an answer is not the plain one. Several are applied in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conduct {
    /// It stalls; without a duration for ever, until the client goes away. What comes after it comes at once: a flood.
    Stall {
        /// Where.
        at: Place,
        /// How long.
        time: Option<Duration>,
    },
    /// The body comes this slowly.
    Drip {
        /// Bytes a second.
        bytes_per_second: u64,
    },
    /// The connection ends within the answer.
    Cut {
        /// Where.
        at: Place,
        /// How.
        ending: Ending,
    },
    /// The body's length is said so.
    Length(Length),
    /// The body never ends, and has no length.
    Endless,
    /// The header `Content-Type` says this, or is not there.
    ContentType(Option<String>),
    /// An error or any other status, with a page for people.
    Status {
        /// Such as 404 or 503.
        status: u16,
        /// The header `Retry-After`.
        retry_after: Option<RetryAfter>,
    },
    /// A redirect.
    Redirect {
        /// 301, 302, 303, 307 or 308.
        status: u16,
        /// The header `Location`, or none.
        location: Option<String>,
    },
    /// Headers of so many bytes in all come before the others.
    GiganticHead {
        /// How many.
        bytes: usize,
    },
    /// The body is compressed, and `Content-Encoding` says so, whatever the client accepts.
    Gzip,
    /// The body is this, under the same status, tags and content type.
    Body(Body),
    /// A header more.
    Header(String, String),
    /// The connection ends after the answer, and the answer says so.
    ConnectionClose,
    /// `If-None-Match` and `If-Modified-Since` are not heeded.
    IgnoresConditions,
    /// There is neither an `ETag` nor a `Last-Modified`.
    Untagged,
    /// `HEAD` is answered with 405.
    RefusesHead,
}

impl Conduct {
    /// A status and nothing else.
    pub fn status(status: u16) -> Self {
        Self::Status { status, retry_after: None }
    }

    /// A redirect of this status to there.
    pub fn redirect(status: u16, location: &str) -> Self {
        Self::Redirect { status, location: Some(location.to_owned()) }
    }

    /// It stalls at this place for so many milliseconds.
    pub fn stall_ms(at: Place, ms: u64) -> Self {
        Self::Stall { at, time: Some(Duration::from_millis(ms)) }
    }

    /// A page for people is said to be a JPEG.
    pub fn html_as_jpeg() -> Vec<Self> {
        let page = Body::of(*b"<!DOCTYPE html><html><head><title>Sign in</title></head><body></body></html>");
        vec![Self::Body(page), Self::ContentType(Some("image/jpeg".to_owned()))]
    }

    /// A drawing, which is a program, is said to be a JPEG.
    pub fn svg_as_jpeg() -> Vec<Self> {
        let drawing = *br#"<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><circle r="9"/></svg>"#;
        vec![Self::Body(Body::of(drawing)), Self::ContentType(Some("image/jpeg".to_owned()))]
    }

    /// Every kind of fault by a name, each of which is over in moments, or else is `for-ever` in its name. What it
    /// redirects to is the path `/elsewhere`.
    pub fn every() -> Vec<(&'static str, Vec<Self>)> {
        let half = Place::Byte(512);
        let cut = |at, ending| vec![Self::Cut { at, ending }];
        let retry = |status, after| vec![Self::Status { status, retry_after: Some(after) }];
        let mut every = vec![
            ("stall-before-head", vec![Self::stall_ms(Place::Head, 300)]),
            ("stall-in-body", vec![Self::stall_ms(half, 300)]),
            ("stall-before-head-for-ever", vec![Self::Stall { at: Place::Head, time: None }]),
            ("stall-in-body-for-ever", vec![Self::Stall { at: half, time: None }]),
            ("drip-for-ever", vec![Self::Drip { bytes_per_second: 10 }]),
            ("cut-before-head", cut(Place::Head, Ending::Close)),
            ("cut-in-body", cut(half, Ending::Close)),
            ("reset-before-head", cut(Place::Head, Ending::Reset)),
            ("reset-in-body", cut(half, Ending::Reset)),
            ("length-too-long", vec![Self::Length(Length::TooLong(100))]),
            ("length-too-short", vec![Self::Length(Length::TooShort(100))]),
            ("length-absent", vec![Self::Length(Length::Absent)]),
            ("chunked", vec![Self::Length(Length::Chunked)]),
            ("chunked-cut", vec![Self::Length(Length::Chunked), Self::Cut { at: half, ending: Ending::Close }]),
            ("endless", vec![Self::Endless]),
            ("jpeg-as-html", vec![Self::ContentType(Some("text/html".to_owned()))]),
            ("jpeg-as-nothing", vec![Self::ContentType(None)]),
            ("html-as-jpeg", Self::html_as_jpeg()),
            ("svg-as-jpeg", Self::svg_as_jpeg()),
            ("retry-after-seconds-429", retry(429, RetryAfter::Seconds(1))),
            ("retry-after-date-429", retry(429, RetryAfter::Date(2))),
            ("retry-after-seconds-503", retry(503, RetryAfter::Seconds(1))),
            ("retry-after-past-503", retry(503, RetryAfter::Date(-60))),
            ("redirect-without-location", vec![Self::Redirect { status: 302, location: None }]),
            ("gigantic-head", vec![Self::GiganticHead { bytes: 4 << 20 }]),
            ("gzip", vec![Self::Gzip]),
            ("empty", vec![Self::Body(Body::empty())]),
            ("connection-close", vec![Self::ConnectionClose]),
            ("ignores-conditions", vec![Self::IgnoresConditions]),
            ("untagged", vec![Self::Untagged]),
            ("refuses-head", vec![Self::RefusesHead]),
            ("png-as-jpeg", vec![Self::Body(Body::picture(Format::Png, 1, (8, 8)))]),
        ];
        let named = [("403", 403), ("404", 404), ("410", 410), ("429", 429), ("500", 500), ("502", 502), ("503", 503)];
        every.extend(named.map(|(name, status)| (name, vec![Self::status(status)])));
        let redirects = [("301", 301), ("302", 302), ("303", 303), ("307", 307), ("308", 308)];
        every.extend(redirects.map(|(name, status)| (name, vec![Self::redirect(status, "/elsewhere")])));
        every
    }

    /// Faults that may be over at the next request.
    pub(super) fn passing() -> Vec<Vec<Self>> {
        let is_passing = |name: &str| {
            let names = ["stall-in-body", "cut-before-head", "cut-in-body", "reset-in-body", "length-too-long"];
            names.contains(&name) || ["retry-after-seconds-429", "500", "502", "503"].contains(&name)
        };
        Self::every().into_iter().filter(|(name, _)| is_passing(name)).map(|(_, conduct)| conduct).collect()
    }
}

/// What is answered, before it is written.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) content_type: Option<String>,
    pub(super) body: Body,
    pub(super) length: Length,
    pub(super) is_last: bool,
    pub(super) bytes_per_second: Option<u64>,
    /// By their place.
    pub(super) steps: Vec<(Place, Step)>,
}

/// What happens within an answer.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    Stall(Option<Duration>),
    Cut(Ending),
}

impl Answer {
    pub(super) fn of(status: u16, content_type: &str, body: Body) -> Self {
        Self {
            status,
            headers: Vec::new(),
            content_type: Some(content_type.to_owned()),
            body,
            length: Length::Honest,
            is_last: false,
            bytes_per_second: None,
            steps: Vec::new(),
        }
    }

    /// A page for people, as a cache in front of the pictures gives it.
    pub(super) fn page(status: u16) -> Self {
        let page = format!("<html><head><title>{status}</title></head><body><center>Tengine</center></body></html>");
        Self::of(status, "text/html", Body::of(page.into_bytes()))
    }

    pub(super) fn header(&mut self, name: &str, value: impl Into<String>) {
        self.headers.push((name.to_owned(), value.into()));
    }

    /// Applies what belongs to the answer. Of conduct that decides which answer it is, [`super::host`] has taken care.
    pub(super) fn bend(&mut self, conduct: &Conduct) {
        match conduct {
            Conduct::Stall { at, time } => self.step(*at, Step::Stall(*time)),
            Conduct::Cut { at, ending } => self.step(*at, Step::Cut(*ending)),
            Conduct::Drip { bytes_per_second } => self.bytes_per_second = Some((*bytes_per_second).max(1)),
            Conduct::Length(length) => self.length = *length,
            Conduct::Endless => (self.body, self.length) = (Body::endless(0), Length::Absent),
            Conduct::ContentType(content_type) => self.content_type.clone_from(content_type),
            Conduct::GiganticHead { bytes } => {
                let junk = "x".repeat(GIGANTIC_HEADER_BYTES);
                let headers = (0..bytes.div_ceil(GIGANTIC_HEADER_BYTES)).map(|nth| (format!("x-{nth}"), junk.clone()));
                self.headers.splice(..0, headers);
            }
            Conduct::Gzip => {
                self.body = Body::of(gzip(&self.body));
                self.header("content-encoding", "gzip");
            }
            Conduct::Body(body) => self.body = body.clone(),
            Conduct::Header(name, value) => self.header(name, value.as_str()),
            Conduct::ConnectionClose => self.is_last = true,
            Conduct::Status { .. }
            | Conduct::Redirect { .. }
            | Conduct::IgnoresConditions
            | Conduct::Untagged
            | Conduct::RefusesHead => {}
        }
    }

    fn step(&mut self, at: Place, step: Step) {
        self.steps.push((at, step));
        self.steps.sort_by_key(|(at, _)| *at);
    }
}

fn gzip(body: &Body) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&body.bytes()).and_then(|()| encoder.finish()).expect("a vector takes all that is written to it")
}
