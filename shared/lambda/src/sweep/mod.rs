//! What the functions that sweep share: leases, slices and pages, silence, the time of a run, the answer and the line of
//! each shop. What is listed, and what becomes of a page, is each function's own ([`Listing`], [`Work`]).
//!
//! Invariant (law 1): a watermark moves only after what was read is durable.

mod lease;
mod lists;
mod run;
mod set_aside;
mod shop;
mod stop;
mod tally;
mod time;

pub use lease::{Held, LEASE_MS};
pub use lists::{Course, Listing, read};
pub use run::{Settings, refused, run};
pub use set_aside::{set_aside, without_detail};
pub use shop::Work;
pub use stop::Stop;
pub use tally::Tally;
pub use time::{PAGE_MS_MAX, RunTime};
