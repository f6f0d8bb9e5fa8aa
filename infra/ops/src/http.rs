//! The stack's HTTP API, asked as its senders and clients ask it.

use std::borrow::Cow;
use std::time::Duration;

use anyhow::Context;
use domain::UnixMillis;
use protocols::client::Signable;
use secrecy::SecretString;
use serde::Deserialize;

/// One request. A function behind the API runs 10 s at most, and an emulator starts it first.
const REQUEST_MS_MAX: u64 = 30_000;

/// A request that is ready to go.
#[derive(Debug, Clone)]
pub struct Request {
    /// The HTTP method.
    pub method: reqwest::Method,
    /// The path, and the query after a `?` if there is one.
    pub path: String,
    /// Headers by name.
    pub headers: Vec<(Cow<'static, str>, String)>,
    /// The raw body.
    pub body: Vec<u8>,
}

impl Request {
    /// A client's request, signed as the orders API asks for. Every nonce is good once.
    pub fn of_client(
        method: reqwest::Method,
        path: String,
        body: Vec<u8>,
        client: (&str, &SecretString),
        (nonce, now): (&str, UnixMillis),
    ) -> Self {
        let timestamp = now.seconds().to_string();
        let signable =
            Signable { timestamp: &timestamp, nonce, method: method.as_str(), path_with_query: &path, body: &body };
        let signature = signable.sign(client.1);
        let headers = vec![
            ("Content-Type".into(), "application/json".to_owned()),
            ("X-App-Key".into(), client.0.to_owned()),
            ("X-Timestamp".into(), timestamp),
            ("X-Nonce".into(), nonce.to_owned()),
            ("X-Signature".into(), signature),
        ];
        Self { method, path, headers, body }
    }
}

/// What the API answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The raw body.
    pub body: Vec<u8>,
}

#[derive(Deserialize)]
struct Fields {
    status: Option<String>,
    error: Option<ErrorFields>,
    message: Option<String>,
}

#[derive(Deserialize)]
struct ErrorFields {
    code: String,
}

impl Answer {
    /// Whether it is a 2xx.
    pub const fn is_success(&self) -> bool {
        self.status >= 200 && self.status < 300
    }

    /// Its one word: the error's code, the `status` of a success, or the gateway's own message.
    pub fn word(&self) -> String {
        let Ok(fields) = serde_json::from_slice::<Fields>(&self.body) else { return String::new() };
        let code = fields.error.map(|error| error.code);
        code.or(fields.status).or(fields.message).unwrap_or_default()
    }

    /// Status and word together, as in the closing tables.
    pub fn label(&self) -> String {
        format!("{} {}", self.status, self.word()).trim_end().to_owned()
    }
}

/// A client of the API.
#[derive(Debug, Clone)]
pub struct Api {
    client: reqwest::Client,
    url: String,
}

impl Api {
    /// The API at that URL.
    pub fn new(url: &str) -> anyhow::Result<Self> {
        let client = reqwest::Client::builder().timeout(Duration::from_millis(REQUEST_MS_MAX)).build()?;
        Ok(Self { client, url: url.trim_end_matches('/').to_owned() })
    }

    /// Sends one request. An answer of any status is `Ok`.
    pub async fn send(&self, request: Request) -> anyhow::Result<Answer> {
        let Request { method, path, headers, body } = request;
        let url = format!("{}{path}", self.url);
        let call = headers
            .into_iter()
            .fold(self.client.request(method, &url), |call, (name, value)| call.header(&*name, value));
        let answer = call.body(body).send().await.with_context(|| format!("no answer from {url}"))?;
        let status = answer.status().as_u16();
        let body = answer.bytes().await.with_context(|| format!("the answer from {url} broke off"))?;
        Ok(Answer { status, body: body.to_vec() })
    }
}
