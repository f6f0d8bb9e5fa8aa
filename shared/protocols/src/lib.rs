//! How the outside speaks: wire forms, signatures, status words, refusals. One counterpart a module.
//!
//! Pure, like `domain`: bytes in, values out. Nothing here keeps, sends or logs anything, and no error
//! repeats what a sender wrote.

pub mod ali1688;
mod answers;
pub mod checks;
pub mod client;
pub mod cloudevents;
pub mod delivery;
pub mod detail;
pub mod ecb;
pub mod flat_hmac;
pub mod gateway;
pub mod images;
mod json;
pub mod log;
mod mac;
pub mod marketplace;
pub mod orders_api;
pub mod refusal;
pub mod source;
pub mod standard_webhooks;
pub mod sweeps;
pub mod taobao;

pub use delivery::{Channel, Content, Credentials, Delivery, Unverified, Verified, VerifiedEvent};
pub use refusal::Refusal;
