//! What the shop means: orders, trades, the facts reported of them, and the view that follows.
//!
//! Pure. No input or output, no clock, no randomness, no environment, no async. Everything here is a
//! value or a function of values, so that every promise can be tested by enumeration.

pub mod event;
pub mod fact;
pub mod id;
pub mod order;
pub mod time;
pub mod trade;
pub mod view;

pub use event::{Event, OrderChange, TradeChange, TradeFact};
pub use fact::{Outcome, Prefer};
pub use id::{
    AppKey, Carrier, EventId, InvalidText, LogisticsId, MessageId, Nonce, OrderId, RawStatus, ShopId, SourceName,
    TraceStatus, TradeId, Waybill,
};
pub use order::{KnownOrder, Link, OrderFacts, OrderReport, OrderStatus, Origin, ReportedStatus};
pub use time::{InvalidTime, UnixMillis};
pub use trade::{
    InvalidTradeKey, Marketplace, Package, Trace, TradeFacts, TradeKey, TradeReport, TradeStatus, TradeStatuses,
    UnknownMarketplace, WaybillReport,
};
pub use view::{Flag, HistoryEntry, LinkedTrade, OrderView, Settlement, Witness, view};
