//! The ports: what functions need kept, fetched and told. Each has an AWS implementation and an
//! in-memory twin, and both pass the conformance suite of `testing::conformance`.
//!
//! All verbs that write are idempotent: doing one again with the same arguments leaves the same state.
//! So a caller answers any error by doing it again, and never has to know what became of the first try.

use std::collections::BTreeMap;
use std::future::Future;

use domain::order::KnownOrder;
use domain::{
    AppKey, Link, LogisticsId, Nonce, OrderFacts, OrderId, OrderKnowledge, OrderReport, Outcome, Package, PaymentFacts,
    PaymentKey, Placed, Recorded, ReferenceRates, Refund, TradeFacts, TradeKey, TradeReport, TradeStatuses, UnixMillis,
};
use futures::stream::{self, StreamExt, TryStreamExt};
use protocols::VerifiedEvent;
use protocols::gateway::paypal::CertificateUrl;
use protocols::gateway::{PublicKey, VerifiedPayment};

use crate::error::PortError;
use crate::secrets::Secrets;

/// The facts of orders.
pub trait OrderStore {
    /// Takes reports of one order in, by one conditional write when none of them is stale. `Ok` tells for
    /// each report, in turn, whether it is kept now, was kept already, or a preferred one was.
    /// At most one report a status may be given.
    fn report(
        &self,
        order: &OrderId,
        reports: &[OrderReport],
    ) -> impl Future<Output = Result<Vec<Outcome>, PortError>> + Send;

    /// Takes one link in, by one conditional write.
    fn link(&self, order: &OrderId, link: &Link) -> impl Future<Output = Result<Outcome, PortError>> + Send;

    /// Everything that is kept of one order, by one consistent query; empty for an unknown order.
    fn read(&self, order: &OrderId) -> impl Future<Output = Result<OrderFacts, PortError>> + Send;

    /// The orders that a trade is linked from. A link made a moment ago may be missing.
    fn orders_of(&self, trade: &TradeKey) -> impl Future<Output = Result<Vec<OrderId>, PortError>> + Send;

    /// Orders in no order, up to about `items_max` items read. For operators, not for functions.
    fn list(&self, items_max: usize) -> impl Future<Output = Result<Vec<KnownOrder>, PortError>> + Send;
}

/// What became of a refund.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refunded {
    /// It is kept now, and so are the totals with it.
    Granted,
    /// A refund of that id was kept before: this one.
    Kept(Box<Refund>),
    /// Others were granted meanwhile: it is not the next one any more.
    Moved,
}

/// What the shop itself says of its orders: that one is created, that money is to go back.
pub trait OrderBook {
    /// Creates an order by one conditional write. `Ok(None)` when it did; else the order as it was created before,
    /// which stays as it is.
    fn place(&self, order: &OrderId, placed: &Placed)
    -> impl Future<Output = Result<Option<Placed>, PortError>> + Send;

    /// Keeps a refund and the order's totals through it, in one transaction, if no refund of its id is kept and it is
    /// still the next one by its count.
    fn refund(&self, order: &OrderId, refund: &Refund) -> impl Future<Output = Result<Refunded, PortError>> + Send;
}

/// The ledger: what gateways reported of money that moved, by payment.
pub trait Ledger {
    /// Keeps one movement. One conditional write, whether it is new or a duplicate; a conflict is one more write,
    /// which keeps it beside the entry. Of several times that one movement was reported for, the earliest is kept.
    fn record(&self, payment: &VerifiedPayment) -> impl Future<Output = Result<Recorded, PortError>> + Send;

    /// Everything that is kept of one payment, by one consistent query; empty for an unknown one.
    fn read(&self, payment: &PaymentKey) -> impl Future<Output = Result<PaymentFacts, PortError>> + Send;

    /// The payments of which an entry or a conflict names the order. One that was kept a moment ago may be missing.
    fn payments_of(&self, order: &OrderId) -> impl Future<Output = Result<Vec<PaymentKey>, PortError>> + Send;

    /// Payments in no order, up to about `items_max` items read. For operators, not for functions.
    fn list(
        &self,
        items_max: usize,
    ) -> impl Future<Output = Result<BTreeMap<PaymentKey, PaymentFacts>, PortError>> + Send;
}

/// Where reference rates are published.
pub trait RateSource {
    /// Fetches what is published now. An error also when what is there cannot be read as rates.
    fn rates(&self) -> impl Future<Output = Result<ReferenceRates, PortError>> + Send;
}

/// Where PayPal publishes the certificates that it signs with.
pub trait CertificateSource {
    /// Fetches the key of the certificate at a URL. `Ok(None)` when there is none.
    fn key(&self, url: &CertificateUrl) -> impl Future<Output = Result<Option<PublicKey>, PortError>> + Send;
}

/// The facts of trades.
pub trait TradeStore {
    /// Takes status reports of one trade in, like [`OrderStore::report`].
    fn report(
        &self,
        trade: &TradeKey,
        reports: &[TradeReport],
    ) -> impl Future<Output = Result<Vec<Outcome>, PortError>> + Send;

    /// Takes a report of one consignment in, by one conditional write when neither of its facts is stale.
    /// `Ok` is the better of the outcomes of the two facts.
    fn ship(
        &self,
        trade: &TradeKey,
        package: &LogisticsId,
        report: &Package,
    ) -> impl Future<Output = Result<Outcome, PortError>> + Send;

    /// Everything that is kept of one trade, by one consistent query; empty for an unknown trade.
    fn read(&self, trade: &TradeKey) -> impl Future<Output = Result<TradeFacts, PortError>> + Send;

    /// The statuses of many trades, by one consistent batch read a hundred; unknown trades are absent.
    fn statuses(
        &self,
        trades: &[TradeKey],
    ) -> impl Future<Output = Result<BTreeMap<TradeKey, TradeStatuses>, PortError>> + Send;
}

/// The events queue, where verified events wait to become facts.
pub trait EventQueue {
    /// Queues all events, ten a call. `Ok` means that every one is durable. After an error some may be
    /// queued; sending all again may queue those twice, which changes nothing.
    fn send(&self, events: &[VerifiedEvent]) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// A queue message that cannot become a fact, kept for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// The queue's id of the message.
    pub message_id: String,
    /// The message as it came.
    pub body: String,
    /// Why it is here, without a word of the message.
    pub reason: String,
}

/// Where messages that cannot become facts are kept.
pub trait Quarantine {
    /// Keeps one. `Ok` means that it is durable.
    fn put(&self, message: &Quarantined) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// Where the stack's secrets document is kept.
pub trait SecretsSource {
    /// Reads it afresh. A document that was never set is an error.
    fn read(&self) -> impl Future<Output = Result<Secrets, PortError>> + Send;
}

/// Whether a nonce was free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// It was, or this very request had claimed it before.
    Ours,
    /// Another request used it.
    Used,
}

/// The nonces that clients used.
pub trait Nonces {
    /// Claims a nonce for one request, so that no other request can use it before `forget_at`. Claiming it
    /// again for the same `request_id` is [`Claim::Ours`]: the first answer may have been lost.
    fn claim(
        &self,
        client: &AppKey,
        nonce: &Nonce,
        request_id: &str,
        forget_at: UnixMillis,
    ) -> impl Future<Output = Result<Claim, PortError>> + Send;
}

/// Payments of one order that are read side by side.
const PAYMENTS_AT_ONCE_MAX: usize = 8;

/// Everything that [`domain::view()`] asks for: one query of the order, one of the index of payments, one batch read
/// when the order has links, and one query a payment. `None` for an order of which nothing is known.
pub async fn read_order(
    orders: &impl OrderStore,
    trades: &impl TradeStore,
    ledger: &impl Ledger,
    id: &OrderId,
) -> Result<Option<OrderKnowledge>, PortError> {
    let (order, payments) = futures::try_join!(orders.read(id), ledger.payments_of(id))?;
    if order.is_empty() && payments.is_empty() {
        return Ok(None);
    }
    let linked: Vec<TradeKey> = order.links().map(|link| link.trade.clone()).collect();
    let statuses = async { if linked.is_empty() { Ok(BTreeMap::new()) } else { trades.statuses(&linked).await } };
    let reads = stream::iter(&payments).map(|payment| ledger.read(payment));
    let (trades, payments) =
        futures::try_join!(statuses, reads.buffered(PAYMENTS_AT_ONCE_MAX).try_collect::<Vec<PaymentFacts>>())?;
    Ok(Some(OrderKnowledge { order, trades, payments }))
}
