//! A rate limit service that several gateways share: tests/rls in front of a Redis of its own.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::mock::lasting_port;
use super::process::{Process, tollgate};
use super::{DEADLINE, empty_folder, wait_for};

/// A running service.
pub(crate) struct Rls {
    port: u16,
    redis_port: u16,
    folder: PathBuf,
    redis: Option<Process>,
    service: Option<Process>,
    /// The calls that services before the running one have seen.
    earlier: RefCell<Vec<Value>>,
}

impl Rls {
    /// Starts one with the budgets and limits of `config`, in which `{rls}` stands for its address. `name` is its folder
    /// under `target/tmp/e2e`.
    pub(crate) fn start(name: &str, config: &str) -> Self {
        let rls = Self::not_yet(name);
        std::fs::write(rls.folder.join("config.yaml"), rls.place(config).replace("{mock}", "127.0.0.1:1")).unwrap();
        let file = |name: &str| rls.folder.join(name).to_str().unwrap().to_owned();
        let output =
            tollgate(&["render", "--target", "limitador", "--config", &file("config.yaml"), "-o", &file("limits")]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        rls.begin()
    }

    /// Starts one with limits as Limitador reads them.
    pub(crate) fn with_limits(name: &str, limits: &str) -> Self {
        let rls = Self::not_yet(name);
        std::fs::write(rls.folder.join("limits"), limits).unwrap();
        rls.begin()
    }

    fn not_yet(name: &str) -> Self {
        let folder = empty_folder(name);
        for part in ["redis", "service"] {
            std::fs::create_dir_all(folder.join(part)).unwrap();
        }
        let (port, redis_port) = (lasting_port(), lasting_port());
        Self { port, redis_port, folder, redis: None, service: None, earlier: RefCell::default() }
    }

    fn begin(mut self) -> Self {
        self.run_redis();
        self.run();
        self
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// `config` with the address in the place of `{rls}`.
    pub(crate) fn place(&self, config: &str) -> String {
        config.replace("{rls}", &format!("127.0.0.1:{}", self.port))
    }

    /// Kills the service: its connections are reset, and nobody listens any more.
    pub(crate) fn kill(&mut self) {
        *self.earlier.borrow_mut() = self.calls();
        self.service = None;
        std::fs::write(self.folder.join("service/stdout"), "").unwrap();
    }

    /// Starts it, after [`Self::kill`].
    pub(crate) fn run(&mut self) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let binary = root.join("target/rls/release/rls");
        assert!(binary.exists(), "{} is missing: sh tests/setup.sh redis rls", binary.display());
        let (port, redis) = (self.port.to_string(), format!("redis://127.0.0.1:{}", self.redis_port));
        let [limits, delay] = ["limits", "delay"].map(|name| self.folder.join(name).to_str().unwrap().to_owned());
        let args = ["--port", &port, "--redis", &redis, "--limits", &limits, "--delay", &delay];
        let command = [&[binary.to_str().unwrap()], &args[..]].concat();
        self.service = Some(Process::start(&command, &[], &self.folder.join("service")));
        wait_for("the rate limit service", || self.stdout().starts_with("listening").then_some(()));
    }

    /// Kills Redis.
    pub(crate) fn kill_redis(&mut self) {
        self.redis = None;
    }

    /// Starts Redis, with what it has written to its disk.
    pub(crate) fn run_redis(&mut self) {
        let binary = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/redis/redis-server");
        assert!(binary.exists(), "{} is missing: sh tests/setup.sh redis rls", binary.display());
        let (folder, port) = (self.folder.join("redis"), self.redis_port.to_string());
        let args = ["--bind", "127.0.0.1", "--port", &port, "--dir", folder.to_str().unwrap()];
        // What was written outlives the process, if not the machine; waiting for the disk would take seconds on a busy one.
        let durable = ["--save", "", "--appendonly", "yes", "--appendfsync", "no"];
        let command = [&[binary.to_str().unwrap()], &args[..], &durable].concat();
        self.redis = Some(Process::start(&command, &[], &folder));
        let is_up = || std::net::TcpStream::connect(("127.0.0.1", self.redis_port)).ok();
        wait_for("Redis", is_up);
    }

    /// Has it wait so long before each answer.
    pub(crate) fn delay(&self, millis: u64) {
        std::fs::write(self.folder.join("delay"), millis.to_string()).unwrap();
    }

    fn stdout(&self) -> String {
        std::fs::read_to_string(self.folder.join("service/stdout")).unwrap_or_default()
    }

    /// All calls: `{"counters": [name], "hits": n, "code": 1 or 2}`, 0 where Redis did not answer.
    pub(crate) fn calls(&self) -> Vec<Value> {
        let text = self.stdout();
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let now = whole.lines().filter(|line| line.starts_with('{')).map(|line| serde_json::from_str(line).unwrap());
        self.earlier.borrow().iter().cloned().chain(now).collect()
    }

    /// Waits until nobody calls any more; how many calls there were.
    pub(crate) fn quiet(&self) -> usize {
        let (mut calls, mut since) = (self.calls().len(), Instant::now());
        wait_for("silence", || {
            let now = self.calls().len();
            if now != calls {
                (calls, since) = (now, Instant::now());
            }
            (since.elapsed() > Duration::from_millis(500)).then_some(())
        });
        calls
    }

    /// What it has counted of `counter`.
    pub(crate) fn counted(&self, counter: &str) -> u64 {
        let counted =
            |call: &Value| call["code"] == 1 && call["counters"].as_array().unwrap().contains(&counter.into());
        self.calls().iter().filter(|call| counted(call)).map(|call| call["hits"].as_u64().unwrap()).sum()
    }

    /// Waits until it has counted so much of `counter`.
    #[track_caller]
    pub(crate) fn expect_counted(&self, counter: &str, expected: u64) {
        let start = Instant::now();
        while self.counted(counter) != expected {
            let found = self.counted(counter);
            assert!(start.elapsed() < DEADLINE, "{counter}: {found}, not {expected}: {:#?}", self.calls());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
