//! What is not AWS's and is simulated on this machine: the marketplaces, and the host of their pictures. They are this
//! program, started again.
//!
//! Invariant: a local stack never asks the real vendors unless somebody named their addresses.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use super::process::{CLEAN_PATH, Kind, Resident, choose_port};
use super::{Options, built_directory};

/// The simulated marketplaces: one program for both.
const MARKETPLACES: Kind = Kind {
    file: "marketplaces",
    name: "the program of the simulated marketplaces",
    title: "Markets",
    health: "/simulator/state",
    leaves: &[],
};

/// The simulated host of their products' pictures.
const IMAGES: Kind = Kind {
    file: "images",
    name: "the program of the simulated image host",
    title: "Images",
    health: "/simulator/state",
    leaves: &[],
};

/// This program's name.
const PROGRAM: &str = "sampan";

/// What runs of it.
#[derive(Debug)]
pub(super) struct Simulated {
    /// Both marketplaces.
    pub(super) marketplaces: Resident,
    /// The host of pictures.
    pub(super) images: Resident,
}

impl Simulated {
    /// Leaves it running.
    pub(super) fn keep(self) {
        self.marketplaces.keep();
        self.images.keep();
    }
}

/// Where they listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimulatedUrls {
    /// Both marketplaces.
    pub marketplaces: String,
    /// The host of pictures.
    pub images: String,
}

/// Those of a local stack; `None` when they do not run.
pub fn simulated_urls(directory: &Path) -> anyhow::Result<Option<SimulatedUrls>> {
    let url = |kind: Kind| {
        let runs = kind.log_file(directory).exists() && kind.free_log(directory)?.is_none();
        if runs { kind.read(directory).map(|kept| Some(kept.url())) } else { Ok(None) }
    };
    let urls = url(MARKETPLACES)?.zip(url(IMAGES)?);
    Ok(urls.map(|(marketplaces, images)| SimulatedUrls { marketplaces, images }))
}

/// Starts what does not run of it.
pub(super) async fn start(options: &Options) -> anyhow::Result<Simulated> {
    // Marketplaces that run already name this host in their products, so one that ended is started where it was.
    let before = IMAGES.read(&options.directory).ok().and_then(|kept| choose_port(kept.port).ok());
    let images = start_one(IMAGES, options, before, &["simulate", "images"]).await?;
    let base = images.url();
    let words = ["simulate", "marketplace", "--image-base", &base];
    let marketplaces = start_one(MARKETPLACES, options, None, &words).await?;
    Ok(Simulated { marketplaces, images })
}

async fn start_one(kind: Kind, options: &Options, port: Option<u16>, words: &[&str]) -> anyhow::Result<Resident> {
    let directory = &options.directory;
    let Some(log) = kind.free_log(directory)? else {
        return kind.find(directory).await;
    };
    let port = port.map_or_else(|| choose_port(0), Ok)?;
    let mut command = Command::new(program()?);
    command.args(words).args(["--port", &port.to_string()]).env_clear().env("PATH", CLEAN_PATH);
    kind.start(directory, port, log, command).await
}

/// Stops what runs of it.
pub(super) async fn stop(directory: &Path) -> anyhow::Result<()> {
    // Both are tried before either's failure is told.
    let marketplaces = MARKETPLACES.stop(directory).await;
    IMAGES.stop(directory).await.and(marketplaces).map(drop)
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
