//! A bootstrap as the config dump of an Envoy that a control plane has told the same.

use serde_json::{Value, json};

const ADMIN: &str = "type.googleapis.com/envoy.admin.v3";

/// The dump of an Envoy with the resources of `bootstrap`, and these endpoints beside them.
pub(super) fn of(bootstrap: &Value, endpoints: &[Value]) -> Value {
    let resources = &bootstrap["static_resources"];
    let list = |name: &str| resources[name].as_array().unwrap().clone();
    let mut own = bootstrap.clone();
    own.as_object_mut().unwrap().remove("static_resources");
    let listeners = list("listeners")
        .into_iter()
        .map(|listener| json!({"name": "0.0.0.0_8080", "active_state": {"version_info": "1", "listener": listener}}));
    let clusters = list("clusters").into_iter().map(|cluster| json!({"version_info": "1", "cluster": cluster}));
    let endpoints = endpoints.iter().map(|one| json!({"endpoint_config": one}));
    json!({"configs": [
        {"@type": format!("{ADMIN}.BootstrapConfigDump"), "bootstrap": own},
        {"@type": format!("{ADMIN}.ClustersConfigDump"), "dynamic_active_clusters": clusters.collect::<Vec<_>>()},
        {"@type": format!("{ADMIN}.ListenersConfigDump"), "dynamic_listeners": listeners.collect::<Vec<_>>()},
        {"@type": format!("{ADMIN}.EndpointsConfigDump"), "dynamic_endpoint_configs": endpoints.collect::<Vec<_>>()},
    ]})
}

/// As Istio would have it: routes by RDS, the gateway by ECDS in a `TypedStruct`, names of services, camel case.
pub(super) fn as_istio(bootstrap: &Value) -> Value {
    let mut bootstrap = bootstrap.clone();
    let manager =
        bootstrap.pointer_mut("/static_resources/listeners/0/filter_chains/0/filters/0/typed_config").unwrap();
    let mut routes = manager.as_object_mut().unwrap().remove("route_config").unwrap();
    routes["name"] = json!("http.8080");
    manager["rds"] = json!({"route_config_name": "http.8080", "config_source": {"ads": {}}});
    let mut filter = manager["http_filters"][0].take();
    let mut message = filter.as_object_mut().unwrap().remove("typed_config").unwrap();
    let kind = message.as_object_mut().unwrap().remove("@type").unwrap();
    manager["http_filters"][0] =
        json!({"name": "tollgate_gateway", "config_discovery": {"config_source": {"ads": {}}}});
    let sent = json!({"@type": "type.googleapis.com/udpa.type.v1.TypedStruct", "type_url": kind, "value": message});
    let mut dump = of(&bootstrap, &[]);
    let parts = dump["configs"].as_array_mut().unwrap();
    parts.push(
        json!({"@type": format!("{ADMIN}.RoutesConfigDump"), "dynamic_route_configs": [{"route_config": routes}]}),
    );
    let extension = json!({"@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
        "name": "tollgate_gateway", "typed_config": sent});
    parts.push(json!({"@type": format!("{ADMIN}.EcdsConfigDump"), "ecds_filters": [{"ecds_filter": extension}]}));
    let text = dump.to_string();
    let renamed = text.replace("tollgate_https_api.openai.com_443", "outbound|443||api.openai.com");
    camel(serde_json::from_str(&renamed).unwrap(), false)
}

/// Names of fields in camel case; those inside a `Struct` are the config's own.
fn camel(value: Value, is_config: bool) -> Value {
    match value {
        Value::Array(list) => list.into_iter().map(|item| camel(item, is_config)).collect(),
        Value::Object(map) => {
            let member = |(key, value): (String, Value)| {
                let inside = is_config || key == "configuration" || key == "map";
                let is_field =
                    !is_config && key.chars().all(|c| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit());
                let key = if is_field { renamed(&key) } else { key };
                (key, camel(value, inside))
            };
            Value::Object(map.into_iter().map(member).collect())
        }
        other => other,
    }
}

fn renamed(key: &str) -> String {
    let mut parts = key.split('_');
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |name, part| {
        let (start, rest) = part.split_at(1.min(part.len()));
        name + &start.to_uppercase() + rest
    })
}

#[test]
fn a_dump_in_istios_manner_is_read_alike() {
    let bootstrap = super::bootstrap(super::CONFIG);
    let config = super::CONFIG
        .replace("fast, litellm_params", "fast, model_info: {cluster: 'outbound|443||api.openai.com'}, litellm_params");
    // The clusters are the operator's own there, and have what ours have.
    let found = super::findings_with(as_istio(&bootstrap), &config);
    assert_eq!(super::ids(&found), std::collections::BTreeSet::from(["TG402"]), "{}", super::text(&found));

    let mut edited = bootstrap;
    let gateway =
        "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters/0/typed_config/config";
    edited.pointer_mut(gateway).unwrap()["failure_policy"] = json!("FAIL_OPEN");
    let mut late = as_istio(&edited);
    late["configs"].as_array_mut().unwrap().pop();
    let found = super::findings(late);
    assert!(
        found[0].id == "TG001" && found[0].message.contains("tollgate_gateway is discovered"),
        "{}",
        super::text(&found)
    );

    let found = super::findings_with(as_istio(&edited), &config);
    assert_eq!(super::ids(&found), std::collections::BTreeSet::from(["TG008", "TG402"]), "{}", super::text(&found));
    assert_eq!(found[0].place, "$.configs[5].ecdsFilters[0].ecdsFilter.typedConfig.value.config");
    assert_eq!(found[0].resource, "listener tollgate");
}
