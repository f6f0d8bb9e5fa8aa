//! The emulator as a process: started in a group of its own, found again, and stopped with all its children.
//!
//! Invariant: whoever runs the emulator holds the lock of its log file, because the log is its standard
//! output. So a locked log means that it runs, whatever a left-over file says, and no signal is ever sent to a
//! process that merely got its number.

use std::fs::{File, OpenOptions, TryLockError};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, WaitOptions, kill_process_group, test_kill_process_group, waitpid};
use serde::{Deserialize, Serialize};

use super::{PORT_DEFAULT, remove};
use crate::table::step;

const HOST: &str = "127.0.0.1";
/// Between two looks at a process that starts or stops.
const LOOK_MS: u64 = 50;
/// Looks at an emulator that starts: 30 s, for a machine that is busy compiling. It takes half a second.
const START_LOOKS_MAX: u32 = 600;
/// Looks at a process group that was asked to stop, before it is made to: 5 s.
const STOP_LOOKS_MAX: u32 = 100;
/// Looks at a process group that was made to stop: 2 s.
const KILL_LOOKS_MAX: u32 = 40;
/// Lines of the emulator's log that a failed start shows.
const LOG_LINES_SHOWN: usize = 15;
/// What a function's process may find on its path. The operator's own environment stays out of it.
const CLEAN_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// What is kept of a running emulator, to find it again. The process is the leader of its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Process {
    pid: i32,
    port: u16,
}

/// A running emulator. One that was started here stops when this is dropped, unless it was kept.
#[derive(Debug)]
pub struct Emulator {
    port: u16,
    started: Option<Started>,
}

#[derive(Debug)]
struct Started {
    child: Child,
    directory: PathBuf,
    is_kept: bool,
}

impl Emulator {
    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://{HOST}:{}", self.port)
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
        forget(&self.directory).ok();
    }
}

/// The emulator's log.
pub(super) fn log_file(directory: &Path) -> PathBuf {
    directory.join("emulator.log")
}

fn temporary_directory(directory: &Path) -> PathBuf {
    directory.join("tmp")
}

fn process_file(directory: &Path) -> PathBuf {
    directory.join("emulator.json")
}

/// Removes what tells of a running emulator, and the code that it unpacked. The log stays.
fn forget(directory: &Path) -> anyhow::Result<()> {
    std::fs::remove_dir_all(temporary_directory(directory)).ok();
    remove(&directory.join(crate::stack::FACTS_FILE))?;
    remove(&process_file(directory))
}

/// The log when nobody runs; `None` when the emulator runs.
fn free_log(directory: &Path) -> anyhow::Result<Option<File>> {
    let file = log_file(directory);
    let open = OpenOptions::new().create(true).append(true).open(&file);
    let log = open.with_context(|| format!("cannot open {}", file.display()))?;
    match log.try_lock() {
        Ok(()) => Ok(Some(log)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("cannot lock {}", file.display())),
    }
}

fn read_process(directory: &Path) -> anyhow::Result<Process> {
    let file = process_file(directory);
    let text = std::fs::read_to_string(&file)
        .with_context(|| format!("an emulator is starting or stopping just now: {} is not there", file.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} cannot be read", file.display()))
}

/// Finds the running emulator, or starts one and waits until it answers.
pub(super) async fn start(root: &Path, directory: &Path, port: Option<u16>) -> anyhow::Result<Emulator> {
    let Some(log) = free_log(directory)? else {
        let process = read_process(directory)?;
        if port.is_some_and(|port| port != 0 && port != process.port) {
            bail!("the local stack runs on port {}; `make down` first, its data goes with it", process.port);
        }
        let emulator = Emulator { port: process.port, started: None };
        if !is_healthy(&emulator.url()).await {
            bail!("the emulator runs (process {}) and does not answer; `make down` stops it", process.pid);
        }
        step("Emulator", &format!("runs already at {}", emulator.url()));
        return Ok(emulator);
    };
    let port = choose_port(port)?;
    log.set_len(0).context("cannot empty the emulator's log")?;
    let mut emulator = Emulator { port, started: None };
    let child = spawn(root, directory, port, log)?;
    let pid = i32::try_from(child.id()).context("the process number is out of range")?;
    // From here on a return, an error or an interruption stops what was started.
    emulator.started = Some(Started { child, directory: directory.to_owned(), is_kept: false });
    let process = serde_json::to_string(&Process { pid, port })?;
    std::fs::write(process_file(directory), process).context("cannot write the emulator's process number")?;
    await_health(&mut emulator, directory).await?;
    step("Emulator", &format!("started at {}, log in {}", emulator.url(), log_file(directory).display()));
    Ok(emulator)
}

fn choose_port(port: Option<u16>) -> anyhow::Result<u16> {
    let port = port.unwrap_or(PORT_DEFAULT);
    match TcpListener::bind((HOST, port)) {
        Ok(listener) => Ok(listener.local_addr()?.port()),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => bail!(
            "port {port} is taken by another program; choose another one, such as SAMPAN_PORT={}, or 0 for any free one",
            port.saturating_add(1)
        ),
        Err(error) => Err(error).with_context(|| format!("cannot listen on {HOST}:{port}")),
    }
}

/// Starts the process with an environment of its own, because functions inherit it.
fn spawn(root: &Path, directory: &Path, port: u16, log: File) -> anyhow::Result<Child> {
    let absolute = |path: PathBuf| std::path::absolute(&path).with_context(|| path.display().to_string());
    let python = absolute(root.join(".tools/bin/python"))?;
    let temporary = absolute(temporary_directory(directory))?;
    std::fs::remove_dir_all(&temporary).ok();
    std::fs::create_dir_all(&temporary).with_context(|| format!("cannot make {}", temporary.display()))?;
    let errors = log.try_clone().context("cannot share the emulator's log")?;
    Command::new(&python)
        .arg(absolute(root.join("infra/local/emulator.py"))?)
        .env_clear()
        .env("PATH", CLEAN_PATH)
        .env("HOME", &temporary)
        .env("TMPDIR", &temporary)
        .env("BIND_HOST", HOST)
        .env("MINISTACK_HOST", HOST)
        .env("GATEWAY_PORT", port.to_string())
        .env("AWS_ENDPOINT_URL", format!("http://{HOST}:{port}"))
        // The roles of the functions are enforced, so that a missing permission is found here.
        .env("AUTH", "true")
        .env("IOT_MTLS_ENABLED", "0")
        .env("SFTP_ENABLED", "0")
        .env("PYTHONUNBUFFERED", "1")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(&temporary)
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .process_group(0)
        .spawn()
        .with_context(|| format!("cannot start the emulator with {}; `make up` installs it", python.display()))
}

async fn await_health(emulator: &mut Emulator, directory: &Path) -> anyhow::Result<()> {
    let url = emulator.url();
    for _ in 0..START_LOOKS_MAX {
        let ended = match &mut emulator.started {
            Some(started) => started.child.try_wait().context("cannot look at the emulator's process")?,
            None => None,
        };
        if let Some(status) = ended {
            bail!("the emulator ended at its start ({status}); its log ends with\n{}", log_end(directory));
        }
        if is_healthy(&url).await {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(LOOK_MS)).await;
    }
    bail!("the emulator does not answer at {url}; its log ends with\n{}", log_end(directory))
}

async fn is_healthy(url: &str) -> bool {
    reqwest::get(format!("{url}/_ministack/health")).await.is_ok_and(|answer| answer.status().is_success())
}

fn log_end(directory: &Path) -> String {
    let log = std::fs::read_to_string(log_file(directory)).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    let shown = lines.len().saturating_sub(LOG_LINES_SHOWN);
    lines.into_iter().skip(shown).collect::<Vec<_>>().join("\n")
}

/// Stops the emulator with all its children. `false` when it was not running.
pub(super) async fn stop(directory: &Path) -> anyhow::Result<bool> {
    if !directory.is_dir() {
        return Ok(false);
    }
    if free_log(directory)?.is_some() {
        forget(directory)?;
        return Ok(false);
    }
    let process = read_process(directory)?;
    let pid = Pid::from_raw(process.pid).context("the emulator's process number is not one")?;
    let ended = tokio::task::spawn_blocking(move || end_group(pid));
    ended.await.context("cannot wait for the emulator's end")?;
    if free_log(directory)?.is_none() {
        bail!("process {} and its children do not end", process.pid);
    }
    forget(directory)?;
    Ok(true)
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
        let error = choose_port(Some(port)).unwrap_err().to_string();
        assert!(error.contains(&port.to_string()) && error.contains("SAMPAN_PORT="), "{error}");
        assert_ne!(choose_port(Some(0)).unwrap(), 0);
    }
}
