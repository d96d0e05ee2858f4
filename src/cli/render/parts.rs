//! What every target is made of: the role `gateway` as an HTTP filter, the routes with their cluster specifier, the
//! access log, and the numbers that follow from the config.
//!
//! The targets differ in where they put these parts, and in how Envoy's clusters are called: [`Names`].

use std::collections::BTreeSet;

use super::cluster::Cluster;
use super::template::{fill, item, scalar};
use super::{Rendering, yaml};
use crate::config::{Config, Group};
use crate::telemetry::RecordFields;
use crate::telemetry::metric::{ACCOUNT_LABELS, LABELS};

const GATEWAY_CONFIG: &str = include_str!("gateway_config.yaml");
const VM_CONFIG: &str = include_str!("vm_config.yaml");
const ACCESS_LOG: &str = include_str!("access_log.yaml");
const SPECIFIER: &str = include_str!("specifier.yaml");
const ACTION: &str = include_str!("action.yaml");
const RETRY_POLICY: &str = include_str!("retry_policy.yaml");
const REALTIME: &str = include_str!("realtime.yaml");
const MIRROR: &str = include_str!("mirror.yaml");
const ANY: &str = include_str!("any.yaml");

/// The name of the filter in front of the router.
pub(super) const GATEWAY: &str = "tollgate_gateway";

/// A filter with its configuration in place.
pub(super) fn inline_config(config: &str) -> String {
    fill("typed_config:\n  ${config}\n", &[("config", config)])
}

/// The config's name of each cluster, and Envoy's.
pub(super) type Names = Vec<(String, String)>;

/// The names where no mesh gives others.
pub(super) fn own_names(clusters: &[Cluster<'_>]) -> Names {
    clusters.iter().map(|cluster| (cluster.name.to_owned(), cluster.own_name())).collect()
}

/// A route, to be put into a list or a patch.
pub(super) struct Route {
    /// Why it is there; may be empty.
    pub(super) comment: String,
    /// Its YAML.
    pub(super) body: String,
}

/// What a route says itself where a target has no virtual host of its own to say it.
#[derive(Default)]
pub(super) struct RouteParts {
    /// What begins a route's name; no name where empty.
    pub(super) name: String,
    /// `request_body_buffer_limit`.
    pub(super) buffer_limit: String,
    /// Further members of the route.
    pub(super) around: String,
    /// The cluster specifier, a member of its action.
    pub(super) specifier: String,
    /// The retry policy, a member of its action.
    pub(super) retry_policy: String,
}

impl Rendering<'_> {
    /// `vm_config`, for both roles.
    pub(super) fn vm_config(&self, code: &str, anchor: &str) -> String {
        let names: Vec<_> = self.environment.iter().map(|name| scalar(name)).collect();
        let environment = match names.is_empty() {
            true => String::new(),
            false => format!("environment_variables: {{host_env_keys: [{}]}}", names.join(", ")),
        };
        fill(VM_CONFIG, &[("anchor", anchor), ("code", code), ("environment", &environment)])
    }

    /// `code` of a module that Envoy finds in its file system.
    pub(super) fn local_code(&self) -> String {
        format!("code: {{local: {{filename: {}}}}}", scalar(&self.options.wasm.to_string_lossy()))
    }

    /// The role `gateway`, with the config, as the configuration of an HTTP filter.
    pub(super) fn gateway_config(&self, vm_config: &str) -> String {
        let document = yaml::dump(self.document);
        let values = [("vm_config", vm_config), ("source", &self.options.source), ("document", &document)];
        fill(GATEWAY_CONFIG, &values)
    }

    /// The routes, the one to be tried first in front.
    pub(super) fn routes(&self, names: &Names, parts: &RouteParts) -> Vec<Route> {
        let idle_timeout = idle_timeout_secs(self.config).to_string();
        let route = |template: &str, kind: &str, comment: &str, more: &[(&str, &str)]| {
            let name = if parts.name.is_empty() { String::new() } else { format!("name: {}{kind}", parts.name) };
            let values = [
                ("name", name.as_str()),
                ("buffer_limit", &parts.buffer_limit),
                ("around", &parts.around),
                ("specifier", &parts.specifier),
                ("retry_policy", &parts.retry_policy),
                ("idle_timeout", &idle_timeout),
            ];
            let body = fill(template, &[&values, more].concat());
            Route { comment: comment.to_owned(), body }
        };
        let mut routes = vec![route(REALTIME, "-realtime", ABOUT_REALTIME, &[])];
        for (n, shadow) in mirrored(self.config).into_iter().enumerate() {
            let cluster = names.iter().find(|(name, _)| name == shadow).map_or(shadow, |(_, cluster)| cluster);
            let comment = if n == 0 { ABOUT_MIRRORS } else { "" };
            let more = [("shadow", scalar(shadow)), ("cluster", scalar(cluster))];
            let more: Vec<_> = more.iter().map(|(name, value)| (*name, value.as_str())).collect();
            routes.push(route(MIRROR, &format!("-shadow-{n}"), comment, &more));
        }
        routes.push(route(ANY, "", "", &[]));
        routes
    }

    /// `retry_policy`: Envoy's own, with the bounds of what the filter asks for.
    pub(super) fn retry_policy(&self) -> String {
        fill(RETRY_POLICY, &[("num_retries", &num_retries(self.config).to_string())])
    }
}

/// The routes as the entries of a list.
pub(super) fn route_list(routes: &[Route]) -> String {
    routes.iter().map(|route| route.comment.clone() + &item(&route.body)).collect()
}

/// The cluster specifier that reads what the filter says.
pub(super) fn specifier(names: &Names) -> String {
    let entry = |(name, cluster): &(String, String)| {
        fill("${name}:\n  ${action}\n", &[("name", &scalar(name)), ("action", &action(cluster))])
    };
    let matches: String = names.iter().map(entry).collect();
    let first = names.first().map(|(_, cluster)| action(cluster)).unwrap_or_default();
    fill(SPECIFIER, &[("cluster_matches", &matches), ("cluster_action", &first)])
}

fn action(cluster: &str) -> String {
    fill(ACTION, &[("name", &scalar(cluster)), ("cluster", &scalar(cluster))])
}

/// The clusters that may get copies: `tollgate.shadow`. The filter says in a header which one gets one.
///
/// Envoy 1.40 reads the `cluster_header` of a mirror policy after the request's own attempt has written its headers, and
/// by then it is gone; the route, and the headers of the copy, are fixed before.
fn mirrored(config: &Config) -> BTreeSet<&str> {
    let groups = config.routing.shadows.iter().filter_map(|shadow| config.groups.get(&shadow.to));
    groups.flat_map(|group| group.pool.deployments()).map(|one| one.cluster.as_ref()).collect()
}

/// One regular expression per label: its first group leaves the metric's name, its second is the label's value.
pub(super) fn stats_tags() -> String {
    let tags = |metrics: &str, labels: &[&str]| -> String {
        let ends = labels.iter().skip(1).map(|next| format!(r"\.{next}\.")).chain([r"\.total$".to_owned()]);
        let tag = |(label, end): (&&str, String)| {
            format!("- {{tag_name: {label}, regex: '^wasmcustom\\.{metrics}.*?(\\.{label}\\.(.*?)){end}'}}\n")
        };
        labels.iter().zip(ends).map(tag).collect()
    };
    tags("tollgate_", &LABELS) + &tags("tollgate_account_", &ACCOUNT_LABELS)
}

/// The access log with the record's fields, or none where the config wants no field; `only` is its filter.
pub(super) fn access_log(config: &Config, only: &str) -> String {
    let line = |field| format!("{field}: \"%FILTER_STATE(wasm.tollgate.{field}:PLAIN)%\"\n");
    let fields: String = config.record_fields.names().filter(|field| !ENVOYS_OWN.contains(field)).map(line).collect();
    if config.record_fields == RecordFields::NONE {
        return "# No access log: tollgate.record_fields is empty.\n".to_owned();
    }
    fill(ACCESS_LOG, &[("log_fields", &fields), ("filter", only)])
}

/// The longest request and some room: Envoy's own 413 must not come before the filter's.
pub(in crate::cli) fn buffer_limit(config: &Config) -> u64 {
    config.max_request_bytes.max(MIN_BUFFER_BYTES).saturating_add(SLACK_BYTES)
}

/// Longer than any deployment may take for its first byte: its timeout, with its proper error, comes first.
pub(in crate::cli) fn idle_timeout_secs(config: &Config) -> u64 {
    let longest = config
        .deployments
        .iter()
        .map(|deployment| deployment.timeouts.whole.max(deployment.timeouts.first_token).secs_ceil())
        .max();
    longest.unwrap_or_default().max(MIN_IDLE_SECS).saturating_add(10)
}

/// The retries of the longest plan: a group's own, and an attempt and its retries for each group that it can fall to.
fn num_retries(config: &Config) -> u32 {
    let attempts = |group: &Group| group.num_retries.saturating_add(1);
    let plan = |name: &String| {
        let groups = reachable(config, name).into_iter().filter_map(|name| config.groups.get(name));
        groups.map(attempts).fold(0, u32::saturating_add).saturating_sub(1)
    };
    config.groups.keys().map(plan).max().unwrap_or_default()
}

/// `name` and every group that it can fall to, directly or not.
fn reachable<'c>(config: &'c Config, name: &'c str) -> BTreeSet<&'c str> {
    let mut found = BTreeSet::from([name]);
    let mut open = vec![name];
    while let Some(group) = open.pop().and_then(|name| config.groups.get(name)) {
        let next = group.fallbacks.iter().filter_map(|name| Some(config.resolve(name)?.name));
        open.extend(next.filter(|next| found.insert(next)));
    }
    found
}

const ABOUT_REALTIME: &str = "# A WebSocket lasts as long as both sides want, up to an hour of silence. Nothing of it is kept: the small limit is\n\
     # for what a client sends before the provider has answered.\n";
const ABOUT_MIRRORS: &str =
    "# The copies of tollgate.shadow: the filter names the cluster, and says how long one may take.\n";

/// Fields that the access log takes from Envoy itself, or that repeat the others.
const ENVOYS_OWN: [&str; 3] = ["cluster", "duration_ms", "log"];

/// Room for the headers' sake, and for what a body may grow by.
const SLACK_BYTES: u64 = 1 << 20;

/// The limit holds for answers too, and embeddings or images are long even where requests must be short.
const MIN_BUFFER_BYTES: u64 = 32 << 20;

/// Envoy's own default.
const MIN_IDLE_SECS: u64 = 300;
