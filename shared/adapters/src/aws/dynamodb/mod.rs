//! The facts on DynamoDB, by the items table of ARCHITECTURE.md.

mod cell;
mod items;
mod nonces;
mod orders;
mod trades;

pub use nonces::DynamoNonces;
pub use orders::DynamoOrders;
pub use trades::DynamoTrades;
