//! OpenAI's language in front, Ollama's behind: lines of JSON become events. Every detail of the translation has its
//! golden case; here is the whole of it on its way through Envoy.

use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::harness::{Answer, Gate, Mock, chat, deltas, weather};

const CONFIG: &str = "
model_list:
- model_name: llama
  litellm_params: {model: ollama_chat/llama3.1, api_base: 'http://{mock}/ol-llama'}
- model_name: keyed
  litellm_params: {model: ollama/llama3.1, api_base: 'http://{mock}/ol-keyed/api.ollama.example/api/chat', api_key: sk-ol}
- model_name: tools
  litellm_params: {model: ollama_chat/qwen3, api_base: 'http://{mock}/ol-tools/chunk-bytes=7'}
- model_name: stream
  litellm_params: {model: ollama_chat/llama3.1, api_base: 'http://{mock}/ol-stream/usage=9:8,chunk-bytes=1,chunks=2'}
- model_name: uncounted
  litellm_params: {model: ollama_chat/llama3.1, api_base: 'http://{mock}/ol-uncounted/no-usage=1'}
- model_name: counted
  litellm_params: {model: ollama_chat/llama3.1, api_base: 'http://{mock}/ol-counted/usage=1000:50', input_cost_per_token: 0.001, output_cost_per_token: 0.002}
- model_name: broken
  litellm_params: {model: ollama_chat/llama3.1, api_base: 'http://{mock}/ol-broken/error-stream=2'}
- model_name: missing
  litellm_params: {model: ollama_chat/llama3.1, api_base: 'http://{mock}/ol-missing/status=404'}
- model_name: failing
  litellm_params: {model: ollama_chat/llama3.1, api_base: 'http://{mock}/ol-failing/status=500'}
- model_name: failing-openai
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/ol-failing-openai/status=500/v1', api_key: sk-oa}
- model_name: openai
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/ol-openai/v1', api_key: sk-oa}
- model_name: embed
  litellm_params: {model: ollama/nomic-embed-text, api_base: 'http://{mock}/ol-embed'}
router_settings:
  num_retries: 0
  fallbacks: [{failing: [openai]}, {failing-openai: [llama]}]
tollgate:
  keys:
  - {key_alias: app, key: sk-app}
  - {key_alias: ol-cost, key: sk-cost}
";

fn gate() -> &'static Gate {
    static GATE: OnceLock<Gate> = OnceLock::new();
    GATE.get_or_init(|| Gate::start("ollama", CONFIG))
}

fn ask(body: &Value) -> Answer {
    gate().post("/v1/chat/completions", "sk-app", body.to_string())
}

#[test]
fn a_chat_reaches_ollama_in_its_own_words() {
    let answer = ask(&json!({
        "model": "llama", "max_tokens": 64, "temperature": 0.5, "stop": "END", "user": "u-1", "num_ctx": 4096,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [
                {"type": "text", "text": "What is caf\u{e9}?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
            ]},
        ],
    }));
    let answer = answer.expect_ok();
    let received = Mock::shared().request("/ol-llama/");
    assert_eq!(received.path, "/ol-llama/api/chat");
    assert_eq!(received.header("authorization"), None);
    let expected = json!({
        "model": "llama3.1", "stream": false,
        "options": {"num_predict": 64, "temperature": 0.5, "stop": ["END"], "num_ctx": 4096},
        "messages": [
            {"role": "system", "content": "Be brief.", "images": []},
            {"role": "user", "content": "What is caf\u{e9}?", "images": ["iVBORw0KGgo="]},
        ],
    });
    assert_eq!(received.json(), expected, "{}", received.body);
    let answer = answer.json();
    assert_eq!((&answer["object"], &answer["model"]), (&json!("chat.completion"), &json!("llama3.1")));
    let choice = &answer["choices"][0];
    assert_eq!((&choice["message"]["role"], &choice["finish_reason"]), (&json!("assistant"), &json!("stop")));
    assert!(choice["message"]["content"].as_str().unwrap().starts_with("The mock provider answers"), "{choice}");
}

#[test]
fn a_server_with_a_key_gets_it() {
    gate().chat("sk-app", "keyed").expect_ok();
    let received = Mock::shared().request("/ol-keyed/");
    assert_eq!(received.path, "/ol-keyed/api.ollama.example/api/chat");
    assert_eq!(received.header("authorization"), Some("Bearer sk-ol"));
    assert!(!format!("{received:?}").contains("sk-app"));
}

#[test]
fn a_tool_is_called_and_its_result_comes_back() {
    let question = json!({"role": "user", "content": "The weather, please"});
    let answer = ask(&json!({"model": "tools", "tools": weather(), "messages": [question]})).expect_ok();
    let choice = answer.at("/choices/0");
    assert_eq!(choice["finish_reason"], "tool_calls");
    let call = choice["message"]["tool_calls"][0].clone();
    let arguments: Value = serde_json::from_str(call["function"]["arguments"].as_str().unwrap()).unwrap();
    assert_eq!(arguments, json!({"location": "Berlin", "unit": "celsius", "days": [1, 2, 3]}));

    let result = json!({"role": "tool", "tool_call_id": call["id"], "content": "12 degrees"});
    let messages = json!([question, choice["message"], result]);
    let answer = ask(&json!({"model": "tools", "tools": weather(), "messages": messages})).expect_ok();
    assert_eq!(answer.at("/choices/0/finish_reason"), "stop");

    let sent = Mock::shared().requests("/ol-tools/").pop().unwrap().json()["messages"].clone();
    assert_eq!(sent[1]["tool_calls"][0]["function"], json!({"name": "get_weather", "arguments": arguments}));
    assert_eq!((&sent[2]["tool_name"], &sent[2]["tool_call_id"]), (&json!("get_weather"), &call["id"]));
}

#[test]
fn lines_of_json_become_events() {
    let body = chat("stream", r#","stream":true,"stream_options":{"include_usage":true},"reasoning_effort":"high""#);
    let answer = gate().post("/v1/chat/completions", "sk-app", body).expect_ok();
    assert!(answer.header("content-type").unwrap().starts_with("text/event-stream"));
    assert!(answer.is_whole && answer.text().ends_with("data: [DONE]\n\n"), "{}", answer.text());
    let chunks = answer.chunks();
    assert!(chunks.iter().all(|chunk| chunk["object"] == "chat.completion.chunk" && chunk["id"] == chunks[0]["id"]));
    assert!(deltas(&chunks, "reasoning_content").starts_with("The user asks something"), "{chunks:#?}");
    assert!(deltas(&chunks, "content").starts_with("The mock provider answers every question"), "{chunks:#?}");
    let usage = &chunks.last().unwrap()["usage"];
    assert_eq!((&usage["prompt_tokens"], &usage["completion_tokens"]), (&json!(9), &json!(8)), "{usage}");
    let received = Mock::shared().request("/ol-stream/").json();
    assert_eq!((&received["stream"], &received["think"]), (&json!(true), &json!(true)));
}

#[test]
fn streamed_calls_are_whole_and_told_apart() {
    let messages = json!([{"role": "user", "content": "both weather"}]);
    let answer = ask(&json!({"model": "tools", "stream": true, "tools": weather(), "messages": messages})).expect_ok();
    let chunks = answer.chunks();
    let calls: Vec<&Value> =
        chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["tool_calls"].get(0)).collect();
    assert_eq!(calls.iter().map(|call| &call["index"]).collect::<Vec<_>>(), [&json!(0), &json!(1)]);
    assert!(calls[0]["id"].is_string() && calls[0]["id"] != calls[1]["id"], "{calls:?}");
    assert_eq!(chunks.last().unwrap()["choices"][0]["finish_reason"], "tool_calls");
}

#[test]
fn what_is_not_counted_is_estimated_and_what_is_counted_is_charged() {
    let body = chat("uncounted", r#","stream":true,"stream_options":{"include_usage":true}"#);
    let chunks = gate().post("/v1/chat/completions", "sk-app", body).expect_ok().chunks();
    assert!(chunks.last().unwrap()["usage"]["completion_tokens"].as_u64() > Some(0), "{chunks:#?}");
    gate().chat("sk-cost", "counted").expect_ok();
    let record = gate().record("ol-cost");
    assert_eq!((&record["input_tokens"], &record["output_tokens"]), (&json!("1000"), &json!("50")), "{record}");
    assert_eq!((&record["provider"], &record["usage_source"]), (&json!("ollama_chat"), &json!("provider")), "{record}");
    assert_eq!(record["cost_usd"], "1.1", "{record}");
}

#[test]
fn errors_are_openai_s_whole_and_in_a_stream() {
    gate().chat("sk-app", "missing").expect_error(404, "invalid_request_error", "model_not_found");
    let answer = gate().post("/v1/chat/completions", "sk-app", chat("broken", r#","stream":true"#)).expect_ok();
    let chunks = answer.chunks();
    assert!(deltas(&chunks, "content").starts_with("The mock"), "{chunks:#?}");
    assert_eq!(chunks.last().unwrap()["error"]["message"], "an error was encountered while running the model");
    assert!(answer.is_whole && !answer.text().contains("[DONE]"));
}

#[test]
fn another_vendor_stands_in_and_is_stood_in_for() {
    for (model, provider) in [("failing", "openai"), ("failing-openai", "ollama_chat")] {
        let answer = gate().chat("sk-app", model).expect_ok();
        assert_eq!(answer.header("x-tollgate-provider"), Some(provider), "{model}");
        assert!(answer.at("/choices/0/message/content").as_str().unwrap().starts_with("The mock"), "{model}");
    }
}

#[test]
fn embeddings_come_as_numbers_or_base64() {
    let of = |format: &str| {
        let body = format!(r#"{{"model":"embed","input":["a","b"],"dimensions":2,"encoding_format":"{format}"}}"#);
        gate().post("/v1/embeddings", "sk-app", body).expect_ok().json()
    };
    let (numbers, base64) = (of("float"), of("base64"));
    assert_eq!(numbers["data"][1]["embedding"].as_array().map(Vec::len), Some(2), "{numbers}");
    assert_eq!(base64["data"][1]["embedding"].as_str().map(str::len), Some(12), "{base64}");
    assert!(numbers["usage"]["prompt_tokens"].as_u64() > Some(0));
    let received = Mock::shared().requests("/ol-embed/").pop().unwrap();
    assert_eq!(received.path, "/ol-embed/api/embed");
    assert_eq!(received.json(), json!({"model": "nomic-embed-text", "input": ["a", "b"], "dimensions": 2}));
}
