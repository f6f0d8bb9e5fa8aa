//! What the functions logged, read from CloudWatch Logs.

use std::collections::HashMap;

use anyhow::Context;
use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::types::FilteredLogEvent;
use domain::UnixMillis;
use protocols::log::field;
use serde_json::{Map, Value};

use crate::stack::Session;

/// A structured line of a function. Its fields are named in `protocols::log`.
#[derive(Debug, Clone, PartialEq)]
pub struct Line(Map<String, Value>);

impl Line {
    /// Reads one; nothing where Lambda, and not a function, wrote it.
    pub(crate) fn read(line: &str) -> Option<Self> {
        serde_json::from_str(line).ok().map(Self)
    }

    /// A field that is a text.
    pub(crate) fn text(&self, field: &str) -> Option<&str> {
        self.0.get(field)?.as_str()
    }

    /// A field that counts.
    pub(crate) fn count(&self, field: &str) -> Option<u64> {
        self.0.get(field)?.as_u64()
    }

    /// A field that tells milliseconds: less than nought where the clock of whoever sent it is ahead of ours.
    pub(crate) fn milliseconds(&self, field: &str) -> Option<i64> {
        self.0.get(field)?.as_i64()
    }

    /// What kind of work it is of, and how that ended.
    pub(crate) fn ended(&self) -> Option<(&str, &str)> {
        self.text(field::EVENT).zip(self.text(field::OUTCOME))
    }
}

/// How late a line may come: CloudWatch takes lines in after seconds, and those of several instances in any order.
const LATE_MS: i64 = 60_000;

/// All lines of a function since a moment.
pub async fn lines(session: &Session, folder: &str, since: UnixMillis) -> anyhow::Result<Vec<String>> {
    Ok(timed(session, folder, since).await?.into_iter().map(|(_, line)| line).collect())
}

/// The same, each with the time at which it was written, in milliseconds since 1970.
pub(crate) async fn timed(session: &Session, folder: &str, since: UnixMillis) -> anyhow::Result<Vec<(i64, String)>> {
    let events = events(&Client::new(&session.config), session.stack.function(folder)?, since.get()).await?;
    Ok(events.into_iter().filter_map(|event| Some((event.timestamp.unwrap_or_default(), event.message?))).collect())
}

async fn events(client: &Client, function: &str, since_ms: i64) -> anyhow::Result<Vec<FilteredLogEvent>> {
    let group = format!("/aws/lambda/{function}");
    let mut pages = client.filter_log_events().log_group_name(group).start_time(since_ms).into_paginator().send();
    let mut events = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.with_context(|| format!("cannot read the log of {function}"))?;
        events.extend(page.events.unwrap_or_default());
    }
    Ok(events)
}

/// The lines of a function from a moment on, as they come: each once, however often is asked.
#[derive(Debug)]
pub struct Follower {
    client: Client,
    function: String,
    from_ms: i64,
    /// The lines since `from_ms` that were given, and when they were written.
    given: HashMap<String, i64>,
}

impl Follower {
    /// Those of this function.
    pub fn new(session: &Session, folder: &str, since: UnixMillis) -> anyhow::Result<Self> {
        let (client, function) = (Client::new(&session.config), session.stack.function(folder)?.to_owned());
        Ok(Self { client, function, from_ms: since.get(), given: HashMap::new() })
    }

    /// What came since the last time.
    pub async fn more(&mut self) -> anyhow::Result<Vec<String>> {
        let events = events(&self.client, &self.function, self.from_ms).await?;
        Ok(self.new_of(events))
    }

    fn new_of(&mut self, events: Vec<FilteredLogEvent>) -> Vec<String> {
        let mut lines = Vec::new();
        for event in events {
            let (at, line) = (event.timestamp.unwrap_or_default(), event.message.unwrap_or_default());
            let id = event.event_id.unwrap_or_else(|| format!("{at} {line}"));
            if self.given.insert(id, at).is_none() {
                lines.push(line);
            }
        }
        let latest = self.given.values().copied().max().unwrap_or_default();
        self.from_ms = self.from_ms.max(latest.saturating_sub(LATE_MS));
        self.given.retain(|_, at| *at >= self.from_ms);
        lines
    }
}

/// The structured lines of a function since a moment; other lines are left out.
pub async fn structured(session: &Session, folder: &str, since: UnixMillis) -> anyhow::Result<Vec<Line>> {
    let lines = lines(session, folder, since).await?;
    Ok(lines.iter().filter_map(|line| Line::read(line)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: &str, at: i64) -> FilteredLogEvent {
        FilteredLogEvent::builder().event_id(id).timestamp(at).message(format!("line {id}")).build()
    }

    #[test]
    fn a_line_is_given_once_also_when_it_comes_late() {
        let config = aws_sdk_cloudwatchlogs::Config::builder()
            .behavior_version(aws_sdk_cloudwatchlogs::config::BehaviorVersion::latest())
            .build();
        let client = Client::from_conf(config);
        let mut follower = Follower { client, function: "f".to_owned(), from_ms: 0, given: HashMap::new() };
        let (start, later) = (1_000_000, 1_000_000 + LATE_MS + 5);
        assert_eq!(follower.new_of(vec![event("a", start)]), ["line a"]);
        assert_eq!(follower.new_of(vec![event("a", start), event("b", later)]), ["line b"]);
        assert_eq!(follower.from_ms, start + 5);
        assert_eq!(follower.new_of(vec![event("c", later - 10), event("b", later)]), ["line c"]);
        assert_eq!(follower.new_of(vec![event("c", later - 10), event("b", later)]), Vec::<String>::new());
    }
}
