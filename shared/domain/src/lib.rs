//! What the shop means: orders, trades, money, the facts reported of them, and the view that follows.
//!
//! Pure. No input or output, no clock, no randomness, no environment, no async. Everything here is a
//! value or a function of values, so that every promise can be tested by enumeration.

pub mod event;
pub mod fact;
pub mod id;
pub mod money;
pub mod order;
pub mod payment;
pub mod rate;
pub mod refund;
pub mod time;
pub mod trade;
pub mod view;

pub use event::{Event, OrderChange, TradeChange, TradeFact};
pub use fact::{Outcome, Prefer};
pub use id::{
    AppKey, Carrier, EventId, InvalidText, LogisticsId, MessageId, Nonce, OrderId, PaymentId, RawStatus, RefundId,
    ShopId, Sku, SourceName, TraceStatus, TradeId, TransactionId, Waybill,
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
    InvalidTradeKey, Marketplace, Package, Trace, TradeFacts, TradeKey, TradeReport, TradeStatus, TradeStatuses,
    UnknownMarketplace, WaybillReport,
};
pub use view::{Flag, HistoryEntry, LinkedTrade, OrderKnowledge, OrderView, Witness, view};
