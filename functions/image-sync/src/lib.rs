//! Fetches a product's images, keeps each picture once, and makes the thumbnails that a shop front needs.
//!
//! Invariant (law 1): an image is never skipped. It is kept, or its message comes back, or it stands in quarantine with
//! the reason.

pub mod config;
pub mod handler;
pub mod picture;
mod sync;
