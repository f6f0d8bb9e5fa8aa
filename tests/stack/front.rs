//! The front door of the stack: its HTTP API; or, where there is none, the functions behind it, invoked with the events that
//! the API would make.

use std::time::Duration;

use anyhow::{Context, bail};
use aws_sdk_lambda::config::timeout::TimeoutConfig;
use aws_sdk_lambda::primitives::Blob;
use sampan::http::{Answer, Api, Request};
use sampan::stack::Session;
use serde::Deserialize;
use simulators::invocations;

pub enum Front {
    Http(Api),
    Lambda(aws_sdk_lambda::Client, Box<Session>),
}

/// What a function answers to the HTTP API.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answered {
    status_code: u16,
    body: String,
}

/// The longest that the HTTP API waits for a function, in seconds.
const ANSWER_SECONDS_MAX: u64 = 30;

impl Front {
    /// The functions of a stack, waited for as the HTTP API waits for them.
    pub fn of_functions(session: Session) -> Self {
        let longest = Duration::from_secs(ANSWER_SECONDS_MAX);
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(longest).operation_timeout(longest);
        let settings = aws_sdk_lambda::config::Builder::from(&session.config).timeout_config(timeouts.build());
        Self::Lambda(aws_sdk_lambda::Client::from_conf(settings.build()), Box::new(session))
    }

    pub async fn send(&self, request: Request) -> anyhow::Result<Answer> {
        match self {
            Self::Http(api) => api.send(request).await,
            Self::Lambda(client, session) => {
                let function = session.stack.function(function_of(&request.path)?)?;
                let headers = request.headers.iter().map(|(name, value)| (name.as_ref(), value.as_str()));
                let event = invocations::request(request.method.as_str(), &request.path, headers, &request.body);
                let payload = Blob::new(event.to_string());
                let answer = client.invoke().function_name(function).payload(payload).send().await?;
                let payload = answer.payload().map(Blob::as_ref).unwrap_or_default();
                let answered: Answered = serde_json::from_slice(payload)
                    .with_context(|| format!("{function} answered {}", String::from_utf8_lossy(payload)))?;
                Ok(Answer { status: answered.status_code, body: answered.body.into_bytes() })
            }
        }
    }
}

/// The function behind a path, as the template's routes have it.
fn function_of(path: &str) -> anyhow::Result<&'static str> {
    match path.split(['/', '?']).nth(1) {
        Some("webhooks") => Ok("webhook-intake"),
        Some("payments") => Ok("payment-callback"),
        Some("orders" | "trades" | "quotes") => Ok("orders-api"),
        _ => bail!("no function is behind {path}"),
    }
}
