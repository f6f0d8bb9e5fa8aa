//! What a trade is made of, as the marketplace told when it was asked: its money, its lines, its times, and the raw
//! answer, so that a later reader needs no second call.

use rust_decimal::Decimal;

use crate::after_sale::AfterSale;
use crate::fact::Prefer;
use crate::id::{
    AfterSaleId, LineId, ListingDigest, LogisticsId, MessageId, PaymentId, Picture, ProductId, ProductName, RawStatus,
    StoredKey,
};
use crate::money::Money;
use crate::time::UnixMillis;
use crate::trade::{Package, TradeReport};

/// One line of a trade: a thing, and how many of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TradeLine {
    /// The marketplace's name of the line.
    pub id: LineId,
    /// The product.
    pub product: Option<ProductId>,
    /// Which variant of it: the marketplace's SKU.
    pub sku: Option<ProductId>,
    /// What it is called.
    pub name: Option<ProductName>,
    /// How many. A decimal: 1688 sells by the metre too.
    pub quantity: Option<Decimal>,
    /// What one costs, in units of the trade's currency. A decimal: it may be finer than a minor unit.
    pub unit_price: Option<Decimal>,
    /// What the line comes to.
    pub amount: Option<Money>,
    /// An address of its picture, as the marketplace gave it.
    pub picture: Option<Picture>,
    /// The marketplace's own word for where the line stands.
    pub status: Option<RawStatus>,
}

/// What was paid for a trade, and when.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TradePayment {
    /// What the trade costs in all.
    pub total: Option<Money>,
    /// The part of it that is for sending.
    pub postage: Option<Money>,
    /// What the seller received.
    pub received: Option<Money>,
    /// The payment's number at Alipay.
    pub payment_id: Option<PaymentId>,
    /// When it was paid.
    pub paid_at: Option<UnixMillis>,
}

/// The marketplace's answer as it came, compressed with gzip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RawDetail {
    /// With the trade.
    Inline(Vec<u8>),
    /// Too large for that: in the bucket of details, under this key.
    Stored(StoredKey),
}

/// What a trade is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TradeContent {
    /// When it was made.
    pub created_at: Option<UnixMillis>,
    /// When all of it had left.
    pub shipped_at: Option<UnixMillis>,
    /// When it was received.
    pub signed_at: Option<UnixMillis>,
    /// When it ended.
    pub finished_at: Option<UnixMillis>,
    /// Its money.
    pub payment: TradePayment,
    /// Its lines.
    pub lines: Vec<TradeLine>,
}

/// A trade as the marketplace told when it was asked. The latest report is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TradeDetail {
    /// When the trade was last modified, by the marketplace's clock.
    pub modified_at: UnixMillis,
    /// When we asked, by our clock. It decides between two answers of one modified time: some changes do not move it.
    pub seen_at: UnixMillis,
    /// The reading of the sweep.
    pub id: MessageId,
    /// What the list said of the trade when the answer was asked for: another digest means that it changed since.
    pub listed: ListingDigest,
    /// What it is made of.
    pub content: TradeContent,
    /// The answer.
    pub raw: RawDetail,
}

impl Prefer for TradeDetail {
    fn is_preferred_to(&self, other: &Self) -> bool {
        (self.modified_at, self.seen_at, &self.id) > (other.modified_at, other.seen_at, &other.id)
    }
}

/// Everything that one reading of a trade says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Its status.
    pub report: TradeReport,
    /// Its consignments.
    pub packages: Vec<(LogisticsId, Package)>,
    /// Its refund cases.
    pub after_sales: Vec<(AfterSaleId, AfterSale)>,
    /// What it is made of.
    pub detail: TradeDetail,
}
