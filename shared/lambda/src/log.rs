//! The log: one wide event a unit of work, as one line of flat JSON with dotted names. The names are `protocols::log`'s.
//!
//! Invariant (law 7): a field holds a name, a number or a word of ours; never a body, a secret or a person. The one exception
//! is `library.warned`, which has the words of a library (`warnings`).

use std::io::Write;

use adapters::PortError;
use adapters::clock::{Clock, SystemClock};
use adapters::web::{CallObserver, Called};
use domain::UnixMillis;
pub use protocols::log::{event, field, metric};
use serde_json::{Map, Value, json};

/// One unit of work.
#[derive(Debug, Clone, PartialEq)]
pub struct WideEvent {
    fields: Map<String, Value>,
    metrics: Vec<&'static str>,
}

impl WideEvent {
    /// An event of this kind, that ended so.
    pub fn new(event: &str, outcome: &str) -> Self {
        let empty = Self { fields: Map::new(), metrics: Vec::new() };
        empty.with(field::EVENT, event).with(field::OUTCOME, outcome)
    }

    /// With a field.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(name.to_owned(), value.into());
        self
    }

    /// With a metric that counts one.
    #[must_use]
    pub fn with_metric(self, name: &'static str) -> Self {
        self.with_count(name, 1)
    }

    /// With a metric that counts so many.
    #[must_use]
    pub fn with_count(mut self, name: &'static str, count: u64) -> Self {
        self.metrics.push(name);
        self.with(name, count)
    }

    /// With what a port could not do, and what that asks for.
    #[must_use]
    pub fn with_failure(self, error: &PortError) -> Self {
        let disposition = error.disposition().as_str();
        self.with(field::ERROR_CHAIN, error.chain()).with(field::ERROR_DISPOSITION, disposition)
    }

    /// A field's value.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.fields.get(name)
    }

    /// The names of the metrics that it counts.
    pub fn metrics(&self) -> &[&'static str] {
        &self.metrics
    }

    /// With what CloudWatch takes metrics from, when there are any. Source: CloudWatch user guide, "Embedded metric
    /// format specification".
    #[must_use]
    pub fn with_embedded_metrics(self, function: &str, now: UnixMillis) -> Self {
        let counters = self.metrics.iter().map(|name| directive(&[&[field::FUNCTION]], name, "Count"));
        let mut directives: Vec<Value> = counters.collect();
        let mut event = self.clone();
        for of_event in
            metric::OF_EVENTS.iter().filter(|of_event| self.get(field::EVENT) == Some(&of_event.event.into()))
        {
            let measured = of_event.field.map_or(Some(Value::from(1)), |name| self.get(name).cloned());
            if let Some(measured) = measured.filter(Value::is_number) {
                directives.push(directive(of_event.dimensions, of_event.name, of_event.unit));
                event = event.with(of_event.name, measured);
            }
        }
        if directives.is_empty() {
            return self;
        }
        let embedded = json!({"Timestamp": now.get(), "CloudWatchMetrics": directives});
        event.with(field::FUNCTION, function).with("_aws", embedded)
    }
}

/// One metric, as the format names it.
fn directive(dimensions: &[&[&str]], name: &str, unit: &str) -> Value {
    json!({"Namespace": metric::NAMESPACE, "Dimensions": dimensions, "Metrics": [{"Name": name, "Unit": unit}]})
}

impl std::fmt::Display for WideEvent {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&serde_json::to_string(&self.fields).map_err(|_| std::fmt::Error)?)
    }
}

/// Takes events down.
pub trait Log {
    /// Takes one down. A line that cannot be written is lost: a log is no reason to fail.
    fn write(&self, event: WideEvent);
}

/// Standard output, from where Lambda takes lines to CloudWatch Logs.
#[derive(Debug, Clone, Default)]
pub struct Stdout {
    function: String,
}

impl Stdout {
    /// The output of the function of that name, which its metrics carry.
    pub const fn of(function: String) -> Self {
        Self { function }
    }
}

impl Log for Stdout {
    fn write(&self, event: WideEvent) {
        let event = event.with_embedded_metrics(&self.function, SystemClock.now());
        writeln!(std::io::stdout().lock(), "{event}").ok();
    }
}

/// Takes calls of marketplaces down: which, for which shop, how long, how it ended. Never what was asked or answered.
#[derive(Debug, Clone)]
pub struct CallLog<L>(pub L);

impl<L: Log> CallObserver for CallLog<L> {
    fn called(&self, call: &Called<'_>) {
        let event = WideEvent::new(event::MARKETPLACE_CALLED, call.outcome)
            .with(field::CALL, call.call)
            .with(field::EVENT_SOURCE, format!("{}/{}", call.marketplace.as_str(), call.shop))
            .with(field::ATTEMPT, call.attempt)
            .with(field::DURATION_MS, call.duration_ms);
        self.0.write(event);
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_embedded_with_the_function_s_name_and_an_event_without_one_is_plain() {
        let now = UnixMillis::new(1_795_248_000_000).unwrap();
        let plain = WideEvent::new(event::MARKETPLACE_CALLED, "answered");
        assert_eq!(plain.clone().with_embedded_metrics("f", now), plain);
        let counted = plain.with_metric(metric::PAYMENT_CONFLICT).with_embedded_metrics("sampan-payment-callback", now);
        let line: Value = serde_json::from_str(&counted.to_string()).unwrap();
        assert_eq!(line["payment_conflict"], 1);
        assert_eq!(line["function"], "sampan-payment-callback");
        assert_eq!(line["_aws"]["Timestamp"], 1_795_248_000_000_i64);
        let directive = json!({"Namespace": "Sampan", "Dimensions": [["function"]],
                               "Metrics": [{"Name": "payment_conflict", "Unit": "Count"}]});
        assert_eq!(line["_aws"]["CloudWatchMetrics"], json!([directive]));
    }

    #[test]
    fn an_event_of_a_kind_is_measured_by_the_fields_that_it_has() {
        let now = UnixMillis::new(1_795_248_000_000).unwrap();
        let line = |event: WideEvent| -> Value {
            serde_json::from_str(&event.with_embedded_metrics("f", now).to_string()).unwrap()
        };
        let unread = line(WideEvent::new(event::RECORD_PROCESSED, "quarantined"));
        let records = json!({"Namespace": "Sampan", "Dimensions": [["function", "outcome"]],
                             "Metrics": [{"Name": "records", "Unit": "Count"}]});
        assert_eq!((unread["records"].as_u64(), &unread["_aws"]["CloudWatchMetrics"]), (Some(1), &json!([records])));
        let written = line(WideEvent::new(event::RECORD_PROCESSED, "applied").with(field::EVENT_AGE_MS, 250));
        assert_eq!(written["event_age"], 250);
        let age = json!({"Namespace": "Sampan", "Dimensions": [["function"]],
                         "Metrics": [{"Name": "event_age", "Unit": "Milliseconds"}]});
        assert_eq!(written["_aws"]["CloudWatchMetrics"], json!([records, age]));
    }
}
