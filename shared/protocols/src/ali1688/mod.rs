//! 1688, the Alibaba domestic wholesale marketplace: signatures, pushed messages, status words.

pub mod push;
pub mod signature;
pub mod status;
