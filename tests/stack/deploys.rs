//! What `sampan deploy` and `sampan destroy` do to a stack, by the same calls as on AWS: made, brought to other code and
//! other parameters with its data kept, taken away without its facts, and with them.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use adapters::aws::Settings;
use adapters::ports::OrderStore;
use anyhow::{Context, ensure};
use domain::{OrderId, SourceName};
use protocols::Channel;
use sampan::delivery::Delivery;
use sampan::deploy::{Architecture, Arguments, FUNCTIONS, deploy, destroy};
use sampan::stack::{Session, Stack, local_settings};
use serde_json::json;

use crate::stage::{RATES_PATH, Stage, now, root};

/// Looks at an order that is on its way, one every 50 ms.
const LOOKS_MAX: u32 = 600;

/// A stack beside that of the stage, on the same emulator.
struct Beside {
    settings: Settings,
    name: &'static str,
    functions: PathBuf,
    secrets: PathBuf,
    rates_url: String,
}

impl Beside {
    /// With programs where cargo-lambda puts them.
    fn new(stage: &Stage, name: &'static str) -> anyhow::Result<Self> {
        let programs = std::env::current_exe()?.parent().and_then(Path::parent).context("no directory")?.to_owned();
        let functions = stage.directory.join(name);
        for (function, _) in FUNCTIONS {
            std::fs::create_dir_all(functions.join(function))?;
            std::fs::copy(programs.join(function), functions.join(function).join("bootstrap"))?;
        }
        let endpoint = stage.session.stack.endpoint_url.clone().context("no endpoint")?;
        let settings = local_settings(endpoint, &stage.session.stack.region);
        let secrets = stage.options().secrets;
        Ok(Self { settings, name, functions, secrets, rates_url: format!("{}{RATES_PATH}", stage.rates.url) })
    }

    async fn deploy(&self, parameters: &[&str]) -> anyhow::Result<Session> {
        let arguments = Arguments {
            bucket: None,
            arch: Architecture::HERE,
            parameters: parameters.iter().map(|text| (*text).to_owned()).collect(),
            secrets: Some(self.secrets.clone()),
            functions: self.functions.clone(),
            template: root().join("infra/template.yaml"),
        };
        Session::local(deploy(&self.settings, self.name, &arguments).await?)
    }

    async fn make(&self) -> anyhow::Result<Session> {
        let rates = format!("RatesUrl={}", self.rates_url);
        self.deploy(&["RequireTls=false", "SweepSchedules=DISABLED", "EventsBatchSize=7", &rates]).await
    }

    async fn is_there(&self) -> bool {
        Stack::describe(&self.settings, self.name).await.is_ok()
    }

    /// The digest of the code that a function runs.
    async fn code(&self, session: &Session, function: &str) -> anyhow::Result<String> {
        self.code_of(session, function, None).await
    }

    /// That of a function's alias, when one is named.
    async fn code_of(&self, session: &Session, function: &str, alias: Option<&str>) -> anyhow::Result<String> {
        let lambda = aws_sdk_lambda::Client::new(&session.config);
        let kept = lambda.get_function_configuration().function_name(session.stack.function(function)?);
        let kept = kept.set_qualifier(alias.map(str::to_owned)).send().await?;
        kept.code_sha256.context("a function without code")
    }

    /// Puts the code of another function into one, as somebody would at the console.
    async fn put_other_code(&self, session: &Session, function: &str) -> anyhow::Result<()> {
        let (lambda, right) = (aws_sdk_lambda::Client::new(&session.config), self.code(session, function).await?);
        let parameters = session.parameters().await?;
        let parameter = |name: &str| parameters.get(name).context("a parameter is missing");
        let put = lambda.update_function_code().function_name(session.stack.function(function)?);
        put.s3_bucket(parameter("CodeBucket")?).s3_key(parameter("OrderSweepCodeKey")?).send().await?;
        ensure!(self.code(session, function).await? != right, "the scene is not set");
        Ok(())
    }
}

/// Sends an event of the warehouse, and waits until it is a fact.
async fn arrives(stage: &Stage, session: &Session, order: &str) -> anyhow::Result<()> {
    let text = json!({"type": "order.status", "timestamp": now().to_rfc3339(),
                      "data": {"order_id": order, "status": "arrived"}});
    let channel = Channel::Source(SourceName::new("warehouse")?);
    let delivery = Delivery { channel, text: text.to_string(), id: format!("msg_{order}") };
    let answer = session.api()?.send(delivery.sign(&stage.secrets, now())?).await?;
    ensure!(answer.label() == "200 accepted", "{}", answer.label());
    for _ in 0..LOOKS_MAX {
        if is_kept(session, order).await? {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    anyhow::bail!("{order} never arrived")
}

async fn is_kept(session: &Session, order: &str) -> anyhow::Result<bool> {
    Ok(!session.orders()?.read(&OrderId::new(order)?).await?.is_empty())
}

pub async fn updates(stage: Arc<Stage>) -> anyhow::Result<()> {
    let beside = Beside::new(&stage, "Second-Tenant")?;
    let made = beside.make().await?;
    arrives(&stage, &made, "before-the-update").await?;

    // Other code for one function, and another parameter: what is not named stays.
    let (writer, api) = (beside.code(&made, "status-writer").await?, beside.code(&made, "orders-api").await?);
    let mut program = std::fs::File::options().append(true).open(beside.functions.join("orders-api/bootstrap"))?;
    program.write_all(b"\n")?;
    drop(program);
    let updated = beside.deploy(&["StatusWriterMemoryMegabytes=512"]).await?;
    ensure!(updated.stack == made.stack, "an update made another stack");
    let parameters = updated.parameters().await?;
    let parameter = |name: &str| parameters.get(name).map(String::as_str);
    ensure!(parameter("EventsBatchSize") == Some("7") && parameter("RequireTls") == Some("false"), "{parameters:?}");
    ensure!(parameter("StatusWriterMemoryMegabytes") == Some("512"), "{parameters:?}");
    ensure!(beside.code(&updated, "orders-api").await? != api, "the new code is not there");
    ensure!(beside.code(&updated, "status-writer").await? == writer, "code changed that did not");
    ensure!(is_kept(&updated, "before-the-update").await?, "the update lost data");
    arrives(&stage, &updated, "after-the-update").await?;

    // Code that came by another way goes, although the template did not change.
    beside.put_other_code(&updated, "status-writer").await?;
    let settled = beside.deploy(&[]).await?;
    ensure!(beside.code(&settled, "status-writer").await? == writer, "other code than was deployed stayed");
    arrives(&stage, &settled, "after-it-was-settled").await?;

    let queue = settled.stack.queue("quarantine")?;
    settled.sqs().send_message().queue_url(queue).message_body("nowhere else").send().await?;
    let refused = destroy(&beside.settings, beside.name, false).await.expect_err("a message went with its queue");
    ensure!(refused.to_string().contains("messages wait in Second-Tenant-quarantine (1)"), "{refused:#}");
    settled.sqs().purge_queue().queue_url(queue).send().await?;
    let mut destroyed = destroy(&beside.settings, beside.name, false).await;
    for _ in 0..LOOKS_MAX {
        // The writer may not have told its queue yet that it wrote the last event.
        let Err(error) = &destroyed else { break };
        ensure!(error.to_string().contains("wait in Second-Tenant-events"), "{error:#}");
        tokio::time::sleep(Duration::from_millis(50)).await;
        destroyed = destroy(&beside.settings, beside.name, false).await;
    }
    destroyed?;
    ensure!(!beside.is_there().await, "the stack is there");
    ensure!(is_kept(&settled, "after-the-update").await?, "the facts went with the stack");
    let events = settled.sqs().get_queue_attributes().queue_url(settled.stack.queue("events")?).send().await;
    ensure!(events.is_err(), "a queue of the stack is there");

    // What it left can still be taken.
    ensure!(destroy(&beside.settings, beside.name, false).await.is_err(), "nothing was taken away");
    destroy(&beside.settings, beside.name, true).await?;
    ensure!(is_kept(&settled, "after-the-update").await.is_err(), "the table of orders is there");
    destroy(&beside.settings, beside.name, true).await.context("again")?;
    ensure!(destroy(&beside.settings, "no-tenant", true).await.is_err(), "nothing was taken away");
    Ok(())
}

/// The version that the alias of a function stands on.
async fn live(session: &Session, function: &str) -> anyhow::Result<u64> {
    let lambda = aws_sdk_lambda::Client::new(&session.config);
    let name = session.stack.function(function)?;
    let alias = lambda.get_alias().function_name(name).name("live").send().await?;
    Ok(alias.function_version.context("an alias without a version")?.parse()?)
}

pub async fn shifts(stage: Arc<Stage>) -> anyhow::Result<()> {
    let beside = Beside::new(&stage, "fourth-tenant")?;
    let made = beside.make().await?;
    arrives(&stage, &made, "before-the-alias").await?;
    let shifting = beside.deploy(&["Shift=AllAtOnce"]).await?;
    let functions = ["webhook-intake", "status-writer", "payment-callback", "orders-api"];
    for function in functions {
        ensure!(live(&shifting, function).await? == 1, "{function} has no first version");
    }
    arrives(&stage, &shifting, "by-the-alias").await?;
    beside.deploy(&[]).await?;
    ensure!(live(&shifting, "status-writer").await? == 1, "a version of nothing new");

    // Another setting is a version too.
    let updated = beside.deploy(&["StatusWriterMemoryMegabytes=512"]).await?;
    for function in functions {
        ensure!(live(&updated, function).await? == 2, "{function} stands on its old version");
    }
    arrives(&stage, &updated, "by-the-second-version").await?;

    // Code that came by another way is not published with another setting, and goes where somebody let senders reach it.
    let writer = beside.code(&updated, "status-writer").await?;
    beside.put_other_code(&updated, "status-writer").await?;
    let updated = beside.deploy(&["StatusWriterMemoryMegabytes=256"]).await?;
    ensure!(live(&updated, "status-writer").await? == 3, "another setting made no version");
    ensure!(beside.code_of(&updated, "status-writer", Some("live")).await? == writer, "other code was published");
    beside.put_other_code(&updated, "status-writer").await?;
    let (lambda, name) = (aws_sdk_lambda::Client::new(&updated.config), updated.stack.function("status-writer")?);
    let version = lambda.publish_version().function_name(name).send().await?.version.context("no version")?;
    lambda.update_alias().function_name(name).name("live").function_version(version).send().await?;
    ensure!(beside.code_of(&updated, "status-writer", Some("live")).await? != writer, "the scene is not set");
    let updated = beside.deploy(&[]).await?;
    ensure!(beside.code_of(&updated, "status-writer", Some("live")).await? == writer, "other code stays live");
    arrives(&stage, &updated, "by-the-last-version").await?;
    let without = beside.deploy(&["Shift=none"]).await?;
    ensure!(live(&without, "status-writer").await.is_err(), "the alias is there");
    arrives(&stage, &without, "without-the-alias").await?;
    ensure!(is_kept(&without, "before-the-alias").await?, "the updates lost data");
    destroy(&beside.settings, beside.name, true).await
}

pub async fn with_data(stage: Arc<Stage>) -> anyhow::Result<()> {
    let beside = Beside::new(&stage, "third-tenant")?;
    let made = beside.make().await?;
    arrives(&stage, &made, "soon-gone").await?;
    let code = made.parameters().await?.remove("CodeBucket").context("no bucket")?;
    destroy(&beside.settings, beside.name, true).await?;
    ensure!(!beside.is_there().await, "the stack is there");
    ensure!(is_kept(&made, "soon-gone").await.is_err(), "the table of orders is there");
    let s3 = aws_sdk_s3::config::Builder::from(&made.config).force_path_style(true).build();
    let s3 = aws_sdk_s3::Client::from_conf(s3);
    for bucket in [made.stack.bucket("images")?, made.stack.bucket("details")?, code.as_str()] {
        ensure!(s3.head_bucket().bucket(bucket).send().await.is_err(), "the bucket {bucket} is there");
    }
    ensure!(made.secrets().await.is_err(), "the secret is there");
    Ok(())
}
