//! What status-writer reads from its environment.

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
    /// `IMAGES_TABLE`: what is known of products.
    pub images_table: String,
    /// `QUARANTINE_QUEUE_URL`.
    pub quarantine_queue_url: String,
}

impl Config {
    /// Reads the environment.
    pub fn from_environment() -> Result<Self, ConfigError> {
        Ok(Self {
            aws: config::aws()?,
            orders_table: config::required("ORDERS_TABLE")?,
            trades_table: config::required("TRADES_TABLE")?,
            images_table: config::required("IMAGES_TABLE")?,
            quarantine_queue_url: config::required("QUARANTINE_QUEUE_URL")?,
        })
    }
}
