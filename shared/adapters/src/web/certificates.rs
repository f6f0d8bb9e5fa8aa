//! PayPal's certificates.

use protocols::gateway::PublicKey;
use protocols::gateway::paypal::CertificateUrl;

use super::Web;
use crate::error::PortError;
use crate::ports::CertificateSource;

const KEY: &str = "certificates.key";
/// The largest file that is read, in bytes. A certificate with its chain has about 8 KiB.
const FILE_BYTES_MAX: usize = 64 * 1_024;

/// Whatever PayPal publishes. That it is PayPal who does is known by TLS: the host is `paypal.com` or below it, its
/// certificate chains to the web's roots, and no redirect leads elsewhere.
#[derive(Debug, Default)]
pub struct PaypalCertificates {
    web: Web,
    #[cfg(feature = "testing")]
    origin: Option<String>,
}

impl PaypalCertificates {
    /// The same paths at another origin, such as a simulator's.
    #[cfg(feature = "testing")]
    pub fn at(origin: String) -> Self {
        Self { web: Web::default(), origin: Some(origin) }
    }

    fn address(&self, url: &CertificateUrl) -> String {
        #[cfg(feature = "testing")]
        if let Some(origin) = &self.origin {
            let path = url.as_str().splitn(4, '/').nth(3).unwrap_or_default();
            return format!("{origin}/{path}");
        }
        url.as_str().to_owned()
    }
}

impl CertificateSource for PaypalCertificates {
    async fn key(&self, url: &CertificateUrl) -> Result<Option<PublicKey>, PortError> {
        let file = self.web.download(KEY, &self.address(url), FILE_BYTES_MAX).await?;
        let text = file.and_then(|file| String::from_utf8(file).ok());
        Ok(text.and_then(|text| PublicKey::from_certificate(&text)))
    }
}
