//! What a process costs: its processor time and the most memory that it had, as Linux tells of it (proc(5)).

use std::fs;
use std::io;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

/// A tick of `utime` and `stime`: 1/100 s on every Linux.
const TICK_MS: u64 = 10;
/// How often memory is looked at. Its peak only grows, so only what grows within the last such moment is missed.
const LOOK_MS: u64 = 5;

/// What a process cost up to now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cost {
    /// Time of its threads on processors, in user mode and in the kernel.
    pub cpu: Duration,
    /// The most memory that it had at a time.
    pub peak_bytes: u64,
}

impl Cost {
    /// What this process cost since it was started.
    pub fn own() -> io::Result<Self> {
        Self::of(std::process::id())
    }

    /// What a process cost since it was started.
    pub fn of(process: u32) -> io::Result<Self> {
        let process = process.to_string();
        Ok(Self { cpu: cpu(&process)?, peak_bytes: peak_bytes(&process)? })
    }
}

fn cpu(process: &str) -> io::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name stands in brackets and may have spaces and brackets itself.
    let after = stat.rsplit_once(')').map(|(_, after)| after).unwrap_or_default();
    let ticks: u64 = after.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Ok(Duration::from_millis(ticks * TICK_MS))
}

fn peak_bytes(process: &str) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    let kib: u64 = line.split_whitespace().next().and_then(|kib| kib.parse().ok()).unwrap_or_default();
    Ok(kib * 1_024)
}

/// Runs a command to its end.
pub fn run(command: &mut Command) -> io::Result<Ran> {
    let began = Instant::now();
    let mut child = command.spawn()?;
    let cost = watch(&child);
    if cost.is_err() {
        child.kill()?;
    }
    let status = child.wait()?;
    Ok(Ran { status, cost: cost?, time: began.elapsed() })
}

/// A command that ended.
#[derive(Debug)]
pub struct Ran {
    /// How.
    pub status: ExitStatus,
    /// What it cost.
    pub cost: Cost,
    /// How long it took.
    pub time: Duration,
}

/// Looks until it has ended, but leaves it in the process table: there its processor time can still be read.
fn watch(child: &Child) -> io::Result<Cost> {
    let id = child.id().to_string();
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    let mut peak = 0;
    while waitid(WaitId::Pid(Pid::from_child(child)), options)?.is_none() {
        peak = peak.max(peak_bytes(&id).unwrap_or(0));
        std::thread::sleep(Duration::from_millis(LOOK_MS));
    }
    Ok(Cost { cpu: cpu(&id)?, peak_bytes: peak })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_charged_for_its_time_and_its_memory() {
        // A shell that counts for a while, and one that does nothing.
        let counting = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done";
        let busy = run(Command::new("sh").args(["-c", counting])).unwrap();
        let idle = run(Command::new("sh").args(["-c", "sleep 0.1"])).unwrap();
        assert!(busy.status.success() && idle.status.success());
        assert!(busy.cost.cpu > idle.cost.cpu + Duration::from_millis(50), "{busy:?} {idle:?}");
        assert!(idle.time >= Duration::from_millis(100) && idle.cost.cpu < Duration::from_millis(50));
        assert!((100_000..100_000_000).contains(&idle.cost.peak_bytes), "{idle:?}");
        assert!(Cost::own().unwrap().peak_bytes > 1_000_000);
    }
}
