//! What a picture costs in memory, counted by the allocator: a program of its own, because it counts for all of one.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::as_conversions, clippy::print_stdout, missing_docs)]
#![allow(clippy::float_arithmetic, clippy::panic)]

mod made;

fn main() {}
