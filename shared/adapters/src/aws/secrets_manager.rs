//! The secrets document in AWS Secrets Manager.
//!
//! The operation is the SDK's, with its form, its retries and its errors. The client around it is put together here:
//! the SDK's own reads the endpoints of all of AWS when it is made, which is a good part of a start that a sender waits
//! for (`docs/decisions/2026-11-26-a-start-makes-one-connector-and-reads-the-secrets.md`).

use aws_runtime::auth::sigv4::{self, SigV4AuthScheme};
use aws_runtime::service_clock_skew::ServiceClockSkewInterceptor;
use aws_runtime::user_agent::{ApiMetadata, UserAgentInterceptor};
use aws_sdk_secretsmanager::operation::get_secret_value::{
    GetSecretValue, GetSecretValueError, GetSecretValueInput, GetSecretValueOutput,
};
use aws_smithy_runtime::client::defaults::{DefaultPluginParams, default_plugins};
use aws_smithy_runtime::client::http::connection_poisoning::ConnectionPoisoningInterceptor;
use aws_smithy_runtime::client::orchestrator::endpoints::StaticUriEndpointResolver;
use aws_smithy_runtime::client::orchestrator::invoke;
use aws_smithy_runtime::client::retries::classifiers::HttpStatusCodeClassifier;
use aws_smithy_runtime_api::client::auth::static_resolver::StaticAuthSchemeOptionResolver;
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_smithy_runtime_api::client::interceptors::context::{Error, Input};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponentsBuilder;
use aws_smithy_runtime_api::client::runtime_plugin::{RuntimePlugins, StaticRuntimePlugin};
use aws_smithy_types::config_bag::{FrozenLayer, Layer};
use aws_types::region::{Region, SigningRegion};
use aws_types::{SdkConfig, SigningName};

use super::error::classify;
use crate::error::{Cause, Certainty, PortError};
use crate::ports::SecretsSource;
use crate::secrets::Secrets;

const READ: &str = "secrets.read";
/// Its name in endpoints and signatures. Source: docs.aws.amazon.com/general/latest/gr/asm.html.
const SERVICE: &str = "secretsmanager";

/// What hosts end in, by how the name of a region begins; elsewhere `amazonaws.com`. Without the regions that are closed
/// to shops. Source: docs.aws.amazon.com/sdkref/latest/guide/feature-region.html.
const SUFFIXES: [(&str, &str); 2] = [("cn-", "amazonaws.com.cn"), ("eusc-", "amazonaws.eu")];

/// One secret of the stack.
#[derive(Debug, Clone)]
pub struct SecretsManager {
    plugins: RuntimePlugins,
    secret_id: String,
}

impl SecretsManager {
    /// The secret of that name or ARN.
    pub fn new(config: &SdkConfig, secret_id: String) -> Self {
        let defaults = DefaultPluginParams::new()
            .with_behavior_version(BehaviorVersion::latest())
            .with_retry_partition_name(SERVICE)
            .with_is_aws_sdk(true);
        let client = StaticRuntimePlugin::new().with_config(settings(config)).with_runtime_components(parts(config));
        let plugins = RuntimePlugins::new()
            .with_client_plugins(default_plugins(defaults))
            .with_client_plugin(client)
            .with_operation_plugin(GetSecretValue::new());
        Self { plugins, secret_id }
    }

    async fn get(&self) -> Result<GetSecretValueOutput, SdkError<Error, HttpResponse>> {
        let input = GetSecretValueInput::builder().secret_id(&self.secret_id).build();
        let input = input.map_err(SdkError::construction_failure)?;
        let output = invoke("Secrets Manager", "GetSecretValue", Input::erase(input), &self.plugins).await?;
        output.downcast().map_err(|_| SdkError::construction_failure("it answers in another form"))
    }
}

impl SecretsSource for SecretsManager {
    async fn read(&self) -> Result<Secrets, PortError> {
        let answer = self.get().await.map_err(|error| classify(READ, error.map_service_error(service_error)))?;
        // A secret that was never set has no text (AWS) or an empty one (emulator).
        let text = answer.secret_string().filter(|text| !text.is_empty());
        Secrets::from_json(text.ok_or(PortError::new(READ, Cause::Rejected, Certainty::Determinate))?)
    }
}

/// The operation's own error, which the orchestrator hands on without its type.
fn service_error(error: Error) -> GetSecretValueError {
    error.downcast().unwrap_or_else(GetSecretValueError::unhandled)
}

/// What the parts of a client look up.
fn settings(config: &SdkConfig) -> FrozenLayer {
    let mut settings = Layer::new(SERVICE);
    settings.store_put(SigningName::from_static(SERVICE));
    settings.store_put(ApiMetadata::new(SERVICE, env!("CARGO_PKG_VERSION")));
    settings.store_or_unset(config.region().cloned().map(SigningRegion::from));
    settings.store_or_unset(config.retry_config().cloned());
    settings.store_or_unset(config.timeout_config().cloned());
    settings.freeze()
}

/// What a client is made of: whom it asks, over what, as whom, and when it asks again.
fn parts(config: &SdkConfig) -> RuntimeComponentsBuilder {
    let mut parts = RuntimeComponentsBuilder::new(SERVICE)
        .with_http_client(config.http_client())
        .with_sleep_impl(config.sleep_impl())
        .with_time_source(config.time_source())
        .with_endpoint_resolver(Some(StaticUriEndpointResolver::uri(endpoint(config))))
        .with_auth_scheme(SigV4AuthScheme::new())
        .with_auth_scheme_option_resolver(Some(StaticAuthSchemeOptionResolver::new(vec![sigv4::SCHEME_ID])))
        .with_interceptor(ConnectionPoisoningInterceptor::new())
        .with_interceptor(ServiceClockSkewInterceptor::new())
        .with_interceptor(UserAgentInterceptor::new())
        .with_retry_classifier(HttpStatusCodeClassifier::default());
    if let Some(credentials) = config.credentials_provider() {
        parts.set_identity_resolver(sigv4::SCHEME_ID, credentials);
    }
    parts
}

/// Where Secrets Manager is: at the endpoint that was set, or at its region's.
fn endpoint(config: &SdkConfig) -> String {
    let region = config.region().map_or("", Region::as_ref);
    let suffix =
        SUFFIXES.iter().find(|(start, _)| region.starts_with(start)).map_or("amazonaws.com", |(_, suffix)| suffix);
    config.endpoint_url().map_or_else(|| format!("https://{SERVICE}.{region}.{suffix}"), str::to_owned)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use aws_sdk_secretsmanager::config::endpoint::{DefaultResolver, Params, ResolveEndpoint};
    use aws_smithy_types::retry::RetryConfig;

    use super::*;
    use crate::aws::stub::{Answer, Script};

    fn value(document: &str) -> Answer {
        Answer::Text(200, serde_json::json!({ "Name": "secrets", "SecretString": document }).to_string())
    }

    fn error(status: u16, code: &str) -> Answer {
        Answer::Text(status, serde_json::json!({ "__type": code, "Message": "no" }).to_string())
    }

    async fn read(script: &Script) -> Result<Secrets, PortError> {
        SecretsManager::new(&script.config(), "secrets".to_owned()).read().await
    }

    #[tokio::test]
    async fn it_asks_for_the_secret_by_its_name_signed_for_this_service() {
        let script = Script::new([value("{}")]);
        read(&script).await.unwrap();
        assert_eq!(script.asked(), [("GetSecretValue".to_owned(), serde_json::json!({ "SecretId": "secrets" }))]);
        let head = script.heads().pop().unwrap();
        assert_eq!(head.line, "POST /");
        assert!(head.headers["authorization"].contains("/eu-central-1/secretsmanager/aws4_request"));
        assert!(head.headers["user-agent"].contains("api/secretsmanager"));
    }

    #[tokio::test]
    async fn a_refusal_says_why_and_what_has_no_text_is_one() {
        for (answer, cause) in [
            (error(400, "ResourceNotFoundException"), Cause::Rejected),
            (error(400, "AccessDeniedException"), Cause::Rejected),
            (error(400, "ThrottlingException"), Cause::Throttled),
            (error(500, "InternalServiceError"), Cause::Away),
            (Answer::Text(502, "<html>".to_owned()), Cause::Away),
            (Answer::Text(200, "{".to_owned()), Cause::Away),
            (Answer::Text(200, "{}".to_owned()), Cause::Rejected),
            (value(""), Cause::Rejected),
            (Answer::Lost, Cause::Away),
        ] {
            assert_eq!(read(&Script::new([answer.clone()])).await.unwrap_err().cause, cause, "{answer:?}");
        }
    }

    #[tokio::test]
    async fn it_asks_again_as_often_as_every_client_does() {
        let retry = RetryConfig::standard().with_max_attempts(3).with_initial_backoff(Duration::from_millis(1));
        let script = Script::new([error(500, "InternalServiceError"), Answer::Lost, value("{}")]);
        let config = script.config().into_builder().retry_config(retry).build();
        SecretsManager::new(&config, "secrets".to_owned()).read().await.unwrap();
        assert_eq!(script.asked().len(), 3);
    }

    #[tokio::test]
    async fn hosts_are_those_that_the_sdk_knows_in_every_region_that_is_open() {
        for region in ["eu-central-1", "us-east-1", "ap-east-1", "us-gov-west-1", "cn-north-1", "eusc-de-east-1"] {
            let params = Params::builder().region(region).build().unwrap();
            let known = DefaultResolver::new().resolve_endpoint(&params).await.unwrap();
            let config = SdkConfig::builder().region(Region::new(region)).build();
            assert_eq!(endpoint(&config), known.url());
        }
    }
}
