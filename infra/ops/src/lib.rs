//! The operator's command, and the local stack for the tests that need one.
//!
//! Invariant: a command works on AWS and on the local stack alike. Only where the stack is found differs
//! ([`stack::Session::open`]), and only [`local`] knows the emulator. Both are deployed by [`deploy`].

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command prints its answers")]

pub mod backfill;
mod check;
pub mod cli;
mod days;
pub mod delivery;
pub mod demo;
pub mod deploy;
pub mod http;
pub mod images;
mod invoke;
pub mod ledger;
pub mod local;
pub mod logs;
pub mod orders;
pub mod queues;
pub mod samples;
mod secrets;
pub mod send;
pub mod simulate;
pub mod stack;
pub mod status;
pub mod sweep;
mod table;
pub mod trades;
pub mod watermark;
