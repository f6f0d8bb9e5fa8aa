//! What the shop front asks of Sampan: read an order, read a trade, link trades to an order.
//!
//! Invariant: nothing is answered to a request that no known client signed, and no signed request is
//! answered twice.

pub mod authentication;
pub mod config;
pub mod handler;
