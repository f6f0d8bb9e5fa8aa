//! The log: one wide event a unit of work, as one line of flat JSON with dotted names.
//!
//! Invariant (law 7): a field holds a name, a number or a word of ours; never a body, a secret or a person.

use std::io::Write;

use adapters::PortError;
use serde_json::{Map, Value};
use tracing_subscriber::filter::LevelFilter;

/// Every field's name, spelt once.
pub mod field {
    /// What kind of work: `webhook.received`, `record.processed`, `request.answered`.
    pub const EVENT: &str = "event";
    /// How it ended.
    pub const OUTCOME: &str = "outcome";
    /// How long it took, in milliseconds.
    pub const DURATION_MS: &str = "duration_ms";
    /// The event's id within its source.
    pub const EVENT_ID: &str = "event.id";
    /// Who sent it.
    pub const EVENT_SOURCE: &str = "event.source";
    /// How many events it held.
    pub const EVENT_COUNT: &str = "event.count";
    /// How many pushes were about products.
    pub const PRODUCT_COUNT: &str = "push.product_count";
    /// How many pushes were of a type that we do not use.
    pub const OTHER_COUNT: &str = "push.other_count";
    /// Our order.
    pub const ORDER_ID: &str = "order.id";
    /// The marketplace's trade, as `marketplace#shop#trade_id`.
    pub const TRADE_ID: &str = "trade.id";
    /// The vendor's type of a push.
    pub const PUSH_TYPE: &str = "push.type";
    /// The HTTP status that was answered.
    pub const HTTP_STATUS: &str = "http.status";
    /// Lambda's id of the invocation.
    pub const REQUEST_ID: &str = "request.id";
    /// The code of an error, as the caller got it.
    pub const ERROR_CODE: &str = "error.code";
    /// The whole chain of an error's causes.
    pub const ERROR_CHAIN: &str = "error.chain";
    /// What to do about an error: `retry`, `reconcile`, or `reject`, when a person must act.
    pub const ERROR_DISPOSITION: &str = "error.disposition";
    /// Why a message is in quarantine.
    pub const REASON: &str = "reason";
    /// SQS's id of a message.
    pub const SQS_MESSAGE_ID: &str = "sqs.message_id";
    /// How often SQS handed a message out.
    pub const SQS_RECEIVE_COUNT: &str = "sqs.receive_count";
}

/// One unit of work.
#[derive(Debug, Clone, PartialEq)]
pub struct WideEvent(Map<String, Value>);

impl WideEvent {
    /// An event of this kind, that ended so.
    pub fn new(event: &str, outcome: &str) -> Self {
        Self(Map::new()).with(field::EVENT, event).with(field::OUTCOME, outcome)
    }

    /// With a field.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// With what a port could not do, and what that asks for.
    #[must_use]
    pub fn with_failure(self, error: &PortError) -> Self {
        let disposition = error.disposition().as_str();
        self.with(field::ERROR_CHAIN, error.chain()).with(field::ERROR_DISPOSITION, disposition)
    }

    /// A field's value.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }
}

impl std::fmt::Display for WideEvent {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&serde_json::to_string(&self.0).map_err(|_| std::fmt::Error)?)
    }
}

/// Takes events down.
pub trait Log {
    /// Takes one down. A line that cannot be written is lost: a log is no reason to fail.
    fn write(&self, event: WideEvent);
}

/// Standard output, from where Lambda takes lines to CloudWatch Logs.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stdout;

impl Log for Stdout {
    fn write(&self, event: WideEvent) {
        writeln!(std::io::stdout().lock(), "{event}").ok();
    }
}

/// Sends the warnings of libraries to the same place, as JSON. Their lower levels may quote requests, so
/// no setting turns those on.
pub fn init() {
    tracing_subscriber::fmt().json().flatten_event(true).with_max_level(LevelFilter::WARN).init();
}

/// A log in memory.
#[cfg(feature = "testing")]
#[derive(Debug, Clone, Default)]
pub struct MemoryLog(std::sync::Arc<std::sync::Mutex<Vec<WideEvent>>>);

#[cfg(feature = "testing")]
impl MemoryLog {
    /// What was taken down, in turn.
    pub fn all(&self) -> Vec<WideEvent> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}

#[cfg(feature = "testing")]
impl Log for MemoryLog {
    fn write(&self, event: WideEvent) {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(event);
    }
}
