//! The resources that `tollgate render` writes for Kubernetes: kept in `examples/`, the same at every time, and valid
//! against the published schemas (`tests/setup.sh schemas`).
#![cfg(feature = "cli")]
#![expect(
    clippy::disallowed_methods,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test: it reads its environment, and stops at a fault"
)]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use serde_json::{Value, json};
use tollgate::cli::yaml;

const QUICKSTART: &str = "examples/quickstart/config.yaml";

/// Where each rendering of the quick start is kept, and how it is made.
const KEPT: &[(&str, &[&str])] = &[
    ("examples/istio/gateway.yaml", &["--target", "istio", "--host", "llm.example"]),
    ("examples/istio/sidecar.yaml", &["--target", "istio", "--workload", "sidecar", "--namespace", "harbor"]),
    ("examples/kubernetes/tollgate.yaml", &["--target", "kubernetes"]),
    ("examples/envoy-gateway/tollgate.yaml", &["--target", "envoy-gateway", "--host", "llm.example"]),
];

/// Other ways to render, for every kind of provider.
const OTHERS: &[&[&str]] = &[
    &[
        "--target",
        "istio",
        "--host",
        "*",
        "--tls-secret",
        "llm-cert",
        "--module",
        "ecds",
        "--selector",
        "app=gw",
        "--selector",
        "b=on",
    ],
    &["--target", "istio", "--workload", "sidecar"],
    &[
        "--target",
        "kubernetes",
        "--module-volume",
        "init",
        "--image",
        "r.example/t@sha256:00",
        "--namespace",
        "ai",
        "--port",
        "8080",
    ],
];

/// Vendors, addresses, signers, tokens, a cluster of somebody else's, copies, a rate limit service.
const ODD: &str = r#"
model_list:
- {model_name: "on", litellm_params: {model: openai/gpt-4o, api_key: os.environ/DEMO_KEY}}
- {model_name: plain, litellm_params: {model: hosted_vllm/a, api_base: "http://vllm.models.svc.cluster.local:8000/v1", api_key: "1e5"}}
- {model_name: six, litellm_params: {model: hosted_vllm/b, api_base: "http://[::1]:8000", api_key: "0x10"}}
- {model_name: tls ip, litellm_params: {model: hosted_vllm/c, api_base: "https://10.0.0.7/v1", api_key: k}}
- model_name: theirs
  litellm_params: {model: openai/gpt-4o-mini, api_key: os.environ/DEMO_KEY}
  model_info: {cluster: "outbound|443||api.openai.com"}
- {model_name: signed, litellm_params: {model: bedrock/a.b, aws_region_name: us-east-1, aws_profile_name: prod}}
- {model_name: otherwise, litellm_params: {model: bedrock/a.b, aws_region_name: us-east-1, aws_profile_name: test}}
- {model_name: token, litellm_params: {model: vertex_ai/gemini-2.5-pro, vertex_project: p}}
general_settings: {master_key: os.environ/DEMO_MASTER}
tollgate:
  replicas: 3
  shadow: [{model_group: "on", to: plain, percent: 5}]
  rate_limit_service: {cluster: rls, address: "https://ratelimit.example:8443"}
"#;

/// What Envoy Gateway cannot do of it.
const NAMED: &str = "  model_info: {cluster: \"outbound|443||api.openai.com\"}\n";

#[test]
fn what_is_kept_in_the_examples_is_the_rendered_quick_start() {
    for (file, args) in KEPT {
        let rendered = render(QUICKSTART, args);
        let path = root().join(file);
        if std::env::var("UPDATE_GOLDEN").is_ok() {
            fs::write(&path, &rendered).unwrap();
        }
        assert!(rendered == fs::read_to_string(&path).unwrap_or_default(), "{file} differs: make golden");
        assert!(!rendered.contains("${"), "a placeholder is left in {file}");
        assert!(rendered.contains("os.environ/OPENAI_API_KEY") && !rendered.contains("sk-value"), "{file}");
        assert_eq!(rendered, render(QUICKSTART, args), "the same input gives the same bytes");
    }
}

#[test]
fn every_resource_is_valid() {
    for (args, config) in renderings() {
        let resources = resources(&render(&config, args));
        assert!(resources.len() > 3);
        let faults = validate(&resources);
        assert!(faults.is_empty(), "{args:?}: {faults}");
    }
}

#[test]
fn what_is_wrong_is_found() {
    let all = KEPT.iter().flat_map(|(_, args)| resources(&render(QUICKSTART, args)));
    for good in all.collect::<Vec<_>>() {
        let mut bad = good.clone();
        match good["kind"].as_str().unwrap() {
            "ConfigMap" => bad["data"] = json!({"envoy.yaml": 1}),
            "EnvoyFilter" => bad["spec"]["configPatches"][0]["applyTo"] = json!("HTTP_FILTERS"),
            "ServiceEntry" => bad["spec"]["resolution"] = json!("MAYBE"),
            "DestinationRule" => bad["spec"]["subsets"][0]["trafficPolicy"] = json!("none"),
            "VirtualService" => bad["spec"]["http"][0]["directResponse"] = json!({"body": {}}),
            "Gateway" if good["spec"]["servers"].is_array() => {
                bad["spec"]["servers"][0]["port"]["number"] = json!("http")
            }
            "Gateway" => bad["spec"]["listeners"][0]["protocol"] = json!("H T T P"),
            "EnvoyProxy" => bad["spec"]["bootstrap"]["type"] = json!("Mix"),
            "Backend" => bad["spec"]["endpoints"][0]["ip"]["port"] = json!("http"),
            "HTTPRoute" => bad["spec"]["rules"][0]["backendRefs"][0]["port"] = json!("http"),
            "ClientTrafficPolicy" => bad["spec"]["path"]["escapedSlashesAction"] = json!("Keep"),
            "EnvoyPatchPolicy" => bad["spec"]["jsonPatches"][0]["operation"]["op"] = json!("set"),
            "ServiceMonitor" => bad["spec"]["endpoints"] = json!({}),
            _ => bad["spec"]["nonsense"] = json!(1),
        }
        assert!(!validate(&[bad]).is_empty(), "{good:#}");
    }
}

#[test]
fn envoy_takes_the_config_map() {
    let dir = scratch("config-map");
    fs::create_dir_all(&dir).unwrap();
    let resources = resources(&render(QUICKSTART, &["--target", "kubernetes"]));
    let data = resources.iter().find(|one| one["kind"] == "ConfigMap").unwrap()["data"].clone();
    let wasm = root().join("dist/tollgate.wasm");
    for (name, text) in data.as_object().unwrap() {
        let text = text.as_str().unwrap().replace("/etc/tollgate", dir.to_str().unwrap());
        fs::write(dir.join(name), text.replace("/etc/envoy/tollgate.wasm", wasm.to_str().unwrap())).unwrap();
    }
    let envoy = std::env::var("ENVOY_BIN").unwrap_or_else(|_| "target/envoy/bin/envoy".into());
    let mut command = with_keys(Command::new(&envoy));
    let output = command.args(["--mode", "validate", "-l", "warn", "-c"]).arg(dir.join("envoy.yaml")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn pods_get_each_variable_from_the_secret() {
    let resources = resources(&render(QUICKSTART, &["--target", "kubernetes", "--secret", "llm-keys"]));
    let deployment = resources.iter().find(|one| one["kind"] == "Deployment").unwrap();
    let env = deployment["spec"]["template"]["spec"]["containers"][0]["env"].as_array().unwrap();
    let of = |name: &str| env.iter().find(|entry| entry["name"] == name).unwrap()["valueFrom"]["secretKeyRef"].clone();
    assert_eq!(of("OPENAI_API_KEY"), json!({"name": "llm-keys", "key": "OPENAI_API_KEY"}));
    assert_eq!(of("HOSTED_VLLM_API_KEY"), json!({"name": "llm-keys", "key": "HOSTED_VLLM_API_KEY", "optional": true}));
    // Istio's pods belong to somebody else: what they need is a comment, and as much YAML as the rest.
    let istio = render(QUICKSTART, &["--target", "istio", "--host", "llm.example"]);
    let (_, comment) = istio.rsplit_once("\n---\n").unwrap();
    let patch: String =
        comment.lines().filter_map(|line| line.strip_prefix("#   ")).skip(1).map(|line| format!("{line}\n")).collect();
    let patch = yaml::parse(&patch).unwrap();
    let container = &patch["spec"]["template"]["spec"]["containers"][0];
    assert_eq!((&container["name"], container["env"].as_array().unwrap().len()), (&json!("istio-proxy"), env.len()));
}

#[test]
fn a_key_that_is_typed_in_is_told_of() {
    let args = ["render", "--target", "kubernetes", "--config", &odd()];
    let output = with_keys(Command::new(env!("CARGO_BIN_EXE_tollgate"))).args(args).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("model_list[1].litellm_params.api_key is typed in"), "{text}");
    assert!(!text.contains("1e5") && !text.contains("model_list[0]"), "{text}");
}

#[test]
fn a_fleet_of_a_known_size_has_no_autoscaler() {
    let odd = odd();
    let count = |config: &str, kind: &str| {
        resources(&render(config, &["--target", "kubernetes"])).iter().filter(|one| one["kind"] == kind).count()
    };
    assert_eq!((count(QUICKSTART, "HorizontalPodAutoscaler"), count(&odd, "HorizontalPodAutoscaler")), (1, 0));
    assert!(render(&odd, &["--target", "kubernetes"]).contains("\n  replicas: 3\n"));
}

#[test]
fn every_provider_has_a_cluster_of_its_own_in_the_mesh() {
    let rendered = render(&odd(), &["--target", "istio", "--host", "llm.example"]);
    for part in [
        "cluster: {name: \"outbound|443|tollgate-443|api.openai.com\"}",
        // A cluster that the config names is patched as it is.
        "cluster: {name: \"outbound|443||api.openai.com\"}",
        // Two signers of one address.
        "cluster: {name: \"outbound|443|tollgate-443-2|bedrock-runtime.us-east-1.amazonaws.com\"}",
        "tls: {mode: SIMPLE, sni: api.openai.com, subjectAltNames: [api.openai.com]",
        "tls: {mode: SIMPLE, subjectAltNames: [\"10.0.0.7\"]",
        "endpoints: [{address: \"::1\"}]",
        "name: tollgate_token_http_169.254.169.254_80",
        "name: tollgate-shadow-0",
    ] {
        assert!(
            rendered.contains(part)
                || rendered.contains(&part.replace(
                    "name: tollgate_token_http_169.254.169.254_80",
                    "name: \"tollgate_token_http_169.254.169.254_80\""
                )),
            "{part} is missing in\n{rendered}"
        );
    }
    assert!(!rendered.contains("hosts: [vllm.models.svc.cluster.local]"), "Istio knows the cluster's own services");
    assert!(rendered.contains("host: vllm.models.svc.cluster.local"));
}

#[test]
fn files_of_secrets_are_mounted_and_a_server_that_is_not_there_is_refused() {
    let file = scratch("manifests-sds.config.yaml");
    let model = "model_list: [{model_name: a, litellm_params: {model: openai/gpt-4o, api_key: sds/first}}]\n";
    let keys = "  keys: [{key_alias: app, key: os.environ/HARBOR_APP_KEY}]\n";
    let config = |secrets: &str| {
        fs::write(&file, format!("{model}tollgate:\n{keys}  secrets: {secrets}\n")).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let targets: [&[&str]; 3] = [
        &["--target", "kubernetes", "--secret", "llm-keys"],
        &["--target", "envoy-gateway", "--host", "llm.example", "--secret", "llm-keys"],
        &["--target", "istio", "--host", "llm.example", "--module", "ecds", "--secret", "llm-keys"],
    ];
    for args in targets {
        let rendered = render(&config("{path: /etc/keys}"), args);
        for part in [
            "{name: tollgate-secrets, mountPath: /etc/keys, readOnly: true}",
            "secret: {secretName: llm-keys-sds}",
            "path_config_source: {path: /etc/keys/first.yaml, watched_directory: {path: /etc/keys}}",
        ] {
            assert!(rendered.contains(part), "{args:?}: no {part} in\n{rendered}");
        }
        let faults = validate(&resources(&rendered));
        assert!(faults.is_empty(), "{args:?}: {faults}");
    }
    let path = config("{cluster: vault}");
    for (args, code) in targets.iter().zip([1, 1, 0]) {
        let mut command = with_keys(Command::new(env!("CARGO_BIN_EXE_tollgate")));
        let output = command.args(["render", "--config", &path]).args(*args).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {text}");
        assert!(code == 0 || text.contains("tollgate.secrets") && text.contains("vault"), "{text}");
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert!(code == 1 || stdout.contains("envoy_grpc: {cluster_name: vault}"), "{stdout}");
        assert!(!stdout.contains("tollgate-secrets"), "{stdout}");
    }
}

/// All that is validated: options and a config.
fn renderings() -> Vec<(&'static [&'static str], String)> {
    let kept = KEPT.iter().map(|(_, args)| (*args, QUICKSTART.to_owned()));
    let odd = odd();
    let unnamed = scratch("unnamed.config.yaml");
    fs::write(&unnamed, ODD.replace(NAMED, "")).unwrap();
    let gateway: &[&str] =
        &["--target", "envoy-gateway", "--host", "llm.example", "--tls-secret", "c", "--gateway-class", "own"];
    let every: &[&str] = &["--target", "envoy-gateway", "--host", "*", "--xds-names", "port"];
    let others = OTHERS.iter().map(|args| (*args, odd.clone()));
    kept.chain(others).chain([gateway, every].map(|args| (args, unnamed.to_str().unwrap().to_owned()))).collect()
}

#[test]
fn envoy_gateway_refuses_clusters_of_somebody_else() {
    let args = ["render", "--target", "envoy-gateway", "--host", "llm.example", "--config", &odd()];
    let output = with_keys(Command::new(env!("CARGO_BIN_EXE_tollgate"))).args(args).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("model_info.cluster") && text.contains("outbound|443||api.openai.com"), "{text}");
}

/// The file with [`ODD`], written once: tests run side by side.
fn odd() -> String {
    static FILE: OnceLock<String> = OnceLock::new();
    let write = || {
        let path = scratch("manifests.config.yaml");
        fs::write(&path, ODD).unwrap();
        path.to_str().unwrap().to_owned()
    };
    FILE.get_or_init(write).clone()
}

fn render(config: &str, args: &[&str]) -> String {
    let mut command = with_keys(Command::new(env!("CARGO_BIN_EXE_tollgate")));
    stdout(&command.args(["render", "--config", config]).args(args).output().unwrap())
}

/// The documents of a YAML stream that are not only comments.
fn resources(stream: &str) -> Vec<Value> {
    let documents = stream.split("\n---\n").filter(|part| part.lines().any(|line| !line.starts_with('#')));
    documents.map(|part| yaml::parse(part).unwrap_or_else(|fault| panic!("{fault}: {part}"))).collect()
}

/// What the published schemas say against `resources`.
fn validate(resources: &[Value]) -> String {
    let is_core = |one: &&Value| {
        let group = one["apiVersion"].as_str().unwrap();
        !group.contains('.') || group.starts_with("rbac.")
    };
    let (core, custom): (Vec<&Value>, Vec<&Value>) = resources.iter().partition(is_core);
    let mut faults = String::new();
    if !core.is_empty() {
        let dir = scratch("manifests");
        fs::create_dir_all(&dir).unwrap();
        // Tests run side by side.
        let file = dir.join(format!("{:?}.yaml", std::thread::current().id()));
        fs::write(&file, core.iter().map(|one| format!("---\n{one}\n")).collect::<String>()).unwrap();
        let program = root().join("target/schemas/kubernetes/bin/kubernetes-validate");
        let output = Command::new(&program).args(["--strict", "--quiet"]).arg(&file).output();
        faults +=
            &told(output.unwrap_or_else(|fault| panic!("{}: {fault}: sh tests/setup.sh schemas", program.display())));
    }
    if !custom.is_empty() {
        let modules = root().join("target/schemas/crds/node_modules");
        assert!(modules.exists(), "{} is missing: sh tests/setup.sh schemas", modules.display());
        let mut node = Command::new("node");
        node.arg(root().join("tests/schemas.mjs"))
            .arg(modules)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = node.spawn().unwrap();
        child.stdin.take().unwrap().write_all(json!(custom).to_string().as_bytes()).unwrap();
        faults += &told(child.wait_with_output().unwrap());
    }
    faults
}

/// The output of a validator that did not succeed.
fn told(output: Output) -> String {
    if output.status.success() {
        return String::new();
    }
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn with_keys(mut command: Command) -> Command {
    for name in ["OPENAI_API_KEY", "ANTHROPIC_API_KEY", "TOLLGATE_MASTER_KEY", "HARBOR_APP_KEY", "HARBOR_BATCH_KEY"] {
        command.env(name, format!("sk-value-{name}"));
    }
    command.current_dir(root());
    command
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
