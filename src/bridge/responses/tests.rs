//! What a golden file cannot show: hostile bytes, the bound, round trips.

use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use super::Responses;
use crate::bridge::{Bridge as _, Events as _};
use crate::error::{Error, Kind};
use crate::json::Index;
use crate::openai::{Endpoint, Request};
use crate::provider::hostile::Hostile;
use crate::sse::{Decoder, Event};

macro_rules! golden {
    ($($case:literal),* $(,)?) => {
        [$(include_bytes!(concat!("../../../tests/golden/responses-bridge/", $case)).as_slice()),*]
    };
}

const REQUESTS: [&[u8]; 6] = golden![
    "request-conversation/in.json",
    "request-calls/in.json",
    "request-params-chat/in.json",
    "request-web-search/in.json",
    "request-custom-tool/in.json",
    "request-allowed-tools/in.json",
];
const COMPLETION: &[u8] = golden!["response-chat-everything/in.json"][0];
const STREAMS: [&[u8]; 3] =
    golden!["stream-chat-calls/in.sse", "stream-chat-calls-same-index/in.sse", "stream-chat-error/in.sse"];

fn ask(body: &[u8]) -> Result<Request, Error> {
    Request::parse(Endpoint::Responses, body.to_vec())
}

fn client() -> Request {
    ask(br#"{"model":"m","input":"u","tools":[{"type":"custom","name":"g"}]}"#).unwrap()
}

/// The data of the events for these chunks.
fn told(chunks: &[impl AsRef<[u8]>], error: Option<&Error>) -> Vec<Value> {
    let (mut machine, mut out) = (super::events::Machine::new(&client(), 1), Vec::new());
    chunks.iter().for_each(|chunk| machine.chunk(chunk.as_ref(), &mut out));
    match error {
        Some(error) => machine.fail(error, &mut out),
        None => machine.done(&mut out),
    }
    machine.chunk(br#"{"choices":[{"delta":{"content":"late"}}]}"#, &mut out);
    machine.done(&mut out);
    let mut events = Vec::new();
    let take = |event: Event<'_>| {
        let value: Value = serde_json::from_slice(&event.data().unwrap()).unwrap();
        assert_eq!(event.name().unwrap(), value["type"].as_str().unwrap().as_bytes());
        assert_eq!(value["sequence_number"], events.len());
        events.push(value);
    };
    Decoder::default().push(&out, take).unwrap();
    events
}

fn chunk(delta: &Value) -> String {
    json!({"id": "chatcmpl-1", "choices": [{"index": 0, "delta": delta}]}).to_string()
}

#[wasm_bindgen_test(unsupported = test)]
fn hostile_requests_are_translated_or_refused() {
    let mut hostile = Hostile(0x5bd1_e995);
    for i in 0..800 {
        let input = REQUESTS[i % REQUESTS.len()];
        let body = if i % 2 == 0 { hostile.replace_value(input) } else { hostile.mutate(input) };
        let Ok(client) = ask(&body) else { continue };
        match Responses.request(&client) {
            Ok(chat) => assert_eq!((chat.endpoint, &chat.model), (Endpoint::ChatCompletions, &client.model)),
            Err(error) => assert_eq!(error.status(), 400, "{error}: {}", String::from_utf8_lossy(&body)),
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn hostile_answers_become_json_or_an_error() {
    let mut hostile = Hostile(0x2545_f491);
    let client = client();
    for i in 0..800 {
        let body = if i % 2 == 0 { hostile.replace_value(COMPLETION) } else { hostile.mutate(COMPLETION) };
        if serde_json::from_slice::<Value>(&body).is_err() {
            continue;
        }
        match Responses.response(&client, &body, 1) {
            Ok(response) => drop(Index::parse(&response).unwrap()),
            Err(error) => assert_eq!(error.kind, Kind::BadUpstream),
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn hostile_chunks_become_events_in_order() {
    let mut hostile = Hostile(0x9e37_79b9);
    for i in 0..300 {
        let stream = String::from_utf8(STREAMS[i % STREAMS.len()].to_vec()).unwrap();
        let chunks: Vec<Vec<u8>> = stream
            .lines()
            .filter_map(|line| line.strip_prefix("data: "))
            .map(|data| hostile.mutate(data.as_bytes()))
            .filter(|data| !data.contains(&b'\n') && serde_json::from_slice::<Value>(data).is_ok())
            .collect();
        let events = told(&chunks, None);
        assert_eq!(events[0]["type"], "response.created");
        let last = events.last().unwrap()["type"].as_str().unwrap();
        assert!(["response.completed", "response.incomplete"].contains(&last), "{last}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn an_answer_that_cannot_be_repeated_fails() {
    let long = chunk(&json!({"content": "x".repeat(1 << 20)}));
    let events = told(&vec![long; 12], None);
    let [.., error, failed] = events.as_slice() else { panic!("no two events") };
    assert_eq!((&error["type"], &error["code"]), (&json!("error"), &json!("bad_upstream_response")));
    assert_eq!((&failed["type"], &failed["response"]["status"]), (&json!("response.failed"), &json!("failed")));
    assert_eq!(events.len(), 2 + 2 + 9 + 2);
}

#[wasm_bindgen_test(unsupported = test)]
fn an_error_before_the_first_chunk_has_a_response_to_fail() {
    let error = Error::new(Kind::Timeout, "too \"late\"").with_param("a\nb");
    let events = told(&[""], Some(&error));
    let types: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["response.created", "response.in_progress", "error", "response.failed"]);
    assert_eq!((&events[2]["message"], &events[2]["param"]), (&json!("too \"late\""), &json!("a\nb")));
    assert_eq!(events[3]["response"]["error"], json!({"code": "timeout", "message": "too \"late\""}));
}

/// The output of an answer, sent back as input, is the assistant's message that it came from.
#[wasm_bindgen_test(unsupported = test)]
fn what_came_out_goes_in_again() {
    let message = json!({
        "role": "assistant",
        "content": "Let \"me\" see \u{e9}.",
        "reasoning_content": "a\n\"b\"",
        "thinking_blocks": [{"type": "thinking", "thinking": "a\n\"b\"", "signature": "c2ln"}],
        "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":\"\\n\"}"},
             "extra_content": {"google": {"thought_signature": "c2ln"}}},
            {"id": "c2", "type": "function", "function": {"name": "g", "arguments": "{\"content\":\"ls \\\"x\\\"\"}"}},
        ],
    });
    let chat = json!({"id": "1", "choices": [{"message": message, "finish_reason": "tool_calls"}]}).to_string();
    let whole = Responses.response(&client(), chat.as_bytes(), 1).unwrap();
    let whole: Value = serde_json::from_slice(&whole).unwrap();
    let mut pieces = message.clone();
    pieces["tool_calls"][0]["index"] = json!(0);
    pieces["tool_calls"][1]["index"] = json!(1);
    let events = told(&[chunk(&pieces)], None);
    let streamed = &events.last().unwrap()["response"]["output"];
    assert_eq!(streamed, &whole["output"]);
    let again = json!({"model": "m", "input": streamed, "tools": client_tools()}).to_string();
    let chat = Responses.request(&ask(again.as_bytes()).unwrap()).unwrap();
    let body: Value = serde_json::from_slice(&chat.body).unwrap();
    let mut expected = message;
    expected["content"] = json!([{"type": "text", "text": expected["content"]}]);
    assert_eq!(body["messages"], json!([expected]));
}

fn client_tools() -> Value {
    json!([{"type": "custom", "name": "g"}])
}
