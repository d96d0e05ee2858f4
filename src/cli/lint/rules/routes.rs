//! Routes to the providers: which cluster they lead to, and for how long.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Hit;
use super::scene::{CLUSTER_KEY, Plugin, Scene, entries, told};
use crate::cli::lint::mesh::{Cluster, Manager, Route};

/// Envoy's default for a whole request, retries and stream included.
const DEFAULT_TIMEOUT_SECS: f64 = 15.0;

/// LiteLLM's default for one attempt.
const LONGEST_SECS: f64 = 600.0;

/// Envoy's default for a silent stream.
const DEFAULT_IDLE_SECS: f64 = 300.0;

/// A request that was admitted needs a route whose cluster the filter chooses, by `wasm.tollgate.cluster`.
pub(super) fn route_missing(scene: &Scene<'_>) -> Vec<Hit> {
    let hit = |manager: &Manager<'_>| {
        let routes = manager.routes.as_ref()?;
        if scene.routes().any(|(other, _)| other.at.path == manager.at.path) {
            return None;
        }
        let message =
            format!("no route of this connection manager takes its cluster from the filter state {CLUSTER_KEY}");
        Some(Hit::new(&manager.resource, &routes.at, message, specifier(scene)))
    };
    scene.managers().filter_map(hit).collect()
}

/// A route that names its cluster keeps it for every attempt: a fallback to another provider cannot happen.
pub(super) fn route_cluster(scene: &Scene<'_>) -> Vec<Hit> {
    if scene.targets.len() < 2 {
        return Vec::new();
    }
    let fixed = scene.routes().filter(|(_, route)| entries(route).is_none() && !by_priority(route));
    let hit = |(_, route): (_, &Route<'_>)| {
        let message = format!(
            "the route names its cluster, and attempts go to {} clusters: a fallback to another provider is refused",
            scene.targets.len()
        );
        Hit::new(&route.resource, &route.action, message, specifier(scene))
    };
    fixed.map(hit).collect()
}

/// Whether retries of a route go from one priority of a cluster to the next: the way of Envoys before 1.39.
pub(super) fn by_priority(route: &Route<'_>) -> bool {
    let policies = [&route.action, &route.host].map(|at| at.get("retry_policy"));
    policies.iter().flatten().any(|policy| policy.get("retry_priority").is_some())
}

/// The plugin that reads the filter state, for every target.
fn specifier(scene: &Scene<'_>) -> String {
    let map: String = scene
        .targets
        .iter()
        .map(|name| format!("            {}", entry(name).replace('\n', "\n            ") + "\n"))
        .collect();
    format!(
        "inline_cluster_specifier_plugin:\n  extension:\n    name: tollgate\n    typed_config:\n      \"@type\": \
         type.googleapis.com/envoy.extensions.router.cluster_specifiers.matcher.v3.MatcherClusterSpecifier\n      \
         cluster_matcher:\n        matcher_tree:\n          input:\n            name: {CLUSTER_KEY}\n            \
         typed_config: {{\"@type\": type.googleapis.com/envoy.extensions.matching.common_inputs.network.v3.FilterStateInput, \
         key: {CLUSTER_KEY}}}\n          exact_match_map:\n            map:\n{}",
        map.lines().map(|line| format!("  {line}\n")).collect::<String>()
    )
}

fn entry(cluster: &str) -> String {
    let name = Value::from(cluster);
    format!(
        "{name}:\n  action:\n    name: {name}\n    typed_config: {{\"@type\": \
         type.googleapis.com/envoy.extensions.router.cluster_specifiers.matcher.v3.ClusterAction, cluster: {name}}}"
    )
}

/// A cluster that the matcher lacks cannot be reached: its attempts go to another one, and are refused there.
///
/// The matcher may give a cluster another name, where its plugin is told the config's: istiod's, or that of another VM.
pub(super) fn matcher_entry(scene: &Scene<'_>) -> Vec<Hit> {
    let mut hits: Vec<Hit> = Vec::new();
    let planned = || scene.plan.iter().flat_map(|plan| plan.clusters.keys());
    for (_, route) in scene.routes() {
        let (Some(matcher), Some(entries)) = (&route.matcher, entries(route)) else { continue };
        if hits.iter().any(|hit| hit.place == matcher.path) {
            continue;
        }
        let attempt = |(cluster, plugin): &(&Cluster<'_>, Plugin<'_>)| {
            told(plugin).filter(|name| entries.contains_key(name.as_str())).unwrap_or_else(|| cluster.name.to_owned())
        };
        let wanted: BTreeSet<String> = planned().cloned().chain(scene.attempts.iter().map(attempt)).collect();
        for name in &wanted {
            let message = match entries.get(name.as_str()) {
                Some(cluster) if scene.takes(cluster, name) => continue,
                Some(other) => format!("the matcher sends attempts for the cluster {name} to {other}"),
                None => format!("the matcher has no entry for the cluster {name}: attempts for it are refused"),
            };
            hits.push(Hit::new(
                &route.resource,
                matcher,
                message,
                format!("exact_match_map:\n  map:\n    {}", entry(name).replace('\n', "\n    ")),
            ));
        }
    }
    hits
}

/// Envoy ends requests after 15 s unless told otherwise; how long an attempt may take, the filter says.
pub(super) fn route_timeout(scene: &Scene<'_>) -> Vec<Hit> {
    let longest = scene.plan.map_or(LONGEST_SECS, |plan| plan.idle_secs as f64);
    let mut hits = Vec::new();
    for (_, route) in scene.routes() {
        let stream = route.action.get("max_stream_duration").and_then(|at| at.secs("max_stream_duration"));
        let message = match (route.action.get("timeout").is_some(), route.action.secs("timeout").or(stream)) {
            (false, None) => {
                format!("timeout is not set: Envoy ends requests, streams and retries after {DEFAULT_TIMEOUT_SECS} s")
            }
            (_, Some(secs)) if secs > 0.0 && secs < longest => {
                format!("a request may take {secs} s with all its retries, and a deployment alone up to {longest} s")
            }
            _ => continue,
        };
        hits.push(Hit::new(&route.resource, &route.action, message, "route: {timeout: 0s}"));
    }
    hits
}

/// A model that thinks is silent: Envoy must wait for longer than the filter does.
pub(super) fn idle_timeout(scene: &Scene<'_>) -> Vec<Hit> {
    let Some(plan) = scene.plan else { return Vec::new() };
    let mut hits = Vec::new();
    for (manager, route) in scene.routes() {
        let own = route.action.secs("idle_timeout").or_else(|| manager.at.secs("stream_idle_timeout"));
        let secs = own.unwrap_or(DEFAULT_IDLE_SECS);
        if secs > 0.0 && secs < plan.idle_secs as f64 {
            let message = format!(
                "a stream may be silent for {secs} s, and a deployment may take {} s",
                plan.idle_secs.saturating_sub(10)
            );
            hits.push(Hit::new(
                &route.resource,
                &route.action,
                message,
                format!("route: {{idle_timeout: {}s}}", plan.idle_secs),
            ));
        }
    }
    hits
}

/// The host is the provider's, and the filter writes it: on a fresh connection Envoy would write over it.
pub(super) fn host_rewrite(scene: &Scene<'_>) -> Vec<Hit> {
    const NAMES: [&str; 5] =
        ["auto_host_rewrite", "host_rewrite", "host_rewrite_literal", "host_rewrite_header", "host_rewrite_path_regex"];
    let mut hits = Vec::new();
    for (_, route) in scene.routes() {
        let set = |name: &&&str| route.action.get(name).is_some_and(|at| at.value != &Value::Bool(false));
        for name in NAMES.iter().filter(set) {
            let message =
                format!("{name} races with the filter, which writes each provider's host, and breaks AWS signatures");
            hits.push(Hit::new(&route.resource, &route.action, message, format!("# remove {name} from this route")));
        }
    }
    hits
}

/// Envoy takes clients on private addresses for its own unless told otherwise, and believes what they say of others.
pub(super) fn internal_address(scene: &Scene<'_>) -> Vec<Hit> {
    let without = scene.managers().filter(|manager| manager.at.get("internal_address_config").is_none());
    let hit = |manager: &Manager<'_>| {
        let message = "without internal_address_config every client on a private address is internal to Envoy";
        let fix = "use_remote_address: true\ninternal_address_config: {cidr_ranges: [{address_prefix: 0.0.0.0, prefix_len: 32}]}";
        Hit::new(&manager.resource, &manager.at, message, fix)
    };
    without.map(hit).collect()
}
