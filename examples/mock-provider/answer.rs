//! What the model "says": the same words each time, or tool calls when asked about the weather.

use serde::Deserialize;
use serde_json::Value;

use crate::script::Script;
use crate::value::text_at;

/// The length of the answer text in bytes; with OpenAI's envelope a body of about 600.
const TEXT_BYTES: usize = 180;
/// Content chunks of a stream.
const CHUNKS: usize = 8;
/// One character takes two bytes, so that a cut can fall inside it.
const WORDS: &str =
    "The mock provider answers every question with the same calm words, served warm like a café au lait. ";
/// What every tool is called with.
pub(crate) const ARGUMENTS: &str = r#"{"location":"Berlin","unit":"celsius","days":[1,2,3]}"#;
/// How many pieces the arguments of a streamed call come in.
pub(crate) const ARGUMENT_PIECES: usize = 5;

/// The answer to one chat request.
pub(crate) enum Answer {
    Text(String),
    /// The names of the tools to call, each with [`ARGUMENTS`].
    Calls(Vec<String>),
}

impl Answer {
    /// What is counted as completion.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Calls(names) => names.iter().map(|name| format!("{name} {ARGUMENTS} ")).collect(),
        }
    }
}

/// What decides between text and tool calls.
pub(crate) struct Question<'a> {
    pub(crate) tools: Vec<&'a str>,
    /// The tool choice is not `none`.
    pub(crate) may_call: bool,
    /// The tool choice demands a call.
    pub(crate) must_call: bool,
    /// The tool that the choice names.
    pub(crate) named: Option<&'a str>,
    /// The last message, if it is the user's: a tool's result is answered in text.
    pub(crate) user_text: Option<String>,
}

/// Calls the first (or named) tool when the user speaks of the `weather`, twice for `both`; else answers in text.
pub(crate) fn answer(question: &Question<'_>, script: &Script) -> Answer {
    let asked = question.user_text.as_deref().unwrap_or_default();
    let wants = question.user_text.is_some() && (asked.contains("weather") || question.must_call);
    match question.named.or(question.tools.first().copied()) {
        Some(name) if question.may_call && wants => {
            Answer::Calls(vec![name.to_owned(); if asked.contains("both") { 2 } else { 1 }])
        }
        _ => Answer::Text(text(script)),
    }
}

/// The answer text, `body-bytes` long (give or take the end of a character).
pub(crate) fn text(script: &Script) -> String {
    let length = script.shape.body_bytes.unwrap_or(TEXT_BYTES).max(1);
    let mut text = WORDS.repeat(length / WORDS.len() + 1);
    let end = (length..).find(|end| text.is_char_boundary(*end)).unwrap_or(text.len());
    text.truncate(end);
    text
}

/// Cuts the text into as many content chunks as the script wants.
pub(crate) fn chunks(text: &str, script: &Script) -> Vec<String> {
    split(text, script.shape.chunks.unwrap_or(CHUNKS))
}

/// Cuts `text` into `count` pieces of nearly equal length; when there are too few characters it is repeated.
pub(crate) fn split(text: &str, count: usize) -> Vec<String> {
    let mut chars: Vec<char> = text.chars().collect();
    if chars.len() < count {
        chars = chars.iter().copied().cycle().take(count).collect();
    }
    let (size, longer) = (chars.len() / count.max(1), chars.len() % count.max(1));
    let mut rest = chars.into_iter();
    (0..count).map(|i| rest.by_ref().take(size + usize::from(i < longer)).collect()).collect()
}

/// A message of either vendor, as far as the mock reads it.
#[derive(Deserialize)]
pub(crate) struct Message {
    pub(crate) role: String,
    #[serde(default)]
    content: Value,
}

impl Message {
    /// The text of the message; `None` if it carries a tool result.
    pub(crate) fn text(&self) -> Option<String> {
        match &self.content {
            Value::String(text) => Some(text.clone()),
            Value::Array(parts) if parts.iter().any(|part| text_at(part, "/type") == Some("tool_result")) => None,
            Value::Array(parts) => Some(parts.iter().filter_map(|part| text_at(part, "/text")).collect()),
            _ => Some(String::new()),
        }
    }
}

/// The text of the last message if it is the user's.
pub(crate) fn user_text(messages: &[Message]) -> Option<String> {
    messages.last().filter(|message| message.role == "user").and_then(Message::text)
}
