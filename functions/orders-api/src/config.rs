//! What orders-api reads from its environment.

use adapters::aws::Settings;
use adapters::web::EcbRates;
use lambda::config::{self, ConfigError};
use rust_decimal::Decimal;

const RATES_URL: &str = "RATES_URL";
const QUOTE_TOLERANCE_PERCENT: &str = "QUOTE_TOLERANCE_PERCENT";

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
    /// `NONCES_TABLE`.
    pub nonces_table: String,
    /// `RATES_URL`.
    pub rates: EcbRates,
    /// `QUOTE_TOLERANCE_PERCENT`: how far an order's rate may be off the quote that the customer was shown.
    pub quote_tolerance_percent: Decimal,
    /// `SECRET_ID`.
    pub secret_id: String,
}

impl Config {
    /// Reads the environment.
    pub fn from_environment() -> Result<Self, ConfigError> {
        Ok(Self {
            aws: config::aws()?,
            orders_table: config::required("ORDERS_TABLE")?,
            trades_table: config::required("TRADES_TABLE")?,
            payments_table: config::required("PAYMENTS_TABLE")?,
            nonces_table: config::required("NONCES_TABLE")?,
            rates: EcbRates::new(config::required(RATES_URL)?).map_err(|_| ConfigError::Malformed(RATES_URL))?,
            quote_tolerance_percent: domain::money::decimal(&config::required(QUOTE_TOLERANCE_PERCENT)?)
                .map_err(|_| ConfigError::Malformed(QUOTE_TOLERANCE_PERCENT))?,
            secret_id: config::required("SECRET_ID")?,
        })
    }
}
