//! Marketplaces: shops full of trades and products that change while they are read.
//!
//! Written from the vendors' pages and samples, apart from the readers in `protocols`, so that a test which asks here
//! and reads there compares two opinions. [`Market`] and [`Assortment`] are the truth; [`MemoryMarketplace`] and
//! [`MemoryCatalogue`] answer from it as the ports do, under a clock that a test moves; [`server`] answers from it by HTTP
//! as the vendors do.

mod assortment;
mod catalogue;
mod index;
mod order;
mod product;
pub mod server;
mod told;
pub mod truth;
pub mod twin;

pub use assortment::{Assortment, Push};
pub use catalogue::{CatalogueCalls, MemoryCatalogue};
pub use order::{Case, CaseStage, Line, Order, Stage};
pub use product::{PICTURE_HOST, Product, Shelf, Variant, address};
pub use truth::{Disturbance, Kind, Late, Market, Notice, Page, Ties};
pub use twin::{Calls, Conduct, Garbled, MemoryMarketplace, Saying};
