//! Where marketplaces are asked, and what is told of the calls: enough to see how they go, and no word of what was
//! asked or answered.

use domain::{Marketplace, ShopId};

use super::is_https_or_loopback;

/// Where a marketplace's gateway is: https, or http at a loopback address.
#[derive(Debug, Clone)]
pub struct MarketplaceUrl(String);

/// Orders and tokens go there, so it is asked by https; by http on this machine alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the URL of a marketplace is neither https nor http at a loopback address")]
pub struct InvalidMarketplaceUrl;

impl MarketplaceUrl {
    /// The gateway at that URL; paths follow it.
    pub fn new(url: &str) -> Result<Self, InvalidMarketplaceUrl> {
        if !is_https_or_loopback(url) {
            return Err(InvalidMarketplaceUrl);
        }
        Ok(Self(url.trim_end_matches('/').to_owned()))
    }

    /// The URL, without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One try of a call, without what was asked or answered.
#[derive(Debug, Clone, Copy)]
pub struct Called<'a> {
    /// The marketplace.
    pub marketplace: Marketplace,
    /// For which of our shops.
    pub shop: &'a ShopId,
    /// Which call of its API.
    pub call: &'static str,
    /// Which try, counted from 1.
    pub attempt: u32,
    /// How long it took, in milliseconds.
    pub duration_ms: i64,
    /// `answered`, or the word for what went wrong.
    pub outcome: &'static str,
}

/// Is told of every try.
pub trait CallObserver {
    /// Takes one down.
    fn called(&self, call: &Called<'_>);
}
