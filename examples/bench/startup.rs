//! What a large config costs until Envoy serves with it.
//!
//! Envoy alone is timed, with files that were rendered before: from its start until `/health/readiness` is answered. What
//! the filter itself takes to read its configuration it says in Envoy's log, once for every VM: Envoy makes one that only
//! checks it, one on its main thread and one for each worker.

use std::error::Error;
use std::fs;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::process::Process;
use crate::targets::{self, Setup, free_port};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How long Envoy may take.
const START_TIME: Duration = Duration::from_secs(60);
/// The longest that one VM may take to read the large config, in milliseconds.
const LIMIT_MS: u64 = 200;
/// The name of the process.
const NAME: &str = "startup";

/// What was measured.
pub(crate) struct Startup {
    pub(crate) json: Value,
    pub(crate) text: String,
    /// Why the target is missed, where it is.
    pub(crate) miss: Option<String>,
}

/// Starts Envoy with both configs in turn, `rounds` times.
///
/// # Errors
///
/// Something is missing, Envoy is not ready in time, or the filter does not say how long it took.
pub(crate) async fn run(setup: &Setup, rounds: u32) -> Result<Startup> {
    let documents = [targets::small_yaml(setup.mock), targets::large_yaml(setup.mock)];
    let mut starts = [const { Vec::new() }; 2];
    for _ in 0..rounds {
        for (document, starts) in documents.iter().zip(&mut starts) {
            starts.push(start(setup, document).await?);
        }
    }
    let [small, large] = starts.map(|starts| Start {
        ready_ms: middle(starts.iter().map(|start| start.ready_ms).collect()),
        read_ms: middle(starts.iter().map(|start| start.read_ms).collect()),
    });
    let miss = (large.read_ms > LIMIT_MS)
        .then(|| format!("the large config: expected at most {LIMIT_MS} ms in a VM, found {} ms", large.read_ms));
    let row = |start: &Start| json!({"ready_ms": start.ready_ms, "read_ms_per_vm": start.read_ms});
    Ok(Startup {
        json: json!({"small": row(&small), "large": row(&large)}),
        text: format!(
            "Envoy is ready after {} ms with the small config, {} ms with the large one; each VM reads it in {} and {} ms",
            small.ready_ms, large.ready_ms, small.read_ms, large.read_ms,
        ),
        miss,
    })
}

/// One start of Envoy, in milliseconds.
#[derive(Clone, Copy)]
struct Start {
    /// Until it serves.
    ready_ms: u64,
    /// The slowest VM's reading of the configuration.
    read_ms: u64,
}

async fn start(setup: &Setup, document: &str) -> Result<Start> {
    let (binary, wasm) = targets::built()?;
    let (port, admin) = (free_port()?, free_port()?);
    let [config, rendered] = ["config", "envoy"].map(|name| format!("target/bench/{NAME}-{name}.yaml"));
    fs::write(&config, document)?;
    let mut render = Command::new(binary);
    render.args(["render", "--config", &config, "--output", &rendered, "--port", &port.to_string()]);
    let status =
        render.args(["--admin-port", &admin.to_string()]).arg("--wasm").arg(fs::canonicalize(wasm)?).status()?;
    if !status.success() {
        return Err(format!("tollgate render ended with {status}").into());
    }
    let mut command = Command::new(&setup.envoy);
    command.args(["-c", &rendered, "--concurrency", "1", "--disable-hot-restart"]);
    command.args(["--log-level", "error", "--component-log-level", "wasm:info"]);
    let mut envoy = Process::start(NAME, command)?;
    let ready = targets::answers(&mut envoy, NAME, port, "/health/readiness", START_TIME).await?;
    let log = fs::read_to_string(format!("target/bench/{NAME}.log"))?;
    let read_ms = log.lines().filter_map(read_ms).max();
    let read_ms = read_ms.ok_or("the filter has not said how long it took to read its configuration")?;
    Ok(Start { ready_ms: u64::try_from(ready.as_millis())?, read_ms })
}

/// The time in the filter's own line of Envoy's log, in milliseconds.
fn read_ms(line: &str) -> Option<u64> {
    line.split_once(" keys, read in ")?.1.strip_suffix(" ms")?.parse().ok()
}

fn middle(mut times: Vec<u64>) -> u64 {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
