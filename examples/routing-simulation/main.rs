//! One simulated hour of ten deployments that fail, slow down and refuse: what each routing strategy makes of it.
//!
//! The plan, the fleet and its records are those of the filter; the clock, the providers and the clients are made up.
//! The numbers and what they mean are in `README.md`, which `--write` brings up to date together with its picture.
//!
//! | module | what it is |
//! | --- | --- |
//! | `scenario` | what happens, whoever routes: deployments, troubles, requests |
//! | `provider` | how a deployment answers |
//! | `world` | the simulation: events in the order of their time, and the filter's routing |
//! | `report` | what came of it, in numbers |
//! | `plot` | the same as a picture |
//! | `chance` | random numbers that repeat |
//!
//! `cargo run --release --features cli --example routing-simulation [-- --write]`

mod chance;
mod plot;
mod provider;
mod report;
mod scenario;
#[cfg(test)]
mod tests;
mod world;

use std::error::Error;
use std::path::Path;

use serde_json::{Value, json};

use report::Outcomes;
use scenario::Scenario;
use world::{Router, run};

/// LiteLLM's names.
const STRATEGIES: [&str; 5] =
    ["simple-shuffle", "least-busy", "latency-based-routing", "cost-based-routing", "usage-based-routing-v2"];
/// Of the README's numbers.
const SEED: u64 = 4;

fn main() -> Result<(), Box<dyn Error>> {
    let scenario = Scenario::hour(SEED);
    let baseline = run(&scenario, &Router::Blind)?;
    let (tuned, default) = (all(&scenario, &tuned())?, all(&scenario, &json!({}))?);
    let mut table = format!("{}\n{}\n", report::HEAD, baseline.row("baseline"));
    for (settings, all) in [("tuned", &tuned), ("default", &default)] {
        for (name, outcomes) in all {
            table += &format!("{}\n", outcomes.row(&format!("{name}, {settings}")));
        }
    }
    print!("{table}");
    if std::env::args().any(|argument| argument == "--write") {
        let course = |outcomes: &Outcomes| outcomes.course(plot::STEP, scenario.length);
        let row = |((name, outcomes), (_, default)): (&(&'static str, Outcomes), &(_, Outcomes))| plot::Row {
            name,
            course: course(outcomes),
            default: course(default),
        };
        let rows: Vec<_> = tuned.iter().zip(&default).map(row).collect();
        write(&plot::draw(&scenario, &course(&baseline), &rows), &table)?;
    }
    Ok(())
}

/// Other `router_settings` than the default ones, as the README recommends.
fn tuned() -> Value {
    json!({"allowed_fails": 3, "routing_strategy_args": {"ttl": 60}})
}

/// What comes of each strategy.
fn all(scenario: &Scenario, settings: &Value) -> Result<Vec<(&'static str, Outcomes)>, String> {
    let run = |name| Ok((name, run(scenario, &Router::Tollgate(name, settings.clone()))?));
    std::thread::scope(|scope| {
        let threads = STRATEGIES.map(|name| scope.spawn(move || run(name)));
        let joined = threads.map(|thread| thread.join().unwrap_or_else(|_| Err("a simulation broke off".to_owned())));
        joined.into_iter().collect()
    })
}

/// Writes the picture, and the table into the README.
fn write(picture: &str, table: &str) -> Result<(), Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/routing-simulation");
    std::fs::write(folder.join("routing.svg"), picture)?;
    let readme = std::fs::read_to_string(folder.join("README.md"))?;
    let parts = readme.split_once(report::HEAD).and_then(|(before, rest)| Some((before, rest.split_once("\n\n")?.1)));
    let (before, after) = parts.ok_or("README.md has no table of results")?;
    std::fs::write(folder.join("README.md"), format!("{before}{table}\n{after}"))?;
    Ok(())
}
