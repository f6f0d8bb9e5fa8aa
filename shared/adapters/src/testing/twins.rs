//! The ports in memory. Cloning a twin gives another handle to the same state, as a second client would be.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::fact::compare;
use domain::order::KnownOrder;
use domain::{
    AppKey, Event, Link, LogisticsId, Nonce, OrderFacts, OrderId, OrderReport, Outcome, Package, TradeFacts, TradeKey,
    TradeReport, TradeStatuses, UnixMillis,
};
use protocols::VerifiedEvent;

use crate::clock::Clock;
use crate::error::{Cause, Certainty, PortError};
use crate::ports::{Claim, EventQueue, Nonces, OrderStore, Quarantine, Quarantined, SecretsSource, TradeStore};
use crate::secrets::Secrets;

/// State that several handles share.
#[derive(Debug, Default)]
struct Shared<T>(Arc<Mutex<T>>);

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// Orders in memory.
#[derive(Debug, Clone, Default)]
pub struct MemoryOrders(Shared<BTreeMap<OrderId, OrderFacts>>);

impl MemoryOrders {
    /// Everything that is kept.
    pub fn all(&self) -> BTreeMap<OrderId, OrderFacts> {
        self.0.lock().clone()
    }
}

impl OrderStore for MemoryOrders {
    async fn report(&self, order: &OrderId, reports: &[OrderReport]) -> Result<Vec<Outcome>, PortError> {
        let mut orders = self.0.lock();
        let facts = orders.entry(order.clone()).or_default();
        Ok(reports.iter().map(|report| facts.report(report.clone())).collect())
    }

    async fn link(&self, order: &OrderId, link: &Link) -> Result<Outcome, PortError> {
        Ok(self.0.lock().entry(order.clone()).or_default().link(link.clone()))
    }

    async fn read(&self, order: &OrderId) -> Result<OrderFacts, PortError> {
        Ok(self.0.lock().get(order).cloned().unwrap_or_default())
    }

    async fn orders_of(&self, trade: &TradeKey) -> Result<Vec<OrderId>, PortError> {
        let orders = self.0.lock();
        let linked = orders.iter().filter(|(_, facts)| facts.links().any(|link| link.trade == *trade));
        Ok(linked.map(|(id, _)| id.clone()).collect())
    }

    async fn list(&self, items_max: usize) -> Result<Vec<KnownOrder>, PortError> {
        let orders = self.0.lock();
        let known = orders.iter().map(|(id, facts)| KnownOrder { id: id.clone(), facts: facts.clone() });
        Ok(known.take(items_max).collect())
    }
}

/// Trades in memory.
#[derive(Debug, Clone, Default)]
pub struct MemoryTrades(Shared<BTreeMap<TradeKey, TradeFacts>>);

impl MemoryTrades {
    /// Everything that is kept.
    pub fn all(&self) -> BTreeMap<TradeKey, TradeFacts> {
        self.0.lock().clone()
    }
}

impl TradeStore for MemoryTrades {
    async fn report(&self, trade: &TradeKey, reports: &[TradeReport]) -> Result<Vec<Outcome>, PortError> {
        let mut trades = self.0.lock();
        let facts = trades.entry(trade.clone()).or_default();
        Ok(reports.iter().map(|report| facts.statuses.report(report.clone())).collect())
    }

    async fn ship(&self, trade: &TradeKey, package: &LogisticsId, report: &Package) -> Result<Outcome, PortError> {
        let mut trades = self.0.lock();
        let kept = trades.entry(trade.clone()).or_default().packages.entry(package.clone()).or_default();
        let waybill = report.waybill.as_ref().map(|waybill| compare(kept.waybill.as_ref(), waybill));
        let trace = report.trace.as_ref().map(|trace| compare(kept.trace.as_ref(), trace));
        kept.join(report.clone());
        waybill.into_iter().chain(trace).min().ok_or(PortError::unreadable("trades.ship"))
    }

    async fn read(&self, trade: &TradeKey) -> Result<TradeFacts, PortError> {
        Ok(self.0.lock().get(trade).cloned().unwrap_or_default())
    }

    async fn statuses(&self, wanted: &[TradeKey]) -> Result<BTreeMap<TradeKey, TradeStatuses>, PortError> {
        let trades = self.0.lock();
        let known = |key: &TradeKey| {
            let statuses = trades.get(key).map(|facts| facts.statuses.clone())?;
            (!statuses.is_empty()).then_some((key.clone(), statuses))
        };
        Ok(wanted.iter().filter_map(known).collect())
    }
}

/// The events queue in memory.
#[derive(Debug, Clone, Default)]
pub struct MemoryEvents(Shared<Vec<Event>>);

impl MemoryEvents {
    /// What was queued, in turn.
    pub fn all(&self) -> Vec<Event> {
        self.0.lock().clone()
    }
}

impl EventQueue for MemoryEvents {
    async fn send(&self, events: &[VerifiedEvent]) -> Result<(), PortError> {
        self.0.lock().extend(events.iter().map(|event| event.event().clone()));
        Ok(())
    }
}

/// The quarantine in memory.
#[derive(Debug, Clone, Default)]
pub struct MemoryQuarantine(Shared<Vec<Quarantined>>);

impl MemoryQuarantine {
    /// What is kept, in turn.
    pub fn all(&self) -> Vec<Quarantined> {
        self.0.lock().clone()
    }
}

impl Quarantine for MemoryQuarantine {
    async fn put(&self, message: &Quarantined) -> Result<(), PortError> {
        self.0.lock().push(message.clone());
        Ok(())
    }
}

/// A secrets document in memory. Counts its readings.
#[derive(Debug, Clone, Default)]
pub struct MemorySecrets(Shared<(Option<Secrets>, usize)>);

impl MemorySecrets {
    /// Holds this document.
    pub fn new(secrets: Secrets) -> Self {
        let held = Self::default();
        held.set(Some(secrets));
        held
    }

    /// Holds another document from now on, or none.
    pub fn set(&self, secrets: Option<Secrets>) {
        self.0.lock().0 = secrets;
    }

    /// How often it was read.
    pub fn readings(&self) -> usize {
        self.0.lock().1
    }
}

impl SecretsSource for MemorySecrets {
    async fn read(&self) -> Result<Secrets, PortError> {
        let mut held = self.0.lock();
        held.1 += 1;
        held.0.clone().ok_or(PortError::new("secrets.read", Cause::Rejected, Certainty::Determinate))
    }
}

/// Nonces in memory.
#[derive(Debug, Clone, Default)]
pub struct MemoryNonces(Shared<HashMap<(AppKey, Nonce), String>>);

impl Nonces for MemoryNonces {
    async fn claim(
        &self,
        client: &AppKey,
        nonce: &Nonce,
        request_id: &str,
        _forget_at: UnixMillis,
    ) -> Result<Claim, PortError> {
        let mut claimed = self.0.lock();
        let by = claimed.entry((client.clone(), nonce.clone())).or_insert_with(|| request_id.to_owned());
        Ok(if by == request_id { Claim::Ours } else { Claim::Used })
    }
}

/// A clock that stands still until it is moved.
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    /// A clock that shows this time.
    pub fn at(now: UnixMillis) -> Self {
        Self(Arc::new(AtomicI64::new(now.get())))
    }

    /// Moves it on.
    pub fn advance_ms(&self, millis: i64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> UnixMillis {
        UnixMillis::new(self.0.load(Ordering::SeqCst)).unwrap_or(UnixMillis::EPOCH)
    }
}
