//! A process that stays when the command ends: started in a group of its own, found again, and stopped with all its
//! children.
//!
//! Invariant: whoever runs one holds the lock of its log file, because the log is its standard output. So a locked log
//! means that it runs, whatever a left-over file says, and no signal is ever sent to a process that merely got its
//! number.

use std::fs::{File, OpenOptions, TryLockError};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, WaitOptions, kill_process_group, test_kill_process_group, waitpid};
use serde::{Deserialize, Serialize};

use super::remove;
use crate::table::step;

/// Where all of them listen.
pub(super) const HOST: &str = "127.0.0.1";
/// What they and their children may find on their path. The operator's own environment stays out of it.
pub(super) const CLEAN_PATH: &str = "/usr/local/bin:/usr/bin:/bin";
/// Between two looks at a process that starts or stops.
const LOOK_MS: u64 = 50;
/// Looks at a process that starts: 30 s, for a machine that is busy compiling. It takes half a second.
const START_LOOKS_MAX: u32 = 600;
/// Looks at a process group that was asked to stop, before it is made to: 5 s.
const STOP_LOOKS_MAX: u32 = 100;
/// Looks at a process group that was made to stop: 2 s.
const KILL_LOOKS_MAX: u32 = 40;
/// Lines of the log that a failed start shows.
const LOG_LINES_SHOWN: usize = 15;

/// One kind of process, of which a local stack has one at most.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    /// Its name in the names of files.
    pub(super) file: &'static str,
    /// What it is called in sentences.
    pub(super) name: &'static str,
    /// What it is called before what is told of it.
    pub(super) title: &'static str,
    /// The path that answers 2xx once it is ready.
    pub(super) health: &'static str,
    /// What goes with it of the stack's directory: files and directories.
    pub(super) leaves: &'static [&'static str],
}

/// What is kept of a running process, to find it again. It is the leader of its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) pid: i32,
    pub(super) port: u16,
}

/// A process that runs. One that was started here stops when this is dropped, unless it was kept.
#[derive(Debug)]
pub struct Resident {
    port: u16,
    started: Option<Started>,
}

#[derive(Debug)]
struct Started {
    kind: Kind,
    child: Child,
    directory: PathBuf,
    is_kept: bool,
}

impl Kept {
    /// Where it listens.
    pub(super) fn url(self) -> String {
        url(self.port)
    }
}

impl Resident {
    /// Where it listens.
    pub fn url(&self) -> String {
        url(self.port)
    }

    /// The same as an address, such as `127.0.0.1:4566`.
    pub(super) fn address(&self) -> String {
        format!("{HOST}:{}", self.port)
    }

    /// Leaves it running.
    pub fn keep(mut self) {
        if let Some(started) = &mut self.started {
            started.is_kept = true;
        }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            end_group(pid);
        }
        self.kind.forget(&self.directory).ok();
    }
}

impl Kind {
    /// Its log.
    pub(super) fn log_file(self, directory: &Path) -> PathBuf {
        directory.join(self.file).with_extension("log")
    }

    fn process_file(self, directory: &Path) -> PathBuf {
        directory.join(self.file).with_extension("json")
    }

    /// Removes what tells of one that ran, and what it leaves. The log stays.
    pub(super) fn forget(self, directory: &Path) -> anyhow::Result<()> {
        for name in self.leaves {
            let left = directory.join(name);
            if left.is_dir() {
                std::fs::remove_dir_all(&left).with_context(|| format!("cannot remove {}", left.display()))?;
            } else {
                remove(&left)?;
            }
        }
        remove(&self.process_file(directory))
    }

    /// The log when nobody runs; `None` when it runs.
    pub(super) fn free_log(self, directory: &Path) -> anyhow::Result<Option<File>> {
        let file = self.log_file(directory);
        let open = OpenOptions::new().create(true).append(true).open(&file);
        let log = open.with_context(|| format!("cannot open {}", file.display()))?;
        match log.try_lock() {
            Ok(()) => Ok(Some(log)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("cannot lock {}", file.display())),
        }
    }

    /// What is kept of the one that runs.
    pub(super) fn read(self, directory: &Path) -> anyhow::Result<Kept> {
        let file = self.process_file(directory);
        let text = std::fs::read_to_string(&file).with_context(|| {
            format!("{} is starting or stopping just now: {} is not there", self.name, file.display())
        })?;
        serde_json::from_str(&text).with_context(|| format!("{} cannot be read", file.display()))
    }

    /// The one that runs.
    pub(super) async fn find(self, directory: &Path) -> anyhow::Result<Resident> {
        let kept = self.read(directory)?;
        let resident = Resident { port: kept.port, started: None };
        if !self.is_healthy(&resident.url()).await {
            bail!("{} runs (process {}) and does not answer; `make down` stops it", self.name, kept.pid);
        }
        step(self.title, &format!("runs already at {}", resident.url()));
        Ok(resident)
    }

    /// Starts one that listens on that port, and waits until it answers. `log` is its free log.
    pub(super) async fn start(
        self,
        directory: &Path,
        port: u16,
        log: File,
        mut command: Command,
    ) -> anyhow::Result<Resident> {
        log.set_len(0).with_context(|| format!("cannot empty {}", self.log_file(directory).display()))?;
        let errors = log.try_clone().with_context(|| format!("cannot share the log of {}", self.name))?;
        let command = command.stdin(Stdio::null()).stdout(log).stderr(errors).process_group(0);
        let child = command.spawn().with_context(|| format!("cannot start {}", self.name))?;
        let pid = i32::try_from(child.id()).context("the process number is out of range")?;
        // From here on a return, an error or an interruption stops what was started.
        let started = Started { kind: self, child, directory: directory.to_owned(), is_kept: false };
        let mut resident = Resident { port, started: Some(started) };
        let kept = serde_json::to_string(&Kept { pid, port })?;
        std::fs::write(self.process_file(directory), kept)
            .with_context(|| format!("cannot write the process number of {}", self.name))?;
        self.await_health(&mut resident, directory).await?;
        let log = self.log_file(directory);
        step(self.title, &format!("started at {}, log in {}", resident.url(), log.display()));
        Ok(resident)
    }

    async fn await_health(self, resident: &mut Resident, directory: &Path) -> anyhow::Result<()> {
        let (name, url) = (self.name, resident.url());
        for _ in 0..START_LOOKS_MAX {
            let ended = match &mut resident.started {
                Some(started) => {
                    started.child.try_wait().with_context(|| format!("cannot look at the process of {name}"))?
                }
                None => None,
            };
            if let Some(status) = ended {
                bail!("{name} ended at its start ({status}); its log ends with\n{}", self.log_end(directory));
            }
            if self.is_healthy(&url).await {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(LOOK_MS)).await;
        }
        bail!("{name} does not answer at {url}; its log ends with\n{}", self.log_end(directory))
    }

    async fn is_healthy(self, url: &str) -> bool {
        reqwest::get(format!("{url}{}", self.health)).await.is_ok_and(|answer| answer.status().is_success())
    }

    fn log_end(self, directory: &Path) -> String {
        let log = std::fs::read_to_string(self.log_file(directory)).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let shown = lines.len().saturating_sub(LOG_LINES_SHOWN);
        lines.into_iter().skip(shown).collect::<Vec<_>>().join("\n")
    }

    /// Stops it with all its children. `false` when it was not running.
    pub(super) async fn stop(self, directory: &Path) -> anyhow::Result<bool> {
        if !self.log_file(directory).exists() {
            return Ok(false);
        }
        if self.free_log(directory)?.is_some() {
            self.forget(directory)?;
            return Ok(false);
        }
        let kept = self.read(directory)?;
        let pid = Pid::from_raw(kept.pid).with_context(|| format!("the process number of {} is not one", self.name))?;
        let ended = tokio::task::spawn_blocking(move || end_group(pid));
        ended.await.with_context(|| format!("cannot wait for the end of {}", self.name))?;
        if self.free_log(directory)?.is_none() {
            bail!("process {} and its children do not end", kept.pid);
        }
        self.forget(directory)?;
        Ok(true)
    }
}

fn url(port: u16) -> String {
    format!("http://{HOST}:{port}")
}

/// The port that was chosen; 0 takes a free one.
pub(super) fn choose_port(port: u16) -> anyhow::Result<u16> {
    match TcpListener::bind((HOST, port)) {
        Ok(listener) => Ok(listener.local_addr()?.port()),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => bail!(
            "port {port} is taken by another program; choose another one, such as SAMPAN_PORT={}, or 0 for any free one",
            port.saturating_add(1)
        ),
        Err(error) => Err(error).with_context(|| format!("cannot listen on {HOST}:{port}")),
    }
}

/// Asks a process group to end, then makes it. A child of ours is reaped on the way.
fn end_group(pid: Pid) {
    for (signal, looks_max) in [(Signal::TERM, STOP_LOOKS_MAX), (Signal::KILL, KILL_LOOKS_MAX)] {
        kill_process_group(pid, signal).ok();
        for _ in 0..looks_max {
            waitpid(Some(pid), WaitOptions::NOHANG).ok();
            if test_kill_process_group(pid).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(LOOK_MS));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_named_with_the_way_to_another() {
        let taken = TcpListener::bind((HOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = choose_port(port).unwrap_err().to_string();
        assert!(error.contains(&port.to_string()) && error.contains("SAMPAN_PORT="), "{error}");
        assert_ne!(choose_port(0).unwrap(), 0);
    }

    /// A server of one program that is everywhere.
    const SLEEPER: Kind =
        Kind { file: "sleeper", name: "the sleeper", title: "Sleeper", health: "/", leaves: &["bed", "pillow"] };

    #[tokio::test]
    async fn what_ends_at_its_start_is_told_with_the_end_of_its_log_and_leaves_nothing() {
        let directory = std::env::temp_dir().join(format!("sampan-process-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::create_dir(directory.join("bed")).unwrap();
        std::fs::write(directory.join("bed/blanket"), "").unwrap();
        let log = SLEEPER.free_log(&directory).unwrap().unwrap();
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "echo no bed; exit 3"]);
        let error = SLEEPER.start(&directory, 1, log, command).await.unwrap_err().to_string();
        assert!(error.contains("the sleeper ended at its start") && error.ends_with("no bed"), "{error}");
        assert!(SLEEPER.read(&directory).is_err() && !directory.join("bed").exists());
        assert!(!SLEEPER.stop(&directory).await.unwrap());
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
