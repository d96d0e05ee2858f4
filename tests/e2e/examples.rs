//! Every folder of `examples/` with a config: no fault, Envoy takes what is rendered, and each model answers, with the
//! mock in the providers' places.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tollgate::cli::yaml;
use tollgate::config::environment;

use crate::harness::{Answer, Gate, Mock, Options, Rls, chat, dist, envoy, test_folder, tollgate};

#[test]
fn quickstart() {
    answers("quickstart", "config.yaml");
}

#[test]
fn multi_team_budgets() {
    let gate = answers("multi-team-budgets", "config.yaml");
    let refused = gate.chat("sk-TRIAL_KEY", "quality");
    assert_eq!(refused.status, 403, "{}", refused.text());
    let spend = gate.get("/spend/teams", "sk-TOLLGATE_MASTER_KEY");
    assert!(spend.text().contains("support"), "{}", spend.text());
}

#[test]
fn failover_from_azure_to_openai_to_bedrock() {
    let mock = Mock::start("example-failover-mock");
    let gate = serve("failover", "config.yaml", &mock);
    let ask = |served_by: &str| {
        for more in ["", r#","stream":true"#] {
            let answer = gate.post("/v1/chat/completions", "sk-APP_KEY", chat("assistant", more));
            let by = answer.header("x-tollgate-deployment");
            assert_eq!((answer.status, by), (200, Some(served_by)), "{}", answer.text());
        }
    };
    ask("azure-eastus");
    mock.script("example-0", "status=503");
    ask("openai");
    mock.script("example-1", "status=503");
    ask("bedrock-us");
}

#[test]
fn global_limits() {
    let config = edited("global-limits", "config.yaml", &Mock::shared().address());
    let config = yaml::dump(&config).replace("127.0.0.1:8081", "{rls}");
    let rls = Rls::start("example-global-limits-rls", &config);
    let gate = start("global-limits", &rls.place(&config));
    gate.chat("sk-NIGHTLY_KEY", "fast").expect_ok();
    assert!(!rls.calls().is_empty(), "the service was not asked");
    let (config, limits) = (example("global-limits/config.yaml"), example("global-limits/limits.yaml"));
    let output = tollgate(&["render", "--target", "limitador", "--config", config.to_str().unwrap()]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), std::fs::read_to_string(limits).unwrap(), "limits.yaml");
}

#[test]
fn vault_sds() {
    let mock = Mock::start("example-vault-sds-mock");
    let gate = serve("vault-sds", "config.yaml", &mock);
    gate.chat("sk-APP_KEY", "fast").expect_ok();
    assert_eq!(mock.request("example-0").header("authorization"), Some("Bearer secret-openai"));
}

#[test]
fn migrate_as_it_is_and_with_the_keys_of_litellm() {
    answers("migrate", "config.yaml");
    let gate = answers("migrate", "imported.yaml");
    let status = |key: &str, model: &str| gate.chat(key, model).status;
    assert_eq!(status("sk-support-bot-0001", "fast"), 200);
    assert_eq!(status("sk-support-bot-0001", "gpt-4o-mini"), 200, "by an alias");
    assert_eq!(status("sk-research-0002", "fast"), 403, "not among its models");
    assert_eq!(status("sk-trial-0003", "fast"), 200);
    assert_eq!(status("sk-former-0004", "fast"), 401, "blocked");
    assert_eq!(status("sk-support-bot-0005", "fast"), 401, "unknown");
    let info = gate.get("/key/info", "sk-support-bot-0001").json();
    assert_eq!((&info["info"]["max_budget"], &info["info"]["team_id"]), (&json!(20), &json!("support")));
}

#[test]
fn the_steps_of_existing_envoy_make_its_result() {
    let folder = scratch("existing-steps");
    let mine = folder.join("mine.yaml");
    std::fs::copy(example("existing-envoy/before.yaml"), &mine).unwrap();
    for step in ["1-gateway", "2-clusters", "3-route"] {
        let patch = example(&format!("existing-envoy/steps/{step}.patch"));
        let output = Command::new("patch").args(["-s", "-i"]).args([&patch, &mine]).output();
        let output = output.expect("patch is there");
        assert!(output.status.success(), "{step}: {}", String::from_utf8_lossy(&output.stdout));
    }
    let [mine, result] = [mine, example("existing-envoy/envoy.yaml")].map(|path| read(&path));
    let without_title = |text: &str| text.split_once('\n').unwrap().1.to_owned();
    assert_eq!(without_title(&mine), without_title(&result));
    let (whole, config) = (yaml::parse(&result).unwrap(), yaml::parse(&read(&example("existing-envoy/config.yaml"))));
    let filters = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters";
    let filters = whole.pointer(filters).unwrap().as_array().unwrap();
    let ours = filters.iter().find(|filter| filter["name"] == "tollgate_gateway").unwrap();
    assert_eq!(ours.pointer("/typed_config/config/configuration/value"), config.as_ref().ok());
}

/// Checks an example, and has each of its models answer to its master key.
fn answers(name: &str, file: &str) -> Gate {
    let gate = serve(name, file, Mock::shared());
    let document = yaml::parse(&read(&example(&format!("{name}/{file}")))).unwrap();
    let master = document.pointer("/general_settings/master_key").and_then(Value::as_str).unwrap();
    let master = format!("sk-{}", master.trim_start_matches("os.environ/"));
    for entry in document["model_list"].as_array().unwrap() {
        let model = entry["model_name"].as_str().unwrap();
        let expect = |answer: Answer| assert_eq!(answer.status, 200, "{model}: {}", answer.text());
        if entry.pointer("/model_info/mode").is_some_and(|mode| mode == "embedding") {
            let body = json!({"model": model, "input": "Ahoy!"});
            expect(gate.post("/v1/embeddings", &master, body.to_string()));
            continue;
        }
        for more in ["", r#","stream":true"#] {
            expect(gate.post("/v1/chat/completions", &master, chat(model, more)));
        }
    }
    gate
}

/// Checks and validates an example as it is, and serves it with `mock` in the providers' places.
fn serve(name: &str, file: &str, mock: &Mock) -> Gate {
    let path = example(&format!("{name}/{file}"));
    let output = tollgate(&["check", "--config", path.to_str().unwrap()]);
    let report = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{report}");
    assert!(report.trim_end().ends_with(", 0 unsupported"), "{report}");
    envoy_takes(name, &path);
    let document = edited(name, file, &mock.address());
    start(&format!("{name}-{}", file.trim_end_matches(".yaml")), &yaml::dump(&document))
}

/// What is rendered from the example as it is; its secrets alone are elsewhere.
fn envoy_takes(name: &str, config: &Path) {
    let folder = scratch(&format!("{name}-validate"));
    let yaml = folder.join("envoy.yaml");
    let files = [config, &yaml, &dist("tollgate.wasm")].map(|path| path.to_str().unwrap().to_owned());
    let output = tollgate(&["render", "--config", &files[0], "-o", &files[1], "--wasm", &files[2]]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    edited(name, "config.yaml", "127.0.0.1:1");
    let text = read(&yaml).replace("/etc/envoy/secrets", scratch(&format!("{name}-secrets")).to_str().unwrap());
    std::fs::write(&yaml, text).unwrap();
    let names = environment(&yaml::parse(&read(config)).unwrap());
    let mut command = Command::new(envoy());
    command.args(["--mode", "validate", "--use-dynamic-base-id", "-l", "error", "-c", &files[1]]);
    let output = command.envs(names.iter().map(|name| (name, value_of(name)))).output().unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
}

pub(crate) fn start(name: &str, config: &str) -> Gate {
    let document = yaml::parse(config).unwrap();
    let mut names = environment(&document);
    names.extend(["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"].map(str::to_owned));
    let values: BTreeMap<&String, String> = names.iter().map(|name| (name, value_of(name))).collect();
    let env: Vec<_> = values.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    Gate::start_with(&format!("example-{name}"), config, Options { env: &env, ..Options::default() })
}

/// The mock checks AWS's signatures with the keys of AWS's own examples.
fn value_of(variable: &str) -> String {
    match variable {
        "AWS_ACCESS_KEY_ID" => "AKIDEXAMPLE".to_owned(),
        "AWS_SECRET_ACCESS_KEY" => "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(),
        _ => format!("sk-{variable}"),
    }
}

/// An example's config, with every deployment at `mock`, and with its secrets in a folder of the test.
pub(crate) fn edited(name: &str, file: &str, mock: &str) -> Value {
    let mut document = yaml::parse(&read(&example(&format!("{name}/{file}")))).unwrap();
    let secrets = scratch(&format!("{name}-secrets"));
    for (i, entry) in document["model_list"].as_array_mut().unwrap().iter_mut().enumerate() {
        let params = entry["litellm_params"].as_object_mut().unwrap();
        let model = params["model"].as_str().unwrap().to_owned();
        let member = if model.starts_with("bedrock/") { "aws_bedrock_runtime_endpoint" } else { "api_base" };
        let end = if model.starts_with("openai/") || model.starts_with("hosted_vllm/") { "/v1" } else { "" };
        params.insert(member.to_owned(), json!(format!("http://{mock}/example-{i}{end}")));
        if let Some(secret) = params.get("api_key").and_then(Value::as_str).and_then(|key| key.strip_prefix("sds/")) {
            let text = read(&example(&format!("{name}/{secret}.yaml.ctmpl")));
            let (before, _) = text.split_once("{{").unwrap();
            std::fs::write(secrets.join(format!("{secret}.yaml")), format!("{before}secret-{secret}\n")).unwrap();
        }
    }
    if let Some(path) = document.pointer_mut("/tollgate/secrets/path") {
        *path = json!(secrets.to_str().unwrap());
    }
    document
}

pub(crate) fn scratch(name: &str) -> PathBuf {
    let folder = test_folder(&format!("example-{name}"));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

pub(crate) fn example(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(path)
}

pub(crate) fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|fault| panic!("{}: {fault}", path.display()))
}
