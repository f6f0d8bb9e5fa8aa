//! A function of the stack, invoked now and not by its schedule.

use std::time::Duration;

use anyhow::{Context, bail};
use aws_sdk_lambda::config::StalledStreamProtectionConfig;
use aws_sdk_lambda::config::retry::RetryConfig;
use aws_sdk_lambda::config::timeout::TimeoutConfig;
use aws_sdk_lambda::primitives::Blob;
use protocols::sweeps::{Answer, Request, Swept};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::stack::Session;

/// The longest run that Lambda has.
const RUN_SECONDS_MAX: u64 = 15 * 60;
/// Opening a connection to AWS, in seconds.
const CONNECT_SECONDS_MAX: u64 = 3;

/// A function of the stack.
#[derive(Debug)]
pub(crate) struct Function {
    client: aws_sdk_lambda::Client,
    name: String,
}

/// What a function answers whose work broke off.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BrokenOff {
    error_message: String,
}

impl Function {
    /// The one of this folder.
    pub(crate) fn new(session: &Session, folder: &str) -> anyhow::Result<Self> {
        // A run takes minutes. One that was asked for again by itself would find the first one at work.
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(CONNECT_SECONDS_MAX))
            .operation_attempt_timeout(Duration::from_secs(RUN_SECONDS_MAX))
            .operation_timeout(Duration::from_secs(RUN_SECONDS_MAX))
            .build();
        let settings = aws_sdk_lambda::config::Builder::from(&session.config)
            .timeout_config(timeouts)
            .retry_config(RetryConfig::standard().with_max_attempts(1))
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        let client = aws_sdk_lambda::Client::from_conf(settings.build());
        Ok(Self { client, name: session.stack.function(folder)?.to_owned() })
    }

    /// One run of a function that sweeps: what became of each shop.
    pub(crate) async fn sweep(&self, request: &Request) -> anyhow::Result<Vec<Swept>> {
        Ok(self.call::<Answer>(request).await?.sweeps)
    }

    /// One run, and its answer.
    pub(crate) async fn call<A: DeserializeOwned>(&self, request: &impl Serialize) -> anyhow::Result<A> {
        let payload = Blob::new(serde_json::to_vec(request)?);
        let call = self.client.invoke().function_name(&self.name).payload(payload);
        let answer = call.send().await.with_context(|| format!("no answer from {}", self.name))?;
        let payload = answer.payload().map(Blob::as_ref).unwrap_or_default();
        if answer.function_error().is_some() {
            let why = serde_json::from_slice::<BrokenOff>(payload).map(|broken| broken.error_message);
            bail!("{} broke off: {}", self.name, why.unwrap_or_else(|_| "it does not say why".to_owned()));
        }
        serde_json::from_slice(payload).with_context(|| format!("what {} answers cannot be read", self.name))
    }
}
