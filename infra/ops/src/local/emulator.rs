//! The emulator of AWS: how it is started, what it leaves behind, and how it is stopped.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use super::PORT_DEFAULT;
use super::process::{CLEAN_PATH, HOST, Kind, Resident, choose_port};
use crate::stack::FACTS_FILE;

/// Where it unpacks code.
const TEMPORARY: &str = "tmp";
/// Where it writes down which permissions are used: see infra/local/emulator.py.
pub const PERMISSIONS_FILE: &str = "permissions.jsonl";

/// The emulator. The stack goes with it, and so do the facts of the stack.
pub(super) const EMULATOR: Kind = Kind {
    file: "emulator",
    name: "the emulator",
    title: "Emulator",
    health: "/_ministack/health",
    leaves: &[TEMPORARY, FACTS_FILE, PERMISSIONS_FILE],
};

/// Finds the running emulator, or starts one and waits until it answers.
pub(super) async fn start(root: &Path, directory: &Path, port: Option<u16>) -> anyhow::Result<Resident> {
    let Some(log) = EMULATOR.free_log(directory)? else {
        let kept = EMULATOR.read(directory)?;
        if port.is_some_and(|port| port != 0 && port != kept.port) {
            bail!("the local stack runs on port {}; `make down` first, its data goes with it", kept.port);
        }
        return EMULATOR.find(directory).await;
    };
    let port = choose_port(port.unwrap_or(PORT_DEFAULT))?;
    // What was left by one that ended in another way tells of nothing any more.
    EMULATOR.forget(directory)?;
    EMULATOR.start(directory, port, log, command(root, directory, port)?).await
}

/// The process, with an environment of its own, because functions inherit it.
fn command(root: &Path, directory: &Path, port: u16) -> anyhow::Result<Command> {
    let absolute = |path: PathBuf| std::path::absolute(&path).with_context(|| path.display().to_string());
    let python = absolute(root.join(".tools/bin/python"))?;
    if !python.exists() {
        bail!("{} is not there; `make up` installs it", python.display());
    }
    let temporary = absolute(directory.join(TEMPORARY))?;
    std::fs::create_dir_all(&temporary).with_context(|| format!("cannot make {}", temporary.display()))?;
    let mut command = Command::new(&python);
    command
        .arg(absolute(root.join("infra/local/emulator.py"))?)
        .env_clear()
        .env("PATH", CLEAN_PATH)
        .env("HOME", &temporary)
        .env("TMPDIR", &temporary)
        .env("BIND_HOST", HOST)
        .env("MINISTACK_HOST", HOST)
        .env("GATEWAY_PORT", port.to_string())
        .env("AWS_ENDPOINT_URL", format!("http://{HOST}:{port}"))
        // The functions inherit it. On this machine image-sync may ask loopback addresses, where ImageHosts names them.
        .env("IMAGE_LOOPBACK", "allowed")
        // The roles of the functions are enforced, so that a missing permission is found here.
        .env("AUTH", "true")
        .env("PERMISSIONS_FILE", absolute(directory.join(PERMISSIONS_FILE))?)
        .env("IOT_MTLS_ENABLED", "0")
        .env("SFTP_ENABLED", "0")
        .env("PYTHONUNBUFFERED", "1")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(&temporary);
    Ok(command)
}
