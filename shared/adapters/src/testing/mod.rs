//! What tests need of the ports: twins in memory, a fault injector around any of them, a clock that is
//! set by hand, and the suite that a twin and its AWS implementation both pass.

pub mod conformance;
mod faults;
mod images;
mod twins;

pub use faults::{Fault, FaultPlan, Faulty};
pub use images::{
    HostedImage, KnownProduct, MemoryImageBucket, MemoryImageHosts, MemoryImageQueue, MemoryManifest, MemoryProducts,
    digest_of,
};
pub use twins::{
    ManualClock, MemoryCertificates, MemoryEvents, MemoryLedger, MemoryNonces, MemoryOrders, MemoryQuarantine,
    MemoryRates, MemoryRawDetails, MemorySecrets, MemorySweeps, MemoryTrades,
};
