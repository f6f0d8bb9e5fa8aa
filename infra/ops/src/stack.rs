//! Where a stack is and what it is made of: by its name from CloudFormation, or from the file that
//! `sampan local up` writes.
//!
//! Invariant: the facts of a stack are its template's outputs and nothing else.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use adapters::aws::dynamodb::{DynamoLedger, DynamoManifest, DynamoOrders, DynamoProducts, DynamoSweeps, DynamoTrades};
use adapters::aws::{
    DynamoClient, S3Images, S3RawDetails, SecretsManager, Settings, SqsClient, SqsImageQueue, connect,
};
use adapters::ports::SecretsSource;
use adapters::secrets::Secrets;
use anyhow::{Context, bail};
use aws_sdk_cloudformation::types::Output;
use aws_types::SdkConfig;
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::deploy;
use crate::http::Api;

/// The only caller that the emulator lets in, with any secret.
const LOCAL_ACCESS_KEY_ID: &str = "test";

/// The name of the file of stack facts in the local stack's directory.
pub const FACTS_FILE: &str = "stack.json";

/// The facts of one stack, as `.local/stack.json` holds them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stack {
    /// Where AWS is emulated; absent on AWS itself.
    pub endpoint_url: Option<String>,
    /// The AWS region.
    pub region: String,
    /// The stack's name in CloudFormation.
    pub stack: String,
    /// Where deliveries and clients go; routes follow it.
    pub api_url: String,
    /// Function names by folder, such as `webhook-intake`.
    pub functions: BTreeMap<String, String>,
    /// Table names by what they hold, such as `orders`.
    pub tables: BTreeMap<String, String>,
    /// Queue URLs by what they hold, such as `events_dlq`.
    pub queues: BTreeMap<String, String>,
    /// Bucket names by what they hold.
    pub buckets: BTreeMap<String, String>,
    /// The secret that holds the secrets document.
    pub secret_id: String,
}

impl Stack {
    /// Reads the facts of a running stack from CloudFormation.
    pub async fn describe(settings: &Settings, name: &str) -> anyhow::Result<Self> {
        let client = aws_sdk_cloudformation::Client::new(&connect(settings.clone()));
        let answer = client
            .describe_stacks()
            .stack_name(name)
            .send()
            .await
            .with_context(|| format!("cannot describe the stack {name} in {}", settings.region))?;
        let stack = answer.stacks().first().with_context(|| format!("there is no stack {name}"))?;
        Self::from_outputs(settings, name, stack.outputs())
    }

    /// Maps outputs by their prefix: see the end of `infra/template.yaml`.
    fn from_outputs(settings: &Settings, name: &str, outputs: &[Output]) -> anyhow::Result<Self> {
        let outputs: BTreeMap<&str, &str> =
            outputs.iter().filter_map(|output| Some((output.output_key()?, output.output_value()?))).collect();
        let one = |key: &str| {
            let value = outputs.get(key).with_context(|| format!("the stack {name} has no output {key}"))?;
            anyhow::Ok((*value).to_owned())
        };
        let many = |prefix: &str, separator: char| -> BTreeMap<String, String> {
            let named =
                |(key, value): (&&str, &&str)| Some((spell(key.strip_prefix(prefix)?, separator), (*value).to_owned()));
            outputs.iter().filter_map(named).collect()
        };
        let api_url = match &settings.endpoint_url {
            // The emulator serves every API under a path of its own.
            Some(endpoint) => format!("{endpoint}/_aws/execute-api/{}/$default", one("ApiId")?),
            None => one("ApiUrl")?,
        };
        Ok(Self {
            endpoint_url: settings.endpoint_url.clone(),
            region: settings.region.clone(),
            stack: name.to_owned(),
            api_url,
            functions: many("Function", '-'),
            tables: many("Table", '_'),
            queues: many("Queue", '_'),
            buckets: many("Bucket", '_'),
            secret_id: one("SecretId")?,
        })
    }

    /// Reads the facts that `sampan local up` wrote.
    pub fn read(file: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("no local stack runs here: cannot read {}", file.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is not a file of stack facts", file.display()))
    }

    /// The URL of a queue.
    pub fn queue(&self, name: &str) -> anyhow::Result<&str> {
        self.queues.get(name).map(String::as_str).with_context(|| format!("the stack has no queue {name}"))
    }

    /// The name of a table.
    pub fn table(&self, name: &str) -> anyhow::Result<&str> {
        self.tables.get(name).map(String::as_str).with_context(|| format!("the stack has no table {name}"))
    }

    /// The name of a bucket.
    pub fn bucket(&self, name: &str) -> anyhow::Result<&str> {
        self.buckets.get(name).map(String::as_str).with_context(|| format!("the stack has no bucket {name}"))
    }

    /// The name of a function, by its folder.
    pub fn function(&self, folder: &str) -> anyhow::Result<&str> {
        self.functions.get(folder).map(String::as_str).with_context(|| format!("the stack has no function {folder}"))
    }
}

/// `EventsDlq` with `_` is `events_dlq`; `WebhookIntake` with `-` is `webhook-intake`.
fn spell(camel_case: &str, separator: char) -> String {
    let mut spelt = String::with_capacity(camel_case.len() + 4);
    for (index, letter) in camel_case.char_indices() {
        if index > 0 && letter.is_ascii_uppercase() {
            spelt.push(separator);
        }
        spelt.push(letter.to_ascii_lowercase());
    }
    spelt
}

/// As whom and where the emulator of a local stack is asked.
pub fn local_settings(endpoint_url: String, region: &str) -> Settings {
    Settings {
        region: region.to_owned(),
        access_key_id: LOCAL_ACCESS_KEY_ID.to_owned(),
        secret_access_key: LOCAL_ACCESS_KEY_ID.to_owned(),
        session_token: None,
        endpoint_url: Some(endpoint_url),
    }
}

/// Which stack a command works on.
#[derive(Debug, Clone, Args)]
pub struct Choice {
    /// A stack by its name in CloudFormation; without it, the local stack
    #[arg(long, env = "SAMPAN_STACK", global = true)]
    pub stack: Option<String>,
    /// The directory of the local stack
    #[arg(long, env = "SAMPAN_LOCAL_DIR", default_value = ".local", value_name = "DIRECTORY", global = true)]
    pub local_dir: PathBuf,
    #[command(flatten)]
    aws: Aws,
}

impl Choice {
    /// The stack that is named, and as whom and where it is asked for.
    pub(crate) fn on_aws(&self) -> anyhow::Result<(Settings, String)> {
        let name = self.stack.clone().filter(|name| !name.is_empty());
        Ok((self.aws.settings()?, name.context("name the stack with --stack")?))
    }
}

/// The environment that the AWS tools read.
#[derive(Clone, Args)]
struct Aws {
    #[arg(long, env = "AWS_REGION", hide = true, global = true)]
    aws_region: Option<String>,
    #[arg(long, env = "AWS_ACCESS_KEY_ID", hide = true, hide_env_values = true, global = true)]
    aws_access_key_id: Option<String>,
    #[arg(long, env = "AWS_SECRET_ACCESS_KEY", hide = true, hide_env_values = true, global = true)]
    aws_secret_access_key: Option<String>,
    #[arg(long, env = "AWS_SESSION_TOKEN", hide = true, hide_env_values = true, global = true)]
    aws_session_token: Option<String>,
    #[arg(long, env = "AWS_ENDPOINT_URL", hide = true, global = true)]
    aws_endpoint_url: Option<String>,
}

impl std::fmt::Debug for Aws {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Aws").field("region", &self.aws_region).finish_non_exhaustive()
    }
}

impl Aws {
    fn settings(&self) -> anyhow::Result<Settings> {
        let given = |value: &Option<String>, name: &str| {
            let given = value.clone().filter(|value| !value.is_empty());
            given.with_context(|| format!("{name} is not set; a stack on AWS is found by the AWS environment"))
        };
        Ok(Settings {
            region: given(&self.aws_region, "AWS_REGION")?,
            access_key_id: given(&self.aws_access_key_id, "AWS_ACCESS_KEY_ID")?,
            secret_access_key: given(&self.aws_secret_access_key, "AWS_SECRET_ACCESS_KEY")?,
            session_token: self.aws_session_token.clone().filter(|token| !token.is_empty()),
            endpoint_url: self.aws_endpoint_url.clone().filter(|url| !url.is_empty()),
        })
    }
}

/// A stack, and the clients to ask it.
#[derive(Debug, Clone)]
pub struct Session {
    /// Its facts.
    pub stack: Stack,
    /// What its AWS clients are made from.
    pub config: SdkConfig,
}

impl Session {
    /// Finds the stack that was chosen.
    pub async fn open(choice: &Choice) -> anyhow::Result<Self> {
        match &choice.stack {
            Some(name) => {
                let settings = choice.aws.settings()?;
                let stack = Stack::describe(&settings, name).await?;
                Ok(Self { stack, config: connect(settings) })
            }
            None => Self::open_local(choice),
        }
    }

    /// Finds the local stack.
    pub fn open_local(choice: &Choice) -> anyhow::Result<Self> {
        let facts = Stack::read(&choice.local_dir.join(FACTS_FILE));
        Self::local(facts.context("start one with `make up`, or name a stack on AWS with --stack")?)
    }

    /// The session of a local stack.
    pub fn local(stack: Stack) -> anyhow::Result<Self> {
        let Some(endpoint_url) = stack.endpoint_url.clone() else { bail!("a local stack has an endpoint") };
        let config = connect(local_settings(endpoint_url, &stack.region));
        Ok(Self { stack, config })
    }

    /// The facts of orders.
    pub fn orders(&self) -> anyhow::Result<DynamoOrders> {
        Ok(DynamoOrders::new(&self.dynamodb(), self.stack.table("orders")?.to_owned()))
    }

    /// The facts of trades.
    pub fn trades(&self) -> anyhow::Result<DynamoTrades> {
        Ok(DynamoTrades::new(&self.dynamodb(), self.stack.table("trades")?.to_owned()))
    }

    /// How far sweeps are.
    pub fn sweeps(&self) -> anyhow::Result<DynamoSweeps> {
        Ok(DynamoSweeps::new(&self.dynamodb(), self.stack.table("sweeps")?.to_owned()))
    }

    /// The answers of marketplaces that are too large for an item.
    pub fn raw_details(&self) -> anyhow::Result<S3RawDetails> {
        Ok(S3RawDetails::new(&self.config, self.stack.bucket("details")?.to_owned()))
    }

    /// What is known of pictures.
    pub fn manifest(&self) -> anyhow::Result<DynamoManifest> {
        Ok(DynamoManifest::new(&self.dynamodb(), self.stack.table("images")?.to_owned()))
    }

    /// The products of the images table.
    pub fn products(&self) -> anyhow::Result<DynamoProducts> {
        Ok(DynamoProducts::new(&self.dynamodb(), self.stack.table("images")?.to_owned()))
    }

    /// The bucket of pictures.
    pub fn image_bucket(&self) -> anyhow::Result<S3Images> {
        Ok(S3Images::new(&self.config, self.stack.bucket("images")?.to_owned()))
    }

    /// The queue of pictures that are to be fetched.
    pub fn image_queue(&self) -> anyhow::Result<SqsImageQueue> {
        Ok(SqsImageQueue::new(&self.sqs(), self.stack.queue("images")?.to_owned()))
    }

    /// The ledger of payments.
    pub fn ledger(&self) -> anyhow::Result<DynamoLedger> {
        Ok(DynamoLedger::new(&self.dynamodb(), self.stack.table("payments")?.to_owned()))
    }

    /// The secrets that are good now.
    pub async fn secrets(&self) -> anyhow::Result<Secrets> {
        let source = SecretsManager::new(&self.config, self.stack.secret_id.clone());
        source.read().await.context("cannot read the secrets document of the stack")
    }

    /// The parameters of the template that the stack was made with.
    pub async fn parameters(&self) -> anyhow::Result<BTreeMap<String, String>> {
        deploy::parameters(&self.config, &self.stack.stack).await
    }

    /// The tables' client.
    pub fn dynamodb(&self) -> DynamoClient {
        DynamoClient::new(&self.config)
    }

    /// The queues' client.
    pub fn sqs(&self) -> SqsClient {
        SqsClient::new(&self.config)
    }

    /// The HTTP API.
    pub fn api(&self) -> anyhow::Result<Api> {
        Api::new(&self.stack.api_url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_facts_by_their_prefix() {
        let output = |key: &str| Output::builder().output_key(key).output_value(format!("v-{key}")).build();
        let keys =
            ["ApiUrl", "ApiId", "SecretId", "FunctionWebhookIntake", "TableOrders", "QueueEventsDlq", "BucketImages"];
        let outputs: Vec<Output> = keys.into_iter().map(output).collect();
        let settings = local_settings("http://127.0.0.1:4566".to_owned(), "us-east-1");
        let stack = Stack::from_outputs(&settings, "sampan", &outputs).unwrap();
        assert_eq!(stack.function("webhook-intake").unwrap(), "v-FunctionWebhookIntake");
        assert_eq!(stack.bucket("images").unwrap(), "v-BucketImages");
        assert_eq!(stack.table("orders").unwrap(), "v-TableOrders");
        assert_eq!(stack.queue("events_dlq").unwrap(), "v-QueueEventsDlq");
        assert_eq!(stack.api_url, "http://127.0.0.1:4566/_aws/execute-api/v-ApiId/$default");
        let on_aws = Settings { endpoint_url: None, ..settings };
        assert_eq!(Stack::from_outputs(&on_aws, "sampan", &outputs).unwrap().api_url, "v-ApiUrl");
        assert!(Stack::from_outputs(&on_aws, "sampan", &outputs[1..]).is_err());
    }
}
