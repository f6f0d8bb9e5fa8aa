//! What webhook-intake reads from its environment.

use adapters::aws::Settings;
use lambda::config::{self, ConfigError};

/// The function's settings.
#[derive(Debug)]
pub struct Config {
    /// Region, credentials, endpoint.
    pub aws: Settings,
    /// `EVENTS_QUEUE_URL`.
    pub events_queue_url: String,
    /// `SECRET_ID`.
    pub secret_id: String,
}

impl Config {
    /// Reads the environment.
    pub fn from_environment() -> Result<Self, ConfigError> {
        Ok(Self {
            aws: config::aws()?,
            events_queue_url: config::required("EVENTS_QUEUE_URL")?,
            secret_id: config::required("SECRET_ID")?,
        })
    }
}
