//! Marketplaces: shops full of trades that change while they are read.
//!
//! Written from the vendors' pages and samples, apart from the readers in `protocols`, so that a test which asks here
//! and reads there compares two opinions. [`Market`] is the truth; [`MemoryMarketplace`] answers from it as the port
//! does, under a clock that a test moves; [`server`] answers from it by HTTP as the vendors do.

mod index;
mod order;
pub mod server;
mod told;
pub mod truth;
pub mod twin;

pub use order::{Case, CaseStage, Line, Order, Stage};
pub use truth::{Disturbance, Kind, Late, Market, Notice, Page, Ties};
pub use twin::{Calls, Conduct, Garbled, MemoryMarketplace, Saying};
