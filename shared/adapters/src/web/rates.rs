//! The ECB's reference rates.

use domain::ReferenceRates;
use protocols::ecb;

use super::{Web, is_https_or_loopback};
use crate::error::{Cause, Certainty, PortError};
use crate::ports::RateSource;

const RATES: &str = "rates.rates";

/// The ECB's file, at the ECB or wherever it is copied to.
#[derive(Debug)]
pub struct EcbRates {
    web: Web,
    url: String,
}

/// Rates decide what customers pay, so they come by https; by http from this machine alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the URL of the rates is neither https nor http at a loopback address")]
pub struct InvalidRatesUrl;

impl EcbRates {
    /// The file at that URL.
    pub fn new(url: String) -> Result<Self, InvalidRatesUrl> {
        if !is_https_or_loopback(&url) {
            return Err(InvalidRatesUrl);
        }
        Ok(Self { web: Web::default(), url })
    }
}

impl RateSource for EcbRates {
    async fn rates(&self) -> Result<ReferenceRates, PortError> {
        let file = self.web.download(RATES, &self.url, ecb::FILE_BYTES_MAX).await?;
        let file = file.ok_or(PortError::new(RATES, Cause::Away, Certainty::Determinate))?;
        let unreadable = |error: Box<dyn std::error::Error + Send + Sync>| PortError {
            source: Some(error),
            ..PortError::unreadable(RATES)
        };
        let text = std::str::from_utf8(&file).map_err(|error| unreadable(error.into()))?;
        ecb::read(text).map_err(|error| unreadable(error.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_come_by_https_or_from_this_machine() {
        for (url, is_good) in [
            ("https://www.ecb.europa.eu/stats/eurofxref/eurofxref-daily.xml", true),
            ("http://127.0.0.1:4566/rates.xml", true),
            ("http://localhost:1/", true),
            ("http://[::1]:1/", true),
            ("http://www.ecb.europa.eu/stats/eurofxref/eurofxref-daily.xml", false),
            ("http://127.0.0.1.elsewhere.example/", false),
            ("file:///etc/passwd", false),
            ("rates.xml", false),
            ("", false),
        ] {
            assert_eq!(EcbRates::new(url.to_owned()).is_ok(), is_good, "{url}");
        }
    }
}
