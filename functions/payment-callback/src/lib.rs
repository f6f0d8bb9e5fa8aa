//! Takes the callbacks of payment gateways in: verified on the raw bytes, written into the ledger, answered.
//!
//! Invariant (laws 1 and 3): a gateway's yes is answered only when every movement of the callback is durable, as an
//! entry of the ledger or as a contradiction beside it. One conditional put is marker and effect in one.

pub mod config;
pub mod handler;
