//! The ports in memory. Cloning a twin gives another handle to the same state, as a second client would be.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::fact::join;
use domain::order::KnownOrder;
use domain::sweep::SweepState;
use domain::{
    AfterSale, AfterSaleId, AppKey, Event, Link, ListingDigest, LogisticsId, MovementKind, Nonce, OrderFacts, OrderId,
    OrderReport, Outcome, Package, PaymentFacts, PaymentKey, Placed, Recorded, ReferenceRates, Refund, StoredKey,
    TradeDetail, TradeFacts, TradeKey, TradeReport, TradeStatuses, UnixMillis,
};
use protocols::VerifiedEvent;
use protocols::gateway::paypal::CertificateUrl;
use protocols::gateway::{PublicKey, VerifiedPayment};

use crate::clock::Clock;
use crate::error::{Cause, Certainty, PortError};
use crate::ports::{
    CapturedPage, CertificateSource, Claim, EventQueue, Ledger, LedgerPlace, Nonces, OrderBook, OrderStore, Quarantine,
    Quarantined, RateSource, RawDetails, Refunded, SecretsSource, SweepKey, Sweeps, TradeDetails, TradeStore,
    raw_detail_key,
};
use crate::secrets::Secrets;

/// State that several handles share.
#[derive(Debug, Default)]
pub(super) struct Shared<T>(Arc<Mutex<T>>);

impl<T> Shared<T> {
    pub(super) fn lock(&self) -> MutexGuard<'_, T> {
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

    async fn list(&self) -> Result<Vec<KnownOrder>, PortError> {
        let orders = self.0.lock();
        let known = orders.iter().map(|(id, facts)| KnownOrder { id: id.clone(), facts: facts.clone() });
        Ok(known.collect())
    }
}

impl OrderBook for MemoryOrders {
    async fn place(&self, order: &OrderId, placed: &Placed) -> Result<Option<Placed>, PortError> {
        let mut orders = self.0.lock();
        let kept = &mut orders.entry(order.clone()).or_default().placed;
        if kept.is_none() {
            *kept = Some(placed.clone());
            return Ok(None);
        }
        Ok(kept.clone())
    }

    async fn refund(&self, order: &OrderId, refund: &Refund) -> Result<Refunded, PortError> {
        let mut orders = self.0.lock();
        let facts = orders.entry(order.clone()).or_default();
        if let Some(kept) = facts.refunds.get(&refund.id) {
            return Ok(Refunded::Kept(Box::new(kept.clone())));
        }
        if facts.refund_totals.count.checked_add(1) != Some(refund.through.count) {
            return Ok(Refunded::Moved);
        }
        facts.refund_totals = refund.through;
        facts.refunds.insert(refund.id.clone(), refund.clone());
        Ok(Refunded::Granted)
    }
}

impl MemoryOrders {
    /// Loses the rate of an order, as damaged data does.
    pub fn lose_rate(&self, order: &OrderId) {
        let mut orders = self.0.lock();
        if let Some(placed) = orders.get_mut(order).and_then(|facts| facts.placed.as_mut()) {
            placed.rate = None;
        }
    }
}

/// The ledger in memory.
#[derive(Debug, Clone, Default)]
pub struct MemoryLedger(Shared<BTreeMap<PaymentKey, PaymentFacts>>);

impl MemoryLedger {
    /// Everything that is kept.
    pub fn all(&self) -> BTreeMap<PaymentKey, PaymentFacts> {
        self.0.lock().clone()
    }
}

impl Ledger for MemoryLedger {
    async fn record(&self, payment: &VerifiedPayment) -> Result<Recorded, PortError> {
        let event = payment.event();
        let mut payments = self.0.lock();
        let facts = payments.entry(event.payment.clone()).or_default();
        let is_same =
            |kept: &domain::PaymentEvent| (kept.kind, &kept.transaction_id) == (event.kind, &event.transaction_id);
        let Some(kept) = facts.entries.iter_mut().find(|kept| is_same(kept)) else {
            facts.entries.push(event.clone());
            return Ok(Recorded::Applied);
        };
        let recorded = event.compare(kept);
        if recorded == Recorded::Duplicate {
            kept.occurred_at = kept.occurred_at.max(event.occurred_at);
            return Ok(recorded);
        }
        let is_kept = |kept: &&mut domain::PaymentEvent| is_same(kept) && kept.fingerprint() == event.fingerprint();
        match facts.conflicts.iter_mut().find(is_kept) {
            Some(kept) => kept.occurred_at = kept.occurred_at.max(event.occurred_at),
            None => facts.conflicts.push(event.clone()),
        }
        Ok(recorded)
    }

    async fn read(&self, payment: &PaymentKey) -> Result<PaymentFacts, PortError> {
        Ok(self.0.lock().get(payment).cloned().unwrap_or_default())
    }

    async fn payments_of(&self, order: &OrderId) -> Result<Vec<PaymentKey>, PortError> {
        let payments = self.0.lock();
        let names = |facts: &PaymentFacts| {
            facts.entries.iter().chain(&facts.conflicts).any(|event| event.order.as_ref() == Some(order))
        };
        Ok(payments.iter().filter(|(_, facts)| names(facts)).map(|(key, _)| key.clone()).collect())
    }

    /// A payment a page.
    async fn captured(&self, since: UnixMillis, after: Option<&LedgerPlace>) -> Result<CapturedPage, PortError> {
        let payments = self.0.lock();
        let named = payments.iter().map(|(payment, facts)| (payment.to_string(), facts));
        let left = named.filter(|(payment, _)| after.is_none_or(|place| *payment > place.payment));
        let Some((payment, facts)) = left.min_by(|one, other| one.0.cmp(&other.0)) else {
            return Ok(CapturedPage::default());
        };
        let captures = facts.entries.iter().filter(|entry| entry.kind == MovementKind::Captured);
        let recent = captures.filter(|entry| entry.occurred_at >= since);
        let next = LedgerPlace { payment, entry: String::new() };
        Ok(CapturedPage { orders: recent.filter_map(|entry| entry.order.clone()).collect(), next: Some(next) })
    }

    async fn list(&self) -> Result<BTreeMap<PaymentKey, PaymentFacts>, PortError> {
        Ok(self.0.lock().iter().map(|(key, facts)| (key.clone(), facts.clone())).collect())
    }
}

/// Reference rates in memory. Counts its readings.
#[derive(Debug, Clone, Default)]
pub struct MemoryRates(Shared<(Option<ReferenceRates>, usize)>);

impl MemoryRates {
    /// Publishes these rates.
    pub fn new(rates: ReferenceRates) -> Self {
        let published = Self::default();
        published.set(Some(rates));
        published
    }

    /// Publishes other rates from now on, or none.
    pub fn set(&self, rates: Option<ReferenceRates>) {
        self.0.lock().0 = rates;
    }

    /// How often they were fetched.
    pub fn readings(&self) -> usize {
        self.0.lock().1
    }
}

impl RateSource for MemoryRates {
    async fn rates(&self) -> Result<ReferenceRates, PortError> {
        let mut published = self.0.lock();
        published.1 += 1;
        published.0.clone().ok_or(PortError::new("rates.rates", Cause::Away, Certainty::Determinate))
    }
}

/// Certificates in memory, by URL. Counts its readings.
#[derive(Debug, Clone, Default)]
pub struct MemoryCertificates(Shared<(HashMap<String, PublicKey>, usize)>);

impl MemoryCertificates {
    /// Publishes a key at a URL.
    pub fn publish(&self, url: &str, key: PublicKey) {
        self.0.lock().0.insert(url.to_owned(), key);
    }

    /// How often one was asked for.
    pub fn readings(&self) -> usize {
        self.0.lock().1
    }
}

impl CertificateSource for MemoryCertificates {
    async fn key(&self, url: &CertificateUrl) -> Result<Option<PublicKey>, PortError> {
        let mut published = self.0.lock();
        published.1 += 1;
        Ok(published.0.get(url.as_str()).cloned())
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
        kept.join(report.clone()).ok_or(PortError::new("trades.ship", Cause::Rejected, Certainty::Determinate))
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

impl TradeDetails for MemoryTrades {
    async fn detail(&self, trade: &TradeKey, detail: &TradeDetail) -> Result<Outcome, PortError> {
        Ok(join(&mut self.0.lock().entry(trade.clone()).or_default().detail, detail.clone()))
    }

    async fn after_sale(&self, trade: &TradeKey, case: &AfterSaleId, report: &AfterSale) -> Result<Outcome, PortError> {
        let mut trades = self.0.lock();
        let kept = trades.entry(trade.clone()).or_default().after_sales.entry(case.clone()).or_default();
        kept.join(report.clone()).ok_or(PortError::new("trades.after_sale", Cause::Rejected, Certainty::Determinate))
    }

    async fn listings(&self, wanted: &[TradeKey]) -> Result<BTreeMap<TradeKey, ListingDigest>, PortError> {
        let trades = self.0.lock();
        let listed = |key: &TradeKey| Some((key.clone(), trades.get(key)?.detail.as_ref()?.listed.clone()));
        Ok(wanted.iter().filter_map(listed).collect())
    }
}

/// Answers of marketplaces in memory.
#[derive(Debug, Clone, Default)]
pub struct MemoryRawDetails(Shared<BTreeMap<StoredKey, Vec<u8>>>);

impl MemoryRawDetails {
    /// Everything that is kept.
    pub fn all(&self) -> BTreeMap<StoredKey, Vec<u8>> {
        self.0.lock().clone()
    }
}

impl RawDetails for MemoryRawDetails {
    async fn put(&self, trade: &TradeKey, gzip: &[u8]) -> Result<StoredKey, PortError> {
        let key = raw_detail_key("raw_details.put", trade, gzip)?;
        self.0.lock().insert(key.clone(), gzip.to_vec());
        Ok(key)
    }

    async fn get(&self, key: &StoredKey) -> Result<Option<Vec<u8>>, PortError> {
        Ok(self.0.lock().get(key).cloned())
    }
}

/// How far sweeps are, in memory.
#[derive(Debug, Clone, Default)]
pub struct MemorySweeps(Shared<BTreeMap<SweepKey, SweepState>>);

impl MemorySweeps {
    /// Everything that is kept.
    pub fn all(&self) -> BTreeMap<SweepKey, SweepState> {
        self.0.lock().clone()
    }
}

impl Sweeps for MemorySweeps {
    async fn read(&self, key: &SweepKey) -> Result<SweepState, PortError> {
        Ok(self.0.lock().get(key).cloned().unwrap_or_default())
    }

    async fn replace(&self, key: &SweepKey, next: &SweepState) -> Result<Option<SweepState>, PortError> {
        let mut sweeps = self.0.lock();
        let kept = sweeps.get(key).cloned().unwrap_or_default();
        if kept.version.checked_add(1) == Some(next.version) {
            sweeps.insert(key.clone(), next.clone());
            return Ok(None);
        }
        Ok((kept != *next).then_some(kept))
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

    /// Moves on at once, and lets others run.
    async fn sleep(&self, millis: u64) {
        self.advance_ms(i64::try_from(millis).unwrap_or(i64::MAX));
        tokio::task::yield_now().await;
    }
}
