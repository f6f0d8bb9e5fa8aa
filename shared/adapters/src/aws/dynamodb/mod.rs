//! The facts on DynamoDB, by the items table of ARCHITECTURE.md.

mod book;
mod cell;
mod items;
mod ledger;
mod nonces;
mod orders;
mod sweeps;
mod trades;

pub use ledger::DynamoLedger;
pub use nonces::DynamoNonces;
pub use orders::DynamoOrders;
pub use sweeps::DynamoSweeps;
pub use trades::DynamoTrades;
