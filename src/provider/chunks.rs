//! The chunks of a chat completion, written one after the other: what every translated stream ends up as.
//!
//! One id and one time for the whole stream; the role in the first chunk of each choice; the finish reason in a chunk
//! of its own; usage, where the client asked for it, before `[DONE]`. An error ends the stream without `[DONE]`: a
//! client must not take what it has for the whole answer.
//!
//! Source: OpenAI, "The chat completion chunk object"
//! <https://platform.openai.com/docs/api-reference/chat/streaming>, not re-read for this; LITELLM.md 3.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::error::Error;
use crate::json::Text;
use crate::openai::chat::{CallDelta, Called, Delta, ThinkingDelta};
use crate::openai::usage::Wire;
use crate::openai::{Request, Usage};
use crate::provider::{Estimate, Tally};

/// What an answer's id begins with; the provider's own follows.
pub const ID_PREFIX: &str = "chatcmpl-";

/// The most choices that are told apart: OpenAI's bound on `n`.
const MAX_CHOICES: usize = 128;

/// A stream of chunks on its way to the client.
#[derive(Debug)]
pub struct Chunks {
    include_usage: bool,
    estimate: Option<Estimate>,
    created: u64,
    model: String,
    /// All of a chunk that stands before its choices; empty until the first chunk.
    head: Vec<u8>,
    choices: Vec<Choice>,
    has_ended: bool,
    /// What it has come to so far.
    pub tally: Tally,
}

#[derive(Clone, Copy, Debug, Default)]
struct Choice {
    has_role: bool,
    is_finished: bool,
}

impl Chunks {
    /// The chunks that answer `request` by `model`; `now_secs` is Unix time.
    pub fn new(request: &Request, model: &str, now_secs: u64) -> Self {
        Self {
            include_usage: request.include_usage,
            estimate: None,
            created: now_secs,
            model: model.to_owned(),
            head: Vec::new(),
            choices: Vec::new(),
            has_ended: false,
            tally: Tally::default(),
        }
    }

    /// See [`super::Stream::estimate`].
    pub fn estimate(&mut self, estimate: Estimate) {
        self.estimate = Some(estimate);
    }

    /// Names the answer, before its first chunk: the provider's id, and the model where the provider says it.
    pub fn name(&mut self, id: &str, model: &str) {
        if self.head.is_empty() {
            self.head = head(id, self.created, if model.is_empty() { &self.model } else { model });
        }
    }

    /// Whether nothing more goes to the client.
    pub fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Whether choice `index` has its finish reason.
    pub fn is_finished(&self, index: usize) -> bool {
        self.choices.get(index).is_some_and(|choice| choice.is_finished)
    }

    /// Whether any choice has begun.
    pub fn has_begun(&self) -> bool {
        !self.choices.is_empty()
    }

    /// Writes a chunk with `delta` for choice `index`.
    pub fn delta(&mut self, index: usize, delta: Delta<'_>, out: &mut Vec<u8>) {
        self.delta_with(index, delta, None, out);
    }

    /// The same with what OpenAI's delta has no place for, and the choice's `logprobs`.
    pub fn delta_with(&mut self, index: usize, mut delta: Delta<'_>, logprobs: Option<&RawValue>, out: &mut Vec<u8>) {
        let Some(choice) = self.choice(index) else { return };
        if !std::mem::replace(&mut choice.has_role, true) {
            delta.role = Some("assistant");
        }
        self.open(index, out);
        write(&delta, out);
        if let Some(logprobs) = logprobs {
            out.extend_from_slice(b",\"logprobs\":");
            write(&logprobs, out);
        }
        out.extend_from_slice(b",\"finish_reason\":null}]}\n\n");
    }

    /// Writes the chunk with the finish reason of choice `index`; once.
    pub fn finish(&mut self, index: usize, reason: &str, out: &mut Vec<u8>) {
        self.finish_with(index, reason, None, out);
    }

    /// The same with `provider_specific_fields` in the delta.
    pub fn finish_with(&mut self, index: usize, reason: &str, fields: Option<&RawValue>, out: &mut Vec<u8>) {
        let Some(choice) = self.choice(index).filter(|choice| !choice.is_finished) else { return };
        choice.is_finished = true;
        if !choice.has_role {
            self.delta(index, content(Text::Plain("".into())), out);
        }
        self.open(index, out);
        write(&Delta { provider_specific_fields: fields, ..Delta::default() }, out);
        out.extend_from_slice(b",\"finish_reason\":\"");
        out.extend_from_slice(reason.as_bytes());
        out.extend_from_slice(b"\"}]}\n\n");
    }

    /// Ends a stream that is complete: usage, then `[DONE]`.
    pub fn done(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.has_ended, true) {
            return;
        }
        if let Some(usage) = self.usage().filter(|_| self.include_usage) {
            self.begin(out);
            out.extend_from_slice(b"\"choices\":[],\"usage\":");
            write(&Wire::from(&usage), out);
            out.extend_from_slice(b"}\n\n");
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
        self.tally.is_complete = true;
    }

    /// Ends the stream with an error, unless it has ended.
    pub fn fail(&mut self, error: Error, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.has_ended, true) {
            return;
        }
        out.extend_from_slice(b"event: error\ndata: ");
        out.append(&mut error.body());
        out.extend_from_slice(b"\n\n");
        self.tally.error = Some(error);
    }

    fn usage(&self) -> Option<Usage> {
        let estimate = || self.estimate.map(|estimate| estimate.usage(self.tally.content_bytes));
        self.tally.usage.or_else(estimate)
    }

    fn choice(&mut self, index: usize) -> Option<&mut Choice> {
        if index < MAX_CHOICES && self.choices.len() <= index {
            self.choices.resize(index + 1, Choice::default());
        }
        self.choices.get_mut(index)
    }

    /// Begins a chunk up to the delta of choice `index`.
    fn open(&mut self, index: usize, out: &mut Vec<u8>) {
        self.begin(out);
        out.extend_from_slice(b"\"choices\":[{\"index\":");
        out.extend_from_slice(itoa::Buffer::new().format(index).as_bytes());
        out.extend_from_slice(b",\"delta\":");
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        self.name("", "");
        out.extend_from_slice(&self.head);
    }
}

/// The beginning of every chunk: `data: {"id":…,"object":…,"created":…,"model":…,`.
fn head(id: &str, created: u64, model: &str) -> Vec<u8> {
    #[derive(Serialize)]
    struct Head<'a> {
        id: String,
        object: &'static str,
        created: u64,
        model: &'a str,
    }
    let mut head = b"data: ".to_vec();
    write(&Head { id: format!("{ID_PREFIX}{id}"), object: "chat.completion.chunk", created, model }, &mut head);
    head.pop();
    head.push(b',');
    head
}

/// Writing to memory cannot fail, and none of our types refuses to be written. A line end in a vendor's own JSON, where
/// it is but white space, must not end a line of the event.
fn write(value: &impl Serialize, out: &mut Vec<u8>) {
    let start = out.len();
    let _written = serde_json::to_writer(&mut *out, value);
    let written = out.get_mut(start..).unwrap_or_default();
    written.iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
}

/// More text.
pub fn content(text: Text<'_>) -> Delta<'_> {
    Delta { content: Some(text), ..Delta::default() }
}

/// More of a block of reasoning.
pub fn thought(piece: ThinkingDelta<'_>) -> Delta<'_> {
    Delta { thinking_blocks: Some([piece]), ..Delta::default() }
}

/// A piece of a readable block of reasoning.
pub fn piece<'a>(thinking: Text<'a>, signature: Option<Text<'a>>) -> ThinkingDelta<'a> {
    ThinkingDelta::Piece { type_: "thinking", thinking, signature }
}

/// A block of reasoning that only the provider can read.
pub fn redacted(data: Text<'_>) -> Delta<'_> {
    thought(ThinkingDelta::Redacted { type_: "redacted_thinking", data })
}

/// More of a call.
pub fn call(call: CallDelta<'_>) -> Delta<'_> {
    Delta { tool_calls: Some([call]), ..Delta::default() }
}

/// More of a call's arguments.
pub fn arguments(index: u32, arguments: Text<'_>) -> Delta<'_> {
    call(CallDelta { index, id: None, type_: None, function: Called { name: None, arguments } })
}
