//! Google's `generateContent`, whole and as events, its embeddings and its errors, at AI Studio and on Vertex.
//!
//! Written from knowledge of Google's "Generating content" <https://ai.google.dev/api/generate-content>, "Embeddings"
//! <https://ai.google.dev/api/embeddings> and "Text embeddings API"
//! <https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api>; the pages themselves
//! were not read for it.

use bytes::Bytes;
use hyper::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use crate::answer::{self, ARGUMENTS, Answer, Question};
use crate::embeddings::{self, DIMENSIONS};
use crate::reply::{Event, Reply};
use crate::script::ScriptedUsage;
use crate::usage;
use crate::value::{Object, object, text_at};
use crate::vendor::{self, Call, Endpoint, Fault, data};

/// What the model thinks, when its thoughts are asked for.
const THINKING: &str = "The user asks something; the same calm words will do.";
/// The signature of a call.
const SIGNATURE: &str = "bW9jay1zaWduYXR1cmU=";

#[derive(Deserialize)]
struct GenerateRequest {
    contents: Vec<Value>,
    #[serde(default)]
    tools: Vec<Value>,
    #[serde(default, rename = "toolConfig")]
    tool_config: Value,
    #[serde(default, rename = "generationConfig")]
    generation_config: Value,
}

/// Answers `:generateContent` and `:streamGenerateContent`.
pub(crate) fn generate(call: &Call<'_>) -> Result<Reply, Fault> {
    authenticate(call)?;
    let request: GenerateRequest = vendor::parse(call.body)?;
    if request.contents.is_empty() {
        return Err(Fault::new(400, "* GenerateContentRequest.contents: contents is not specified"));
    }
    let answer = answer::answer(&question(&request), call.script);
    let thinks = request.generation_config.pointer("/thinkingConfig/includeThoughts") == Some(&Value::Bool(true));
    let words = if thinks { format!("{THINKING} {}", answer.words()) } else { answer.words() };
    let usage = (!call.script.shape.no_usage).then(|| usage::count(call.script, call.body.len(), &words));
    let finish = finish_reason(call.script.fault.finish.as_deref());
    let thought = thinks.then(|| object! {"text": THINKING, "thought": true});
    if call.endpoint == Endpoint::StreamGenerateContent {
        return Ok(stream(call, thought, &answer, usage, finish));
    }
    let mut parts: Vec<Object> = thought.into_iter().collect();
    match &answer {
        Answer::Text(text) => parts.push(object! {"text": text}),
        Answer::Calls(names) => parts.extend(calls(names)),
    }
    Ok(Reply::json(StatusCode::OK, &response(call, &parts, Some(finish), usage)))
}

/// An event for each piece; the usage so far in each, all of it in the last one.
fn stream(
    call: &Call<'_>,
    thought: Option<Object>,
    answer: &Answer,
    usage: Option<ScriptedUsage>,
    finish: &str,
) -> Reply {
    let so_far = usage.map(|usage| ScriptedUsage { completion: 1, ..usage });
    let mut pieces: Vec<Object> = thought.into_iter().collect();
    match answer {
        Answer::Text(text) => {
            pieces.extend(answer::chunks(text, call.script).iter().map(|piece| object! {"text": piece}))
        }
        Answer::Calls(names) => pieces.extend(calls(names)),
    }
    let mut events: Vec<Event> =
        pieces.into_iter().map(|piece| event(&response(call, &[piece], None, so_far), true)).collect();
    events.push(event(&response(call, &[object! {"text": ""}], Some(finish), usage), false));
    let overloaded = error(&Fault::new(503, "The model is overloaded. Please try again later."));
    Reply::events(events, Bytes::from(format!("data: {}\r\n\r\n", overloaded.text())))
}

/// Google's events end with CRLF.
fn event(value: &Object, content: bool) -> Event {
    let Event { bytes, content } = data(value, content);
    let text = String::from_utf8_lossy(&bytes).replace("\n\n", "\r\n\r\n");
    Event { bytes: Bytes::from(text), content }
}

fn calls(names: &[String]) -> Vec<Object> {
    let arguments: Value = serde_json::from_str(ARGUMENTS).unwrap_or_default();
    let call = |(i, name): (usize, &String)| {
        let part = object! {"functionCall": object! {"name": name, "args": arguments}};
        part.with_some("thoughtSignature", (i == 0).then_some(SIGNATURE))
    };
    names.iter().enumerate().map(call).collect()
}

fn response(call: &Call<'_>, parts: &[Object], finish: Option<&str>, usage: Option<ScriptedUsage>) -> Object {
    let content = object! {"parts": parts, "role": "model"};
    let candidate = object! {"content": content}.with_some("finishReason", finish).with("index", &0_u64);
    let usage = usage.map(|usage| {
        object! {
            "promptTokenCount": usage.prompt,
            "candidatesTokenCount": usage.completion,
            "totalTokenCount": usage.prompt + usage.completion,
        }
        .with_some("cachedContentTokenCount", (usage.cache_read > 0).then_some(usage.cache_read))
    });
    object! {"candidates": [candidate]}
        .with_some("usageMetadata", usage)
        .with("modelVersion", model(call))
        .with("responseId", &format!("mock-{}", call.serial))
}

/// The model in the path, `/models/<model>:method`.
fn model<'a>(call: &'a Call<'_>) -> &'a str {
    let (before, _) = call.head.uri.path().rsplit_once(':').unwrap_or_default();
    before.rsplit('/').next().unwrap_or_default()
}

fn question(request: &GenerateRequest) -> Question<'_> {
    let declared = request.tools.iter().filter_map(|tool| tool.get("function_declarations")?.as_array()).flatten();
    let mode = text_at(&request.tool_config, "/functionCallingConfig/mode");
    Question {
        tools: declared.filter_map(|tool| text_at(tool, "/name")).collect(),
        may_call: mode != Some("NONE"),
        must_call: mode == Some("ANY"),
        named: text_at(&request.tool_config, "/functionCallingConfig/allowed_function_names/0"),
        user_text: request.contents.last().and_then(user_text),
    }
}

/// The text of a user's turn; `None` if it carries a tool's result.
fn user_text(content: &Value) -> Option<String> {
    let parts = content.get("parts")?.as_array()?;
    let is_result = parts.iter().any(|part| part.get("function_response").is_some());
    let text = || parts.iter().filter_map(|part| text_at(part, "/text")).collect();
    (text_at(content, "/role") == Some("user") && !is_result).then(text)
}

fn finish_reason(asked: Option<&str>) -> &str {
    match asked {
        None | Some("stop" | "tool_calls") => "STOP",
        Some("length") => "MAX_TOKENS",
        Some("content_filter") => "SAFETY",
        Some(other) => other,
    }
}

/// Answers `:batchEmbedContents` and Vertex's `:predict`.
pub(crate) fn embed(call: &Call<'_>) -> Result<Reply, Fault> {
    authenticate(call)?;
    let request: Value = vendor::parse(call.body)?;
    let list = |name: &str| request.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let is_predict = call.endpoint == Endpoint::Predict;
    let inputs = if is_predict { list("instances") } else { list("requests") };
    let text = |input: &Value| {
        text_at(input, if is_predict { "/content" } else { "/content/parts/0/text" }).map(str::to_owned)
    };
    let values = |input: &Value| embeddings::vector(&text(input).unwrap_or_default(), DIMENSIONS);
    let body = if is_predict {
        let statistics = object! {"truncated": false, "token_count": 2_u64};
        let each = |input| object! {"embeddings": object! {"values": values(input), "statistics": statistics.clone()}};
        object! {"predictions": inputs.iter().map(each).collect::<Vec<_>>()}
    } else {
        object! {"embeddings": inputs.iter().map(|input| object! {"values": values(input)}).collect::<Vec<_>>()}
    };
    Ok(Reply::json(StatusCode::OK, &body))
}

/// An error body: `{"error":{"code","message","status"}}`.
pub(crate) fn error(fault: &Fault) -> Object {
    let status = match fault.status {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        500.. => "INTERNAL",
        _ => "INVALID_ARGUMENT",
    };
    let message = match fault.code.as_deref() {
        Some("context_length_exceeded") => {
            "The input token count (209000) exceeds the maximum number of tokens allowed (200000)."
        }
        _ => &fault.message,
    };
    object! {"error": object! {"code": u64::from(fault.status), "message": message, "status": status}}
}

/// Checks Google's credentials: an API key, or on Vertex an access token.
pub(crate) fn authenticate(call: &Call<'_>) -> Result<(), Fault> {
    if call.has_header("x-goog-api-key") || call.has_header("authorization") {
        return Ok(());
    }
    Err(Fault::new(403, "Method doesn't allow unregistered callers (callers without established identity)."))
}
