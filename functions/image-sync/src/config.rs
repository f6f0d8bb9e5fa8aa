//! What image-sync reads from its environment.

use adapters::aws::Settings;
use adapters::web::images::{BYTES_PER_SECOND_MIN, Cap, ImageHosts};
use domain::THUMBNAIL_SIZES;
use lambda::config::{self, ConfigError};

const IMAGE_HOSTS: &str = "IMAGE_HOSTS";
const IMAGE_BYTES_PER_SECOND: &str = "IMAGE_BYTES_PER_SECOND";
const IMAGE_CONCURRENCY: &str = "IMAGE_CONCURRENCY";
const IMAGE_INSTANCES: &str = "IMAGE_INSTANCES";
const IMAGE_LOOPBACK: &str = "IMAGE_LOOPBACK";
const THUMBNAILS: &str = "THUMBNAILS";

/// The function's settings.
#[derive(Debug)]
pub struct Config {
    /// Region, credentials, endpoint.
    pub aws: Settings,
    /// `IMAGES_TABLE`.
    pub images_table: String,
    /// `IMAGES_BUCKET`.
    pub images_bucket: String,
    /// `QUARANTINE_QUEUE_URL`.
    pub quarantine_queue_url: String,
    /// `IMAGE_HOSTS`: who may be asked, a comma list. `IMAGE_LOOPBACK=allowed`, which only a local stack sets: addresses
    /// of this machine may be in it.
    pub hosts: ImageHosts,
    /// `IMAGE_BYTES_PER_SECOND` of the whole stack divided by `IMAGE_INSTANCES`, and `IMAGE_CONCURRENCY`: what this
    /// instance may take from the network.
    pub cap: Cap,
    /// `THUMBNAILS`: those that are made; none when it is `off`.
    pub thumbnails: &'static [u32],
}

impl Config {
    /// Reads the environment.
    pub fn from_environment() -> Result<Self, ConfigError> {
        let number = |name| config::required(name)?.parse().map_err(|_| ConfigError::Malformed(name));
        let loopback = config::optional(IMAGE_LOOPBACK).is_some_and(|word| word == "allowed");
        let hosts = ImageHosts::parse(&config::required(IMAGE_HOSTS)?, loopback);
        let connections = usize::try_from(number(IMAGE_CONCURRENCY)?).ok().filter(|connections| *connections > 0);
        let connections = connections.ok_or(ConfigError::Malformed(IMAGE_CONCURRENCY))?;
        let cap = Cap { bytes_per_second: number(IMAGE_BYTES_PER_SECOND)?, connections };
        let cap = cap.divided(number(IMAGE_INSTANCES)?);
        if cap.bytes_per_second < BYTES_PER_SECOND_MIN {
            return Err(ConfigError::Malformed(IMAGE_BYTES_PER_SECOND));
        }
        Ok(Self {
            aws: config::aws()?,
            images_table: config::required("IMAGES_TABLE")?,
            images_bucket: config::required("IMAGES_BUCKET")?,
            quarantine_queue_url: config::required("QUARANTINE_QUEUE_URL")?,
            hosts: hosts.map_err(|_| ConfigError::Malformed(IMAGE_HOSTS))?,
            cap,
            thumbnails: match config::required(THUMBNAILS)?.as_str() {
                "on" => &THUMBNAIL_SIZES,
                "off" => &[],
                _ => return Err(ConfigError::Malformed(THUMBNAILS)),
            },
        })
    }
}
