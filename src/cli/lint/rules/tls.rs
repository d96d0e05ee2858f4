//! TLS to the providers: what carries a credential must go to the one whom it belongs to.

use std::net::IpAddr;

use super::Hit;
use super::scene::Scene;
use crate::cli::lint::mesh::Cluster;
use crate::cli::lint::tree::At;

/// Kinds of validation contexts that name a secret: what is in it, a dump does not tell.
const SECRETS: [&str; 2] = ["validation_context_sds_secret_config", "validation_context_certificate_provider_instance"];

/// The clusters that get a credential: those of attempts, and those that tokens come from.
fn trusted<'s>(scene: &'s Scene<'s>) -> impl Iterator<Item = &'s Cluster<'s>> {
    let is_other = |name: &str| scene.plan.is_some_and(|plan| plan.others.contains_key(name));
    scene.mesh.clusters.iter().filter(move |cluster| scene.targets.contains(cluster.name) || is_other(cluster.name))
}

/// The TLS contexts of a cluster: its own, and those for some of its hosts.
fn contexts<'v>(cluster: &Cluster<'v>) -> Vec<At<'v>> {
    let own = cluster.at.get("transport_socket");
    let matches = cluster.at.list("transport_socket_matches").into_iter().filter_map(|at| at.get("transport_socket"));
    own.into_iter().chain(matches).filter_map(|socket| context(&socket)).collect()
}

/// The TLS context of a socket, which other sockets may be wrapped around.
fn context<'v>(socket: &At<'v>) -> Option<At<'v>> {
    let typed = socket.get("typed_config")?.typed()?;
    match typed.kind {
        "UpstreamTlsContext" => Some(typed.message),
        _ => context(&typed.message.get("transport_socket")?),
    }
}

/// Where the cluster leads, if the config or its hosts say so.
fn host(scene: &Scene<'_>, cluster: &Cluster<'_>) -> Option<String> {
    let planned = scene.address(cluster.name).map(|address| address.host.clone());
    let first = || {
        let locality = cluster.at.get("load_assignment")?.list("endpoints").into_iter().next()?;
        let endpoint = locality.list("lb_endpoints").into_iter().next()?;
        let address = endpoint.find(&["endpoint", "address", "socket_address"])?;
        address.text("address").map(str::to_owned)
    };
    planned.or_else(first)
}

fn is_ip(host: &str) -> bool {
    host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
}

/// `upstream_http_protocol_options` of a cluster.
fn automatic(cluster: &Cluster<'_>, flag: &str) -> bool {
    let options = cluster.protocol.as_ref().and_then(|options| options.get("upstream_http_protocol_options"));
    options.or_else(|| cluster.at.get("upstream_http_protocol_options")).is_some_and(|options| options.flag(flag))
}

/// Without an SNI a provider behind a CDN cannot choose its certificate.
pub(super) fn sni(scene: &Scene<'_>) -> Vec<Hit> {
    let mut hits = Vec::new();
    for cluster in trusted(scene) {
        let host = host(scene, cluster);
        if host.as_deref().is_some_and(is_ip) || automatic(cluster, "auto_sni") {
            continue;
        }
        for at in contexts(cluster) {
            if at.text("sni").is_none_or(str::is_empty) && !at.flag("auto_host_sni") {
                let message =
                    "no sni: the provider cannot know which certificate is wanted, and most end the handshake";
                hits.push(Hit::new(
                    cluster.resource(),
                    &at,
                    message,
                    format!("sni: {}", host.as_deref().unwrap_or("api.example.com")),
                ));
            }
        }
    }
    hits
}

/// Without a name that must be in it, the certificate of any host will do; without an authority, any certificate.
pub(super) fn san(scene: &Scene<'_>) -> Vec<Hit> {
    let mut hits = Vec::new();
    for cluster in trusted(scene) {
        let host = host(scene, cluster).unwrap_or_else(|| "api.example.com".to_owned());
        for at in contexts(cluster) {
            let Some(objection) = objection(cluster, &at) else { continue };
            let san_type = if is_ip(&host) { "IP_ADDRESS" } else { "DNS" };
            let fix = format!(
                "common_tls_context:\n  validation_context:\n    trusted_ca: {{filename: \
                 /etc/ssl/certs/ca-certificates.crt}}\n    match_typed_subject_alt_names: [{{san_type: {san_type}, matcher: \
                 {{exact: {host}}}}}]"
            );
            hits.push(Hit::new(
                cluster.resource(),
                &at,
                format!("{objection}: the credential can go to another host"),
                fix,
            ));
        }
    }
    hits
}

/// What is wrong with how a certificate is checked.
fn objection(cluster: &Cluster<'_>, tls: &At<'_>) -> Option<&'static str> {
    let common = tls.get("common_tls_context");
    let combined = common.as_ref().and_then(|common| common.get("combined_validation_context"));
    if SECRETS.iter().any(|name| common.as_ref().is_some_and(|common| common.get(name).is_some())) {
        return None;
    }
    let own = combined.as_ref().and_then(|combined| combined.get("default_validation_context"));
    let context = common.as_ref().and_then(|common| common.get("validation_context")).or(own);
    let has_secret = combined.is_some();
    let Some(context) = context else { return Some("no validation_context: the certificate is not checked at all") };
    if context.text("trust_chain_verification") == Some("ACCEPT_UNTRUSTED") {
        return Some("trust_chain_verification: ACCEPT_UNTRUSTED takes any certificate");
    }
    if context.get("trusted_ca").is_none() && !has_secret {
        return Some(match context.get("system_root_certs") {
            Some(_) => "system_root_certs alone: Envoy takes it and checks nothing",
            None => "no trusted_ca: any certificate is taken",
        });
    }
    let names = ["match_typed_subject_alt_names", "match_subject_alt_names"];
    let is_named = names.iter().any(|name| !context.list(name).is_empty())
        || tls.flag("auto_sni_san_validation")
        || automatic(cluster, "auto_san_validation");
    if is_named { None } else { Some("no match_typed_subject_alt_names: a valid certificate of any host is taken") }
}

/// The config says https, and the cluster speaks in clear.
pub(super) fn tls_missing(scene: &Scene<'_>) -> Vec<Hit> {
    let mut hits = Vec::new();
    for cluster in scene.clusters().filter(|cluster| contexts(cluster).is_empty()) {
        let Some(address) = scene.address(cluster.name) else { continue };
        if address.tls {
            let host = &address.host;
            let message =
                format!("the config says https://{host}, and the cluster has no TLS: the credential is sent in clear");
            let fix = format!(
                "transport_socket:\n  name: envoy.transport_sockets.tls\n  typed_config:\n    \"@type\": \
                 type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext\n    sni: {host}\n    \
                 common_tls_context:\n      validation_context:\n        trusted_ca: {{filename: \
                 /etc/ssl/certs/ca-certificates.crt}}\n        match_typed_subject_alt_names: [{{san_type: DNS, matcher: \
                 {{exact: {host}}}}}]"
            );
            hits.push(Hit::new(cluster.resource(), &cluster.at, message, fix));
        }
    }
    hits
}

/// With `auto_sni` Envoy takes the name once for a request, and keeps it for attempts at other providers.
pub(super) fn auto_sni(scene: &Scene<'_>) -> Vec<Hit> {
    let mut hits = Vec::new();
    for cluster in scene.clusters().filter(|cluster| automatic(cluster, "auto_sni")) {
        let host = host(scene, cluster).unwrap_or_else(|| "api.example.com".to_owned());
        let message = "auto_sni takes the host of the client's request, and of the first attempt for every later one";
        let at = cluster.protocol.as_ref().unwrap_or(&cluster.at);
        hits.push(Hit::new(
            cluster.resource(),
            at,
            message,
            format!("# in the UpstreamTlsContext, without auto_sni\nsni: {host}"),
        ));
    }
    hits
}
