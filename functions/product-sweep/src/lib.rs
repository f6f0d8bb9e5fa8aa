//! Asks marketplaces which products changed, and queues a request for each of their pictures.
//!
//! Invariant (law 1): a product counts as swept, and a watermark moves, only after every picture of what was read is
//! requested durably and every picture that is gone is marked, or what could not be read is in quarantine.

pub mod config;
pub mod handler;
pub mod job;
mod look;
mod shop;

pub use shop::{CATALOGUE_FROM, LIMITS};
