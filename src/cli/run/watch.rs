//! The watcher: says when Envoy is ready, takes up a changed config, ends with Envoy.
//!
//! The file is read once a second, not watched: editors and config maps replace files in ways that watches miss.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::os::unix::process::parent_id;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::files::{CDS, Files, LDS};
use super::{Failure, Run, http, options, rendering};
use crate::cli::load::{self, Strictness};
use crate::cli::render;

/// How often the watcher looks whether Envoy is there and ready.
const TICK: Duration = Duration::from_millis(100);

/// Ticks between two looks at the config file.
const TICKS_PER_LOOK: u32 = 10;

/// How long Envoy may take for a change: clusters resolve their names first.
const TICKS_PER_UPDATE: u32 = 100;

/// How long Envoy may take to end after a signal.
const TICKS_TO_END: u32 = 100;

/// Watches until the process `pid`, our parent, ends; `text` is the config that it serves.
pub(super) fn watch(args: &Run, files: Files, pid: u32, text: String) -> Result<(), Failure> {
    let signalled = signals()?;
    let options = options(args)?;
    let environment = super::environment();
    let mut watcher = Watcher { args, files, options, environment, pid, seen: Ok(text), is_ready: false };
    let mut ticks = 0_u32;
    while watcher.envoy_lives() && !signalled.load(Ordering::Relaxed) {
        watcher.greet();
        if ticks.is_multiple_of(TICKS_PER_LOOK) {
            watcher.look();
        }
        ticks = ticks.wrapping_add(1);
        sleep(TICK);
    }
    wait(TICKS_TO_END, || !watcher.envoy_lives());
    watcher.files.remove();
    Ok(())
}

/// A signal goes to Envoy too; the watcher outlives it by a moment, to clean up.
fn signals() -> Result<Arc<AtomicBool>, String> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&flag)).map_err(|fault| format!("signal {signal}: {fault}"))?;
    }
    Ok(flag)
}

struct Watcher<'a> {
    args: &'a Run,
    files: Files,
    options: render::Options,
    environment: BTreeSet<String>,
    pid: u32,
    /// What the config file held at the last look, or why it could not be read.
    seen: Result<String, String>,
    is_ready: bool,
}

impl Watcher<'_> {
    fn envoy_lives(&self) -> bool {
        parent_id() == self.pid
    }

    /// Says once that the port answers.
    fn greet(&mut self) {
        let port = self.args.port;
        if self.is_ready || http::get(port, "/health/readiness").is_none_or(|answer| answer.status != 200) {
            return;
        }
        self.is_ready = true;
        tell(&format!("tollgate: ready on http://127.0.0.1:{port} (admin http://127.0.0.1:{})", self.args.admin_port));
    }

    /// Takes up the config file if it changed; says what is wrong with it once.
    fn look(&mut self) {
        let found = load::read(&self.args.config);
        if found == self.seen {
            return;
        }
        let name = self.args.config.display();
        match found.clone().and_then(|text| self.take_up(&self.args.config, &text)) {
            Ok(()) => tell(&format!("tollgate: {name} changed and is in force")),
            Err(fault) => tell(&format!("{fault}\ntollgate: {name} changed and is refused; the one before serves on")),
        }
        self.seen = found;
    }

    /// Clusters first: a listener must not name one that is not there.
    fn take_up(&self, path: &Path, text: &str) -> Result<(), String> {
        let loaded = load::compile(path, text, Strictness::Serve)?;
        let rendering = rendering(&loaded, &self.options, &self.environment);
        self.swap(CDS, &rendering.cds(), "cluster_manager.cds")?;
        wait(TICKS_PER_UPDATE, || self.stat("cluster_manager.warming_clusters") == Some(0));
        self.swap(LDS, &rendering.lds(), "listener_manager.lds")
    }

    /// Replaces one file and waits for Envoy's word on it.
    fn swap(&self, name: &str, text: &str, stats: &str) -> Result<(), String> {
        let count = |end: &str| self.stat(&format!("{stats}.{end}")).unwrap_or_default();
        let (taken, refused) = (count("update_success"), count("update_rejected"));
        if !self.files.update(name, text)? {
            return Ok(());
        }
        wait(TICKS_PER_UPDATE, || count("update_success") > taken || count("update_rejected") > refused);
        if count("update_rejected") > refused { Err(format!("Envoy refused {name}")) } else { Ok(()) }
    }

    /// One of Envoy's counters or gauges.
    fn stat(&self, name: &str) -> Option<u64> {
        let answer = http::get(self.args.admin_port, &format!("/stats?filter=^{name}$"))?;
        let line = answer.text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))?;
        line.trim().parse().ok()
    }
}

/// Waits until `is_done`, `ticks` at most.
fn wait(ticks: u32, is_done: impl Fn() -> bool) {
    for _ in 0..ticks {
        if is_done() {
            return;
        }
        sleep(TICK);
    }
}

fn tell(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
