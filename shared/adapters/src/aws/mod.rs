//! The ports on AWS. One shared HTTP client, one table of what SDK errors mean.

mod connect;
pub mod dynamodb;
mod error;
mod s3;
mod secrets_manager;
mod sqs;
#[cfg(test)]
mod stub;

// One client a service: what asks the same service shares it.
pub use aws_sdk_dynamodb::Client as DynamoClient;
pub use aws_sdk_sqs::Client as SqsClient;
pub use connect::{Settings, connect};
pub use s3::{S3Images, S3RawDetails};
pub use secrets_manager::SecretsManager;
pub use sqs::{SqsEventQueue, SqsImageQueue, SqsQuarantine};
