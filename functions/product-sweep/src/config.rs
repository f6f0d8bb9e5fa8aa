//! What product-sweep reads from its environment.

use adapters::aws::Settings;
use adapters::web::MarketplaceUrl;
use lambda::config::{self, ConfigError};

const ALI1688_URL: &str = "ALI1688_URL";
const SHOPS_AT_ONCE: &str = "SHOPS_AT_ONCE";

/// The function's settings.
#[derive(Debug)]
pub struct Config {
    /// Region, credentials, endpoint.
    pub aws: Settings,
    /// `IMAGES_TABLE`.
    pub images_table: String,
    /// `SWEEPS_TABLE`.
    pub sweeps_table: String,
    /// `IMAGES_QUEUE_URL`.
    pub images_queue_url: String,
    /// `QUARANTINE_QUEUE_URL`.
    pub quarantine_queue_url: String,
    /// `ALI1688_URL`: where 1688's gateway is.
    pub ali1688_url: MarketplaceUrl,
    /// `SHOPS_AT_ONCE`: shops that one run sweeps side by side.
    pub shops_at_once: usize,
    /// `SECRET_ID`.
    pub secret_id: String,
}

impl Config {
    /// Reads the environment.
    pub fn from_environment() -> Result<Self, ConfigError> {
        let url = MarketplaceUrl::new(&config::required(ALI1688_URL)?);
        let shops_at_once = config::required(SHOPS_AT_ONCE)?.parse().ok().filter(|shops| *shops > 0);
        Ok(Self {
            aws: config::aws()?,
            images_table: config::required("IMAGES_TABLE")?,
            sweeps_table: config::required("SWEEPS_TABLE")?,
            images_queue_url: config::required("IMAGES_QUEUE_URL")?,
            quarantine_queue_url: config::required("QUARANTINE_QUEUE_URL")?,
            ali1688_url: url.map_err(|_| ConfigError::Malformed(ALI1688_URL))?,
            shops_at_once: shops_at_once.ok_or(ConfigError::Malformed(SHOPS_AT_ONCE))?,
            secret_id: config::required("SECRET_ID")?,
        })
    }
}
