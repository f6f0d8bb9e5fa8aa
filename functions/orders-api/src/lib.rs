//! What the shop front asks of Sampan: quote, create, read and link orders, read trades, refund.
//!
//! Invariant: nothing is answered to a request that no known client signed, and no signed request is
//! answered twice. Money that moved is converted by the rate that its order pinned, and by no other.

pub mod authentication;
pub mod config;
mod creation;
pub mod handler;
mod reading;
mod refunds;
