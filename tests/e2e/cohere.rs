//! OpenAI's language in front, Cohere's API v2 behind. Every detail of the translation has its golden case; here is the
//! whole of it on its way through Envoy.

use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::harness::{Answer, Gate, Mock, calls, chat, deltas, weather};

const CONFIG: &str = "
model_list:
- model_name: command
  litellm_params: {model: cohere_chat/command-a-03-2025, api_base: 'http://{mock}/co-command', api_key: co-key}
- model_name: tools
  litellm_params: {model: cohere/command-a-03-2025, api_base: 'http://{mock}/co-tools/chunk-bytes=7/v2/chat', api_key: co-key}
- model_name: stream
  litellm_params: {model: cohere_chat/command-a-reasoning-08-2025, api_base: 'http://{mock}/co-stream/usage=9:8,chunk-bytes=1,chunks=2/v1', api_key: co-key}
- model_name: cited
  litellm_params: {model: cohere_chat/command-a-03-2025, api_base: 'http://{mock}/co-cited', api_key: co-key}
- model_name: counted
  litellm_params: {model: cohere_chat/command-a-03-2025, api_base: 'http://{mock}/co-counted/usage=934:50', api_key: co-key}
- model_name: broken
  litellm_params: {model: cohere_chat/command-a-03-2025, api_base: 'http://{mock}/co-broken/error-stream=2', api_key: co-key}
- model_name: long
  litellm_params: {model: cohere_chat/command-a-03-2025, api_base: 'http://{mock}/co-long/status=400,code=context_length_exceeded', api_key: co-key}
- model_name: busy
  litellm_params: {model: cohere_chat/command-a-03-2025, api_base: 'http://{mock}/co-busy/status=429,retry-after=7', api_key: co-key}
- model_name: failing
  litellm_params: {model: cohere_chat/command-a-03-2025, api_base: 'http://{mock}/co-failing/status=500', api_key: co-key}
- model_name: failing-claude
  litellm_params: {model: anthropic/claude-haiku-4-5, api_base: 'http://{mock}/co-failing-claude/status=529', api_key: sk-ant}
- model_name: claude
  litellm_params: {model: anthropic/claude-haiku-4-5, api_base: 'http://{mock}/co-claude', api_key: sk-ant}
- model_name: embed
  litellm_params: {model: cohere/embed-v4.0, api_base: 'http://{mock}/co-embed', api_key: co-key}
- model_name: rerank
  litellm_params: {model: cohere/rerank-v3.5, api_base: 'http://{mock}/co-rerank', api_key: co-key}
router_settings:
  num_retries: 0
  fallbacks: [{failing: [claude]}, {failing-claude: [command]}]
tollgate:
  keys:
  - {key_alias: app, key: sk-app}
  - {key_alias: co-cost, key: sk-cost}
";

fn gate() -> &'static Gate {
    static GATE: OnceLock<Gate> = OnceLock::new();
    GATE.get_or_init(|| Gate::start("cohere", CONFIG))
}

fn ask(body: &Value) -> Answer {
    gate().post("/v1/chat/completions", "sk-app", body.to_string())
}

#[test]
fn a_chat_reaches_cohere_in_its_own_words() {
    let messages = json!([{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "caf\u{e9}?"}]);
    let answer = ask(&json!({
        "model": "command", "max_tokens": 64, "top_p": 0.5, "stop": "END", "user": "u-1", "safety_mode": "STRICT",
        "messages": messages, "response_format": {"type": "json_object"},
    }));
    let answer = answer.expect_ok();
    let received = Mock::shared().requests("/co-command/").remove(0);
    assert_eq!(received.path, "/co-command/v2/chat");
    assert_eq!(received.header("authorization"), Some("Bearer co-key"));
    assert!(!format!("{received:?}").contains("sk-app"));
    let answer = answer.json();
    assert_eq!((&answer["object"], &answer["model"]), (&json!("chat.completion"), &json!("command-a-03-2025")));
    let choice = &answer["choices"][0];
    assert_eq!((&choice["message"]["role"], &choice["finish_reason"]), (&json!("assistant"), &json!("stop")));
    assert!(choice["message"]["content"].as_str().unwrap().starts_with("The mock provider answers"), "{choice}");
    let received = Mock::shared().requests("/co-command/");
    let expected = json!({
        "model": "command-a-03-2025", "max_tokens": 64, "p": 0.5, "stop_sequences": ["END"], "safety_mode": "STRICT",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "caf\u{e9}?"}],
        "response_format": {"type": "json_object"},
    });
    assert!(received.iter().any(|received| received.json() == expected), "{received:#?}");
}

#[test]
fn a_tool_is_called_and_its_result_comes_back() {
    let question = json!({"role": "user", "content": "The weather, please"});
    let answer = ask(&json!({"model": "tools", "tools": weather(), "tool_choice": "required", "messages": [question]}));
    let answer = answer.expect_ok();
    let choice = answer.at("/choices/0");
    assert_eq!(choice["finish_reason"], "tool_calls");
    assert_eq!(choice["message"]["reasoning_content"], "I will look at the weather first.");
    let call = choice["message"]["tool_calls"][0].clone();
    let arguments: Value = serde_json::from_str(call["function"]["arguments"].as_str().unwrap()).unwrap();
    assert_eq!(arguments["location"], "Berlin");

    let result = json!({"role": "tool", "tool_call_id": call["id"], "content": "12 degrees"});
    let messages = json!([question, choice["message"], result]);
    let answer = ask(&json!({"model": "tools", "tools": weather(), "messages": messages})).expect_ok();
    assert_eq!(answer.at("/choices/0/finish_reason"), "stop");

    let received = Mock::shared().requests("/co-tools/");
    assert!(received.iter().all(|received| received.path == "/co-tools/chunk-bytes=7/v2/chat"));
    assert!(received.iter().any(|received| received.json()["tool_choice"] == "REQUIRED"));
    let sent = received.iter().map(|received| received.json()["messages"].clone()).find(|sent| sent[2].is_object());
    let sent = sent.unwrap();
    assert_eq!(sent[1]["tool_plan"], "I will look at the weather first.");
    assert_eq!(sent[1]["tool_calls"][0]["id"], call["id"]);
    assert_eq!(sent[2], result);
}

#[test]
fn a_stream_is_told_in_chunks() {
    let body = chat("stream", r#","stream":true,"stream_options":{"include_usage":true},"reasoning_effort":"low""#);
    let answer = gate().post("/v1/chat/completions", "sk-app", body).expect_ok();
    assert!(answer.is_whole && answer.text().ends_with("data: [DONE]\n\n"), "{}", answer.text());
    let chunks = answer.chunks();
    assert!(chunks.iter().all(|chunk| chunk["object"] == "chat.completion.chunk" && chunk["id"] == chunks[0]["id"]));
    assert_eq!(deltas(&chunks, "reasoning_content"), "The same calm words will do.");
    assert!(deltas(&chunks, "content").starts_with("The mock provider answers every question"), "{chunks:#?}");
    let usage = &chunks.last().unwrap()["usage"];
    assert_eq!((&usage["prompt_tokens"], &usage["completion_tokens"]), (&json!(75), &json!(8)), "{usage}");
    let thinking = Mock::shared().request("/co-stream/").json()["thinking"].clone();
    assert_eq!(thinking, json!({"type": "enabled", "token_budget": 1024}));
}

#[test]
fn a_streamed_tool_call_comes_in_pieces_that_join() {
    let messages = json!([{"role": "user", "content": "both weather"}]);
    let answer = ask(&json!({"model": "tools", "stream": true, "tools": weather(), "messages": messages})).expect_ok();
    let chunks = answer.chunks();
    let calls = calls(&chunks);
    assert_eq!(calls.len(), 2);
    for (name, arguments) in calls {
        assert_eq!((name.as_str(), &arguments["location"]), ("get_weather", &json!("Berlin")));
    }
    assert_eq!(chunks.last().unwrap()["choices"][0]["finish_reason"], "tool_calls");
}

#[test]
fn citations_are_kept_whole_and_in_a_stream() {
    let body = |stream: bool| {
        let messages = json!([{"role": "user", "content": "u"}]);
        json!({"model": "cited", "stream": stream, "documents": ["calm words"], "messages": messages})
    };
    let message = ask(&body(false)).expect_ok().at("/choices/0/message");
    let citation = &message["annotations"][0]["url_citation"];
    assert_eq!((&citation["title"], &citation["start_index"]), (&json!("The mock"), &json!(4)), "{message}");
    assert_eq!(message["provider_specific_fields"]["citations"][0]["text"], "mock");
    let chunks = ask(&body(true)).expect_ok().chunks();
    let fields = |chunk: &&Value| !chunk["choices"][0]["delta"]["provider_specific_fields"]["citations"].is_null();
    assert_eq!(chunks.iter().filter(fields).count(), 1, "{chunks:#?}");
}

#[test]
fn the_model_s_tokens_are_charged() {
    gate().chat("sk-cost", "counted").expect_ok();
    let record = gate().record("co-cost");
    assert_eq!((&record["input_tokens"], &record["output_tokens"]), (&json!("1000"), &json!("50")), "{record}");
    assert_eq!(record["provider"], "cohere_chat", "{record}");
    assert_eq!(record["cost_usd"], "0.003", "{record}");
}

#[test]
fn errors_are_openai_s_whole_and_in_a_stream() {
    gate().chat("sk-app", "long").expect_error(400, "invalid_request_error", "context_length_exceeded");
    let answer = gate().chat("sk-app", "busy");
    answer.expect_error(429, "rate_limit_error", "rate_limit_exceeded");
    assert_eq!(answer.header("retry-after"), Some("7"));
    let answer = gate().post("/v1/chat/completions", "sk-app", chat("broken", r#","stream":true"#)).expect_ok();
    let chunks = answer.chunks();
    assert!(deltas(&chunks, "content").starts_with("The mock"), "{chunks:#?}");
    assert_eq!(chunks.last().unwrap()["error"]["message"], "the model is having a moment");
    assert!(answer.is_whole && !answer.text().contains("[DONE]"));
}

#[test]
fn another_vendor_stands_in_and_is_stood_in_for() {
    for (model, provider) in [("failing", "anthropic"), ("failing-claude", "cohere_chat")] {
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
    let received = Mock::shared().requests("/co-embed/");
    let input_type = |received: &crate::harness::Received| received.json()["input_type"].clone();
    assert!(received.iter().all(|each| each.path == "/co-embed/v2/embed" && input_type(each) == "search_document"));
}

#[test]
fn a_rerank_goes_there_and_back_as_it_is() {
    let body = json!({"model": "rerank", "query": "q", "documents": ["a", "b", "c"], "top_n": 2});
    let answer = gate().post("/v1/rerank", "sk-app", body.to_string()).expect_ok().json();
    assert_eq!(answer["results"].as_array().map(Vec::len), Some(2), "{answer}");
    assert_eq!(
        (&answer["results"][0]["index"], &answer["meta"]["billed_units"]["search_units"]),
        (&json!(2), &json!(1))
    );
    let received = Mock::shared().request("/co-rerank/");
    assert_eq!(received.path, "/co-rerank/v2/rerank");
    let expected = json!({
        "model": "rerank-v3.5", "query": "q", "documents": ["a", "b", "c"], "top_n": 2, "return_documents": true,
    });
    assert_eq!(received.json(), expected, "{}", received.body);
}
