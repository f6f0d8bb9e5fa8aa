//! Where things are kept and fetched: the ports, their AWS implementations, and (feature `testing`) their
//! in-memory twins, the fault injector and the suite that both pass.
//!
//! Invariant (law 4): a port's error says whether the thing may have happened all the same.

pub mod aws;
pub mod certificates;
pub mod clock;
pub mod error;
pub mod gzip;
pub mod knowledge;
pub mod ports;
pub mod quotes;
pub mod secrets;
pub mod spool;
#[cfg(feature = "testing")]
pub mod testing;
pub mod web;

pub use error::{Certainty, Disposition, PortError};
