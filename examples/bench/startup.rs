//! What a large config costs until Envoy serves with it.
//!
//! Envoy alone is timed, with files that were rendered before: from its start until `/health/readiness` is answered.
//! What the large config takes more than the small one is Envoy's reading of a longer file, and the filter's reading of
//! its configuration, once in every VM. The filter's own part is measured natively too, as the compilation of the same
//! document.

use std::error::Error;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tollgate::cli::yaml;
use tollgate::config::{Config, Env};

use crate::process::{self, Process};
use crate::targets::{self, Setup, free_port};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How long Envoy may take.
const START_TIME: Duration = Duration::from_secs(60);
/// The VMs of an Envoy with one worker: one that only checks the configuration, the main thread's, the worker's.
const VMS: u32 = 3;
/// The longest that one VM may take to read the large config.
const LIMIT: Duration = Duration::from_millis(200);

/// What was measured.
pub(crate) struct Startup {
    pub(crate) json: Value,
    pub(crate) text: String,
    /// Why the target is missed, where it is.
    pub(crate) miss: Option<String>,
}

/// Starts Envoy with both configs in turn, `rounds` times, and compiles the large one natively as often.
///
/// # Errors
///
/// Something is missing, or Envoy is not ready in time.
pub(crate) async fn run(setup: &Setup, rounds: u32) -> Result<Startup> {
    let documents = [targets::small_yaml(setup.mock), targets::large_yaml(setup.mock)];
    let mut times = [const { Vec::new() }; 2];
    for _ in 0..rounds {
        for (document, times) in documents.iter().zip(&mut times) {
            times.push(start(setup, document).await?);
        }
    }
    let [small, large] = times.map(Times::median);
    let [_, document] = documents;
    let native = middle((0..rounds).map(|_| compile(&document)).collect::<Result<_>>()?);
    let more = |of: fn(&Times) -> Duration| of(&large).saturating_sub(of(&small)) / VMS;
    let (wall, cpu) = (more(|times| times.wall), more(|times| times.cpu));
    let miss = (wall > LIMIT).then(|| format!("the large config: expected at most {LIMIT:?} a VM, found {wall:?}"));
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    Ok(Startup {
        json: json!({
            "vms": VMS,
            "small": {"ready_ms": ms(small.wall), "cpu_ms": ms(small.cpu)},
            "large": {"ready_ms": ms(large.wall), "cpu_ms": ms(large.cpu)},
            "large_ready_ms_per_vm": ms(wall),
            "large_cpu_ms_per_vm": ms(cpu),
            "native_compile_ms": ms(native),
        }),
        text: format!(
            "Envoy is ready after {:.0} ms with the small config, {:.0} ms with the large one: {:.0} ms more for each of \
             {VMS} VMs ({:.0} ms of CPU time)\nnatively the large config compiles in {:.1} ms",
            ms(small.wall),
            ms(large.wall),
            ms(wall),
            ms(cpu),
            ms(native),
        ),
        miss,
    })
}

/// How long a start took, and how much work it was.
#[derive(Clone, Copy)]
struct Times {
    wall: Duration,
    cpu: Duration,
}

impl Times {
    /// The median of each number on its own.
    fn median(all: Vec<Self>) -> Self {
        let of = |number: fn(&Self) -> Duration| middle(all.iter().map(number).collect());
        Self { wall: of(|times| times.wall), cpu: of(|times| times.cpu) }
    }
}

async fn start(setup: &Setup, document: &str) -> Result<Times> {
    let (binary, wasm) = targets::built()?;
    let (port, admin) = (free_port()?, free_port()?);
    let [config, rendered] = ["config", "envoy"].map(|name| format!("target/bench/startup-{name}.yaml"));
    fs::write(&config, document)?;
    let mut render = Command::new(binary);
    render.args(["render", "--config", &config, "--output", &rendered, "--port", &port.to_string()]);
    let status =
        render.args(["--admin-port", &admin.to_string()]).arg("--wasm").arg(fs::canonicalize(wasm)?).status()?;
    if !status.success() {
        return Err(format!("tollgate render ended with {status}").into());
    }
    let mut command = Command::new(&setup.envoy);
    command.args(["-c", &rendered, "--concurrency", "1", "--disable-hot-restart", "--log-level", "error"]);
    let mut envoy = Process::start("startup", command)?;
    let wall = targets::answers(&mut envoy, "startup", port, "/health/readiness", START_TIME).await?;
    let cpu = Duration::from_micros(process::usage(&envoy.family()).cpu_us);
    Ok(Times { wall, cpu })
}

fn compile(document: &str) -> Result<Duration> {
    let document = yaml::parse(document)?;
    let start = Instant::now();
    let config = Config::compile(&document, Env::Strict(&|_| None));
    let time = start.elapsed();
    config.map_err(|faults| faults.first().map(ToString::to_string).unwrap_or_default())?;
    Ok(time)
}

fn middle(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
