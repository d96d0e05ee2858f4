//! The clusters of providers, and those that the filter itself asks.

use serde_json::Value;

use super::Hit;
use super::scene::Scene;
use crate::cli::lint::mesh::Cluster;
use crate::config::Address;

/// Envoy's default for retries under way at a time.
const DEFAULT_MAX_RETRIES: u64 = 3;

/// An attempt at a cluster that does not exist is a 503 without a retry.
pub(super) fn cluster_missing(scene: &Scene<'_>) -> Vec<Hit> {
    if scene.mesh.is_partial {
        return Vec::new();
    }
    let place = scene.gateways.first().map(|(_, plugin)| plugin.at.clone()).or_else(|| scene.mesh.bootstrap.clone());
    let Some(place) = place else { return Vec::new() };
    let mut hits = Vec::new();
    for name in scene.targets.iter().filter(|name| scene.mesh.cluster(name).is_none()) {
        let address = scene.address(name);
        let message = "attempts go to this cluster, and it does not exist: 503 without a retry";
        hits.push(Hit::new(format!("cluster {name}"), &place, message, snippet(name, address)));
    }
    let others = scene.plan.iter().flat_map(|plan| &plan.others);
    for (name, what) in others.filter(|(name, _)| scene.mesh.cluster(name).is_none()) {
        let message = format!("the filter asks this cluster for {what}, and it does not exist");
        hits.push(Hit::new(format!("cluster {name}"), &place, message, snippet(name, None)));
    }
    hits
}

fn snippet(name: &str, address: Option<&Address>) -> String {
    let name = Value::from(name);
    let Some(Address { host, port, .. }) = address else {
        return format!("# a cluster of this name; `tollgate render` writes it whole\nname: {name}");
    };
    let host = Value::from(host.as_str());
    format!(
        "# `tollgate render` writes it whole, with TLS and the role attempt\nname: {name}\ntype: STRICT_DNS\n\
         load_assignment:\n  cluster_name: {name}\n  endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{socket_address: \
         {{address: {host}, port_value: {port}}}}}}}}}]}}]"
    )
}

/// In an outage every request is a retry; Envoy lets three at a time through unless told otherwise.
pub(super) fn max_retries(scene: &Scene<'_>) -> Vec<Hit> {
    let mut hits = Vec::new();
    for cluster in scene.clusters() {
        let thresholds = cluster.at.get("circuit_breakers").map(|at| at.list("thresholds")).unwrap_or_default();
        let default = thresholds.iter().find(|at| at.text("priority").is_none_or(|priority| priority == "DEFAULT"));
        if default.is_some_and(|at| at.get("retry_budget").is_some()) {
            continue;
        }
        let limit = default.and_then(|at| at.number("max_retries")).unwrap_or(DEFAULT_MAX_RETRIES);
        if limit <= DEFAULT_MAX_RETRIES {
            let message = format!("max_retries is {limit}: with more retries under way at a time, fallbacks end");
            let fix = "circuit_breakers: {thresholds: [{max_retries: 1024}]}";
            hits.push(Hit::new(cluster.resource(), &cluster.at, message, fix));
        }
    }
    hits
}

/// Envoy runs the upstream filters of the outer cluster alone, and those of the inner ones never.
pub(super) fn cluster_of_clusters(scene: &Scene<'_>) -> Vec<Hit> {
    let mut hits = Vec::new();
    for cluster in scene.clusters() {
        let name = cluster.at.get("cluster_type").and_then(|at| at.text("name")).unwrap_or_default();
        if ["envoy.clusters.aggregate", "envoy.clusters.composite"].contains(&name) {
            let message =
                format!("{name}: the filters of the clusters inside never run, and a credential of one goes to all");
            let fix = "# name the clusters inside in model_info.cluster, one for each deployment";
            hits.push(Hit::new(cluster.resource(), &cluster.at, message, fix));
        }
    }
    hits
}

/// A cluster's own policy comes before the route's, from Envoy 1.37 on.
pub(super) fn cluster_retry_policy(scene: &Scene<'_>) -> Vec<Hit> {
    let policy = |cluster: &Cluster<'_>| {
        let at = cluster.protocol.as_ref()?.get("retry_policy")?;
        let message = "the cluster's retry_policy comes before the route's, with which fallbacks are made";
        Some(Hit::new(cluster.resource(), &at, message, "# remove retry_policy from HttpProtocolOptions"))
    };
    scene.clusters().filter_map(policy).collect()
}

/// A cluster without a host answers 503 at once, and Envoy does not retry that.
pub(super) fn no_hosts(scene: &Scene<'_>) -> Vec<Hit> {
    if scene.mesh.hosts.is_empty() {
        return Vec::new();
    }
    let mut hits = Vec::new();
    for cluster in scene.clusters().filter(|cluster| cluster.at.text("type") == Some("EDS")) {
        let service = cluster.at.get("eds_cluster_config").and_then(|at| at.text("service_name"));
        let count = scene.mesh.hosts.get(service.unwrap_or(cluster.name)).copied().unwrap_or_default();
        if count == 0 {
            let message = "the cluster has no host: an attempt is a 503 that Envoy does not retry";
            let fix = "# give its service an endpoint; a ServiceEntry with resolution: DNS needs none";
            hits.push(Hit::new(cluster.resource(), &cluster.at, message, fix));
        }
    }
    hits
}
