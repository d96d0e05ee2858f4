//! Measures what Tollgate costs: CPU time per request of the proxy process, against plain Envoy in the same run.
//!
//! Every case goes through every target in turn (A B C A B C ...), so that a slow minute of the machine hits all of
//! them, and the medians of the rounds are reported. CPU time per request is the number to trust: it hardly depends
//! on what else runs. Requests/s and latency do: load, mock and proxy share the machine.
//!
//! # Limits
//!
//! Killed by a signal, it leaves its children behind; ended by Ctrl-C, they get the same signal.

#![expect(clippy::disallowed_types, reason = "measures real time")]

mod load;
mod process;
mod report;
mod soak;
mod startup;
mod targets;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use clap::Parser;
use serde_json::json;

use crate::load::Load;
use crate::report::{Report, Sample};
use crate::targets::{Setup, Target};

/// Measures Tollgate against plain Envoy.
#[derive(Parser)]
struct Options {
    /// The most requests of one measurement.
    #[arg(long, default_value_t = 10_000)]
    requests: u64,
    /// The most seconds of one measurement.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// How often every case is measured.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Only the cases whose names contain one of these.
    #[arg(long, value_delimiter = ',')]
    cases: Vec<String>,
    /// Only the targets of these names.
    #[arg(long, value_delimiter = ',')]
    targets: Vec<String>,
    /// Writes the report as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Measures LiteLLM's proxy too (also with LITELLM=1 in the environment); installs it under target/litellm.
    #[arg(long)]
    litellm: bool,
    /// Sends this many requests more through Tollgate and watches its memory.
    #[arg(long)]
    soak: Option<u64>,
    /// Measures how long Envoy takes to be ready with the small config and with the large one.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set)]
    startup: bool,
    /// Fails if a target is missed.
    #[arg(long)]
    assert: bool,
}

/// One kind of request.
pub(crate) struct Case {
    name: String,
    body_bytes: usize,
    stream: bool,
    concurrency: usize,
}

impl Case {
    /// A plain answer to a body of 2 KB.
    pub(crate) fn unary(concurrency: usize) -> Self {
        Self { name: format!("unary-c{concurrency}"), body_bytes: 2 << 10, stream: false, concurrency }
    }

    fn stream(concurrency: usize) -> Self {
        Self { name: format!("stream-c{concurrency}"), stream: true, ..Self::unary(concurrency) }
    }

    /// A plain answer to a larger body, four at a time.
    fn body(name: &str, body_bytes: usize) -> Self {
        Self { name: format!("body-{name}"), body_bytes, ..Self::unary(4) }
    }

    fn all() -> Vec<Self> {
        vec![
            Self::unary(1),
            Self::unary(16),
            Self::stream(1),
            Self::stream(16),
            Self::body("16k", 16 << 10),
            Self::body("256k", 256 << 10),
            Self::body("4m", 4 << 20),
        ]
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let options = Options::parse();
    let mut setup =
        Setup::start(options.litellm || std::env::var_os("LITELLM").is_some_and(|value| value == "1")).await?;
    let mut report = Report::default();
    report.skipped.append(&mut setup.skipped);
    measure(&options, &setup, &mut report).await?;
    println!("{}", report.table());
    let mut misses = if options.assert { report.misses() } else { Vec::new() };
    if options.startup {
        let startup = startup::run(&setup, options.rounds.max(1)).await?;
        println!("{}", startup.text);
        misses.extend(startup.miss.filter(|_| options.assert));
        report.startup = Some(startup.json);
    }
    if let Some(requests) = options.soak {
        let target = setup.targets.iter().find(|target| target.name == "tollgate-openai").or(setup.targets.last());
        let soak = soak::run(target.ok_or("nothing to soak")?, requests).await?;
        println!("{}", soak.text);
        if options.assert && !soak.flat {
            misses.push(soak.text);
        }
        report.soak = Some(soak.json);
    }
    if let Some(path) = &options.json {
        std::fs::write(path, format!("{:#}\n", report.json()))?;
    }
    misses.iter().for_each(|miss| eprintln!("missed: {miss}"));
    Ok(if misses.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Every case, every round, every target; a target that fails once is left out of the rest of the case.
async fn measure(options: &Options, setup: &Setup, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let wanted = |name: &str| options.cases.is_empty() || options.cases.iter().any(|part| name.contains(part.as_str()));
    let is_asked = |name: &str| options.targets.is_empty() || options.targets.iter().any(|target| target == name);
    for (place, case) in Case::all().into_iter().enumerate().filter(|(_, case)| wanted(&case.name)) {
        let mut failed = Vec::new();
        let mut targets: Vec<&Target> = setup.targets.iter().filter(|target| is_asked(target.name)).collect();
        for round in 0..options.rounds.max(1) {
            for target in &targets {
                if failed.contains(&target.name) {
                    continue;
                }
                eprintln!("{} {} round {}", case.name, target.name, round + 1);
                match sample(options, &case, target, round == 0).await {
                    Ok(sample) => report.add(place, &case.name, target.name, sample),
                    Err(error) => {
                        failed.push(target.name);
                        report.skipped.push((target.name, format!("{}: {error}", case.name)));
                    }
                }
            }
            // Who comes after whom makes a difference of its own, here some 10 us.
            targets.reverse();
        }
    }
    Ok(())
}

async fn sample(options: &Options, case: &Case, target: &Target, warm_up: bool) -> Result<Sample, Box<dyn Error>> {
    let mut load = load_of(case, target);
    if warm_up {
        (load.requests, load.time) = (options.requests / 10 + 1, Duration::from_secs(1));
        load::run(&load).await.map_err(|error| error.to_string())?;
    }
    (load.requests, load.time) = (options.requests, Duration::from_secs(options.seconds));
    let before = process::usage(&target.pids);
    let outcome = load::run(&load).await.map_err(|error| error.to_string())?;
    let after = process::usage(&target.pids);
    let latencies = outcome.latencies_us;
    let at = |percent: usize| latencies.get(latencies.len() * percent / 100).copied().unwrap_or(0) as f64;
    let requests = latencies.len() as f64;
    Ok(Sample {
        requests: latencies.len() as u64,
        requests_per_s: requests / outcome.elapsed.as_secs_f64(),
        p50_us: at(50),
        p99_us: at(99),
        cpu_us_per_request: (after.cpu_us - before.cpu_us) as f64 / requests.max(1.0),
        peak_kb: after.peak_kb as f64,
    })
}

/// The load of a case, with an hour to spend.
pub(crate) fn load_of(case: &Case, target: &Target) -> Load {
    Load {
        port: target.port,
        path: target.path.clone(),
        key: target.key.to_owned(),
        body: body(case, target.model),
        answer_bytes: if case.stream { 5000 } else { 400 },
        answer_end: if case.stream { "data: [DONE]" } else { "}" },
        concurrency: case.concurrency,
        requests: u64::MAX,
        time: Duration::from_secs(3600),
    }
}

/// A chat request of about `body_bytes`: a system prompt, then turns of one KB.
fn body(case: &Case, model: &str) -> Bytes {
    const TURN: &str = "Pay the toll, pass the gate, and tell me what lies \"beyond\" it.\n";
    // Quotes and line feeds take a byte more in JSON.
    const TURN_BYTES: usize = TURN.len() + 3;
    const ENVELOPE_BYTES: usize = 200;
    let mut messages = vec![json!({"role": "system", "content": "You are a toll keeper."})];
    let mut left = case.body_bytes.saturating_sub(ENVELOPE_BYTES);
    while left > TURN_BYTES {
        let lines = (left / TURN_BYTES).min(1024 / TURN_BYTES);
        let role = if messages.len() % 2 == 0 { "assistant" } else { "user" };
        messages.push(json!({"role": role, "content": TURN.repeat(lines)}));
        left = left.saturating_sub(lines * TURN_BYTES + r#"{"role":"assistant","content":""},"#.len());
    }
    messages.push(json!({"role": "user", "content": "Well?"}));
    Bytes::from(
        json!({"model": model, "messages": messages, "max_tokens": 256, "stream": case.stream, "temperature": 0.5,
            "user": "somebody"})
        .to_string(),
    )
}
