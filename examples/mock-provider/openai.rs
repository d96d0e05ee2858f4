//! OpenAI's chat completions, completions, models and errors.
//!
//! Written from knowledge of OpenAI's "API reference: Chat" <https://platform.openai.com/docs/api-reference/chat>,
//! which was not read for it; tests/sdk/openai_sdk.py checks it with OpenAI's own SDK, whose types say what
//! `include_usage` does.

use bytes::Bytes;
use hyper::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use crate::answer::{self, ARGUMENT_PIECES, ARGUMENTS, Answer, Message, Question};
use crate::dialect::Dialect;
use crate::reply::{Event, Reply};
use crate::script::ScriptedUsage;
use crate::usage;
use crate::value::{NULL, Object, object, text_at};
use crate::vendor::{self, Call, Fault, data};

/// When every answer was made, in Unix seconds.
pub(crate) const CREATED: u64 = 1_700_000_000;

#[derive(Deserialize)]
struct ChatRequest {
    model: String,
    messages: Vec<Message>,
    #[serde(default)]
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    #[serde(default)]
    tools: Option<Vec<Value>>,
    #[serde(default)]
    tool_choice: Value,
}

#[derive(Deserialize)]
struct CompletionRequest {
    model: String,
    #[expect(dead_code, reason = "its presence is what is checked")]
    prompt: Value,
    #[serde(default)]
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
}

#[derive(Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

/// What every chunk of one stream repeats.
struct Envelope<'a> {
    id: String,
    object: &'static str,
    model: &'a str,
    /// `usage` is in every chunk, null but for the last.
    include_usage: bool,
    dialect: Dialect,
}

/// Answers `/chat/completions`.
pub(crate) fn chat(call: &Call<'_>) -> Result<Reply, Fault> {
    authenticate(call)?;
    let request: ChatRequest = vendor::parse(call.body)?;
    let dialect = Dialect::of(call);
    dialect.check(call)?;
    let answer = answer::answer(&question(&request), call.script);
    let finish = finish_reason(call, &answer);
    let usage = usage_json(call, &answer.words());
    if request.stream == Some(true) {
        let envelope = envelope(call, "chatcmpl", "chat.completion.chunk", &request.model, request.stream_options);
        let choices = chat_choices(call, &answer, &finish);
        return Ok(envelope.stream(choices, usage));
    }
    let text = match &answer {
        Answer::Text(text) => Some(text.as_str()),
        Answer::Calls(_) => None,
    };
    let said = dialect.message(message(&answer), text);
    let body = object! {
        "id": format!("chatcmpl-mock-{}", call.serial),
        "object": "chat.completion",
        "created": CREATED,
        "model": request.model,
        "choices": [object! {"index": 0_u64, "message": said, "logprobs": NULL, "finish_reason": finish}],
        "service_tier": "default",
        "system_fingerprint": "fp_mock",
    };
    let filters = dialect.filters().map(|_| Vec::<Object>::new());
    Ok(Reply::json(StatusCode::OK, &body.with_some("prompt_filter_results", filters).with_some("usage", usage)))
}

/// Answers the older `/completions`.
pub(crate) fn completions(call: &Call<'_>) -> Result<Reply, Fault> {
    authenticate(call)?;
    let request: CompletionRequest = vendor::parse(call.body)?;
    let answer = Answer::Text(answer::text(call.script));
    let finish = finish_reason(call, &answer);
    let usage = usage_json(call, &answer.words());
    let choice = |text: String, finish: Option<&str>| {
        object! {"index": 0_u64, "text": text, "logprobs": NULL, "finish_reason": finish}
    };
    if request.stream == Some(true) {
        let mut choices: Vec<(Object, bool)> =
            answer::chunks(&answer.words(), call.script).into_iter().map(|text| (choice(text, None), true)).collect();
        choices.push((choice(String::new(), Some(&finish)), false));
        let envelope = envelope(call, "cmpl", "text_completion", &request.model, request.stream_options);
        return Ok(envelope.stream(choices, usage));
    }
    let body = object! {
        "id": format!("cmpl-mock-{}", call.serial),
        "object": "text_completion",
        "created": CREATED,
        "model": request.model,
        "choices": [choice(answer.words(), Some(&finish))],
    };
    Ok(Reply::json(StatusCode::OK, &body.with_some("usage", usage)))
}

/// Answers `/models`.
pub(crate) fn models(call: &Call<'_>) -> Result<Reply, Fault> {
    authenticate(call)?;
    let models: Vec<Object> = ["mock-gpt", "mock-embedding"].into_iter().map(vendor::model).collect();
    Ok(Reply::json(StatusCode::OK, &object! {"object": "list", "data": models}))
}

/// Refuses a request without `authorization` (or Azure's `api-key`); any value will do.
pub(crate) fn authenticate(call: &Call<'_>) -> Result<(), Fault> {
    if call.has_header("authorization") || call.has_header("api-key") {
        return Ok(());
    }
    Err(Fault::new(401, "You didn't provide an API key."))
}

/// An error body: `{"error":{"message","type","param","code"}}`.
///
/// Types and codes are from knowledge of "Error codes" <https://platform.openai.com/docs/guides/error-codes>, not read
/// for it.
pub(crate) fn error(fault: &Fault) -> Object {
    let (kind, code) = match fault.status {
        401 => ("invalid_request_error", Some("invalid_api_key")),
        403 => ("invalid_request_error", Some("unsupported_country_region_territory")),
        404 => ("invalid_request_error", Some("model_not_found")),
        429 => ("requests", Some("rate_limit_exceeded")),
        500.. => ("server_error", None),
        _ => ("invalid_request_error", None),
    };
    let message = match fault.code.as_deref() {
        Some("context_length_exceeded") => {
            "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens. \
             Please reduce the length of the messages."
        }
        Some("content_filter") => {
            "The response was filtered due to the prompt triggering the content management policy."
        }
        _ => &fault.message,
    };
    let param = (fault.code.as_deref() == Some("context_length_exceeded")).then_some("messages");
    let code = fault.code.as_deref().or(code);
    object! {"error": object! {"message": message, "type": kind, "param": param, "code": code}}
}

fn question(request: &ChatRequest) -> Question<'_> {
    let tools = request.tools.as_deref().unwrap_or_default();
    Question {
        tools: tools.iter().filter_map(|tool| text_at(tool, "/function/name")).collect(),
        may_call: request.tool_choice != "none",
        must_call: request.tool_choice == "required" || request.tool_choice.is_object(),
        named: text_at(&request.tool_choice, "/function/name"),
        user_text: answer::user_text(&request.messages),
    }
}

fn finish_reason(call: &Call<'_>, answer: &Answer) -> String {
    let natural = match answer {
        Answer::Text(_) => "stop",
        Answer::Calls(_) => "tool_calls",
    };
    call.script.fault.finish.clone().unwrap_or_else(|| natural.to_owned())
}

fn message(answer: &Answer) -> Object {
    match answer {
        Answer::Text(text) => {
            object! {"role": "assistant", "content": text, "refusal": NULL, "annotations": Vec::<Object>::new()}
        }
        Answer::Calls(names) => {
            let calls: Vec<Object> =
                names.iter().enumerate().map(|(i, name)| tool_call(Object::default(), i, name, ARGUMENTS)).collect();
            object! {"role": "assistant", "content": NULL, "refusal": NULL, "tool_calls": calls}
        }
    }
}

fn tool_call(call: Object, index: usize, name: &str, arguments: &str) -> Object {
    call.with("id", &format!("call_mock_{index}"))
        .with("type", "function")
        .with("function", &object! {"name": name, "arguments": arguments})
}

/// The choices of a stream, and whether each carries content: the role, the deltas, the finish reason.
fn chat_choices(call: &Call<'_>, answer: &Answer, finish: &str) -> Vec<(Object, bool)> {
    let choice = |delta: Object, content: bool| {
        (object! {"index": 0_u64, "delta": delta, "logprobs": NULL, "finish_reason": NULL}, content)
    };
    let mut choices = Vec::new();
    match answer {
        Answer::Text(text) => {
            choices.push(choice(object! {"role": "assistant", "content": "", "refusal": NULL}, false));
            choices.extend(Dialect::of(call).thought().map(|thought| choice(thought, false)));
            let deltas = answer::chunks(text, call.script).into_iter().map(|text| object! {"content": text});
            choices.extend(deltas.map(|delta| choice(delta, true)));
        }
        Answer::Calls(names) => {
            choices.push(choice(object! {"role": "assistant", "content": NULL, "refusal": NULL}, false));
            let deltas = names.iter().enumerate().flat_map(|(i, name)| call_deltas(i, name));
            choices.extend(deltas.map(|delta| choice(object! {"tool_calls": [delta]}, true)));
        }
    }
    choices
        .push((object! {"index": 0_u64, "delta": Object::default(), "logprobs": NULL, "finish_reason": finish}, false));
    choices
}

/// The first delta of a call has its id and name, the others a piece of the arguments each.
fn call_deltas(index: usize, name: &str) -> Vec<Object> {
    let first = tool_call(object! {"index": index}, index, name, "");
    let pieces = answer::split(ARGUMENTS, ARGUMENT_PIECES).into_iter();
    let rest = pieces.map(|piece| object! {"index": index, "function": object! {"arguments": piece}});
    std::iter::once(first).chain(rest).collect()
}

fn envelope<'a>(
    call: &Call<'_>,
    prefix: &str,
    object: &'static str,
    model: &'a str,
    options: Option<StreamOptions>,
) -> Envelope<'a> {
    let include_usage = options.is_some_and(|options| options.include_usage);
    Envelope { id: format!("{prefix}-mock-{}", call.serial), object, model, include_usage, dialect: Dialect::of(call) }
}

impl Envelope<'_> {
    fn stream(&self, choices: Vec<(Object, bool)>, usage: Option<Object>) -> Reply {
        let last = choices.len().saturating_sub(1);
        let beside = |i: usize| usage.clone().filter(|_| self.dialect == Dialect::Mistral && i == last);
        let mut events: Vec<Event> = self.dialect.filters().iter().map(|filters| data(filters, false)).collect();
        let chunks = choices.into_iter().enumerate();
        events.extend(chunks.map(|(i, (choice, content))| data(&self.chunk(&[choice], beside(i)), content)));
        if let Some(usage) = usage.filter(|_| self.include_usage) {
            events.push(data(&self.chunk(&[], Some(usage)), false));
        }
        events.push(Event { bytes: Bytes::from_static(b"data: [DONE]\n\n"), content: false });
        let broken = Fault::new(500, "The server had an error while processing your request.");
        Reply::events(events, data(&error(&broken), false).bytes)
    }

    fn chunk(&self, choices: &[Object], usage: Option<Object>) -> Object {
        object! {
            "id": self.id,
            "object": self.object,
            "created": CREATED,
            "model": self.model,
            "service_tier": "default",
            "system_fingerprint": "fp_mock",
            "choices": choices,
        }
        .with_some("usage", (self.include_usage || usage.is_some()).then_some(usage))
    }
}

fn usage_json(call: &Call<'_>, answer: &str) -> Option<Object> {
    (!call.script.shape.no_usage).then(|| usage_value(usage::count(call.script, call.body.len(), answer)))
}

fn usage_value(usage: ScriptedUsage) -> Object {
    object! {
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.completion,
        "total_tokens": usage.prompt + usage.completion,
        "prompt_tokens_details": object! {"cached_tokens": usage.cache_read, "audio_tokens": 0_u64},
        "completion_tokens_details": object! {"reasoning_tokens": 0_u64, "audio_tokens": 0_u64},
    }
}
