//! The buckets: answers of marketplaces that are too large for an item, and pictures.

mod details;
mod images;

use aws_sdk_s3::config::Builder;
use aws_types::SdkConfig;

pub use details::S3RawDetails;
pub use images::S3Images;

/// The settings of a client of S3. An emulator has one host for all buckets.
fn settings(config: &SdkConfig) -> Builder {
    Builder::from(config).force_path_style(config.endpoint_url().is_some())
}
