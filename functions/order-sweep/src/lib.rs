//! Asks marketplaces what changed, and queues it: sweeps by a schedule, messages that wait, history, audits.
//!
//! Invariant (law 1): a watermark moves, and a message is confirmed, only after what was read is durable in the queue
//! or in quarantine.

pub mod config;
pub mod handler;
mod lease;
mod lists;
mod messages;
mod page;
pub mod request;
mod shop;
mod stop;
mod tally;
mod time;

pub use lease::LEASE_MS;
pub use shop::HISTORY_MS;
pub use time::PAGE_MS_MAX;
