//! The secrets document in AWS Secrets Manager.

use aws_sdk_secretsmanager::Client;
use aws_types::SdkConfig;

use super::error::classify;
use crate::error::{Cause, Certainty, PortError};
use crate::ports::SecretsSource;
use crate::secrets::Secrets;

const READ: &str = "secrets.read";

/// One secret of the stack.
#[derive(Debug, Clone)]
pub struct SecretsManager {
    client: Client,
    secret_id: String,
}

impl SecretsManager {
    /// The secret of that name or ARN.
    pub fn new(config: &SdkConfig, secret_id: String) -> Self {
        Self { client: Client::new(config), secret_id }
    }
}

impl SecretsSource for SecretsManager {
    async fn read(&self) -> Result<Secrets, PortError> {
        let answer = self
            .client
            .get_secret_value()
            .secret_id(&self.secret_id)
            .send()
            .await
            .map_err(|error| classify(READ, error))?;
        // A secret that was never set has no text (AWS) or an empty one (emulator).
        let text = answer.secret_string().filter(|text| !text.is_empty());
        Secrets::from_json(text.ok_or(PortError::new(READ, Cause::Rejected, Certainty::Determinate))?)
    }
}
