//! Anthropic's Messages in front, Anthropic or OpenAI behind. The details of the translation have their golden cases.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::harness::{Answer, Gate, Mock, Request};

const CONFIG: &str = "
model_list:
- model_name: native
  litellm_params: {model: anthropic/claude-haiku-4-5, api_base: 'http://{mock}/ms-native', api_key: sk-ant}
- model_name: betas
  litellm_params:
    model: anthropic/claude-haiku-4-5
    api_base: 'http://{mock}/ms-betas'
    api_key: sk-ant
    extra_headers: {anthropic-beta: config-2026}
- model_name: native-1
  litellm_params: {model: anthropic/claude-haiku-4-5, api_base: 'http://{mock}/ms-native-1/usage=1000:50:600:100,chunk-bytes=1,chunks=2', api_key: sk-ant}
- model_name: native-529
  litellm_params: {model: anthropic/claude-haiku-4-5, api_base: 'http://{mock}/ms-529/status=529', api_key: sk-ant}
- model_name: native-broken
  litellm_params: {model: anthropic/claude-haiku-4-5, api_base: 'http://{mock}/ms-broken/error-stream=2', api_key: sk-ant}
- model_name: bridged
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/ms-bridged/v1', api_key: sk-oa}
- model_name: bridged-11
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/ms-bridged-11/usage=100:50:60,chunk-bytes=11/v1', api_key: sk-oa}
- model_name: bridged-429
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/ms-429/status=429,retry-after=7/v1', api_key: sk-oa}
- model_name: bridged-broken
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/ms-obroken/error-stream=2/v1', api_key: sk-oa}
- model_name: slow
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/ms-slow/delay-ms=5000/v1', api_key: sk-oa, timeout: 0.2}
- model_name: dead
  litellm_params: {model: anthropic/claude-haiku-4-5, api_base: 'http://{dead}', api_key: sk-ant}
- model_name: native-then-bridged
  litellm_params: {model: anthropic/claude-haiku-4-5, api_base: 'http://{mock}/ms-fall-n/status=503', api_key: sk-ant}
- model_name: bridged-then-native
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/ms-fall-b/status=503/v1', api_key: sk-oa}
- model_name: text
  litellm_params: {model: anthropic/claude-haiku-4-5, api_base: 'http://{mock}/ms-text/usage=9:8', api_key: sk-ant}
router_settings:
  num_retries: 0
  fallbacks: [{native-then-bridged: [bridged]}, {bridged-then-native: [native]}]
general_settings: {max_request_size_mb: 0.0625}
tollgate:
  keys:
  - {key_alias: app, key: sk-app}
  - {key_alias: counted, key: sk-counted}
  - {key_alias: counter, key: sk-counter}
  - {key_alias: narrow, key: sk-narrow, models: [bridged]}
";

fn gate() -> &'static Gate {
    static GATE: OnceLock<Gate> = OnceLock::new();
    GATE.get_or_init(|| Gate::start("messages", CONFIG))
}

fn body(model: &str, more: &str) -> String {
    format!(r#"{{"model":"{model}","max_tokens":64,"messages":[{{"role":"user","content":"Hello there"}}]{more}}}"#)
}

fn ask(model: &str, more: &str) -> Answer {
    Request::post(gate().port, "/v1/messages", body(model, more)).header("x-api-key", "sk-app").send()
}

/// The `data` of every event; its `type` is its name.
fn events(answer: &Answer) -> Vec<Value> {
    let names: Vec<&str> = answer.text().lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    let events = answer.chunks();
    assert_eq!(names, events.iter().map(|event| event["type"].as_str().unwrap()).collect::<Vec<_>>());
    events
}

fn text(events: &[Value]) -> String {
    events.iter().filter_map(|event| event["delta"]["text"].as_str()).collect()
}

#[track_caller]
fn expect_error(answer: &Answer, status: u16, type_: &str) {
    let found = answer.json();
    assert_eq!((answer.status, &found["type"], &found["error"]["type"]), (status, &json!("error"), &json!(type_)));
    assert!(found["error"]["message"].as_str().is_some_and(|message| !message.is_empty()), "{found}");
    assert_eq!(answer.header("content-type"), Some("application/json"));
}

#[test]
fn a_message_reaches_anthropic_and_comes_back_byte_for_byte() {
    let more = r#", "thinking" : {"type":"enabled","budget_tokens":1024},"brand_new":1.50"#;
    let answer = ask("native", more).expect_ok();
    let received = Mock::shared().requests("/ms-native/").into_iter().find(|r| r.body.contains("brand_new")).unwrap();
    assert_eq!(received.body, body("claude-haiku-4-5", more));
    assert_eq!((received.path.as_str(), received.header("x-api-key")), ("/ms-native/v1/messages", Some("sk-ant")));
    assert_eq!(received.header("authorization"), None);
    assert_eq!(answer.at("/content/0/type"), "thinking");
    assert_eq!(answer.at("/model"), "claude-haiku-4-5");
    assert!(answer.header("request-id").is_some_and(|id| id.starts_with("req_mock_")));
    assert_eq!(answer.header("x-tollgate-provider"), Some("anthropic"));
}

#[test]
fn versions_and_betas_of_all_sides_reach_anthropic_alone() {
    let send = |model: &str| {
        let request = Request::post(gate().port, "/v1/messages", body(model, "")).key("sk-app");
        let request = request.header("anthropic-version", "2099-01-01");
        request.header("anthropic-beta", "client-2026,config-2026").send().expect_ok()
    };
    send("betas");
    let received = Mock::shared().request("/ms-betas/");
    assert_eq!(received.header("anthropic-version"), Some("2099-01-01"));
    assert_eq!(received.header("anthropic-beta"), Some("config-2026,client-2026"));
    send("bridged");
    for received in Mock::shared().requests("/ms-bridged/") {
        assert!(received.headers.iter().all(|(name, _)| !name.starts_with("anthropic-")), "{received:?}");
    }
}

#[test]
fn a_stream_of_anthropic_passes_and_is_counted() {
    let request = gate().request("/v1/messages", "sk-counted", body("native-1", r#","stream":true"#));
    let answer = request.send().expect_ok();
    let events = events(&answer);
    assert!(answer.is_whole && text(&events).contains("caf\u{e9}"), "{events:#?}");
    assert_eq!(events.last().unwrap()["type"], "message_stop");
    let record = gate().record("counted");
    assert_eq!((&record["input_tokens"], &record["output_tokens"]), (&json!("1000"), &json!("50")), "{record:#}");
    assert_eq!((&record["cached_tokens"], &record["usage_source"]), (&json!("600"), &json!("provider")));
    assert_eq!(record["cost_usd"], "0.000735");
}

#[test]
fn a_message_becomes_a_chat_where_the_vendor_has_no_messages() {
    let more = r#","system":"Be brief.","stop_sequences":["END"],"metadata":{"user_id":"u-1"}"#;
    let answer = ask("bridged", more).expect_ok();
    let received = Mock::shared().requests("/ms-bridged/v1").into_iter().find(|r| r.body.contains("u-1")).unwrap();
    let expected = json!({
        "model": "gpt-4o-mini", "max_tokens": 64, "stop": ["END"], "user": "u-1",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello there"}],
    });
    assert_eq!((received.path.as_str(), received.json()), ("/ms-bridged/v1/chat/completions", expected));
    assert_eq!(received.header("authorization"), Some("Bearer sk-oa"));
    let message = answer.json();
    assert_eq!((&message["type"], &message["role"]), (&json!("message"), &json!("assistant")));
    assert_eq!((&message["stop_reason"], &message["content"][0]["type"]), (&json!("end_turn"), &json!("text")));
    assert!(message["usage"]["input_tokens"].as_u64() > Some(0));
}

#[test]
fn a_bridged_stream_is_told_in_events() {
    let answer = ask("bridged-11", r#","stream":true"#).expect_ok();
    assert!(answer.header("content-type").unwrap().starts_with("text/event-stream"));
    let events = events(&answer);
    let types: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(types[..2], ["message_start", "content_block_start"]);
    assert_eq!(types[types.len() - 3..], ["content_block_stop", "message_delta", "message_stop"]);
    assert!(text(&events).starts_with("The mock provider answers every question"), "{events:#?}");
    let usage = &events[events.len() - 2]["usage"];
    let counts = ["input_tokens", "cache_read_input_tokens", "output_tokens"].map(|name| usage[name].as_u64());
    assert_eq!(counts, [Some(40), Some(60), Some(50)], "{usage}");
}

#[test]
fn every_error_is_in_anthropics_shape() {
    let post = |path: &str, key: &str, body: &str| gate().post(path, key, body);
    expect_error(&post("/v1/messages", "sk-nobody", &body("native", "")), 401, "authentication_error");
    expect_error(&post("/v1/messages/count_tokens", "sk-nobody", &body("native", "")), 401, "authentication_error");
    expect_error(&post("/v1/messages", "sk-narrow", &body("native", "")), 403, "permission_error");
    expect_error(&post("/v1/messages/count_tokens", "sk-narrow", &body("bridged-11", "")), 403, "permission_error");
    expect_error(&ask("nobody", ""), 404, "not_found_error");
    expect_error(&post("/v1/messages/count_tokens", "sk-app", &body("nobody", "")), 404, "not_found_error");
    expect_error(&post("/v1/messages", "sk-app", "{"), 400, "invalid_request_error");
    expect_error(&post("/v1/messages", "sk-app", r#"{"model":"bridged","messages":[]}"#), 400, "invalid_request_error");
    expect_error(&ask("native", &format!(r#","x":"{}""#, "x".repeat(70_000))), 413, "request_too_large");
    expect_error(&ask("native-529", ""), 529, "overloaded_error");
    let limited = ask("bridged-429", "");
    expect_error(&limited, 429, "rate_limit_error");
    assert_eq!(limited.header("retry-after"), Some("7"));
    expect_error(&ask("slow", ""), 504, "timeout_error");
    expect_error(&ask("dead", ""), 503, "api_error");
}

#[test]
fn an_error_in_the_middle_of_a_stream_is_an_event_of_anthropics() {
    for (model, type_) in [("native-broken", "overloaded_error"), ("bridged-broken", "api_error")] {
        let answer = ask(model, r#","stream":true"#).expect_ok();
        let events = events(&answer);
        let last = events.last().unwrap();
        assert_eq!((&last["type"], &last["error"]["type"]), (&json!("error"), &json!(type_)), "{model}");
        assert!(text(&events).starts_with("The mock"), "{model}: {events:#?}");
    }
}

#[test]
fn a_fallback_leads_from_one_language_to_the_other() {
    for (model, provider) in [("native-then-bridged", "openai"), ("bridged-then-native", "anthropic")] {
        for more in ["", r#","stream":true"#] {
            let answer = ask(model, more).expect_ok();
            assert_eq!(answer.header("x-tollgate-provider"), Some(provider), "{model}");
            assert_eq!(answer.header("x-tollgate-fallbacks"), Some("1"));
            assert!(answer.text().contains("The mock"), "{}", answer.text());
        }
    }
    let [first, ..] = &Mock::shared().requests("/ms-fall-n/")[..] else { panic!("nothing was asked") };
    assert_eq!(first.json()["max_tokens"], 64);
}

#[test]
fn tokens_are_counted_at_anthropic_or_here() {
    let count = |model: &str| {
        let question = format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"Hello there"}}]}}"#);
        let answer = gate().post("/v1/messages/count_tokens", "sk-counter", question).expect_ok();
        assert_eq!(answer.json().as_object().unwrap().len(), 1, "{}", answer.text());
        answer.at("/input_tokens").as_u64().unwrap()
    };
    assert_eq!(count("native-1"), 1000);
    let before = Mock::shared().requests("/ms-bridged-11/").len();
    assert!((5..50).contains(&count("bridged-11")));
    assert_eq!(Mock::shared().requests("/ms-bridged-11/").len(), before, "nobody was asked");
    for record in gate().access_log("counter", 2) {
        assert!(matches!(record["cost_usd"].as_str(), None | Some("0")), "counting costs nothing: {record:#}");
    }
}

#[test]
fn a_text_completion_is_answered_by_a_chat() {
    let send = |more: &str| {
        let body = format!(r#"{{"model":"text","prompt":"Once upon","max_tokens":9{more}}}"#);
        gate().post("/v1/completions", "sk-app", body)
    };
    let answer = send("").expect_ok();
    assert_eq!(
        (answer.at("/object"), answer.at("/choices/0/finish_reason")),
        (json!("text_completion"), json!("stop"))
    );
    assert!(answer.at("/choices/0/text").as_str().unwrap().starts_with("The mock"));
    assert_eq!(answer.at("/usage/total_tokens"), 17);
    let stream = send(r#","stream":true"#).expect_ok();
    let texts: String = stream.chunks().iter().filter_map(|chunk| chunk["choices"][0]["text"].as_str()).collect();
    assert!(texts.starts_with("The mock") && stream.text().ends_with("data: [DONE]\n\n"), "{texts}");
    send(r#","echo":true"#).expect_error(400, "invalid_request_error", "unsupported_parameter");
}

#[test]
fn anthropics_own_sdk_finds_nothing_missing() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("target/anthropic-sdk/bin/python");
    assert!(python.exists(), "{} is missing: run `make e2e`", python.display());
    let url = format!("http://127.0.0.1:{}", gate().port);
    let mut command = Command::new(python);
    command.arg(root.join("tests/sdk/anthropic_sdk.py")).args([&url, "sk-app", "native", "bridged"]);
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success() && text.contains("ok "), "{text}");
}
