//! The bucket of details: answers of marketplaces that are too large for an item, each under a key of its own content.

use aws_sdk_s3::Client;
use aws_sdk_s3::operation::get_object::GetObjectError;
use aws_sdk_s3::primitives::ByteStream;
use aws_types::SdkConfig;
use domain::{StoredKey, TradeKey};

use super::super::error::classify;
use super::settings;
use crate::error::{Cause, Certainty, PortError};
use crate::gzip::UNPACKED_BYTES_MAX;
use crate::ports::{RawDetails, raw_detail_key};

const PUT: &str = "raw_details.put";
const GET: &str = "raw_details.get";

/// The bucket of details.
#[derive(Debug, Clone)]
pub struct S3RawDetails {
    client: Client,
    bucket: String,
}

impl S3RawDetails {
    /// The bucket of that name.
    pub fn new(config: &SdkConfig, bucket: String) -> Self {
        Self { client: Client::from_conf(settings(config).build()), bucket }
    }
}

impl RawDetails for S3RawDetails {
    async fn put(&self, trade: &TradeKey, gzip: &[u8]) -> Result<StoredKey, PortError> {
        let key = raw_detail_key(PUT, trade, gzip)?;
        let call = self.client.put_object().bucket(&self.bucket).key(key.as_str()).content_type("application/gzip");
        call.body(ByteStream::from(gzip.to_vec())).send().await.map_err(|error| classify(PUT, error))?;
        Ok(key)
    }

    async fn get(&self, key: &StoredKey) -> Result<Option<Vec<u8>>, PortError> {
        let found = self.client.get_object().bucket(&self.bucket).key(key.as_str()).send().await;
        // Whoever may not list the bucket is answered AccessDenied instead, which is an error here too.
        let found = match found {
            Ok(found) => found,
            Err(error) if error.as_service_error().is_some_and(GetObjectError::is_no_such_key) => return Ok(None),
            Err(error) => return Err(classify(GET, error)),
        };
        // What was put is shorter packed than a text may be unpacked.
        let bytes = found.content_length().and_then(|bytes| u64::try_from(bytes).ok());
        if bytes.is_none_or(|bytes| bytes > UNPACKED_BYTES_MAX) {
            return Err(PortError::unreadable(GET));
        }
        let body = found.body.collect().await.map_err(|error| PortError {
            source: Some(Box::new(error)),
            ..PortError::new(GET, Cause::Away, Certainty::Indeterminate)
        })?;
        Ok(Some(body.to_vec()))
    }
}
