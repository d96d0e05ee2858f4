//! The Responses API: OpenAI's own passes through, every other vendor is asked a chat completion in its stead.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::harness::{Answer, Gate, Mock, Request};

const CONFIG: &str = "
model_list:
- model_name: native
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/rs-native/usage=1000:50:600/v1', api_key: sk-oa}
- model_name: native-stream
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/rs-native-stream/usage=1000:50:600,chunk-bytes=13/v1', api_key: sk-oa}
- model_name: native-silent
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/rs-silent/no-usage=1/v1', api_key: sk-oa}
- model_name: native-long
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/rs-long/body-bytes=2000000,usage=1000:50/v1', api_key: sk-oa}
- model_name: native-cut
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/rs-native-cut/error-stream=2/v1', api_key: sk-oa}
- model_name: bridged
  litellm_params: {model: anthropic/claude-haiku-4-5, api_base: 'http://{mock}/rs-bridged/usage=1000:50:600', api_key: sk-ant}
- model_name: bridged-stream
  litellm_params: {model: anthropic/claude-haiku-4-5, api_base: 'http://{mock}/rs-bridged-stream/usage=1000:50:600,chunk-bytes=11', api_key: sk-ant}
- model_name: bridged-cut
  litellm_params: {model: anthropic/claude-haiku-4-5, api_base: 'http://{mock}/rs-bridged-cut/error-stream=2', api_key: sk-ant}
- model_name: bridged-error
  litellm_params: {model: anthropic/claude-haiku-4-5, api_base: 'http://{mock}/rs-bridged-error/status=400,code=context_length_exceeded', api_key: sk-ant}
- model_name: native-down
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/rs-native-down/status=503/v1', api_key: sk-oa}
- model_name: after-native
  litellm_params: {model: anthropic/claude-haiku-4-5, api_base: 'http://{mock}/rs-after-native/usage=10:20', api_key: sk-ant}
- model_name: bridged-down
  litellm_params: {model: anthropic/claude-haiku-4-5, api_base: 'http://{mock}/rs-bridged-down/status=529', api_key: sk-ant}
- model_name: after-bridged
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/rs-after-bridged/usage=10:20/v1', api_key: sk-oa}
- model_name: sdk-native
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/rs-sdk/v1', api_key: sk-oa}
- model_name: sdk-bridged
  litellm_params: {model: anthropic/claude-sonnet-4-5, api_base: 'http://{mock}/rs-sdk-claude', api_key: sk-ant}
  model_info: {supports_response_schema: false, supports_reasoning: true}
router_settings:
  num_retries: 0
  fallbacks: [{native-down: [after-native]}, {bridged-down: [after-bridged]}]
tollgate:
  keys:
  - {key_alias: app, key: sk-app}
  - {key_alias: rs-native, key: sk-rs-native}
  - {key_alias: rs-native-stream, key: sk-rs-native-stream}
  - {key_alias: rs-silent, key: sk-rs-silent}
  - {key_alias: rs-long, key: sk-rs-long}
  - {key_alias: rs-bridged, key: sk-rs-bridged}
  - {key_alias: rs-bridged-stream, key: sk-rs-bridged-stream}
";

fn gate() -> &'static Gate {
    static GATE: OnceLock<Gate> = OnceLock::new();
    GATE.get_or_init(|| Gate::start("responses", CONFIG))
}

fn ask(key: &str, body: &Value) -> Answer {
    gate().post("/v1/responses", key, body.to_string())
}

/// What the record of the only request of this key says of its tokens.
fn counted(alias: &str) -> [String; 4] {
    let record = gate().record(alias);
    ["input_tokens", "output_tokens", "cached_tokens", "usage_source"]
        .map(|name| record[name].as_str().unwrap().to_owned())
}

/// The types of the events, each once where it comes in a row.
fn types(events: &[Value]) -> Vec<&str> {
    let mut types: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    types.dedup();
    types
}

const TEXT_EVENTS: [&str; 9] = [
    "response.created",
    "response.in_progress",
    "response.output_item.added",
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.done",
    "response.content_part.done",
    "response.output_item.done",
    "response.completed",
];

#[test]
fn openai_gets_the_body_as_it_is() {
    let body = r#"{ "model": "native", "input": [{"type":"item_reference","id":"msg_1"}], "previous_response_id":"resp_1","temperature":1.0, "tools":[{"type":"mcp","server_label":"x"}]}"#;
    let answer = gate().post("/v1/responses", "sk-rs-native", body).expect_ok();
    let received = Mock::shared().request("/rs-native/");
    assert_eq!(received.body, body.replace("\"native\"", "\"gpt-4o-mini\""));
    assert!(received.path.ends_with("/v1/responses"), "{}", received.path);
    assert_eq!(received.header("authorization"), Some("Bearer sk-oa"));
    let response = answer.json();
    assert_eq!((&response["object"], &response["usage"]["total_tokens"]), (&json!("response"), &json!(1050)));
    // gpt-4o-mini: 0.15 USD, 0.075 cached and 0.6 USD for a million tokens.
    assert_eq!(answer.header("x-tollgate-response-cost"), Some("0.000135"));
    assert_eq!(counted("rs-native"), ["1000", "50", "600", "provider"]);
}

#[test]
fn openais_events_pass_and_their_usage_is_read() {
    let body = json!({"model": "native-stream", "input": "Hello", "stream": true});
    let answer = ask("sk-rs-native-stream", &body).expect_ok();
    assert!(answer.is_whole && !answer.text().contains("[DONE]"), "{}", answer.text());
    let events = answer.chunks();
    assert_eq!(types(&events), TEXT_EVENTS);
    assert_eq!(events.last().unwrap()["response"]["usage"]["output_tokens"], 50);
    assert!(Mock::shared().request("/rs-native-stream/").json().get("stream_options").is_none());
    assert_eq!(counted("rs-native-stream"), ["1000", "50", "600", "provider"]);
}

#[test]
fn usage_that_openai_does_not_say_is_estimated() {
    ask("sk-rs-silent", &json!({"model": "native-silent", "input": "Hello", "stream": true})).expect_ok();
    let [input, output, _, source] = counted("rs-silent");
    assert_eq!((input.as_str(), source.as_str()), ("2", "estimated"));
    assert!(output.parse::<u64>().unwrap() > 30, "{output}");
}

#[test]
fn a_response_beyond_every_buffer_passes_and_is_counted() {
    let answer = ask("sk-rs-long", &json!({"model": "native-long", "input": "Hello"})).expect_ok();
    assert!(answer.body.len() > 2_000_000);
    assert_eq!(counted("rs-long"), ["1000", "50", "0", "provider"]);
}

#[test]
fn anthropic_is_asked_a_message() {
    let answer = ask(
        "sk-rs-bridged",
        &json!({
            "model": "bridged", "instructions": "Be brief.", "max_output_tokens": 64, "metadata": {"a": "b"},
            "input": [
                {"role": "user", "content": [
                    {"type": "input_text", "text": "What is caf\u{e9}?"},
                    {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo=", "detail": "auto"},
                ]},
            ],
        }),
    );
    let answer = answer.expect_ok();
    let expected = json!({
        "model": "claude-haiku-4-5", "max_tokens": 64,
        "system": [{"type": "text", "text": "Be brief."}],
        "messages": [{"role": "user", "content": [
            {"type": "text", "text": "What is caf\u{e9}?"},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}},
        ]}],
    });
    assert_eq!(Mock::shared().request("/rs-bridged/").json(), expected);
    let response = answer.json();
    assert_eq!((&response["object"], &response["status"]), (&json!("response"), &json!("completed")));
    assert_eq!((&response["instructions"], &response["metadata"]["a"]), (&json!("Be brief."), &json!("b")));
    assert!(answer.at("/output/0/content/0/text").as_str().unwrap().starts_with("The mock provider answers"));
    assert_eq!(answer.at("/usage/input_tokens_details/cached_tokens"), 600);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    // claude-haiku-4-5: 1 USD, 0.1 cached and 5 USD for a million tokens.
    assert_eq!(answer.header("x-tollgate-response-cost"), Some("0.00071"));
    assert_eq!(counted("rs-bridged"), ["1000", "50", "600", "provider"]);
}

#[test]
fn anthropics_stream_becomes_the_events_of_a_response() {
    let answer = ask("sk-rs-bridged-stream", &json!({"model": "bridged-stream", "input": "Hello", "stream": true}));
    let answer = answer.expect_ok();
    assert!(answer.header("content-type").unwrap().starts_with("text/event-stream"));
    assert!(answer.is_whole && !answer.text().contains("[DONE]"), "{}", answer.text());
    let events = answer.chunks();
    assert_eq!(types(&events), TEXT_EVENTS);
    let response = &events.last().unwrap()["response"];
    let deltas: String = events.iter().filter_map(|event| event["delta"].as_str()).collect();
    assert_eq!(response["output"][0]["content"][0]["text"], deltas);
    assert_eq!((&response["usage"]["input_tokens"], &response["usage"]["output_tokens"]), (&json!(1000), &json!(50)));
    assert_eq!(counted("rs-bridged-stream"), ["1000", "50", "600", "provider"]);
}

#[test]
fn a_fallback_may_lead_from_openai_to_anthropic_and_back() {
    for (group, part, model) in [
        ("native-down", "/rs-after-native/", "claude-haiku-4-5"),
        ("bridged-down", "/rs-after-bridged/", "gpt-4o-mini"),
    ] {
        for stream in [false, true] {
            let answer = ask("sk-app", &json!({"model": group, "input": "Hello", "stream": stream})).expect_ok();
            assert_eq!(answer.header("x-tollgate-fallbacks"), Some("1"), "{group}");
            let response = if stream { answer.chunks().pop().unwrap()["response"].clone() } else { answer.json() };
            assert_eq!((&response["object"], &response["model"]), (&json!("response"), &json!(model)), "{group}");
            assert_eq!(response["usage"]["total_tokens"], 30);
        }
        let received = Mock::shared().requests(part);
        assert_eq!(received.len(), 2);
        assert_eq!(received[0].json().get("input").is_some(), group == "bridged-down");
    }
}

#[test]
fn an_error_in_the_middle_of_a_stream_is_an_event() {
    let answer = ask("sk-app", &json!({"model": "native-cut", "input": "Hello", "stream": true})).expect_ok();
    let events = answer.chunks();
    assert_eq!((types(&events).last(), answer.is_whole), (Some(&"error"), true));
    let answer = ask("sk-app", &json!({"model": "bridged-cut", "input": "Hello", "stream": true})).expect_ok();
    let events = answer.chunks();
    let [.., error, failed] = events.as_slice() else { panic!("no events") };
    assert_eq!((&error["type"], &error["message"]), (&json!("error"), &json!("Overloaded")));
    assert_eq!((&failed["type"], &failed["response"]["status"]), (&json!("response.failed"), &json!("failed")));
    assert!(answer.is_whole);
}

#[test]
fn an_error_is_openais() {
    let error = ask("sk-app", &json!({"model": "bridged-error", "input": "Hello"}));
    error.expect_error(400, "invalid_request_error", "context_length_exceeded");
    let error = ask("sk-app", &json!({"model": "bridged", "input": "x", "conversation": "conv_1"}));
    let error = error.expect_error(400, "invalid_request_error", "unsupported_parameter");
    assert_eq!(error["param"], "conversation");
    let error = ask("sk-app", &json!({"model": "bridged", "input": [{"role": "user", "content": 1}]}));
    assert_eq!(error.expect_error(400, "invalid_request_error", "invalid_type")["param"], "input[0].content");
    let kept = Request::get(gate().port, "/v1/responses/resp_1").key("sk-app").send();
    kept.expect_error(404, "invalid_request_error", "unknown_endpoint");
}

#[test]
fn openais_own_sdk_finds_nothing_missing() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("target/openai-sdk/bin/python");
    assert!(python.exists(), "{} is missing: run `make e2e`", python.display());
    let url = format!("http://127.0.0.1:{}/v1", gate().port);
    let mut command = Command::new(python);
    command.arg(root.join("tests/sdk/responses_sdk.py"));
    let output = command.args([&url, "sk-app", "sdk-native", "sdk-bridged"]).output().unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success() && text.contains("ok asynchronous sdk-bridged"), "{text}");
    let received = Mock::shared().requests("/rs-sdk-claude/");
    let signed = |body: &Value| body["messages"][1]["content"][0]["signature"] == "bW9jay1zaWduYXR1cmU=";
    assert!(received.iter().any(|request| signed(&request.json())), "the reasoning came back to its provider");
}
