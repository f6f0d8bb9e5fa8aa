//! Takes deliveries of marketplaces and sources in: verified on the raw bytes, queued, answered.
//!
//! Invariant (law 1): 200 is answered only when every event of the delivery is durable in the queue, or
//! when there is nothing in it for us to keep.

pub mod config;
pub mod handler;
