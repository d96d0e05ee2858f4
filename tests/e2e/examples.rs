//! Every folder of `examples/` with a config: no fault, Envoy takes what is rendered, and each model answers, with the
//! mock in the providers' places.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tollgate::cli::yaml;
use tollgate::config::environment;

use crate::harness::{Answer, Gate, Mock, Options, Request, Rls, chat, dist, envoy, tollgate};

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

/// A token of the login in `existing-envoy`, whose key nobody has any more; it is good until 2100.
const TOKEN: &str = "eyJhbGciOiJSUzI1NiIsImtpZCI6ImhhcmJvci0xIiwidHlwIjoiSldUIn0.eyJpc3MiOiJodHRwczovL2xvZ2luLmhhcmJvci5leGFtcGxlIiwic3ViIjoiYWhhYiIsImV4cCI6NDEwMjQ0NDgwMH0.c6epxW-JVeyH5_q9LHN_TaeIWieM7NoGu0r9PcFHX8KohhaGJr7dsHqowEGFgsc08DiB5PMJK2H0kRUqgxmmDd4-DGoHbNUZHiPLi5wlh5yLlZ9npYgs5tyFopXqWRdXDs6joDc7HTKCwMvEG6MjeGUTj8rcLXZb2EgsIvcSLG8UN7MeBYcK0jN8M5oe-hrufY9StLSftN877PLD9ZxS0NASvePuWGfdZHLvfswX7V_8-xdWaAuOBdQO_v9AEXgx3S4ElGcxwcQN8VCVUJMfL--bET9yT6g-Wz3upqXqdNW2yekS4xq6ud_zJ_A5BV6PSlzZAQc9gQr7cix22A2QpQ";

#[test]
fn existing_envoy_with_the_filters_of_the_team_around_ours() {
    let config = yaml::dump(&edited("failover", "config.yaml", &Mock::shared().address()));
    let env = ["OPENAI_API_KEY", "ANTHROPIC_API_KEY", "TOLLGATE_MASTER_KEY", "APP_KEY"].map(|name| (name, name));
    let gate =
        Gate::start_with("example-existing", &config, Options { env: &env, edit: existing, ..Options::default() });
    let ask = |model: &str, more: &str| {
        let request = gate.request("/v1/chat/completions", "APP_KEY", chat(model, more));
        request.header("host", "llm.harbor.example")
    };
    let answer = ask("fast", "").send();
    assert_eq!((answer.status, answer.header("x-served-by")), (200, Some("harbor")), "{}", answer.text());
    assert_eq!(ask("fast-backup", "").send().header("x-tollgate-provider"), Some("anthropic"));
    // Our own errors pass through the same filters.
    assert_eq!(ask("no-such-model", "").send().status, 404);
    let zipped = ask("fast", "").header("accept-encoding", "gzip").send();
    assert_eq!((zipped.status, zipped.header("content-encoding")), (200, Some("gzip")));
    let stream = ask("fast", r#","stream":true"#).header("accept-encoding", "gzip").send();
    assert_eq!((stream.status, stream.header("content-encoding")), (200, None));
    assert!(stream.text().ends_with("data: [DONE]\n\n"), "{}", stream.text());
    assert_eq!(ask("fast", "").header("x-tenant", "nobody").send().status, 403, "ext_authz decides before us");
    assert_eq!(ask("fast", "").header("x-harbor-token", "broken").send().status, 401, "jwt_authn decides before us");
    let no_key = |token: &str| {
        let request = Request::post(gate.port, "/v1/chat/completions", chat("fast", ""));
        request.header("host", "llm.harbor.example").header("x-harbor-token", token).send()
    };
    assert_eq!(no_key(TOKEN).status, 200, "who has a token needs no key");
    // The team's own API is none of ours: its request has no key, and comes as it is.
    let orders = Request::get(gate.port, "/_mock/requests").header("host", "orders.harbor.example").send();
    assert_eq!((orders.status, orders.header("x-tollgate-provider")), (200, None));
}

/// `existing-envoy/envoy.yaml`, whose providers are the mock, and whose authorization service is a second listener.
fn existing(_: String) -> String {
    let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (mock, authz) = (Mock::shared().port, free());
    let text = read(&example("existing-envoy/envoy.yaml"));
    let text = text.replace("/etc/envoy/tollgate.wasm", dist("tollgate.wasm").to_str().unwrap());
    let text = text
        .replace("127.0.0.1:8081", &format!("127.0.0.1:{mock}"))
        .replace("port_value: 8081", &format!("port_value: {mock}"));
    let text =
        text.replace("port_value: 9191", &format!("port_value: {authz}")).replace("port_value: 8080", "port_value: 0");
    let text = text.replace("port_value: 9901", "port_value: 0").replace("- name: ingress\n", "- name: tollgate\n");
    text.replace("  listeners:\n", &format!("  listeners:\n{}", AUTHZ.replace("PORT", &authz.to_string())))
}

const AUTHZ: &str = r#"  - name: authz
    address: {socket_address: {address: 127.0.0.1, port_value: PORT}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: authz
          http_filters: [{name: envoy.filters.http.router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}]
          route_config:
            virtual_hosts:
            - name: authz
              domains: ["*"]
              routes:
              - match: {prefix: /, headers: [{name: x-tenant, string_match: {exact: nobody}}]}
                direct_response: {status: 403}
              - match: {prefix: /}
                direct_response: {status: 200}
"#;

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

fn start(name: &str, config: &str) -> Gate {
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
fn edited(name: &str, file: &str, mock: &str) -> Value {
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

fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("e2e").join(format!("example-{name}"));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn example(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(path)
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|fault| panic!("{}: {fault}", path.display()))
}
