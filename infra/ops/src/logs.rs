//! What the functions logged, read from CloudWatch Logs.

use anyhow::Context;
use domain::UnixMillis;
use serde::Deserialize;

use crate::stack::Session;

/// A structured line of a function, as far as an operator asks after it.
#[derive(Debug, Clone, Deserialize)]
pub struct LogLine {
    /// What became of it.
    pub outcome: String,
    /// The event's sender.
    #[serde(rename = "event.source")]
    pub event_source: Option<String>,
    /// The sender's id of the event.
    #[serde(rename = "event.id")]
    pub event_id: Option<String>,
    /// The queue's id of the message.
    #[serde(rename = "sqs.message_id")]
    pub message_id: Option<String>,
}

/// All lines of a function since a moment.
pub async fn lines(session: &Session, folder: &str, since: UnixMillis) -> anyhow::Result<Vec<String>> {
    let client = aws_sdk_cloudwatchlogs::Client::new(&session.config);
    let function = session.stack.function(folder)?;
    let mut pages = client
        .filter_log_events()
        .log_group_name(format!("/aws/lambda/{function}"))
        .start_time(since.get())
        .into_paginator()
        .send();
    let mut lines = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.with_context(|| format!("cannot read the log of {function}"))?;
        lines.extend(page.events.unwrap_or_default().into_iter().filter_map(|event| event.message));
    }
    Ok(lines)
}

/// The structured lines of a function since a moment; other lines are left out.
pub async fn structured(session: &Session, folder: &str, since: UnixMillis) -> anyhow::Result<Vec<LogLine>> {
    let lines = lines(session, folder, since).await?;
    Ok(lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect())
}
