//! `tollgate render` and `check` as a user sees them, and a real Envoy's opinion of what they write.
#![cfg(feature = "cli")]
#![expect(
    clippy::disallowed_methods,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test: it reads its environment, and stops at a fault"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const QUICKSTART: &str = "examples/quickstart/config.yaml";

/// Every kind of cluster, and names that YAML would misread.
const ODD: &str = r#"
model_list:
- {model_name: "on", litellm_params: {model: openai/gpt-4o, api_key: os.environ/DEMO_KEY}}
- {model_name: plain, litellm_params: {model: hosted_vllm/a, api_base: "http://localhost:8000/v1", api_key: "1e5"}}
- {model_name: six, litellm_params: {model: hosted_vllm/b, api_base: "http://[::1]:8000", api_key: "0x10"}}
- {model_name: tls ip, litellm_params: {model: hosted_vllm/c, api_base: "https://10.0.0.7/v1", api_key: k}}
- model_name: theirs
  litellm_params: {model: openai/gpt-4o-mini, api_key: os.environ/DEMO_KEY}
  model_info: {cluster: "outbound|443||api.openai.com"}
general_settings: {master_key: os.environ/DEMO_MASTER}
tollgate:
  shadow: [{model_group: "on", to: plain, percent: 5}, {model_group: plain, to: theirs, percent: 5}]
  rate_limit_service: {cluster: rls, address: "https://ratelimit.example:8443"}
"#;

#[test]
fn the_envoy_yaml_of_the_repository_is_the_rendered_quick_start() {
    let rendered = stdout(&tollgate(&["render", "--config", QUICKSTART]));
    let golden = root().join("envoy/envoy.yaml");
    if std::env::var("UPDATE_GOLDEN").is_ok() {
        fs::write(&golden, &rendered).unwrap();
    }
    assert!(rendered == fs::read_to_string(&golden).unwrap(), "envoy/envoy.yaml differs: make golden");
    assert!(!rendered.contains("${"), "a placeholder is left");
}

#[test]
fn envoy_takes_the_quick_start() {
    envoy_takes("quickstart", &root().join(QUICKSTART));
}

#[test]
fn envoy_takes_every_kind_of_cluster() {
    let config = scratch("odd.config.yaml");
    fs::write(&config, ODD).unwrap();
    let rendered = envoy_takes("odd", &config);
    for part in [
        "port_value: 0",
        "type: STRICT_DNS",
        "type: STATIC",
        "address: \"::1\"",
        "sni: api.openai.com",
        "{san_type: DNS, matcher: {exact: api.openai.com}}",
        "{san_type: IP_ADDRESS, matcher: {exact: \"10.0.0.7\"}}",
        "- name: rls\n    type: STRICT_DNS",
        "sni: ratelimit.example",
        "# Not here: \"outbound|443||api.openai.com\"",
        "host_env_keys: [DEMO_KEY, DEMO_MASTER]",
        "- match: {prefix: /, headers: [{name: x-tollgate-shadow-cluster, string_match: {exact: \"outbound|443||api.openai.com\"}}]}",
    ] {
        assert!(rendered.contains(part), "{part} is missing in\n{rendered}");
    }
    assert!(!rendered.contains("name: \"outbound|443||api.openai.com\"\n    type:"), "somebody else's cluster");
}

/// Every kind of place that tokens come from.
const TOKENS: &str = r#"
model_list:
- model_name: account
  litellm_params: {model: vertex_ai/gemini-2.5-flash, vertex_credentials: os.environ/DEMO_ACCOUNT}
- model_name: machine
  litellm_params: {model: vertex_ai/gemini-2.5-pro, vertex_project: p}
- model_name: azure
  litellm_params: {model: azure/gpt-4o, api_base: "https://demo.openai.azure.com", tenant_id: t, client_id: c, client_secret: s}
- model_name: watsonx
  litellm_params: {model: watsonx/ibm/granite, api_base: "https://us-south.ml.cloud.ibm.com", api_key: k, project_id: p}
general_settings: {master_key: os.environ/DEMO_MASTER}
"#;

#[test]
fn envoy_takes_the_clusters_of_tokens() {
    let config = scratch("tokens.config.yaml");
    fs::write(&config, TOKENS).unwrap();
    let rendered = envoy_takes("tokens", &config);
    for host in ["oauth2.googleapis.com", "login.microsoftonline.com", "iam.cloud.ibm.com"] {
        let cluster = format!("- name: tollgate_token_https_{host}_443\n");
        let (_, text) = rendered.split_once(&cluster).unwrap_or_else(|| panic!("{cluster} is missing in\n{rendered}"));
        let text = text.split("\n  - name: ").next().unwrap();
        assert!(text.contains(&format!("{{san_type: DNS, matcher: {{exact: {host}}}}}")), "{text}");
        assert!(!text.contains("http_filters"), "the attempt role would let no token pass:\n{text}");
    }
    assert!(
        rendered.contains("- name: \"tollgate_token_http_169.254.169.254_80\"\n    type: STATIC")
            || rendered.contains("- name: tollgate_token_http_169.254.169.254_80\n    type: STATIC"),
        "{rendered}"
    );
    assert!(rendered.contains("DEMO_ACCOUNT") && !rendered.contains("PRIVATE KEY"), "the account stays outside");
}

/// A secret for each header that a vendor wants, from a server that the config names; the same key twice is one cluster.
const SECRETS: &str = r#"
model_list:
- {model_name: a, litellm_params: {model: openai/gpt-4o, api_key: sds/first}}
- {model_name: b, litellm_params: {model: openai/gpt-4o-mini, api_key: sds/first}}
- {model_name: c, litellm_params: {model: openai/gpt-4o-mini, api_key: sds/second}}
- {model_name: d, litellm_params: {model: anthropic/claude-haiku-4-5, api_key: sds/first}}
- {model_name: e, litellm_params: {model: openai/gpt-4o, api_key: sds/theirs}, model_info: {cluster: theirs}}
general_settings: {master_key: os.environ/DEMO_MASTER}
tollgate:
  # A gRPC cluster, which is all that Envoy looks at here.
  rate_limit_service: {cluster: sds, address: "127.0.0.1:1"}
  secrets: {cluster: sds}
"#;

#[test]
fn envoy_takes_every_kind_of_secret() {
    let config = scratch("secrets.config.yaml");
    fs::write(&config, SECRETS).unwrap();
    let rendered = envoy_takes("secrets", &config);
    for (part, count) in [
        ("  - name: tollgate_https_api.openai.com_443_sds_first\n", 1),
        ("  - name: tollgate_https_api.openai.com_443_sds_second\n", 1),
        ("  - name: tollgate_https_api.anthropic.com_443_sds_first_x-api-key\n", 1),
        ("grpc_services: [{envoy_grpc: {cluster_name: sds}}]\n", 4),
        ("header: authorization\n", 3),
        ("header: x-api-key\n", 1),
        ("header_value_prefix: \"Bearer \"\n", 3),
        ("  # After that filter, this one writes the credential:\n", 1),
    ] {
        assert_eq!(rendered.matches(part).count(), count, "{part} in\n{rendered}");
    }
}

/// Every signer: keys in the config, in AWS's variables, in others; a profile, a role, a token, Envoy's own chain.
const SIGNED: &str = r#"
model_list:
- model_name: literal
  litellm_params: {model: bedrock/a.b, aws_region_name: us-east-1, aws_access_key_id: AKID1, aws_secret_access_key: "0x1"}
- model_name: standard
  litellm_params:
    model: bedrock/a.b
    aws_region_name: us-east-1
    aws_access_key_id: os.environ/AWS_ACCESS_KEY_ID
    aws_secret_access_key: os.environ/AWS_SECRET_ACCESS_KEY
- model_name: named
  litellm_params:
    model: bedrock/a.b
    aws_region_name: us-east-1
    aws_access_key_id: os.environ/DEMO_KEY
    aws_secret_access_key: os.environ/DEMO_MASTER
    aws_role_name: arn:aws:iam::1:role/r
    aws_session_name: s
- {model_name: profile, litellm_params: {model: bedrock/a.b, aws_region_name: us-east-1, aws_profile_name: prod}}
- model_name: token
  litellm_params: {model: bedrock/a.b, aws_region_name: us-east-1, aws_role_name: r, aws_web_identity_token: /run/token}
- {model_name: chain, litellm_params: {model: bedrock/eu-west-1/a.b}}
- {model_name: key, litellm_params: {model: bedrock/eu-west-1/a.b, api_key: os.environ/DEMO_KEY}}
- model_name: theirs
  litellm_params: {model: bedrock/a.b, aws_region_name: us-east-1, aws_profile_name: theirs}
  model_info: {cluster: theirs}
tollgate: {allow_anonymous: true}
"#;

#[test]
fn envoy_takes_every_kind_of_signer() {
    let config = scratch("signed.config.yaml");
    fs::write(&config, SIGNED).unwrap();
    let rendered = envoy_takes("signed", &config);
    for part in [
        "inline_credential:",
        "secret_access_key: \"0x1\"",
        "environment_credential_provider: {}",
        "environment_variable: TOLLGATE_AWS_",
        "role_session_name: s",
        "credentials_file_provider: {profile: prod}",
        "web_identity_token_data_source: {filename: /run/token}",
        "name: tollgate_https_bedrock-runtime.eu-west-1.amazonaws.com_443\n",
        "#         credentials_file_provider: {profile: theirs}",
    ] {
        assert!(rendered.contains(part), "{part} is missing in\n{rendered}");
    }
    assert_eq!(rendered.matches("- name: envoy.filters.http.aws_request_signing\n").count(), 7);
    assert!(!rendered.contains("sk-value"), "a secret of the environment");
    assert!(!rendered.contains("AWS_SECRET_ACCESS_KEY]"), "the filter has no use for it");
}

#[test]
fn no_value_of_the_environment_is_rendered() {
    let rendered = stdout(&tollgate(&["render", "--config", QUICKSTART]));
    assert!(rendered.contains("os.environ/OPENAI_API_KEY"));
    assert!(!rendered.contains("sk-value"));
}

#[test]
fn options_of_another_target_are_refused() {
    for (args, fault) in [
        (&["--target", "limitador", "--format", "dynamic"][..], "--format belongs to --target envoy"),
        (&["--config-dir", "/etc/tollgate"], "--config-dir belongs to --format dynamic"),
        (&["--format", "dynamic"], "say -o DIR"),
        (&["--target", "istio", "--host", "a", "--port", "80"], "--port belongs to --target envoy, kubernetes"),
        (&["--target", "istio"], "say --host NAME"),
        (&["--target", "istio", "--workload", "sidecar", "--host", "a"], "--host belongs to --workload gateway"),
        (&["--target", "kubernetes", "--host", "a"], "--host belongs to --target istio, envoy-gateway"),
        (&["--target", "istio", "--host", "A:80"], "expected a host"),
        (&["--target", "kubernetes", "--namespace", "a}: b"], "expected a name of Kubernetes"),
    ] {
        let output = tollgate(&[&["render", "--config", QUICKSTART], args].concat());
        assert_eq!(output.status.code(), Some(2));
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains(fault), "{text}");
    }
}

#[test]
fn envoy_takes_the_files_of_the_dynamic_format() {
    let (config, dir) = (scratch("dynamic.config.yaml"), scratch("dynamic.files"));
    fs::write(&config, ODD).unwrap();
    let wasm = root().join("dist/tollgate.wasm");
    let paths = [&config, &dir, &wasm].map(|path| path.to_str().unwrap());
    let args = ["render", "--format", "dynamic", "--config", paths[0], "-o", paths[1], "--wasm", paths[2]];
    stdout(&tollgate(&args));
    validate(&dir.join("envoy.yaml"));
    let read = |name: &str| fs::read_to_string(dir.join(name)).unwrap();
    let (lds, cds) = (read("lds.yaml"), read("cds.yaml"));
    assert!(cds.contains("# Not here: \"outbound|443||api.openai.com\""), "{cds}");
    assert!(lds.contains("os.environ/DEMO_KEY") && !lds.contains("sk-value") && !cds.contains("sk-value"));
    stdout(&tollgate(&[&args[..], &["--config-dir", "/etc/tollgate/"]].concat()));
    let part = "{path: /etc/tollgate/lds.yaml, watched_directory: {path: /etc/tollgate}}";
    assert!(read("envoy.yaml").contains(part), "{}", read("envoy.yaml"));
}

#[test]
fn the_limits_of_a_rate_limit_service_are_those_of_the_config() {
    let golden = |name: &str| root().join("tests/golden/limits").join(name);
    let expect = |name: &str, found: &str| {
        if std::env::var("UPDATE_GOLDEN").is_ok() {
            fs::write(golden(name), found).unwrap();
        }
        assert_eq!(fs::read_to_string(golden(name)).unwrap_or_default(), found, "{name}");
    };
    let render = |config: &str, target: &str| {
        tollgate(&["render", "--config", &format!("tests/golden/limits/{config}"), "--target", target])
    };
    for target in ["ratelimit", "limitador"] {
        expect(&format!("{target}.yaml"), &stdout(&render("config.yaml", target)));
    }
    expect("odd.limitador.yaml", &stdout(&render("odd.yaml", "limitador")));
    let refused = render("odd.yaml", "ratelimit");
    assert_eq!(refused.status.code(), Some(1));
    expect("odd.ratelimit.txt", &String::from_utf8_lossy(&refused.stderr));
    let without = tollgate(&["render", "--config", QUICKSTART, "--target", "limitador"]);
    assert_eq!(without.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&without.stderr).contains("tollgate.rate_limit_service"));
}

#[test]
fn check_ends_with_1_on_faults_and_names_them_all() {
    assert_eq!(tollgate(&["check", "--config", QUICKSTART]).status.code(), Some(0));
    let config = scratch("faults.config.yaml");
    fs::write(&config, "model_list: [{model_name: 1}]\ntollgate: {keys: [{max_budget: much}]}\n").unwrap();
    let output = tollgate(&["check", "--config", &config.to_string_lossy()]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("model_list[0].model_name") && text.contains("tollgate.keys[0].max_budget"), "{text}");
}

#[test]
fn check_speaks_json_too() {
    let config = scratch("json.config.yaml");
    let text = "model_list: [{model_name: a, litellm_params: {model: openai/gpt-4o, wieght: 1}}]\nrouter_settings: {timeout: x}\n";
    fs::write(&config, text).unwrap();
    let output = tollgate(&["check", "--config", &config.to_string_lossy(), "--format", "json"]);
    assert_eq!(output.status.code(), Some(1));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let fault = &report["faults"][0];
    assert_eq!(
        (fault["path"].as_str(), fault["found"].as_str(), fault["expected"].as_str()),
        (Some("router_settings.timeout"), Some("a string"), Some("a number of seconds, more than zero"))
    );
    assert!(fault["hint"].as_str().unwrap().contains("`30`"), "{fault}");
    let key = report["keys"].as_array().unwrap().iter().find(|key| key["grade"] == "unsupported").unwrap();
    assert_eq!(key["key"], "model_list[0].litellm_params.wieght");
    assert!(key["instead"].as_str().unwrap().contains("`weight`"), "{key}");
}

#[test]
fn check_tells_what_each_deployment_can_be_asked() {
    let config = scratch("verbose.config.yaml");
    fs::write(&config, ODD).unwrap();
    let args = ["check", "--config", &config.to_string_lossy()];
    assert!(!stdout(&tollgate(&args)).contains("/embeddings"));
    let text = stdout(&tollgate(&[&args[..], &["--verbose"]].concat()));
    for part in
        [": on, openai/gpt-4o\n", "has        /chat/completions", "bridged", "has not", "/chat/completions takes"]
    {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
    assert_eq!(text.matches("deployment   ").count(), 5, "{text}");
}

#[test]
fn a_file_that_is_no_yaml_is_refused_with_its_line() {
    let config = scratch("broken.config.yaml");
    fs::write(&config, "model_list:\n- {model_name: a\n").unwrap();
    for command in ["check", "render", "run"] {
        let output = tollgate(&[command, "--config", &config.to_string_lossy()]);
        assert_eq!(output.status.code(), Some(1));
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains("broken.config.yaml: ") && text.contains("line 2"), "{text}");
    }
    assert_eq!(tollgate(&["check", "--config", "no/such.yaml"]).status.code(), Some(1));
}

/// Renders `config` and has Envoy load it, the filter included.
fn envoy_takes(name: &str, config: &Path) -> String {
    let wasm = root().join("dist/tollgate.wasm");
    assert!(wasm.exists(), "dist/tollgate.wasm is missing: make build");
    let bootstrap = scratch(&format!("{name}.envoy.yaml"));
    let args = ["render", "--config", &config.to_string_lossy(), "--wasm", &wasm.to_string_lossy()].map(str::to_owned);
    let args: Vec<_> = args.iter().map(String::as_str).chain(["--output", bootstrap.to_str().unwrap()]).collect();
    stdout(&tollgate(&args));
    validate(&bootstrap);
    fs::read_to_string(&bootstrap).unwrap()
}

fn validate(bootstrap: &Path) {
    let envoy = std::env::var("ENVOY_BIN").unwrap_or_else(|_| "target/envoy/bin/envoy".into());
    let mut command = with_keys(Command::new(&envoy));
    let output = command.args(["--mode", "validate", "-l", "warn", "-c"]).arg(bootstrap).output();
    let output = output.unwrap_or_else(|fault| panic!("{envoy}: {fault}: make test installs one"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn tollgate(args: &[&str]) -> Output {
    with_keys(Command::new(env!("CARGO_BIN_EXE_tollgate"))).args(args).output().unwrap()
}

fn with_keys(mut command: Command) -> Command {
    let names = ["OPENAI_API_KEY", "ANTHROPIC_API_KEY", "TOLLGATE_MASTER_KEY", "HARBOR_APP_KEY", "HARBOR_BATCH_KEY"];
    for (n, name) in names.iter().chain(&["DEMO_KEY", "DEMO_MASTER"]).enumerate() {
        command.env(name, format!("sk-value-{n}"));
    }
    command.env("DEMO_ACCOUNT", include_str!("../examples/mock-provider/service-account.json"));
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
