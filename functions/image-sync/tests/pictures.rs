//! What is promised of pictures, by pictures that are made by code.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::float_arithmetic,
    clippy::print_stdout,
    missing_docs,
    unreachable_pub
)]

mod made;

#[path = "pictures/colours.rs"]
mod colours;
#[path = "pictures/mutations.rs"]
mod mutations;
#[path = "pictures/refusals.rs"]
mod refusals;
#[path = "pictures/thumbnails.rs"]
mod thumbnails;
