//! A delivery: one HTTP request that claims to come from a marketplace or a source.
//!
//! Invariant (law 5): only [`Delivery::verify`] makes a `Delivery<Verified>`, only that can be read, and
//! only its reading makes a [`VerifiedEvent`], which is all that the queue takes. The one other way to make one is
//! an answer of a marketplace that belongs to our own shop ([`crate::marketplace::Owned`]).
//!
//! ```compile_fail
//! use protocols::{Delivery, Unverified};
//! fn read(delivery: Delivery<Unverified>, now: domain::UnixMillis) {
//!     delivery.read(now).ok(); // no such method: it is not verified
//! }
//! ```

use domain::{Event, EventId, MessageId, OrderChange, OrderReport, Origin, ShopId, SourceName, UnixMillis};
use secrecy::SecretString;
use sha2::{Digest, Sha256};

use crate::ali1688::{push, signature};
use crate::source::{self, SourceEvent};
use crate::{Refusal, flat_hmac, standard_webhooks};

/// How far ahead of our clock an event's time may be, in milliseconds: a day, for clocks set to the
/// wrong zone. Latest wins, so a time of next year would hide every true report until then.
pub const AHEAD_MS_MAX: i64 = 24 * 60 * 60 * 1_000;

/// The earliest time that an event may have: 2000-01-01T00:00:00Z, before any shop that could send one. A time
/// in seconds that is read as milliseconds lies before it.
pub const EARLIEST: UnixMillis = match UnixMillis::new(946_684_800_000) {
    Ok(earliest) => earliest,
    Err(_) => UnixMillis::EPOCH,
};

/// Who it claims to come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Channel {
    /// 1688's push to one of our shops.
    Ali1688(ShopId),
    /// A source's event.
    Source(SourceName),
}

impl Channel {
    /// The sender in logs: `1688/shop` or the source's name.
    pub fn sender(&self) -> String {
        match self {
            Self::Ali1688(shop) => format!("1688/{shop}"),
            Self::Source(source) => source.to_string(),
        }
    }
}

/// The secrets that are good now for a channel, and the scheme that they belong to.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// The app secrets of a 1688 shop.
    Ali1688(Vec<SecretString>),
    /// A source's `whsec_…` secrets.
    StandardWebhooks(Vec<SecretString>),
    /// A source's flat secrets.
    FlatHmac(Vec<SecretString>),
}

/// Nothing about it is known to be true.
#[derive(Debug)]
pub struct Unverified {
    query: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// A live secret signed it.
#[derive(Debug)]
pub struct Verified(Signed);

/// What was signed, as far as reading needs it.
#[derive(Debug)]
enum Signed {
    Push(String),
    Event {
        id: EventId,
        event: SourceEvent,
    },
    /// A known sender says what cannot be read, for this reason.
    Unread(Refusal),
}

impl Signed {
    fn event(id: EventId, read: Result<SourceEvent, Refusal>) -> Self {
        read.map_or_else(Self::Unread, |event| Self::Event { id, event })
    }
}

/// A delivery from a channel.
#[derive(Debug)]
pub struct Delivery<State> {
    channel: Channel,
    state: State,
}

/// An event that somebody whom we know signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedEvent(Event);

impl VerifiedEvent {
    /// An event that a marketplace answered when we asked for our own shop.
    pub(crate) fn answered(event: Event, now: UnixMillis) -> Result<Self, Refusal> {
        check_time(&event, now)?;
        Ok(Self(event))
    }

    /// The event.
    pub const fn event(&self) -> &Event {
        &self.0
    }
}

/// What a verified delivery holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Events for the queue; at least one.
    Events(Vec<VerifiedEvent>),
    /// A message about products that says nothing of them that we use: acknowledged and counted.
    Product {
        /// The vendor's type.
        kind: String,
        /// The vendor's id.
        message_id: MessageId,
    },
    /// A message of another type: acknowledged, counted and logged.
    Other {
        /// The sender's type.
        kind: String,
        /// The sender's id.
        message_id: EventId,
    },
}

impl Delivery<Unverified> {
    /// A request as it came: raw query, headers (names in lower case), raw body.
    pub fn new(channel: Channel, query: String, headers: Vec<(String, String)>, body: Vec<u8>) -> Self {
        Self { channel, state: Unverified { query, headers, body } }
    }

    /// Checks the signature over the raw bytes, and the time where the scheme has one.
    /// Credentials of another scheme than the channel's are a refusal: failure is closed.
    pub fn verify(&self, credentials: &Credentials, now: UnixMillis) -> Result<Delivery<Verified>, Refusal> {
        let signed = match (&self.channel, credentials) {
            (Channel::Ali1688(_), Credentials::Ali1688(secrets)) => self.state.verify_push(secrets)?,
            (Channel::Source(_), Credentials::StandardWebhooks(secrets)) => {
                self.state.verify_standard_webhook(secrets, now)?
            }
            (Channel::Source(_), Credentials::FlatHmac(secrets)) => self.state.verify_flat(secrets, now)?,
            (Channel::Ali1688(_), Credentials::StandardWebhooks(_) | Credentials::FlatHmac(_))
            | (Channel::Source(_), Credentials::Ali1688(_)) => return Err(Refusal::SignatureInvalid),
        };
        Ok(Delivery { channel: self.channel.clone(), state: Verified(signed) })
    }
}

impl Unverified {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A 1688 push: form fields and query parameters are signed together.
    fn verify_push(&self, secrets: &[SecretString]) -> Result<Signed, Refusal> {
        let fields: Vec<(String, String)> = form_urlencoded::parse(self.query.as_bytes())
            .chain(form_urlencoded::parse(&self.body))
            .map(|(key, value)| (key.into_owned(), value.into_owned()))
            .collect();
        let signature = only(&fields, signature::PARAMETER).ok_or(Refusal::SignatureMissing)?;
        if !signature::is_signed(secrets, "", &fields, signature) {
            return Err(Refusal::SignatureInvalid);
        }
        let none = || Signed::Unread(Refusal::Malformed("the form has not one field named message"));
        Ok(only(&fields, "message").map_or_else(none, |message| Signed::Push(message.to_owned())))
    }

    fn verify_standard_webhook(&self, secrets: &[SecretString], now: UnixMillis) -> Result<Signed, Refusal> {
        let headers = standard_webhooks::Headers {
            id: self.header("webhook-id"),
            timestamp: self.header("webhook-timestamp"),
            signature: self.header("webhook-signature"),
        };
        let id = standard_webhooks::verify(headers, &self.body, secrets, now)?;
        Ok(Signed::event(id, source::read(&self.body)))
    }

    /// The flat scheme has no event id: the digest of the signed bytes is one, and a resend has the same.
    fn verify_flat(&self, secrets: &[SecretString], now: UnixMillis) -> Result<Signed, Refusal> {
        flat_hmac::verify(self.header("x-signature"), &self.body, secrets)?;
        let event = match source::read(&self.body) {
            Ok(event) => event,
            Err(refusal) => return Ok(Signed::Unread(refusal)),
        };
        let at = event.at().ok_or(Refusal::TimestampInvalid)?;
        if !standard_webhooks::is_within_tolerance(at.seconds(), now) {
            return Err(Refusal::TimestampInvalid);
        }
        let id = EventId::new(hex::encode(Sha256::digest(&self.body)))
            .map_err(|_| Refusal::Malformed("the body has no digest"))?;
        Ok(Signed::Event { id, event })
    }
}

/// The value of a field that is there exactly once.
fn only<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let mut values = fields.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
    values.next().filter(|_| values.next().is_none())
}

impl Delivery<Verified> {
    /// Reads what was signed.
    pub fn read(self, now: UnixMillis) -> Result<Content, Refusal> {
        let content = match (self.state.0, self.channel) {
            (Signed::Push(message), Channel::Ali1688(shop)) => read_push(&message, &shop)?,
            (Signed::Event { id, event }, Channel::Source(source)) => read_event(id, event, source),
            (Signed::Unread(refusal), _) => return Err(refusal),
            (Signed::Push(_), Channel::Source(_)) | (Signed::Event { .. }, Channel::Ali1688(_)) => {
                return Err(Refusal::SignatureInvalid);
            }
        };
        match &content {
            Content::Events(events) => events.iter().try_for_each(|event| check_time(event.event(), now))?,
            Content::Product { .. } | Content::Other { .. } => {}
        }
        Ok(content)
    }
}

/// Whether an event's time can be. The latest report of a trade and the earliest of an order are kept, so a
/// time far off would hide every true report for ever.
fn check_time(event: &Event, now: UnixMillis) -> Result<(), Refusal> {
    match time_of(event) {
        Some(at) if at > now.saturating_add_ms(AHEAD_MS_MAX) => {
            Err(Refusal::Impossible("the event's time is more than a day ahead"))
        }
        Some(at) if at < EARLIEST => {
            Err(Refusal::Impossible("the event's time is before 2000; is it in seconds instead of milliseconds?"))
        }
        Some(_) | None => Ok(()),
    }
}

fn read_push(message: &str, shop: &ShopId) -> Result<Content, Refusal> {
    let push = push::read(message, shop)?;
    if push.is_product() {
        return Ok(Content::Product { kind: push.kind, message_id: push.message_id });
    }
    if push.events.is_empty() {
        return Ok(Content::Other { kind: push.kind, message_id: push.message_id.into() });
    }
    Ok(Content::Events(push.events.into_iter().map(VerifiedEvent).collect()))
}

fn read_event(id: EventId, event: SourceEvent, source: SourceName) -> Content {
    match event {
        SourceEvent::Other { kind, .. } => Content::Other { kind, message_id: id },
        SourceEvent::OrderStatus(event) => {
            let by = Origin { source, event_id: id };
            let report = OrderReport { status: event.status, at: event.at, by };
            Content::Events(vec![VerifiedEvent(Event::Order(OrderChange { order: event.order, report }))])
        }
    }
}

fn time_of(event: &Event) -> Option<UnixMillis> {
    match event {
        Event::Order(change) => Some(change.report.at),
        Event::Trade(change) => change.fact.at(),
        Event::Product(change) => Some(change.at),
    }
}
