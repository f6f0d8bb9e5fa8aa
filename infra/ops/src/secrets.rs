//! `sampan secrets`, and the stack's secrets document as an operator has it: read from a file, written into the stack.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use adapters::secrets::Secrets;
use anyhow::{Context, bail, ensure};
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueError;
use aws_types::SdkConfig;
use clap::Subcommand;
use domain::{Gateway, Marketplace};
use serde_json::Value;

use crate::stack::Session;
use crate::table::step;

/// What to do with the secrets document.
#[derive(Debug, Subcommand)]
pub(crate) enum SecretsCommand {
    /// Write a secrets document in the place of the one that the stack has, unless an entry of it lets nobody in, or one of
    /// the stack's is not in it
    Put {
        /// The document
        file: PathBuf,
        /// Take away the entries that the document has not
        #[arg(long)]
        remove: bool,
    },
}

/// Writes the secrets document of a stack.
pub(crate) async fn run(session: &Session, command: SecretsCommand) -> anyhow::Result<()> {
    let SecretsCommand::Put { file, remove } = command;
    let document = read(&file, Unusable::Refused)?;
    let missing = if remove { Missing::Removed } else { Missing::Refused };
    put(&session.config, &session.stack.secret_id, &document, missing).await
}

/// The longest name that is shown. Shops and sources are shorter, secrets are longer; with `.access_token` behind it.
const SHOWN_MAX: usize = 30;

/// Where the shops stand in a document, by their marketplaces; and the sections of others whom it lets in.
const MARKETPLACES: &str = "marketplaces";
const SECTIONS: [&str; 3] = ["sources", "gateways", "clients"];

/// What is done with a document of which some entries let nobody in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unusable {
    /// It is not taken: somebody would be shut out of a stack that handles money.
    Refused,
    /// It is taken, and they are named.
    Named,
}

/// What is done with a document without entries that the stack has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// It is not written: whoever has those entries would be shut out.
    Refused,
    /// It is written.
    Removed,
}

/// Reads the secrets document, and refuses one that the functions could not read.
pub(crate) fn read(file: &Path, unusable: Unusable) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("cannot read the secrets document {}", file.display()))?;
    let places = without_use(&text).with_context(|| format!("{} is not a secrets document", file.display()))?;
    let text_of_places = format!("entries of {} cannot be used: {}", file.display(), places.join("; "));
    match unusable {
        _ if places.is_empty() => {}
        Unusable::Refused => bail!(text_of_places),
        Unusable::Named => step("Secrets", &text_of_places),
    }
    Ok(text)
}

/// The places of what the functions cannot use, and of what they do not look at.
fn without_use(text: &str) -> anyhow::Result<Vec<String>> {
    let secrets = Secrets::from_json(text)?;
    let document: Value = serde_json::from_str(text)?;
    let names = |place: &str| names(&document, place).into_iter();
    let is_section = |name: &str| name == MARKETPLACES || SECTIONS.contains(&name);
    let sections = names("").filter(|name| !is_section(name));
    let marketplaces = names("/marketplaces").filter(|name| Marketplace::from_name(name).is_err());
    let gateways = names("/gateways").filter(|name| Gateway::from_name(name).is_none());
    let unknown = sections
        .map(|name| shown(&name))
        .chain(marketplaces.map(|name| format!("marketplaces.{}", shown(&name))))
        .chain(gateways.map(|name| format!("gateways.{}", shown(&name))))
        .map(|place| format!("{place} (nothing looks at it)"));
    let unusable = secrets.unusable().into_iter().map(|one| match &one.name {
        Some(name) => format!("{}.{}", one.section, shown(name)),
        None if one.section.starts_with("gateways") => one.section.clone(),
        None => format!("{}, an entry whose name is none", one.section),
    });
    Ok(unusable.chain(unknown).collect())
}

/// The names of what an object in a document has.
pub(crate) fn names(document: &Value, pointer: &str) -> Vec<String> {
    let object = document.pointer(pointer).and_then(Value::as_object);
    object.map(|object| object.keys().cloned().collect()).unwrap_or_default()
}

/// A name as it may stand in the log of whoever deploys. One that is as long as a secret may be one in the wrong place.
fn shown(name: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    if name.len() <= SHOWN_MAX && name.chars().all(is_plain) {
        name.to_owned()
    } else {
        format!("(a name of {} characters)", name.chars().count())
    }
}

/// The entries of a document that another one has not.
fn gone(kept: &str, document: &str) -> Vec<String> {
    entries(kept).difference(&entries(document)).cloned().collect()
}

/// Whom a document lets in, by the place of the entry.
fn entries(document: &str) -> BTreeSet<String> {
    let document: Value = serde_json::from_str(document).unwrap_or_default();
    let marketplaces = Marketplace::ALL.map(|marketplace| format!("{MARKETPLACES}/{}", marketplace.as_str()));
    let sections = marketplaces.into_iter().chain(SECTIONS.map(str::to_owned));
    let places = sections.flat_map(|section| {
        let names = names(&document, &format!("/{section}")).into_iter();
        names.map(move |name| format!("{}.{}", section.replace('/', "."), shown(&name)))
    });
    places.collect()
}

/// What the stack has; `None` of a secret without a value, which is not found on AWS and an empty text on the emulator.
pub(crate) async fn kept(config: &SdkConfig, secret_id: &str) -> anyhow::Result<Option<String>> {
    match Client::new(config).get_secret_value().secret_id(secret_id).send().await {
        Ok(kept) => Ok(kept.secret_string.filter(|document| !document.is_empty())),
        Err(error) if error.as_service_error().is_some_and(GetSecretValueError::is_resource_not_found_exception) => {
            Ok(None)
        }
        Err(error) => Err(error).context("cannot read the secrets document that the stack has"),
    }
}

/// Sets the secret's value where it differs.
pub(crate) async fn put(config: &SdkConfig, secret_id: &str, document: &str, missing: Missing) -> anyhow::Result<()> {
    let kept = kept(config, secret_id).await?.unwrap_or_default();
    if kept == document {
        step("Secrets", "are these already");
        return Ok(());
    }
    let gone = gone(&kept, document);
    ensure!(
        gone.is_empty() || missing == Missing::Removed,
        "the stack has entries that the document has not: {}; `sampan secrets put --remove` takes them away",
        gone.join(", ")
    );
    let put = Client::new(config).put_secret_value().secret_id(secret_id).secret_string(document).send().await;
    put.context("cannot write the secrets document into the stack's secret")?;
    step("Secrets", "written; a function that runs already reads them within 5 minutes");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lets_nobody_in_is_named_and_what_nobody_looks_at_too() {
        let document = r#"{"marketplaces": {"1688": {"demo": {"app_secrets": [" "]}}, "ebay": {}},
                           "gateways": {"strip": {"signing_secrets": ["s"]}}, "client": {},
                           "clients": {"0123456789abcdef0123456789abcdef": {"secrets": []}}}"#;
        let places = [
            "clients.(a name of 32 characters)",
            "marketplaces.1688.demo",
            "client (nothing looks at it)",
            "marketplaces.ebay (nothing looks at it)",
            "gateways.strip (nothing looks at it)",
        ];
        assert_eq!(without_use(document).unwrap(), places);
        assert!(without_use(r#"{"clients": 7}"#).is_err());
    }

    #[test]
    fn entries_are_told_by_their_places() {
        let document = r#"{"marketplaces": {"1688": {"demo": {}, "other": 7}, "taobao": []}, "gateways": {"stripe": {}},
                           "sources": {"warehouse": {}}, "clients": {}}"#;
        let places = ["gateways.stripe", "marketplaces.1688.demo", "marketplaces.1688.other", "sources.warehouse"];
        assert_eq!(entries(document), places.map(str::to_owned).into());
        assert!(entries("").is_empty() && entries("[]").is_empty());
        assert_eq!(
            gone(document, r#"{"marketplaces": {"1688": {"demo": {}}}, "gateways": {}, "sources": {"warehouse": {}}}"#),
            ["gateways.stripe", "marketplaces.1688.other"]
        );
        assert!(gone("", document).is_empty() && gone(document, document).is_empty());
    }

    #[test]
    fn the_local_stack_s_own_document_is_used_whole() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../local/secrets.json");
        assert!(read(&file, Unusable::Refused).is_ok());
    }
}
