//! rclone beside us: the same files, the same cap, as many transfers.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use tempfile::NamedTempFile;

use crate::process::{self, Ran};

/// rclone, where it is installed.
#[derive(Debug, Clone)]
pub struct Rclone {
    program: PathBuf,
    /// What it says it is.
    pub version: String,
}

/// Where it copies to.
#[derive(Debug, Clone, Copy)]
pub enum To<'a> {
    /// A directory.
    Directory(&'a Path),
    /// S3 at this URL.
    Bucket(&'a str),
}

impl Rclone {
    /// The one that is named, else the one on the PATH; none when there is none.
    pub fn find(named: Option<PathBuf>) -> anyhow::Result<Option<Self>> {
        let is_named = named.is_some();
        let program = named.unwrap_or_else(|| PathBuf::from("rclone"));
        match Command::new(&program).args(["version", "--config", ""]).output() {
            Ok(said) => {
                let version = String::from_utf8_lossy(&said.stdout).lines().next().unwrap_or_default().to_owned();
                Ok(Some(Self { program, version }))
            }
            Err(error) if is_named => Err(error).with_context(|| format!("{} cannot be run", program.display())),
            Err(_) => Ok(None),
        }
    }

    /// Copies what is at these names below a URL. The cap is in bytes a second.
    pub fn copy(
        &self,
        from: &str,
        names: &[String],
        to: To<'_>,
        cap: Option<u64>,
        transfers: usize,
    ) -> anyhow::Result<Ran> {
        let mut list = NamedTempFile::new()?;
        for name in names {
            writeln!(list, "{name}")?;
        }
        let mut command = Command::new(&self.program);
        command.args(["copy", "--http-url", from, ":http:"]);
        match to {
            To::Directory(directory) => command.arg(directory),
            To::Bucket(url) => command.args([
                ":s3:images",
                "--s3-provider=Other",
                "--s3-force-path-style",
                "--s3-no-check-bucket",
                "--s3-region=us-east-1",
                "--s3-access-key-id=local",
                "--s3-secret-access-key=local",
                "--s3-endpoint",
                url,
            ]),
        };
        // rclone's S3 starts with no bundle of roots beside its own.
        command.env_remove("AWS_CA_BUNDLE");
        command.arg("--files-from").arg(list.path());
        let transfers = transfers.to_string();
        command.args(["--no-traverse", "--config", "", "--retries", "1", "--transfers", &transfers]);
        command.args(["--checkers", &transfers]);
        if let Some(cap) = cap {
            command.args(["--bwlimit", &format!("{cap}B")]);
        }
        let ran = process::run(command.stdout(Stdio::null()).stderr(Stdio::inherit()))?;
        ensure!(ran.status.success(), "rclone could not copy");
        Ok(ran)
    }
}
