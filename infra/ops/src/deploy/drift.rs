//! Functions that run other code than was deployed.
//!
//! CloudFormation compares keys with what it deployed last, and does not look at the functions. Somebody may have put other
//! code there since (`make deploy-function`, or by hand at the console), which a key that is the same would leave there.

use std::collections::BTreeMap;
use std::time::Duration;

use adapters::aws::{Settings, connect};
use anyhow::Context;
use aws_sdk_lambda::Client;
use aws_sdk_lambda::client::Waiters;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::package::Package;
use super::stack::RELEASE;
use crate::stack::Stack;
use crate::table::step;

/// The alias that senders reach a function by, with `Shift`.
const ALIAS: &str = "live";
/// How long Lambda may take for code that was put, in seconds. It takes some.
const PUT_SECONDS_MAX: u64 = 300;

/// Puts the code that is deployed where a function has other code under a key that does not change. What an alias has is a
/// version, which cannot be changed: then the parameters that are answered make the template publish another.
pub(super) async fn mend(
    settings: &Settings,
    stack: &str,
    before: &BTreeMap<String, String>,
    (bucket, packages): (&str, &[Package]),
) -> anyhow::Result<BTreeMap<String, String>> {
    let mut parameters = BTreeMap::new();
    let same: Vec<&Package> =
        packages.iter().filter(|package| before.get(package.parameter) == Some(&package.key)).collect();
    if same.is_empty() {
        return Ok(parameters);
    }
    let client = Client::new(&connect(settings.clone()));
    let functions = Stack::describe(settings, stack).await?.functions;
    for package in same {
        let Some(name) = functions.get(package.function) else { continue };
        if runs_other_code(&client, name, None, package).await? {
            put(&client, name, bucket, package).await?;
        }
        if runs_other_code(&client, name, Some(ALIAS), package).await? {
            step("Code", &format!("the alias of {name} stands on other code than was deployed; it moves to this one"));
            parameters.insert(RELEASE.to_owned(), format!("again-{:016x}", fastrand::u64(..)));
        }
    }
    Ok(parameters)
}

/// Whether a function, or its alias when it has it, runs other code than that of the package.
async fn runs_other_code(client: &Client, name: &str, alias: Option<&str>, package: &Package) -> anyhow::Result<bool> {
    let kept = client.get_function_configuration().function_name(name).set_qualifier(alias.map(str::to_owned));
    match kept.send().await {
        Ok(kept) => Ok(kept.code_sha256() != Some(BASE64_STANDARD.encode(package.sha256).as_str())),
        Err(error) if error.as_service_error().is_some_and(|error| error.is_resource_not_found_exception()) => {
            Ok(false)
        }
        Err(error) => Err(error).with_context(|| format!("cannot look at {name}")),
    }
}

/// Puts the code of the package, and waits until the function runs it.
async fn put(client: &Client, name: &str, bucket: &str, package: &Package) -> anyhow::Result<()> {
    let update = client.update_function_code().function_name(name).s3_bucket(bucket).s3_key(&package.key);
    update.send().await.with_context(|| format!("cannot put the code of {name}"))?;
    let updated = client.wait_until_function_updated_v2().function_name(name);
    let updated = updated.wait(Duration::from_secs(PUT_SECONDS_MAX)).await;
    updated.with_context(|| format!("{name} does not take its code"))?;
    step("Code", &format!("{name} had other code than was deployed; it has this one now"));
    Ok(())
}
