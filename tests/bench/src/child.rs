//! What is measured: our fetching, in a process that does nothing else.
//!
//! It goes through all pictures each time that it is told to on its input, and reports on its output.

use std::io::{BufRead, Write, stdin, stdout};

use adapters::ports::{Fetched, ImageSource};
use adapters::web::images::{Cap, ImageHosts, WebImages};
use anyhow::Context;
use clap::Args;
use domain::{ImageUrl, Known};
use futures::{StreamExt, stream};
use serde::{Deserialize, Serialize};

use crate::images::path;
use crate::process::Cost;

/// What to go through, and how.
#[derive(Debug, Clone, Args)]
pub struct Arguments {
    /// Where the pictures are.
    #[arg(long)]
    pub host: String,
    /// Where S3 is.
    #[arg(long)]
    pub bucket: String,
    /// How many pictures there are.
    #[arg(long)]
    pub files: u64,
    /// The cap, in bytes a second.
    #[arg(long)]
    pub cap: u64,
    /// Connections at once.
    #[arg(long)]
    pub connections: usize,
    /// Whether they are made smaller.
    #[arg(long)]
    pub thumbnails: bool,
}

impl Arguments {
    /// As they are written on a command line.
    pub fn words(&self) -> Vec<String> {
        let Self { host, bucket, files, cap, connections, thumbnails } = self;
        let mut words = vec![format!("--host={host}"), format!("--bucket={bucket}"), format!("--files={files}")];
        words.extend([format!("--cap={cap}"), format!("--connections={connections}")]);
        words.extend(thumbnails.then(|| "--thumbnails".to_owned()));
        words
    }
}

/// What came of one time through all pictures.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Report {
    /// Pictures that were not brought, and are asked for again.
    pub failed: u64,
    /// Processor time of this time through, in milliseconds.
    pub cpu_ms: u64,
    /// The most memory that the process had up to now, in bytes.
    pub peak_bytes: u64,
}

/// Does as it is told until its input ends.
#[tokio::main(flavor = "current_thread")]
pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let address = arguments.host.strip_prefix("http://").context("the host is asked by http")?;
    let hosts = ImageHosts::parse(address, true)?;
    let cap = Cap { bytes_per_second: arguments.cap, connections: arguments.connections };
    let source = WebImages::new(hosts, cap)?;
    for _ in stdin().lock().lines() {
        let before = Cost::own()?;
        let failed = stream::iter(0..arguments.files)
            .map(|nth| {
                let url = ImageUrl::new(format!("{}{}", arguments.host, path(nth))).unwrap();
                let source = &source;
                async move {
                    let asked = source.fetch(&url, &Known::default()).await;
                    match asked.answer {
                        Ok(Fetched::Changed(_)) => 0,
                        Ok(Fetched::Unchanged) => 0,
                        Err(error) => {
                            eprintln!("{error}");
                            1
                        }
                    }
                }
            })
            .buffer_unordered(arguments.connections)
            .fold(0, |sum, one| async move { sum + one })
            .await;
        let cost = Cost::own()?;
        let cpu = cost.cpu.saturating_sub(before.cpu);
        let report =
            Report { failed, cpu_ms: u64::try_from(cpu.as_millis()).unwrap_or(u64::MAX), peak_bytes: cost.peak_bytes };
        writeln!(stdout(), "{}", serde_json::to_string(&report)?)?;
    }
    Ok(())
}
