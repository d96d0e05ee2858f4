//! Retries are the fallbacks: Envoy makes them, the filter says when and where.

use super::Hit;
use super::routes::by_priority;
use super::scene::Scene;
use crate::cli::lint::mesh::Route;
use crate::cli::lint::tree::At;

/// The header with which the filter asks for another attempt.
const RETRY: &str = "x-tollgate-retry";

const POLICY: &str = "retry_policy:\n  retry_on: retriable-headers,connect-failure,refused-stream,reset\n  \
                      retriable_headers: [{name: x-tollgate-retry, present_match: true}]\n  num_retries: 3\n  \
                      refresh_cluster_on_retry: true\n  retry_back_off: {base_interval: 0.005s, max_interval: 0.25s}\n  \
                      rate_limited_retry_back_off: {reset_headers: [{name: x-tollgate-retry, format: SECONDS}], max_interval: 120s}";

/// Each retry policy that holds for a route of ours, once, with the first route that it holds for.
fn policies<'s>(scene: &'s Scene<'s>) -> Vec<(&'s Route<'s>, At<'s>)> {
    let mut found: Vec<(&Route<'_>, At<'_>)> = Vec::new();
    for (_, route) in scene.routes() {
        let policy = route.action.get("retry_policy").or_else(|| route.host.get("retry_policy"));
        if let Some(policy) = policy.filter(|policy| found.iter().all(|(_, known)| known.path != policy.path)) {
            found.push((route, policy));
        }
    }
    found
}

fn conditions<'v>(policy: &At<'v>) -> Vec<&'v str> {
    policy.text("retry_on").unwrap_or_default().split(',').map(str::trim).collect()
}

/// Whether an answer is followed by another attempt is for the filter to say: it has read the error's body.
pub(super) fn retry_on(scene: &Scene<'_>) -> Vec<Hit> {
    let none = scene
        .routes()
        .filter(|(_, route)| [&route.action, &route.host].iter().all(|at| at.get("retry_policy").is_none()));
    let mut hits: Vec<Hit> = none
        .map(|(_, route)| {
            let message = "no retry_policy: no answer, not even a 429, is followed by another attempt";
            Hit::new(&route.resource, &route.action, message, POLICY)
        })
        .collect();
    for (route, policy) in policies(scene) {
        let conditions = conditions(&policy);
        let has_header = policy.list("retriable_headers").iter().any(|at| at.name().eq_ignore_ascii_case(RETRY));
        if conditions.contains(&"retriable-headers") && has_header {
            continue;
        }
        let codes = policy.list("retriable_status_codes");
        let has_429 = conditions.contains(&"retriable-status-codes") && codes.iter().any(|code| code.value == 429);
        let effect = match has_429 {
            true => "answers are followed by another attempt for their status alone, whatever the filter decides",
            false => "no answer, not even a 429, is followed by another attempt",
        };
        let message = format!("retry_on lacks retriable-headers with the header {RETRY}: {effect}");
        hits.push(Hit::new(&route.resource, &policy, message, POLICY));
    }
    hits
}

/// A provider that cannot be reached gives no answer that the filter could mark.
pub(super) fn retry_connections(scene: &Scene<'_>) -> Vec<Hit> {
    let mut hits = Vec::new();
    for (route, policy) in policies(scene) {
        let conditions = conditions(&policy);
        let lacks = |name: &&&str| !conditions.contains(name) && !conditions.contains(&"5xx");
        let lacking: Vec<&str> = ["connect-failure", "refused-stream", "reset"].iter().filter(lacks).copied().collect();
        if !lacking.is_empty() {
            let message =
                format!("retry_on lacks {}: such failures of a provider reach the client", lacking.join(", "));
            hits.push(Hit::new(&route.resource, &policy, message, POLICY));
        }
    }
    hits
}

/// Without `refresh_cluster_on_retry` every attempt goes to the first cluster, and is refused where another was meant.
pub(super) fn refresh_cluster(scene: &Scene<'_>) -> Vec<Hit> {
    let without = policies(scene)
        .into_iter()
        .filter(|(route, policy)| !policy.flag("refresh_cluster_on_retry") && !by_priority(route));
    let message = "refresh_cluster_on_retry is not set: every attempt goes to the cluster of the first";
    let fix = "retry_policy: {refresh_cluster_on_retry: true}  # Envoy 1.39";
    without.map(|(route, policy)| Hit::new(&route.resource, &policy, message, fix)).collect()
}

/// A provider's own `retry-after` is no reason to let another provider wait.
pub(super) fn retry_wait(scene: &Scene<'_>) -> Vec<Hit> {
    let mut hits = Vec::new();
    for (route, policy) in policies(scene) {
        let headers = policy.get("rate_limited_retry_back_off").map(|at| at.list("reset_headers")).unwrap_or_default();
        if let Some(other) = headers.iter().find(|at| !at.name().eq_ignore_ascii_case(RETRY)) {
            let message = format!("retries wait for what {} says, those to another provider too", other.name());
            let fix = "rate_limited_retry_back_off: {reset_headers: [{name: x-tollgate-retry, format: SECONDS}], max_interval: 120s}";
            hits.push(Hit::new(&route.resource, other, message, fix));
        }
    }
    hits
}

/// A hedged request is sent twice and paid twice, and Envoy then keeps its cluster.
pub(super) fn hedging(scene: &Scene<'_>) -> Vec<Hit> {
    let mut hits: Vec<Hit> = Vec::new();
    for (_, route) in scene.routes() {
        let Some(policy) = route.action.get("hedge_policy").or_else(|| route.host.get("hedge_policy")) else {
            continue;
        };
        let is_on = policy.flag("hedge_on_per_try_timeout") || policy.number("initial_requests").is_some_and(|n| n > 1);
        if is_on && hits.iter().all(|hit| hit.place != policy.path) {
            let message = "a hedged request is paid twice, and no retry of it goes to another cluster";
            hits.push(Hit::new(&route.resource, &policy, message, "# remove hedge_policy here"));
        }
    }
    hits
}
