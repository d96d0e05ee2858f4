//! In which order the filters of a chain stand. Requests pass it from the first to the last, answers the other way.

use super::Hit;
use super::scene::Scene;
use crate::cli::lint::mesh::Filter;
use crate::cli::lint::tree::At;

/// The filter that verifies a token and leaves what it says.
const JWT: &[&str] = &["JwtAuthentication"];

/// Filters that set trusted headers.
const HEADERS: &[&str] = &["ExtAuthz", "ExternalProcessor", "Lua", "JwtAuthentication", "HeaderMutation"];

/// Filters that answer for themselves what is no business of the gateway's.
const FIRST: &[(&str, &str)] = &[
    ("Cors", "a browser's preflight has no key and is answered 401"),
    ("Compressor", "answers reach the gateway compressed: it finds no usage in them, and charges an estimate"),
];

/// Filters that make use of what the gateway has found out.
const AFTERWARDS: &[(&str, &str)] =
    &[("RateLimit", "its descriptors are made before the filter state wasm.tollgate.* is there")];

/// The router comes after the gateway, and what `tollgate.identity` trusts before it.
pub(super) fn gateway_order(scene: &Scene<'_>) -> Vec<Hit> {
    let mut hits = Vec::new();
    for (manager, plugin) in &scene.gateways {
        let later: Vec<&Filter<'_>> = manager.filters.iter().skip(plugin.position).collect();
        if !later.iter().any(|filter| filter.kind == "Router") {
            let message = "no envoy.filters.http.router comes after the gateway: no request gets to it";
            let fix = order(&["tollgate_gateway", "envoy.filters.http.router"]);
            hits.push(Hit::new(&plugin.resource, &plugin.at, message, fix));
        }
        let wanted = scene.plan.map(|plan| plan.identities).unwrap_or_default();
        for (is_wanted, kinds, what) in [(wanted.jwt, JWT, "jwt"), (wanted.header, HEADERS, "header")] {
            let is_before = manager.filters.iter().take(plugin.position).any(|filter| kinds.contains(&filter.kind));
            if is_wanted && !is_before {
                let message = format!(
                    "tollgate.identity trusts `from: {what}`, and no filter before the gateway sets it: {}",
                    if what == "header" { "a client can" } else { "nobody is let in by it" }
                );
                let fix = order(&["envoy.filters.http.jwt_authn (or ext_authz)", "tollgate_gateway"]);
                hits.push(Hit::new(&plugin.resource, &plugin.at, message, fix));
            }
        }
    }
    hits
}

/// CORS and compression belong before the gateway, rate limits after it.
pub(super) fn gateway_neighbours(scene: &Scene<'_>) -> Vec<Hit> {
    let mut hits = Vec::new();
    for (manager, plugin) in &scene.gateways {
        for (i, filter) in manager.filters.iter().enumerate() {
            let rules = if i < plugin.position { AFTERWARDS } else { FIRST };
            let Some((_, effect)) = rules.iter().find(|(kind, _)| *kind == filter.kind) else { continue };
            let (before, after) =
                if i < plugin.position { ("tollgate_gateway", filter.name) } else { (filter.name, "tollgate_gateway") };
            let message = format!(
                "{} stands {} the gateway: {effect}",
                filter.name,
                if i < plugin.position { "before" } else { "after" }
            );
            hits.push(Hit::new(&plugin.resource, &filter.at, message, order(&[before, after])));
        }
    }
    hits
}

fn order(names: &[&str]) -> String {
    let lines: Vec<String> = names.iter().map(|name| format!("- name: {name}")).collect();
    format!("http_filters:  # in this order\n{}", lines.join("\n"))
}

/// What signs comes after what is signed, and the codec is the last.
pub(super) fn attempt_order(scene: &Scene<'_>) -> Vec<Hit> {
    let mut hits = Vec::new();
    for (cluster, plugin) in &scene.attempts {
        let fix = "http_filters:  # in this order\n- name: tollgate_attempt_...\n- name: envoy.filters.http.aws_request_signing (or \
                   credential_injector), if any\n- name: envoy.filters.http.upstream_codec";
        let mut hit = |filter: &Filter<'_>, message: &str| {
            hits.push(Hit::new(&plugin.resource, &filter.at, format!("{} {message}", filter.name), fix));
        };
        for (i, filter) in cluster.filters.iter().enumerate() {
            match filter.kind {
                "AwsRequestSigning" if i < plugin.position => {
                    hit(filter, "signs before the attempt has written what is to be signed")
                }
                "CredentialInjector" if i < plugin.position => {
                    hit(filter, "injects a credential that the attempt then removes")
                }
                "UpstreamCodec" if i < plugin.position => {
                    hit(filter, "comes before the attempt, which then sees no request")
                }
                _ => {}
            }
        }
        if !cluster.filters.iter().any(|filter| filter.kind == "UpstreamCodec") {
            let message = "no envoy.filters.http.upstream_codec at the end of the chain: Envoy refuses the cluster";
            hits.push(Hit::new(&plugin.resource, &plugin.at, message, fix));
        }
    }
    hits
}

/// Each role once: a second gateway charges a request twice.
pub(super) fn role_twice(scene: &Scene<'_>) -> Vec<Hit> {
    let gateways = scene.gateways.iter().map(|(manager, plugin)| (&manager.at.path, plugin));
    let attempts = scene.attempts.iter().map(|(cluster, plugin)| (&cluster.at.path, plugin));
    let mut hits = Vec::new();
    let mut last: Option<&String> = None;
    for (chain, plugin) in gateways.chain(attempts) {
        if last == Some(chain) {
            let message = "the same role stands in this chain already: a request is handled, and charged, twice";
            hits.push(Hit::new(&plugin.resource, &plugin.at, message, "# remove this entry of http_filters"));
        }
        last = Some(chain);
    }
    hits
}

/// Where the gateway is switched off, a request reaches the provider's cluster without a plan.
pub(super) fn gateway_disabled(scene: &Scene<'_>) -> Vec<Hit> {
    let mut hits = Vec::new();
    for (manager, plugin) in &scene.gateways {
        let Some(filter) = manager.filters.get(plugin.position) else { continue };
        let routes = scene.routes().filter(|(other, _)| other.at.path == manager.at.path);
        for (_, route) in routes {
            let scopes = [
                Some(route.at.clone()),
                Some(route.host.clone()),
                manager.routes.as_ref().map(|routes| routes.at.clone()),
            ];
            let own = |at: &At<'_>| at.find(&["typed_per_filter_config", filter.name]).map(|own| own.flag("disabled"));
            let said = scopes.iter().flatten().find_map(own);
            if said.unwrap_or(filter.at.flag("disabled")) {
                let message = "the gateway is disabled here: no client is authenticated, and no attempt finds a plan";
                let fix = format!(
                    "typed_per_filter_config:\n  {}: {{\"@type\": \
                     type.googleapis.com/envoy.config.route.v3.FilterConfig, config: {{}}}}",
                    filter.name
                );
                hits.push(Hit::new(&route.resource, &route.at, message, fix));
            }
        }
    }
    hits
}
