//! Bedrock's Converse, ConverseStream and the embedding models of InvokeModel.
//!
//! Written from knowledge of AWS's "Converse"
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html> and "ConverseStream"
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html>; the pages themselves were
//! not read for it. A request is signed (see [`crate::sigv4`]) or carries a key of Bedrock's.

use bytes::Bytes;
use hyper::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use crate::answer::{self, ARGUMENTS, Answer, Question};
use crate::embeddings;
use crate::reply::{Event, Reply};
use crate::script::ScriptedUsage;
use crate::sigv4;
use crate::usage;
use crate::value::{Object, object, text_at};
use crate::vendor::{self, Call, Fault};

const EVENT_STREAM: &str = "application/vnd.amazon.eventstream";

#[derive(Deserialize)]
struct ConverseRequest {
    messages: Vec<Value>,
    #[serde(default, rename = "toolConfig")]
    tool_config: Value,
}

/// A whole answer, from which either form is made.
struct Turn {
    answer: Answer,
    stop_reason: String,
    usage: Option<ScriptedUsage>,
}

/// Answers `/model/{id}/converse` and `/converse-stream`.
pub(crate) fn converse(call: &Call<'_>) -> Result<Reply, Fault> {
    authenticate(call)?;
    let request: ConverseRequest = vendor::parse(call.body)?;
    if request.messages.is_empty() {
        return Err(Fault::new(400, "A conversation must start with a user message."));
    }
    let turn = turn(call, &request);
    if call.head.uri.path().ends_with("/converse-stream") {
        return Ok(stream(&turn, call));
    }
    let content: Vec<Object> = match &turn.answer {
        Answer::Text(text) => vec![object! {"text": text}],
        Answer::Calls(names) => names.iter().enumerate().map(|(i, name)| tool_use(i, name)).collect(),
    };
    let message = object! {"role": "assistant", "content": content};
    let body = object! {"metrics": object! {"latencyMs": 7_u64}, "output": object! {"message": message}};
    let body = body.with("stopReason", &turn.stop_reason).with_some("usage", turn.usage.map(usage_value));
    Ok(Reply::json(StatusCode::OK, &body))
}

/// Answers `/model/{id}/invoke`: Titan's embeddings, and Cohere's.
pub(crate) fn invoke(call: &Call<'_>) -> Result<Reply, Fault> {
    authenticate(call)?;
    let request: Value = vendor::parse(call.body)?;
    let tokens = usage::count(call.script, call.body.len(), "").prompt;
    let body = match (request.get("inputText"), request.get("texts").and_then(Value::as_array)) {
        (Some(text), _) => {
            object! {"embedding": embeddings::vector(&text.to_string(), 4), "inputTextTokenCount": tokens}
        }
        (None, Some(texts)) => {
            let vectors: Vec<Vec<f32>> = texts.iter().map(|text| embeddings::vector(&text.to_string(), 4)).collect();
            object! {"id": "mock", "response_type": "embeddings_floats", "embeddings": vectors}
        }
        (None, None) => return Err(Fault::new(400, "Malformed input request: 2 schema violations found")),
    };
    Ok(Reply::json(StatusCode::OK, &body))
}

/// An error body; what kind it is stands in a header.
pub(crate) fn error(fault: &Fault) -> Object {
    let message = match fault.code.as_deref() {
        Some("context_length_exceeded") => "Input is too long for requested model.",
        Some("content_filter") => "The content was blocked by our content filters.",
        _ => &fault.message,
    };
    object! {"message": message}
}

fn authenticate(call: &Call<'_>) -> Result<(), Fault> {
    let header = call.head.headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    match header.strip_prefix("Bearer ") {
        Some(key) if !key.is_empty() => Ok(()),
        _ => sigv4::verify(call.head, call.body).map_err(|why| Fault::new(403, why)),
    }
}

fn turn(call: &Call<'_>, request: &ConverseRequest) -> Turn {
    let answer = answer::answer(&question(request), call.script);
    let usage = (!call.script.shape.no_usage).then(|| usage::count(call.script, call.body.len(), &answer.words()));
    let stop_reason = match (&call.script.fault.finish, &answer) {
        (Some(finish), _) => match finish.as_str() {
            "stop" => "end_turn",
            "length" => "max_tokens",
            "tool_calls" => "tool_use",
            "content_filter" => "guardrail_intervened",
            other => other,
        },
        (None, Answer::Text(_)) => "end_turn",
        (None, Answer::Calls(_)) => "tool_use",
    };
    Turn { stop_reason: stop_reason.to_owned(), answer, usage }
}

fn question(request: &ConverseRequest) -> Question<'_> {
    let tools = request.tool_config.get("tools").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let choice = request.tool_config.get("toolChoice");
    let named = choice.and_then(|choice| text_at(choice, "/tool/name"));
    Question {
        tools: tools.iter().filter_map(|tool| text_at(tool, "/toolSpec/name")).collect(),
        may_call: true,
        must_call: named.is_some() || choice.is_some_and(|choice| choice.get("any").is_some()),
        named,
        user_text: user_text(request.messages.last()),
    }
}

/// The text of the last message, if it is the user's and no tool's.
fn user_text(message: Option<&Value>) -> Option<String> {
    let message = message.filter(|message| text_at(message, "/role") == Some("user"))?;
    let content = message.get("content")?.as_array()?;
    let has_results = content.iter().any(|block| block.get("toolResult").is_some());
    (!has_results).then(|| content.iter().filter_map(|block| text_at(block, "/text")).collect())
}

fn tool_use(index: usize, name: &str) -> Object {
    let input: Value = serde_json::from_str(ARGUMENTS).unwrap_or_default();
    object! {"toolUse": object! {"toolUseId": format!("tooluse_mock_{index}"), "name": name, "input": input}}
}

/// Bedrock's input tokens leave out what a cache read or wrote.
fn usage_value(usage: ScriptedUsage) -> Object {
    object! {
        "inputTokens": usage.prompt.saturating_sub(usage.cache_read + usage.cache_write),
        "outputTokens": usage.completion,
        "totalTokens": usage.prompt + usage.completion,
        "cacheReadInputTokens": usage.cache_read,
        "cacheWriteInputTokens": usage.cache_write,
    }
}

fn stream(turn: &Turn, call: &Call<'_>) -> Reply {
    let mut events = vec![event("messageStart", &object! {"role": "assistant"}, false)];
    match &turn.answer {
        Answer::Text(text) => {
            for piece in answer::chunks(text, call.script) {
                let delta = object! {"contentBlockIndex": 0_u64, "delta": object! {"text": piece}};
                events.push(event("contentBlockDelta", &delta, true));
            }
            events.push(event("contentBlockStop", &object! {"contentBlockIndex": 0_u64}, false));
        }
        Answer::Calls(names) => {
            names.iter().enumerate().for_each(|(index, name)| call_events(&mut events, index, name));
        }
    }
    events.push(event("messageStop", &object! {"stopReason": turn.stop_reason}, false));
    let metadata = object! {"metrics": object! {"latencyMs": 7_u64}};
    events.push(event("metadata", &metadata.with_some("usage", turn.usage.map(usage_value)), false));
    let headers = [(":exception-type", "throttlingException"), (":message-type", "exception")];
    let error = frame(&headers, &object! {"message": "Too many requests, please wait before trying again."});
    Reply::events_of(EVENT_STREAM, events, error)
}

fn call_events(events: &mut Vec<Event>, index: usize, name: &str) {
    let started = object! {"toolUseId": format!("tooluse_mock_{index}"), "name": name};
    let start = object! {"contentBlockIndex": index, "start": object! {"toolUse": started}};
    events.push(event("contentBlockStart", &start, false));
    for piece in answer::split(ARGUMENTS, answer::ARGUMENT_PIECES) {
        let delta = object! {"toolUse": object! {"input": piece}};
        events.push(event("contentBlockDelta", &object! {"contentBlockIndex": index, "delta": delta}, true));
    }
    events.push(event("contentBlockStop", &object! {"contentBlockIndex": index}, false));
}

fn event(name: &str, payload: &Object, content: bool) -> Event {
    let headers = [(":event-type", name), (":content-type", "application/json"), (":message-type", "event")];
    Event { bytes: frame(&headers, payload), content }
}

/// One frame: prelude, its checksum, headers, payload, checksum.
fn frame(headers: &[(&str, &str)], payload: &Object) -> Bytes {
    let payload = payload.text();
    let mut encoded = Vec::new();
    for (name, value) in headers {
        encoded.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
        encoded.extend_from_slice(name.as_bytes());
        encoded.push(7);
        encoded.extend_from_slice(&u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
        encoded.extend_from_slice(value.as_bytes());
    }
    let word = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    let mut frame = word(16 + encoded.len() + payload.len()).to_vec();
    frame.extend_from_slice(&word(encoded.len()));
    frame.extend_from_slice(&crc32(&frame).to_be_bytes());
    frame.extend_from_slice(&encoded);
    frame.extend_from_slice(payload.as_bytes());
    frame.extend_from_slice(&crc32(&frame).to_be_bytes());
    Bytes::from(frame)
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    !crc
}
