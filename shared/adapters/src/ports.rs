//! The ports: what functions need kept, fetched and told. Each has an AWS implementation and an
//! in-memory twin, and both pass the conformance suite of `testing::conformance`.
//!
//! All verbs that write are idempotent: doing one again with the same arguments leaves the same state.
//! So a caller answers any error by doing it again, and never has to know what became of the first try.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;

use domain::order::KnownOrder;
use domain::sweep::{SweepKind, SweepState};
use domain::{
    AfterSale, AfterSaleId, AppKey, ImageDigest, ImageEntry, ImageKey, ImageObject, ImageRecord, ImageRequest,
    ImageUrl, Known, Link, ListingDigest, LogisticsId, MessageId, Nonce, OrderFacts, OrderId, OrderReport, Outcome,
    Package, PaymentFacts, PaymentKey, Placed, Position, ProductId, ProductKey, Recorded, ReferenceRates, Refund,
    ShopId, StoredKey, TradeDetail, TradeFacts, TradeId, TradeKey, TradeReport, TradeStatuses, UnixMillis, Validators,
};
use protocols::VerifiedEvent;
use protocols::gateway::paypal::CertificateUrl;
use protocols::gateway::{PublicKey, VerifiedPayment};
use protocols::marketplace::{
    Account, Answer, ListPage, ListQuery, Malformed, Message, Refused, Role, Told, ToldProduct,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::PortError;
use crate::secrets::Secrets;
use crate::spool::Content;

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

    /// All orders, in no order. For operators, not for functions.
    fn list(&self) -> impl Future<Output = Result<Vec<KnownOrder>, PortError>> + Send;
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

/// Where a reading of the ledger stands: behind this entry. Whoever is given one gives it back as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerPlace {
    /// The payment of the entry, as `gateway#payment_id`.
    pub(crate) payment: String,
    /// What the entry is of its payment.
    pub(crate) entry: String,
}

/// Some of the orders that money was captured for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CapturedPage {
    /// Which. One that several entries name may be on several pages.
    pub orders: BTreeSet<OrderId>,
    /// Where to go on; none at the end.
    pub next: Option<LedgerPlace>,
}

/// The ledger: what gateways reported of money that moved, by payment.
pub trait Ledger {
    /// Keeps one movement. One conditional write, whether it is new or a duplicate; a conflict is one more write,
    /// which keeps it beside the entry. Of several times that one movement was reported for, the latest is kept.
    fn record(&self, payment: &VerifiedPayment) -> impl Future<Output = Result<Recorded, PortError>> + Send;

    /// Everything that is kept of one payment, by one consistent query; empty for an unknown one.
    fn read(&self, payment: &PaymentKey) -> impl Future<Output = Result<PaymentFacts, PortError>> + Send;

    /// The payments of which an entry or a conflict names the order. One that was kept a moment ago may be missing.
    fn payments_of(&self, order: &OrderId) -> impl Future<Output = Result<Vec<PaymentKey>, PortError>> + Send;

    /// Orders for which money was captured at this time or later, a page at a time; every one of them until there is no
    /// next page. One whose entry was kept a moment ago may be missing. It reads all of the ledger: for checks of all.
    fn captured(
        &self,
        since: UnixMillis,
        after: Option<&LedgerPlace>,
    ) -> impl Future<Output = Result<CapturedPage, PortError>> + Send;

    /// All payments. For operators, not for functions.
    fn list(&self) -> impl Future<Output = Result<BTreeMap<PaymentKey, PaymentFacts>, PortError>> + Send;
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

    /// Takes a report of one consignment in, by one conditional write when none of its facts is stale. `Ok` is the
    /// better of the outcomes of its facts. A report without a fact is invalid.
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

/// What trades are made of, and what the buyers ask back of them. Kept beside the facts of [`TradeStore`], which reads
/// them too.
pub trait TradeDetails {
    /// Takes a detail in, by one conditional write.
    fn detail(&self, trade: &TradeKey, detail: &TradeDetail)
    -> impl Future<Output = Result<Outcome, PortError>> + Send;

    /// Takes a report of one refund case in, by one conditional write when none of its facts is stale. `Ok` is the
    /// better of the outcomes of its facts. A report without a fact is invalid.
    fn after_sale(
        &self,
        trade: &TradeKey,
        case: &AfterSaleId,
        report: &AfterSale,
    ) -> impl Future<Output = Result<Outcome, PortError>> + Send;

    /// What the list said of many trades when their details were asked for, by one consistent batch read a hundred;
    /// trades without a detail are absent.
    fn listings(
        &self,
        trades: &[TradeKey],
    ) -> impl Future<Output = Result<BTreeMap<TradeKey, ListingDigest>, PortError>> + Send;
}

/// The most bytes of a marketplace's answer, as gzip, that go with an event and stand in the trade's item. More goes to
/// [`RawDetails`]: a message of the queue holds 256 KiB, with the answer as base64 and beside it the lines that were
/// read from it.
pub const RAW_INLINE_BYTES_MAX: usize = 32 * 1_024;

/// The key of an answer: of the trade, and of its own content.
pub(crate) fn raw_detail_key(operation: &'static str, trade: &TradeKey, gzip: &[u8]) -> Result<StoredKey, PortError> {
    let TradeKey { marketplace, shop, trade_id } = trade;
    let digest = hex::encode(Sha256::digest(gzip));
    StoredKey::new(format!("details/{}/{shop}/{trade_id}/{digest}.json.gz", marketplace.as_str()))
        .map_err(|error| PortError { source: Some(Box::new(error)), ..PortError::unreadable(operation) })
}

/// Where answers of marketplaces are kept that are too large for an item.
pub trait RawDetails {
    /// Keeps one under a key of its own content. Keeping it again changes nothing.
    fn put(&self, trade: &TradeKey, gzip: &[u8]) -> impl Future<Output = Result<StoredKey, PortError>> + Send;

    /// What is kept under a key; `Ok(None)` when there is nothing.
    fn get(&self, key: &StoredKey) -> impl Future<Output = Result<Option<Vec<u8>>, PortError>> + Send;
}

/// Which sweep: of one kind, at one marketplace, for one shop.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SweepKey {
    /// The kind.
    pub kind: SweepKind,
    /// The marketplace.
    pub marketplace: domain::Marketplace,
    /// Our account there.
    pub shop: ShopId,
}

impl std::fmt::Display for SweepKey {
    /// `marketplace#shop#kind`, the form of the sweeps table's key.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}#{}#{}", self.marketplace.as_str(), self.shop, self.kind.as_str())
    }
}

/// How far sweeps are.
pub trait Sweeps {
    /// The state, by a consistent read; the default one of a sweep that was never kept.
    fn read(&self, key: &SweepKey) -> impl Future<Output = Result<SweepState, PortError>> + Send;

    /// Puts `next` in the place of the state of the version before it. `Ok(None)` when it did; else the state that is
    /// there instead. Doing it again after an answer that was lost is `Ok(None)` as well.
    fn replace(
        &self,
        key: &SweepKey,
        next: &SweepState,
    ) -> impl Future<Output = Result<Option<SweepState>, PortError>> + Send;
}

/// Why a marketplace gave no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub enum MarketError {
    /// It said no.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// It said nothing, or nothing that can be read, however often it was asked.
    #[error(transparent)]
    Lost(#[from] PortError),
}

/// One trade of many that were asked for.
pub type DetailOf = (TradeId, Result<Answer<Told>, NoDetail>);

/// Why there is no detail of a trade, while others of the same call may have theirs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoDetail {
    /// The marketplace said no for this one.
    Refused(Refused),
    /// It is not of the documented form.
    Malformed(Malformed),
}

/// A marketplace, asked for one of our shops. Verbs only read, except `confirm`; an implementation keeps to the
/// marketplace's rate and tries again what may be tried again.
pub trait Marketplace {
    /// One page of a list of trades.
    fn list(
        &self,
        account: &Account,
        query: &ListQuery,
    ) -> impl Future<Output = Result<Answer<ListPage<TradeId>>, MarketError>> + Send;

    /// The details of trades, as many as were asked for, in any order; in one call where the marketplace has one for
    /// many.
    fn details(
        &self,
        account: &Account,
        trades: &[TradeId],
    ) -> impl Future<Output = Result<Vec<DetailOf>, MarketError>> + Send;

    /// Messages that wait; they come again until they are confirmed, before or behind those that were not handed out yet.
    /// None when the marketplace has no messages to pull.
    fn pull(&self, account: &Account) -> impl Future<Output = Result<Vec<Answer<Message>>, MarketError>> + Send;

    /// Confirms messages, so that they do not come again. Confirming one again changes nothing.
    fn confirm(
        &self,
        account: &Account,
        messages: &[MessageId],
    ) -> impl Future<Output = Result<(), MarketError>> + Send;
}

/// One product of many that were asked for.
pub type ProductOf = (ProductId, Result<Answer<ToldProduct>, NoDetail>);

/// The products that a marketplace has for one of our shops. Verbs only read; an implementation keeps to the
/// marketplace's rate and tries again what may be tried again.
pub trait Catalogue {
    /// One page of a list of products.
    fn list(
        &self,
        account: &Account,
        query: &ListQuery,
    ) -> impl Future<Output = Result<Answer<ListPage<ProductId>>, MarketError>> + Send;

    /// The details of products that the shop sells, or of such as it buys; as many as were asked for, in any order; a call
    /// each, some of them side by side. One that is not there is told as withdrawn.
    fn details(
        &self,
        account: &Account,
        role: Role,
        products: &[ProductId],
    ) -> impl Future<Output = Result<Vec<ProductOf>, MarketError>> + Send;
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

impl Quarantined {
    /// What ids begin with of what no queue brought: an answer of a marketplace that a sweep could not read.
    pub const OF_SWEEPS: &str = "sweep/";
}

/// Where messages that cannot become facts are kept.
pub trait Quarantine {
    /// Keeps one. `Ok` means that it is durable.
    fn put(&self, message: &Quarantined) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// What a product sweep knows of a product when it is through with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SweptProduct {
    /// What the list said of it, when it came from a list.
    pub listed: Option<ListingDigest>,
    /// The change that was reported of it and is dealt with now.
    pub changed_at: Option<UnixMillis>,
}

/// What was reported of products, and what sweeps made of it. Kept in the table of [`Manifest`].
pub trait Products {
    /// Takes in that a product changed, by one conditional write: it is pending until it is swept. The latest report is
    /// kept; an earlier one is stale, also when the later one is no longer pending.
    fn changed(&self, product: &ProductKey, at: UnixMillis) -> impl Future<Output = Result<Outcome, PortError>> + Send;

    /// Products of a shop that wait to be swept, up to so many, the longest waiting first, each with the report that it
    /// waits for. One that was reported a moment ago may be missing.
    fn pending(
        &self,
        marketplace: domain::Marketplace,
        shop: &ShopId,
        products_max: usize,
    ) -> impl Future<Output = Result<Vec<(ProductKey, UnixMillis)>, PortError>> + Send;

    /// What the list said of many products when they were last swept, by one consistent batch read a hundred; products
    /// that never were are absent.
    fn listings(
        &self,
        products: &[ProductKey],
    ) -> impl Future<Output = Result<BTreeMap<ProductKey, ListingDigest>, PortError>> + Send;

    /// Keeps which pictures of a product are asked for, before they are; `Ok` has all that ever were, by one write, or by
    /// one consistent read where nothing is asked for. A picture that was asked for and dropped again may still be on its
    /// way into the manifest: this is how the sweep that sees it dropped knows of it.
    fn asked(
        &self,
        product: &ProductKey,
        positions: &BTreeSet<Position>,
    ) -> impl Future<Output = Result<BTreeSet<Position>, PortError>> + Send;

    /// Keeps that a product was swept. It no longer waits, unless a later report came meanwhile.
    fn swept(&self, product: &ProductKey, swept: &SweptProduct) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// What is known of pictures.
pub trait Manifest {
    /// All that is kept of one, by one consistent read; nothing of an unknown one.
    fn read(&self, image: &ImageKey) -> impl Future<Output = Result<ImageEntry, PortError>> + Send;

    /// All that is kept of a product's pictures, by one consistent query.
    fn of_product(
        &self,
        product: &ProductKey,
    ) -> impl Future<Output = Result<BTreeMap<Position, ImageEntry>, PortError>> + Send;

    /// Keeps a record, by one conditional write, unless one that is preferred to it is kept.
    fn keep(&self, image: &ImageKey, record: &ImageRecord) -> impl Future<Output = Result<Outcome, PortError>> + Send;

    /// Marks a picture as removed, by one conditional write: the product was seen without it. Its record and its bytes
    /// stay. The latest mark is kept.
    fn remove(&self, image: &ImageKey, seen_at: UnixMillis) -> impl Future<Output = Result<Outcome, PortError>> + Send;

    /// Some pictures that follow another in an order of the store's own; none when there are no more. For operators, not
    /// for functions.
    fn list(
        &self,
        after: Option<&ImageKey>,
    ) -> impl Future<Output = Result<Vec<(ImageKey, ImageEntry)>, PortError>> + Send;
}

/// The image queue, where pictures wait to be fetched.
pub trait ImageQueue {
    /// Queues all requests, ten a call. `Ok` means that every one is durable. After an error some may be queued; sending
    /// all again may queue those twice, which changes nothing.
    fn send(&self, requests: &[ImageRequest]) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// What is put into the bucket of pictures.
#[derive(Debug, Clone, Copy)]
pub enum ObjectBody<'a> {
    /// A content of that many bytes, whose SHA-256 is this.
    Content(&'a Content, u64, &'a ImageDigest),
    /// These bytes.
    Bytes(&'a [u8]),
}

/// Whether an object was new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// It is there now.
    Now,
    /// It was there before, with the same content.
    Before,
}

/// The bucket of pictures. An object's key follows from the original's bytes, so nothing is ever written over.
pub trait ImageBucket {
    /// Whether it is there.
    fn has(&self, object: &ImageObject) -> impl Future<Output = Result<bool, PortError>> + Send;

    /// Puts it, unless it is there. Nobody sees a part of it: it is there whole or not at all.
    fn put(&self, object: &ImageObject, body: ObjectBody<'_>)
    -> impl Future<Output = Result<Stored, PortError>> + Send;

    /// Some objects whose keys follow another, in the order of their keys; none when there are no more. For operators,
    /// not for functions.
    fn list(&self, after: Option<&ImageObject>) -> impl Future<Output = Result<Vec<ImageObject>, PortError>> + Send;
}

/// A picture that was fetched.
#[derive(Debug)]
pub struct Spooled {
    /// Its bytes.
    pub content: Arc<Content>,
    /// Their SHA-256.
    pub digest: ImageDigest,
    /// How many they are.
    pub bytes: u64,
    /// What the host gave to ask again with.
    pub validators: Validators,
}

/// What a host answered.
#[derive(Debug)]
pub enum Fetched {
    /// What is known is what is there.
    Unchanged,
    /// This is there.
    Changed(Spooled),
}

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum NoImage {
    /// It may not be fetched or kept, now or ever: a word, and why, without a word of the host's.
    #[error("{0}")]
    Refused(String),
    /// It could not be had now, however often it was tried.
    #[error(transparent)]
    Lost(#[from] PortError),
}

/// An answer, and how many requests it took: further tries and redirects count.
#[derive(Debug)]
pub struct Asked {
    /// What came of it.
    pub answer: Result<Fetched, NoImage>,
    /// Requests that were made.
    pub requests: u32,
}

/// The hosts of pictures.
pub trait ImageSource {
    /// Fetches what is at a URL, if it is not what is known. A refusal of the host or of ours is [`NoImage::Refused`]
    /// where trying again cannot help.
    fn fetch(&self, url: &ImageUrl, known: &Known) -> impl Future<Output = Asked> + Send;
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
