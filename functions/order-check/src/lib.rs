//! Goes through all orders that money was captured for, and tells which of them ask for a person because nothing happened.
//!
//! Invariant: it only reads. What it finds follows from facts and time, so that doing it again finds the same.

pub mod config;
pub mod handler;
