//! The local stack: the emulator, the template, the code, the secrets and the file of stack facts.
//!
//! Invariant: `up` applies what is there now and keeps data; a start that fails or is interrupted leaves no
//! process; after `down` none is left either.

mod emulator;
mod marketplaces;
mod process;
mod rates;
mod simulated;

use std::collections::BTreeMap;
use std::io::Write;
use std::num::{NonZeroU32, NonZeroU64};
use std::path::{Path, PathBuf};

use adapters::aws::connect;
use anyhow::Context;
use clap::{Args, ValueEnum};

use crate::deploy::{self, Architecture, Template, Unsaid};
use crate::secrets::{self, Missing, Unusable};
pub use crate::stack::Stack;
use crate::stack::{FACTS_FILE, Session, local_settings};
use crate::table::step;
pub use emulator::PERMISSIONS_FILE;
use marketplaces::Marketplaces;
pub use process::Resident;
use simulated::Simulated;
pub use simulated::{SimulatedUrls, simulated_urls};

/// The port that is taken when none is named: the one that emulators of AWS have.
const PORT_DEFAULT: u16 = 4566;
/// The name of the local stack in CloudFormation. Every other name in it starts with this one.
const STACK_NAME: &str = "sampan";
/// The bucket of its code.
const CODE_BUCKET: &str = "sampan-code";
/// The emulator's region.
const REGION: &str = "us-east-1";

/// Whether the stack's schedules invoke its functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Schedules {
    /// They do.
    On,
    /// They do not; what they would do is done by commands.
    Off,
}

/// What of the local stack can be chosen.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// The port on 127.0.0.1; 0 takes a free one [default: 4566, or the one that the running stack has]
    #[arg(long, env = "SAMPAN_PORT")]
    pub port: Option<u16>,
    /// The secrets document
    #[arg(long, env = "SAMPAN_SECRETS", value_name = "FILE", default_value = "infra/local/secrets.json")]
    pub secrets: PathBuf,
    /// Where exchange rates are fetched, in the ECB's format [default: examples of the repository, as of today]
    #[arg(long, env = "SAMPAN_RATES_URL", value_name = "URL")]
    pub rates_url: Option<String>,
    /// Where 1688 is asked [default: a simulated one, as part of the stack]
    #[arg(long, env = "SAMPAN_1688_URL", value_name = "URL")]
    pub ali1688_url: Option<String>,
    /// Where Taobao is asked [default: a simulated one, as part of the stack]
    #[arg(long, env = "SAMPAN_TAOBAO_URL", value_name = "URL")]
    pub taobao_url: Option<String>,
    /// More image hosts, with commas; an address of this machine with its port, too [default: alicdn.com, and a
    /// simulated one as part of the stack]
    #[arg(long, env = "SAMPAN_IMAGE_HOSTS", value_name = "HOSTS")]
    pub image_hosts: Option<String>,
    /// Bytes a second that all pictures together are fetched with [default: 52428800, which is 50 MiB]
    #[arg(long, env = "SAMPAN_IMAGE_BYTES_PER_SECOND", value_name = "BYTES")]
    pub image_bytes_per_second: Option<NonZeroU64>,
    /// Pictures that one of the two instances fetches at once [default: 10]
    #[arg(long, env = "SAMPAN_IMAGE_CONCURRENCY", value_name = "PICTURES")]
    pub image_concurrency: Option<NonZeroU32>,
    /// Whether marketplaces are asked by the schedules
    #[arg(long, env = "SAMPAN_SCHEDULES", default_value = "on")]
    pub schedules: Schedules,
    /// A parameter of the template, as NAME=VALUE; may be given several times, or with commas between them
    #[arg(long = "parameter", env = "SAMPAN_PARAMETERS", value_name = "NAME=VALUE")]
    pub parameters: Vec<String>,
    /// The directory of the running stack: its facts, its log, its process
    #[arg(skip)]
    pub directory: PathBuf,
    /// The repository
    #[arg(long, value_name = "DIRECTORY", default_value = ".", hide = true)]
    pub root: PathBuf,
    /// Where the built functions are [default: beside this program]
    #[arg(long, value_name = "DIRECTORY", hide = true)]
    pub functions: Option<PathBuf>,
}

impl Options {
    /// A stack of its own for tests: a free port, the repository's secrets and example rates, the functions that
    /// were built, and nothing that happens by itself.
    pub fn isolated(root: &Path, directory: PathBuf) -> Self {
        Self {
            port: Some(0),
            secrets: root.join("infra/local/secrets.json"),
            rates_url: None,
            ali1688_url: None,
            taobao_url: None,
            image_hosts: None,
            image_bytes_per_second: None,
            image_concurrency: None,
            schedules: Schedules::Off,
            parameters: Vec::new(),
            directory,
            root: root.to_owned(),
            functions: None,
        }
    }

    fn facts_file(&self) -> PathBuf {
        self.directory.join(FACTS_FILE)
    }

    fn functions_directory(&self) -> anyhow::Result<PathBuf> {
        match &self.functions {
            Some(directory) => Ok(directory.clone()),
            None => built_directory(),
        }
    }
}

/// Where programs are built: the directory of this one. Cargo keeps those of tests one below it.
fn built_directory() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let directory = program.parent().context("this program's file is in no directory")?;
    let built = if directory.ends_with("deps") { directory.parent().unwrap_or(directory) } else { directory };
    Ok(built.to_owned())
}

/// A stack that is up. When it is dropped, an emulator that was started for it stops, unless it was kept.
#[derive(Debug)]
pub struct Running {
    /// Its facts.
    pub stack: Stack,
    emulator: Resident,
    simulated: Option<Simulated>,
}

impl Running {
    /// Leaves it up.
    pub fn keep(self) -> Stack {
        self.emulator.keep();
        if let Some(simulated) = self.simulated {
            simulated.keep();
        }
        self.stack
    }
}

/// Starts the emulator unless it runs, and brings the stack to what template, code, parameters and secrets
/// are now. Data is kept.
pub async fn up(options: &Options) -> anyhow::Result<Running> {
    std::fs::create_dir_all(&options.directory)
        .with_context(|| format!("cannot make the directory {}", options.directory.display()))?;
    let directory = options.functions_directory()?;
    let packages = deploy::packages(|function| directory.join(function)).context("`make up` builds the functions")?;
    let secrets = secrets::read(&options.secrets, Unusable::Named)?;
    let template = options.root.join("infra/template.yaml");
    let template = std::fs::read_to_string(&template).with_context(|| format!("cannot read {}", template.display()))?;
    let emulator = emulator::start(&options.root, &options.directory, options.port).await?;
    let settings = local_settings(emulator.url(), REGION);
    let config = connect(settings.clone());
    deploy::upload(&config, CODE_BUCKET, &packages).await?;
    let chosen = options.rates_url.as_deref();
    let rates_url = rates::url(&config, &emulator.url(), STACK_NAME, &options.root, chosen).await?;
    let (marketplaces, simulated) = marketplaces::urls(options).await?;
    let mut said = parameters(rates_url, marketplaces, options)?;
    said.extend(deploy::of_code(CODE_BUCKET, &packages));
    let template = Template { text: &template, bucket: CODE_BUCKET };
    deploy::apply(&config, STACK_NAME, template, said, Unsaid::Default).await?;
    let stack = Stack::describe(&settings, STACK_NAME).await?;
    secrets::put(&config, &stack.secret_id, &secrets, Missing::Removed).await?;
    write_facts(&options.facts_file(), &stack)?;
    step("Facts", &format!("{}: {}", options.facts_file().display(), stack.api_url));
    Ok(Running { stack, emulator, simulated })
}

/// The template's parameters: whom the functions ask, what is different on a machine without TLS, and what was chosen.
fn parameters(
    rates_url: String,
    marketplaces: Marketplaces,
    options: &Options,
) -> anyhow::Result<BTreeMap<String, String>> {
    let schedules = match options.schedules {
        Schedules::On => "ENABLED",
        Schedules::Off => "DISABLED",
    };
    let fixed = [
        ("RatesUrl", rates_url),
        ("Ali1688Url", marketplaces.ali1688_url),
        ("TaobaoUrl", marketplaces.taobao_url),
        ("ImageHosts", marketplaces.image_hosts),
        ("SweepSchedules", schedules.to_owned()),
        ("RequireTls", "false".to_owned()),
        // The emulator runs the functions as programs of this machine.
        ("Architecture", Architecture::HERE.as_str().to_owned()),
    ];
    let budget = options.image_bytes_per_second.map(|bytes| ("ImageBytesPerSecond", bytes.to_string()));
    let connections = options.image_concurrency.map(|pictures| ("ImageConcurrency", pictures.to_string()));
    let ours = fixed.into_iter().chain(budget).chain(connections).map(|(name, value)| (name.to_owned(), value));
    Ok(ours.chain(deploy::chosen(&options.parameters)?).collect())
}

/// Stops the emulator and all that it started, and what is simulated. Data goes with them. `false` when no emulator was
/// running.
pub async fn down(directory: &Path) -> anyhow::Result<bool> {
    // Both are tried before either's failure is told.
    let simulated = simulated::stop(directory).await;
    let was_running = emulator::EMULATOR.stop(directory).await?;
    simulated.map(|()| was_running)
}

/// Everything that the stack has logged: what the functions wrote, and what the emulator wrote.
pub async fn logs(directory: &Path, stack: &Stack) -> anyhow::Result<String> {
    let session = Session::local(stack.clone())?;
    let mut text = String::new();
    for folder in stack.functions.keys() {
        for line in crate::logs::lines(&session, folder, domain::UnixMillis::EPOCH).await? {
            text.push_str(line.trim_end());
            text.push('\n');
        }
    }
    let file = emulator::EMULATOR.log_file(directory);
    let bytes = std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
    text.push_str(&String::from_utf8_lossy(&bytes));
    Ok(text)
}

/// Writes the facts in one step, so that no reader sees half of them.
fn write_facts(file: &Path, stack: &Stack) -> anyhow::Result<()> {
    let unfinished = file.with_extension("json.new");
    let write = || {
        let mut out = std::fs::File::create(&unfinished)?;
        out.write_all(serde_json::to_string_pretty(stack)?.as_bytes())?;
        out.write_all(b"\n")?;
        out.sync_all()?;
        std::fs::rename(&unfinished, file)
    };
    write().with_context(|| format!("cannot write {}", file.display()))
}

fn remove(file: &Path) -> anyhow::Result<()> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", file.display()))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}
