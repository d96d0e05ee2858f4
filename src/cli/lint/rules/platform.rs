//! The Envoy as such, and the config that it runs.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Hit;
use super::routes::by_priority;
use super::scene::Scene;
use crate::cli::lint::tree::At;
use crate::cli::lint::version::{OLDEST, OLDEST_BY_PRIORITY};

/// An Envoy before 1.39 does not know `refresh_cluster_on_retry`.
pub(super) fn envoy_version(scene: &Scene<'_>) -> Vec<Hit> {
    let Some(version) = scene.mesh.version else { return Vec::new() };
    let is_by_priority = || scene.routes().any(|(_, route)| by_priority(route));
    if version >= OLDEST || (version >= OLDEST_BY_PRIORITY && is_by_priority()) {
        return Vec::new();
    }
    let root = At::new(&Value::Null, "$");
    let at = scene.mesh.bootstrap.as_ref().unwrap_or(&root);
    let message =
        format!("this is Envoy {version}: refresh_cluster_on_retry, which fallbacks are made of, came with {OLDEST}");
    vec![Hit::new("server", at, message, format!("# run Envoy {OLDEST} or newer, or an Istio built on it"))]
}

/// Envoy runs another config than the file.
pub(super) fn config_differs(scene: &Scene<'_>) -> Vec<Hit> {
    let (Some(running), Some(plan), Some((_, plugin))) = (scene.running, scene.plan, scene.gateways.first()) else {
        return Vec::new();
    };
    let keys =
        |value: &Value| value.as_object().map(|map| map.keys().cloned().collect::<BTreeSet<_>>()).unwrap_or_default();
    let differs = |key: &String| {
        !is_same(running.get(key).unwrap_or(&Value::Null), plan.document.get(key).unwrap_or(&Value::Null))
    };
    let names: Vec<String> = keys(running).union(&keys(&plan.document)).filter(|key| differs(key)).cloned().collect();
    if names.is_empty() {
        return Vec::new();
    }
    let message = format!("Envoy runs another config than this file: {} differ", names.join(", "));
    let fix = "# render the file again and apply it; see the log for a config that the filter refused";
    vec![Hit::new(&plugin.resource, &plugin.at, message, fix)]
}

/// A protobuf `Struct` has no integers.
fn is_same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| is_same(a, b)))
        }
        _ => a == b,
    }
}

/// A config with a fault is refused by the filter, and Envoy goes on with the old one or does not start.
pub(super) fn config_faults(scene: &Scene<'_>) -> Vec<Hit> {
    let Some((_, plugin)) = scene.gateways.first() else { return Vec::new() };
    // What is set where Envoy runs need not be set here.
    let own = scene.faults.iter().filter(|fault| !fault.expected.contains("environment variable"));
    own.map(|fault| {
        let fix = if fault.hint.is_empty() { &fault.expected } else { &fault.hint };
        Hit::new(&plugin.resource, &plugin.at, format!("the filter refuses its config: {fault}"), format!("# {fix}"))
    })
    .collect()
}
