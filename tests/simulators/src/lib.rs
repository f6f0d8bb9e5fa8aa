//! The outside, simulated: it says what it would say, and signs as it would sign.
//!
//! For tests and for the local stack. The keys are this crate's own and good for nothing.
#![allow(clippy::expect_used, reason = "the keys are constants, and a test loads them")]

pub mod gateway;
pub mod images;
pub mod invocations;
pub mod marketplace;
pub mod web;
