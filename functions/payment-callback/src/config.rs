//! What payment-callback reads from its environment.

use adapters::aws::Settings;
use lambda::config::{self, ConfigError};

/// The function's settings.
#[derive(Debug)]
pub struct Config {
    /// Region, credentials, endpoint.
    pub aws: Settings,
    /// `PAYMENTS_TABLE`.
    pub payments_table: String,
    /// `SECRET_ID`.
    pub secret_id: String,
}

impl Config {
    /// Reads the environment.
    pub fn from_environment() -> Result<Self, ConfigError> {
        Ok(Self {
            aws: config::aws()?,
            payments_table: config::required("PAYMENTS_TABLE")?,
            secret_id: config::required("SECRET_ID")?,
        })
    }
}
