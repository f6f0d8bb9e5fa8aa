//! The names in log lines: functions write them, the template's alarms and dashboard watch them, operators look for them.

/// What kind of work a line is of.
pub mod event {
    /// A delivery to webhook-intake was answered.
    pub const WEBHOOK_RECEIVED: &str = "webhook.received";
    /// status-writer is through with a message of the queue `events`.
    pub const RECORD_PROCESSED: &str = "record.processed";
    /// What a callback of a gateway says, was taken or not.
    pub const CALLBACK_RECEIVED: &str = "callback.received";
    /// A request of the shop front was answered.
    pub const REQUEST_ANSWERED: &str = "request.answered";
    /// image-sync is through with a message of the queue `images`.
    pub const IMAGE_SYNCED: &str = "image.synced";
    /// A sweep of a shop came to its end, or stopped.
    pub const SWEEP_FINISHED: &str = "sweep.finished";
    /// A call of a marketplace's API was answered or not.
    pub const MARKETPLACE_CALLED: &str = "marketplace.called";
    /// The check found an order that asks for a person.
    pub const ORDER_FOUND: &str = "order.found";
    /// A check of all orders came to its end, or stopped.
    pub const ORDERS_CHECKED: &str = "orders.checked";
    /// The secrets document was read, for a run of sweeps.
    pub const SECRETS_READ: &str = "secrets.read";
    /// A library warned, in its own words.
    pub const LIBRARY_WARNED: &str = "library.warned";
}

/// Every field's name, spelt once.
pub mod field {
    /// What kind of work, a word of [`event`](super::event).
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
    use super::{event, field};

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

    /// Those that no alarm and no widget watches: they are for queries of the log.
    pub const UNWATCHED: [&str; 2] = [UNRECOGNISED_STATUS, AUDIT_FOUND];

    /// The namespace in CloudWatch.
    pub const NAMESPACE: &str = "Sampan";

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

    const BY_OUTCOME: &[&[&str]] = &[&[field::FUNCTION, field::OUTCOME]];
    const BY_FUNCTION: &[&[&str]] = &[&[field::FUNCTION]];

    /// A name costs 0.30 USD a month for each outcome or shop that it was seen with (CloudWatch prices, us-east-1,
    /// 2026-11): these are about 38 in a stack with two shops.
    pub const OF_EVENTS: [OfEvent; 8] = [
        OfEvent {
            name: "webhooks",
            event: event::WEBHOOK_RECEIVED,
            field: None,
            unit: "Count",
            dimensions: BY_OUTCOME,
        },
        OfEvent { name: "records", event: event::RECORD_PROCESSED, field: None, unit: "Count", dimensions: BY_OUTCOME },
        OfEvent {
            name: "callbacks",
            event: event::CALLBACK_RECEIVED,
            field: None,
            unit: "Count",
            dimensions: BY_OUTCOME,
        },
        OfEvent {
            name: "requests",
            event: event::REQUEST_ANSWERED,
            field: None,
            unit: "Count",
            dimensions: BY_OUTCOME,
        },
        OfEvent { name: "images", event: event::IMAGE_SYNCED, field: None, unit: "Count", dimensions: BY_OUTCOME },
        OfEvent {
            name: "event_age",
            event: event::RECORD_PROCESSED,
            field: Some(field::EVENT_AGE_MS),
            unit: "Milliseconds",
            dimensions: BY_FUNCTION,
        },
        OfEvent {
            name: "image_bytes",
            event: event::IMAGE_SYNCED,
            field: Some(field::IMAGE_BYTES),
            unit: "Bytes",
            dimensions: BY_FUNCTION,
        },
        // By itself, of which the worst shop is an alarm's; and by shop.
        OfEvent {
            name: "sweep_lag",
            event: event::SWEEP_FINISHED,
            field: Some(field::SWEEP_LAG_S),
            unit: "Seconds",
            dimensions: &[&[field::FUNCTION], &[field::FUNCTION, field::EVENT_SOURCE]],
        },
    ];
}
