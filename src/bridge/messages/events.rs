//! The chunks of a chat completion as the events of a message.
//!
//! One block is open at a time, as Anthropic has it. OpenAI may mix the pieces of several calls: a call whose arguments
//! are not complete when the next one begins stays open until the end. The counts come at the end, where OpenAI's
//! stream has them.
//!
//! # Limits
//!
//! Calls beyond [`MAX_CALLS`] are left out.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::reply::{self, Citation, Usage};
use super::tools::Names;
use crate::error::{Error, Shape};
use crate::json::{Literal, Text};
use crate::openai::Request;
use crate::openai::chat::Raw;

/// The most calls of one answer; OpenAI takes 128 tools.
const MAX_CALLS: usize = 128;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Chunk<'a> {
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    model: Option<Cow<'a, str>>,
    #[serde(borrow)]
    choices: Vec<Choice<'a>>,
    #[serde(borrow)]
    usage: Raw<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Choice<'a> {
    index: u64,
    #[serde(borrow)]
    delta: Option<Delta<'a>>,
    #[serde(borrow)]
    finish_reason: Option<Cow<'a, str>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Delta<'a> {
    #[serde(borrow)]
    content: Raw<'a>,
    #[serde(borrow)]
    refusal: Raw<'a>,
    #[serde(borrow)]
    reasoning_content: Raw<'a>,
    #[serde(borrow)]
    reasoning: Raw<'a>,
    #[serde(borrow)]
    thinking_blocks: Option<Vec<Thought<'a>>>,
    #[serde(borrow)]
    tool_calls: Option<Vec<Call<'a>>>,
    #[serde(borrow)]
    annotations: Raw<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Thought<'a> {
    #[serde(borrow)]
    thinking: Raw<'a>,
    #[serde(borrow)]
    signature: Raw<'a>,
    #[serde(borrow)]
    data: Raw<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Call<'a> {
    index: u64,
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    function: Option<Function<'a>>,
    #[serde(borrow)]
    provider_specific_fields: Raw<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Function<'a> {
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    arguments: Raw<'a>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event<'a> {
    MessageStart { message: Start<'a> },
    ContentBlockStart { index: usize, content_block: Block<'a> },
    ContentBlockDelta { index: usize, delta: Piece<'a> },
    ContentBlockStop { index: usize },
    MessageDelta { delta: End, usage: Usage },
    MessageStop,
}

#[derive(Serialize)]
struct Start<'a> {
    id: String,
    #[serde(rename = "type")]
    type_: &'static str,
    role: &'static str,
    model: &'a str,
    content: [(); 0],
    stop_reason: Option<&'static str>,
    stop_sequence: Option<&'static str>,
    usage: Usage,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block<'a> {
    Text {
        text: &'static str,
    },
    Thinking {
        thinking: &'static str,
        signature: &'static str,
    },
    RedactedThinking {
        data: Text<'a>,
    },
    ToolUse {
        id: Cow<'a, str>,
        name: &'a str,
        input: serde_json::Map<String, serde_json::Value>,
        #[serde(skip_serializing_if = "Option::is_none")]
        provider_specific_fields: Raw<'a>,
    },
}

#[derive(Serialize)]
#[serde(tag = "type")]
enum Piece<'a> {
    #[serde(rename = "text_delta")]
    Text { text: Text<'a> },
    #[serde(rename = "thinking_delta")]
    Thinking { thinking: Text<'a> },
    #[serde(rename = "signature_delta")]
    Signature { signature: Text<'a> },
    #[serde(rename = "citations_delta")]
    Citation { citation: Citation<'a> },
    #[serde(rename = "input_json_delta")]
    InputJson { partial_json: Text<'a> },
}

#[derive(Serialize)]
struct End {
    stop_reason: &'static str,
    stop_sequence: Option<&'static str>,
}

/// What a block that is written to holds; calls are apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Thinking,
}

/// A call whose block is open.
#[derive(Debug)]
struct OpenCall {
    /// OpenAI's number of it.
    number: u64,
    index: usize,
    extent: Extent,
}

/// How far an object has come that arrives in pieces.
#[derive(Debug, Default)]
struct Extent {
    depth: usize,
    is_in_string: bool,
    is_escaped: bool,
    is_complete: bool,
}

impl Extent {
    fn take(&mut self, piece: &str) {
        for byte in piece.bytes() {
            if self.is_in_string {
                self.is_in_string = self.is_escaped || byte != b'"';
                self.is_escaped = !self.is_escaped && byte == b'\\';
                continue;
            }
            match byte {
                b'"' => self.is_in_string = true,
                b'{' | b'[' => self.depth = self.depth.saturating_add(1),
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    self.is_complete |= self.depth == 0;
                }
                _ => {}
            }
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Events {
    names: Names,
    /// The model as the client named it, until the provider names it.
    model: String,
    has_begun: bool,
    /// The number of the next block.
    next: usize,
    open: Option<(Kind, usize)>,
    calls: Vec<OpenCall>,
    /// How many calls have begun.
    begun_calls: usize,
    finish_reason: Option<String>,
    has_refused: bool,
    usage: Usage,
}

impl super::super::Events for Events {
    fn chunk(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        let Ok(chunk) = serde_json::from_slice::<Chunk<'_>>(chunk) else { return };
        self.begin(chunk.id.as_deref(), chunk.model.as_deref(), out);
        if let Some(usage) = Usage::read(chunk.usage) {
            self.usage = usage;
        }
        for choice in chunk.choices.into_iter().filter(|choice| choice.index == 0) {
            self.delta(choice.delta.unwrap_or_default(), out);
            if let Some(reason) = choice.finish_reason {
                self.finish_reason = Some(reason.into_owned());
            }
        }
    }

    fn done(&mut self, out: &mut Vec<u8>) {
        self.begin(None, None, out);
        self.close(out);
        self.close_calls(|_| true, out);
        let finish_reason = self.finish_reason.as_deref().unwrap_or_default();
        let stop_reason = reply::stop_reason(finish_reason, self.begun_calls > 0, self.has_refused);
        let delta = End { stop_reason, stop_sequence: None };
        write("message_delta", &Event::MessageDelta { delta, usage: self.usage }, out);
        write("message_stop", &Event::MessageStop, out);
    }

    fn fail(&mut self, error: &Error, out: &mut Vec<u8>) {
        out.extend_from_slice(b"event: error\ndata: ");
        out.append(&mut error.body_as(Shape::Anthropic));
        out.extend_from_slice(b"\n\n");
    }
}

impl Events {
    /// The events that answer `client`.
    pub(super) fn new(client: &Request) -> Self {
        Self {
            names: Names::of(client),
            model: client.model.clone(),
            has_begun: false,
            next: 0,
            open: None,
            calls: Vec::new(),
            begun_calls: 0,
            finish_reason: None,
            has_refused: false,
            usage: Usage::default(),
        }
    }

    fn begin(&mut self, id: Option<&str>, model: Option<&str>, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.has_begun, true) {
            return;
        }
        let message = Start {
            id: reply::message_id(id.unwrap_or_default()),
            type_: "message",
            role: "assistant",
            model: model.filter(|model| !model.is_empty()).unwrap_or(&self.model),
            content: [],
            stop_reason: None,
            stop_sequence: None,
            usage: Usage::default(),
        };
        write("message_start", &Event::MessageStart { message }, out);
    }

    fn delta(&mut self, delta: Delta<'_>, out: &mut Vec<u8>) {
        let thoughts = delta.thinking_blocks.unwrap_or_default();
        if thoughts.is_empty()
            && let Some(thinking) = words(delta.reasoning_content).or_else(|| words(delta.reasoning))
        {
            self.piece(Kind::Thinking, Piece::Thinking { thinking }, out);
        }
        thoughts.into_iter().for_each(|thought| self.thought(&thought, out));
        if let Some(text) = words(delta.content) {
            self.piece(Kind::Text, Piece::Text { text }, out);
        }
        if let Some(text) = words(delta.refusal) {
            self.has_refused = true;
            self.piece(Kind::Text, Piece::Text { text }, out);
        }
        for citation in reply::citations(delta.annotations) {
            self.piece(Kind::Text, Piece::Citation { citation }, out);
        }
        delta.tool_calls.unwrap_or_default().into_iter().for_each(|call| self.call(call, out));
    }

    fn thought(&mut self, thought: &Thought<'_>, out: &mut Vec<u8>) {
        if let Some(data) = words(thought.data) {
            self.close(out);
            let index = self.number();
            let content_block = Block::RedactedThinking { data };
            write("content_block_start", &Event::ContentBlockStart { index, content_block }, out);
            write("content_block_stop", &Event::ContentBlockStop { index }, out);
        }
        if let Some(thinking) = words(thought.thinking) {
            self.piece(Kind::Thinking, Piece::Thinking { thinking }, out);
        }
        if let Some(signature) = words(thought.signature) {
            self.piece(Kind::Thinking, Piece::Signature { signature }, out);
            // The seal is on the block as a whole: what follows is another one.
            self.close(out);
        }
    }

    /// Writes a piece of text or of thinking into the block that is open, or into one of its own.
    fn piece(&mut self, kind: Kind, delta: Piece<'_>, out: &mut Vec<u8>) {
        let index = match self.open {
            Some((open, index)) if open == kind => index,
            _ => self.start(kind, out),
        };
        write("content_block_delta", &Event::ContentBlockDelta { index, delta }, out);
    }

    fn start(&mut self, kind: Kind, out: &mut Vec<u8>) -> usize {
        self.close(out);
        let index = self.number();
        let content_block = match kind {
            Kind::Text => Block::Text { text: "" },
            Kind::Thinking => Block::Thinking { thinking: "", signature: "" },
        };
        write("content_block_start", &Event::ContentBlockStart { index, content_block }, out);
        self.open = Some((kind, index));
        index
    }

    /// Ends the block of text or of thinking.
    fn close(&mut self, out: &mut Vec<u8>) {
        if let Some((_, index)) = self.open.take() {
            write("content_block_stop", &Event::ContentBlockStop { index }, out);
        }
    }

    fn number(&mut self) -> usize {
        let number = self.next;
        self.next = self.next.saturating_add(1);
        number
    }

    fn call(&mut self, call: Call<'_>, out: &mut Vec<u8>) {
        let function = call.function.unwrap_or_default();
        if !self.calls.iter().any(|open| open.number == call.index) {
            if self.begun_calls >= MAX_CALLS {
                return;
            }
            let name = function.name.as_deref().unwrap_or_default();
            self.begin_call(call.index, &call.id.unwrap_or_default(), name, call.provider_specific_fields, out);
        }
        let Some(open) = self.calls.iter_mut().find(|open| open.number == call.index) else { return };
        let Some(arguments) = function.arguments.and_then(Literal::new) else { return };
        if !arguments.inner().is_empty() {
            open.extent.take(&arguments.decode().unwrap_or_default());
            let delta = Piece::InputJson { partial_json: Text::Literal(arguments) };
            write("content_block_delta", &Event::ContentBlockDelta { index: open.index, delta }, out);
        }
    }

    fn begin_call(&mut self, number: u64, id: &str, name: &str, fields: Raw<'_>, out: &mut Vec<u8>) {
        self.close(out);
        self.close_calls(|open| open.extent.is_complete, out);
        let index = self.number();
        self.begun_calls = self.begun_calls.saturating_add(1);
        self.calls.push(OpenCall { number, index, extent: Extent::default() });
        let content_block = Block::ToolUse {
            id: reply::call_id(id),
            name: self.names.client(name),
            input: serde_json::Map::new(),
            provider_specific_fields: fields,
        };
        write("content_block_start", &Event::ContentBlockStart { index, content_block }, out);
    }

    /// Ends the blocks of the calls that `ends` says yes to.
    fn close_calls(&mut self, ends: impl Fn(&OpenCall) -> bool, out: &mut Vec<u8>) {
        self.calls.retain(|open| {
            let is_over = ends(open);
            if is_over {
                write("content_block_stop", &Event::ContentBlockStop { index: open.index }, out);
            }
            !is_over
        });
    }
}

/// A string that is not empty.
fn words(raw: Option<&RawValue>) -> Option<Text<'_>> {
    let text = Literal::new(raw?)?;
    (!text.inner().is_empty()).then_some(Text::Literal(text))
}

/// Writing to memory cannot fail, and none of our types refuses to be written.
fn write(name: &str, event: &Event<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    let _written = serde_json::to_writer(&mut *out, event);
    out.extend_from_slice(b"\n\n");
}
