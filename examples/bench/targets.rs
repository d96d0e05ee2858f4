//! The proxies under test, each in front of the same mock provider.

use std::error::Error;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, fs};

use crate::load;
use crate::process::Process;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How the mock shapes every stream: 50 content chunks, one millisecond apart, so that each is a read of its own.
pub(crate) const SHAPE: &str = "/mock/chunks=50,chunk-ms=1/v1";
/// The virtual key that the bench uses; it has a budget that it cannot spend.
const KEY: &str = "sk-bench-key";
/// How long a proxy may take to answer its first request.
const START_TIME: Duration = Duration::from_secs(30);
/// As above, for LiteLLM.
const LITELLM_START_TIME: Duration = Duration::from_secs(120);

/// One way to the mock provider.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) port: u16,
    pub(crate) path: String,
    pub(crate) model: &'static str,
    pub(crate) key: &'static str,
    /// The processes whose time is counted.
    pub(crate) pids: Vec<u32>,
}

/// Everything that runs; dropping it stops all.
#[derive(Default)]
pub(crate) struct Setup {
    pub(crate) targets: Vec<Target>,
    /// What could not be measured, and why.
    pub(crate) skipped: Vec<(&'static str, String)>,
    pub(crate) envoy: PathBuf,
    /// The port of the mock provider.
    pub(crate) mock: u16,
    processes: Vec<Process>,
}

impl Setup {
    /// Starts the mock provider (measured as `direct`: the floor under every other number), plain Envoy, Tollgate, and
    /// LiteLLM if wanted.
    ///
    /// # Errors
    /// The mock or plain Envoy does not start: without them there is nothing to compare with.
    pub(crate) async fn start(litellm: bool) -> Result<Self> {
        let mut setup = Self::default();
        fs::create_dir_all("target/bench")?;
        let envoy = envoy_path()?;
        setup.envoy.clone_from(&envoy);
        let mock = setup.start_mock().await?;
        setup.mock = mock;
        setup.start_envoy(&envoy, mock).await?;
        // Plain Envoy writes no access log, so neither does the Tollgate that it is compared with; what the log of all
        // fields costs is a case of its own.
        // The small config and the large one are measured one right after the other: they are compared with each other.
        let models = [("tollgate-anthropic", "bench-anthropic"), ("tollgate-openai", "bench-openai")];
        let logged = [("tollgate-openai-log", "bench-openai")];
        let large = [("tollgate-openai-1k", "bench-openai")];
        let (free, all) = ([("tollgate-openai-free", "bench-openai")], [("tollgate-openai-all", "bench-openai")]);
        // Four workers change the same accounts.
        let free_4 = [("tollgate-openai-free-4w", "bench-openai")];
        let all_4 = [("tollgate-openai-all-4w", "bench-openai")];
        let configs: [(String, u32, &[_]); 7] = [
            (small_yaml(mock), 1, &models),
            (large_yaml(mock), 1, &large),
            (principals_yaml(mock, false), 1, &free),
            (principals_yaml(mock, true), 1, &all),
            (principals_yaml(mock, false), 4, &free_4),
            (principals_yaml(mock, true), 4, &all_4),
            (format!("{}{}", litellm_yaml(mock, 1), keys_yaml(1)), 1, &logged),
        ];
        for (config, workers, models) in configs {
            if let Err(error) = setup.start_tollgate(&envoy, &config, workers, models).await {
                setup.skipped.push(("tollgate", error.to_string()));
            }
        }
        if litellm && let Err(error) = setup.start_litellm(mock).await {
            setup.skipped.push(("litellm", error.to_string()));
        }
        Ok(setup)
    }

    async fn start_mock(&mut self) -> Result<u16> {
        let beside = env::current_exe()?.with_file_name("mock-provider");
        let path = [beside, PathBuf::from("dist/mock-provider")]
            .into_iter()
            .find(|path| path.exists())
            .ok_or("no mock-provider: cargo build --release --example mock-provider")?;
        let port = free_port()?;
        let mut command = Command::new(path);
        command.args(["--port", &port.to_string()]);
        let pids = vec![self.run("mock-provider", command, port, "/_mock/health", START_TIME).await?];
        let path = format!("{SHAPE}/chat/completions");
        self.targets.push(Target { name: "direct", port, path, model: "bench-openai", key: KEY, pids });
        Ok(port)
    }

    async fn start_envoy(&mut self, envoy: &Path, mock: u16) -> Result<()> {
        let port = free_port()?;
        fs::write("target/bench/envoy.yaml", envoy_yaml(port, mock))?;
        let mut command = Command::new(envoy);
        command.args(["-c", "target/bench/envoy.yaml", "--concurrency", "1", "--disable-hot-restart"]);
        command.args(["--log-level", "error"]);
        let pids = vec![self.run("envoy", command, port, "/_mock/health", START_TIME).await?];
        let path = format!("{SHAPE}/chat/completions");
        self.targets.push(Target { name: "envoy", port, path, model: "bench-openai", key: KEY, pids });
        Ok(())
    }

    /// One Tollgate serves both models: the time counted is a difference, so they don't disturb each other.
    async fn start_tollgate(
        &mut self,
        envoy: &Path,
        document: &str,
        workers: u32,
        models: &[(&'static str, &'static str)],
    ) -> Result<()> {
        let (binary, wasm) = built()?;
        let (port, admin) = (free_port()?, free_port()?);
        let config = format!("target/bench/tollgate-{port}.yaml");
        fs::write(&config, document)?;
        let mut command = Command::new(binary);
        command.args(["run", "--config", &config, "--concurrency", &workers.to_string()]);
        command.args(["--port", &port.to_string(), "--admin-port", &admin.to_string()]);
        command.arg("--envoy").arg(envoy).arg("--wasm").arg(wasm);
        let pid = self.run("tollgate", command, port, "/health/readiness", START_TIME).await?;
        self.add_models(models, port, &[pid]);
        Ok(())
    }

    async fn start_litellm(&mut self, mock: u16) -> Result<()> {
        let venv = Path::new("target/litellm");
        if !venv.join("bin/litellm").exists() {
            install_litellm(venv)?;
        }
        let port = free_port()?;
        fs::write("target/bench/litellm.yaml", litellm_yaml(mock, 1).replace("sk-bench-master", KEY))?;
        let mut command = Command::new(venv.join("bin/litellm"));
        command.args(["--config", "target/bench/litellm.yaml", "--host", "127.0.0.1", "--port", &port.to_string()]);
        command.args(["--num_workers", "1"]).env("LITELLM_LOG", "ERROR").env("LITELLM_LOCAL_MODEL_COST_MAP", "True");
        self.run("litellm", command, port, "/health/readiness", LITELLM_START_TIME).await?;
        let pids = self.processes.last().map(Process::family).unwrap_or_default();
        self.add_models(&[("litellm-openai", "bench-openai"), ("litellm-anthropic", "bench-anthropic")], port, &pids);
        Ok(())
    }

    fn add_models(&mut self, models: &[(&'static str, &'static str)], port: u16, pids: &[u32]) {
        for &(name, model) in models {
            let (path, pids) = ("/v1/chat/completions".to_owned(), pids.to_vec());
            self.targets.push(Target { name, port, path, model, key: KEY, pids });
        }
    }

    /// Starts a process, waits until `ready` is answered, and names the Envoy in it (or the process itself).
    async fn run(&mut self, name: &str, command: Command, port: u16, ready: &str, time: Duration) -> Result<u32> {
        let mut process = Process::start(name, command)?;
        answers(&mut process, name, port, ready, time).await?;
        let pid = process.envoy().or_else(|| process.family().first().copied()).ok_or("a process without a pid")?;
        self.processes.push(process);
        Ok(pid)
    }
}

/// Waits until `ready` is answered; how long that took.
pub(crate) async fn answers(
    process: &mut Process,
    name: &str,
    port: u16,
    ready: &str,
    time: Duration,
) -> Result<Duration> {
    let start = Instant::now();
    while !load::answers(port, ready).await {
        process.check()?;
        if start.elapsed() > time {
            return Err(format!("{name} did not answer {ready} in {time:?}, see target/bench/{name}.log").into());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(start.elapsed())
}

/// The command and the filter.
pub(crate) fn built() -> Result<(&'static Path, &'static Path)> {
    let (binary, wasm) = (Path::new("dist/tollgate"), Path::new("dist/tollgate.wasm"));
    for path in [binary, wasm] {
        if !path.exists() {
            return Err(format!("no {}: make build", path.display()).into());
        }
    }
    Ok((binary, wasm))
}

fn install_litellm(venv: &Path) -> Result<()> {
    let steps = [
        ("python3".into(), vec!["-m", "venv", "target/litellm"]),
        (venv.join("bin/pip"), vec!["install", "--quiet", "litellm[proxy]"]),
    ];
    for (program, arguments) in steps {
        let status = Command::new::<PathBuf>(program).args(&arguments).status()?;
        if !status.success() {
            return Err(format!("installing LiteLLM: {arguments:?} ended with {status}").into());
        }
    }
    Ok(())
}

/// `ENVOY_BIN`, the one in target/, or the one on PATH.
fn envoy_path() -> Result<PathBuf> {
    if let Some(path) = env::var_os("ENVOY_BIN") {
        return Ok(path.into());
    }
    let on_path = env::var_os("PATH").unwrap_or_default();
    let local = PathBuf::from("target/envoy/bin");
    env::split_paths(&on_path)
        .chain([local])
        .map(|folder| folder.join("envoy"))
        .find(|path| path.exists())
        .ok_or_else(|| "no envoy: set ENVOY_BIN, or make build".into())
}

pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// A listener, one route, the router, one cluster.
fn envoy_yaml(port: u16, mock: u16) -> String {
    format!(
        r#"static_resources:
  listeners:
  - address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
    per_connection_buffer_limit_bytes: 16777216
    filter_chains:
    - filters:
      - name: http
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: http
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - match: {{prefix: /}}
                route: {{cluster: mock, timeout: 0s}}
          http_filters:
          - name: router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
  clusters:
  - name: mock
    type: STATIC
    connect_timeout: 1s
    load_assignment:
      cluster_name: mock
      endpoints:
      - lb_endpoints:
        - endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {mock}}}}}}}
"#
    )
}

/// Tollgate's small config: two deployments and one key, without access log.
pub(crate) fn small_yaml(mock: u16) -> String {
    format!("{}{}  record_fields: []\n", litellm_yaml(mock, 1), keys_yaml(1))
}

/// Its large config: 1,000 deployments in the group that is asked for, and 10,000 keys.
pub(crate) fn large_yaml(mock: u16) -> String {
    format!("{}{}  record_fields: []\n", litellm_yaml(mock, 1_000), keys_yaml(10_000))
}

/// One key, which nothing limits; or every principal there is, each with a budget and limits that the bench cannot reach.
fn principals_yaml(mock: u16, all: bool) -> String {
    let models = litellm_yaml(mock, 1);
    if !all {
        return format!("{models}tollgate:\n  record_fields: []\n  keys: [{{key_alias: bench, key: {KEY}}}]\n");
    }
    let budget = "max_budget: 1000000, budget_duration: 30d";
    let limits = format!("{budget}, rpm_limit: 100000000, tpm_limit: 1000000000000");
    let model = format!("model_max_budget: {{bench-openai: {{{budget}}}}}");
    format!(
        "{models}litellm_settings:
  {{{budget}, tag_budget_config: {{bench: {{{budget}}}}}, max_end_user_budget: 1000000}}
router_settings:
  provider_budget_config: {{openai: {{{budget}}}}}
tollgate:
  record_fields: []
  teams: [{{team_id: bench, {limits}, {model}}}]
  users: [{{user_id: bench, {limits}}}]
  keys: [{{key_alias: bench, key: {KEY}, team_id: bench, user_id: bench, tags: [bench], {limits}, {model}}}]
"
    )
}

/// What Tollgate and LiteLLM share, with `deployments` of `bench-openai`; with prices, so that the budget has something
/// to count.
fn litellm_yaml(mock: u16, deployments: usize) -> String {
    let mut yaml = "model_list:\n".to_owned();
    for i in 1..=deployments {
        yaml += &format!(
            "- model_name: bench-openai
  litellm_params:
    model: openai/gpt-4o-mini
    api_base: http://127.0.0.1:{mock}{SHAPE}
    api_key: sk-upstream-{i}
    input_cost_per_token: 0.00000015
    output_cost_per_token: 0.0000006
"
        );
    }
    yaml += &format!(
        "- model_name: bench-anthropic
  litellm_params:
    model: anthropic/claude-sonnet-4-5
    api_base: http://127.0.0.1:{mock}/mock/chunks=50,chunk-ms=1
    api_key: sk-upstream
    input_cost_per_token: 0.000003
    output_cost_per_token: 0.000015
general_settings:
  master_key: sk-bench-master
"
    );
    yaml
}

/// So many keys, each with a budget; the bench's own is the last.
fn keys_yaml(keys: usize) -> String {
    let budget = "max_budget: 1000000, budget_duration: 30d";
    let mut yaml = "tollgate:\n  keys:\n".to_owned();
    for i in 1..keys {
        yaml += &format!("  - {{key_alias: key-{i}, key: sk-bench-{i}, {budget}}}\n");
    }
    yaml + &format!("  - {{key_alias: bench, key: {KEY}, {budget}}}\n")
}
