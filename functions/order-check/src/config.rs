//! What order-check reads from its environment.

use adapters::aws::Settings;
use lambda::config::{self, ConfigError};

/// The function's settings.
#[derive(Debug)]
pub struct Config {
    /// Region, credentials, endpoint.
    pub aws: Settings,
    /// `ORDERS_TABLE`.
    pub orders_table: String,
    /// `TRADES_TABLE`.
    pub trades_table: String,
    /// `PAYMENTS_TABLE`.
    pub payments_table: String,
}

impl Config {
    /// Reads the environment.
    pub fn from_environment() -> Result<Self, ConfigError> {
        Ok(Self {
            aws: config::aws()?,
            orders_table: config::required("ORDERS_TABLE")?,
            trades_table: config::required("TRADES_TABLE")?,
            payments_table: config::required("PAYMENTS_TABLE")?,
        })
    }
}
