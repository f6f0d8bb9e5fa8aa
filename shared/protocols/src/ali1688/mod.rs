//! 1688, the Alibaba domestic wholesale marketplace: signatures, calls, orders, products, errors, pushed messages, status words.

pub mod api;
pub mod error;
pub mod orders;
pub mod products;
pub mod push;
pub mod signature;
pub mod status;
