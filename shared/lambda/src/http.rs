//! HTTP requests as API Gateway hands them over (payload format 2.0), and the answers it takes.
//!
//! Read with our own types and nothing required: whatever a stranger sends must end in an answer, and an
//! event that fails to deserialise would end in a 5xx. Source: API Gateway developer guide, "AWS Lambda
//! proxy integrations, payload format version 2.0".

use std::collections::HashMap;

use adapters::clock::Clock;
use adapters::error::Cause;
use adapters::{Certainty, PortError};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use protocols::Refusal;
use serde::{Deserialize, Serialize};

use crate::deadline::Deadline;
use crate::log::{WideEvent, field, metric};

/// The largest body that is read. The largest push known is a few KiB.
pub const BODY_BYTES_MAX: usize = 256 * 1_024;

/// When a sender should try again, in seconds, after a dependency was away.
const RETRY_AFTER_SECONDS: &str = "5";

/// The event of an invocation.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ApiEvent {
    raw_path: String,
    raw_query_string: String,
    headers: HashMap<String, String>,
    body: Option<String>,
    is_base64_encoded: bool,
    request_context: RequestContext,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RequestContext {
    http: HttpContext,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct HttpContext {
    method: String,
}

/// A request. The body is raw bytes, or the reason why there is none.
#[derive(Debug, Clone)]
pub struct Request {
    /// In upper case.
    pub method: String,
    /// The decoded path, without the stage.
    pub path: String,
    /// The raw query, without the `?`.
    pub query: String,
    /// Names in lower case. A doubled header comes as one with a comma between.
    pub headers: Vec<(String, String)>,
    /// The raw bytes.
    pub body: Result<Vec<u8>, Refusal>,
    /// Lambda's id of the invocation; a retry by the sender has another.
    pub request_id: String,
}

impl Request {
    /// The request of an event, under Lambda's id of the invocation.
    pub fn new(event: ApiEvent, request_id: String) -> Self {
        Self {
            method: event.request_context.http.method,
            path: event.raw_path,
            query: event.raw_query_string,
            headers: event.headers.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect(),
            body: read_body(event.body.unwrap_or_default(), event.is_base64_encoded),
            request_id,
        }
    }

    /// A header by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The path's parts between its slashes.
    pub fn segments(&self) -> Vec<&str> {
        self.path.trim_start_matches('/').split('/').collect()
    }

    /// The path, and the query after a `?` if there is one: what a client signs.
    pub fn path_with_query(&self) -> String {
        if self.query.is_empty() { self.path.clone() } else { format!("{}?{}", self.path, self.query) }
    }
}

fn read_body(body: String, is_base64: bool) -> Result<Vec<u8>, Refusal> {
    // Base64 writes three bytes as four, so that this bounds the bytes before they are decoded.
    let bytes = if is_base64 { body.len() / 4 * 3 } else { body.len() };
    if bytes > BODY_BYTES_MAX + 2 {
        return Err(Refusal::TooLarge);
    }
    let body = match is_base64 {
        true => BASE64_STANDARD.decode(body).map_err(|_| Refusal::Malformed("the body is not base64"))?,
        false => body.into_bytes(),
    };
    if body.len() > BODY_BYTES_MAX { Err(Refusal::TooLarge) } else { Ok(body) }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Response {
    /// The HTTP status.
    pub status_code: u16,
    headers: Headers,
    /// JSON, or the words that a gateway wants.
    pub body: String,
    /// Why the request was refused, when it was.
    #[serde(skip)]
    pub refusal: Option<Refusal>,
}

/// Headers of an answer: few, and in a fixed order.
type Headers = std::collections::BTreeMap<&'static str, &'static str>;

#[derive(Serialize)]
struct ErrorBody<'a> {
    error: ErrorFields<'a>,
}

#[derive(Serialize)]
struct ErrorFields<'a> {
    code: &'a str,
    message: &'a str,
}

impl Response {
    /// A JSON answer.
    pub fn json(status_code: u16, body: &impl Serialize) -> Self {
        let body = serde_json::to_string(body).unwrap_or_default();
        Self::text(status_code, "application/json", body)
    }

    /// An answer of another type.
    pub fn text(status_code: u16, content_type: &'static str, body: impl Into<String>) -> Self {
        let headers = Headers::from([("content-type", content_type)]);
        Self { status_code, headers, body: body.into(), refusal: None }
    }

    fn error(status_code: u16, code: &str, message: &str) -> Self {
        Self::json(status_code, &ErrorBody { error: ErrorFields { code, message } })
    }

    /// The answer to a request that is refused.
    pub fn refused(refusal: Refusal) -> Self {
        let response = Self::error(refusal.status(), refusal.code(), &refusal.to_string());
        Self { refusal: Some(refusal), ..response }
    }

    /// The same, with a field beside the error that helps the caller on.
    pub fn refused_with(refusal: Refusal, name: &'static str, field: &impl Serialize) -> Self {
        let error = ErrorFields { code: refusal.code(), message: &refusal.to_string() };
        let body = serde_json::json!({"error": error, name: field});
        Self { refusal: Some(refusal), ..Self::json(refusal.status(), &body) }
    }

    /// The answer when a dependency throttles or is away: try again. No cause is told.
    pub fn unavailable(error: &PortError) -> Self {
        let mut response = match error.cause {
            Cause::Throttled => Self::error(429, "throttled", "too much at once; try again"),
            Cause::Away | Cause::Rejected | Cause::Unreadable | Cause::Contended => {
                Self::error(503, "unavailable", "a part of the service is away; try again")
            }
        };
        response.headers.insert("retry-after", RETRY_AFTER_SECONDS);
        response
    }
}

/// Why a request has no good answer.
#[derive(Debug)]
pub enum NotAnswered {
    /// The sender's fault: 4xx.
    Refused(Refusal),
    /// The same of one whose signature is good: a counterpart of ours says what we cannot take.
    Unread(Refusal),
    /// Ours, or a dependency's: the sender should try again.
    Unavailable(PortError),
}

impl From<Refusal> for NotAnswered {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<PortError> for NotAnswered {
    fn from(error: PortError) -> Self {
        Self::Unavailable(error)
    }
}

/// Works until the deadline. A dependency that answers no sooner is away: better a 503 of ours than the
/// gateway's own answer to a function that was cut off. What was begun may have happened; it can be done again.
pub async fn before<T>(
    deadline: Deadline,
    clock: &impl Clock,
    work: impl Future<Output = Result<T, NotAnswered>>,
) -> Result<T, NotAnswered> {
    let late = PortError::new("answer before the deadline", Cause::Away, Certainty::Indeterminate);
    deadline.within(clock, work).await.unwrap_or(Err(late.into()))
}

/// The event of this kind that is logged of a refusal.
pub fn refused_event(event: &str, refusal: Refusal) -> WideEvent {
    let refused = WideEvent::new(event, "refused").with(field::ERROR_CODE, refusal.code());
    refused.with(field::REASON, refusal.to_string())
}

impl NotAnswered {
    /// The answer, and the event of this kind that is logged of it. The causes go to the log alone.
    pub fn conclude(&self, event: &str) -> (Response, WideEvent) {
        match self {
            Self::Refused(refusal) => (Response::refused(*refusal), refused_event(event, *refusal)),
            Self::Unread(refusal) => {
                (Response::refused(*refusal), refused_event(event, *refusal).with_metric(metric::SIGNED_REFUSED))
            }
            Self::Unavailable(error) => {
                (Response::unavailable(error), WideEvent::new(event, "unavailable").with_failure(error))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(event: &str) -> Request {
        Request::new(serde_json::from_str(event).unwrap(), String::new())
    }

    #[test]
    fn an_event_of_nothing_is_a_request_of_nothing() {
        let request = request("{}");
        assert_eq!((request.method.as_str(), request.path.as_str(), request.body), ("", "", Ok(Vec::new())));
    }

    #[test]
    fn a_base64_body_is_its_bytes_and_a_broken_one_is_malformed() {
        let with = |body: &str| request(&format!(r#"{{"body":"{body}","isBase64Encoded":true}}"#)).body;
        assert_eq!(with("/w=="), Ok(vec![0xff]));
        assert_eq!(with("*"), Err(Refusal::Malformed("the body is not base64")));
    }

    #[test]
    fn the_largest_body_is_read_and_one_byte_more_is_not() {
        for is_base64 in [true, false] {
            let encode = |body: Vec<u8>| match is_base64 {
                true => BASE64_STANDARD.encode(body),
                false => String::from_utf8(body).unwrap(),
            };
            assert!(read_body(encode(vec![b'a'; BODY_BYTES_MAX]), is_base64).is_ok());
            assert_eq!(read_body(encode(vec![b'a'; BODY_BYTES_MAX + 1]), is_base64), Err(Refusal::TooLarge));
        }
    }

    #[test]
    fn a_dependency_away_asks_the_sender_to_try_again() {
        let error = PortError::new("events.send", Cause::Away, Certainty::Indeterminate);
        let response = Response::unavailable(&error);
        assert_eq!((response.status_code, response.headers.get("retry-after")), (503, Some(&"5")));
        assert!(!response.body.contains("events.send"));
    }
}
