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

mod args;
mod cluster;
pub(in crate::cli) mod command;
mod deploy;
pub mod envoy_gateway;
mod generation;
mod injecting;
pub mod istio;
pub mod kubernetes;
pub mod limits;
mod literals;
mod parts;
mod signing;
mod template;

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::Value;

use self::cluster::Cluster;
use self::generation::Generation;
use self::parts::RouteParts;
pub(super) use self::parts::{buffer_limit, idle_timeout_secs};
use self::template::{fill, item, scalar};
use super::yaml;
use crate::config::Config;

const BOOTSTRAP: &str = include_str!("bootstrap.yaml");
const DYNAMIC: &str = include_str!("dynamic.yaml");
const LISTENER: &str = include_str!("listener.yaml");

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

/// Where in a Kubernetes cluster it is to run.
#[derive(Clone, Debug)]
pub struct Mesh {
    /// The namespace of all resources.
    pub namespace: String,
    /// The host that clients use.
    pub host: String,
    /// The OCI image with the module, without a scheme.
    pub image: String,
    /// The Secret that has the config's variables as keys.
    pub secret: String,
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
        let listener = item(&self.listener(&clusters));
        let alias = "vm_config: *tollgate_vm".to_owned();
        let mut clusters = cluster::list(&clusters, "", |_| alias.clone(), &self.options.ca_file);
        clusters.extend(self.other_clusters().iter().map(|cluster| item(cluster)));
        let lists = [("listeners", listener.as_str()), ("clusters", clusters.as_str())];
        let resources = fill("static_resources:\n  listeners:\n  ${listeners}\n\n  clusters:\n  ${clusters}\n", &lists);
        self.title("") + &self.frame(&resources)
    }

    /// A bootstrap that reads the listener and the clusters from the files `lds` and `cds`.
    pub fn dynamic_bootstrap(&self, lds: &str, cds: &str) -> String {
        self.frame(&fill(DYNAMIC, &[("lds", &scalar(lds)), ("cds", &scalar(cds)), ("watched", "")]))
    }

    /// The files of `--format dynamic`, each with its name, in the order to write them in; Envoy finds them in `dir`.
    ///
    /// Clusters come first: a listener must not name one that is not there.
    fn files(&self, dir: &str, generation: &Generation) -> Vec<(&'static str, String)> {
        self.files_with(dir, "", generation)
    }

    /// The same, with `more` in the bootstrap.
    fn files_with(&self, dir: &str, more: &str, generation: &Generation) -> Vec<(&'static str, String)> {
        let dir = dir.trim_end_matches('/');
        let path = |name: &str| scalar(&format!("{dir}/{}", generation.file(name)));
        // A directory that is watched as a whole may be a mounted ConfigMap, where links move and no file does.
        let watched = format!(", watched_directory: {{path: {}}}", scalar(dir));
        let values = [("lds", path(LDS)), ("cds", path(CDS)), ("watched", watched)];
        let values: Vec<_> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let break_before = if more.is_empty() { "" } else { "\n" };
        let bootstrap = self.title("") + &self.frame(&(fill(DYNAMIC, &values) + break_before + more));
        let clusters = Cluster::all(self.document, self.config).into_iter();
        let clusters: Vec<_> = clusters.map(|cluster| cluster.with_suffix(&generation.suffix)).collect();
        let lds = self.title("") + &self.lds_of(&clusters);
        let cds = self.title("") + &self.cds_of(&clusters) + &generation.kept();
        vec![(CDS, cds), (LDS, lds), (BOOTSTRAP_FILE, bootstrap)]
    }

    /// What tells one VM from another: `vm_config` as a document.
    fn vm(&self) -> Result<Value, String> {
        let document = yaml::parse(&self.vm_config(&self.local_code(), ""))?;
        document.get("vm_config").cloned().ok_or_else(|| "vm_config: expected a mapping".to_owned())
    }

    /// The listener as a file for `path_config_source`.
    pub fn lds(&self) -> String {
        self.lds_of(&self.own_clusters())
    }

    /// The clusters as a file for `path_config_source`. Here every cluster is ours, the named ones too.
    pub fn cds(&self) -> String {
        self.cds_of(&self.own_clusters())
    }

    fn lds_of(&self, clusters: &[Cluster<'_>]) -> String {
        let kind = "\"@type\": type.googleapis.com/envoy.config.listener.v3.Listener\n";
        format!("resources:\n{}", item(&format!("{kind}{}", self.listener(clusters))))
    }

    fn cds_of(&self, clusters: &[Cluster<'_>]) -> String {
        let kind = "\"@type\": type.googleapis.com/envoy.config.cluster.v3.Cluster\n";
        let vm_config = |n| if n == 0 { self.first_vm_config() } else { "vm_config: *tollgate_vm".to_owned() };
        let mut out = "resources:\n".to_owned() + &cluster::list(clusters, kind, vm_config, &self.options.ca_file);
        out.extend(self.other_clusters().iter().map(|cluster| item(&format!("{kind}{cluster}"))));
        out
    }

    /// Istio's resources, as one YAML stream.
    pub fn istio(&self, mesh: &Mesh, istio: &istio::Istio) -> String {
        istio::resources(self, mesh, istio)
    }

    /// Envoy Gateway's resources, as one YAML stream.
    ///
    /// # Errors
    ///
    /// The config names clusters of its own, or has secrets from a server.
    pub fn envoy_gateway(&self, mesh: &Mesh, gateway: &envoy_gateway::EnvoyGateway) -> Result<String, String> {
        envoy_gateway::resources(self, mesh, gateway)
    }

    /// The plain deployment's resources, as one YAML stream.
    ///
    /// # Errors
    ///
    /// They do not fit into a ConfigMap, or the config has secrets from a server.
    pub fn kubernetes(&self, mesh: &Mesh, kubernetes: &kubernetes::Kubernetes) -> Result<String, String> {
        kubernetes::resources(self, mesh, kubernetes)
    }

    /// The first line; `what` says for whom.
    fn title(&self, what: &str) -> String {
        let space = if what.is_empty() { "" } else { " " };
        format!("# Tollgate{space}{what}, rendered by `tollgate render --config {}`.\n", self.options.source)
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
        fill(BOOTSTRAP, &[("admin_port", &admin_port), ("stats_tags", &parts::stats_tags()), ("resources", resources)])
    }

    fn listener(&self, clusters: &[Cluster<'_>]) -> String {
        let names = parts::own_names(clusters);
        let parts = RouteParts { specifier: "cluster_specifier_plugin: tollgate".to_owned(), ..RouteParts::default() };
        let values = [
            ("port", self.options.port.to_string()),
            ("access_log", parts::access_log(self.config, "")),
            ("gateway", item(&self.gateway_filter())),
            ("specifier", item(&parts::specifier(&names))),
            ("buffer_limit", parts::buffer_limit(self.config).to_string()),
            ("retry_policy", self.retry_policy()),
            ("routes", parts::route_list(&self.routes(&names, &parts))),
        ];
        let values: Vec<_> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
        fill(LISTENER, &values)
    }

    fn gateway_filter(&self) -> String {
        let config = parts::inline_config(&self.gateway_config(&self.first_vm_config()));
        format!("name: {}\n{config}", parts::GATEWAY)
    }

    /// The one that the others of a file refer to.
    fn first_vm_config(&self) -> String {
        self.vm_config(&self.local_code(), " &tollgate_vm")
    }
}

/// The files of `--format dynamic`: what Envoy is started with, the listener, the clusters.
const BOOTSTRAP_FILE: &str = "envoy.yaml";
const LDS: &str = "lds.yaml";
const CDS: &str = "cds.yaml";
