//! What is common to the marketplaces that we ask: lists of trades, details, messages, refusals, and whose an answer is.
//!
//! Invariant (the DataKey check): an [`Answer`] can be read only as an [`Owned`] one, which it becomes when it does not
//! name another account than the one that asked; and only what is owned becomes a [`VerifiedEvent`].

pub mod picture;
pub(crate) mod reading;

use domain::sweep::Window;
use domain::{
    AfterSale, AfterSaleId, AfterSaleState, Carrier, Claim, Event, ImageUrl, Journey, LineId, ListingDigest,
    LogisticsId, Marketplace, MessageId, Money, Package, Position, ProductId, ProductKey, RawDetail, RawStatus, ShopId,
    Snapshot, StateReport, TradeChange, TradeContent, TradeDetail, TradeFact, TradeId, TradeKey, TradeReport,
    TradeStatus, UnixMillis, Waybill, WaybillReport,
};
use secrecy::SecretString;
use sha2::{Digest, Sha256};

use crate::cloudevents::{AFTER_SALES_MAX, SHIPPING_MAX};
use crate::{Refusal, VerifiedEvent, detail};

/// A shop of ours at a marketplace, and what we ask there with.
#[derive(Debug, Clone)]
pub struct Account {
    /// The shop, as the secrets document names it.
    pub shop: ShopId,
    /// Our key and token there.
    pub access: Access,
}

/// Our key and token at a marketplace.
#[derive(Debug, Clone)]
pub enum Access {
    /// At 1688, as a buyer.
    Ali1688(Ali1688Access),
    /// At Taobao, as a seller.
    Taobao(TaobaoAccess),
}

/// What 1688 asks for.
#[derive(Debug, Clone)]
pub struct Ali1688Access {
    /// The app's public key.
    pub app_key: String,
    /// What requests are signed with: the newest of the live secrets.
    pub app_secret: SecretString,
    /// The shop's authorisation of the app.
    pub access_token: SecretString,
    /// The shop's member id, such as `b2b-1623492085`: every answer must be of this buyer.
    pub member_id: String,
}

/// What Taobao asks for.
#[derive(Debug, Clone)]
pub struct TaobaoAccess {
    /// The app's public key.
    pub app_key: String,
    /// What requests are signed with: the newest of the live secrets.
    pub app_secret: SecretString,
    /// The shop's authorisation of the app.
    pub session: SecretString,
    /// The seller's nick: every answer must be of this seller.
    pub seller_nick: String,
}

impl Account {
    /// The marketplace.
    pub const fn marketplace(&self) -> Marketplace {
        match self.access {
            Access::Ali1688(_) => Marketplace::Alibaba1688,
            Access::Taobao(_) => Marketplace::Taobao,
        }
    }

    /// The name that the marketplace has for the owner of the account.
    pub fn owner(&self) -> &str {
        match &self.access {
            Access::Ali1688(access) => &access.member_id,
            Access::Taobao(access) => &access.seller_nick,
        }
    }

    /// The key of one of its trades.
    pub fn trade(&self, trade_id: TradeId) -> TradeKey {
        TradeKey { marketplace: self.marketplace(), shop: self.shop.clone(), trade_id }
    }

    /// The key of one of its products.
    pub fn product(&self, product_id: ProductId) -> ProductKey {
        ProductKey { marketplace: self.marketplace(), shop: self.shop.clone(), product_id }
    }
}

/// What a shop is to a product: 1688 has other calls for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It sells the product: the product is in the shop's own list.
    Seller,
    /// It buys the product of somebody else, and follows it: pushes alone tell of it.
    Buyer,
}

/// By which time a list is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListedBy {
    /// When it was last modified.
    Modified,
    /// When it was made.
    Created,
}

/// One page of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListQuery {
    /// By which time.
    pub by: ListedBy,
    /// From and to when. Marketplaces take both ends for included, so that a row of the last second may come as well.
    pub window: Window,
    /// Which page, counted from 1.
    pub page: u64,
    /// Rows of a page.
    pub page_rows: u64,
}

/// A row of a list of what has ids of this kind: of trades, or of products.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<Id> {
    /// The trade or the product.
    pub id: Id,
    /// When it was last modified. Only in a list by that time, where it is what the list goes by.
    pub modified_at: Option<UnixMillis>,
    /// What the row says, in short: when this differs from what was seen with the last detail, it changed.
    pub digest: ListingDigest,
}

/// Something in an answer that is not of the documented form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    /// Why, without a word of it.
    pub reason: String,
    /// What it was.
    pub body: String,
}

/// What a page of a list holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListPage<Id> {
    /// How many rows the list has in all, by the marketplace's word.
    pub total: u64,
    /// The rows of this page that could be read.
    pub rows: Vec<Listed<Id>>,
    /// Those that could not.
    pub malformed: Vec<Malformed>,
}

/// A consignment, as a detail tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldPackage {
    /// The marketplace's name of it.
    pub id: LogisticsId,
    /// Who carries it, under which number. Absent for goods that need no carrier.
    pub waybill: Option<(Carrier, Waybill)>,
    /// When it left.
    pub shipped_at: Option<UnixMillis>,
    /// When it was received.
    pub signed_at: Option<UnixMillis>,
}

/// A refund case, as a detail or a message tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldCase {
    /// The marketplace's name of it, or what stands for one.
    pub id: AfterSaleId,
    /// Where it stands.
    pub state: AfterSaleState,
    /// In the marketplace's own word.
    pub raw: RawStatus,
    /// The line of the trade that it is for.
    pub line: Option<LineId>,
    /// How much is asked back.
    pub money: Option<Money>,
}

impl ToldCase {
    /// The record of this case as of a report.
    fn report(self, at: UnixMillis, id: &MessageId) -> (AfterSaleId, AfterSale) {
        let state = StateReport { at, id: id.clone(), state: self.state, raw: self.raw };
        let claim = Claim::reported(at, id, self.line, self.money);
        (self.id, AfterSale { state: Some(state), claim })
    }
}

/// A trade, as a detail tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The trade.
    pub trade_id: TradeId,
    /// When it was last modified.
    pub modified_at: UnixMillis,
    /// Its status.
    pub status: TradeStatus,
    /// In the marketplace's own word.
    pub raw_status: RawStatus,
    /// What it is made of.
    pub content: TradeContent,
    /// Its consignments.
    pub packages: Vec<ToldPackage>,
    /// Its refund cases.
    pub cases: Vec<ToldCase>,
    /// The answer as it came: JSON.
    pub json: String,
}

/// How a product stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is there, for sale or on its way to be.
    OnSale,
    /// It was taken away, has expired, or is not there at all: it has no pictures any more.
    Withdrawn,
    /// In a word that we do not know. It counts as there.
    Unrecognised,
}

/// A picture of a product, as a detail tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldPicture {
    /// Which of the product's; none where its variant has no name.
    pub position: Option<Position>,
    /// Where it is, or what stood there instead.
    pub address: Result<ImageUrl, Malformed>,
}

/// A product, as a detail tells of it: what of it its pictures need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldProduct {
    /// The product.
    pub product_id: ProductId,
    /// How it stands.
    pub standing: Standing,
    /// Its pictures, at most so many as the reader's limit says, no position twice.
    pub pictures: Vec<ToldPicture>,
    /// How many addresses were of nothing that is fetched.
    pub elsewhere: usize,
    /// How many pictures there are beyond the limit.
    pub beyond: usize,
    /// The answer as it came: JSON.
    pub json: String,
}

impl ToldProduct {
    /// A product that is not there.
    pub(crate) fn gone(product_id: ProductId, json: &str) -> Self {
        let json = json.to_owned();
        Self { product_id, standing: Standing::Withdrawn, pictures: Vec::new(), elsewhere: 0, beyond: 0, json }
    }
}

/// An answer whose owner was not looked at yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer<T> {
    content: T,
    owners: Vec<String>,
}

/// An answer to the account that asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owned<T>(T);

/// The answer names another account. Nothing of it may be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the answer is of another account")]
pub struct Foreign;

impl<T> Answer<T> {
    /// An answer that names these owners; none where the marketplace named nobody.
    pub fn new(content: T, owners: impl IntoIterator<Item = String>) -> Self {
        Self { content, owners: owners.into_iter().collect() }
    }

    /// The content, when every owner that is named is the account's. An answer that names nobody is of the token that
    /// asked.
    pub fn belonging_to(self, account: &Account) -> Result<Owned<T>, Foreign> {
        let is_ours = self.owners.iter().all(|owner| owner == account.owner());
        if is_ours { Ok(Owned(self.content)) } else { Err(Foreign) }
    }
}

impl Answer<Message> {
    /// The message's id, by which it is known again; an app has each once, whosever it is.
    pub const fn id(&self) -> &MessageId {
        &self.content.id
    }
}

impl<T> Owned<T> {
    /// The content.
    pub const fn get(&self) -> &T {
        &self.0
    }

    /// The content.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl Owned<Told> {
    /// The event of this reading: what the list said (`listed`), when it was seen, and where the answer is kept. The
    /// same reading of the same state has the same id. Refused when the trade's time cannot be.
    pub fn event(
        self,
        account: &Account,
        listed: ListingDigest,
        seen_at: UnixMillis,
        raw: RawDetail,
    ) -> Result<VerifiedEvent, Refusal> {
        let told = self.0;
        let at = told.modified_at.end_of_second();
        let id = reading_id(&told.trade_id, told.modified_at, &listed)?;
        // What a message cannot hold is in the raw answer alone.
        let packages =
            told.packages.into_iter().take(SHIPPING_MAX).map(|package| of_package(package, at, &id)).collect();
        let after_sales = told.cases.into_iter().take(AFTER_SALES_MAX).map(|case| case.report(at, &id)).collect();
        let content = detail::bounded(told.content);
        let report = TradeReport { status: told.status, at, id: id.clone(), raw: told.raw_status };
        let detail = TradeDetail { modified_at: told.modified_at, seen_at, id, listed, content, raw };
        let snapshot = Snapshot { report, packages, after_sales, detail };
        let fact = TradeFact::Snapshot(Box::new(snapshot));
        VerifiedEvent::answered(Event::Trade(TradeChange { trade: account.trade(told.trade_id), fact }), seen_at)
    }
}

/// The id of a reading: a name for this state of this trade.
fn reading_id(trade: &TradeId, modified_at: UnixMillis, listed: &ListingDigest) -> Result<MessageId, Refusal> {
    let digest = Sha256::digest(format!("{trade}#{}#{listed}", modified_at.get()));
    let hex = hex::encode(digest);
    MessageId::new(format!("sweep.{}", hex.get(..24).unwrap_or_default()))
        .map_err(|_| Refusal::Malformed("the reading has no id"))
}

fn of_package(told: ToldPackage, at: UnixMillis, id: &MessageId) -> (LogisticsId, Package) {
    let waybill = told.waybill.map(|(carrier, number)| WaybillReport { at, id: id.clone(), carrier, number });
    let has_journey = told.shipped_at.is_some() || told.signed_at.is_some();
    let journey =
        has_journey.then(|| Journey { at, id: id.clone(), shipped_at: told.shipped_at, signed_at: told.signed_at });
    (told.id, Package { waybill, trace: None, journey })
}

/// A digest of what a row says, over its parts in turn.
pub(crate) fn listing_digest<'a>(parts: impl IntoIterator<Item = &'a str>) -> Option<ListingDigest> {
    let mut digest = Sha256::new();
    for part in parts {
        // The length keeps two parts from being read as one.
        digest.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        digest.update(part);
    }
    let hex = hex::encode(digest.finalize());
    ListingDigest::new(hex.get(..ListingDigest::BYTES_MAX)?).ok()
}

/// What a message that waited at the marketplace says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageContent {
    /// Of the status of a trade.
    Status(TradeId, TradeStatus, RawStatus),
    /// Of a refund case of a trade.
    Case(TradeId, ToldCase),
    /// Of something that we do not use; its topic.
    Other(String),
    /// Nothing that can be read.
    Malformed(Malformed),
}

/// A message that waited at the marketplace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The marketplace's id of it, by which it is confirmed.
    pub id: MessageId,
    /// When it was sent.
    pub at: UnixMillis,
    /// What it says.
    pub content: MessageContent,
    /// All of it, as it came.
    pub json: String,
}

impl Owned<Message> {
    /// The event of this message; `None` when it says nothing for us.
    pub fn event(&self, account: &Account, now: UnixMillis) -> Result<Option<VerifiedEvent>, Refusal> {
        let Message { id, at, content, .. } = &self.0;
        let at = at.end_of_second();
        let (trade_id, fact) = match content.clone() {
            MessageContent::Status(trade_id, status, raw) => {
                (trade_id, TradeFact::Status(TradeReport { status, at, id: id.clone(), raw }))
            }
            MessageContent::Case(trade_id, case) => {
                let (case_id, case) = case.report(at, id);
                (trade_id, TradeFact::AfterSale(case_id, case))
            }
            MessageContent::Other(_) | MessageContent::Malformed(_) => return Ok(None),
        };
        VerifiedEvent::answered(Event::Trade(TradeChange { trade: account.trade(trade_id), fact }), now).map(Some)
    }
}

/// What an answer that is no asks of the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlowControl {
    /// Do it again, slower each time.
    Retry,
    /// Do nothing for so many seconds, then do it again.
    WaitSeconds(u64),
    /// Do nothing until the next midnight in China: the day's quota is used up.
    WaitForMidnight,
    /// Do not do it again as it is.
    GiveUp,
    /// The shop has to authorise the app anew; a person must act.
    Reauthorise,
}

impl FlowControl {
    /// The word in logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::WaitSeconds(_) => "wait",
            Self::WaitForMidnight => "wait_for_midnight",
            Self::GiveUp => "give_up",
            Self::Reauthorise => "reauthorise",
        }
    }
}

/// The marketplace said no.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the marketplace refused with {code}")]
pub struct Refused {
    /// What that asks of the caller.
    pub flow: FlowControl,
    /// The marketplace's code of it, fit for the log.
    pub code: String,
}

/// A signed call of a marketplace's API, ready to be posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiRequest {
    /// The name of the call, for the log.
    pub call: &'static str,
    /// The path below the marketplace's URL, with its leading slash.
    pub path: String,
    /// The query, not yet encoded.
    pub query: Vec<(String, String)>,
    /// The type of the body.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
}

/// Why the text of an answer is not the answer that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotRead {
    /// The marketplace said no.
    Refused(Refused),
    /// It is not of the documented form; why, without a word of it.
    Unreadable(String),
}
