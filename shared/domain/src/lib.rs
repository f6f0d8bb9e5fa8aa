//! What the shop means: orders, trades, money, the facts reported of them, and the view that follows.
//!
//! Pure. No input or output, no clock, no randomness, no environment, no async. Everything here is a
//! value or a function of values, so that every promise can be tested by enumeration.

pub mod after_sale;
pub mod check;
pub mod detail;
pub mod event;
pub mod fact;
pub mod id;
pub mod image;
pub mod money;
pub mod order;
pub mod payment;
pub mod rate;
pub mod refund;
pub mod sweep;
pub mod time;
pub mod trade;
pub mod view;

pub use after_sale::{AfterSale, AfterSaleState, Claim, StateReport};
pub use check::{Concern, Finding, check};
pub use detail::{RawDetail, Snapshot, TradeContent, TradeDetail, TradeLine, TradePayment};
pub use event::{Event, OrderChange, TradeChange, TradeFact};
pub use fact::{Outcome, Prefer};
pub use id::{
    AfterSaleId, AppKey, Carrier, EventId, ImageUrl, InvalidText, LeaseToken, LineId, ListingDigest, LogisticsId,
    MessageId, Nonce, OrderId, PaymentId, Picture, Position, ProductId, ProductName, RawStatus, RefundId, ShopId, Sku,
    SourceName, StoredKey, TraceStatus, TradeId, TransactionId, Validator, Waybill,
};
pub use image::{
    Decision, Format, ImageDigest, ImageEntry, ImageKey, ImageObject, ImageRecord, ImageRequest, InvalidProductKey,
    Known, Original, ProductChange, ProductKey, THUMBNAIL_SIZES, Validators,
};
pub use money::{Currency, InvalidMoney, Money};
pub use order::{
    KnownOrder, Line, Link, NotPlaced, OrderContent, OrderFacts, OrderReport, OrderStatus, Origin, Placed,
    ReportedStatus,
};
pub use payment::{
    Gateway, InvalidPaymentKey, MovementKind, PaymentEvent, PaymentFacts, PaymentKey, PaymentState, Recorded,
    Settlement, Sums,
};
pub use rate::{InvalidRate, NoRate, Rate, RateSource, ReferenceRates};
pub use refund::{Granted, Matched, NoRefund, Refund, RefundState, RefundTotals};
pub use time::{InvalidTime, UnixMillis};
pub use trade::{
    InvalidTradeKey, Journey, Marketplace, Package, Trace, TradeFacts, TradeKey, TradeReport, TradeStatus,
    TradeStatuses, UnknownMarketplace, WaybillReport,
};
pub use view::{Flag, HistoryEntry, LinkedTrade, OrderKnowledge, OrderView, Witness, view};
