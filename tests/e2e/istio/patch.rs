//! Istio's patch operations, as far as our EnvoyFilters use them, on a bootstrap in JSON's data model.
//!
//! A patch that finds nothing to change, or that asks for anything else, fails the test.
//!
//! Source: Istio, `pilot/pkg/networking/core/envoyfilter` and `pkg/proto/merge` <https://github.com/istio/istio>, read
//! 2026-11-23: lists grow, entries of a map are replaced, a message in an `Any` of a filter is merged.

use serde_json::{Value, json};

/// Applies `patch`, an entry of `configPatches`, to `bootstrap`; what is added for ECDS goes to `extensions`.
pub(super) fn apply(patch: &Value, context: &str, bootstrap: &mut Value, extensions: &mut Vec<Value>) {
    let (what, operation) = (text(&patch["applyTo"]), text(&patch["patch"]["operation"]));
    let value = &patch["patch"]["value"];
    if what == "BOOTSTRAP" {
        assert_eq!(operation, "MERGE");
        return merge(bootstrap, value);
    }
    assert_eq!(patch["match"]["context"], context, "{patch:#}");
    let version = text(&patch["match"]["proxy"]["proxyVersion"]);
    assert!(version.starts_with(r"^1\.(3[1-9]"), "{version}");
    let resources = &mut bootstrap["static_resources"];
    let count = match (what, operation) {
        ("HTTP_FILTER", "INSERT_BEFORE") => {
            let router = text(&patch["match"]["listener"]["filterChain"]["filter"]["subFilter"]["name"]);
            each_hcm(resources, &patch["match"]["listener"], |hcm| {
                let filters = list(&mut hcm["http_filters"]);
                let at = filters.iter().position(|filter| filter["name"] == router).expect("the router");
                filters.insert(at, value.clone());
            })
        }
        ("NETWORK_FILTER", "MERGE") => each_hcm(resources, &patch["match"]["listener"], |hcm| {
            merge(hcm, &value["typed_config"]);
        }),
        ("HTTP_ROUTE", "INSERT_FIRST") => {
            let name = &patch["match"]["routeConfiguration"]["vhost"]["name"];
            let mut count = 0;
            each_hcm(resources, &Value::Null, |hcm| {
                let hosts = list(&mut hcm["route_config"]["virtual_hosts"]).iter_mut();
                for host in hosts.filter(|host| host["name"] == *name) {
                    list(&mut host["routes"]).insert(0, value.clone());
                    count += 1;
                }
            });
            count
        }
        ("CLUSTER", "MERGE") => {
            let name = &patch["match"]["cluster"]["name"];
            let clusters = list(&mut resources["clusters"]).iter_mut().filter(|cluster| cluster["name"] == *name);
            clusters.map(|cluster| merge(cluster, value)).count()
        }
        ("CLUSTER", "ADD") => {
            list(&mut resources["clusters"]).push(value.clone());
            1
        }
        ("EXTENSION_CONFIG", "ADD") => {
            extensions.push(value.clone());
            1
        }
        _ => panic!("{operation} of {what} is not known here"),
    };
    assert!(count > 0, "nothing is patched by {patch:#}");
}

/// Changes each HTTP connection manager that the match of a listener is for; how many there are.
fn each_hcm(resources: &mut Value, found: &Value, mut change: impl FnMut(&mut Value)) -> usize {
    const NAME: &str = "envoy.filters.network.http_connection_manager";
    assert!(found.is_null() || found["filterChain"]["filter"]["name"] == NAME, "{found:#}");
    let mut count = 0;
    for listener in list(&mut resources["listeners"]) {
        let port = text(&listener["name"]).rsplit('_').next().unwrap().parse::<u64>().unwrap();
        if found["portNumber"].as_u64().is_some_and(|wanted| wanted != port) {
            continue;
        }
        for chain in list(&mut listener["filter_chains"]) {
            for filter in list(&mut chain["filters"]).iter_mut().filter(|filter| filter["name"] == NAME) {
                change(&mut filter["typed_config"]);
                count += 1;
            }
        }
    }
    count
}

/// Members whose protobuf type is a map: an entry takes the place of another.
const MAPS: [&str; 3] = ["typed_extension_protocol_options", "typed_per_filter_config", "filter_metadata"];

fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                match into.get_mut(key) {
                    Some(Value::Object(map)) if MAPS.contains(&key.as_str()) => {
                        map.extend(value.as_object().expect("a map").clone());
                    }
                    Some(member) => merge(member, value),
                    None => drop(into.insert(key.clone(), value.clone())),
                }
            }
        }
        (Value::Array(into), Value::Array(from)) => into.extend(from.iter().cloned()),
        (into, from) => *into = from.clone(),
    }
}

fn list(value: &mut Value) -> &mut Vec<Value> {
    value.as_array_mut().expect("a list")
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("expected a string, found {value}"))
}

/// What istiod makes of the ServiceEntries and DestinationRules among `resources`: a cluster for each port, and one for
/// each port and subset.
pub(super) fn clusters(resources: &[Value]) -> Vec<Value> {
    let of = |kind: &'static str| resources.iter().filter(move |one| one["kind"] == kind);
    let mut clusters = Vec::new();
    for entry in of("ServiceEntry") {
        let host = text(&entry["spec"]["hosts"][0]);
        let none = [json!({"name": "", "trafficPolicy": {}})];
        let rule = of("DestinationRule").find(|rule| rule["spec"]["host"] == host);
        let subsets = rule.and_then(|rule| rule["spec"]["subsets"].as_array()).cloned().unwrap_or_default();
        for port in entry["spec"]["ports"].as_array().unwrap() {
            clusters.extend(none.iter().chain(&subsets).map(|subset| cluster(&entry["spec"], port, subset)));
        }
    }
    clusters
}

fn cluster(entry: &Value, port: &Value, subset: &Value) -> Value {
    let host = text(&entry["hosts"][0]);
    let address = entry["endpoints"][0]["address"].as_str().unwrap_or(host);
    let name = format!("outbound|{}|{}|{host}", port["number"], text(&subset["name"]));
    let is_static = entry["resolution"] == "STATIC";
    let mut cluster = json!({
        "name": name, "type": if is_static { "STATIC" } else { "STRICT_DNS" }, "connect_timeout": "10s", "lb_policy": "LEAST_REQUEST",
        "load_assignment": {"cluster_name": name, "endpoints": [{"locality": {}, "load_balancing_weight": 1, "lb_endpoints": [
            {"endpoint": {"address": {"socket_address": {"address": address, "port_value": port["number"]}}},
             "load_balancing_weight": 1, "metadata": {"filter_metadata": {"istio": {"workload": ";;;;"}}}}]}]},
        "circuit_breakers": {"thresholds": [{"max_connections": 4_294_967_295_u32, "max_pending_requests": 4_294_967_295_u32,
            "max_requests": 4_294_967_295_u32, "max_retries": 4_294_967_295_u32, "track_remaining": true}]},
        "common_lb_config": {},
        "metadata": {"filter_metadata": {"istio": {"external": true, "services": [{"host": host, "name": host, "namespace": "istio-system"}]}}},
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "use_downstream_protocol_config": {"http_protocol_options": {}, "http2_protocol_options": {}}}},
    });
    let tls = &subset["trafficPolicy"]["tls"];
    if tls["mode"] == "SIMPLE" {
        let names = tls["subjectAltNames"].as_array().unwrap().iter();
        let kind = if address.parse::<std::net::IpAddr>().is_ok() { "IP_ADDRESS" } else { "DNS" };
        let names: Vec<_> = names.map(|name| json!({"san_type": kind, "matcher": {"exact": name}})).collect();
        cluster["transport_socket"] = json!({"name": "envoy.transport_sockets.tls", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
            "common_tls_context": {"validation_context": {"trusted_ca": {"filename": tls["caCertificates"]}, "match_typed_subject_alt_names": names}}}});
        if let Some(sni) = tls["sni"].as_str() {
            cluster["transport_socket"]["typed_config"]["sni"] = sni.into();
        }
    }
    cluster
}
