//! Vendors that speak OpenAI's language with an accent: what they get, and what the client gets of their answers.

use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::harness::{Answer, Gate, Mock, Request, chat, deltas};

const CONFIG: &str = "
model_list:
- model_name: groq
  litellm_params: {model: groq/qwen/qwen3-32b, api_base: 'http://{mock}/di-groq/dialect=groq,usage=9:8/openai/v2', api_key: gsk-x}
- model_name: mistral
  litellm_params: {model: mistral/magistral-medium-latest, api_base: 'http://{mock}/di-mistral/dialect=mistral,usage=9:8/v1', api_key: mi-x}
- model_name: mistral-cut
  litellm_params: {model: mistral/magistral-medium-latest, api_base: 'http://{mock}/di-cut/dialect=mistral,usage=9:8,chunk-bytes=3/v1', api_key: mi-x}
- model_name: vllm
  litellm_params: {model: hosted_vllm/llama, api_base: 'http://{mock}/di-vllm/v1', api_key: vl-x, extra_body: {priority: 3}}
- model_name: deepseek
  litellm_params: {model: deepseek/deepseek-chat, api_base: 'http://{mock}/di-deepseek', api_key: ds-x}
- model_name: openrouter
  litellm_params: {model: openrouter/openai/gpt-4o, api_base: 'http://{mock}/di-openrouter/api/v1', api_key: or-x}
- model_name: o3
  litellm_params: {model: openai/o3-mini, api_base: 'http://{mock}/di-o3/v1', api_key: sk-o3}
- model_name: down
  litellm_params: {model: together_ai/x/y, api_base: 'http://{mock}/di-down/status=503/v1', api_key: to-x}
router_settings: {num_retries: 0, fallbacks: [{down: [mistral]}]}
tollgate:
  keys:
  - {key_alias: app, key: sk-app}
";

fn gate() -> &'static Gate {
    static GATE: OnceLock<Gate> = OnceLock::new();
    GATE.get_or_init(|| Gate::start("dialects", CONFIG))
}

fn ask(body: &Value) -> Answer {
    gate().post("/v1/chat/completions", "sk-app", body.to_string())
}

#[test]
fn reasoning_is_found_where_clients_look_for_it() {
    for model in ["groq", "mistral"] {
        let message = gate().chat("sk-app", model).expect_ok().at("/choices/0/message");
        assert_eq!(message["reasoning_content"], "The question is about caf\u{e9}s.", "{message}");
        assert!(message["content"].as_str().unwrap().starts_with("The mock provider"), "{message}");
        assert_eq!(message.get("reasoning"), None);
    }
}

#[test]
fn a_stream_is_reshaped_however_it_is_cut() {
    for model in ["groq", "mistral", "mistral-cut"] {
        let more = r#","stream":true,"stream_options":{"include_usage":true}"#;
        let answer = gate().post("/v1/chat/completions", "sk-app", chat(model, more)).expect_ok();
        let chunks = answer.chunks();
        assert_eq!(deltas(&chunks, "reasoning_content"), "The question is about caf\u{e9}s.", "{model}");
        assert!(deltas(&chunks, "content").starts_with("The mock provider"), "{model}: {}", answer.text());
        let last = chunks.last().unwrap();
        assert_eq!((&last["choices"], &last["usage"]["completion_tokens"]), (&json!([]), &json!(8)), "{model}");
        assert!(answer.text().ends_with("data: [DONE]\n\n"));
    }
    let answer = gate().post("/v1/chat/completions", "sk-app", chat("mistral", r#","stream":true"#)).expect_ok();
    assert!(!answer.text().contains("completion_tokens"), "nobody asked for usage: {}", answer.text());
}

#[test]
fn mistral_gets_what_it_knows_and_nothing_else() {
    let answer = ask(&json!({
        "model": "mistral", "user": "u", "seed": 7, "max_completion_tokens": 9, "n": 1, "metadata": {"a": "b"}, "store": false,
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"$schema": "s", "type": "object"}}}],
        "tool_choice": "required",
        "messages": [
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "name": "ann", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        ],
    }));
    answer.expect_ok();
    let body = Mock::shared().requests("/di-mistral/").into_iter().map(|got| got.json());
    let body = body.into_iter().find(|body| body["random_seed"] == 7).unwrap();
    let expected = json!({
        "model": "magistral-medium-latest", "random_seed": 7, "max_tokens": 9, "tool_choice": "any",
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "ab"}],
    });
    assert_eq!(body, expected);
}

#[test]
fn every_vendor_is_asked_its_own_way() {
    let more = r#","reasoning_effort":"low""#;
    for model in ["vllm", "deepseek", "openrouter"] {
        gate().post("/v1/chat/completions", "sk-app", chat(model, more)).expect_ok();
    }
    let vllm = Mock::shared().request("/di-vllm/");
    assert_eq!(
        (vllm.path.as_str(), vllm.header("authorization")),
        ("/di-vllm/v1/chat/completions", Some("Bearer vl-x"))
    );
    assert_eq!((&vllm.json()["priority"], &vllm.json()["reasoning_effort"]), (&json!(3), &json!("low")));
    let deepseek = Mock::shared().request("/di-deepseek/");
    assert_eq!(deepseek.header("authorization"), Some("Bearer ds-x"));
    assert_eq!(deepseek.json()["thinking"], json!({"type": "enabled"}));
    let openrouter = Mock::shared().request("/di-openrouter/");
    assert_eq!(
        (openrouter.header("x-title"), &openrouter.json()["usage"]),
        (Some("Tollgate"), &json!({"include": true}))
    );
}

#[test]
fn a_model_that_reasons_takes_no_other_temperature() {
    let refused = ask(&json!({"model": "o3", "messages": [], "temperature": 0.5}));
    let error = refused.expect_error(400, "invalid_request_error", "unsupported_parameter");
    assert_eq!(error["param"], "temperature");
    let body = json!({"model": "o3", "messages": [], "temperature": 0.5, "max_tokens": 7, "drop_params": true});
    ask(&body).expect_ok();
    let sent = Mock::shared().request("/di-o3/").json();
    assert_eq!(sent, json!({"model": "o3-mini", "messages": [], "max_completion_tokens": 7}));
}

#[test]
fn an_endpoint_that_a_vendor_lacks_is_refused_by_name() {
    let answer = Request::post(gate().port, "/v1/embeddings", r#"{"model":"groq","input":"a"}"#).key("sk-app").send();
    let error = answer.expect_error(400, "invalid_request_error", "unsupported_endpoint");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("groq") && message.contains("/embeddings"), "{message}");
}

#[test]
fn a_fallback_is_asked_in_its_own_accent() {
    let answer = ask(&json!({"model": "down", "seed": 11, "messages": [{"role": "user", "content": "x"}]})).expect_ok();
    assert_eq!(answer.header("x-tollgate-provider"), Some("mistral"));
    let bodies: Vec<Value> = Mock::shared().requests("/di-mistral/").into_iter().map(|got| got.json()).collect();
    assert!(bodies.iter().any(|body| body["random_seed"] == 11));
    assert_eq!(Mock::shared().request("/di-down/").json()["seed"], 11);
}
