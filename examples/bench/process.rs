//! Child processes that end with their guard, and what the kernel says about them.

use std::error::Error;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How long a child may take to end after SIGTERM.
const STOP_TIME: Duration = Duration::from_secs(5);
/// Microseconds in one clock tick of `/proc/<pid>/stat`: USER_HZ is 100 on every Linux that Envoy runs on.
const TICK_US: u64 = 10_000;

/// A running child; dropping it stops it and everything it started.
pub(crate) struct Process {
    child: Child,
    name: String,
}

impl Process {
    /// Starts `command` without input or output; its errors go to `target/bench/<name>.log`.
    pub(crate) fn start(name: &str, mut command: Command) -> Result<Self> {
        let log = Path::new("target/bench").join(format!("{name}.log"));
        fs::create_dir_all("target/bench")?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log)?);
        let child = command.spawn().map_err(|error| format!("cannot start {name}: {error}"))?;
        Ok(Self { child, name: name.to_owned() })
    }

    /// The process and all its descendants.
    pub(crate) fn family(&self) -> Vec<u32> {
        let all = parents();
        let mut family = vec![self.child.id()];
        while let Some((pid, _)) = all.iter().find(|(pid, parent)| !family.contains(pid) && family.contains(parent)) {
            family.push(*pid);
        }
        family
    }

    /// The family member that is an Envoy: the child itself or one it started.
    pub(crate) fn envoy(&self) -> Option<u32> {
        self.family().into_iter().find(|pid| {
            fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim_end().starts_with("envoy"))
        })
    }

    /// Fails if the child has ended.
    pub(crate) fn check(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            Some(status) => Err(format!("{0} ended with {status}, see target/bench/{0}.log", self.name).into()),
            None => Ok(()),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let family = self.family();
        signal("-TERM", &[self.child.id()]);
        let start = Instant::now();
        while start.elapsed() < STOP_TIME {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let left: Vec<u32> = parents().into_iter().map(|(pid, _)| pid).filter(|pid| family.contains(pid)).collect();
        signal("-KILL", &left);
        // The child has ended or was killed; waiting only reaps it.
        let _ = self.child.wait();
    }
}

/// CPU time and memory of a set of processes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    pub(crate) cpu_us: u64,
    pub(crate) peak_kb: u64,
    pub(crate) resident_kb: u64,
}

/// Reads what `pids` have used up to this moment.
pub(crate) fn usage(pids: &[u32]) -> Usage {
    pids.iter().fold(Usage::default(), |sum, pid| Usage {
        cpu_us: sum.cpu_us + cpu_us(*pid).unwrap_or(0),
        peak_kb: sum.peak_kb + status_kb(*pid, "VmHWM:").unwrap_or(0),
        resident_kb: sum.resident_kb + status_kb(*pid, "VmRSS:").unwrap_or(0),
    })
}

/// utime + stime of all threads, from the scheduler in nanoseconds where the kernel tells, else in ticks.
fn cpu_us(pid: u32) -> Option<u64> {
    let mut nanos = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
        let text = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        nanos += text.split(' ').next().and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    }
    if nanos > 0 {
        return Some(nanos / 1000);
    }
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The fields after the command's name in parentheses start with the third one.
    let (_, fields) = stat.rsplit_once(") ")?;
    let ticks: u64 = fields.split(' ').skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Some(ticks * TICK_US)
}

fn status_kb(pid: u32, name: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

/// Every process with its parent.
fn parents() -> Vec<(u32, u32)> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            let (_, fields) = stat.rsplit_once(") ")?;
            Some((pid, fields.split(' ').nth(1)?.parse().ok()?))
        })
        .collect()
}

fn signal(signal: &str, pids: &[u32]) {
    if !pids.is_empty() {
        // A process that is already gone needs no signal.
        let _ = Command::new("kill").arg(signal).args(pids.iter().map(u32::to_string)).stderr(Stdio::null()).status();
    }
}
