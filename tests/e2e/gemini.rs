//! OpenAI's language in front, Google's behind, at AI Studio and on Vertex. Every detail of the translation has its
//! golden case; here is the whole of it on its way through Envoy.

use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::harness::{Answer, Gate, Mock, chat};

const CONFIG: &str = "
model_list:
- model_name: gemini
  litellm_params: {model: gemini/gemini-2.5-flash, api_base: 'http://{mock}/ge-text/usage=1000:50:600/v1beta', api_key: ge-key}
- model_name: cost
  litellm_params: {model: gemini/gemini-2.5-flash, api_base: 'http://{mock}/ge-cost/usage=1000:50:600', api_key: ge-key}
- model_name: tools
  litellm_params: {model: gemini/gemini-2.5-flash, api_base: 'http://{mock}/ge-tools', api_key: ge-key}
- model_name: cut
  litellm_params: {model: gemini/gemini-2.5-flash, api_base: 'http://{mock}/ge-cut/usage=9:8,chunk-bytes=11', api_key: ge-key}
- model_name: broken
  litellm_params: {model: gemini/gemini-2.5-flash, api_base: 'http://{mock}/ge-broken/error-stream=2', api_key: ge-key}
- model_name: error-429
  litellm_params: {model: gemini/gemini-2.5-flash, api_base: 'http://{mock}/ge-429/status=429', api_key: ge-key}
- model_name: error-context
  litellm_params: {model: gemini/gemini-2.5-flash, api_base: 'http://{mock}/ge-ctx/status=400,code=context_length_exceeded', api_key: ge-key}
- model_name: down
  litellm_params: {model: gemini/gemini-2.5-flash, api_base: 'http://{mock}/ge-down/status=503', api_key: ge-key}
- model_name: up
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/ge-up/v1', api_key: sk-up}
- model_name: vectors
  litellm_params: {model: gemini/gemini-embedding-001, api_base: 'http://{mock}/ge-vectors', api_key: ge-key}
- model_name: vertex
  litellm_params: {model: vertex_ai/gemini-2.5-pro, api_base: 'http://{mock}', api_key: ge-key, vertex_project: ge-vertex}
- model_name: vertex-vectors
  litellm_params: {model: vertex_ai/text-embedding-005, api_base: 'http://{mock}', api_key: ge-key, vertex_project: ge-vectors-v}
- model_name: claude
  litellm_params: {model: vertex_ai/claude-haiku-4-5@20251001, api_base: 'http://{mock}', api_key: ge-key, vertex_project: ge-claude, vertex_location: global}
router_settings: {num_retries: 0, fallbacks: [{down: [up]}]}
tollgate:
  keys:
  - {key_alias: app, key: sk-app}
  - {key_alias: cost, key: sk-cost}
";

fn gate() -> &'static Gate {
    static GATE: OnceLock<Gate> = OnceLock::new();
    GATE.get_or_init(|| Gate::start("gemini", CONFIG))
}

fn ask(body: &Value) -> Answer {
    gate().post("/v1/chat/completions", "sk-app", body.to_string())
}

#[test]
fn a_chat_reaches_gemini_as_contents() {
    let answer = ask(&json!({
        "model": "gemini", "max_tokens": 64, "temperature": 0.5, "stop": "END",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [
                {"type": "text", "text": "What is caf\u{e9}?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
            ]},
            {"role": "assistant", "content": "Coffee."},
            {"role": "user", "content": "More."},
        ],
    }));
    let answer = answer.expect_ok();
    let received = Mock::shared().request("/ge-text/");
    let expected = json!({
        "system_instruction": {"parts": [{"text": "Be brief."}]},
        "contents": [
            {"role": "user", "parts": [
                {"text": "What is caf\u{e9}?"}, {"inline_data": {"mime_type": "image/png", "data": "iVBORw0KGgo="}},
            ]},
            {"role": "model", "parts": [{"text": "Coffee."}]},
            {"role": "user", "parts": [{"text": "More."}]},
        ],
        "generationConfig": {"max_output_tokens": 64, "temperature": 0.5, "stop_sequences": ["END"]},
    });
    assert_eq!(received.json(), expected, "{}", received.body);
    assert_eq!(received.path, "/ge-text/usage=1000:50:600/v1beta/models/gemini-2.5-flash:generateContent");
    assert_eq!(received.header("x-goog-api-key"), Some("ge-key"));
    assert_eq!(received.header("authorization"), None);
    assert!(!format!("{received:?}").contains("sk-app"));
    let answer = answer.json();
    assert_eq!((&answer["object"], &answer["model"]), (&json!("chat.completion"), &json!("gemini-2.5-flash")));
    let choice = &answer["choices"][0];
    assert_eq!((&choice["message"]["role"], &choice["finish_reason"]), (&json!("assistant"), &json!("stop")));
    assert!(choice["message"]["content"].as_str().unwrap().starts_with("The mock provider answers"), "{choice}");
    let usage = &answer["usage"];
    let counts =
        (&usage["prompt_tokens"], &usage["completion_tokens"], &usage["prompt_tokens_details"]["cached_tokens"]);
    assert_eq!(counts, (&json!(1000), &json!(50), &json!(600)));
}

#[test]
fn a_tool_is_called_and_its_result_comes_back_signed() {
    let parameters =
        json!({"type": "object", "properties": {"location": {"type": "string"}}, "additionalProperties": false});
    let tools = json!([{"type": "function", "function": {"name": "get_weather", "parameters": parameters}}]);
    let question = json!({"role": "user", "content": "The weather, both"});
    let answer = ask(&json!({"model": "tools", "tools": tools, "tool_choice": "required", "messages": [question]}));
    let choice = answer.expect_ok().at("/choices/0").clone();
    assert_eq!(choice["finish_reason"], "tool_calls");
    // A client of OpenAI's keeps no more of a call than this.
    let kept = |call: &Value| json!({"id": call["id"], "type": "function", "function": call["function"]});
    let calls: Vec<Value> = choice["message"]["tool_calls"].as_array().unwrap().iter().map(kept).collect();
    assert_eq!(calls.len(), 2);
    let result = |call: &Value| json!({"role": "tool", "tool_call_id": call["id"], "content": "12 degrees"});
    let messages = json!([question, {"role": "assistant", "content": null, "tool_calls": calls}, result(&calls[0]), result(&calls[1])]);
    let answer = ask(&json!({"model": "tools", "tools": tools, "messages": messages})).expect_ok();
    assert_eq!(answer.at("/choices/0/finish_reason"), "stop");
    let received = Mock::shared().requests("/ge-tools/");
    assert_eq!(received[0].json()["toolConfig"], json!({"functionCallingConfig": {"mode": "ANY"}}));
    let turns = received[1].json()["contents"].clone();
    let arguments = json!({"location": "Berlin", "unit": "celsius", "days": [1, 2, 3]});
    assert_eq!(
        turns[1]["parts"],
        json!([
            {"function_call": {"name": "get_weather", "args": arguments}, "thoughtSignature": "bW9jay1zaWduYXR1cmU="},
            {"function_call": {"name": "get_weather", "args": arguments}},
        ])
    );
    let response = json!({"function_response": {"name": "get_weather", "response": {"content": "12 degrees"}}});
    assert_eq!(turns[2], json!({"role": "user", "parts": [response, response]}));
}

#[test]
fn a_stream_in_pieces_is_the_whole_answer() {
    let body = chat("cut", r#","stream":true,"stream_options":{"include_usage":true}"#);
    let answer = gate().post("/v1/chat/completions", "sk-app", body).expect_ok();
    let chunks = answer.chunks();
    let text: String = chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect();
    assert!(text.starts_with("The mock provider answers") && text.contains("caf\u{e9}"), "{text}");
    assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
    assert_eq!(chunks[chunks.len() - 2]["choices"][0]["finish_reason"], "stop");
    assert_eq!(chunks[chunks.len() - 1]["usage"]["total_tokens"], 17);
    assert!(answer.text().ends_with("data: [DONE]\n\n"));
    assert!(Mock::shared().request("/ge-cut/").path.ends_with(":streamGenerateContent?alt=sse"));
}

#[test]
fn an_error_in_a_stream_ends_it() {
    let body = chat("broken", r#","stream":true"#);
    let answer = gate().post("/v1/chat/completions", "sk-app", body).expect_ok();
    let text = answer.text();
    assert!(text.contains("event: error\ndata: {\"error\":{\"message\":\"The model is overloaded."), "{text}");
    assert!(!text.contains("[DONE]"));
}

#[test]
fn a_record_has_the_providers_tokens_and_their_cost() {
    gate().chat("sk-cost", "cost").expect_ok();
    let record = gate().record("cost");
    let names = ["provider", "model", "input_tokens", "output_tokens", "cached_tokens", "usage_source", "cost_usd"];
    let expected = ["gemini", "gemini-2.5-flash", "1000", "50", "600", "provider", "0.000263"];
    assert_eq!(names.map(|name| record[name].clone()), expected.map(Value::from));
}

#[test]
fn errors_are_in_openais_words() {
    gate().chat("sk-app", "error-429").expect_error(429, "rate_limit_error", "rate_limit_exceeded");
    gate().chat("sk-app", "error-context").expect_error(400, "invalid_request_error", "context_length_exceeded");
}

#[test]
fn another_vendor_steps_in() {
    let answer = gate().chat("sk-app", "down").expect_ok();
    assert!(answer.at("/choices/0/message/content").as_str().unwrap().starts_with("The mock provider answers"));
    assert_eq!(Mock::shared().requests("/ge-up/").len(), 1);
}

#[test]
fn embeddings_come_as_numbers_and_as_base64() {
    let embed = |model: &str, format: &str| {
        let body = json!({"model": model, "input": ["a", "b"], "encoding_format": format});
        gate().post("/v1/embeddings", "sk-app", body.to_string()).expect_ok().json()
    };
    for model in ["vectors", "vertex-vectors"] {
        let (numbers, base64) = (embed(model, "float"), embed(model, "base64"));
        assert_eq!(numbers["data"][1]["embedding"].as_array().unwrap().len(), 8);
        // Eight floats of four bytes.
        assert_eq!(base64["data"][1]["embedding"].as_str().unwrap().len(), 44);
    }
    assert_eq!(embed("vertex-vectors", "float")["usage"], json!({"prompt_tokens": 4, "total_tokens": 4}));
}

#[test]
fn vertex_has_its_own_paths() {
    gate().chat("sk-app", "vertex").expect_ok();
    let received = Mock::shared().request("/ge-vertex/");
    let path = "/v1/projects/ge-vertex/locations/us-central1/publishers/google/models/gemini-2.5-pro:generateContent";
    assert_eq!((received.path.as_str(), received.header("x-goog-api-key")), (path, Some("ge-key")));
}

#[test]
fn claude_on_vertex_gets_a_message_without_its_model() {
    let answer = ask(&json!({"model": "claude", "max_tokens": 9, "messages": [{"role": "user", "content": "u"}]}));
    assert!(answer.expect_ok().at("/choices/0/message/content").as_str().unwrap().starts_with("The mock"));
    let received = Mock::shared().request("/ge-claude/");
    let path =
        "/v1/projects/ge-claude/locations/global/publishers/anthropic/models/claude-haiku-4-5@20251001:rawPredict";
    assert_eq!(received.path, path);
    let content = json!([{"type": "text", "text": "u"}]);
    let expected = json!({"anthropic_version": "vertex-2023-10-16", "max_tokens": 9,
        "messages": [{"role": "user", "content": content}]});
    assert_eq!(received.json(), expected);
    assert_eq!((received.header("x-api-key"), received.header("anthropic-version")), (None, None));
}
