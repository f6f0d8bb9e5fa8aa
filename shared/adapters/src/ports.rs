//! The ports: what functions need kept, fetched and told. Each has an AWS implementation and an
//! in-memory twin, and both pass the conformance suite of `testing::conformance`.
//!
//! All verbs that write are idempotent: doing one again with the same arguments leaves the same state.
//! So a caller answers any error by doing it again, and never has to know what became of the first try.

use std::collections::BTreeMap;
use std::future::Future;

use domain::order::KnownOrder;
use domain::{
    AppKey, Link, LogisticsId, Nonce, OrderFacts, OrderId, OrderReport, Outcome, Package, TradeFacts, TradeKey,
    TradeReport, TradeStatuses, UnixMillis,
};
use protocols::VerifiedEvent;

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

/// An order's facts with the statuses of its trades: what [`domain::view()`] asks for.
/// One query and, when the order has links, one batch read. `None` for an unknown order.
pub async fn read_order(
    orders: &impl OrderStore,
    trades: &impl TradeStore,
    order: &OrderId,
) -> Result<Option<(OrderFacts, BTreeMap<TradeKey, TradeStatuses>)>, PortError> {
    let facts = orders.read(order).await?;
    if facts.is_empty() {
        return Ok(None);
    }
    let linked: Vec<TradeKey> = facts.links().map(|link| link.trade.clone()).collect();
    let statuses = if linked.is_empty() { BTreeMap::new() } else { trades.statuses(&linked).await? };
    Ok(Some((facts, statuses)))
}
