//! HTTP/1.1 as bytes: a request's head, and an answer's.

use time::macros::format_description;
use time::{OffsetDateTime, UtcDateTime};

use super::conduct::{Answer, Length};

/// A head longer than this is nobody's whom the tests know.
pub(super) const REQUEST_HEAD_BYTES_MAX: usize = 64 * 1024;

/// A request's head. Requests to this host have no body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: String,
    /// The path without its query.
    pub(super) path: String,
    pub(super) query: String,
    /// Names in small letters.
    headers: Vec<(String, String)>,
    is_http_1_0: bool,
}

impl Request {
    /// The first request of `bytes` and where it ends. `Ok(None)` when it is not all there yet, an error when it is none.
    pub(super) fn read(bytes: &[u8]) -> Result<Option<(Self, usize)>, Malformed> {
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            return if bytes.len() > REQUEST_HEAD_BYTES_MAX { Err(Malformed) } else { Ok(None) };
        };
        let head = std::str::from_utf8(bytes.get(..end).unwrap_or_default()).map_err(|_| Malformed)?;
        let mut lines = head.split("\r\n");
        let mut words = lines.next().unwrap_or_default().split(' ');
        let (Some(method), Some(target), Some(version)) = (words.next(), words.next(), words.next()) else {
            return Err(Malformed);
        };
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let header = |line: &str| {
            line.split_once(':')
                .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
                .ok_or(Malformed)
        };
        let request = Self {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers: lines.map(header).collect::<Result<_, _>>()?,
            is_http_1_0: version == "HTTP/1.0",
        };
        Ok(Some((request, end + 4)))
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|header| header.0 == name).map(|header| header.1.as_str())
    }

    pub(super) fn is_conditional(&self) -> bool {
        self.header("if-none-match").is_some() || self.header("if-modified-since").is_some()
    }

    /// Whether the client wants no answer after this one.
    pub(super) fn is_last(&self) -> bool {
        let says = |word: &str| self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case(word));
        says("close") || self.is_http_1_0 && !says("keep-alive")
    }

    /// The value of a query's key. Nothing is escaped in the queries of this host.
    pub(super) fn parameter(&self, key: &str) -> Option<String> {
        let mut pairs = form_urlencoded::parse(self.query.as_bytes());
        pairs.find(|pair| pair.0 == key).map(|pair| pair.1.into_owned())
    }
}

/// These bytes are no request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// The head of an answer.
pub(super) fn head(answer: &Answer, is_last: bool) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {} {}\r\n", answer.status, reason(answer.status));
    for (name, value) in &answer.headers {
        head += &format!("{name}: {value}\r\n");
    }
    if let Some(content_type) = &answer.content_type {
        head += &format!("content-type: {content_type}\r\n");
    }
    let length = answer.body.len();
    let said = match answer.length {
        Length::Honest => Some(length),
        Length::TooLong(more) => Some(length.saturating_add(more)),
        Length::TooShort(fewer) => Some(length.saturating_sub(fewer)),
        Length::Absent | Length::Chunked => None,
    };
    match said {
        // Neither has a body, and 204 no length either (RFC 9110, 8.6).
        _ if matches!(answer.status, 204 | 304) => {}
        Some(said) => head += &format!("content-length: {said}\r\n"),
        None if answer.length == Length::Chunked => head += "transfer-encoding: chunked\r\n",
        None => {}
    }
    if is_last {
        head += "connection: close\r\n";
    }
    head += "\r\n";
    head.into_bytes()
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        304 => "Not Modified",
        404 => "Not Found",
        405 => "Method Not Allowed",
        429 => "Too Many Requests",
        503 => "Service Unavailable",
        301..=399 => "Moved",
        _ => "Answer",
    }
}

/// A date as HTTP writes it (RFC 9110, 5.6.7), such as `Sun, 06 Nov 1994 08:49:37 GMT`.
pub(super) fn date(unix_s: i64) -> String {
    let form =
        format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");
    let at = OffsetDateTime::from_unix_timestamp(unix_s).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    at.format(&form).unwrap_or_default()
}

/// The time that a date of HTTP means, in seconds since 1970.
pub(super) fn unix_s(date: &str) -> Option<i64> {
    let form =
        format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");
    UtcDateTime::parse(date, &form).ok().map(UtcDateTime::unix_timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images::Body;

    #[test]
    fn a_request_is_read_once_it_is_all_there() {
        let bytes = b"GET /img/a.jpg?x=1 HTTP/1.1\r\nHost: h\r\nIf-None-Match: \"a\"\r\n\r\nGET ";
        for end in 0..60 {
            assert_eq!(Request::read(&bytes[..end]), Ok(None));
        }
        let (request, end) = Request::read(bytes).unwrap().unwrap();
        assert_eq!((request.method.as_str(), request.path.as_str(), bytes.len() - end), ("GET", "/img/a.jpg", 4));
        assert_eq!((request.header("if-none-match"), request.parameter("x").as_deref()), (Some("\"a\""), Some("1")));
        assert!(request.is_conditional() && !request.is_last());
        assert_eq!(Request::read(b"nonsense\r\n\r\n"), Err(Malformed));
        assert_eq!(Request::read(&vec![b'x'; REQUEST_HEAD_BYTES_MAX + 1]), Err(Malformed));
    }

    #[test]
    fn a_head_says_of_the_length_what_it_shall_say() {
        let mut answer = Answer::of(200, "image/jpeg", Body::of([0; 10]));
        let mut said = |length| {
            answer.length = length;
            String::from_utf8(head(&answer, false)).unwrap()
        };
        assert!(said(Length::Honest).contains("\r\ncontent-length: 10\r\n"));
        assert!(said(Length::TooLong(5)).contains("content-length: 15\r\n"));
        assert!(said(Length::TooShort(3)).contains("content-length: 7\r\n"));
        assert!(!said(Length::Absent).contains("length") && said(Length::Chunked).contains("chunked"));
        answer.status = 304;
        assert!(!String::from_utf8(head(&answer, true)).unwrap().contains("content-length"));
    }

    #[test]
    fn a_date_is_written_and_read_as_the_rfc_has_it() {
        assert_eq!(date(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(unix_s("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(unix_s("1994-11-06"), None);
    }
}
