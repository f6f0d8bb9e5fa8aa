//! The stack's secrets document, as an operator has it: read from a file, written into the stack.

use std::path::Path;

use adapters::secrets::Secrets;
use anyhow::Context;
use aws_sdk_secretsmanager::Client;
use aws_types::SdkConfig;

use crate::table::step;

/// Reads the secrets document, and refuses one that the functions could not read.
pub(crate) fn read(file: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("cannot read the secrets document {}", file.display()))?;
    let secrets = Secrets::from_json(&text).with_context(|| format!("{} is not a secrets document", file.display()))?;
    if secrets.unusable() > 0 {
        step("Secrets", &format!("{} entries of {} cannot be used", secrets.unusable(), file.display()));
    }
    Ok(text)
}

/// What the stack has; `None` of a secret without a value, which is an error on AWS and an empty text on the emulator.
pub(crate) async fn kept(config: &SdkConfig, secret_id: &str) -> Option<String> {
    let kept = Client::new(config).get_secret_value().secret_id(secret_id).send().await;
    kept.ok()?.secret_string.filter(|document| !document.is_empty())
}

/// Sets the secret's value where it differs.
pub(crate) async fn put(config: &SdkConfig, secret_id: &str, document: &str) -> anyhow::Result<()> {
    if kept(config, secret_id).await.as_deref() == Some(document) {
        return Ok(());
    }
    let put = Client::new(config).put_secret_value().secret_id(secret_id).secret_string(document).send().await;
    put.context("cannot write the secrets document into the stack's secret")?;
    step("Secrets", "written; a function that runs already reads them within 5 minutes");
    Ok(())
}
