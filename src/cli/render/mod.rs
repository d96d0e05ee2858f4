//! A config as Envoy's own YAML: the bootstrap that an Envoy engineer would write by hand.
//!
//! The output is text made from the templates beside this file, so that its comments survive; it is the same for the
//! same input. It never holds a secret that the config keeps outside itself: the config goes in as it was typed, and so
//! do the keys of a signer (see `signing`).
//!
//! ## Why the provider's certificate is checked against a file
//!
//! Envoy 1.40 accepts `system_root_certs` and then verifies nothing: with a subject name to match it refuses to start
//! ("without trusted CA"), without one it takes any certificate. So `trusted_ca` names the system's bundle.

mod cluster;
mod injecting;
pub mod limits;
mod signing;
mod template;

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::Value;

use self::cluster::Cluster;
use self::template::{fill, item, scalar};
use super::yaml;
use crate::config::{Config, Group};
use crate::telemetry::RecordFields;
use crate::telemetry::metric::{ACCOUNT_LABELS, LABELS};

const BOOTSTRAP: &str = include_str!("bootstrap.yaml");
const DYNAMIC: &str = include_str!("dynamic.yaml");
const LISTENER: &str = include_str!("listener.yaml");
const ACCESS_LOG: &str = include_str!("access_log.yaml");
const ACTION: &str = include_str!("action.yaml");
const MIRROR: &str = include_str!("mirror.yaml");
const VM_CONFIG: &str = include_str!("vm_config.yaml");

/// What surrounds the config.
#[derive(Clone, Debug)]
pub struct Options {
    /// The config's name, for a comment.
    pub source: String,
    /// The port that clients use.
    pub port: u16,
    /// The port of Envoy's admin interface, on loopback.
    pub admin_port: u16,
    /// The module, as Envoy finds it.
    pub wasm: PathBuf,
    /// The certificate authorities that providers are checked against.
    pub ca_file: PathBuf,
}

/// A config, checked, and all that its YAML is made from.
#[derive(Clone, Copy, Debug)]
pub struct Rendering<'a> {
    /// The config as typed.
    pub document: &'a Value,
    /// The same, compiled.
    pub config: &'a Config,
    /// The environment variables that it refers to.
    pub environment: &'a BTreeSet<String>,
    /// What surrounds it.
    pub options: &'a Options,
}

impl Rendering<'_> {
    /// The whole of it as one static bootstrap.
    pub fn bootstrap(&self) -> String {
        let clusters = Cluster::all(self.document, self.config);
        let listener = item(&self.listener(&clusters, &self.vm_config()));
        let alias = "vm_config: *tollgate_vm".to_owned();
        let mut clusters = cluster::list(&clusters, |_| alias.clone(), &self.options.ca_file);
        clusters.extend(self.other_clusters().iter().map(|cluster| item(cluster)));
        let lists = [("listeners", listener.as_str()), ("clusters", clusters.as_str())];
        let resources = fill("static_resources:\n  listeners:\n  ${listeners}\n\n  clusters:\n  ${clusters}\n", &lists);
        let title = format!("# Tollgate, rendered by `tollgate render --config {}`.\n", self.options.source);
        title + &self.frame(&resources)
    }

    /// A bootstrap that reads the listener and the clusters from the files `lds` and `cds`.
    pub fn dynamic_bootstrap(&self, lds: &str, cds: &str) -> String {
        self.frame(&fill(DYNAMIC, &[("lds", &scalar(lds)), ("cds", &scalar(cds))]))
    }

    /// The listener as a file for `path_config_source`.
    pub fn lds(&self) -> String {
        let listener = self.listener(&self.own_clusters(), &self.vm_config());
        let kind = "\"@type\": type.googleapis.com/envoy.config.listener.v3.Listener\n";
        format!("resources:\n{}", item(&format!("{kind}{listener}")))
    }

    /// The clusters as a file for `path_config_source`. Here every cluster is ours, the named ones too.
    pub fn cds(&self) -> String {
        let kind = "\"@type\": type.googleapis.com/envoy.config.cluster.v3.Cluster\n";
        let mut out = "resources:\n".to_owned();
        for (n, cluster) in self.own_clusters().iter().enumerate() {
            let vm_config = if n == 0 { self.vm_config() } else { "vm_config: *tollgate_vm".to_owned() };
            out.push_str(&item(&format!("{kind}{}", cluster.render(&vm_config, &self.options.ca_file))));
        }
        out.extend(self.other_clusters().iter().map(|cluster| item(&format!("{kind}{cluster}"))));
        out
    }

    /// Those that no attempt goes to.
    fn other_clusters(&self) -> Vec<String> {
        let ca_file = &self.options.ca_file;
        let tokens = cluster::tokens(self.config, ca_file).into_iter();
        tokens.chain(cluster::rate_limit(self.config, ca_file)).collect()
    }

    fn own_clusters(&self) -> Vec<Cluster<'_>> {
        Cluster::all(self.document, self.config).into_iter().map(Cluster::ours).collect()
    }

    fn frame(&self, resources: &str) -> String {
        let admin_port = self.options.admin_port.to_string();
        fill(BOOTSTRAP, &[("admin_port", &admin_port), ("stats_tags", &stats_tags()), ("resources", resources)])
    }

    fn vm_config(&self) -> String {
        let names: Vec<_> = self.environment.iter().map(|name| scalar(name)).collect();
        let environment = match names.is_empty() {
            true => String::new(),
            false => format!("environment_variables: {{host_env_keys: [{}]}}", names.join(", ")),
        };
        let wasm = scalar(&self.options.wasm.to_string_lossy());
        fill(VM_CONFIG, &[("wasm", &wasm), ("environment", &environment)])
    }

    fn listener(&self, clusters: &[Cluster<'_>], vm_config: &str) -> String {
        let matches: String = clusters.iter().map(|cluster| entry(cluster.name)).collect();
        let first = clusters.first().map(|cluster| action(cluster.name)).unwrap_or_default();
        let values = [
            ("port", self.options.port.to_string()),
            ("source", self.options.source.clone()),
            ("access_log", access_log(self.config)),
            ("vm_config", vm_config.to_owned()),
            ("document", yaml::dump(self.document)),
            ("buffer_limit", buffer_limit(self.config).to_string()),
            ("idle_timeout", idle_timeout_secs(self.config).to_string()),
            ("num_retries", num_retries(self.config).to_string()),
            ("cluster_matches", matches),
            ("cluster_action", first),
            ("mirrors", mirrors(self.config)),
        ];
        let values: Vec<_> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
        fill(LISTENER, &values)
    }
}

/// A route for each cluster that may get copies: `tollgate.shadow`. The filter says in a header which one gets one.
///
/// Envoy 1.40 reads the `cluster_header` of a mirror policy after the request's own attempt has written its headers, and
/// by then it is gone; the route, and the headers of the copy, are fixed before.
fn mirrors(config: &Config) -> String {
    let idle_timeout = idle_timeout_secs(config).to_string();
    let groups = config.routing.shadows.iter().filter_map(|shadow| config.groups.get(&shadow.to));
    let clusters: BTreeSet<_> = groups.flat_map(|group| group.pool.deployments()).map(|one| &one.cluster).collect();
    let names = clusters.into_iter().map(|cluster| scalar(cluster));
    let routes: String = names.map(|name| fill(MIRROR, &[("name", &name), ("idle_timeout", &idle_timeout)])).collect();
    if routes.is_empty() {
        return routes;
    }
    format!("# The copies of tollgate.shadow: the filter names the cluster, and says how long one may take.\n{routes}")
}

fn action(cluster: &str) -> String {
    fill(ACTION, &[("name", &scalar(cluster))])
}

fn entry(cluster: &str) -> String {
    fill("${name}:\n  ${action}\n", &[("name", &scalar(cluster)), ("action", &action(cluster))])
}

/// One regular expression per label: its first group leaves the metric's name, its second is the label's value.
fn stats_tags() -> String {
    let tags = |metrics: &str, labels: &[&str]| -> String {
        let ends = labels.iter().skip(1).map(|next| format!(r"\.{next}\.")).chain([r"\.total$".to_owned()]);
        let tag = |(label, end): (&&str, String)| {
            format!("- {{tag_name: {label}, regex: '^wasmcustom\\.{metrics}.*?(\\.{label}\\.(.*?)){end}'}}\n")
        };
        labels.iter().zip(ends).map(tag).collect()
    };
    tags("tollgate_", &LABELS) + &tags("tollgate_account_", &ACCOUNT_LABELS)
}

/// The access log with the record's fields, or none where the config wants no field.
fn access_log(config: &Config) -> String {
    let line = |field| format!("{field}: \"%FILTER_STATE(wasm.tollgate.{field}:PLAIN)%\"\n");
    let fields: String = config.record_fields.names().filter(|field| !ENVOYS_OWN.contains(field)).map(line).collect();
    if config.record_fields == RecordFields::NONE {
        return "# No access log: tollgate.record_fields is empty.\n".to_owned();
    }
    fill(ACCESS_LOG, &[("log_fields", &fields)])
}

/// The longest request and some room: Envoy's own 413 must not come before the filter's.
pub(super) fn buffer_limit(config: &Config) -> u64 {
    config.max_request_bytes.max(MIN_BUFFER_BYTES).saturating_add(SLACK_BYTES)
}

/// Longer than any deployment may take for its first byte: its timeout, with its proper error, comes first.
pub(super) fn idle_timeout_secs(config: &Config) -> u64 {
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

/// Fields that the access log takes from Envoy itself, or that repeat the others.
const ENVOYS_OWN: [&str; 3] = ["cluster", "duration_ms", "log"];

/// Room for the headers' sake, and for what a body may grow by.
const SLACK_BYTES: u64 = 1 << 20;

/// The limit holds for answers too, and embeddings or images are long even where requests must be short.
const MIN_BUFFER_BYTES: u64 = 32 << 20;

/// Envoy's own default.
const MIN_IDLE_SECS: u64 = 300;
