//! The table of rules: each has a number that never changes its meaning, a name, a severity and a function.
//!
//! TG0xx is about filters, TG1xx about routes and buffers, TG2xx about clusters, TG3xx about what is seen, TG4xx about the
//! Envoy and the config as such. A rule says only what is wrong for Tollgate: other routes and clusters of the same Envoy
//! are none of its business.

mod buffers;
mod chain;
mod clusters;
mod filters;
mod logs;
mod platform;
mod retries;
mod routes;
mod scene;
mod tls;

pub(super) use self::scene::Scene;
pub(super) use self::scene::gateway_configuration;

use super::finding::{Finding, Severity};
use super::tree::At;
use Severity::{Error, Info, Warning};

/// What is wrong in one place.
pub(super) struct Hit {
    resource: String,
    place: String,
    message: String,
    fix: String,
}

impl Hit {
    fn new(resource: impl Into<String>, at: &At<'_>, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { resource: resource.into(), place: at.path.clone(), message: message.into(), fix: fix.into() }
    }
}

type Check = fn(&Scene<'_>) -> Vec<Hit>;

#[rustfmt::skip]
const RULES: &[(&str, &str, Severity, Check)] = &[
    ("TG001", "gateway-missing", Error, filters::gateway_missing),
    ("TG002", "attempt-missing", Error, filters::attempt_missing),
    ("TG003", "gateway-order", Error, chain::gateway_order),
    ("TG004", "gateway-neighbours", Warning, chain::gateway_neighbours),
    ("TG005", "attempt-order", Error, chain::attempt_order),
    ("TG006", "role-twice", Error, chain::role_twice),
    ("TG007", "hold-headers", Error, filters::hold_headers),
    ("TG008", "failure-policy", Error, filters::failure_policy),
    ("TG009", "vm-differs", Error, filters::vm_differs),
    ("TG010", "root-id", Error, filters::root_id),
    ("TG011", "attempt-cluster", Error, filters::attempt_cluster),
    ("TG012", "environment", Error, filters::environment),
    ("TG013", "module-remote", Warning, filters::module_remote),
    ("TG014", "gateway-disabled", Error, chain::gateway_disabled),
    ("TG101", "route-missing", Error, routes::route_missing),
    ("TG102", "route-cluster", Error, routes::route_cluster),
    ("TG103", "matcher-entry", Error, routes::matcher_entry),
    ("TG104", "route-timeout", Error, routes::route_timeout),
    ("TG105", "idle-timeout", Warning, routes::idle_timeout),
    ("TG106", "retry-on", Error, retries::retry_on),
    ("TG107", "retry-connections", Warning, retries::retry_connections),
    ("TG108", "refresh-cluster", Error, retries::refresh_cluster),
    ("TG109", "retry-wait", Warning, retries::retry_wait),
    ("TG110", "hedging", Error, retries::hedging),
    ("TG111", "body-buffer-unset", Error, buffers::body_buffer_unset),
    ("TG112", "body-buffer-small", Error, buffers::body_buffer_small),
    ("TG113", "body-filter", Warning, buffers::body_filter),
    ("TG114", "host-rewrite", Error, routes::host_rewrite),
    ("TG115", "internal-address", Info, routes::internal_address),
    ("TG201", "cluster-missing", Error, clusters::cluster_missing),
    ("TG202", "max-retries", Warning, clusters::max_retries),
    ("TG203", "sni", Error, tls::sni),
    ("TG204", "san", Error, tls::san),
    ("TG205", "tls-missing", Error, tls::tls_missing),
    ("TG206", "cluster-of-clusters", Error, clusters::cluster_of_clusters),
    ("TG207", "cluster-retry-policy", Warning, clusters::cluster_retry_policy),
    ("TG208", "auto-sni", Error, tls::auto_sni),
    ("TG209", "no-hosts", Warning, clusters::no_hosts),
    ("TG301", "access-log", Warning, logs::access_log),
    ("TG302", "access-log-fields", Info, logs::access_log_fields),
    ("TG303", "access-log-secret", Error, logs::access_log_secret),
    ("TG304", "access-log-query", Warning, logs::access_log_query),
    ("TG305", "stats-tags", Info, logs::stats_tags),
    ("TG401", "envoy-version", Error, platform::envoy_version),
    ("TG402", "config-differs", Warning, platform::config_differs),
    ("TG403", "config-faults", Error, platform::config_faults),
];

/// The id and the name of every rule.
pub fn names() -> impl Iterator<Item = (&'static str, &'static str)> {
    RULES.iter().map(|(id, name, ..)| (*id, *name))
}

/// What every rule finds.
pub(super) fn all(scene: &Scene<'_>) -> Vec<Finding> {
    let finding = |(id, name, severity, check): &(&'static str, &'static str, Severity, Check)| {
        let (id, name, severity) = (*id, *name, *severity);
        let made =
            move |Hit { resource, place, message, fix }| Finding { id, name, severity, resource, place, message, fix };
        check(scene).into_iter().map(made)
    };
    RULES.iter().flat_map(finding).collect()
}
