//! `tollgate check --envoy` against our own rendering, with one thing changed at a time, and against a real Envoy.
//!
//! `UPDATE_GOLDEN=1` rewrites the reports in `tests/golden/lint`.
#![cfg(feature = "cli")]
#![expect(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test: it reads its environment, and stops at a fault"
)]

#[path = "lint/dump.rs"]
mod dump;
#[path = "lint/edits.rs"]
mod edits;
#[path = "lint/live.rs"]
mod live;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use tollgate::cli::lint::{Envoy, Finding, Report, lint, names};
use tollgate::cli::yaml;
use tollgate::config::{Config, Env};

/// Two providers by TLS, one of which stands in for the other.
const CONFIG: &str = r#"
model_list:
- {model_name: fast, litellm_params: {model: openai/gpt-4o-mini, api_key: os.environ/OPENAI_API_KEY}}
- {model_name: backup, litellm_params: {model: anthropic/claude-haiku-4-5, api_key: sk-secret-anthropic}}
router_settings: {fallbacks: [{fast: [backup]}]}
general_settings: {master_key: os.environ/TOLLGATE_MASTER_KEY}
"#;

/// Every kind of place that the filter asks, and a cluster that is somebody else's.
const ODD: &str = r#"
model_list:
- {model_name: ip, litellm_params: {model: hosted_vllm/a, api_base: "https://10.0.0.7/v1", api_key: k}}
- {model_name: six, litellm_params: {model: hosted_vllm/b, api_base: "http://[::1]:8000", api_key: k}}
- {model_name: token, litellm_params: {model: vertex_ai/gemini-2.5-pro, vertex_project: p}}
- {model_name: signed, litellm_params: {model: bedrock/a.b, aws_region_name: us-east-1, aws_profile_name: prod}}
- model_name: theirs
  litellm_params: {model: openai/gpt-4o-mini, api_key: os.environ/DEMO_KEY, timeout: 1200}
  model_info: {cluster: "outbound|443||api.openai.com"}
general_settings: {master_key: os.environ/DEMO_MASTER, max_request_size_mb: 100}
tollgate:
  record_fields: [key_alias, cost_usd]
  shadow: [{model_group: ip, to: six, percent: 5}]
  rate_limit_service: {cluster: rls, address: "https://ratelimit.example:8443"}
"#;

fn nothing(_: &str) -> Option<String> {
    None
}

/// What `render` makes of a config, as text.
fn rendered(config: &str, args: &[&str]) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let file = scratch(&format!("{}.config.yaml", COUNT.fetch_add(1, Ordering::Relaxed)));
    fs::write(&file, config).unwrap();
    let output = tollgate(&[&["render", "--config", &file.to_string_lossy()], args].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fs::remove_file(file).unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn tollgate(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tollgate")).args(args).current_dir(root()).output().unwrap()
}

fn bootstrap(config: &str) -> Value {
    yaml::parse(&rendered(config, &[])).unwrap()
}

fn findings(envoy: Value) -> Vec<Finding> {
    lint(&Envoy::from_value("envoy.yaml", envoy).unwrap(), None, &nothing)
}

fn findings_with(envoy: Value, config: &str) -> Vec<Finding> {
    let document = yaml::parse(config).unwrap();
    let compiled = Config::compile(&document, Env::Lenient(&nothing)).unwrap();
    lint(&Envoy::from_value("envoy.yaml", envoy).unwrap(), Some((&document, &compiled)), &nothing)
}

fn ids(findings: &[Finding]) -> BTreeSet<&'static str> {
    findings.iter().map(|finding| finding.id).collect()
}

fn text(findings: &[Finding]) -> String {
    findings.iter().map(|finding| format!("{finding}\n")).collect()
}

#[test]
fn what_render_writes_is_clean() {
    let mut configs: Vec<(PathBuf, String)> = vec![("CONFIG".into(), CONFIG.to_owned())];
    configs_in(&root().join("examples"), &mut configs);
    assert!(configs.len() > 1, "{configs:?}");
    for (path, config) in configs {
        if path.with_file_name("envoy.yaml").exists() {
            continue;
        }
        let found = findings(bootstrap(&config));
        assert!(found.is_empty(), "{}:\n{}", path.display(), text(&found));
        let found = findings_with(bootstrap(&config), &config);
        assert!(found.is_empty(), "{}, with the config:\n{}", path.display(), text(&found));
    }
}

/// It keeps its own access log, stats and rate limits.
#[test]
fn an_envoy_written_by_hand_has_no_error_and_some_advice() {
    let read = |name| fs::read_to_string(root().join("examples/existing-envoy").join(name)).unwrap();
    let found = findings_with(yaml::parse(&read("envoy.yaml")).unwrap(), &read("config.yaml"));
    assert_eq!(ids(&found), BTreeSet::from(["TG004", "TG115", "TG301", "TG305"]), "{}", text(&found));
}

/// The `config.yaml` of every folder below.
fn configs_in(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            configs_in(&path, found);
        } else if path.ends_with("config.yaml") {
            found.push((path.clone(), fs::read_to_string(&path).unwrap()));
        }
    }
}

#[test]
fn a_cluster_that_the_config_names_is_asked_for_alone() {
    let found = findings(bootstrap(ODD));
    let all: Vec<_> = found.iter().map(|finding| (finding.id, finding.resource.as_str())).collect();
    assert_eq!(all, [("TG201", "cluster outbound|443||api.openai.com")], "{}", text(&found));
}

#[test]
fn an_envoy_without_tollgate_lacks_one_thing() {
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "http_filters": [{"name": "envoy.filters.http.router"}],
        "route_config": {"virtual_hosts": [{"name": "all", "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "app"}}]}]},
    });
    let envoy = json!({"static_resources": {
        "listeners": [{
            "address": {"socket_address": {"address": "0.0.0.0", "port_value": 8080}},
            "filter_chains": [{"filters": [{"typed_config": manager}]}],
        }],
        "clusters": [{"name": "app"}],
    }});
    let found = findings(envoy.clone());
    let all: Vec<_> = found.iter().map(|finding| (finding.id, finding.resource.as_str())).collect();
    assert_eq!(all, [("TG001", "listener 0.0.0.0:8080")], "{}", text(&found));
    let found = findings_with(envoy, CONFIG);
    let all: Vec<_> = found.iter().map(|finding| (finding.id, finding.resource.as_str())).collect();
    let clusters = ["cluster tollgate_https_api.anthropic.com_443", "cluster tollgate_https_api.openai.com_443"];
    assert_eq!(all, [("TG001", "listener 0.0.0.0:8080"), ("TG201", clusters[0]), ("TG201", clusters[1])]);
    let told = json!({"dynamic_resources": {"lds_config": {"ads": {}}, "cds_config": {"ads": {}}}});
    let found = findings_with(told, CONFIG);
    assert!(found.len() == 1 && found[0].message.contains("a control plane may have more"), "{}", text(&found));
}

#[test]
fn files_that_a_bootstrap_names_are_read() {
    let folder = scratch("files");
    fs::create_dir_all(&folder).unwrap();
    let mut own = bootstrap(CONFIG);
    let resources = own.as_object_mut().unwrap().remove("static_resources").unwrap();
    let write = |name: &str, value: &Value| fs::write(folder.join(name), yaml::dump(value)).unwrap();
    let typed = |list: &str, kind: &str| -> Value {
        let kind = json!(format!("type.googleapis.com/envoy.config.{kind}"));
        let mut resources = resources[list].clone();
        resources.as_array_mut().unwrap().iter_mut().for_each(|one| one["@type"] = kind.clone());
        json!({"resources": resources})
    };
    let mut listeners = typed("listeners", "listener.v3.Listener");
    let gateway = "/resources/0/filter_chains/0/filters/0/typed_config/http_filters/0/typed_config/config";
    listeners.pointer_mut(gateway).unwrap()["failure_policy"] = json!("FAIL_OPEN");
    write("lds.yaml", &listeners);
    write("cds.yaml", &typed("clusters", "cluster.v3.Cluster"));
    let from = |file: &str| json!({"path_config_source": {"path": file}});
    own["dynamic_resources"] = json!({"lds_config": from("lds.yaml"), "cds_config": from("cds.yaml")});
    write("envoy.yaml", &own);
    let envoy = Envoy::read(&folder.join("envoy.yaml").to_string_lossy()).unwrap();
    let found = lint(&envoy, None, &nothing);
    assert_eq!(ids(&found), BTreeSet::from(["TG008"]), "{}", text(&found));
    assert!(found[0].place.starts_with("lds.yaml: $.resources[0].filter_chains[0]"), "{}", found[0].place);
    fs::remove_file(folder.join("cds.yaml")).unwrap();
    let fault = Envoy::read(&folder.join("envoy.yaml").to_string_lossy()).unwrap_err();
    assert!(fault.contains("cds.yaml") && fault.contains("not here"), "{fault}");
}

#[test]
fn each_finding_is_found_where_it_is_and_nowhere_else() {
    let mut seen = BTreeSet::new();
    for edits::Row { expected, config, edit } in edits::rows() {
        let mut envoy = bootstrap(config);
        edit(&mut envoy);
        let found = findings(envoy.clone());
        let expected: BTreeSet<&str> = expected.iter().copied().collect();
        assert_eq!(ids(&found), expected, "{}", text(&found));
        for finding in &found {
            assert!(!finding.message.is_empty() && !finding.fix.is_empty(), "{finding}");
            assert!(!finding.to_string().contains("sk-secret"), "{finding}");
            assert!(leads_somewhere(&envoy, &finding.place), "{finding}");
        }
        seen.extend(expected);
    }
    // Held against a config of one's own.
    seen.extend(["TG402"]);
    let all: BTreeSet<&str> = names().map(|(id, _)| id).collect();
    assert_eq!(seen, all);
}

/// Whether the JSON path `place` leads to something: `$.a[0]['b.c'].d`.
fn leads_somewhere(envoy: &Value, place: &str) -> bool {
    let mut at = envoy;
    let mut rest = place.strip_prefix('$').unwrap();
    while !rest.is_empty() {
        let (next, after) = if let Some(quoted) = rest.strip_prefix("['") {
            let (key, after) = quoted.split_once("']").unwrap();
            (at.get(key), after)
        } else if let Some(index) = rest.strip_prefix('[') {
            let (index, after) = index.split_once(']').unwrap();
            (at.get(index.parse::<usize>().unwrap()), after)
        } else {
            let name = rest.strip_prefix('.').unwrap();
            let (key, after) = name.split_at(name.find(['.', '[']).unwrap_or(name.len()));
            (at.get(key), after)
        };
        let Some(next) = next else { return false };
        (at, rest) = (next, after);
    }
    true
}

#[test]
fn a_config_is_held_against_what_runs() {
    let found = findings_with(bootstrap(CONFIG), &format!("{CONFIG}litellm_settings: {{drop_params: true}}\n"));
    assert_eq!(ids(&found), BTreeSet::from(["TG402"]), "{}", text(&found));
    assert!(found[0].message.contains("litellm_settings"), "{}", found[0]);
    let other = CONFIG.replace("anthropic/claude-haiku-4-5", "mistral/mistral-small-latest");
    let found = findings_with(bootstrap(CONFIG), &other);
    assert_eq!(ids(&found), BTreeSet::from(["TG103", "TG201", "TG402"]), "{}", text(&found));
    let longer = CONFIG.replace("general_settings: {", "general_settings: {max_request_size_mb: 64, ");
    assert_eq!(ids(&findings_with(bootstrap(CONFIG), &longer)), BTreeSet::from(["TG112", "TG402"]));
}

#[test]
fn reports_are_text_and_json() {
    let mut envoy = bootstrap(CONFIG);
    edits::several(&mut envoy);
    let found = findings(envoy);
    let report = Report::new("envoy.yaml", found);
    assert!(report.has_errors());
    expect("report.txt", &format!("{report}\n"));
    expect("report.json", &format!("{}\n", serde_json::to_string_pretty(&report).unwrap()));
}

fn expect(file: &str, found: &str) {
    let path = root().join("tests/golden/lint").join(file);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, found).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap_or_default(), found, "{file}");
}

#[test]
fn what_is_no_configuration_of_envoys_is_refused() {
    let fault = Envoy::from_value("x", json!({"model_list": []})).unwrap_err();
    assert!(fault.contains("expected a bootstrap"), "{fault}");
    let fault = Envoy::read("/no/such/file.yaml").unwrap_err();
    assert!(fault.starts_with("/no/such/file.yaml: "), "{fault}");
    let fault = Envoy::read("http://admin:sk-secret@127.0.0.1:1").unwrap_err();
    assert!(fault.contains("expected an admin address") && !fault.contains("sk-secret"), "{fault}");
    let fault = Envoy::read("http://127.0.0.1:1").unwrap_err();
    assert!(fault.starts_with("http://127.0.0.1:1: /config_dump"), "{fault}");
}

#[test]
fn every_finding_is_documented() {
    let text = fs::read_to_string(root().join("envoy/README.md")).unwrap();
    for (id, name) in names() {
        assert!(text.contains(&format!("| {id} | {name} | ")), "{id} {name}");
    }
    assert_eq!(text.matches("| TG").count(), names().count());
}

#[test]
fn the_command_ends_with_1_on_errors_alone() {
    let mut envoy = bootstrap(CONFIG);
    let ends_with = |code: i32, envoy: &Value| {
        let file = scratch("command.yaml");
        fs::write(&file, yaml::dump(envoy)).unwrap();
        let output = tollgate(&["check", "--envoy", &file.to_string_lossy()]);
        assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stdout));
    };
    ends_with(0, &envoy);
    envoy.as_object_mut().unwrap().remove("stats_config");
    ends_with(0, &envoy);
    edits::several(&mut envoy);
    ends_with(1, &envoy);
    assert_eq!(tollgate(&["check"]).status.code(), Some(2));
    assert_eq!(tollgate(&["check", "--envoy", "Cargo.toml"]).status.code(), Some(1));
}

fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("lint-{name}"))
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
