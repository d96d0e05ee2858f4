//! A config as Envoy Gateway's resources: a Gateway of its own, a Backend and an HTTPRoute for each provider, and an
//! EnvoyPatchPolicy with both roles and the routes.
//!
//! ## Choices
//!
//! - EnvoyPatchPolicy and not EnvoyExtensionPolicy: the latter cannot set `allow_on_headers_stop_iteration`, without which a
//!   request that waits for its body hangs, nor `failure_policy` and the `vm_id` that both roles share, and has no place in a
//!   cluster's filters.
//! - Envoy Gateway makes a cluster for each rule of an HTTPRoute, so each provider has an HTTPRoute of its own, and its
//!   cluster's name does not change when another provider is added. Its own match leads nowhere: our route comes first.
//! - Patches add a member or the first entry of a list, and say nothing of what else is there.
//! - The clusters of access tokens and of the rate limit service must have the names that the filter asks for: a patch
//!   without a path adds each as it is.
//!
//! # Limits
//!
//! A provider whose name has no address answers 503 without a fallback. A Gateway with TLS has the one listener of that port. Envoy Gateway must know the fields that it passes on:
//! its API must be that of Envoy 1.39. EnvoyPatchPolicy and Backend must be enabled in its own configuration. The names of
//! clusters that `model_info.cluster` names cannot be patched in general: they are refused.
//!
//! Sources: Envoy Gateway, "API Reference", "Envoy Patch Policy" <https://gateway.envoyproxy.io>,
//! `internal/xds/translator/testdata/out/xds-ir` <https://github.com/envoyproxy/gateway>, read 2026-11-23.

use std::net::Ipv6Addr;

use serde_json::Value;

use super::cluster::{Cluster, is_ip};
use super::deploy;
use super::parts::{self, GATEWAY, Names, RouteParts, inline_config};
use super::template::{fill, item, scalar};
use super::{Mesh, Rendering, yaml};

const GATEWAY_RESOURCE: &str = include_str!("gateway.yaml");
const ENVOY_PROXY: &str = include_str!("envoy_proxy.yaml");
const BACKEND: &str = include_str!("backend.yaml");
const HTTP_ROUTE: &str = include_str!("http_route.yaml");
const CLIENT_TRAFFIC_POLICY: &str = include_str!("client_traffic_policy.yaml");
const PATCH_POLICY: &str = include_str!("patch_policy.yaml");
const PATCH: &str = include_str!("patch.yaml");
const AROUND: &str = include_str!("../around.yaml");

/// How Envoy Gateway names listeners and route configurations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum XdsNames {
    /// After the Gateway's listener: `NAMESPACE/tollgate/http`
    Listener,
    /// After the port, as its runtime flag XDSNameSchemeV2 has it: `tcp-80`, `http-80`
    Port,
}

/// What only Envoy Gateway's resources need.
#[derive(Clone, Debug)]
pub struct EnvoyGateway {
    /// The GatewayClass.
    pub class: String,
    /// Envoy's image.
    pub envoy_image: String,
    /// How Envoy Gateway names what it makes.
    pub xds_names: XdsNames,
    /// The secret with the gateway's certificate; plain HTTP without one.
    pub tls_secret: Option<String>,
}

struct Writer<'a> {
    rendering: &'a Rendering<'a>,
    mesh: &'a Mesh,
    gateway: &'a EnvoyGateway,
    clusters: Vec<Cluster<'a>>,
}

/// The resources, as one YAML stream.
///
/// # Errors
///
/// The config names clusters of its own, or keys come from a server that nothing here knows.
pub(super) fn resources(rendering: &Rendering<'_>, mesh: &Mesh, gateway: &EnvoyGateway) -> Result<String, String> {
    let clusters = Cluster::all(rendering.document, rendering.config);
    if let Some(named) = clusters.iter().find(|cluster| cluster.is_named) {
        return Err(format!("model_info.cluster: expected none with Envoy Gateway, found {}", named.name));
    }
    deploy::no_secret_server(rendering)?;
    Ok(Writer { rendering, mesh, gateway, clusters }.write())
}

impl Writer<'_> {
    fn write(&self) -> String {
        let mut documents = vec![self.envoy_proxy(), self.gateway(), self.fill(CLIENT_TRAFFIC_POLICY, &[])];
        for cluster in &self.clusters {
            documents.extend([self.backend(cluster), self.http_route(cluster)]);
        }
        let patches: String = self.patches().iter().map(|patch| item(patch)).collect();
        documents.push(self.fill(PATCH_POLICY, &[("patches", &patches)]));
        self.rendering.title("for Envoy Gateway, with the API of Envoy 1.39 or newer")
            + ABOUT
            + &documents.join("---\n")
    }

    fn gateway(&self) -> String {
        let (protocol, tls) = match &self.gateway.tls_secret {
            Some(secret) => {
                ("HTTPS", format!("tls: {{mode: Terminate, certificateRefs: [{{name: {}}}]}}", scalar(secret)))
            }
            None => ("HTTP", String::new()),
        };
        self.fill(
            GATEWAY_RESOURCE,
            &[
                ("class", &scalar(&self.gateway.class)),
                ("listener", &protocol.to_lowercase()),
                ("port", self.port()),
                ("protocol", protocol),
                ("hostname", &self.host("hostname: ", "")),
                ("tls", &tls),
            ],
        )
    }

    fn envoy_proxy(&self) -> String {
        let env = deploy::env(self.rendering, self.mesh);
        let tags = parts::stats_tags();
        let tags = tags.lines().filter_map(|line| line.strip_prefix("- "));
        let patches: String =
            tags.map(|tag| format!("- {{op: add, path: /stats_config/stats_tags/-, value: {tag}}}\n")).collect();
        self.fill(
            ENVOY_PROXY,
            &[
                ("envoy_image", &scalar(&self.gateway.envoy_image)),
                ("env", &if env.is_empty() { env } else { format!("env:\n{env}") }),
                ("mount", &(deploy::mount(self.rendering) + &deploy::secrets_mount(self.rendering))),
                ("volume", &(deploy::image_volume(self.mesh) + &deploy::secrets_volume(self.rendering, self.mesh))),
                ("access_log", &self.access_log()),
                ("patches", &patches),
            ],
        )
    }

    /// Envoy Gateway's access log with the columns of ours.
    fn access_log(&self) -> String {
        let ours = yaml::parse(&parts::access_log(self.rendering.config, "")).ok();
        let format = ours.as_ref().and_then(|log| log.pointer("/access_log/0/typed_config/log_format/json_format"));
        format.map(|format: &Value| fill(TELEMETRY, &[("format", &yaml::dump(format))])).unwrap_or_default()
    }

    fn backend(&self, cluster: &Cluster<'_>) -> String {
        let (host, port) = (scalar(cluster.host()), cluster.address.port);
        let endpoint = match is_ip(cluster.host()) {
            true => format!("ip: {{address: {}, port: {port}}}", scalar(&full_address(cluster.host()))),
            false => format!("fqdn: {{hostname: {host}, port: {port}}}"),
        };
        let tls = match cluster.address.tls {
            true if is_ip(cluster.host()) => "tls: {wellKnownCACertificates: System}".to_owned(),
            true => format!("tls: {{wellKnownCACertificates: System, sni: {host}}}"),
            false => String::new(),
        };
        self.fill(BACKEND, &[("name", &resource_name(cluster)), ("endpoint", &endpoint), ("tls", &tls)])
    }

    fn http_route(&self, cluster: &Cluster<'_>) -> String {
        self.fill(
            HTTP_ROUTE,
            &[
                ("name", &resource_name(cluster)),
                ("cluster", &self.cluster_name(cluster)),
                ("hostnames", &self.host("hostnames: [", "]")),
                ("port", &cluster.address.port.to_string()),
            ],
        )
    }

    fn patches(&self) -> Vec<String> {
        let chain = if self.gateway.tls_secret.is_some() { "filter_chains/0" } else { "default_filter_chain" };
        let config = inline_config(&self.rendering.gateway_config(&self.vm_config()));
        let filter = format!("name: {GATEWAY}\n# Enabled by our routes alone.\ndisabled: true\n{config}");
        let path = format!("/{chain}/filters/0/typed_config/http_filters/0");
        let [listener, routes] = self.xds_names();
        let mut patches = vec![patch("envoy.config.listener.v3.Listener", &listener, &path, &filter)];
        for route in self.routes().iter().rev() {
            let kind = "envoy.config.route.v3.RouteConfiguration";
            patches.push(patch(kind, &routes, "/virtual_hosts/0/routes/0", &route.body));
        }
        patches.extend(self.clusters.iter().map(|cluster| {
            let config = inline_config(&cluster.attempt_config(&self.vm_config()));
            let options = cluster.protocol_options(&cluster.filters(&config));
            // The value of the member, without its name.
            let value: String =
                options.lines().skip(1).map(|line| line.strip_prefix("  ").unwrap_or(line).to_owned() + "\n").collect();
            patch(CLUSTER_TYPE, &self.cluster_name(cluster), "/typed_extension_protocol_options", &value)
        }));
        // A patch without a path is a resource of its own.
        let added = self.rendering.other_clusters();
        patches.extend(added.iter().map(|cluster| {
            let name = cluster.lines().find_map(|line| line.strip_prefix("name: ")).unwrap_or_default();
            fill(PATCH, &[("type", CLUSTER_TYPE), ("name", name), ("path", "\"\""), ("value", cluster)])
        }));
        patches
    }

    fn routes(&self) -> Vec<parts::Route> {
        let names: Names =
            self.clusters.iter().map(|cluster| (cluster.name.to_owned(), self.cluster_name(cluster))).collect();
        let parts = RouteParts {
            name: "tollgate".to_owned(),
            buffer_limit: format!("request_body_buffer_limit: {}", parts::buffer_limit(self.rendering.config)),
            around: AROUND.to_owned(),
            specifier: fill("inline_cluster_specifier_plugin:\n  ${it}\n", &[("it", &parts::specifier(&names))]),
            retry_policy: self.rendering.retry_policy(),
        };
        self.rendering.routes(&names, &parts)
    }

    fn vm_config(&self) -> String {
        self.rendering.vm_config(&self.rendering.local_code(), "")
    }

    /// The listener's name and the route configuration's.
    fn xds_names(&self) -> [String; 2] {
        let port = self.port();
        let kind = if self.gateway.tls_secret.is_some() { "https" } else { "http" };
        match self.gateway.xds_names {
            XdsNames::Listener => [(); 2].map(|()| format!("{}/tollgate/{kind}", self.mesh.namespace)),
            // The routes of a listener with TLS belong to its filter chain, and keep its name.
            XdsNames::Port if self.gateway.tls_secret.is_some() => {
                [format!("tcp-{port}"), format!("{}/tollgate/{kind}", self.mesh.namespace)]
            }
            XdsNames::Port => [format!("tcp-{port}"), format!("{kind}-{port}")],
        }
    }

    fn cluster_name(&self, cluster: &Cluster<'_>) -> String {
        format!("httproute/{}/{}/rule/0", self.mesh.namespace, resource_name(cluster))
    }

    /// The host between `before` and `after`; nothing where every host is meant.
    fn host(&self, before: &str, after: &str) -> String {
        if self.mesh.host == "*" { String::new() } else { format!("{before}{}{after}", scalar(&self.mesh.host)) }
    }

    fn port(&self) -> &'static str {
        if self.gateway.tls_secret.is_some() { "443" } else { "80" }
    }

    fn fill(&self, template: &str, values: &[(&str, &str)]) -> String {
        fill(template, &[&[("namespace", self.mesh.namespace.as_str())][..], values].concat())
    }
}

fn patch(kind: &str, name: &str, path: &str, value: &str) -> String {
    fill(PATCH, &[("type", kind), ("name", &scalar(name)), ("path", path), ("value", value)])
}

/// An IPv6 address with all its parts: Envoy Gateway's schema takes no `::1`.
fn full_address(host: &str) -> String {
    let parts = |address: Ipv6Addr| address.segments().map(|part| format!("{part:x}")).join(":");
    host.parse().map_or_else(|_| host.to_owned(), parts)
}

/// The config's name of a cluster, as Kubernetes takes it.
fn resource_name(cluster: &Cluster<'_>) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
    let name: String = cluster.name.to_lowercase().chars().map(allowed).collect();
    let parts: Vec<_> = name.split('-').filter(|part| !part.is_empty()).collect();
    parts.join("-")
}

const CLUSTER_TYPE: &str = "envoy.config.cluster.v3.Cluster";
const TELEMETRY: &str = "telemetry:\n  accessLog:\n    settings:\n    - format:\n        type: JSON\n        json:\n          ${format}\n      \
                         sinks: [{type: File, file: {path: /dev/stdout}}]\n";
const ABOUT: &str = "# Envoy Gateway's own configuration must say `extensionApis: {enableEnvoyPatchPolicy: true, enableBackend: true}`.\n\
     # Apply it with `kubectl apply --server-side`: a large config does not fit into the annotation of a plain apply.\n";
