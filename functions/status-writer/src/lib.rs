//! Turns queued events into facts: each record by itself, one conditional write an item, and an answer
//! that names exactly the records that have to come again.
//!
//! Invariant (law 1): a record that is not named as failed is durable, as a fact or in quarantine.

pub mod batch;
pub mod config;
pub mod handler;
mod writes;
