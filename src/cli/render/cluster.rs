//! One Envoy cluster per address, each with the `attempt` role in its upstream filter chain; and one for each place
//! that access tokens come from, and one for the rate limit service, without it.
//!
//! A cluster that `model_info.cluster` names is the reader's own: it is not rendered, but a comment says what it needs.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;

use serde_json::Value;

use super::injecting;
use super::parts::inline_config;
use super::signing;
use super::template::{fill, item, scalar};
use crate::config::{Address, Config, Secrets};
use crate::provider::Credential;
use crate::rls::Service;

const CLUSTER: &str = include_str!("cluster.yaml");
const ATTEMPT: &str = include_str!("attempt.yaml");
const ATTEMPT_CONFIG: &str = include_str!("attempt_config.yaml");
const PROTOCOL_OPTIONS: &str = include_str!("protocol_options.yaml");
const TLS: &str = include_str!("tls.yaml");

/// A cluster that an attempt may go to.
pub(super) struct Cluster<'a> {
    /// Its name.
    pub(super) name: &'a str,
    /// Where it leads.
    pub(super) address: &'a Address,
    /// What opens the door there; a filter behind ours may write it.
    credential: &'a Credential,
    /// Where Envoy has secrets from.
    secrets: &'a Secrets,
    /// Whether the config names it: somebody else's.
    pub(super) is_named: bool,
    /// What Envoy's name of it has more.
    suffix: &'a str,
}

impl<'a> Cluster<'a> {
    /// The clusters of `config`, each once, in the config's order.
    pub(super) fn all(document: &Value, config: &'a Config) -> Vec<Self> {
        let named = named(document);
        let mut seen = BTreeSet::new();
        let new = config.deployments.iter().enumerate().filter(|(_, deployment)| seen.insert(&deployment.cluster));
        new.map(|(position, deployment)| Cluster {
            name: &deployment.cluster,
            address: &deployment.address,
            credential: &deployment.target.credential,
            secrets: &config.secrets,
            is_named: named.contains(&position),
            suffix: "",
        })
        .collect()
    }

    /// The same, as if the config did not name it.
    pub(super) fn ours(self) -> Self {
        Self { is_named: false, ..self }
    }

    /// The same, whose name in Envoy ends with `suffix` unless it is somebody else's.
    pub(super) fn with_suffix(self, suffix: &'a str) -> Self {
        Self { suffix, ..self }
    }

    /// Its name in an Envoy of ours.
    pub(super) fn own_name(&self) -> String {
        let suffix = if self.is_named { "" } else { self.suffix };
        format!("{}{suffix}", self.name)
    }

    /// The filter behind ours that writes the credential, where ours does not.
    fn behind(&self) -> Option<String> {
        match self.credential {
            Credential::Signed(aws) => Some(signing::filter(aws)),
            Credential::Injected(injected) => Some(injecting::filter(injected, self.secrets)),
            Credential::None | Credential::Key(_) | Credential::Bearer(_) | Credential::Token(_) => None,
        }
    }

    /// The name of its filter.
    pub(super) fn plugin(&self) -> String {
        format!("tollgate_attempt_{}", self.name)
    }

    /// The cluster as YAML; `vm_config` is the one of its filter.
    pub(super) fn render(&self, vm_config: &str, ca_file: &Path) -> String {
        let filters = self.filters(&inline_config(&self.attempt_config(vm_config)));
        let name = self.own_name();
        // Statistics go on under the name that they had.
        let more = if name == self.name { String::new() } else { format!("alt_stat_name: {}\n", scalar(self.name)) };
        cluster(&name, self.address, &filters, ca_file) + &more
    }

    /// The role `attempt`, as the configuration of an HTTP filter.
    pub(super) fn attempt_config(&self, vm_config: &str) -> String {
        let values =
            [("name", scalar(self.name)), ("plugin", scalar(&self.plugin())), ("vm_config", vm_config.to_owned())];
        let values: Vec<_> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
        fill(ATTEMPT_CONFIG, &values)
    }

    /// `http_filters`: the role `attempt`, whose configuration is `config`, the signer if there is one, and the codec.
    pub(super) fn filters(&self, config: &str) -> String {
        let signing = self.behind().unwrap_or_else(|| NO_SIGNING.to_owned());
        fill(ATTEMPT, &[("plugin", scalar(&self.plugin()).as_str()), ("config", config), ("signing", &signing)])
    }

    /// `typed_extension_protocol_options` with these filters.
    pub(super) fn protocol_options(&self, http_filters: &str) -> String {
        protocol_options(if self.address.tls && !self.is_named { ALPN } else { HTTP1 }, http_filters)
    }

    /// The host's name or address, without the brackets of an IPv6 address.
    pub(super) fn host(&self) -> &'a str {
        self.address.host.trim_matches(['[', ']'])
    }
}

/// The clusters of the places that access tokens come from, each once.
pub(super) fn tokens(config: &Config, ca_file: &Path) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut sources = config.token_sources();
    sources.retain(|source| seen.insert(source.cluster.clone()));
    sources.iter().map(|source| cluster(&source.cluster, &source.address, "", ca_file)).collect()
}

/// The cluster of the rate limit service, where the config says where that is; it speaks gRPC.
pub(super) fn rate_limit(config: &Config, ca_file: &Path) -> Option<String> {
    let Service { cluster, address, .. } = config.rate_limit_service.as_ref()?;
    let address = address.as_ref()?;
    Some(cluster_with(cluster, address, if address.tls { ALPN } else { HTTP2 }, "", ca_file))
}

/// A cluster at `address` with these upstream filters.
fn cluster(name: &str, address: &Address, http_filters: &str, ca_file: &Path) -> String {
    cluster_with(name, address, if address.tls { ALPN } else { HTTP1 }, http_filters, ca_file)
}

fn cluster_with(name: &str, address: &Address, protocol: &str, http_filters: &str, ca_file: &Path) -> String {
    let host = address.host.trim_matches(['[', ']']);
    let tls = if address.tls { tls(host, ca_file) } else { String::new() };
    let values = [
        ("name", scalar(name)),
        ("host", scalar(host)),
        ("port", address.port.to_string()),
        ("discovery", if is_ip(host) { "STATIC" } else { "STRICT_DNS" }.to_owned()),
        ("dns", if is_ip(host) { String::new() } else { DNS.to_owned() }),
        ("nobody", if is_ip(host) { String::new() } else { NOBODY.to_owned() }),
        ("transport_socket", tls),
        ("protocol_options", protocol_options(protocol, http_filters)),
    ];
    let values: Vec<_> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
    fill(CLUSTER, &values)
}

fn protocol_options(protocol: &str, http_filters: &str) -> String {
    fill(PROTOCOL_OPTIONS, &[("protocol", protocol), ("http_filters", http_filters)])
}

/// The rendered clusters as a list's entries, each after `kind`, with a comment for those that are somebody else's.
pub(super) fn list(
    clusters: &[Cluster<'_>],
    kind: &str,
    vm_config: impl Fn(usize) -> String,
    ca_file: &Path,
) -> String {
    let ours = clusters.iter().filter(|cluster| !cluster.is_named).enumerate();
    let mut out: String =
        ours.map(|(n, cluster)| item(&(kind.to_owned() + &cluster.render(&vm_config(n), ca_file)))).collect();
    for cluster in clusters.iter().filter(|cluster| cluster.is_named) {
        let (name, plugin) = (scalar(cluster.name), cluster.plugin());
        out.push_str(&format!(
            "# Not here: {name}, which the config names. Give it the http_filters of the clusters above,\n\
             # with the name {plugin} and the same vm_config.\n"
        ));
        if let Some(filter) = cluster.behind() {
            out.push_str("# After that filter, this one writes the credential:\n");
            filter.lines().for_each(|line| out.push_str(&format!("#   {line}\n")));
        }
    }
    out
}

/// The positions in `model_list` of the deployments whose cluster the config names.
fn named(document: &Value) -> BTreeSet<usize> {
    let list = document.get("model_list").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let is_named = |entry: &Value| entry.pointer("/model_info/cluster").is_some_and(|name| !name.is_null());
    list.iter().enumerate().filter(|(_, entry)| is_named(entry)).map(|(position, _)| position).collect()
}

/// TLS with a fixed name: `auto_sni` would take the host of the first attempt for every later one.
fn tls(host: &str, ca_file: &Path) -> String {
    let (sni, san_type) = match is_ip(host) {
        true => (String::new(), "IP_ADDRESS"),
        false => (format!("sni: {}", scalar(host)), "DNS"),
    };
    let ca_file = scalar(&ca_file.to_string_lossy());
    fill(TLS, &[("sni", &sni), ("san_type", san_type), ("host", &scalar(host)), ("ca_file", &ca_file)])
}

pub(super) fn is_ip(host: &str) -> bool {
    host.parse::<IpAddr>().is_ok()
}

const NO_SIGNING: &str = "# Signing or credential injection goes here, after the provider's path and body are written.";
const DNS: &str = "dns_lookup_family: V4_PREFERRED\ndns_refresh_rate: 30s\n\
                   dns_failure_refresh_rate: {base_interval: 1s, max_interval: 10s}";
/// Envoy answers 503 at once, without a retry, where a cluster has no address.
pub(super) const NOBODY: &str = "# As long as the name has no address: a refused connection, after which Envoy tries the next provider.\n\
                      - priority: 1\n  lb_endpoints:\n  \
                      - endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}";
const ALPN: &str = "auto_config: {http2_protocol_options: {}}";
const HTTP2: &str = "explicit_http_config: {http2_protocol_options: {}}";
const HTTP1: &str = "explicit_http_config: {http_protocol_options: {}}";
