//! OpenAI's language in front, Anthropic's behind. Every detail of the translation has its golden case; here is the
//! whole of it on its way through Envoy.

use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::harness::{Answer, Gate, Mock, Received, Request, calls, chat, deltas, weather};

const CONFIG: &str = "
model_list:
- model_name: claude
  litellm_params: {model: anthropic/claude-haiku-4-5, api_base: 'http://{mock}/an-claude', api_key: sk-ant}
- model_name: headers
  litellm_params: {model: anthropic/claude-haiku-4-5, api_base: 'http://{mock}/an-headers/v1', api_key: sk-ant}
- model_name: tools
  litellm_params: {model: anthropic/claude-haiku-4-5, api_base: 'http://{mock}/an-tools', api_key: sk-ant}
- model_name: cached
  litellm_params: {model: anthropic/claude-haiku-4-5, api_base: 'http://{mock}/an-cached/usage=1000:50:600:100', api_key: sk-ant}
- model_name: cut-1
  litellm_params: {model: anthropic/claude-haiku-4-5, api_base: 'http://{mock}/an-cut-1/usage=9:8,chunk-bytes=1,chunks=2', api_key: sk-ant}
- model_name: cut-11
  litellm_params: {model: anthropic/claude-haiku-4-5, api_base: 'http://{mock}/an-cut-11/usage=9:8,chunk-bytes=11', api_key: sk-ant}
- model_name: big
  litellm_params: {model: anthropic/claude-haiku-4-5, api_base: 'http://{mock}/an-big/body-bytes=3000000', api_key: sk-ant}
- model_name: broken
  litellm_params: {model: anthropic/claude-haiku-4-5, api_base: 'http://{mock}/an-broken/error-stream=2', api_key: sk-ant}
- model_name: garbage
  litellm_params: {model: anthropic/claude-haiku-4-5, api_base: 'http://{mock}/an-garbage/garbage=1', api_key: sk-ant}
- model_name: gzip
  litellm_params: {model: anthropic/claude-haiku-4-5, api_base: 'http://{mock}/an-gzip/gzip=1', api_key: sk-ant}
- model_name: error-400
  litellm_params: {model: anthropic/claude-haiku-4-5, api_base: 'http://{mock}/an-400/status=400', api_key: sk-ant}
- model_name: error-context
  litellm_params: {model: anthropic/claude-haiku-4-5, api_base: 'http://{mock}/an-ctx/status=400,code=context_length_exceeded', api_key: sk-ant}
- model_name: error-404
  litellm_params: {model: anthropic/claude-haiku-4-5, api_base: 'http://{mock}/an-404/status=404', api_key: sk-ant}
- model_name: error-529
  litellm_params: {model: anthropic/claude-haiku-4-5, api_base: 'http://{mock}/an-529/status=529', api_key: sk-ant}
router_settings: {num_retries: 0}
tollgate:
  keys:
  - {key_alias: app, key: sk-app}
";

fn gate() -> &'static Gate {
    static GATE: OnceLock<Gate> = OnceLock::new();
    GATE.get_or_init(|| Gate::start("anthropic", CONFIG))
}

fn ask(body: &Value) -> Answer {
    gate().post("/v1/chat/completions", "sk-app", body.to_string())
}

#[test]
fn a_chat_reaches_anthropic_as_a_message() {
    let answer = ask(&json!({
        "model": "claude", "max_tokens": 64, "temperature": 0.5, "stop": "END", "user": "u-1",
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
    let received = Mock::shared().request("/an-claude/");
    let expected = json!({
        "model": "claude-haiku-4-5", "max_tokens": 64, "temperature": 0.5, "stop_sequences": ["END"],
        "metadata": {"user_id": "u-1"},
        "system": [{"type": "text", "text": "Be brief."}],
        "messages": [
            {"role": "user", "content": [
                {"type": "text", "text": "What is caf\u{e9}?"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}},
            ]},
            {"role": "assistant", "content": [{"type": "text", "text": "Coffee."}]},
            {"role": "user", "content": [{"type": "text", "text": "More."}]},
        ],
    });
    assert_eq!(plain(received.json()), expected, "{}", received.body);
    assert_eq!(received.header("content-length"), Some(received.body.len().to_string().as_str()));
    let answer = answer.json();
    assert_eq!(answer["object"], "chat.completion");
    assert_eq!(answer["model"], "claude-haiku-4-5");
    let choice = &answer["choices"][0];
    assert_eq!((&choice["message"]["role"], &choice["finish_reason"]), (&json!("assistant"), &json!("stop")));
    assert!(choice["message"]["content"].as_str().unwrap().starts_with("The mock provider answers"), "{choice}");
    assert!(answer["usage"]["total_tokens"].as_u64() > Some(0));
}

/// A text block in the place of a text alone: both mean the same to Anthropic.
fn plain(mut body: Value) -> Value {
    let block = |content: &mut Value| {
        if let Some(text) = content.as_str() {
            *content = json!([{"type": "text", "text": text}]);
        }
    };
    block(&mut body["system"]);
    body["messages"].as_array_mut().unwrap().iter_mut().for_each(|message| block(&mut message["content"]));
    body.as_object_mut().unwrap().retain(|name, value| name != "stream" || value != &json!(false));
    body
}

#[test]
fn anthropic_gets_its_path_its_key_and_its_version() {
    gate().chat("sk-app", "headers").expect_ok();
    let received = Mock::shared().request("/an-headers/");
    assert_eq!(received.path, "/an-headers/v1/messages");
    assert_eq!(received.header("x-api-key"), Some("sk-ant"));
    assert_eq!(received.header("anthropic-version"), Some("2023-06-01"));
    assert_eq!(received.header("authorization"), None);
    assert!(!format!("{received:?}").contains("sk-app"));
}

#[test]
fn a_tool_is_called_and_its_result_comes_back() {
    let question = json!({"role": "user", "content": "The weather, please"});
    let answer = ask(&json!({"model": "tools", "tools": weather(), "tool_choice": "required", "messages": [question]}));
    let answer = answer.expect_ok();
    let choice = answer.at("/choices/0");
    assert_eq!(choice["finish_reason"], "tool_calls");
    let call = choice["message"]["tool_calls"][0].clone();
    assert_eq!((&call["type"], &call["function"]["name"]), (&json!("function"), &json!("get_weather")));
    let arguments: Value = serde_json::from_str(call["function"]["arguments"].as_str().unwrap()).unwrap();
    assert_eq!(arguments, json!({"location": "Berlin", "unit": "celsius", "days": [1, 2, 3]}));

    let result = json!({"role": "tool", "tool_call_id": call["id"], "content": "12 degrees"});
    let messages = json!([question, choice["message"], result]);
    let answer = ask(&json!({"model": "tools", "tools": weather(), "messages": messages})).expect_ok();
    assert_eq!(answer.at("/choices/0/finish_reason"), "stop");

    let [first, second] = Mock::shared().requests("/an-tools/").try_into().unwrap();
    let (first, second): (Received, Received) = (first, second);
    let tool = &first.json()["tools"][0];
    assert_eq!((&tool["name"], &tool["input_schema"]["required"]), (&json!("get_weather"), &json!(["location"])));
    assert_eq!(first.json()["tool_choice"]["type"], "any");
    let turns = second.json()["messages"].clone();
    assert_eq!(
        turns[1]["content"][0],
        json!({"type": "tool_use", "id": call["id"], "name": "get_weather", "input": arguments})
    );
    let result = &turns[2]["content"][0];
    assert_eq!((&result["type"], &result["tool_use_id"]), (&json!("tool_result"), &call["id"]));
    assert!(result["content"].to_string().contains("12 degrees"), "{result}");
}

#[test]
fn a_stream_is_told_in_chunks() {
    let answer = gate().post("/v1/chat/completions", "sk-app", chat("cut-11", r#","stream":true"#)).expect_ok();
    assert!(answer.header("content-type").unwrap().starts_with("text/event-stream"));
    assert!(answer.is_whole && answer.text().ends_with("data: [DONE]\n\n"), "{}", answer.text());
    let chunks = answer.chunks();
    assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
    assert!(chunks.iter().all(|chunk| chunk["object"] == "chat.completion.chunk" && chunk["id"] == chunks[0]["id"]));
    assert!(deltas(&chunks, "content").starts_with("The mock provider answers every question"), "{chunks:#?}");
    assert_eq!(chunks.last().unwrap()["choices"][0]["finish_reason"], "stop");
    assert!(chunks.iter().all(|chunk| chunk.get("usage").is_none_or(Value::is_null)), "nobody asked for usage");
    let received = Mock::shared().requests("/an-cut-11/").remove(0);
    assert_eq!((&received.json()["stream"], received.header("accept")), (&json!(true), Some("text/event-stream")));
}

#[test]
fn a_stream_says_the_same_however_it_is_cut() {
    let body = |model| chat(model, r#","stream":true,"stream_options":{"include_usage":true}"#);
    for model in ["cut-1", "cut-11"] {
        let answer = gate().post("/v1/chat/completions", "sk-app", body(model)).expect_ok();
        let chunks = answer.chunks();
        let usage = &chunks.last().unwrap()["usage"];
        assert_eq!((&usage["prompt_tokens"], &usage["completion_tokens"]), (&json!(9), &json!(8)), "{model}: {usage}");
        let text = deltas(&chunks, "content");
        assert!(text.starts_with("The mock") && text.contains("caf\u{e9}") && answer.is_whole, "{model}: {text}");
    }
}

#[test]
fn a_streamed_tool_call_comes_in_pieces_that_join() {
    let messages = json!([{"role": "user", "content": "both weather"}]);
    let answer = ask(&json!({"model": "cut-1", "stream": true, "tools": weather(), "messages": messages})).expect_ok();
    let chunks = answer.chunks();
    let calls = calls(&chunks);
    assert_eq!(calls.len(), 2);
    for (name, arguments) in calls {
        assert_eq!((name.as_str(), &arguments["location"]), ("get_weather", &json!("Berlin")));
    }
    assert_eq!(chunks.last().unwrap()["choices"][0]["finish_reason"], "tool_calls");
}

#[test]
fn cached_tokens_are_part_of_the_prompt() {
    let usage = gate().chat("sk-app", "cached").expect_ok().at("/usage");
    assert_eq!((&usage["prompt_tokens"], &usage["completion_tokens"]), (&json!(1000), &json!(50)), "{usage}");
    let details = &usage["prompt_tokens_details"];
    assert_eq!((&details["cached_tokens"], &details["cache_creation_tokens"]), (&json!(600), &json!(100)));
}

#[test]
fn an_answer_beyond_every_buffer_is_translated_whole() {
    let answer = gate().chat("sk-app", "big").expect_ok();
    assert_eq!(answer.header("content-length"), Some(answer.body.len().to_string().as_str()));
    assert!(answer.at("/choices/0/message/content").as_str().unwrap().len() >= 3_000_000);
}

#[test]
fn an_error_keeps_its_status_and_its_message() {
    let message = |error: Value| error["message"].as_str().unwrap().to_owned();
    let answer = gate().chat("sk-app", "error-400");
    assert_eq!((answer.status, answer.at("/error/type")), (400, json!("invalid_request_error")));
    assert_eq!(answer.at("/error/message"), "mock-provider was told to answer 400");
    let error = gate().chat("sk-app", "error-context");
    let error = error.expect_error(400, "invalid_request_error", "context_length_exceeded");
    assert_eq!(message(error), "prompt is too long: 209000 tokens > 200000 maximum");
    gate().chat("sk-app", "error-404").expect_error(404, "invalid_request_error", "model_not_found");
    let answer = gate().chat("sk-app", "error-529");
    assert_eq!((answer.status, answer.at("/error/type")), (529, json!("overloaded_error")));
}

#[test]
fn an_error_in_the_middle_of_a_stream_is_an_event() {
    let answer = gate().post("/v1/chat/completions", "sk-app", chat("broken", r#","stream":true"#)).expect_ok();
    let chunks = answer.chunks();
    assert!(deltas(&chunks, "content").starts_with("The mock"), "{chunks:#?}");
    let error = &chunks.last().unwrap()["error"];
    assert_eq!((&error["type"], &error["message"]), (&json!("overloaded_error"), &json!("Overloaded")));
    assert!(answer.is_whole && !answer.text().contains("[DONE]"));
}

#[test]
fn an_answer_that_makes_no_sense_is_a_502() {
    for model in ["garbage", "gzip"] {
        let answer = gate().chat("sk-app", model);
        answer.expect_error(502, "api_error", "bad_upstream_response");
        assert!(!answer.text().contains("html"));
    }
    gate().chat("sk-app", "cached").expect_ok();
}

#[test]
fn what_anthropic_lacks_is_refused_before_it_is_asked() {
    let body = json!({"model": "claude", "messages": [], "logit_bias": {"1": 1}});
    let error = ask(&body).expect_error(400, "invalid_request_error", "unsupported_parameter");
    assert_eq!(error["param"], "logit_bias");
    let answer = Request::post(gate().port, "/v1/embeddings", r#"{"model":"claude","input":"a"}"#).key("sk-app").send();
    answer.expect_error(400, "invalid_request_error", "unsupported_endpoint");
}
