//! How long a body may be. Bodies are held until they are read, and kept until no retry can need them any more.
//!
//! The limit of a cluster's connections holds for neither, as was seen on Envoy 1.40: it is not looked at.

use super::Hit;
use super::scene::Scene;
use crate::cli::lint::mesh::{Filter, Manager, Route};
use crate::cli::lint::plan::BODY_BYTES;

/// Envoy's default for a connection.
const DEFAULT_BYTES: u64 = 1 << 20;

/// Room for what a body may grow by, as `render` leaves it.
const SLACK_BYTES: u64 = 1 << 20;

/// What the buffer of a route is said to hold, where it or its virtual host says so.
fn said(route: &Route<'_>) -> Option<u64> {
    [&route.at, &route.host].iter().find_map(|at| at.number("request_body_buffer_limit"))
}

/// What it holds unless that is said.
fn unsaid(manager: &Manager<'_>, route: &Route<'_>) -> u64 {
    let connection = manager.listener.number("per_connection_buffer_limit_bytes").unwrap_or(DEFAULT_BYTES);
    let retries = [&route.at, &route.host].iter().find_map(|at| at.number("per_request_buffer_limit_bytes"));
    retries.map_or(connection, |retries| retries.min(connection))
}

/// Whether the route is for WebSockets: nothing of one is kept.
fn is_upgrade(route: &Route<'_>) -> bool {
    !route.action.list("upgrade_configs").is_empty()
}

fn needed(scene: &Scene<'_>) -> u64 {
    scene.plan.map_or(BODY_BYTES.saturating_add(SLACK_BYTES), |plan| plan.buffer_bytes)
}

fn fix(scene: &Scene<'_>) -> String {
    format!("# on the virtual host\nrequest_body_buffer_limit: {}", needed(scene))
}

/// Above the connection's limit Envoy drops the retries of a request, and with them its fallbacks, without a word.
pub(super) fn body_buffer_unset(scene: &Scene<'_>) -> Vec<Hit> {
    let mut hits: Vec<Hit> = Vec::new();
    for (manager, route) in scene.routes().filter(|(_, route)| !is_upgrade(route) && said(route).is_none()) {
        let limit = unsaid(manager, route);
        if limit < needed(scene) && hits.iter().all(|hit| hit.place != route.host.path) {
            let message = format!(
                "request_body_buffer_limit is not set, so the connection's {limit} bytes hold: requests above are \
                 refused or silently never retried, answers above are cut off with 500"
            );
            hits.push(Hit::new(&route.resource, &route.host, message, fix(scene)));
        }
    }
    hits
}

/// Envoy's limit must be above the filter's own, which answers with a proper 413.
pub(super) fn body_buffer_small(scene: &Scene<'_>) -> Vec<Hit> {
    let mut hits: Vec<Hit> = Vec::new();
    for (_, route) in scene.routes().filter(|(_, route)| !is_upgrade(route)) {
        let Some(limit) = said(route).filter(|limit| *limit < needed(scene)) else { continue };
        let at = if route.at.number("request_body_buffer_limit").is_some() { &route.at } else { &route.host };
        if hits.iter().all(|hit| hit.place != at.path) {
            let body = scene.plan.map_or(BODY_BYTES, |plan| plan.body_bytes);
            let message = format!(
                "request_body_buffer_limit is {limit}: the longest request has {body} bytes, answers up to 32 MiB are read \
                 as a whole, and a megabyte of room is needed"
            );
            hits.push(Hit::new(&route.resource, at, message, fix(scene)));
        }
    }
    hits
}

/// Another filter may refuse what the config allows.
pub(super) fn body_filter(scene: &Scene<'_>) -> Vec<Hit> {
    let body = scene.plan.map_or(BODY_BYTES, |plan| plan.body_bytes);
    let managers = scene.managers().map(|manager| (manager.resource.clone(), &manager.filters));
    let clusters = scene.clusters().map(|cluster| (cluster.resource(), &cluster.filters));
    let mut hits = Vec::new();
    for (resource, filters) in managers.chain(clusters) {
        for filter in filters.iter().filter(|filter| ["Buffer", "BodySizeLimit"].contains(&filter.kind)) {
            let Filter { name, at, message, .. } = filter;
            let Some(limit) = message.as_ref().and_then(|message| message.number("max_request_bytes")) else {
                continue;
            };
            if limit < body {
                let message = format!("{name} refuses bodies above {limit} bytes, and the config allows {body}");
                hits.push(Hit::new(&resource, at, message, format!("max_request_bytes: {body}")));
            }
        }
    }
    hits
}
