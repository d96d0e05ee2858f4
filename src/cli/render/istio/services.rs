//! What istiod makes listeners, virtual hosts and clusters from.

use std::collections::BTreeMap;

use super::{Workload, Writer};
use crate::cli::render::cluster::{Cluster, is_ip};
use crate::cli::render::template::{fill, item, scalar};

const SERVICE_ENTRY: &str = include_str!("service_entry.yaml");
const DESTINATION_RULE: &str = include_str!("destination_rule.yaml");
const SUBSET: &str = include_str!("subset.yaml");
const GATEWAY_RESOURCE: &str = include_str!("gateway.yaml");
const SERVICE: &str = include_str!("service.yaml");
const VIRTUAL_SERVICE: &str = include_str!("virtual_service.yaml");

impl Writer<'_> {
    /// The clusters of each host that are ours.
    pub(super) fn hosts(&self) -> BTreeMap<String, Vec<(&Cluster<'_>, &str)>> {
        let mut hosts: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (cluster, subset) in self.clusters.iter().zip(&self.subsets) {
            if let Some(subset) = subset {
                hosts.entry(service_host(cluster)).or_default().push((cluster, subset.as_str()));
            }
        }
        hosts
    }

    /// Nothing for a service of the cluster itself: Istio knows it.
    pub(super) fn service_entry(&self, host: &str, clusters: &[(&Cluster<'_>, &str)]) -> Option<String> {
        if host.ends_with(".svc.cluster.local") {
            return None;
        }
        let ports: BTreeMap<u16, bool> = clusters.iter().map(|(one, _)| (one.address.port, one.address.tls)).collect();
        let port = |(port, tls): (&u16, &bool)| {
            let (name, protocol) = if *tls { ("tls", "TLS") } else { ("http", "HTTP") };
            format!("- {{number: {port}, name: {name}-{port}, protocol: {protocol}}}\n")
        };
        let address = clusters.first().map(|(cluster, _)| cluster.host()).filter(|host| is_ip(host));
        Some(
            self.fill(
                SERVICE_ENTRY,
                &[
                    ("name", &resource_name(host)),
                    ("host", &scalar(host)),
                    ("resolution", if address.is_some() { "STATIC" } else { "DNS" }),
                    ("ports", &ports.iter().map(port).collect::<String>()),
                    (
                        "endpoints",
                        &address
                            .map(|address| format!("endpoints: [{{address: {}}}]", scalar(address)))
                            .unwrap_or_default(),
                    ),
                ],
            ),
        )
    }

    pub(super) fn destination_rule(&self, host: &str, clusters: &[(&Cluster<'_>, &str)]) -> String {
        let subset = |(cluster, subset): &(&Cluster<'_>, &str)| {
            let tls = if cluster.address.tls { self.tls(cluster.host()) } else { String::new() };
            item(&fill(SUBSET, &[("subset", subset), ("tls", &tls)]))
        };
        let subsets: String = clusters.iter().map(subset).collect();
        self.fill(DESTINATION_RULE, &[("name", &resource_name(host)), ("host", &scalar(host)), ("subsets", &subsets)])
    }

    fn tls(&self, host: &str) -> String {
        let ca_file = scalar(&self.rendering.options.ca_file.to_string_lossy());
        let sni = if is_ip(host) { String::new() } else { format!("sni: {}, ", scalar(host)) };
        format!("tls: {{mode: SIMPLE, {sni}subjectAltNames: [{}], caCertificates: {ca_file}}}", scalar(host))
    }

    pub(super) fn gateway(&self) -> String {
        let (port, tls) = match &self.istio.tls_secret {
            Some(secret) => (
                "{number: 443, name: https, protocol: HTTPS}",
                format!("tls: {{mode: SIMPLE, credentialName: {}}}", scalar(secret)),
            ),
            None => ("{number: 80, name: http, protocol: HTTP}", String::new()),
        };
        let (host, selector) = (scalar(&self.host()), self.selector());
        self.fill(GATEWAY_RESOURCE, &[("selector", &selector), ("port", port), ("host", &host), ("tls", &tls)])
    }

    pub(super) fn service(&self) -> String {
        self.fill(SERVICE, &[("host", &self.host())])
    }

    pub(super) fn virtual_service(&self) -> String {
        let gateways = match self.istio.workload {
            Workload::Gateway => "gateways: [tollgate]",
            Workload::Sidecar => "",
        };
        self.fill(VIRTUAL_SERVICE, &[("host", &scalar(&self.host())), ("gateways", gateways)])
    }
}

/// A subset for each cluster that the config does not name: `tollgate-443`, and for further ones of the same host and port,
/// which differ in their signer, `tollgate-443-2` and so on.
pub(super) fn subsets(clusters: &[Cluster<'_>]) -> Vec<Option<String>> {
    let mut seen: BTreeMap<(String, u16), usize> = BTreeMap::new();
    let mut subset = |cluster: &Cluster<'_>| {
        let port = cluster.address.port;
        let count = seen.entry((service_host(cluster), port)).or_default();
        *count += 1;
        if *count == 1 { format!("tollgate-{port}") } else { format!("tollgate-{port}-{count}") }
    };
    clusters.iter().map(|cluster| (!cluster.is_named).then(|| subset(cluster))).collect()
}

/// The host of the ServiceEntry: Istio takes no address for one.
pub(super) fn service_host(cluster: &Cluster<'_>) -> String {
    let host = cluster.host();
    if is_ip(host) {
        format!("{}.tollgate.internal", host.replace(['.', ':'], "-").trim_matches('-'))
    } else {
        host.to_owned()
    }
}

fn resource_name(host: &str) -> String {
    format!("tollgate-{}", host.to_lowercase().replace('_', "-"))
}
