//! Ollama's chat, embeddings and errors: whole, or as lines of JSON.
//!
//! Written from knowledge of Ollama's "Generate a chat message" <https://docs.ollama.com/api/chat> and "Generate
//! embeddings" <https://docs.ollama.com/api/embed>, not read for it; "Errors" <https://docs.ollama.com/api/errors>, read
//! 2026-11-23. A server of one's own asks for no key; `api.ollama.example` in the path does.

use bytes::Bytes;
use hyper::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use crate::answer::{self, ARGUMENTS, Answer, Message, Question};
use crate::embeddings;
use crate::reply::{Event, Reply};
use crate::usage;
use crate::value::{Object, object, text_at};
use crate::vendor::{self, Call, Fault};

/// What the model thinks, when thinking is asked for.
const THINKING: &str = "The user asks something; the same calm words will do.";
const THINKING_PIECES: usize = 2;
/// When every answer was made.
const CREATED: &str = "2026-11-23T08:00:00";

#[derive(Deserialize)]
struct ChatRequest {
    model: String,
    messages: Vec<Message>,
    #[serde(default)]
    options: Value,
    /// Ollama streams unless told otherwise.
    stream: Option<bool>,
    #[serde(default)]
    tools: Option<Vec<Value>>,
    #[serde(default)]
    think: Value,
}

#[derive(Deserialize)]
struct EmbedRequest {
    model: String,
    input: Value,
    dimensions: Option<usize>,
}

/// Answers `/api/chat`.
pub(crate) fn chat(call: &Call<'_>) -> Result<Reply, Fault> {
    authenticate(call)?;
    let request: ChatRequest = vendor::parse(call.body)?;
    if request.options.get("stop").is_some_and(|stop| !stop.is_array()) {
        return Err(Fault::new(400, "option \"stop\" must be of type array"));
    }
    let thinks = !matches!(request.think, Value::Null | Value::Bool(false));
    let answer = answer::answer(&question(&request), call.script);
    let words = if thinks { format!("{THINKING} {}", answer.words()) } else { answer.words() };
    let done = done(call, &words);
    if request.stream != Some(false) {
        return Ok(stream(call, &request.model, &answer, thinks, done));
    }
    let mut message = object! {"role": "assistant"};
    message = match &answer {
        Answer::Text(text) => message.with("content", text),
        Answer::Calls(names) => message.with("content", "").with("tool_calls", &calls(names)),
    };
    let message = message.with_some("thinking", thinks.then_some(THINKING));
    Ok(Reply::json(StatusCode::OK, &done(line(call, &request.model, 0, &message))))
}

/// Answers `/api/embed`.
pub(crate) fn embed(call: &Call<'_>) -> Result<Reply, Fault> {
    authenticate(call)?;
    let request: EmbedRequest = vendor::parse(call.body)?;
    let vectors = embeddings::vectors(&request.input, request.dimensions);
    let prompt = usage::count(call.script, call.body.len(), "").prompt;
    let body = object! {"model": request.model, "embeddings": vectors, "total_duration": 1_u64};
    Ok(Reply::json(
        StatusCode::OK,
        &body.with_some("prompt_eval_count", (!call.script.shape.no_usage).then_some(prompt)),
    ))
}

/// An error body: `{"error":…}`.
pub(crate) fn error(fault: &Fault) -> Object {
    let message = match fault.code.as_deref() {
        Some("context_length_exceeded") => "the input length exceeds the context length",
        _ => &fault.message,
    };
    object! {"error": message}
}

fn authenticate(call: &Call<'_>) -> Result<(), Fault> {
    if call.head.uri.path().contains("api.ollama.example") && !call.has_header("authorization") {
        return Err(Fault::new(401, "unauthorized"));
    }
    Ok(())
}

fn question(request: &ChatRequest) -> Question<'_> {
    let tools = request.tools.as_deref().unwrap_or_default();
    Question {
        tools: tools.iter().filter_map(|tool| text_at(tool, "/function/name")).collect(),
        may_call: true,
        must_call: false,
        named: None,
        user_text: answer::user_text(&request.messages),
    }
}

fn calls(names: &[String]) -> Vec<Object> {
    let arguments: Value = serde_json::from_str(ARGUMENTS).unwrap_or_default();
    names.iter().map(|name| object! {"function": object! {"name": name, "arguments": arguments}}).collect()
}

/// What every line begins with; each has a time of its own.
fn line(call: &Call<'_>, model: &str, number: usize, message: &Object) -> Object {
    let created_at = format!("{CREATED}.{:03}{number:06}Z", call.serial % 1000);
    object! {"model": model, "created_at": created_at, "message": message}
}

/// Makes a line the last one.
fn done(call: &Call<'_>, words: &str) -> impl Fn(Object) -> Object + use<> {
    let usage = usage::count(call.script, call.body.len(), words);
    let has_usage = !call.script.shape.no_usage;
    let reason = match call.script.fault.finish.as_deref() {
        Some("length") => "length",
        _ => "stop",
    };
    move |line| {
        line.with("done", &true)
            .with("done_reason", reason)
            .with("total_duration", &1_u64)
            .with_some("prompt_eval_count", has_usage.then_some(usage.prompt))
            .with_some("eval_count", has_usage.then_some(usage.completion))
    }
}

fn stream(call: &Call<'_>, model: &str, answer: &Answer, thinks: bool, done: impl Fn(Object) -> Object) -> Reply {
    let mut messages = Vec::new();
    if thinks {
        let pieces = answer::split(THINKING, THINKING_PIECES).into_iter();
        messages.extend(pieces.map(|piece| object! {"role": "assistant", "content": "", "thinking": piece}));
    }
    match answer {
        Answer::Text(text) => {
            let pieces = answer::chunks(text, call.script).into_iter();
            messages.extend(pieces.map(|piece| object! {"role": "assistant", "content": piece}));
        }
        Answer::Calls(names) => messages.extend(
            calls(names).into_iter().map(|each| object! {"role": "assistant", "content": "", "tool_calls": [each]}),
        ),
    }
    let ndjson = |value: &Object, content| Event { bytes: Bytes::from(format!("{}\n", value.text())), content };
    let each = messages.iter().enumerate();
    let mut events: Vec<Event> =
        each.map(|(i, message)| ndjson(&line(call, model, i, message).with("done", &false), true)).collect();
    let last = object! {"role": "assistant", "content": ""};
    events.push(ndjson(&done(line(call, model, messages.len(), &last)), false));
    let broken = error(&Fault::new(500, "an error was encountered while running the model"));
    Reply::events_of("application/x-ndjson", events, Bytes::from(format!("{}\n", broken.text())))
}
