//! Asks marketplaces what changed, and queues it: sweeps by a schedule, messages that wait, history, audits.
//!
//! Invariant (law 1): a watermark moves, and a message is confirmed, only after what was read is durable in the queue
//! or in quarantine.

pub mod config;
pub mod handler;
pub mod job;
mod messages;
mod page;
mod shop;
