//! Hermetic scenarios: the functions over the in-memory twins, with seeded histories and faults.
//! Tests are named as claims; a failure prints its seed, and the seed replays it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::string_slice,
    missing_docs,
    unreachable_pub
)]

mod mutations;
mod support;

mod batches;
mod catalogues;
mod checks;
mod creation;
mod faults;
mod gateways;
mod hostile;
mod hostile_orders;
mod hostile_payment_tricks;
mod hostile_payments;
mod image_tricks;
mod images;
mod interleavings;
mod joins;
mod ledger;
mod marketplaces;
mod meaning;
mod metrics;
mod money;
mod payments;
mod product_sweeps;
mod reading;
mod refunds;
mod rotations;
mod signatures;
mod sweeps;
mod twins;
mod vendor_calls;
mod web;
