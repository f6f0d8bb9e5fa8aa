//! The nonces table: `app_key#nonce`, once if absent, removed by TTL some time after it may be forgotten.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use domain::{AppKey, Nonce, UnixMillis};

use super::super::error::classify;
use super::attributes::text;
use crate::error::PortError;
use crate::ports::{Claim, Nonces};

const CLAIM: &str = "nonces.claim";

/// The nonces table.
#[derive(Debug, Clone)]
pub struct DynamoNonces {
    client: Client,
    table: String,
}

impl DynamoNonces {
    /// The table of that name.
    pub fn new(client: &Client, table: String) -> Self {
        Self { client: client.clone(), table }
    }
}

impl Nonces for DynamoNonces {
    async fn claim(
        &self,
        client: &AppKey,
        nonce: &Nonce,
        request_id: &str,
        forget_at: UnixMillis,
    ) -> Result<Claim, PortError> {
        let answer = self
            .client
            .put_item()
            .table_name(&self.table)
            .item("pk", AttributeValue::S(format!("{client}#{nonce}")))
            .item("request_id", AttributeValue::S(request_id.to_owned()))
            // The TTL attribute is in seconds. It cleans up and never decides.
            .item("expires_at", AttributeValue::N(forget_at.seconds().to_string()))
            .condition_expression("attribute_not_exists(pk)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let Err(error) = answer else { return Ok(Claim::Ours) };
        match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(lost)) => {
                let claimed_by = lost.item().and_then(|item| text(item, "request_id"));
                Ok(if claimed_by == Some(request_id) { Claim::Ours } else { Claim::Used })
            }
            _ => Err(classify(CLAIM, error)),
        }
    }
}
