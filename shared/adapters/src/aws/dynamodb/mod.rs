//! The facts on DynamoDB, by the items table of ARCHITECTURE.md.

mod attributes;
mod book;
mod cell;
mod images;
mod items;
mod ledger;
mod nonces;
mod orders;
mod products;
mod sweeps;
mod trades;

pub use images::DynamoManifest;
pub use ledger::DynamoLedger;
pub use nonces::DynamoNonces;
pub use orders::DynamoOrders;
pub use products::DynamoProducts;
pub use sweeps::DynamoSweeps;
pub use trades::DynamoTrades;
