//! The two roles: whether they are there, and how their plugins are configured.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Hit;
use super::scene::{Plugin, Role, Scene, role_of, told};
use crate::cli::lint::mesh::{Cluster, Filter};
use crate::cli::lint::tree::At;
use crate::cli::load;
use crate::config::{Config, Env};

/// Without the role `gateway` nobody is authenticated, and nothing is planned.
pub(super) fn gateway_missing(scene: &Scene<'_>) -> Vec<Hit> {
    if !scene.gateways.is_empty() {
        return Vec::new();
    }
    let count = scene.mesh.managers.len();
    let filters = scene.mesh.managers.iter().flat_map(|manager| &manager.filters);
    let more = match undelivered(filters) {
        Some(name) => format!("; {name} is discovered by itself, and is not in the dump"),
        None if scene.mesh.is_partial => "; a control plane may have more: lint the running Envoy".to_owned(),
        None => String::new(),
    };
    let message = format!("none of {count} HTTP connection managers has the filter with root_id gateway{more}");
    let first = scene.mesh.managers.first();
    let resource = first.map_or("listeners", |manager| manager.resource.as_str());
    let at = first.map(|manager| manager.at.clone()).or_else(|| scene.mesh.bootstrap.clone());
    let at = at.unwrap_or_else(|| At::new(&Value::Null, "$"));
    let fix = format!(
        "# before envoy.filters.http.router; `tollgate render` writes it whole\nhttp_filters:\n{}",
        plugin(scene, Role::Gateway, "")
    );
    vec![Hit::new(resource, &at, message, fix)]
}

/// Without the role `attempt` a provider gets the client's own request, with the client's key.
pub(super) fn attempt_missing(scene: &Scene<'_>) -> Vec<Hit> {
    let without = scene.clusters().filter(|cluster| scene.attempts.iter().all(|(one, _)| one.name != cluster.name));
    let hit = |cluster: &Cluster<'_>| {
        let more = match undelivered(cluster.filters.iter()) {
            Some(name) => format!("{name} is discovered by itself, and is not in the dump"),
            None => "the provider would get the client's request as it came".to_owned(),
        };
        let message = format!("attempts go here, and its upstream filters lack the one with root_id attempt: {more}");
        let codec = "- name: envoy.filters.http.upstream_codec\n  typed_config:\n    \"@type\": \
                     type.googleapis.com/envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec";
        let filters = format!("http_filters:\n{}\n{codec}", plugin(scene, Role::Attempt, cluster.name));
        let indented: String = filters.lines().map(|line| format!("    {line}\n")).collect();
        let fix = format!(
            "typed_extension_protocol_options:\n  envoy.extensions.upstreams.http.v3.HttpProtocolOptions:\n    \"@type\": \
             type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions\n    \
             # or the protocol that the cluster has there already\n    \
             explicit_http_config: {{http_protocol_options: {{}}}}\n{indented}"
        );
        Hit::new(cluster.resource(), &cluster.at, message, fix)
    };
    without.map(hit).collect()
}

/// The filter of ours, by its name, whose configuration has not arrived.
fn undelivered<'f>(mut filters: impl Iterator<Item = &'f Filter<'f>>) -> Option<&'f str> {
    let is_missing = |filter: &&Filter<'_>| filter.message.is_none() && filter.name.contains("tollgate");
    filters.find(is_missing).map(|filter| filter.name)
}

/// A plugin of `role` as YAML, in the VM that the others have.
fn plugin(scene: &Scene<'_>, role: Role, cluster: &str) -> String {
    let (name, root_id) = match role {
        Role::Gateway => ("tollgate_gateway".to_owned(), "gateway"),
        Role::Attempt => (format!("tollgate_attempt_{cluster}"), "attempt"),
    };
    let configuration = match role {
        Role::Gateway => "# configuration: your config.yaml, as a google.protobuf.Struct".to_owned(),
        Role::Attempt => format!(
            "configuration: {{\"@type\": type.googleapis.com/google.protobuf.Struct, value: {{cluster: {}}}}}",
            Value::from(cluster)
        ),
    };
    let vm = vm_config(scene.plugins().next());
    let name = Value::from(name);
    format!(
        "- name: {name}\n  typed_config:\n    \"@type\": \
         type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm\n    config:\n      name: {name}\n      \
         root_id: {root_id}\n      failure_policy: FAIL_RELOAD\n      allow_on_headers_stop_iteration: true\n      \
         {vm}\n      {configuration}"
    )
}

/// The VM of `plugin`, without the values of its variables.
fn vm_config(plugin: Option<&Plugin<'_>>) -> String {
    let vm = plugin.and_then(|plugin| plugin.at.get("vm_config"));
    let inside = |path: &[&str], name: &str| vm.as_ref().and_then(|vm| vm.find(path)?.text(name));
    let quoted = |text: Option<&str>, or: &str| Value::from(text.unwrap_or(or)).to_string();
    let (vm_id, runtime) = (inside(&[], "vm_id"), inside(&[], "runtime"));
    let file = quoted(inside(&["code", "local"], "filename"), "/etc/envoy/tollgate.wasm");
    let names = vm.as_ref().map(host_env_keys).unwrap_or_default();
    let names: Vec<String> = names.into_iter().map(|name| Value::from(name).to_string()).collect();
    format!(
        "vm_config: {{vm_id: {}, runtime: {}, code: {{local: {{filename: {file}}}}}, environment_variables: \
         {{host_env_keys: [{}]}}}}",
        quoted(vm_id, "tollgate"),
        quoted(runtime, "envoy.wasm.runtime.v8"),
        names.join(", ")
    )
}

fn host_env_keys<'v>(vm: &At<'v>) -> BTreeSet<&'v str> {
    let environment = vm.get("environment_variables");
    let keys = environment.map(|at| at.list("host_env_keys")).unwrap_or_default();
    keys.iter().filter_map(|key| key.value.as_str()).collect()
}

/// The filter holds a request's headers until it has read the body; without the flag such a request hangs.
pub(super) fn hold_headers(scene: &Scene<'_>) -> Vec<Hit> {
    let without = scene.plugins().filter(|plugin| !plugin.at.flag("allow_on_headers_stop_iteration"));
    let message = "allow_on_headers_stop_iteration is not set: requests whose headers are held hang";
    without
        .map(|plugin| Hit::new(&plugin.resource, &plugin.at, message, "allow_on_headers_stop_iteration: true"))
        .collect()
}

/// By default one trap makes a worker's VM answer 503 for good, and both roles with it.
pub(super) fn failure_policy(scene: &Scene<'_>) -> Vec<Hit> {
    let policy = |plugin: &Plugin<'_>| plugin.at.text("failure_policy").unwrap_or("FAIL_CLOSED").to_owned();
    let others = scene.plugins().map(|plugin| (plugin, policy(plugin))).filter(|(_, policy)| policy != "FAIL_RELOAD");
    let hit = |(plugin, policy): (&Plugin<'_>, String)| {
        let effect = match policy.as_str() {
            "FAIL_OPEN" => "lets every request through unchecked, with the client's key",
            _ => "makes a worker answer 503 until Envoy restarts",
        };
        let message = format!("failure_policy is {policy}: one trap {effect}");
        Hit::new(&plugin.resource, &plugin.at, message, "failure_policy: FAIL_RELOAD")
    };
    others.map(hit).collect()
}

/// Envoy shares a VM among plugins whose VM configurations are equal; a request lives in the VM of its gateway.
pub(super) fn vm_differs(scene: &Scene<'_>) -> Vec<Hit> {
    let Some((_, gateway)) = scene.gateways.first() else { return Vec::new() };
    let own = identity(gateway);
    let hit = |plugin: &Plugin<'_>| {
        let other = identity(plugin);
        let differs: Vec<&str> =
            own.keys().chain(other.keys()).copied().filter(|key| own.get(key) != other.get(key)).collect();
        let differs: BTreeSet<&str> = differs.into_iter().collect();
        let names: Vec<&str> = differs.into_iter().collect();
        (!names.is_empty()).then(|| {
            let message = format!(
                "vm_config differs from that of {} in {}: the roles do not share a VM, and no attempt finds its request",
                gateway.resource,
                names.join(", ")
            );
            Hit::new(&plugin.resource, &plugin.at.get("vm_config").unwrap_or_else(|| plugin.at.clone()), message, vm_config(Some(gateway)))
        })
    };
    scene.plugins().filter_map(hit).collect()
}

/// What makes a VM this one. Lists of variables are sets, and no value of one is told.
fn identity(plugin: &Plugin<'_>) -> BTreeMap<&'static str, String> {
    let vm = plugin.at.get("vm_config");
    let text = |path: &[&str]| {
        let (last, first) = path.split_last()?;
        vm.as_ref().and_then(|vm| vm.find(first)?.text(last)).map(str::to_owned)
    };
    let whole = |path: &[&str]| vm.as_ref().and_then(|vm| vm.find(path)).map(|at| at.value.to_string());
    let values =
        |at: At<'_>| at.members().into_iter().map(|(name, at)| format!("{name}={}", at.value)).collect::<Vec<_>>();
    let key_values = vm.as_ref().and_then(|vm| vm.find(&["environment_variables", "key_values"])).map(values);
    let parts = [
        ("vm_id", text(&["vm_id"])),
        ("runtime", text(&["runtime"])),
        ("code", text(&["code", "local", "filename"]).or_else(|| whole(&["code"]))),
        ("configuration", whole(&["configuration"])),
        ("environment_variables.host_env_keys", vm.as_ref().map(|vm| format!("{:?}", host_env_keys(vm)))),
        ("environment_variables.key_values", key_values.map(|values| format!("{values:?}"))),
    ];
    parts.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// The module takes its role from `root_id`, and starts with no other.
pub(super) fn root_id(scene: &Scene<'_>) -> Vec<Hit> {
    let managers = scene.mesh.managers.iter().map(|manager| (manager.resource.clone(), &manager.filters, "gateway"));
    let clusters = scene.mesh.clusters.iter().map(|cluster| (cluster.resource(), &cluster.filters, "attempt"));
    let mut hits = Vec::new();
    for (resource, filters, expected) in managers.chain(clusters) {
        for filter in filters.iter().filter(|filter| filter.kind == "Wasm") {
            let Some(at) = filter.message.as_ref().and_then(|message| message.get("config")) else { continue };
            let root_id = at.text("root_id").unwrap_or_default();
            let is_ours = role_of(filter, &at).is_some() || filter.name.contains("tollgate");
            if is_ours && root_id != expected {
                let message = format!("root_id is {root_id:?}, and the role that belongs here is {expected}");
                hits.push(Hit::new(&resource, &at, message, format!("root_id: {expected}")));
            }
        }
    }
    hits
}

/// The role `attempt` sends a credential to no cluster but the one that it was told, by the name that leads there.
pub(super) fn attempt_cluster(scene: &Scene<'_>) -> Vec<Hit> {
    let hit = |(cluster, plugin): &(&Cluster<'_>, Plugin<'_>)| {
        let leading = scene.matched.iter().filter(|(name, to)| *to == cluster.name && !name.is_empty());
        let names: BTreeSet<&str> = leading.map(|(name, _)| *name).collect();
        // One that no matcher leads to may be that of the VM before.
        let is_left = |told: &str| names.is_empty() && scene.matched.iter().any(|(name, _)| *name == told);
        let expected = names.first().copied().unwrap_or(cluster.name);
        let message = match told(plugin) {
            Some(told) if told == expected || names.contains(told.as_str()) || is_left(&told) => return None,
            Some(told) => format!("the plugin is told that this is the cluster {told}: it refuses every attempt"),
            None => "the plugin is not told its cluster: a credential could go to the wrong provider".to_owned(),
        };
        let fix = format!(
            "configuration: {{\"@type\": type.googleapis.com/google.protobuf.Struct, value: {{cluster: {}}}}}",
            Value::from(expected)
        );
        Some(Hit::new(&plugin.resource, &plugin.at, message, fix))
    };
    scene.attempts.iter().filter_map(hit).collect()
}

/// A filter sees the variables that its VM names, and refuses a config that needs another.
pub(super) fn environment(scene: &Scene<'_>) -> Vec<Hit> {
    let Some(plan) = scene.plan else { return Vec::new() };
    let all = |name: &str| load::variable(name).or_else(|| Some("1".to_owned()));
    let faults = |env: &dyn Fn(&str) -> Option<String>| {
        let faults = Config::compile(&plan.document, Env::Strict(env)).err().unwrap_or_default();
        faults.iter().map(ToString::to_string).collect::<BTreeSet<String>>()
    };
    let anyway = faults(&all);
    let hit = |plugin: &Plugin<'_>| {
        let vm = plugin.at.get("vm_config");
        let mut seen = vm.as_ref().map(host_env_keys).unwrap_or_default();
        let given = vm.as_ref().and_then(|vm| vm.find(&["environment_variables", "key_values"]));
        seen.extend(given.iter().flat_map(At::members).map(|(name, _)| name));
        let lacking: Vec<String> =
            faults(&|name| all(name).filter(|_| seen.contains(name))).difference(&anyway).cloned().collect();
        let first = lacking.first()?;
        let more = match lacking.len() {
            1 => String::new(),
            count => format!(" (and {} more)", count.saturating_sub(1)),
        };
        let names: Vec<&str> = seen.iter().copied().chain(plan.variables.iter().map(String::as_str)).collect();
        let names: BTreeSet<&str> = names.into_iter().collect();
        let names = names.into_iter().collect::<Vec<_>>().join(", ");
        let message = format!("the VM does not name every variable that the config needs: {first}{more}");
        let fix =
            format!("# the same in every plugin\nvm_config: {{environment_variables: {{host_env_keys: [{names}]}}}}");
        Some(Hit::new(&plugin.resource, &vm.unwrap_or_else(|| plugin.at.clone()), message, fix))
    };
    scene.gateways.iter().filter_map(|(_, plugin)| hit(plugin)).collect()
}

/// Envoy calls modules that it fetches by itself unstable; Istio's agent fetches those of discovered filters before.
pub(super) fn module_remote(scene: &Scene<'_>) -> Vec<Hit> {
    let hit = |plugin: &Plugin<'_>| {
        let at = plugin.at.find(&["vm_config", "code", "remote"])?;
        let message =
            "the module is fetched by Envoy itself, which Envoy calls unstable: until it is there, requests fail";
        Some(Hit::new(&plugin.resource, &at, message, "code: {local: {filename: /etc/envoy/tollgate.wasm}}"))
    };
    scene.plugins().filter_map(hit).collect()
}
