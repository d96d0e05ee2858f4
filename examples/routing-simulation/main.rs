//! One simulated hour of ten deployments that fail, slow down and refuse: what each routing strategy makes of it, with
//! and without cooldowns. The plan, the fleet and its records are those of the filter; the clock and the providers are
//! made up. See `README.md`.
//!
//! `cargo run --release --features cli --example routing-simulation [minutes [picture.svg]]`

#![expect(clippy::disallowed_types, reason = "measures how long a choice takes")]
#![expect(
    clippy::indexing_slicing,
    clippy::expect_used,
    clippy::string_slice,
    reason = "it may panic: it is no filter"
)]

mod model;
mod picture;

use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use model::{Outcomes, Rng, Setup, config, run, way};
use tollgate::routing::fleet::Calm;
use tollgate::routing::{Chooser, Needs, Plan, Strategy};
use tollgate::units::Millis;

const LATENCY: Strategy = Strategy::Latency { ttl: Millis::from_secs(3600), buffer: 0.0, samples: 10 };
const STRATEGIES: [Strategy; 5] =
    [Strategy::SimpleShuffle, Strategy::LeastBusy, LATENCY, Strategy::Cost, Strategy::Usage];

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let minutes: u64 = arguments.next().map_or(Ok(60), |text| text.parse())?;
    println!("strategy                 cooldowns  goodput %  p50 ms  p95 ms  p99 ms  attempts/request  USD");
    let mut rows = Vec::new();
    for strategy in STRATEGIES {
        for cooldowns in [true, false] {
            let length = Millis::from_secs(60 * minutes);
            let found = run(&Setup { strategy, cooldowns, length, seed: 4, healthy: 0 });
            print(strategy, cooldowns, &found);
            rows.push((strategy.name(), cooldowns, found.goodput()));
        }
    }
    if let Some(path) = arguments.next() {
        std::fs::write(path, picture::draw(&rows))?;
    }
    println!("\nmicroseconds per first choice of a request: 10 deployments, 1,000 deployments");
    for strategy in STRATEGIES {
        println!("{:<24} {:>8.2} {:>8.2}", strategy.name(), time(strategy, 10), time(strategy, 1000));
    }
    Ok(())
}

fn print(strategy: Strategy, cooldowns: bool, found: &Outcomes) {
    let [p50, p95, p99] = [0.5, 0.95, 0.99].map(|share| found.percentile(share));
    let (goodput, attempts) = (100.0 * found.goodput(), found.attempts as f64 / found.requests.max(1) as f64);
    let (name, usd) = (strategy.name(), found.cost.0 as f64 / 1e12);
    println!("{name:<24} {cooldowns:>9}  {goodput:>9.3}  {p50:>6}  {p95:>6}  {p99:>6}  {attempts:>16.3}  {usd:.2}");
}

/// Microseconds to draw up a plan and take its first step, where nothing is known against anybody.
fn time(strategy: Strategy, deployments: usize) -> f64 {
    const ROUNDS: u32 = 2000;
    let config = config(deployments, true);
    let (way, needs) = (way(&config), Needs { strategy, ..Needs::default() });
    let (mut rng, check) = (Rng(1), |_: &tollgate::config::Deployment| Ok(()));
    let mut random = |n| rng.below(n);
    let began = Instant::now();
    for _ in 0..ROUNDS {
        let mut chooser = Chooser { now: Millis(1), fleet: &mut Calm, check: &check, random: &mut random };
        black_box(Plan::new(way.clone(), needs).first(&mut chooser));
    }
    began.elapsed().as_secs_f64() * 1e6 / f64::from(ROUNDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup(strategy: Strategy, cooldowns: bool, healthy: usize) -> Setup {
        Setup { strategy, cooldowns, length: Millis::from_secs(300), seed: 4, healthy }
    }

    #[test]
    fn cooldowns_lose_no_answers() {
        for strategy in STRATEGIES {
            let [with, without] = [true, false].map(|cooldowns| run(&setup(strategy, cooldowns, 0)));
            assert_eq!(with.requests, without.requests);
            assert!(with.requests > 5000 && without.attempts > without.requests, "there is something to see");
            let (with, without) = (with.goodput(), without.goodput());
            assert!(with >= without, "{}: {with} with, {without} without", strategy.name());
        }
    }

    #[test]
    fn no_request_fails_beside_healthy_siblings() {
        for strategy in STRATEGIES {
            // Two retries meet eight healthy of ten: at most two attempts can fail.
            let found = run(&setup(strategy, true, 8));
            assert_eq!(found.answered, found.requests, "{}", strategy.name());
        }
    }
}
