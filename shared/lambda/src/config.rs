//! The environment, read once at init. A missing or malformed variable fails init with its name.

use adapters::aws::Settings;

/// A variable that a function cannot start without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// It is not set, or is empty.
    #[error("environment variable {0} is not set")]
    Missing(&'static str),
    /// It is set to something that it cannot be.
    #[error("environment variable {0} cannot be read")]
    Malformed(&'static str),
}

/// A variable that must be set.
pub fn required(name: &'static str) -> Result<String, ConfigError> {
    optional(name).ok_or(ConfigError::Missing(name))
}

/// A variable that may be unset or empty.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub fn optional(name: &'static str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The name under which Lambda runs this program; empty elsewhere.
pub fn function_name() -> String {
    optional("AWS_LAMBDA_FUNCTION_NAME").unwrap_or_default()
}

/// Region, credentials and endpoint, as Lambda and the operator's shell set them.
pub fn aws() -> Result<Settings, ConfigError> {
    Ok(Settings {
        region: required("AWS_REGION")?,
        access_key_id: required("AWS_ACCESS_KEY_ID")?,
        secret_access_key: required("AWS_SECRET_ACCESS_KEY")?,
        session_token: optional("AWS_SESSION_TOKEN"),
        endpoint_url: optional("AWS_ENDPOINT_URL"),
    })
}
