//! Tollgate as it is deployed: a rendered config, a real Envoy.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

use super::client::{Answer, Request};
use super::mock::Mock;
use super::process::{Process, tollgate};
use super::talk::chat;
use super::{dist, test_folder, wait_for};

/// An Envoy with the filter in it.
pub(crate) struct Gate {
    pub(crate) port: u16,
    pub(crate) admin_port: u16,
    folder: PathBuf,
    _envoy: Process,
}

/// What a test may want otherwise.
#[derive(Clone, Copy)]
pub(crate) struct Options<'a> {
    /// Envoy's workers.
    pub(crate) concurrency: u32,
    /// The environment that `os.environ/NAME` is resolved in.
    pub(crate) env: &'a [(&'a str, &'a str)],
    /// Another module than that of `dist/`.
    pub(crate) wasm: Option<&'a Path>,
    /// Changes the rendered YAML.
    pub(crate) edit: fn(String) -> String,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self { concurrency: 2, env: &[], wasm: None, edit: |yaml| yaml }
    }
}

impl Gate {
    /// Serves `config`, in which `{mock}` stands for the shared provider and `{dead}` for an address where nobody
    /// listens. `name` is its folder under `target/tmp/e2e`, where everything stays to be looked at.
    pub(crate) fn start(name: &str, config: &str) -> Self {
        Self::start_with(name, config, Options::default())
    }

    pub(crate) fn start_with(name: &str, config: &str, options: Options<'_>) -> Self {
        let folder = test_folder(name);
        std::fs::create_dir_all(&folder).unwrap();
        let envoy_yaml = render(&folder, config, options);
        let gate = Self::start_at(folder, &envoy_yaml, "tollgate", options);
        wait_for("readiness", || (gate.get("/health/readiness", "").status == 200).then_some(()));
        gate
    }

    /// Starts Envoy with a bootstrap that was made elsewhere; its port is that of `listener`.
    pub(crate) fn start_at(folder: PathBuf, bootstrap: &Path, listener: &str, options: Options<'_>) -> Self {
        let (envoy, admin_port, port) = launch(&folder, bootstrap, listener, options);
        Self { port, admin_port, folder, _envoy: envoy }
    }

    pub(crate) fn get(&self, path: &str, key: &str) -> Answer {
        Request::get(self.port, path).key(key).send()
    }

    pub(crate) fn post(&self, path: &str, key: &str, body: impl Into<Vec<u8>>) -> Answer {
        self.request(path, key, body).send()
    }

    /// A request that is not sent yet.
    pub(crate) fn request(&self, path: &str, key: &str, body: impl Into<Vec<u8>>) -> Request {
        Request::post(self.port, path, body).key(key)
    }

    /// Asks `model` to chat.
    pub(crate) fn chat(&self, key: &str, model: &str) -> Answer {
        self.post("/v1/chat/completions", key, chat(model, ""))
    }

    /// The last lines of the access log that belong to `key_alias`, once there are `count`.
    pub(crate) fn access_log(&self, key_alias: &str, count: usize) -> Vec<Value> {
        self.access_log_where(&format!("{count} access log lines of {key_alias}"), count, |line| {
            line["key_alias"] == key_alias
        })
    }

    /// The only access log line of `key_alias`.
    pub(crate) fn record(&self, key_alias: &str) -> Value {
        let mut lines = self.access_log(key_alias, 1);
        assert_eq!(lines.len(), 1, "{lines:#?}");
        lines.remove(0)
    }

    pub(crate) fn access_log_where(&self, what: &str, count: usize, is_it: impl Fn(&Value) -> bool) -> Vec<Value> {
        wait_for(what, || {
            let text = std::fs::read_to_string(self.folder.join("stdout")).unwrap();
            let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
            let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|fault| panic!("{fault}: {line}"));
            let lines: Vec<Value> = whole.lines().map(parse).filter(&is_it).collect();
            (lines.len() >= count).then_some(lines)
        })
    }

    /// What Envoy and the filter said.
    pub(crate) fn stderr(&self) -> String {
        std::fs::read_to_string(self.folder.join("stderr")).unwrap()
    }

    /// The access log.
    pub(crate) fn stdout(&self) -> String {
        std::fs::read_to_string(self.folder.join("stdout")).unwrap()
    }

    /// Waits until the counter with these labels, summed over all others, is `expected`.
    pub(crate) fn expect_counter(&self, name: &str, labels: &[(&str, &str)], expected: u64) {
        let what = format!("{name} {labels:?} to be {expected}");
        wait_for(&what, || (self.counter(name, labels) == expected).then_some(()));
    }

    /// A counter, summed over all labels but these.
    pub(crate) fn counter(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let stats = Request::get(self.admin_port, "/stats/prometheus").send();
        let lines = stats.text().lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('{'));
        let wanted: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
        let values = lines.filter_map(|line| {
            let (labels, value) = line.rsplit_once("} ")?;
            wanted.iter().all(|label| labels.contains(label)).then(|| value.parse::<u64>().unwrap())
        });
        values.sum()
    }
}

/// Envoy's own statistics.
impl Gate {
    /// A counter of Envoy's, such as `upstream_rq_retry`, summed over all clusters.
    pub(crate) fn cluster_stat(&self, name: &str) -> u64 {
        let path = format!("/stats?filter=^cluster\\..*\\.{name}$");
        let stats = Request::get(self.admin_port, &path).send();
        stats.text().lines().filter_map(|line| line.rsplit_once(": ")?.1.parse::<u64>().ok()).sum()
    }
}

/// Starts an Envoy: its process, its admin port, and the port of `listener`.
fn launch(folder: &Path, yaml: &Path, listener: &str, options: Options<'_>) -> (Process, u16, u16) {
    let admin_address = folder.join("admin");
    let _ = std::fs::remove_file(&admin_address);
    let (concurrency, envoy) = (options.concurrency.to_string(), envoy());
    let envoy = [envoy.to_str().unwrap(), "-c", yaml.to_str().unwrap(), "--concurrency", &concurrency];
    let command = [
        &envoy[..],
        &["--admin-address-path", admin_address.to_str().unwrap()],
        &["--use-dynamic-base-id", "--file-flush-interval-msec", "50", "-l", "warning"],
    ];
    let mut envoy = Process::start(&command.concat(), options.env, folder);
    let mut alive = |what: &str| {
        let stderr = || std::fs::read_to_string(folder.join("stderr")).unwrap_or_default();
        assert!(!envoy.has_ended(), "Envoy ended before {what}: {}", stderr());
    };
    let admin_port = wait_for("Envoy's admin address", || {
        alive("it had an admin address");
        port(&std::fs::read_to_string(&admin_address).ok()?)
    });
    let port = wait_for("Envoy's listener", || {
        alive("it listened");
        let listeners = Request::get(admin_port, "/listeners").send();
        listeners.text().lines().find_map(|line| port(line.strip_prefix(listener)?.strip_prefix("::")?))
    });
    (envoy, admin_port, port)
}

/// The test build of the module, made by `make e2e`, or here.
pub(crate) fn trap_module() -> &'static Path {
    static MODULE: OnceLock<PathBuf> = OnceLock::new();
    MODULE.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let module = root.join("target/wasm32-unknown-unknown/debug/tollgate.wasm");
        if !module.exists() {
            let args = ["build", "--lib", "--target", "wasm32-unknown-unknown", "--features", "trap"];
            let status = Command::new(env!("CARGO")).current_dir(root).args(args).status().unwrap();
            assert!(status.success(), "the test build of the module failed");
        }
        module
    })
}

/// The shared provider behind TLS, with HTTP/2 for those who want it.
pub(crate) struct TlsProvider {
    pub(crate) port: u16,
    admin_port: u16,
    _envoy: Process,
}

impl TlsProvider {
    /// Starts one. `name` is its folder under `target/tmp/e2e`.
    pub(crate) fn start(name: &str) -> Self {
        let folder = test_folder(name);
        std::fs::create_dir_all(&folder).unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/tls");
        let file = |name: &str| source.join(name).to_str().unwrap().to_owned();
        let yaml = std::fs::read_to_string(source.join("provider.yaml")).unwrap();
        let yaml = yaml.replace("CERT", &file("cert.pem")).replace("KEY", &file("key.pem"));
        let path = folder.join("envoy.yaml");
        std::fs::write(&path, yaml.replace("MOCK", &Mock::shared().port.to_string())).unwrap();
        let (envoy, admin_port, port) = launch(&folder, &path, "provider", Options::default());
        Self { port, admin_port, _envoy: envoy }
    }

    /// The authority that signed its certificate.
    pub(crate) fn ca_file() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/tls/cert.pem")
    }

    /// Requests that came by `protocol`: `http1` or `http2`.
    pub(crate) fn requests(&self, protocol: &str) -> u64 {
        let name = format!("http.provider.downstream_rq_{protocol}_total");
        let stats = Request::get(self.admin_port, &format!("/stats?filter=^{name}$")).send();
        stats.text().trim().rsplit(' ').next().and_then(|value| value.parse().ok()).unwrap_or(0)
    }
}

/// A workload's sidecar: plain HTTP to it is mutual TLS to a gateway.
pub(crate) struct TlsClient {
    pub(crate) port: u16,
    _envoy: Process,
}

impl TlsClient {
    /// Shows the certificate `who` of `tests/e2e/tls` to the gateway at `gateway`. `name` is its folder under
    /// `target/tmp/e2e`.
    pub(crate) fn start(name: &str, who: &str, gateway: u16) -> Self {
        let folder = test_folder(name);
        std::fs::create_dir_all(&folder).unwrap();
        let yaml = std::fs::read_to_string(tls_file("client.yaml")).unwrap();
        let files = [
            ("CERT", format!("{who}-cert.pem")),
            ("KEY", format!("{who}-key.pem")),
            ("AUTHORITY", "cert.pem".to_owned()),
        ];
        let yaml = files.iter().fold(yaml, |yaml, (place, file)| yaml.replace(place, &tls_file(file)));
        let path = folder.join("envoy.yaml");
        std::fs::write(&path, yaml.replace("GATEWAY", &gateway.to_string())).unwrap();
        let (envoy, _, port) = launch(&folder, &path, "client", Options::default());
        Self { port, _envoy: envoy }
    }
}

/// A file of `tests/e2e/tls`.
pub(crate) fn tls_file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/tls").join(name);
    path.to_str().unwrap().to_owned()
}

fn render(folder: &Path, config: &str, options: Options<'_>) -> PathBuf {
    let (config_yaml, envoy_yaml) = (folder.join("config.yaml"), folder.join("envoy.yaml"));
    let config = config.replace("{mock}", &Mock::shared().address()).replace("{dead}", "127.0.0.1:1");
    std::fs::write(&config_yaml, config).unwrap();
    let wasm = options.wasm.map_or_else(|| dist("tollgate.wasm"), Path::to_owned);
    let files = [&config_yaml, &envoy_yaml, &wasm].map(|path| path.to_str().unwrap());
    let args = ["render", "--config", files[0], "-o", files[1], "--wasm", files[2], "--port", "0", "--admin-port", "0"];
    let output = tollgate(&args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let yaml = std::fs::read_to_string(&envoy_yaml).unwrap();
    std::fs::write(&envoy_yaml, (options.edit)(yaml)).unwrap();
    envoy_yaml
}

/// The Envoy that is tested.
pub(crate) fn envoy() -> PathBuf {
    let set_up = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/envoy/bin/envoy");
    let path = std::env::var_os("ENVOY_BIN").map_or(set_up, PathBuf::from);
    assert!(path.exists(), "{} is missing: run `make build`", path.display());
    path
}

/// The port of `127.0.0.1:4000`.
fn port(address: &str) -> Option<u16> {
    address.trim().rsplit(':').next()?.parse().ok()
}
