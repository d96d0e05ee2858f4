//! `tollgate render --target envoy-gateway`: the patches, applied as Envoy Gateway applies them to what it makes of the
//! other resources, in a real Envoy.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tollgate::cli::yaml;

use crate::istio::{Mesh, render};

const HOST: &str = "llm.example";
/// What Envoy Gateway's own listener leaves to the lint: who is internal to it.
const FINDINGS: &[&str] = &["TG115"];

#[test]
fn a_patched_gateway_serves() {
    for (name, listener, args) in [
        ("envoy-gateway", "tollgate/tollgate/http", &[][..]),
        ("envoy-gateway-port", "tcp-80", &["--xds-names", "port"]),
    ] {
        let mesh = Mesh::launch(name, HOST, listener, |folder, config| {
            let target = ["--target", "envoy-gateway", "--host", HOST];
            patched(folder, &render(folder, config, &[&target, args].concat()), listener)
        });
        mesh.serves();
        mesh.lints(FINDINGS);
        let record = mesh.gate.access_log_where("the record of an answer", 1, |line| line["provider"] == "openai");
        assert_eq!(record[0]["key_alias"], "app");
        mesh.gate.expect_counter("tollgate_requests_total", &[("model_group", "fast"), ("provider", "openai")], 2);
    }
}

/// The bootstrap with what Envoy Gateway makes of `resources`.
fn patched(folder: &Path, resources: &[Value], listener: &str) -> PathBuf {
    let one = |kind: &str| resources.iter().find(|one| one["kind"] == kind).unwrap_or_else(|| panic!("no {kind}"));
    let mut bootstrap = yaml::parse(&include_str!("gateway.yaml").replace("LISTENER", listener)).unwrap();
    let manager = "/static_resources/listeners/0/default_filter_chain/filters/0/typed_config";
    for route in resources.iter().filter(|one| one["kind"] == "HTTPRoute") {
        let (cluster, rule) = cluster(resources, route);
        list(&mut bootstrap, "/static_resources/clusters").push(cluster);
        list(&mut bootstrap, &format!("{manager}/route_config/virtual_hosts/0/routes")).push(rule);
    }
    let settings = &one("EnvoyProxy")["spec"]["telemetry"]["accessLog"]["settings"][0];
    list(&mut bootstrap, &format!("{manager}/access_log")).push(
        json!({"name": "envoy.access_loggers.file", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
        "path": settings["sinks"][0]["file"]["path"], "log_format": {"json_format": settings["format"]["json"]}}}),
    );
    for patch in one("EnvoyProxy")["spec"]["bootstrap"]["jsonPatches"].as_array().unwrap() {
        add(&mut bootstrap, patch);
    }
    for patch in one("EnvoyPatchPolicy")["spec"]["jsonPatches"].as_array().unwrap() {
        if patch["operation"]["path"] == "" {
            assert_eq!(patch["operation"]["value"]["name"], patch["name"]);
            list(&mut bootstrap, "/static_resources/clusters").push(patch["operation"]["value"].clone());
            continue;
        }
        add(resource(&mut bootstrap, patch, manager), &patch["operation"]);
    }
    let path = folder.join("envoy.yaml");
    std::fs::write(&path, bootstrap.to_string()).unwrap();
    path
}

/// What a patch is for, by its type and name.
fn resource<'b>(bootstrap: &'b mut Value, patch: &Value, manager: &str) -> &'b mut Value {
    let path = match patch["type"].as_str().unwrap().rsplit('.').next().unwrap() {
        "Listener" => "/static_resources/listeners/0".to_owned(),
        "RouteConfiguration" => format!("{manager}/route_config"),
        "Cluster" => {
            let clusters = bootstrap["static_resources"]["clusters"].as_array().unwrap();
            let at =
                clusters.iter().position(|cluster| cluster["name"] == patch["name"]).expect("a cluster of that name");
            format!("/static_resources/clusters/{at}")
        }
        other => panic!("{other} cannot be patched"),
    };
    let found = bootstrap.pointer_mut(&path).unwrap();
    let is_route = found.get("virtual_hosts").is_some() && patch["name"].as_str().unwrap().starts_with("http-");
    assert!(found["name"] == patch["name"] || is_route, "{} is not {}", found["name"], patch["name"]);
    found
}

/// RFC 6902, the operation `add`.
fn add(into: &mut Value, operation: &Value) {
    assert_eq!(operation["op"], "add");
    let (parent, last) = operation["path"].as_str().unwrap().rsplit_once('/').unwrap();
    match into.pointer_mut(parent).unwrap_or_else(|| panic!("no {parent}")) {
        Value::Array(list) if last == "-" => list.push(operation["value"].clone()),
        Value::Array(list) => list.insert(last.parse().unwrap(), operation["value"].clone()),
        Value::Object(members) => drop(members.insert(last.to_owned(), operation["value"].clone())),
        other => panic!("{parent} is {other}"),
    }
}

fn list<'v>(value: &'v mut Value, path: &str) -> &'v mut Vec<Value> {
    value.pointer_mut(path).and_then(Value::as_array_mut).unwrap_or_else(|| panic!("no list at {path}"))
}

/// The cluster and the route of an HTTPRoute's only rule.
fn cluster(resources: &[Value], route: &Value) -> (Value, Value) {
    let of = |value: &Value| (value["metadata"]["namespace"].clone(), value["metadata"]["name"].clone());
    let (namespace, name) = of(route);
    let rule = &route["spec"]["rules"][0];
    let target = &rule["backendRefs"][0];
    let is_it = |one: &&Value| one["kind"] == "Backend" && of(one) == (namespace.clone(), target["name"].clone());
    let ip = resources.iter().find(is_it).expect("a Backend of that name")["spec"]["endpoints"][0]["ip"].clone();
    assert_eq!(ip["port"], target["port"]);
    let cluster = format!("httproute/{}/{}/rule/0", namespace.as_str().unwrap(), name.as_str().unwrap());
    let endpoint = json!({"endpoint": {"address": {"socket_address": {"address": ip["address"], "port_value": ip["port"]}}},
        "load_balancing_weight": 1});
    let path = &rule["matches"][0]["path"]["value"];
    let header = &rule["matches"][0]["headers"][0];
    let made = json!({
        "name": cluster, "type": "STATIC", "connect_timeout": "10s", "dns_lookup_family": "V4_PREFERRED", "lb_policy": "LEAST_REQUEST",
        "circuit_breakers": {"thresholds": [{"max_retries": 1024}]}, "common_lb_config": {}, "outlier_detection": {},
        "ignore_health_on_host_removal": true, "per_connection_buffer_limit_bytes": 32768,
        "load_assignment": {"cluster_name": cluster, "endpoints": [
            {"locality": {"region": format!("{cluster}/backend/0")}, "load_balancing_weight": 1, "lb_endpoints": [endpoint]}]}});
    let route = json!({"name": format!("{cluster}/match/0/llm_example"),
        "match": {"path": path, "headers": [{"name": header["name"], "string_match": {"exact": header["value"]}}]},
        "route": {"cluster": cluster, "upgrade_configs": [{"upgrade_type": "websocket"}]}});
    (made, route)
}
