//! OpenAI's responses, whole and in events.
//!
//! Written from knowledge of "The response object" <https://platform.openai.com/docs/api-reference/responses/object>,
//! not read for it, and "Streaming events"
//! <https://developers.openai.com/api/reference/resources/responses/streaming-events>, read on 2026-11-23 in excerpts;
//! tests/sdk/responses_sdk.py checks it with OpenAI's own SDK. It keeps nothing: a `previous_response_id` is taken and
//! means nothing.

use hyper::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use crate::answer::{self, ARGUMENT_PIECES, ARGUMENTS, Answer, Question};
use crate::openai;
use crate::reply::{Event, Reply};
use crate::usage;
use crate::value::{NULL, Object, object, text_at};
use crate::vendor::{self, Call, Fault, typed};

#[derive(Deserialize)]
struct ResponseRequest {
    model: String,
    #[serde(default)]
    input: Value,
    #[serde(default)]
    stream: Option<bool>,
    #[serde(default)]
    stream_options: Value,
    #[serde(default)]
    text: Value,
    #[serde(default)]
    tools: Option<Vec<Value>>,
    #[serde(default)]
    tool_choice: Value,
}

/// An answer, from which either form is made.
struct Turn<'a> {
    call: &'a Call<'a>,
    model: &'a str,
    answer: Answer,
    usage: Option<Object>,
}

/// Answers `/responses`.
pub(crate) fn responses(call: &Call<'_>) -> Result<Reply, Fault> {
    openai::authenticate(call)?;
    let request: ResponseRequest = vendor::parse(call.body)?;
    if request.stream_options.get("include_usage").is_some() {
        return Err(Fault::new(400, "Unknown parameter: 'stream_options.include_usage'."));
    }
    let wants_json = text_at(&request.text, "/format/type") == Some("json_schema");
    let answer = match answer::answer(&question(&request), call.script) {
        Answer::Text(_) if wants_json => Answer::Text(ARGUMENTS.to_owned()),
        answer => answer,
    };
    let usage = (!call.script.shape.no_usage).then(|| usage_value(call, &answer.words()));
    let turn = Turn { call, model: &request.model, answer, usage };
    if request.stream == Some(true) {
        return Ok(turn.stream());
    }
    let items: Vec<Object> = (0..turn.len()).map(|index| turn.item(index, turn.status())).collect();
    Ok(Reply::json(StatusCode::OK, &turn.response(turn.status(), &items)))
}

fn question(request: &ResponseRequest) -> Question<'_> {
    let tools = request.tools.as_deref().unwrap_or_default();
    Question {
        tools: tools.iter().filter_map(|tool| text_at(tool, "/name")).collect(),
        may_call: request.tool_choice != "none",
        must_call: request.tool_choice == "required" || request.tool_choice.is_object(),
        named: text_at(&request.tool_choice, "/name"),
        user_text: user_text(&request.input),
    }
}

/// The text of the input, or of its last item if that is the user's.
fn user_text(input: &Value) -> Option<String> {
    let Some(items) = input.as_array() else { return Some(input.as_str().unwrap_or_default().to_owned()) };
    let last = items.last().filter(|item| item["role"] == "user")?;
    match &last["content"] {
        Value::Array(parts) => Some(parts.iter().filter_map(|part| text_at(part, "/text")).collect()),
        content => Some(content.as_str().unwrap_or_default().to_owned()),
    }
}

fn usage_value(call: &Call<'_>, answer: &str) -> Object {
    let usage = usage::count(call.script, call.body.len(), answer);
    object! {
        "input_tokens": usage.prompt,
        "input_tokens_details": object! {"cached_tokens": usage.cache_read, "cache_write_tokens": usage.cache_write},
        "output_tokens": usage.completion,
        "output_tokens_details": object! {"reasoning_tokens": 0_u64},
        "total_tokens": usage.prompt + usage.completion,
    }
}

impl Turn<'_> {
    fn status(&self) -> &'static str {
        if self.call.script.fault.finish.as_deref() == Some("length") { "incomplete" } else { "completed" }
    }

    /// How many items it has.
    fn len(&self) -> usize {
        match &self.answer {
            Answer::Text(_) => 1,
            Answer::Calls(names) => names.len(),
        }
    }

    fn response(&self, status: &str, items: &[Object]) -> Object {
        let is_over = status != "in_progress";
        let details = (status == "incomplete").then(|| object! {"reason": "max_output_tokens"});
        object! {
            "id": format!("resp_mock_{}", self.call.serial),
            "object": "response",
            "created_at": openai::CREATED,
            "status": status,
            "background": false,
            "error": NULL,
            "incomplete_details": details,
            "instructions": NULL,
            "max_output_tokens": NULL,
            "model": self.model,
            "output": items,
            "parallel_tool_calls": true,
            "previous_response_id": NULL,
            "reasoning": object! {"effort": NULL, "summary": NULL},
            "store": true,
            "temperature": 1.0_f32,
            "text": object! {"format": object! {"type": "text"}},
            "tool_choice": "auto",
            "tools": Vec::<Object>::new(),
            "top_p": 1.0_f32,
            "truncation": "disabled",
            "usage": self.usage.as_ref().filter(|_| is_over),
            "user": NULL,
            "metadata": Object::default(),
        }
    }

    fn id(&self, index: usize) -> String {
        let prefix = if matches!(self.answer, Answer::Text(_)) { "msg" } else { "fc" };
        format!("{prefix}_mock_{}_{index}", self.call.serial)
    }

    /// Item number `index`, empty while it is in progress.
    fn item(&self, index: usize, status: &str) -> Object {
        let is_over = status != "in_progress";
        let item = |kind: &str| object! {"id": self.id(index), "type": kind, "status": status};
        match &self.answer {
            Answer::Text(text) => {
                let content: Vec<Object> = is_over.then(|| part(text)).into_iter().collect();
                item("message").with("role", "assistant").with("content", &content)
            }
            Answer::Calls(names) => {
                let name = names.get(index).map(String::as_str).unwrap_or_default();
                let call = item("function_call").with("arguments", if is_over { ARGUMENTS } else { "" });
                call.with("call_id", &format!("call_mock_{index}")).with("name", name)
            }
        }
    }

    fn stream(&self) -> Reply {
        let mut events = Events::default();
        for name in ["response.created", "response.in_progress"] {
            events.push(name, |event| event.with("response", &self.response("in_progress", &[])), false);
        }
        let mut items = Vec::new();
        for index in 0..self.len() {
            let added = self.item(index, "in_progress");
            events.push("response.output_item.added", |e| e.with("output_index", &index).with("item", &added), false);
            let place = |event: Object| event.with("item_id", &self.id(index)).with("output_index", &index);
            match &self.answer {
                Answer::Text(text) => self.text_events(&mut events, text, place),
                Answer::Calls(_) => call_events(&mut events, place),
            }
            let item = self.item(index, self.status());
            events.push("response.output_item.done", |e| e.with("output_index", &index).with("item", &item), false);
            items.push(item);
        }
        let last = format!("response.{}", self.status());
        events.push(&last, |event| event.with("response", &self.response(self.status(), &items)), false);
        let mut broken = Events { serial: 1000, ..Events::default() };
        let message = "The server had an error while processing your request.";
        broken.push("error", |e| e.with("code", "server_error").with("message", message).with("param", &NULL), false);
        let error = broken.all.into_iter().map(|event| event.bytes).next().unwrap_or_default();
        Reply::events(events.all, error)
    }

    fn text_events(&self, events: &mut Events, text: &str, place: impl Fn(Object) -> Object) {
        let place = |event: Object| place(event).with("content_index", &0_u64);
        let none = Vec::<Object>::new();
        events.push("response.content_part.added", |event| place(event).with("part", &part("")), false);
        for piece in answer::chunks(text, self.call.script) {
            let delta = |event: Object| place(event).with("delta", &piece).with("logprobs", &none);
            events.push("response.output_text.delta", delta, true);
        }
        let done = |event: Object| place(event).with("text", text).with("logprobs", &none);
        events.push("response.output_text.done", done, false);
        events.push("response.content_part.done", |event| place(event).with("part", &part(text)), false);
    }
}

fn call_events(events: &mut Events, place: impl Fn(Object) -> Object) {
    for piece in answer::split(ARGUMENTS, ARGUMENT_PIECES) {
        events.push("response.function_call_arguments.delta", |event| place(event).with("delta", &piece), true);
    }
    events.push("response.function_call_arguments.done", |event| place(event).with("arguments", ARGUMENTS), false);
}

fn part(text: &str) -> Object {
    let none = Vec::<Object>::new();
    object! {"type": "output_text", "annotations": none, "logprobs": none, "text": text}
}

/// Events with their numbers.
#[derive(Default)]
struct Events {
    all: Vec<Event>,
    serial: u64,
}

impl Events {
    fn push(&mut self, name: &str, members: impl FnOnce(Object) -> Object, content: bool) {
        let serial = self.serial;
        self.all.push(typed(name, |event| members(event).with("sequence_number", &serial), content));
        self.serial += 1;
    }
}
