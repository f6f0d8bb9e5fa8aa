//! The log: one wide event a unit of work, as one line of flat JSON with dotted names.
//!
//! Invariant (law 7): a field holds a name, a number or a word of ours; never a body, a secret or a person. The one exception
//! is `library.warned`, which has the words of a library (`warnings`).

use std::io::Write;

use adapters::PortError;
use adapters::clock::{Clock, SystemClock};
use adapters::web::{CallObserver, Called};
use domain::UnixMillis;
use serde_json::{Map, Value, json};

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
    /// The marketplace's product, as `marketplace#shop#product_id`.
    pub const PRODUCT_ID: &str = "product.id";
    /// A picture of a product, as `marketplace#shop#product_id#position`.
    pub const IMAGE_KEY: &str = "image.key";
    /// The name of a picture's bytes.
    pub const IMAGE_DIGEST: &str = "image.digest";
    /// How long a picture is that was fetched, in bytes.
    pub const IMAGE_BYTES: &str = "image.bytes";
    /// Requests that a picture took, redirects and further tries included.
    pub const IMAGE_REQUESTS: &str = "image.requests";
    /// Pictures of products that were asked for.
    pub const IMAGES_REQUESTED: &str = "images.requested";
    /// Pictures that products no longer have, marked as removed.
    pub const IMAGES_REMOVED: &str = "images.removed";
    /// Addresses in products that are of nothing that is fetched, such as pictures within a page.
    pub const IMAGES_ELSEWHERE: &str = "images.elsewhere";
    /// Pictures beyond the most that are kept of a product.
    pub const IMAGES_BEYOND: &str = "images.beyond";
    /// Objects that were put into the bucket for a picture.
    pub const IMAGE_PUTS: &str = "image.puts";
    /// Thumbnails among them.
    pub const IMAGE_THUMBNAILS: &str = "image.thumbnails";
    /// The vendor's type of a push.
    pub const PUSH_TYPE: &str = "push.type";
    /// A payment, as `gateway#payment_id`.
    pub const PAYMENT_KEY: &str = "payment.key";
    /// What a gateway says happened to money.
    pub const PAYMENT_KIND: &str = "payment.kind";
    /// The gateway's name of the movement.
    pub const PAYMENT_TRANSACTION: &str = "payment.transaction";
    /// A callback's type that moves no money.
    pub const CALLBACK_TYPE: &str = "callback.type";
    /// The shop front's name of a refund.
    pub const REFUND_ID: &str = "refund.id";
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
    /// The sections of the secrets document with entries that cannot be used.
    pub const SECRETS: &str = "secrets.sections";
    /// Which library warned, by its module. What it says stands below that name: `library.message`.
    pub const LIBRARY: &str = "library";
    /// Why a message is in quarantine.
    pub const REASON: &str = "reason";
    /// What kind of sweep.
    pub const SWEEP_KIND: &str = "sweep.kind";
    /// Calls for pages.
    pub const SWEEP_LIST_CALLS: &str = "sweep.list_calls";
    /// Calls for details, of which one may be for many.
    pub const SWEEP_DETAIL_CALLS: &str = "sweep.detail_calls";
    /// Rows or messages that were read.
    pub const SWEEP_LISTED: &str = "sweep.listed";
    /// Events that were queued.
    pub const SWEEP_CHANGED: &str = "sweep.changed";
    /// What could not be read, and is in quarantine.
    pub const SWEEP_MALFORMED: &str = "sweep.malformed";
    /// Where the sweep stands, in milliseconds since the epoch.
    pub const WATERMARK_MS: &str = "watermark.after_ms";
    /// What the marketplace asked of us.
    pub const FLOW: &str = "market.flow";
    /// Which call of a marketplace's API.
    pub const CALL: &str = "market.call";
    /// Which try of a call.
    pub const ATTEMPT: &str = "attempt";
    /// SQS's id of a message.
    pub const SQS_MESSAGE_ID: &str = "sqs.message_id";
    /// How long ago the sender says that it happened, when it became a fact, in milliseconds; of what was sent, not of what
    /// a sweep read.
    pub const EVENT_AGE_MS: &str = "event.age_ms";
    /// How far a sweep is behind, in seconds: what was modified since is not read yet.
    pub const SWEEP_LAG_S: &str = "sweep.lag_s";
    /// Since when an order asks for a person (RFC 3339).
    pub const SINCE: &str = "since";
    /// How many orders a check looked at.
    pub const ORDERS_CHECKED: &str = "orders.checked";
    /// Which function.
    pub const FUNCTION: &str = "function";
    /// How often SQS handed a message out.
    pub const SQS_RECEIVE_COUNT: &str = "sqs.receive_count";
}

/// What CloudWatch is told in numbers: counters, most of which ask for a person, and what it makes of every event of a kind.
pub mod metric {
    /// A callback contradicts the ledger.
    pub const PAYMENT_CONFLICT: &str = "payment_conflict";
    /// Money was captured, and the gateway names no order of ours.
    pub const PAYMENT_WITHOUT_ORDER: &str = "payment_without_order";
    /// What is kept of an order is damaged.
    pub const ORDER_DAMAGED: &str = "order_damaged";
    /// A marketplace answered for another account than the one that asked.
    pub const SWEEP_FOREIGN_ANSWER: &str = "sweep_foreign_answer";
    /// A shop has to authorise the app anew.
    pub const SWEEP_REAUTHORISE: &str = "sweep_reauthorise";
    /// A sweep stopped for another reason than time, silence or another run.
    pub const SWEEP_FAILED: &str = "sweep_failed";
    /// Statuses in words that we do not know.
    pub const UNRECOGNISED_STATUS: &str = "unrecognised_status";
    /// Pictures that will never be kept, and are in quarantine.
    pub const IMAGE_REFUSED: &str = "image_refused";
    /// Trades that an audit found to differ from ours.
    pub const AUDIT_FOUND: &str = "audit_found";
    /// Requests that are refused although their signature is good.
    pub const SIGNED_REFUSED: &str = "signed_refused";
    /// Nightly audits of a shop that did not come to their end.
    pub const AUDIT_UNFINISHED: &str = "audit_unfinished";
    /// Entries of the secrets document that let nobody in, because they cannot be read.
    pub const SECRETS_UNUSABLE: &str = "secrets_unusable";
    /// Orders that are paid for long, and of which nothing was bought.
    pub const PAID_TOO_LONG: &str = "paid_too_long";
    /// Orders that money was captured for, and that nobody created.
    pub const PAID_NOT_CREATED: &str = "paid_not_created";
    /// A check of all orders that did not come to its end.
    pub const CHECK_UNFINISHED: &str = "check_unfinished";

    /// All of these. Each counts, and has the function for its one dimension.
    pub const COUNTERS: [&str; 15] = [
        PAYMENT_CONFLICT,
        PAYMENT_WITHOUT_ORDER,
        ORDER_DAMAGED,
        SWEEP_FOREIGN_ANSWER,
        SWEEP_REAUTHORISE,
        SWEEP_FAILED,
        UNRECOGNISED_STATUS,
        IMAGE_REFUSED,
        AUDIT_FOUND,
        SIGNED_REFUSED,
        AUDIT_UNFINISHED,
        SECRETS_UNUSABLE,
        PAID_TOO_LONG,
        PAID_NOT_CREATED,
        CHECK_UNFINISHED,
    ];

    /// What CloudWatch makes of every event of a kind, from the fields that it has.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct OfEvent {
        /// The metric's name.
        pub name: &'static str,
        /// The kind of event.
        pub event: &'static str,
        /// The field that is measured; none counts one an event. An event without the field has no such metric.
        pub field: Option<&'static str>,
        /// The unit, in CloudWatch's word. Source: CloudWatch API reference, MetricDatum.
        pub unit: &'static str,
        /// Sets of fields that it is kept by.
        pub dimensions: &'static [&'static [&'static str]],
    }

    const BY_OUTCOME: &[&[&str]] = &[&[super::field::FUNCTION, super::field::OUTCOME]];
    const BY_FUNCTION: &[&[&str]] = &[&[super::field::FUNCTION]];

    /// A name costs 0.30 USD a month for each outcome or shop that it was seen with (CloudWatch prices, us-east-1,
    /// 2026-11): these are about 38 in a stack with two shops.
    pub const OF_EVENTS: [OfEvent; 8] = [
        OfEvent { name: "webhooks", event: "webhook.received", field: None, unit: "Count", dimensions: BY_OUTCOME },
        OfEvent { name: "records", event: "record.processed", field: None, unit: "Count", dimensions: BY_OUTCOME },
        OfEvent { name: "callbacks", event: "callback.received", field: None, unit: "Count", dimensions: BY_OUTCOME },
        OfEvent { name: "requests", event: "request.answered", field: None, unit: "Count", dimensions: BY_OUTCOME },
        OfEvent { name: "images", event: "image.synced", field: None, unit: "Count", dimensions: BY_OUTCOME },
        OfEvent {
            name: "event_age",
            event: "record.processed",
            field: Some(super::field::EVENT_AGE_MS),
            unit: "Milliseconds",
            dimensions: BY_FUNCTION,
        },
        OfEvent {
            name: "image_bytes",
            event: "image.synced",
            field: Some(super::field::IMAGE_BYTES),
            unit: "Bytes",
            dimensions: BY_FUNCTION,
        },
        // By itself, of which the worst shop is an alarm's; and by shop.
        OfEvent {
            name: "sweep_lag",
            event: "sweep.finished",
            field: Some(super::field::SWEEP_LAG_S),
            unit: "Seconds",
            dimensions: &[&[super::field::FUNCTION], &[super::field::FUNCTION, super::field::EVENT_SOURCE]],
        },
    ];
}

/// The namespace of our metrics in CloudWatch.
const METRICS_NAMESPACE: &str = "Sampan";

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
    json!({"Namespace": METRICS_NAMESPACE, "Dimensions": dimensions, "Metrics": [{"Name": name, "Unit": unit}]})
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
        let event = WideEvent::new("marketplace.called", call.outcome)
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
        let plain = WideEvent::new("marketplace.called", "answered");
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
        let unread = line(WideEvent::new("record.processed", "quarantined"));
        let records = json!({"Namespace": "Sampan", "Dimensions": [["function", "outcome"]],
                             "Metrics": [{"Name": "records", "Unit": "Count"}]});
        assert_eq!((unread["records"].as_u64(), &unread["_aws"]["CloudWatchMetrics"]), (Some(1), &json!([records])));
        let written = line(WideEvent::new("record.processed", "applied").with(field::EVENT_AGE_MS, 250));
        assert_eq!(written["event_age"], 250);
        let age = json!({"Namespace": "Sampan", "Dimensions": [["function"]],
                         "Metrics": [{"Name": "event_age", "Unit": "Milliseconds"}]});
        assert_eq!(written["_aws"]["CloudWatchMetrics"], json!([records, age]));
    }
}
