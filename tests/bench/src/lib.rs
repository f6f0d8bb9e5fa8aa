//! Benchmarks with their budgets. Each figure stands beside what was promised, and beside another program's where there
//! is one; the exit status tells whether all promises were kept.
//!
//! What is measured runs in processes of its own, so that what plays the outside costs it nothing.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command prints its answers")]

pub mod aws;
pub mod bucket;
pub mod child;
pub mod cost;
pub mod events;
pub mod functions;
pub mod images;
pub mod process;
pub mod pure;
pub mod rclone;
pub mod rivals;
pub mod runtime;
pub mod table;
