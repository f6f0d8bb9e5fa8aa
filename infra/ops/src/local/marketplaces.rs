//! The marketplaces of the local stack: simulated ones, unless others are named.
//!
//! Invariant: a local stack never asks the real vendors unless somebody named their addresses.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use super::process::{CLEAN_PATH, Kind, Resident, choose_port};
use super::{Options, built_directory};
use crate::table::step;

/// The simulated marketplaces: one program for both.
pub(super) const SIMULATED: Kind = Kind {
    file: "marketplaces",
    name: "the program of the simulated marketplaces",
    title: "Markets",
    health: "/simulator/state",
    leaves: &[],
};

/// This program's name.
const PROGRAM: &str = "sampan";

/// Where marketplaces are asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marketplaces {
    /// 1688.
    pub ali1688_url: String,
    /// Taobao.
    pub taobao_url: String,
}

/// Where the functions ask: at the URLs that were chosen, else at the simulated marketplaces, which are started unless
/// they run.
pub(super) async fn urls(options: &Options) -> anyhow::Result<(Marketplaces, Option<Resident>)> {
    let chosen = |url: &Option<String>| url.clone().filter(|url| !url.is_empty());
    let (ali1688, taobao) = (chosen(&options.ali1688_url), chosen(&options.taobao_url));
    let simulated = match (&ali1688, &taobao) {
        (Some(_), Some(_)) => {
            step(SIMULATED.title, "those that SAMPAN_1688_URL and SAMPAN_TAOBAO_URL name");
            None
        }
        (Some(_), None) | (None, Some(_)) | (None, None) => Some(start(options).await?),
    };
    let url = simulated.as_ref().map(Resident::url).unwrap_or_default();
    let marketplaces = Marketplaces { ali1688_url: ali1688.unwrap_or(url.clone()), taobao_url: taobao.unwrap_or(url) };
    Ok((marketplaces, simulated))
}

/// Where the simulated marketplaces of a local stack listen; `None` when they do not run.
pub fn simulated_url(directory: &Path) -> anyhow::Result<Option<String>> {
    if !SIMULATED.log_file(directory).exists() || SIMULATED.free_log(directory)?.is_some() {
        return Ok(None);
    }
    SIMULATED.read(directory).map(|kept| Some(kept.url()))
}

async fn start(options: &Options) -> anyhow::Result<Resident> {
    let directory = &options.directory;
    let Some(log) = SIMULATED.free_log(directory)? else {
        return SIMULATED.find(directory).await;
    };
    let (program, port) = (program()?, choose_port(0)?);
    let mut command = Command::new(program);
    command.args(["simulate", "marketplace", "--port", &port.to_string()]).env_clear().env("PATH", CLEAN_PATH);
    SIMULATED.start(directory, port, log, command).await
}

/// This program; of a test, the one that was built beside it.
fn program() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("cannot find this program's own file")?;
    if own.file_name().is_some_and(|name| name == PROGRAM) {
        return Ok(own);
    }
    let built = built_directory()?.join(PROGRAM);
    ensure!(built.exists(), "{} is not built; `make up` builds it", built.display());
    Ok(built)
}
