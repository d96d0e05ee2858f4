//! Azure OpenAI behind OpenAI's language: the deployment's path, its own header, what its filters say.

use std::sync::OnceLock;

use serde_json::json;

use crate::harness::{Answer, Gate, Mock, chat};

const CONFIG: &str = "
model_list:
- model_name: key
  litellm_params: {model: azure/harbor, api_base: 'http://{mock}/az-key', api_key: az-key, api_version: 2024-10-21}
- model_name: token
  litellm_params: {model: azure/harbor, api_base: 'http://{mock}/az-token', azure_ad_token: eyToken}
- model_name: v1
  litellm_params: {model: azure/harbor, api_base: 'http://{mock}/az-v1/openai/v1', api_key: az-key}
- model_name: stream
  litellm_params: {model: azure/harbor, api_base: 'http://{mock}/az-stream/usage=9:8', api_key: az-key}
- model_name: priced
  litellm_params: {model: azure/harbor, api_base: 'http://{mock}/az-priced/usage=1000:100', api_key: az-key}
  model_info: {base_model: azure/gpt-4o}
- model_name: reasons
  litellm_params: {model: azure/harbor, api_base: 'http://{mock}/az-reasons', api_key: az-key, drop_params: true}
  model_info: {base_model: azure/o3-mini}
- model_name: filtered
  litellm_params: {model: azure/harbor, api_base: 'http://{mock}/az-filtered/status=400,code=content_filter', api_key: az-key}
- model_name: busy
  litellm_params: {model: azure/harbor, api_base: 'http://{mock}/az-busy/status=429', api_key: az-key}
- model_name: claude
  litellm_params: {model: anthropic/claude-haiku-4-5, api_base: 'http://{mock}/az-claude', api_key: sk-ant}
router_settings: {num_retries: 0, fallbacks: [{busy: [claude]}]}
tollgate:
  keys:
  - {key_alias: app, key: sk-app}
";

fn gate() -> &'static Gate {
    static GATE: OnceLock<Gate> = OnceLock::new();
    GATE.get_or_init(|| Gate::start("azure", CONFIG))
}

fn ask(model: &str, more: &str) -> Answer {
    gate().post("/v1/chat/completions", "sk-app", chat(model, more))
}

#[test]
fn a_deployment_is_asked_at_its_path_with_its_key() {
    ask("key", "").expect_ok();
    let received = Mock::shared().request("/az-key/");
    assert_eq!(received.path, "/az-key/openai/deployments/harbor/chat/completions?api-version=2024-10-21");
    assert_eq!((received.header("api-key"), received.header("authorization")), (Some("az-key"), None));
    assert_eq!(received.json()["model"], "harbor");
    assert!(!format!("{received:?}").contains("sk-app"));
}

#[test]
fn a_token_goes_as_a_bearer() {
    ask("token", "").expect_ok();
    let received = Mock::shared().request("/az-token/");
    assert_eq!((received.header("api-key"), received.header("authorization")), (None, Some("Bearer eyToken")));
}

#[test]
fn the_v1_api_names_the_deployment_in_the_body_alone() {
    ask("v1", "").expect_ok();
    let received = Mock::shared().request("/az-v1/");
    assert_eq!(received.path, "/az-v1/openai/v1/chat/completions");
    assert_eq!(received.json()["model"], "harbor");
}

#[test]
fn what_the_filters_say_first_does_not_break_a_stream() {
    let more = r#","stream":true,"stream_options":{"include_usage":true}"#;
    let answer = ask("stream", more).expect_ok();
    let chunks = answer.chunks();
    assert_eq!((&chunks[0]["choices"], &chunks[0]["id"]), (&json!([]), &json!("")), "{}", answer.text());
    let usage = &chunks.last().unwrap()["usage"];
    assert_eq!((&usage["prompt_tokens"], &usage["completion_tokens"]), (&json!(9), &json!(8)));
    assert!(answer.is_whole && answer.text().ends_with("data: [DONE]\n\n"));
}

#[test]
fn the_base_model_has_the_price_and_the_parameters() {
    let cost = ask("priced", "").expect_ok();
    // gpt-4o: 2.50 USD a million tokens in, 10 USD out.
    assert_eq!(cost.header("x-tollgate-response-cost"), Some("0.0035"));
    ask("reasons", r#","max_tokens":5,"temperature":0.2"#).expect_ok();
    let body = Mock::shared().request("/az-reasons/").json();
    assert_eq!((&body["max_completion_tokens"], body.get("max_tokens")), (&json!(5), None));
    assert_eq!(body.get("temperature"), None);
}

#[test]
fn a_filtered_prompt_says_so() {
    ask("filtered", "").expect_error(400, "invalid_request_error", "content_filter");
}

#[test]
fn a_busy_deployment_gives_way_to_another_vendor() {
    let answer = ask("busy", "").expect_ok();
    assert_eq!(answer.header("x-tollgate-provider"), Some("anthropic"));
    let claude = Mock::shared().request("/az-claude/");
    assert_eq!((claude.header("api-key"), claude.header("x-api-key")), (None, Some("sk-ant")));
}
