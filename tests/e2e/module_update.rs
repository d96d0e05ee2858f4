//! Another version of the module, taken up by a running Envoy: `tollgate render --format dynamic --wasm NEXT`.
//!
//! The other version is the test build, whose code differs and which traps where a request has `x-test-trap`: that tells
//! which of the two serves. Envoy makes a VM of its own for each, and both see the same shared data.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::harness::{
    Answer, Gate, Mock, Options, Request, chat, dist, empty_folder, lasting_port, tollgate, trap_module, wait_for,
};

/// The providers have names, which Envoy must look up before it asks them.
const CONFIG: &str = "
model_list:
- {model_name: first, litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://localhost:{port}/usage=1000:1000/v1', api_key: os.environ/FIRST_KEY}}
- {model_name: broken, litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{dead}/v1', api_key: sk-p}}
- {model_name: slow, litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://localhost:{port}/chunk-ms=100,chunks=120/v1', api_key: sk-p}}
{more}
router_settings: {num_retries: 0, fallbacks: [{broken: [slow]}]}
general_settings: {master_key: sk-master}
tollgate:
  keys:
  - {key_alias: app, key: sk-app}
  # Two requests of 0.00075 USD each.
  - {key_alias: poor, key: sk-poor, max_budget: 0.001}
  - {key_alias: counted, key: sk-counted, max_budget: 1000, rpm_limit: 1000000}
";
/// Refers to a variable that Envoy was not started with.
const LATER: &str = "- {model_name: later, litellm_params: {model: openai/gpt-4o, api_base: 'http://127.0.0.1:1/v1', api_key: os.environ/LATER_KEY}}";
const MICRO_USD: u64 = 750;
const CLIENTS: usize = 3;
/// Between two requests of a client: the mock remembers a thousand.
const PAUSE: Duration = Duration::from_millis(150);
/// Before and after what happens under load.
const MOMENT: Duration = Duration::from_secs(2);

/// A running Envoy with the files that it watches.
struct Rig {
    gate: Gate,
    folder: PathBuf,
    mock: Mock,
    port: u16,
}

impl Rig {
    fn start(name: &str) -> Self {
        let folder = empty_folder(name);
        let (mock, port) = (Mock::start(&format!("{name}-mock")), lasting_port());
        render(&folder, &mock, port, &dist("tollgate.wasm"), "", &[]);
        let options = Options { env: &[("FIRST_KEY", "sk-p")], ..Options::default() };
        let gate = Gate::start_at(folder.clone(), &folder.join("files/envoy.yaml"), "tollgate", options);
        wait_for("readiness", || (gate.get("/health/readiness", "").status == 200).then_some(()));
        let rig = Self { gate, folder, mock, port };
        for _ in 0..2 {
            rig.gate.chat("sk-poor", "first").expect_ok();
        }
        rig
    }

    fn render(&self, wasm: &Path, args: &[&str]) -> String {
        render(&self.folder, &self.mock, self.port, wasm, "", args)
    }

    /// Renders with `wasm`, and waits until Envoy has taken the listener, or refused it. Whether it has taken it.
    fn swap(&self, wasm: &Path, more: &str) -> bool {
        let taken = || self.stat("listener_modified") + self.stat("listener_in_place_updated");
        let (before, refused) = (taken(), self.stat("lds.update_rejected"));
        render(&self.folder, &self.mock, self.port, wasm, more, &[]);
        wait_for("Envoy's word", || (taken() > before || self.stat("lds.update_rejected") > refused).then_some(()));
        taken() > before
    }

    fn stat(&self, name: &str) -> u64 {
        let name = format!("listener_manager.{name}");
        let stats = Request::get(self.gate.admin_port, &format!("/stats?filter=^{name}$")).send();
        stats.text().trim().rsplit(' ').next().and_then(|value| value.parse().ok()).unwrap_or(0)
    }

    /// Whether the test build serves. Asked last: where it does, the worker's VM is gone for a moment.
    fn traps(&self) -> bool {
        Request::get(self.gate.port, "/v1/models").key("sk-app").header("x-test-trap", "1").send().status == 503
    }

    /// Does `act` while clients ask on connections that they keep; how many answers they got, all of them good.
    fn under_load(&self, act: impl FnOnce()) -> u64 {
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(|| self.ask_until(&is_over))).collect();
            std::thread::sleep(MOMENT);
            act();
            std::thread::sleep(MOMENT);
            is_over.store(true, Ordering::Relaxed);
            clients.into_iter().map(|client| client.join().unwrap()).sum()
        })
    }

    fn ask_until(&self, is_over: &AtomicBool) -> u64 {
        let request = Request::post(self.gate.port, "/v1/chat/completions", chat("first", "")).key("sk-counted");
        let (mut count, mut connection) = (0, None);
        while !is_over.load(Ordering::Relaxed) {
            let answer = request.open_on(connection.take().unwrap_or_else(|| request.connect()));
            let answer = answer.expect("an answer on a connection that is open").finish();
            assert_eq!((answer.status, answer.is_whole), (200, true), "{}", answer.text());
            connection = answer.into_connection();
            count += 1;
            std::thread::sleep(PAUSE);
        }
        count
    }

    fn slow_stream(&self) -> Answer {
        self.gate.request("/v1/chat/completions", "sk-app", chat("slow", ",\"stream\":true")).open()
    }

    /// That what was charged is what the provider was asked for.
    fn expect_billed(&self, answers: u64) {
        wait_for("every charge", || {
            let info = Request::get(self.gate.port, "/key/info").key("sk-counted").send().json();
            let micro = (info["info"]["spend"].as_f64()? * 1e6).round() as u64;
            (micro == answers * MICRO_USD).then_some(())
        });
        // Two of them are those of the poor key.
        assert_eq!(self.mock.requests("/usage=1000").len() as u64, answers + 2);
    }

    /// That every worker still knows what was spent before.
    fn expect_poor(&self) {
        for _ in 0..8 {
            let error = self.gate.chat("sk-poor", "first").expect_error(429, "budget_exceeded", "budget_exceeded");
            assert!(error["message"].as_str().unwrap().contains("0.0015 USD spent"), "{error:#}");
        }
    }
}

/// The test build without its debug information, which Envoy would read again and again.
fn other() -> PathBuf {
    let whole = std::fs::read(trap_module()).unwrap();
    let (mut module, mut rest) = (whole[..8].to_vec(), &whole[8..]);
    while let Some((id, after)) = rest.split_first() {
        let (mut length, mut shift, mut at) = (0_usize, 0, 0);
        loop {
            length |= usize::from(after[at] & 0x7f) << shift;
            (shift, at) = (shift + 7, at + 1);
            if after[at - 1] < 0x80 {
                break;
            }
        }
        let (section, next) = rest.split_at(1 + at + length);
        // Of a section's own kind: names, and what debuggers read.
        if *id != 0 {
            module.extend_from_slice(section);
        }
        rest = next;
    }
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("e2e/other-{:?}.wasm", std::thread::current().id()));
    std::fs::write(&path, module).unwrap();
    path
}

fn render(folder: &Path, mock: &Mock, port: u16, wasm: &Path, more: &str, args: &[&str]) -> String {
    let config = CONFIG.replace("{more}", more).replace("{port}", &mock.port.to_string());
    let config = config.replace("{dead}", "127.0.0.1:1");
    let (file, files, port) = (folder.join("config.yaml"), folder.join("files"), port.to_string());
    std::fs::write(&file, config).unwrap();
    let paths = [&file, &files, wasm].map(|path| path.to_str().unwrap());
    let common = ["render", "--format", "dynamic", "--config", paths[0], "-o", paths[1], "--wasm", paths[2]];
    let output = tollgate(&[&common[..], &["--port", &port, "--admin-port", "0"], args].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn another_version_is_swapped_in_under_load_and_back() {
    let rig = Rig::start("module");
    let (other, stream) = (other(), rig.slow_stream());
    let billed = rig.under_load(|| assert!(rig.swap(&other, "")));
    assert!(stream.finish().expect_ok().text().ends_with("data: [DONE]\n\n"), "a stream of the old version broke off");
    rig.expect_billed(billed);
    rig.expect_poor();
    rig.gate.chat("sk-app", "broken").expect_ok();
    assert!(rig.traps(), "the old version serves");
    let serves = || Request::get(rig.gate.port, "/v1/models").key("sk-app").send().status == 200;
    wait_for("all workers", || (0..16).all(|_| serves()).then_some(()));
    let billed = billed + rig.under_load(|| assert!(rig.swap(&dist("tollgate.wasm"), "")));
    rig.expect_billed(billed);
    rig.expect_poor();
    assert!(!rig.traps(), "the test build still serves");
}

#[test]
fn a_module_that_is_no_good_is_refused_and_the_old_one_serves_on() {
    let rig = Rig::start("module-bad");
    let whole = std::fs::read(dist("tollgate.wasm")).unwrap();
    let refusing = wat::parse_str(REFUSING).unwrap();
    let mut billed = 0;
    for (name, bytes) in [("cut", &whole[..whole.len() / 2]), ("empty", &[]), ("refusing", &refusing)] {
        let module = rig.folder.join(format!("{name}.wasm"));
        std::fs::write(&module, bytes).unwrap();
        billed += rig.under_load(|| assert!(!rig.swap(&module, ""), "Envoy took the {name} module"));
        rig.expect_billed(billed);
    }
    rig.expect_poor();
    rig.gate.chat("sk-app", "broken").expect_ok();
    assert!(rig.swap(&other(), ""));
    assert!(rig.traps(), "after bad ones a good one is taken up");
}

/// A module of the right ABI which refuses every configuration.
const REFUSING: &str = r#"(module
  (memory (export "memory") 1)
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) i32.const 1024)
  (func (export "proxy_on_context_create") (param i32 i32))
  (func (export "proxy_on_vm_start") (param i32 i32) (result i32) i32.const 1)
  (func (export "proxy_on_configure") (param i32 i32) (result i32) i32.const 0)
  (func (export "proxy_on_done") (param i32) (result i32) i32.const 1)
  (func (export "proxy_on_delete") (param i32)))"#;

/// Another variable makes another VM, too. Envoy takes up the clusters, and refuses the listener.
#[test]
fn a_variable_that_envoy_lacks_is_refused_and_nothing_of_before_breaks() {
    let rig = Rig::start("module-variable");
    let billed = rig.under_load(|| assert!(!rig.swap(&dist("tollgate.wasm"), LATER)));
    rig.expect_billed(billed);
    assert!(rig.gate.stderr().contains("LATER_KEY"), "{}", rig.gate.stderr());
    rig.expect_poor();
}

#[test]
fn what_the_version_before_needed_stays_until_it_is_said_to_be_drained() {
    let rig = Rig::start("module-files");
    let clusters =
        || std::fs::read_to_string(rig.folder.join("files/cds.yaml")).unwrap().matches("\n- \"@type\"").count();
    let before = clusters();
    assert!(rig.render(&dist("tollgate.wasm"), &["--drained"]).contains("cds.yaml: unchanged"));
    let other = other();
    rig.swap(&other, "");
    assert_eq!(clusters(), before * 2);
    let again = rig.render(&other, &[]);
    assert_eq!(again.matches(": unchanged").count(), 3, "{again}");
    let billed = rig.under_load(|| {
        let told = rig.render(&other, &["--drained"]);
        assert_eq!((told.matches(": written").count(), clusters()), (1, before), "{told}");
    });
    rig.expect_billed(billed);
    let admin = format!("http://127.0.0.1:{}", rig.gate.admin_port);
    let config = rig.folder.join("config.yaml");
    let output = tollgate(&["check", "--envoy", &admin, "--config", config.to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
