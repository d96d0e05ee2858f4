//! Access tokens: fetched in the background, one for all workers, renewed in time, and never seen.

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Gate, Mock, Options, Request, wait_for};

const ACCOUNT: &str = include_str!("../../examples/mock-provider/service-account.json");

/// `{account:PATH}` is a service account whose tokens are issued at PATH of the provider.
const CONFIG: &str = "
model_list:
- model_name: account
  litellm_params:
    model: vertex_ai/gemini-2.5-flash
    api_base: http://{mock}/issued=1/tok-account/gemini-2.5-flash
    vertex_project: harbor
    vertex_location: europe-west4
    vertex_credentials:
      type: service_account
      client_email: gateway@harbor-test.iam.gserviceaccount.com
      private_key_id: 0123456789abcdef0123456789abcdef01234567
      private_key: os.environ/ACCOUNT_KEY
      token_uri: http://{mock}/tok-account/token
- model_name: user
  litellm_params:
    model: vertex_ai/gemini-2.5-flash
    api_base: http://{mock}/issued=1/tok-user/gemini-2.5-flash
    vertex_project: harbor
    vertex_location: europe-west4
    vertex_ai_credentials: '{\"type\":\"authorized_user\",\"client_id\":\"mock-client\",\"client_secret\":\"mock-secret\",
      \"refresh_token\":\"mock-refresh-token\",\"token_uri\":\"http://{mock}/tok-user/token\"}'
- model_name: machine
  litellm_params:
    model: vertex_ai/gemini-2.5-flash
    api_base: http://{mock}/issued=1/tok-machine/gemini-2.5-flash
    vertex_project: harbor
    vertex_location: europe-west4
- model_name: azure
  litellm_params:
    model: azure/gpt-4o
    api_base: http://{mock}/issued=1/tok-azure
    api_version: 2024-10-21
    tenant_id: contoso
    client_id: mock-client
    client_secret: os.environ/AZURE_SECRET
environment_variables:
  GCE_METADATA_HOST: '{mock}'
  AZURE_AUTHORITY_HOST: http://{mock}/tok-azure
router_settings: {num_retries: 0}
tollgate: {allow_anonymous: true}
";

fn account() -> Value {
    serde_json::from_str(ACCOUNT).unwrap()
}

fn gate() -> &'static Gate {
    static GATE: OnceLock<Gate> = OnceLock::new();
    GATE.get_or_init(|| {
        let key = account()["private_key"].as_str().unwrap().to_owned();
        let env = [("ACCOUNT_KEY", key.as_str()), ("AZURE_SECRET", "mock-secret")];
        Gate::start_with("tokens", CONFIG, Options { env: &env, ..Options::default() })
    })
}

/// A deployment with a service account whose tokens come from `{mock}/<name>/<script>/token`.
fn deployment(name: &str, script: &str) -> String {
    let mut account = account();
    account["token_uri"] = json!(format!("http://{{mock}}/{name}{script}/token"));
    format!(
        "
- model_name: {name}
  litellm_params:
    model: vertex_ai/gemini-2.5-flash
    api_base: http://{{mock}}/issued=1/{name}/gemini-2.5-flash
    vertex_project: harbor
    vertex_location: europe-west4
    vertex_credentials: '{account}'
  model_info: {{id: id-{name}}}"
    )
}

fn config(deployments: &str, more: &str) -> String {
    format!(
        "model_list:{deployments}\nrouter_settings: {{num_retries: 0{more}}}\ntollgate: {{allow_anonymous: true}}\n"
    )
}

/// The requests for a token under `name`.
fn fetches(mock: &Mock, name: &str) -> usize {
    mock.requests(&format!("/{name}")).iter().filter(|request| request.path.ends_with("/token")).count()
}

/// The bearer tokens that a provider received under `name`.
fn bearers(mock: &Mock, name: &str) -> Vec<String> {
    let calls = mock.requests(&format!("/issued=1/{name}")).into_iter();
    calls.map(|call| call.header("authorization").unwrap().to_owned()).collect()
}

#[test]
fn a_gateway_that_is_ready_has_every_token() {
    // The provider takes no token but those that it issued, and verifies the account's signature before it issues one.
    for model in ["account", "user", "machine", "azure"] {
        for _ in 0..4 {
            gate().chat("", model).expect_ok();
        }
    }
    let mock = Mock::shared();
    for name in ["tok-account", "tok-user", "tok-machine", "tok-azure"] {
        let bearers = bearers(mock, name);
        assert!(bearers.iter().all(|bearer| bearer.starts_with("Bearer ey.mock-token-")), "{name}: {bearers:?}");
        assert_eq!((bearers.len(), BTreeSet::from_iter(&bearers).len()), (4, 1), "{name}: {bearers:?}");
    }
    for name in ["tok-account", "tok-user", "tok-azure", "computeMetadata"] {
        assert_eq!(fetches(mock, name), 1, "{name}: one fetch for all workers");
    }
}

#[test]
fn no_secret_is_shown() {
    gate().chat("", "account").expect_ok();
    gate().chat("", "azure").expect_ok();
    gate().access_log("anonymous", 2);
    let admin = |path: &str| Request::get(gate().admin_port, path).send().text().to_owned();
    let shown = [gate().stderr(), gate().stdout(), admin("/config_dump"), admin("/stats"), admin("/clusters")];
    let key = account()["private_key"].as_str().unwrap().lines().nth(1).unwrap().to_owned();
    for (place, text) in ["log", "access log", "config dump", "stats", "clusters"].iter().zip(shown) {
        // The config itself names the user's secret; those that it leaves to the environment are nowhere.
        assert!(!text.contains("mock-token-") && !text.contains(&key), "{place}");
        assert!(!text.contains("AADSTS") && (*place == "config dump" || !text.contains("mock-secret")), "{place}");
    }
}

#[test]
fn a_token_is_renewed_before_its_end_and_no_request_fails() {
    let mock = Mock::start("mock-tokens-renewed");
    let deployment = deployment("renewed", "/expires-in=4").replace("{mock}", &mock.address());
    let gate = Gate::start("tokens-renewed", &config(&deployment, ""));
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while start.elapsed() < Duration::from_secs(7) {
                    gate.chat("", "renewed").expect_ok();
                    std::thread::sleep(Duration::from_millis(20));
                }
            });
        }
    });
    let used = BTreeSet::from_iter(bearers(&mock, "renewed")).len();
    let fetched = fetches(&mock, "renewed");
    assert!((2..=4).contains(&fetched) && (2..=fetched).contains(&used), "{fetched} fetched, {used} used");
}

#[test]
fn a_token_outlives_its_endpoint() {
    let mock = Mock::start("mock-tokens-outlived");
    let deployment = deployment("outlived", "/expires-in=4").replace("{mock}", &mock.address());
    let gate = Gate::start("tokens-outlived", &config(&deployment, ""));
    gate.chat("", "outlived").expect_ok();
    let broken = "/_mock/script?match=/expires-in";
    Request::post(mock.port, broken, "status=500").send().expect_ok();
    wait_for("a renewal that fails", || (fetches(&mock, "outlived") > 1).then_some(()));
    gate.chat("", "outlived").expect_ok();
    let refused = wait_for("the token's end", || Some(gate.chat("", "outlived")).filter(|answer| answer.status != 200));
    let error = refused.expect_error(503, "api_error", "upstream_unreachable");
    assert!(error["message"].as_str().unwrap().contains("access token"), "{error}");
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert!(gate.stderr().contains("the token endpoint answered 500: temporarily_unavailable"), "{}", gate.stderr());
    Request::post(mock.port, broken, "status=200").send().expect_ok();
    wait_for("the next token", || (gate.chat("", "outlived").status == 200).then_some(()));
    assert!(bearers(&mock, "outlived").len() > 1);
}

#[test]
fn a_deployment_without_a_token_is_left_out() {
    let dead = deployment("lost", "").replace("http://{mock}/lost/token", "http://{dead}/token");
    let spare = "
- model_name: spare
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/tok-spare/v1', api_key: sk-x}";
    let refused = deployment("refused", "").replace("gateway@", "other@");
    let config = config(&format!("{dead}{refused}{spare}"), ", fallbacks: [{lost: [spare]}]");
    let gate = Gate::start("tokens-lost", &config);
    let answer = gate.chat("", "lost").expect_ok();
    assert_eq!((answer.header("x-tollgate-attempts"), answer.header("x-tollgate-fallbacks")), (Some("1"), Some("1")));
    gate.chat("", "refused").expect_error(503, "api_error", "upstream_unreachable");
    assert!(Mock::shared().requests("/issued=1/refused").is_empty());
    let stderr = gate.stderr();
    assert!(
        stderr.contains("answered 400: invalid_grant") && stderr.contains("no access token from 127.0.0.1:1: "),
        "{stderr}"
    );
    // The worker lives.
    gate.chat("", "spare").expect_ok();
}
