//! A config as Istio's resources, for an ingress gateway or for the sidecars of the applications that ask.
//!
//! Istiod makes the clusters, from a ServiceEntry and a DestinationRule for each provider; EnvoyFilters put the two roles
//! into them and into the listener, and the routes into the virtual host of a VirtualService. So TLS, discovery and
//! `istioctl proxy-config` stay Istio's.
//!
//! ## Choices
//!
//! - EnvoyFilter and not WasmPlugin: a WasmPlugin cannot set `allow_on_headers_stop_iteration`, without which a request
//!   that waits for its body hangs, nor the `vm_id` that both roles share, and there is none for a cluster's filters.
//! - Each provider gets a subset of its own: the cluster `outbound|443|tollgate-443|api.openai.com`. The cluster without a
//!   subset belongs to applications that call the provider by themselves, and to other people's DestinationRules.
//! - The filter in the listener is disabled, and enabled by our routes: a gateway serves other hosts as well.
//! - Routes are whole and put in front, not merged: what istiod says of retries, timeouts and headers has no part in them.
//! - The module is a file of the pod (an image volume), or comes by ECDS, where Istio's agent pulls the image. With ECDS
//!   istiod must answer for names that only a cluster mentions; the file is what was tested.
//! - Patches say which proxies they are for: before 1.31 Envoy does not know `refresh_cluster_on_retry`. There nothing is
//!   patched, and the VirtualService answers 503.
//!
//! # Limits
//!
//! Istiod drops fields that it does not know: it must be as new as the proxies. What the listener says for all hosts (path
//! normalization, who is internal) stays Istio's: `meta%2Fllama` in a path is not decoded.
//!
//! Sources: Istio, "Envoy Filter" <https://istio.io/latest/docs/reference/config/networking/envoy-filter/>, "Service
//! Entry", "Destination Rule"; `pilot/pkg/networking/core/envoyfilter` <https://github.com/istio/istio>, read 2026-11-23.

mod services;

use std::collections::BTreeMap;

use self::services::{service_host, subsets};
use super::cluster::{self, Cluster, is_ip};
use super::deploy;
use super::parts::{self, GATEWAY, Names, Route, RouteParts, inline_config};
use super::template::{fill, item, scalar};
use super::{Mesh, Rendering};

const ENVOY_FILTER: &str = include_str!("envoy_filter.yaml");
const PATCH_FILTER: &str = include_str!("patch_filter.yaml");
const PATCH_ROUTE: &str = include_str!("patch_route.yaml");
const PATCH_CLUSTER: &str = include_str!("patch_cluster.yaml");
const PATCH_ADD: &str = include_str!("patch_add.yaml");
const PATCH_LOG: &str = include_str!("patch_log.yaml");
const PATCH_STATS: &str = include_str!("patch_stats.yaml");
const LOG_FILTER: &str = include_str!("log_filter.yaml");
const AROUND: &str = include_str!("../around.yaml");
const DISCOVERY: &str = include_str!("discovery.yaml");
const REMOTE: &str = include_str!("remote.yaml");

/// Whose Envoys serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Workload {
    /// An ingress gateway
    Gateway,
    /// The sidecars of the applications that ask
    Sidecar,
}

/// How the module comes to Envoy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Module {
    /// A file of the pod, at --wasm
    File,
    /// From --image, by ECDS: Istio's agent pulls it
    Ecds,
}

/// What only Istio's resources need.
#[derive(Clone, Debug)]
pub struct Istio {
    /// Whose Envoys serve.
    pub workload: Workload,
    /// The labels of their pods.
    pub selector: BTreeMap<String, String>,
    /// How the module comes there.
    pub module: Module,
    /// The secret with the gateway's certificate; plain HTTP without one.
    pub tls_secret: Option<String>,
}

/// Writes the resources.
struct Writer<'a> {
    rendering: &'a Rendering<'a>,
    mesh: &'a Mesh,
    istio: &'a Istio,
    clusters: Vec<Cluster<'a>>,
    /// The config's cluster names and istiod's.
    names: Names,
    /// The subset of each cluster that is ours.
    subsets: Vec<Option<String>>,
}

/// The resources, as one YAML stream.
pub(super) fn resources(rendering: &Rendering<'_>, mesh: &Mesh, istio: &Istio) -> String {
    let clusters = Cluster::all(rendering.document, rendering.config);
    let subsets = subsets(&clusters);
    let name = |(cluster, subset): (&Cluster<'_>, &Option<String>)| match subset {
        Some(subset) => format!("outbound|{}|{subset}|{}", cluster.address.port, service_host(cluster)),
        None => cluster.name.to_owned(),
    };
    let names = clusters.iter().zip(&subsets).map(|pair| (pair.0.name.to_owned(), name(pair))).collect();
    Writer { rendering, mesh, istio, clusters, names, subsets }.write()
}

impl Writer<'_> {
    fn write(&self) -> String {
        let mut documents = Vec::new();
        for (host, clusters) in self.hosts() {
            documents.extend(self.service_entry(&host, &clusters));
            documents.push(self.destination_rule(&host, &clusters));
        }
        match self.istio.workload {
            Workload::Gateway => documents.push(self.gateway()),
            Workload::Sidecar => documents.push(self.service()),
        }
        documents.push(self.virtual_service());
        documents.push(self.envoy_filter("tollgate", &self.patches()));
        let stats = item(&fill(PATCH_STATS, &[("stats_tags", &parts::stats_tags())]));
        documents.push(ABOUT_STATS.to_owned() + &self.envoy_filter("tollgate-stats", &stats));
        self.rendering.title("for Istio 1.31 or newer") + ABOUT_APPLY + &documents.join("---\n") + &self.pods()
    }

    fn envoy_filter(&self, name: &str, patches: &str) -> String {
        self.fill(ENVOY_FILTER, &[("name", name), ("selector", &self.selector()), ("patches", patches)])
    }

    fn patches(&self) -> String {
        let filter = self.patch(PATCH_FILTER, &[("config", &self.config_of(&self.gateway_config()))]);
        let mut patches =
            vec!["# The role `gateway`, after everything that says who the client is.\n".to_owned() + &item(&filter)];
        let log = parts::access_log(self.rendering.config, LOG_FILTER);
        if !log.starts_with('#') {
            patches.push(item(&self.patch(PATCH_LOG, &[("access_log", &log)])));
        }
        patches.extend(self.routes());
        patches.push(
            "# The role `attempt`. Istio replaces the options that it made itself, so the protocol is said again.\n"
                .to_owned(),
        );
        patches.extend(self.clusters.iter().zip(&self.names).map(|(cluster, (_, name))| self.cluster(cluster, name)));
        let added = self.rendering.other_clusters();
        if !added.is_empty() {
            patches.push(
                "# Clusters that the filter asks by their names: access tokens, the rate limit service.\n".to_owned(),
            );
            patches.extend(added.iter().map(|cluster| self.add("CLUSTER", cluster)));
        }
        if self.istio.module == Module::Ecds {
            patches.push("# What the filters above find by ECDS.\n".to_owned());
            patches.push(self.extension(GATEWAY, &self.gateway_config()));
            let attempts = self
                .clusters
                .iter()
                .map(|cluster| self.extension(&cluster.plugin(), &cluster.attempt_config(&self.vm_config())));
            patches.extend(attempts);
        }
        patches.concat()
    }

    /// The routes, last first: each goes in front of those before it.
    fn routes(&self) -> Vec<String> {
        let parts = RouteParts {
            name: "tollgate".to_owned(),
            buffer_limit: format!("request_body_buffer_limit: {}", parts::buffer_limit(self.rendering.config)),
            around: AROUND.to_owned(),
            specifier: fill("inline_cluster_specifier_plugin:\n  ${it}\n", &[("it", &parts::specifier(&self.names))]),
            retry_policy: self.rendering.retry_policy(),
        };
        let port = if self.istio.tls_secret.is_some() { 443 } else { 80 };
        let vhost = scalar(&format!("{}:{port}", self.host()));
        let patch = |Route { comment, body }: &Route| {
            comment.clone() + &item(&self.patch(PATCH_ROUTE, &[("vhost", &vhost), ("route", body)]))
        };
        let mut patches: Vec<_> = self.rendering.routes(&self.names, &parts).iter().map(patch).collect();
        patches.push("# The routes. Each goes in front of the one before it.\n".to_owned());
        patches.reverse();
        patches
    }

    fn cluster(&self, cluster: &Cluster<'_>, name: &str) -> String {
        let filters = cluster.filters(&match self.istio.module {
            Module::File => inline_config(&cluster.attempt_config(&self.vm_config())),
            Module::Ecds => DISCOVERY.to_owned(),
        });
        let nobody = match cluster.is_named || is_ip(cluster.host()) {
            true => String::new(),
            false => fill("load_assignment:\n  endpoints:\n  ${nobody}\n", &[("nobody", cluster::NOBODY)]),
        };
        item(&self.patch(
            PATCH_CLUSTER,
            &[
                ("cluster", &scalar(name)),
                ("nobody", &nobody),
                ("protocol_options", &cluster.protocol_options(&filters)),
            ],
        ))
    }

    fn add(&self, what: &str, value: &str) -> String {
        item(&self.patch(PATCH_ADD, &[("what", what), ("value", value)]))
    }

    fn extension(&self, name: &str, config: &str) -> String {
        self.add("EXTENSION_CONFIG", &format!("name: {}\n{}", scalar(name), inline_config(config)))
    }

    fn config_of(&self, config: &str) -> String {
        match self.istio.module {
            Module::File => inline_config(config),
            Module::Ecds => DISCOVERY.to_owned(),
        }
    }

    fn gateway_config(&self) -> String {
        self.rendering.gateway_config(&self.vm_config())
    }

    fn vm_config(&self) -> String {
        let code = match self.istio.module {
            Module::File => self.rendering.local_code(),
            Module::Ecds => fill(REMOTE, &[("image", &scalar(&format!("oci://{}", self.mesh.image)))]),
        };
        self.rendering.vm_config(&code, "")
    }

    /// What the pods need beside these resources, as a comment.
    fn pods(&self) -> String {
        let volume = self.istio.module == Module::File;
        let patch = deploy::pod_patch(self.rendering, self.mesh, "istio-proxy", volume);
        let about = match self.istio.workload {
            Workload::Gateway => ABOUT_GATEWAY_PODS,
            Workload::Sidecar => ABOUT_SIDECAR_PODS,
        };
        patch.lines().fold(format!("---\n{about}"), |out, line| out + "#   " + line + "\n")
    }

    fn patch(&self, template: &str, values: &[(&str, &str)]) -> String {
        let (context, port) = match self.istio.workload {
            Workload::Gateway => ("GATEWAY", ""),
            Workload::Sidecar => ("SIDECAR_OUTBOUND", "portNumber: 80"),
        };
        let common = [("context", context), ("proxy", PROXY), ("listener_port", port)];
        fill(template, &[&common[..], values].concat())
    }

    fn fill(&self, template: &str, values: &[(&str, &str)]) -> String {
        fill(template, &[&[("namespace", self.mesh.namespace.as_str())][..], values].concat())
    }

    fn host(&self) -> String {
        match self.istio.workload {
            Workload::Gateway => self.mesh.host.clone(),
            Workload::Sidecar => format!("tollgate.{}.svc.cluster.local", self.mesh.namespace),
        }
    }

    fn selector(&self) -> String {
        let labels = self.istio.selector.iter().map(|(key, value)| format!("{}: {}", scalar(key), scalar(value)));
        format!("{{{}}}", labels.collect::<Vec<_>>().join(", "))
    }
}

/// Envoy 1.39.
const PROXY: &str = r"proxy: {proxyVersion: '^1\.(3[1-9]|[4-9][0-9]).*'}";
const ABOUT_APPLY: &str = "# Apply it with `kubectl apply --server-side`: a large config does not fit into the annotation of a plain apply.\n";
const ABOUT_STATS: &str =
    "# Labels for the filter's metrics. A proxy reads this when it starts: restart the pods once.\n";
const ABOUT_GATEWAY_PODS: &str = "# What the gateway's pods need: the keys from a Secret, and the module. It belongs to who installed the gateway; as a patch:\n\
     #   kubectl patch deployment istio-ingressgateway --patch-file FILE\n";
const ABOUT_SIDECAR_PODS: &str = "# What the applications' pods need, in their own templates: the keys from a Secret, and the module. Istio merges a container\n\
     # of this name with the sidecar that it injects. Each sidecar holds the providers' keys and counts for itself: a gateway\n\
     # keeps both in one place.\n";
