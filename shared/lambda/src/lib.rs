//! What every function needs to run: configuration, log, HTTP, batches and deadlines; and what those that sweep share.
//!
//! Invariant: nothing here decides what an input means; it brings inputs in and answers out.

pub mod batch;
pub mod config;
pub mod deadline;
pub mod http;
pub mod log;
pub mod runtime;
pub mod sweep;
pub mod warnings;
