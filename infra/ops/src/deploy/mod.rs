//! A stack, put on AWS or on the emulator by the same calls: code into a bucket, then the template; and taken away.
//!
//! Invariant: doing it again brings the stack to what code, template and parameters are now, and keeps data. Each function
//! runs the code that was deployed last, also when something else had put other code there meanwhile.

mod code;
mod destroy;
mod drift;
mod package;
mod senders;
mod stack;

use std::collections::BTreeMap;
use std::path::PathBuf;

use adapters::aws::{Settings, connect};
use anyhow::Context;
use clap::{Args, ValueEnum};

pub(crate) use code::{make_bucket, s3, upload};
pub(crate) use destroy::run as take_away;
pub use destroy::{DestroyArguments, destroy};
pub(crate) use package::{Package, packages};
pub(crate) use stack::{Template, Unsaid, apply, parameters};

use crate::secrets::{self, Missing, Unusable};
use crate::stack::{Choice, Stack};
use crate::table::{heading, table};

/// The functions of the stack: folder, and the template's parameter for the key of its zip.
pub const FUNCTIONS: [(&str, &str); 8] = [
    ("webhook-intake", "WebhookIntakeCodeKey"),
    ("status-writer", "StatusWriterCodeKey"),
    ("payment-callback", "PaymentCallbackCodeKey"),
    ("orders-api", "OrdersApiCodeKey"),
    ("order-sweep", "OrderSweepCodeKey"),
    ("product-sweep", "ProductSweepCodeKey"),
    ("image-sync", "ImageSyncCodeKey"),
    ("order-check", "OrderCheckCodeKey"),
];

/// The parameter that names the bucket of code.
const CODE_BUCKET: &str = "CodeBucket";
/// Letters behind the name of a bucket that is made for a stack: bucket names are shared by all of AWS.
const BUCKET_LETTERS: usize = 12;
/// The longest name of a bucket.
const BUCKET_NAME_MAX: usize = 63;

/// The processors that Lambda has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Architecture {
    /// Intel's and AMD's.
    #[value(name = "x86_64")]
    X86_64,
    /// Graviton's.
    #[value(name = "arm64")]
    Arm64,
}

impl Architecture {
    /// This machine's.
    pub const HERE: Self = if cfg!(target_arch = "aarch64") { Self::Arm64 } else { Self::X86_64 };

    /// The template's word.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Arm64 => "arm64",
        }
    }
}

/// What is deployed.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
The first time it makes the stack, and a bucket for its code; then it brings the stack to the code, the template and the
parameters of now. Parameters that are not named stay as they are. `make deploy` builds the functions before.")]
pub struct Arguments {
    /// The bucket of the code [default: the one that the stack has, or a new one]
    #[arg(long)]
    pub bucket: Option<String>,
    /// What the functions were built for
    #[arg(long, default_value = Architecture::HERE.as_str())]
    pub arch: Architecture,
    /// A parameter of the template, as NAME=VALUE; may be given several times, or with commas between them
    #[arg(long = "parameter", env = "SAMPAN_PARAMETERS", value_name = "NAME=VALUE")]
    pub parameters: Vec<String>,
    /// A secrets document, which takes the place of the one that the stack has
    #[arg(long, value_name = "FILE")]
    pub secrets: Option<PathBuf>,
    /// Where cargo-lambda built the functions: NAME/bootstrap
    #[arg(long, value_name = "DIRECTORY", default_value = "target/lambda")]
    pub functions: PathBuf,
    /// The template
    #[arg(long, value_name = "FILE", default_value = "infra/template.yaml")]
    pub template: PathBuf,
}

/// Deploys the stack that is chosen, and tells what is to be entered where.
pub(crate) async fn run(choice: &Choice, arguments: Arguments) -> anyhow::Result<()> {
    let (settings, name) = choice.on_aws()?;
    let stack = deploy(&settings, &name, &arguments).await?;
    let mut rows = table(["what", "where"]);
    for (function, name) in &stack.functions {
        rows.add_row([function, name]);
    }
    rows.add_row(["API", &stack.api_url]);
    rows.add_row(["secret", &stack.secret_id]);
    heading(&format!("The stack {name}, in {}", settings.region));
    println!("{rows}");
    senders::tell(&settings, &stack).await
}

/// Makes the stack, or brings it to what it should be now.
pub async fn deploy(settings: &Settings, name: &str, arguments: &Arguments) -> anyhow::Result<Stack> {
    let packages = packages(|function| arguments.functions.join(function).join("bootstrap"))?;
    let template = std::fs::read_to_string(&arguments.template)
        .with_context(|| format!("cannot read {}", arguments.template.display()))?;
    let secrets = arguments.secrets.as_deref().map(|file| secrets::read(file, Unusable::Refused)).transpose()?;
    let config = connect(settings.clone());
    let before = stack::parameters(&config, name).await?;
    let known = arguments.bucket.clone().or_else(|| before.get(CODE_BUCKET).cloned());
    let bucket = known.unwrap_or_else(|| new_bucket(name));
    upload(&config, &bucket, &packages).await?;
    let mut said = chosen(&arguments.parameters)?;
    // Before the template: with an alias, a version is published of what the function has by then.
    said.extend(drift::mend(settings, name, &before, (&bucket, &packages)).await?);
    said.extend(of_code(&bucket, &packages));
    said.insert("Architecture".to_owned(), arguments.arch.as_str().to_owned());
    apply(&config, name, Template { text: &template, bucket: &bucket }, said, Unsaid::AsBefore).await?;
    let stack = Stack::describe(settings, name).await?;
    if let Some(document) = secrets {
        secrets::put(&config, &stack.secret_id, &document, Missing::Refused).await?;
    }
    Ok(stack)
}

/// Parameters as they are written on a command line: `A=1,B=2`. A value may be a list: in `A=1,2,B=3` the 2 is of A.
pub(crate) fn chosen(texts: &[String]) -> anyhow::Result<BTreeMap<String, String>> {
    let mut chosen = BTreeMap::new();
    for text in texts {
        let mut last: Option<&mut String> = None;
        for piece in text.split(',') {
            if let Some((name, value)) = piece.split_once('=') {
                chosen.insert(name.to_owned(), value.to_owned());
                last = chosen.get_mut(name);
            } else {
                let value = last.as_mut().filter(|_| !piece.is_empty());
                let value = value.with_context(|| format!("{piece:?} of {text:?} is not NAME=VALUE"))?;
                value.push(',');
                value.push_str(piece);
            }
        }
    }
    Ok(chosen)
}

/// The parameters that say where the code is.
pub(crate) fn of_code(bucket: &str, packages: &[Package]) -> BTreeMap<String, String> {
    let keys = packages.iter().map(|package| (package.parameter.to_owned(), package.key.clone()));
    keys.chain([(CODE_BUCKET.to_owned(), bucket.to_owned())]).collect()
}

/// The name of a bucket that is made for a stack.
fn new_bucket(stack: &str) -> String {
    let letters = std::iter::repeat_with(|| fastrand::char('a'..='z')).take(BUCKET_LETTERS);
    bucket_start(stack) + &letters.collect::<String>()
}

/// What that name begins with, before its letters.
fn bucket_start(stack: &str) -> String {
    let stack = stack.to_lowercase();
    let room = BUCKET_NAME_MAX - "-code-".len() - BUCKET_LETTERS;
    format!("{}-code-", stack.get(..room).unwrap_or(&stack))
}

/// Whether a bucket was made for that stack, and is no other that somebody named.
fn is_made_for(stack: &str, bucket: &str) -> bool {
    let letters = bucket.strip_prefix(&bucket_start(stack));
    letters.is_some_and(|it| it.len() == BUCKET_LETTERS && it.bytes().all(|letter| letter.is_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_may_be_a_list_and_what_belongs_to_no_name_is_refused() {
        let read = |texts: &[&str]| chosen(&texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>());
        let both = read(&["ImageHosts=alicdn.com,cdn.example,Thumbnails=off", "Url=https://a.example/?b=c"]).unwrap();
        assert_eq!(both["ImageHosts"], "alicdn.com,cdn.example");
        assert_eq!(both["Thumbnails"], "off");
        assert_eq!(both["Url"], "https://a.example/?b=c");
        assert!(read(&["Thumbnails=off", "cdn.example"]).is_err(), "which may be a mistyped name");
        for text in ["", "Thumbnails=off,", "ImageHosts=alicdn.com,,cdn.example"] {
            assert!(read(&[text]).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_bucket_that_somebody_named_is_not_taken_for_one_of_ours() {
        for stack in ["shop", "Shop-2", &"s".repeat(128)] {
            assert!(is_made_for(stack, &new_bucket(stack)), "{stack}");
        }
        for named in
            ["shop-code-artifacts", "shop-code-", "shop-code-abcdefghijkl-2", "shop", "shopping-code-abcdefghijkl"]
        {
            assert!(!is_made_for("shop", named), "{named}");
        }
    }
}
