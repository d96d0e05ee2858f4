//! Anthropic's messages and errors; the events are in [`crate::anthropic_stream`].
//!
//! Written from knowledge of Anthropic's "Messages" <https://docs.anthropic.com/en/api/messages> and "Errors"
//! <https://docs.anthropic.com/en/api/errors>; the pages themselves were not read for it.

use hyper::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use crate::answer::{self, ARGUMENTS, Answer, Message, Question};
use crate::anthropic_stream;
use crate::reply::Reply;
use crate::script::ScriptedUsage;
use crate::usage;
use crate::value::{NULL, Object, object, text_at};
use crate::vendor::{self, Call, Endpoint, Fault};

/// What the model thinks, when thinking is asked for.
const THINKING: &str = "The user asks something; the same calm words will do.";
/// The signature of a thinking block.
const SIGNATURE: &str = "bW9jay1zaWduYXR1cmU=";

#[derive(Deserialize)]
struct MessagesRequest {
    /// On Vertex it is in the path.
    #[serde(default)]
    model: String,
    messages: Vec<Message>,
    #[expect(dead_code, reason = "its presence is what is checked")]
    max_tokens: u64,
    #[serde(default)]
    stream: Option<bool>,
    #[serde(default)]
    tools: Option<Vec<Value>>,
    #[serde(default)]
    tool_choice: Value,
    #[serde(default)]
    thinking: Value,
}

/// A whole answer, from which either form is made.
pub(crate) struct Turn {
    pub(crate) id: String,
    pub(crate) model: String,
    pub(crate) blocks: Vec<Block>,
    pub(crate) stop_reason: String,
    /// `None` with `no-usage`.
    pub(crate) usage: Option<ScriptedUsage>,
}

/// One content block.
pub(crate) enum Block {
    Thinking { text: &'static str, signature: &'static str },
    Text(String),
    ToolUse { id: String, name: String, input: &'static str },
}

/// Answers `/messages`.
pub(crate) fn messages(call: &Call<'_>) -> Result<Reply, Fault> {
    if call.endpoint == Endpoint::Messages {
        authenticate(call)?;
    }
    let request: MessagesRequest = vendor::parse(call.body)?;
    let stream = request.stream == Some(true);
    let turn = turn(call, request);
    if stream {
        return Ok(anthropic_stream::reply(&turn, call.script));
    }
    let content: Vec<Object> = turn.blocks.iter().map(Block::whole).collect();
    Ok(Reply::json(StatusCode::OK, &turn.message(&content, Some(&turn.stop_reason), turn.usage)))
}

/// An error body: `{"type":"error","error":{"type","message"}}`.
pub(crate) fn error(fault: &Fault) -> Object {
    let kind = match fault.status {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        529 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    };
    let message = match fault.code.as_deref() {
        Some("context_length_exceeded") => "prompt is too long: 209000 tokens > 200000 maximum",
        Some("content_filter") => "Output blocked by content filtering policy",
        _ => &fault.message,
    };
    object! {"type": "error", "error": object! {"type": kind, "message": message}, "request_id": NULL}
}

fn authenticate(call: &Call<'_>) -> Result<(), Fault> {
    if !call.has_header("x-api-key") {
        return Err(Fault::new(401, "x-api-key header is required"));
    }
    if !call.has_header("anthropic-version") {
        return Err(Fault::new(400, "anthropic-version: header is required"));
    }
    Ok(())
}

fn turn(call: &Call<'_>, request: MessagesRequest) -> Turn {
    let answer = answer::answer(&question(&request), call.script);
    let thinks = text_at(&request.thinking, "/type").is_some_and(|kind| kind != "disabled");
    let words = if thinks { format!("{THINKING} {}", answer.words()) } else { answer.words() };
    let usage = (!call.script.shape.no_usage).then(|| usage::count(call.script, call.body.len(), &words));
    let stop_reason = match (&call.script.fault.finish, &answer) {
        (Some(finish), _) => stop_reason(finish).to_owned(),
        (None, Answer::Text(_)) => "end_turn".to_owned(),
        (None, Answer::Calls(_)) => "tool_use".to_owned(),
    };
    let mut blocks = Vec::new();
    if thinks {
        blocks.push(Block::Thinking { text: THINKING, signature: SIGNATURE });
    }
    match answer {
        Answer::Text(text) => blocks.push(Block::Text(text)),
        Answer::Calls(names) => blocks.extend(names.into_iter().enumerate().map(|(i, name)| Block::ToolUse {
            id: format!("toolu_mock_{i}"),
            name,
            input: ARGUMENTS,
        })),
    }
    Turn { id: format!("msg_mock_{}", call.serial), model: request.model, blocks, stop_reason, usage }
}

fn question(request: &MessagesRequest) -> Question<'_> {
    let tools = request.tools.as_deref().unwrap_or_default();
    let choice = text_at(&request.tool_choice, "/type");
    Question {
        tools: tools.iter().filter_map(|tool| text_at(tool, "/name")).collect(),
        may_call: choice != Some("none"),
        must_call: matches!(choice, Some("any" | "tool")),
        named: text_at(&request.tool_choice, "/name"),
        user_text: answer::user_text(&request.messages),
    }
}

/// Anthropic's input tokens leave out what a cache read or wrote.
pub(crate) fn usage_value(usage: ScriptedUsage) -> Object {
    object! {
        "input_tokens": usage.prompt.saturating_sub(usage.cache_read + usage.cache_write),
        "cache_creation_input_tokens": usage.cache_write,
        "cache_read_input_tokens": usage.cache_read,
        "output_tokens": usage.completion,
    }
}

fn stop_reason(finish: &str) -> &str {
    match finish {
        "stop" => "end_turn",
        "length" => "max_tokens",
        "tool_calls" => "tool_use",
        "content_filter" => "refusal",
        other => other,
    }
}

impl Turn {
    /// The message object, whole or as `message_start` has it.
    pub(crate) fn message(
        &self,
        content: &[Object],
        stop_reason: Option<&str>,
        usage: Option<ScriptedUsage>,
    ) -> Object {
        object! {
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": content,
            "stop_reason": stop_reason,
            "stop_sequence": NULL,
        }
        .with_some("usage", usage.map(|usage| usage_value(usage).with("service_tier", "standard")))
    }
}

impl Block {
    fn whole(&self) -> Object {
        match self {
            Self::Thinking { text, signature } => {
                object! {"type": "thinking", "thinking": text, "signature": signature}
            }
            Self::Text(text) => object! {"type": "text", "text": text},
            Self::ToolUse { id, name, input } => {
                let input: Value = serde_json::from_str(input).unwrap_or_default();
                object! {"type": "tool_use", "id": id, "name": name, "input": input}
            }
        }
    }
}
