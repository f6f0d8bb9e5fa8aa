//! A port that fails at a chosen call, in a chosen way.
//!
//! *Done, but reported as a timeout* is the fault that real networks have and mocks forget.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::order::KnownOrder;
use domain::sweep::SweepState;
use domain::{
    AfterSale, AfterSaleId, AppKey, ImageEntry, ImageKey, ImageObject, ImageRecord, ImageRequest, ImageUrl, Known,
    Link, ListingDigest, LogisticsId, Marketplace as MarketplaceName, MessageId, Nonce, OrderFacts, OrderId,
    OrderReport, Outcome, Package, PaymentFacts, PaymentKey, Placed, Position, ProductId, ProductKey, Recorded,
    ReferenceRates, Refund, ShopId, StoredKey, TradeDetail, TradeFacts, TradeId, TradeKey, TradeReport, TradeStatuses,
    UnixMillis,
};
use protocols::VerifiedEvent;
use protocols::gateway::paypal::CertificateUrl;
use protocols::gateway::{PublicKey, VerifiedPayment};
use protocols::marketplace::{Account, Answer, ListPage, ListQuery, Message, Role};

use crate::error::{Cause, Certainty, PortError};
use crate::ports::{
    Asked, CapturedPage, Catalogue, CertificateSource, Claim, DetailOf, EventQueue, ImageBucket, ImageQueue,
    ImageSource, Ledger, LedgerPlace, Manifest, MarketError, Marketplace, Nonces, ObjectBody, OrderBook, OrderStore,
    ProductOf, Products, Quarantine, Quarantined, RateSource, RawDetails, Refunded, SecretsSource, Stored, SweepKey,
    Sweeps, SweptProduct, TradeDetails, TradeStore,
};
use crate::secrets::Secrets;

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Refused before anything was done.
    Before,
    /// Nothing was done, and the caller cannot know.
    TimedOut,
    /// Done, but reported as a timeout.
    DoneButTimedOut,
    /// The first half was done, and the whole is reported as a timeout. Of what has no parts, nothing was done.
    DoneInPart,
    /// Done, and then the process was gone: the caller never hears of it.
    CrashedAfter,
    /// Done, and the answer never comes. What ends a call by itself is the caller's time.
    Silent,
}

impl Fault {
    /// All of them but the one that takes time.
    pub const ALL: [Self; 5] =
        [Self::Before, Self::TimedOut, Self::DoneButTimedOut, Self::DoneInPart, Self::CrashedAfter];
}

#[derive(Debug, Default)]
struct Calls {
    made: Vec<&'static str>,
    faults: BTreeMap<usize, Fault>,
}

/// Which of the calls that follow fail, and a record of all that were made.
#[derive(Debug, Clone, Default)]
pub struct FaultPlan {
    calls: Arc<Mutex<Calls>>,
    crashed: Arc<tokio::sync::Notify>,
}

impl FaultPlan {
    /// No call fails.
    pub fn none() -> Self {
        Self::default()
    }

    /// The calls at these positions, counted from 0, fail so.
    pub fn at(faults: impl IntoIterator<Item = (usize, Fault)>) -> Self {
        let plan = Self::default();
        plan.lock().faults = faults.into_iter().collect();
        plan
    }

    /// The verbs that were called, in turn.
    pub fn calls(&self) -> Vec<&'static str> {
        self.lock().made.clone()
    }

    /// Runs an invocation until it ends or its process is gone (`None`).
    pub async fn run<T>(&self, invocation: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.crashed.notified() => None,
            done = invocation => Some(done),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self, verb: &'static str) -> Option<Fault> {
        let mut calls = self.lock();
        let position = calls.made.len();
        calls.made.push(verb);
        calls.faults.get(&position).copied()
    }

    async fn around<T, E: From<PortError>>(
        &self,
        verb: &'static str,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        self.around_parts(verb, work, std::future::ready(())).await
    }

    /// The same for a call that has parts, of which `half` does the first.
    async fn around_parts<T, E: From<PortError>>(
        &self,
        verb: &'static str,
        work: impl Future<Output = Result<T, E>>,
        half: impl Future<Output = ()>,
    ) -> Result<T, E> {
        let lost = E::from(PortError::new(verb, Cause::Away, Certainty::Indeterminate));
        match self.next(verb) {
            None => work.await,
            Some(Fault::Before) => Err(PortError::new(verb, Cause::Throttled, Certainty::Determinate).into()),
            Some(Fault::TimedOut) => Err(lost),
            Some(Fault::DoneButTimedOut) => work.await.and(Err(lost)),
            Some(Fault::DoneInPart) => {
                half.await;
                Err(lost)
            }
            Some(Fault::Silent) => {
                work.await?;
                std::future::pending().await
            }
            Some(Fault::CrashedAfter) => {
                work.await?;
                self.crashed.notify_one();
                std::future::pending().await
            }
        }
    }
}

/// A port around which faults happen by a plan.
#[derive(Debug, Clone)]
pub struct Faulty<P> {
    port: P,
    plan: FaultPlan,
}

impl<P> Faulty<P> {
    /// This port, under this plan. Several ports can share a plan: their calls are counted together.
    pub fn new(port: P, plan: &FaultPlan) -> Self {
        Self { port, plan: plan.clone() }
    }
}

impl<P: OrderStore + Sync> OrderStore for Faulty<P> {
    async fn report(&self, order: &OrderId, reports: &[OrderReport]) -> Result<Vec<Outcome>, PortError> {
        self.plan.around("orders.report", self.port.report(order, reports)).await
    }

    async fn link(&self, order: &OrderId, link: &Link) -> Result<Outcome, PortError> {
        self.plan.around("orders.link", self.port.link(order, link)).await
    }

    async fn read(&self, order: &OrderId) -> Result<OrderFacts, PortError> {
        self.plan.around("orders.read", self.port.read(order)).await
    }

    async fn orders_of(&self, trade: &TradeKey) -> Result<Vec<OrderId>, PortError> {
        self.plan.around("orders.orders_of", self.port.orders_of(trade)).await
    }

    async fn list(&self) -> Result<Vec<KnownOrder>, PortError> {
        self.plan.around("orders.list", self.port.list()).await
    }
}

impl<P: OrderBook + Sync> OrderBook for Faulty<P> {
    async fn place(&self, order: &OrderId, placed: &Placed) -> Result<Option<Placed>, PortError> {
        self.plan.around("orders.place", self.port.place(order, placed)).await
    }

    async fn refund(&self, order: &OrderId, refund: &Refund) -> Result<Refunded, PortError> {
        self.plan.around("orders.refund", self.port.refund(order, refund)).await
    }
}

impl<P: Ledger + Sync> Ledger for Faulty<P> {
    async fn record(&self, payment: &VerifiedPayment) -> Result<Recorded, PortError> {
        self.plan.around("ledger.record", self.port.record(payment)).await
    }

    async fn read(&self, payment: &PaymentKey) -> Result<PaymentFacts, PortError> {
        self.plan.around("ledger.read", self.port.read(payment)).await
    }

    async fn payments_of(&self, order: &OrderId) -> Result<Vec<PaymentKey>, PortError> {
        self.plan.around("ledger.payments_of", self.port.payments_of(order)).await
    }

    async fn captured(&self, since: UnixMillis, after: Option<&LedgerPlace>) -> Result<CapturedPage, PortError> {
        self.plan.around("ledger.captured", self.port.captured(since, after)).await
    }

    async fn list(&self) -> Result<BTreeMap<PaymentKey, PaymentFacts>, PortError> {
        self.plan.around("ledger.list", self.port.list()).await
    }
}

impl<P: RateSource + Sync> RateSource for Faulty<P> {
    async fn rates(&self) -> Result<ReferenceRates, PortError> {
        self.plan.around("rates.rates", self.port.rates()).await
    }
}

impl<P: CertificateSource + Sync> CertificateSource for Faulty<P> {
    async fn key(&self, url: &CertificateUrl) -> Result<Option<PublicKey>, PortError> {
        self.plan.around("certificates.key", self.port.key(url)).await
    }
}

impl<P: TradeStore + Sync> TradeStore for Faulty<P> {
    async fn report(&self, trade: &TradeKey, reports: &[TradeReport]) -> Result<Vec<Outcome>, PortError> {
        self.plan.around("trades.report", self.port.report(trade, reports)).await
    }

    async fn ship(&self, trade: &TradeKey, package: &LogisticsId, report: &Package) -> Result<Outcome, PortError> {
        self.plan.around("trades.ship", self.port.ship(trade, package, report)).await
    }

    async fn read(&self, trade: &TradeKey) -> Result<TradeFacts, PortError> {
        self.plan.around("trades.read", self.port.read(trade)).await
    }

    async fn statuses(&self, trades: &[TradeKey]) -> Result<BTreeMap<TradeKey, TradeStatuses>, PortError> {
        self.plan.around("trades.statuses", self.port.statuses(trades)).await
    }
}

impl<P: TradeDetails + Sync> TradeDetails for Faulty<P> {
    async fn detail(&self, trade: &TradeKey, detail: &TradeDetail) -> Result<Outcome, PortError> {
        self.plan.around("trades.detail", self.port.detail(trade, detail)).await
    }

    async fn after_sale(&self, trade: &TradeKey, case: &AfterSaleId, report: &AfterSale) -> Result<Outcome, PortError> {
        self.plan.around("trades.after_sale", self.port.after_sale(trade, case, report)).await
    }

    async fn listings(&self, trades: &[TradeKey]) -> Result<BTreeMap<TradeKey, ListingDigest>, PortError> {
        self.plan.around("trades.listings", self.port.listings(trades)).await
    }
}

impl<P: RawDetails + Sync> RawDetails for Faulty<P> {
    async fn put(&self, trade: &TradeKey, gzip: &[u8]) -> Result<StoredKey, PortError> {
        self.plan.around("raw_details.put", self.port.put(trade, gzip)).await
    }

    async fn get(&self, key: &StoredKey) -> Result<Option<Vec<u8>>, PortError> {
        self.plan.around("raw_details.get", self.port.get(key)).await
    }
}

impl<P: Sweeps + Sync> Sweeps for Faulty<P> {
    async fn read(&self, key: &SweepKey) -> Result<SweepState, PortError> {
        self.plan.around("sweeps.read", self.port.read(key)).await
    }

    async fn replace(&self, key: &SweepKey, next: &SweepState) -> Result<Option<SweepState>, PortError> {
        self.plan.around("sweeps.replace", self.port.replace(key, next)).await
    }
}

impl<P: Marketplace + Sync> Marketplace for Faulty<P> {
    async fn list(&self, account: &Account, query: &ListQuery) -> Result<Answer<ListPage<TradeId>>, MarketError> {
        self.plan.around("market.list", self.port.list(account, query)).await
    }

    async fn details(&self, account: &Account, trades: &[TradeId]) -> Result<Vec<DetailOf>, MarketError> {
        self.plan.around("market.details", self.port.details(account, trades)).await
    }

    async fn pull(&self, account: &Account) -> Result<Vec<Answer<Message>>, MarketError> {
        self.plan.around("market.pull", self.port.pull(account)).await
    }

    async fn confirm(&self, account: &Account, messages: &[MessageId]) -> Result<(), MarketError> {
        let first = messages.get(..messages.len() / 2).unwrap_or_default();
        let half = async { drop(self.port.confirm(account, first).await) };
        self.plan.around_parts("market.confirm", self.port.confirm(account, messages), half).await
    }
}

impl<P: EventQueue + Sync> EventQueue for Faulty<P> {
    async fn send(&self, events: &[VerifiedEvent]) -> Result<(), PortError> {
        let half = async { drop(self.port.send(events.get(..events.len() / 2).unwrap_or_default()).await) };
        self.plan.around_parts("events.send", self.port.send(events), half).await
    }
}

impl<P: Quarantine + Sync> Quarantine for Faulty<P> {
    async fn put(&self, message: &Quarantined) -> Result<(), PortError> {
        self.plan.around("quarantine.put", self.port.put(message)).await
    }
}

impl<P: SecretsSource + Sync> SecretsSource for Faulty<P> {
    async fn read(&self) -> Result<Secrets, PortError> {
        self.plan.around("secrets.read", self.port.read()).await
    }
}

impl<P: Nonces + Sync> Nonces for Faulty<P> {
    async fn claim(
        &self,
        client: &AppKey,
        nonce: &Nonce,
        request_id: &str,
        forget_at: UnixMillis,
    ) -> Result<Claim, PortError> {
        self.plan.around("nonces.claim", self.port.claim(client, nonce, request_id, forget_at)).await
    }
}

impl<P: Catalogue + Sync> Catalogue for Faulty<P> {
    async fn list(&self, account: &Account, query: &ListQuery) -> Result<Answer<ListPage<ProductId>>, MarketError> {
        self.plan.around("catalogue.list", self.port.list(account, query)).await
    }

    async fn details(
        &self,
        account: &Account,
        role: Role,
        products: &[ProductId],
    ) -> Result<Vec<ProductOf>, MarketError> {
        self.plan.around("catalogue.details", self.port.details(account, role, products)).await
    }
}

impl<P: Products + Sync> Products for Faulty<P> {
    async fn changed(&self, product: &ProductKey, at: UnixMillis) -> Result<Outcome, PortError> {
        self.plan.around("products.changed", self.port.changed(product, at)).await
    }

    async fn pending(
        &self,
        marketplace: MarketplaceName,
        shop: &ShopId,
        products_max: usize,
    ) -> Result<Vec<(ProductKey, UnixMillis)>, PortError> {
        self.plan.around("products.pending", self.port.pending(marketplace, shop, products_max)).await
    }

    async fn listings(&self, products: &[ProductKey]) -> Result<BTreeMap<ProductKey, ListingDigest>, PortError> {
        self.plan.around("products.listings", self.port.listings(products)).await
    }

    async fn asked(
        &self,
        product: &ProductKey,
        positions: &BTreeSet<Position>,
    ) -> Result<BTreeSet<Position>, PortError> {
        self.plan.around("products.asked", self.port.asked(product, positions)).await
    }

    async fn swept(&self, product: &ProductKey, swept: &SweptProduct) -> Result<(), PortError> {
        self.plan.around("products.swept", self.port.swept(product, swept)).await
    }
}

impl<P: Manifest + Sync> Manifest for Faulty<P> {
    async fn read(&self, image: &ImageKey) -> Result<ImageEntry, PortError> {
        self.plan.around("manifest.read", self.port.read(image)).await
    }

    async fn of_product(&self, product: &ProductKey) -> Result<BTreeMap<Position, ImageEntry>, PortError> {
        self.plan.around("manifest.of_product", self.port.of_product(product)).await
    }

    async fn keep(&self, image: &ImageKey, record: &ImageRecord) -> Result<Outcome, PortError> {
        self.plan.around("manifest.keep", self.port.keep(image, record)).await
    }

    async fn remove(&self, image: &ImageKey, seen_at: UnixMillis) -> Result<Outcome, PortError> {
        self.plan.around("manifest.remove", self.port.remove(image, seen_at)).await
    }

    async fn list(&self, after: Option<&ImageKey>) -> Result<Vec<(ImageKey, ImageEntry)>, PortError> {
        self.plan.around("manifest.list", self.port.list(after)).await
    }
}

impl<P: ImageQueue + Sync> ImageQueue for Faulty<P> {
    async fn send(&self, requests: &[ImageRequest]) -> Result<(), PortError> {
        let half = async { drop(self.port.send(requests.get(..requests.len() / 2).unwrap_or_default()).await) };
        self.plan.around_parts("image_queue.send", self.port.send(requests), half).await
    }
}

impl<P: ImageBucket + Sync> ImageBucket for Faulty<P> {
    async fn has(&self, object: &ImageObject) -> Result<bool, PortError> {
        self.plan.around("image_bucket.has", self.port.has(object)).await
    }

    async fn put(&self, object: &ImageObject, body: ObjectBody<'_>) -> Result<Stored, PortError> {
        self.plan.around("image_bucket.put", self.port.put(object, body)).await
    }

    async fn list(&self, after: Option<&ImageObject>) -> Result<Vec<ImageObject>, PortError> {
        self.plan.around("image_bucket.list", self.port.list(after)).await
    }
}

impl<P: ImageSource + Sync> ImageSource for Faulty<P> {
    async fn fetch(&self, url: &ImageUrl, known: &Known) -> Asked {
        let fetched = self.plan.around("images.fetch", async { self.port.fetch(url, known).await.answer });
        Asked { answer: fetched.await, requests: 1 }
    }
}
