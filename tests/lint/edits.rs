//! One fault at a time: what is changed in a rendered bootstrap, and what must then be found.

use serde_json::{Value, json};

use super::CONFIG;

/// A change, and all that is found after it.
pub(super) struct Row {
    pub(super) expected: &'static [&'static str],
    pub(super) config: &'static str,
    pub(super) edit: Box<dyn Fn(&mut Value)>,
}

const LISTENER: &str = "/static_resources/listeners/0";
const MANAGER: &str = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";
const FILTERS: &str = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters";
const GATEWAY: &str =
    "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters/0/typed_config/config";
const HOST: &str = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/route_config/virtual_hosts/0";
const POLICY: &str =
    "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/route_config/virtual_hosts/0/retry_policy";
/// The last: the first is for WebSockets.
const ROUTE: &str =
    "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/route_config/virtual_hosts/0/routes/1";
const ACTION: &str =
    "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/route_config/virtual_hosts/0/routes/1/route";
const LOG: &str = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/access_log/0/typed_config/log_format/json_format";
const MATCHES: &str = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/route_config/cluster_specifier_plugins/0/extension/typed_config/cluster_matcher/matcher_tree/exact_match_map/map";
const CLUSTER: &str = "/static_resources/clusters/0";
const OPTIONS: &str = "/static_resources/clusters/0/typed_extension_protocol_options/envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
const CHAIN: &str = "/static_resources/clusters/0/typed_extension_protocol_options/envoy.extensions.upstreams.http.v3.HttpProtocolOptions/http_filters";
const ATTEMPT: &str = "/static_resources/clusters/0/typed_extension_protocol_options/envoy.extensions.upstreams.http.v3.HttpProtocolOptions/http_filters/0/typed_config/config";
const TLS: &str = "/static_resources/clusters/0/transport_socket/typed_config";
const CHECKED: &str =
    "/static_resources/clusters/0/transport_socket/typed_config/common_tls_context/validation_context";

/// A config that trusts a token and a header.
const VERIFIED: &str = r#"
model_list: [{model_name: fast, litellm_params: {model: openai/gpt-4o-mini, api_key: os.environ/OPENAI_API_KEY}}]
tollgate:
  teams: [{team_id: a}]
  identity: [{from: jwt, metadata: p, team_claim: t}, {from: header, name: x-who, team_header: x-team}]
"#;

fn at<'v>(envoy: &'v mut Value, pointer: &str) -> &'v mut Value {
    envoy.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer} is not rendered any more"))
}

fn set(envoy: &mut Value, pointer: &str, key: &str, value: Value) {
    at(envoy, pointer)[key] = value;
}

fn unset(envoy: &mut Value, pointer: &str, key: &str) {
    at(envoy, pointer)
        .as_object_mut()
        .unwrap()
        .remove(key)
        .unwrap_or_else(|| panic!("{pointer}/{key} is not rendered"));
}

fn insert(envoy: &mut Value, pointer: &str, i: usize, value: Value) {
    at(envoy, pointer).as_array_mut().unwrap().insert(i, value);
}

fn filter(kind: &str, more: &Value) -> Value {
    let mut config = json!({"@type": format!("type.googleapis.com/envoy.extensions.filters.http.x.v3.{kind}")});
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"name": format!("my-{kind}"), "typed_config": config})
}

fn row(expected: &'static [&'static str], edit: impl Fn(&mut Value) + 'static) -> Row {
    Row { expected, config: CONFIG, edit: Box::new(edit) }
}

fn setting(expected: &'static [&'static str], pointer: &'static str, key: &'static str, value: Value) -> Row {
    row(expected, move |envoy| set(envoy, pointer, key, value.clone()))
}

fn unsetting(expected: &'static [&'static str], pointer: &'static str, key: &'static str) -> Row {
    row(expected, move |envoy| unset(envoy, pointer, key))
}

fn inserting(expected: &'static [&'static str], pointer: &'static str, i: usize, value: Value) -> Row {
    row(expected, move |envoy| insert(envoy, pointer, i, value.clone()))
}

/// Each rule, and where it must be silent.
pub(super) fn rows() -> Vec<Row> {
    let all = [filters(), chains(), routes(), retries(), buffers(), clusters(), tls(), logs(), platform()];
    all.into_iter().flatten().collect()
}

fn filters() -> Vec<Row> {
    vec![
        row(&["TG001"], |envoy| _ = at(envoy, FILTERS).as_array_mut().unwrap().remove(0)),
        row(&["TG002"], |envoy| _ = at(envoy, CHAIN).as_array_mut().unwrap().remove(0)),
        unsetting(&["TG002"], CLUSTER, "typed_extension_protocol_options"),
        unsetting(&["TG007"], GATEWAY, "allow_on_headers_stop_iteration"),
        setting(&["TG007"], ATTEMPT, "allow_on_headers_stop_iteration", json!(false)),
        unsetting(&["TG008"], GATEWAY, "failure_policy"),
        setting(&["TG008"], ATTEMPT, "failure_policy", json!("FAIL_OPEN")),
        row(&["TG009"], |envoy| set(envoy, &format!("{ATTEMPT}/vm_config"), "vm_id", json!("other"))),
        row(&["TG009"], |envoy| {
            set(
                envoy,
                &format!("{ATTEMPT}/vm_config"),
                "environment_variables",
                json!({"key_values": {"A": "sk-secret"}}),
            );
        }),
        // The order of names is no difference.
        row(&[], |envoy| {
            at(envoy, &format!("{ATTEMPT}/vm_config/environment_variables/host_env_keys"))
                .as_array_mut()
                .unwrap()
                .reverse();
        }),
        setting(&["TG010"], GATEWAY, "root_id", json!("front")),
        unsetting(&["TG010"], ATTEMPT, "root_id"),
        row(&["TG011"], |envoy| set(envoy, &format!("{ATTEMPT}/configuration/value"), "cluster", json!("another"))),
        unsetting(&["TG011"], ATTEMPT, "configuration"),
        row(&["TG009", "TG012"], |envoy| {
            set(envoy, &format!("{GATEWAY}/vm_config"), "environment_variables", json!({"host_env_keys": ["OTHER"]}));
        }),
        row(&["TG009", "TG013"], |envoy| {
            let remote = json!({"remote": {"http_uri": {"uri": "https://x/tollgate.wasm"}}});
            set(envoy, &format!("{GATEWAY}/vm_config"), "code", remote);
        }),
        row(&["TG014"], |envoy| set(envoy, &format!("{FILTERS}/0"), "disabled", json!(true))),
        row(&["TG014"], |envoy| {
            set(envoy, ROUTE, "typed_per_filter_config", json!({"tollgate_gateway": {"disabled": true}}));
        }),
        row(&[], |envoy| {
            set(envoy, &format!("{FILTERS}/0"), "disabled", json!(true));
            set(envoy, HOST, "typed_per_filter_config", json!({"tollgate_gateway": {"config": {}}}));
        }),
    ]
}

fn chains() -> Vec<Row> {
    let signer = || filter("AwsRequestSigning", &json!({}));
    let verified = |expected, edit: fn(&mut Value)| Row { expected, config: VERIFIED, edit: Box::new(edit) };
    vec![
        row(&["TG003"], |envoy| at(envoy, FILTERS).as_array_mut().unwrap().reverse()),
        verified(&["TG003"], |_| {}),
        verified(&[], |envoy| insert(envoy, FILTERS, 0, filter("JwtAuthentication", &json!({})))),
        verified(&["TG003"], |envoy| insert(envoy, FILTERS, 0, filter("ExtAuthz", &json!({})))),
        inserting(&["TG004"], FILTERS, 1, filter("Compressor", &json!({}))),
        inserting(&["TG004"], FILTERS, 1, filter("Cors", &json!({}))),
        inserting(&["TG004"], FILTERS, 0, filter("RateLimit", &json!({}))),
        inserting(&[], FILTERS, 0, filter("Compressor", &json!({}))),
        inserting(&[], FILTERS, 1, filter("RateLimit", &json!({}))),
        inserting(&["TG005"], CHAIN, 0, signer()),
        inserting(&[], CHAIN, 1, signer()),
        row(&["TG005"], |envoy| at(envoy, CHAIN).as_array_mut().unwrap().reverse()),
        row(&["TG005"], |envoy| _ = at(envoy, CHAIN).as_array_mut().unwrap().pop()),
        row(&["TG006"], |envoy| {
            let twin = at(envoy, &format!("{FILTERS}/0")).clone();
            insert(envoy, FILTERS, 0, twin);
        }),
    ]
}

fn routes() -> Vec<Row> {
    vec![
        row(&["TG101"], |envoy| {
            at(envoy, &format!("{HOST}/routes")).as_array_mut().unwrap().iter_mut().for_each(|route| {
                route["route"] = json!({"cluster": "somebody"});
            });
        }),
        row(&["TG102"], |envoy| {
            unset(envoy, ACTION, "cluster_specifier_plugin");
            let name = at(envoy, CLUSTER)["name"].clone();
            set(envoy, ACTION, "cluster", name);
        }),
        row(&["TG103"], |envoy| {
            let names: Vec<String> = at(envoy, MATCHES).as_object().unwrap().keys().cloned().collect();
            unset(envoy, MATCHES, &names[1]);
        }),
        unsetting(&["TG104"], ACTION, "timeout"),
        setting(&["TG104"], ACTION, "timeout", json!("30s")),
        setting(&[], ACTION, "timeout", json!("3600s")),
        setting(&["TG105"], ACTION, "idle_timeout", json!("60s")),
        unsetting(&["TG105"], ACTION, "idle_timeout"),
        setting(&[], ACTION, "idle_timeout", json!("0s")),
        setting(&["TG114"], ACTION, "auto_host_rewrite", json!(true)),
        setting(&["TG114"], ACTION, "host_rewrite_literal", json!("api.openai.com")),
        setting(&[], ACTION, "auto_host_rewrite", json!(false)),
        unsetting(&["TG115"], MANAGER, "internal_address_config"),
    ]
}

fn retries() -> Vec<Row> {
    let codes = json!("retriable-status-codes,connect-failure,refused-stream,reset");
    vec![
        unsetting(&["TG106"], HOST, "retry_policy"),
        setting(&["TG106"], POLICY, "retry_on", json!("connect-failure,refused-stream,reset")),
        unsetting(&["TG106"], POLICY, "retriable_headers"),
        row(&["TG106"], move |envoy| {
            set(envoy, POLICY, "retry_on", codes.clone());
            set(envoy, POLICY, "retriable_status_codes", json!([429, 503]));
        }),
        setting(&["TG107"], POLICY, "retry_on", json!("retriable-headers,reset")),
        unsetting(&["TG108"], POLICY, "refresh_cluster_on_retry"),
        row(&[], |envoy| {
            unset(envoy, POLICY, "refresh_cluster_on_retry");
            set(envoy, POLICY, "retry_priority", json!({"name": "envoy.retry_priorities.previous_priorities"}));
        }),
        row(&["TG109"], |envoy| {
            let back_off = json!({"reset_headers": [{"name": "Retry-After", "format": "SECONDS"}]});
            set(envoy, POLICY, "rate_limited_retry_back_off", back_off);
        }),
        setting(&["TG110"], HOST, "hedge_policy", json!({"hedge_on_per_try_timeout": true})),
    ]
}

fn buffers() -> Vec<Row> {
    vec![
        unsetting(&["TG111"], HOST, "request_body_buffer_limit"),
        // The connection's own limit will do.
        row(&[], |envoy| {
            unset(envoy, HOST, "request_body_buffer_limit");
            set(envoy, LISTENER, "per_connection_buffer_limit_bytes", json!(64 << 20));
        }),
        row(&["TG111"], |envoy| {
            unset(envoy, HOST, "request_body_buffer_limit");
            set(envoy, LISTENER, "per_connection_buffer_limit_bytes", json!(64 << 20));
            set(envoy, HOST, "per_request_buffer_limit_bytes", json!(65536));
        }),
        setting(&["TG112"], HOST, "request_body_buffer_limit", json!("1048576")),
        setting(&["TG112"], ROUTE, "request_body_buffer_limit", json!(1_048_576)),
        inserting(&["TG113"], FILTERS, 0, filter("Buffer", &json!({"max_request_bytes": 5_242_880}))),
        inserting(&[], FILTERS, 0, filter("Buffer", &json!({"max_request_bytes": 64 << 20}))),
    ]
}

fn clusters() -> Vec<Row> {
    vec![
        row(&["TG201"], |envoy| _ = at(envoy, "/static_resources/clusters").as_array_mut().unwrap().remove(0)),
        unsetting(&["TG202"], CLUSTER, "circuit_breakers"),
        setting(
            &["TG202"],
            CLUSTER,
            "circuit_breakers",
            json!({"thresholds": [{"priority": "HIGH", "max_retries": 99}]}),
        ),
        setting(&[], CLUSTER, "circuit_breakers", json!({"thresholds": [{"priority": "DEFAULT", "max_retries": 99}]})),
        setting(&[], CLUSTER, "circuit_breakers", json!({"thresholds": [{"retry_budget": {}}]})),
        setting(&["TG206"], CLUSTER, "cluster_type", json!({"name": "envoy.clusters.aggregate"})),
        setting(&["TG207"], OPTIONS, "retry_policy", json!({"num_retries": 1})),
        row(&["TG209"], |envoy| {
            set(envoy, CLUSTER, "type", json!("EDS"));
            let name = at(envoy, CLUSTER)["name"].clone();
            *envoy = super::dump::of(envoy, &[json!({"cluster_name": name, "endpoints": []})]);
        }),
    ]
}

fn tls() -> Vec<Row> {
    vec![
        unsetting(&["TG203"], TLS, "sni"),
        row(&[], |envoy| {
            unset(envoy, TLS, "sni");
            set(envoy, TLS, "auto_host_sni", json!(true));
        }),
        unsetting(&["TG204"], CHECKED, "match_typed_subject_alt_names"),
        unsetting(&["TG204"], CHECKED, "trusted_ca"),
        row(&["TG204"], |envoy| {
            unset(envoy, CHECKED, "trusted_ca");
            set(envoy, CHECKED, "system_root_certs", json!({}));
        }),
        unsetting(&["TG204"], TLS, "common_tls_context"),
        setting(&["TG204"], CHECKED, "trust_chain_verification", json!("ACCEPT_UNTRUSTED")),
        // Istio's way.
        row(&[], |envoy| {
            let names = at(envoy, CHECKED)["match_typed_subject_alt_names"].clone();
            let combined = json!({
                "default_validation_context": {"match_typed_subject_alt_names": names},
                "validation_context_sds_secret_config": {"name": "file-root:system"},
            });
            set(envoy, TLS, "common_tls_context", json!({"combined_validation_context": combined}));
        }),
        unsetting(&["TG205"], CLUSTER, "transport_socket"),
        setting(&["TG208"], OPTIONS, "upstream_http_protocol_options", json!({"auto_sni": true})),
    ]
}

fn logs() -> Vec<Row> {
    vec![
        unsetting(&["TG301"], MANAGER, "access_log"),
        unsetting(&["TG302"], LOG, "cost_usd"),
        row(&[], |envoy| {
            *at(envoy, LOG) = json!({"all": "%FILTER_STATE(wasm.tollgate.log:PLAIN)%"});
        }),
        setting(&["TG303"], LOG, "who", json!("%REQ(Authorization)%")),
        setting(&["TG303"], LOG, "who", json!("%REQ(x-who?X-API-KEY):5%")),
        setting(&["TG304"], LOG, "path", json!("%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%")),
        row(&["TG304"], |envoy| {
            let text = json!({"name": "s", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog", "path": "/dev/stdout"}});
            insert(envoy, &format!("{MANAGER}/access_log"), 0, text);
        }),
        row(&["TG305"], |envoy| _ = envoy.as_object_mut().unwrap().remove("stats_config")),
    ]
}

fn platform() -> Vec<Row> {
    let version = |minor: u64| json!({"version": {"major_number": 1, "minor_number": minor, "patch": 1}});
    vec![
        setting(&["TG401"], "/node", "user_agent_build_version", version(38)),
        setting(&[], "/node", "user_agent_build_version", version(39)),
        row(&["TG403"], |envoy| {
            set(envoy, &format!("{GATEWAY}/configuration/value"), "router_settings", json!({"num_retries": -1}));
        }),
    ]
}

/// Some of everything, for the golden reports.
pub(super) fn several(envoy: &mut Value) {
    unset(envoy, GATEWAY, "allow_on_headers_stop_iteration");
    unset(envoy, ACTION, "timeout");
    unset(envoy, HOST, "request_body_buffer_limit");
    unset(envoy, CLUSTER, "circuit_breakers");
    unset(envoy, TLS, "sni");
    unset(envoy, "/static_resources/clusters/1", "typed_extension_protocol_options");
    set(envoy, LOG, "who", json!("%REQ(AUTHORIZATION)%"));
    _ = envoy.as_object_mut().unwrap().remove("stats_config");
}
