//! The events of a message as chunks of a chat completion.
//!
//! Source: Anthropic, "Streaming messages" <https://platform.claude.com/docs/en/build-with-claude/streaming>, read
//! 2026-11-23.
//!
//! An error, or an end before `message_stop`, becomes an `error` event after which nothing comes, not even `[DONE]`:
//! a client must not take what it has for the whole answer.
//!
//! # Limits
//!
//! Of events that make no sense nothing is passed on. Blocks beyond [`MAX_OPEN_BLOCKS`] at the same time are ignored.
//! Where the answer comes as a tool call, other text is held until the end: up to [`sse::MAX_EVENT_BYTES`] of it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::response::{self, Block, Form, ID_PREFIX};
use super::usage::Wire as WireUsage;
use super::{error, finish_reason};
use crate::error::{Error, Kind};
use crate::json::{Literal, Text};
use crate::openai::Request;
use crate::openai::chat::{CallDelta, Called, Delta, Raw, ThinkingDelta};
use crate::openai::usage::Wire as ClientUsage;
use crate::provider::{Tally, Target};
use crate::sse::{self, Decoder};

/// The most blocks that are open at once; Anthropic opens one after the other.
const MAX_OPEN_BLOCKS: usize = 64;

/// A stream on its way to OpenAI's shape.
#[derive(Debug)]
pub struct Stream {
    decoder: Decoder,
    machine: Machine,
}

impl Stream {
    /// The stream of an answer to `request`; `now_secs` is Unix time for the `created` field.
    pub fn new(request: &Request, target: &Target, now_secs: u64) -> Self {
        let machine = Machine {
            form: Form::of(request, target),
            include_usage: request.include_usage,
            created: now_secs,
            model: target.model.clone(),
            head: Vec::new(),
            has_role: false,
            blocks: Vec::new(),
            calls: 0,
            held: Vec::new(),
            has_answer: false,
            phase: Phase::Open,
            usage: WireUsage::default(),
            tally: Tally::default(),
        };
        Self { decoder: Decoder::default(), machine }
    }

    /// Takes the next bytes of the provider; appends what the client gets to `out`.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let Self { decoder, machine } = self;
        if machine.phase == Phase::Ended {
            return;
        }
        if decoder.push(bytes, |event| machine.event(event, out)).is_err() {
            machine.fail(Error::new(Kind::BadUpstream, "the provider sent an event over the limit"), out);
        }
    }

    /// Takes the end of the provider's bytes; appends what the client still gets to `out`.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        let Self { decoder, machine } = self;
        decoder.finish(|event| machine.event(event, out));
        machine.fail(Error::new(Kind::BadUpstream, "the provider's stream ended before the answer did"), out);
    }

    /// What it has come to so far.
    pub fn tally(&self) -> &Tally {
        &self.machine.tally
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The answer is being written.
    Open,
    /// Its finish reason is known.
    Finished,
    /// Nothing more goes to the client.
    Ended,
}

/// A block that has begun and not ended.
#[derive(Debug)]
struct OpenBlock {
    index: u64,
    kind: BlockKind,
}

#[derive(Debug)]
enum BlockKind {
    Text,
    Thinking,
    Call {
        number: u32,
        /// The arguments if no delta brings any.
        untold: Option<Box<str>>,
    },
    /// A call of the JSON tool.
    Answer { untold: Option<Box<str>> },
}

#[derive(Debug)]
struct Machine {
    form: Form,
    include_usage: bool,
    created: u64,
    model: String,
    /// All of a chunk that stands before its choices; empty until the first chunk.
    head: Vec<u8>,
    has_role: bool,
    blocks: Vec<OpenBlock>,
    /// How many calls have begun.
    calls: u32,
    /// Text that gives way to the JSON tool's arguments, as it is written inside quotes.
    held: Vec<u8>,
    /// Whether the JSON tool was called.
    has_answer: bool,
    phase: Phase,
    usage: WireUsage,
    tally: Tally,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, rename = "type")]
    type_: Cow<'a, str>,
    #[serde(default)]
    index: u64,
    #[serde(borrow)]
    message: Raw<'a>,
    #[serde(borrow)]
    content_block: Raw<'a>,
    #[serde(borrow)]
    delta: Option<EventDelta<'a>>,
    #[serde(borrow)]
    usage: Raw<'a>,
    #[serde(borrow)]
    error: Raw<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct EventDelta<'a> {
    #[serde(borrow, rename = "type")]
    type_: Cow<'a, str>,
    #[serde(borrow)]
    text: Raw<'a>,
    #[serde(borrow)]
    partial_json: Raw<'a>,
    #[serde(borrow)]
    thinking: Raw<'a>,
    #[serde(borrow)]
    signature: Raw<'a>,
    #[serde(borrow)]
    stop_reason: Option<Cow<'a, str>>,
    #[serde(borrow)]
    stop_details: Raw<'a>,
}

#[derive(Deserialize)]
struct Start<'a> {
    #[serde(borrow, default)]
    id: Cow<'a, str>,
    #[serde(borrow, default)]
    model: Cow<'a, str>,
    #[serde(borrow)]
    usage: Raw<'a>,
}

impl Machine {
    fn event(&mut self, event: sse::Event<'_>, out: &mut Vec<u8>) {
        if self.phase == Phase::Ended {
            return;
        }
        let Some(data) = event.data() else { return };
        let Ok(event) = serde_json::from_slice::<Event<'_>>(&data) else { return };
        match &*event.type_ {
            "content_block_delta" => self.delta(event.index, event.delta.unwrap_or_default(), out),
            "content_block_start" => self.block_start(event.index, event.content_block, out),
            "content_block_stop" => self.block_stop(event.index, out),
            "message_start" => self.message_start(event.message),
            "message_delta" => self.message_delta(event.delta.unwrap_or_default(), event.usage, out),
            "message_stop" => self.message_stop(out),
            "error" => {
                let body = event.error.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
                self.fail(error::in_stream(&body), out);
            }
            _ => (),
        }
    }

    fn message_start(&mut self, message: Raw<'_>) {
        let Some(start) = message.and_then(|raw| serde_json::from_str::<Start<'_>>(raw.get()).ok()) else { return };
        if self.head.is_empty() {
            self.head = head(&start.id, self.created, if start.model.is_empty() { &self.model } else { &start.model });
        }
        self.count(start.usage);
    }

    fn count(&mut self, usage: Raw<'_>) -> bool {
        let Some(usage) = WireUsage::read(usage) else { return false };
        self.usage.update(usage);
        self.tally.usage = Some(self.usage.usage());
        true
    }

    fn block_start(&mut self, index: u64, block: Raw<'_>, out: &mut Vec<u8>) {
        let Some(raw) = block else { return };
        let Ok(block) = serde_json::from_str::<Block<'_>>(raw.get()) else { return };
        if self.blocks.len() >= MAX_OPEN_BLOCKS {
            return;
        }
        let kind = match &*block.type_ {
            "text" => BlockKind::Text,
            "thinking" => BlockKind::Thinking,
            "redacted_thinking" => return self.write(thought(ThinkingDelta::Whole(raw)), out),
            "tool_use" => self.call(&block, out),
            _ => return,
        };
        self.blocks.push(OpenBlock { index, kind });
        match kind_text(&block).filter(|text| !text.inner().is_empty()) {
            Some(text) if &*block.type_ == "text" => self.text(text, out),
            Some(text) => self.thinking(text, out),
            None => (),
        }
    }

    /// Begins a call.
    fn call(&mut self, block: &Block<'_>, out: &mut Vec<u8>) -> BlockKind {
        let untold = Some(block.input.map_or("{}", RawValue::get).into());
        if self.form.is_answer(&block.name) {
            self.has_answer = true;
            return BlockKind::Answer { untold };
        }
        let number = self.calls;
        self.calls = self.calls.saturating_add(1);
        let name = Some(Text::Plain(self.form.name(&block.name).to_owned().into()));
        let delta = CallDelta {
            index: number,
            id: block.id.and_then(Literal::new).map(Text::Literal),
            type_: Some("function"),
            function: Called { name, arguments: Text::Plain("".into()) },
        };
        self.write(Delta { tool_calls: Some([delta]), ..Delta::default() }, out);
        BlockKind::Call { number, untold }
    }

    fn delta(&mut self, index: u64, delta: EventDelta<'_>, out: &mut Vec<u8>) {
        let Some(block) = self.blocks.iter_mut().rev().find(|block| block.index == index) else { return };
        let field = match (&block.kind, &*delta.type_) {
            (BlockKind::Text, "text_delta") => delta.text,
            (BlockKind::Thinking, "thinking_delta") => delta.thinking,
            (BlockKind::Thinking, "signature_delta") => delta.signature,
            (BlockKind::Call { .. } | BlockKind::Answer { .. }, "input_json_delta") => delta.partial_json,
            _ => return,
        };
        let Some(text) = field.and_then(Literal::new).filter(|text| !text.inner().is_empty()) else { return };
        match &mut block.kind {
            BlockKind::Text => self.text(text, out),
            BlockKind::Thinking if &*delta.type_ == "signature_delta" => {
                let piece = piece(Text::Plain("".into()), Some(Text::Literal(text)));
                self.write(thought(piece), out);
            }
            BlockKind::Thinking => self.thinking(text, out),
            BlockKind::Call { number, untold } => {
                *untold = None;
                let number = *number;
                self.tally.content_bytes += text.decoded_len();
                self.arguments(number, Text::Literal(text), out);
            }
            BlockKind::Answer { untold } => {
                *untold = None;
                self.content(text, out);
            }
        }
    }

    fn block_stop(&mut self, index: u64, out: &mut Vec<u8>) {
        if let Some(at) = self.blocks.iter().rposition(|block| block.index == index) {
            let block = self.blocks.remove(at);
            self.close(block, out);
        }
    }

    /// Ends a block: a call whose arguments no delta brought gets them whole.
    fn close(&mut self, block: OpenBlock, out: &mut Vec<u8>) {
        match block.kind {
            BlockKind::Call { number, untold: Some(arguments) } => {
                self.tally.content_bytes += arguments.len() as u64;
                self.arguments(number, Text::Plain(Cow::Borrowed(&arguments)), out);
            }
            BlockKind::Answer { untold: Some(arguments) } => {
                self.tally.content_bytes += arguments.len() as u64;
                let content = Some(Text::Plain(Cow::Borrowed(&*arguments)));
                self.write(Delta { content, ..Delta::default() }, out);
            }
            BlockKind::Text | BlockKind::Thinking | BlockKind::Call { .. } | BlockKind::Answer { .. } => (),
        }
    }

    /// Passes text on, or holds it while the JSON tool may still be called.
    fn text(&mut self, text: Literal<'_>, out: &mut Vec<u8>) {
        if !self.form.is_json_tool {
            return self.content(text, out);
        }
        self.tally.content_bytes += text.decoded_len();
        if self.held.len() + text.inner().len() <= sse::MAX_EVENT_BYTES {
            self.held.extend_from_slice(text.inner().as_bytes());
        }
    }

    /// Passes on the text that was held if no call of the JSON tool took its place.
    fn release(&mut self, out: &mut Vec<u8>) {
        let mut held = std::mem::take(&mut self.held);
        if self.has_answer || held.is_empty() {
            return;
        }
        held.insert(0, b'"');
        held.push(b'"');
        if let Ok(text) = serde_json::from_slice::<Literal<'_>>(&held) {
            self.write(Delta { content: Some(Text::Literal(text)), ..Delta::default() }, out);
        }
    }

    fn content(&mut self, text: Literal<'_>, out: &mut Vec<u8>) {
        self.tally.content_bytes += text.decoded_len();
        self.write(Delta { content: Some(Text::Literal(text)), ..Delta::default() }, out);
    }

    fn thinking(&mut self, text: Literal<'_>, out: &mut Vec<u8>) {
        self.tally.content_bytes += text.decoded_len();
        let delta = thought(piece(Text::Literal(text), None));
        self.write(Delta { reasoning_content: Some(Text::Literal(text)), ..delta }, out);
    }

    fn arguments(&mut self, index: u32, arguments: Text<'_>, out: &mut Vec<u8>) {
        let delta = CallDelta { index, id: None, type_: None, function: Called { name: None, arguments } };
        self.write(Delta { tool_calls: Some([delta]), ..Delta::default() }, out);
    }

    fn message_delta(&mut self, delta: EventDelta<'_>, usage: Raw<'_>, out: &mut Vec<u8>) {
        self.tally.is_final |= self.count(usage);
        let Some(stop_reason) = delta.stop_reason.filter(|_| self.phase == Phase::Open) else { return };
        self.settle(out);
        if let Some(refusal) = response::refusal(delta.stop_details) {
            self.write(Delta { refusal: Some(refusal), ..Delta::default() }, out);
        }
        self.end_choice(finish_reason(&stop_reason, self.calls > 0), out);
    }

    /// Ends all blocks: nothing more will come for them.
    fn settle(&mut self, out: &mut Vec<u8>) {
        for block in std::mem::take(&mut self.blocks) {
            self.close(block, out);
        }
        self.release(out);
    }

    /// Writes the chunk with the finish reason.
    fn end_choice(&mut self, reason: &str, out: &mut Vec<u8>) {
        if !self.has_role {
            self.write(Delta { content: Some(Text::Plain("".into())), ..Delta::default() }, out);
        }
        self.begin(out);
        out.extend_from_slice(b"\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"");
        out.extend_from_slice(reason.as_bytes());
        out.extend_from_slice(b"\"}]}\n\n");
        self.phase = Phase::Finished;
    }

    fn message_stop(&mut self, out: &mut Vec<u8>) {
        if self.phase == Phase::Open {
            self.settle(out);
            self.end_choice(finish_reason("", self.calls > 0), out);
        }
        if let Some(usage) = self.tally.usage.filter(|_| self.include_usage) {
            self.begin(out);
            out.extend_from_slice(b"\"choices\":[],\"usage\":");
            write(&ClientUsage::from(&usage), out);
            out.extend_from_slice(b"}\n\n");
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
        self.phase = Phase::Ended;
        self.tally.is_complete = true;
    }

    /// Ends the stream with an error, unless it has ended.
    fn fail(&mut self, error: Error, out: &mut Vec<u8>) {
        if self.phase == Phase::Ended {
            return;
        }
        out.extend_from_slice(b"event: error\ndata: ");
        out.append(&mut error.body());
        out.extend_from_slice(b"\n\n");
        self.phase = Phase::Ended;
        self.tally.error = Some(error);
    }

    /// Writes a chunk with `delta`; the first one has the role.
    fn write(&mut self, mut delta: Delta<'_>, out: &mut Vec<u8>) {
        if !self.has_role {
            delta.role = Some("assistant");
            self.has_role = true;
        }
        self.begin(out);
        out.extend_from_slice(b"\"choices\":[{\"index\":0,\"delta\":");
        write(&delta, out);
        out.extend_from_slice(b",\"finish_reason\":null}]}\n\n");
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if self.head.is_empty() {
            self.head = head("", self.created, &self.model);
        }
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

/// Writing to memory cannot fail, and none of our types refuses to be written.
fn write(value: &impl Serialize, out: &mut Vec<u8>) {
    let _written = serde_json::to_writer(out, value);
}

fn kind_text<'a>(block: &Block<'a>) -> Option<Literal<'a>> {
    block.text.or(block.thinking).and_then(Literal::new)
}

fn piece<'a>(thinking: Text<'a>, signature: Option<Text<'a>>) -> ThinkingDelta<'a> {
    ThinkingDelta::Piece { type_: "thinking", thinking, signature }
}

fn thought(piece: ThinkingDelta<'_>) -> Delta<'_> {
    Delta { thinking_blocks: Some([piece]), ..Delta::default() }
}

#[cfg(test)]
mod tests;
