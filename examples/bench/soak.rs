//! Memory over many requests: it must not grow.

use std::error::Error;
use std::time::Duration;

use serde_json::{Value, json};

use crate::load;
use crate::process;
use crate::targets::Target;
use crate::{Case, load_of};

/// How often memory is read.
const SAMPLES: u64 = 20;
/// How much more memory than after the first fifth is still flat.
const GROWTH_LIMIT: f64 = 1.05;

/// What the soak saw.
pub(crate) struct Soak {
    pub(crate) json: Value,
    pub(crate) text: String,
    pub(crate) flat: bool,
}

/// Sends `requests` plain requests to `target` and reads its memory in between.
///
/// # Errors
/// As for [`load::run`].
pub(crate) async fn run(target: &Target, requests: u64) -> Result<Soak, Box<dyn Error>> {
    let case = Case::unary(16);
    let mut resident_kb = Vec::new();
    for _ in 0..SAMPLES {
        let mut load = load_of(&case, target);
        (load.requests, load.time) = (requests.div_ceil(SAMPLES), Duration::from_secs(600));
        load::run(&load).await.map_err(|error| format!("soak: {error}"))?;
        resident_kb.push(process::usage(&target.pids).resident_kb);
    }
    let warm = resident_kb.iter().take(SAMPLES as usize / 5).max().copied().unwrap_or(0);
    let last = resident_kb.last().copied().unwrap_or(0);
    let growth = last as f64 / warm.max(1) as f64;
    let flat = growth <= GROWTH_LIMIT;
    Ok(Soak {
        json: json!({"target": target.name, "requests": requests, "resident_kb": resident_kb, "growth": growth}),
        text: format!("soak {}: {requests} requests, {warm} kB -> {last} kB, x{growth:.3}", target.name),
        flat,
    })
}
