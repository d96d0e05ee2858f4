//! The events of one message in their order, and what each writes.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;

use super::event::{Event, EventDelta, Start};
use crate::error::Error;
use crate::json::{Literal, Text};
use crate::openai::Request;
use crate::openai::chat::{CallDelta, Called, Delta, Raw};
use crate::provider::anthropic::extra::{self, Extra};
use crate::provider::anthropic::response::{self, Block, Form};
use crate::provider::anthropic::usage::Wire as WireUsage;
use crate::provider::anthropic::{error, finish_reason};
use crate::provider::chunks::{self, Chunks};
use crate::provider::{Estimate, Tally, Target};
use crate::sse;

/// The most blocks that are open at once; Anthropic opens one after the other.
const MAX_OPEN_BLOCKS: usize = 64;

/// The most citations of one text that become annotations.
const MAX_CITATIONS: usize = 256;

/// A block that has begun and not ended.
#[derive(Debug)]
struct OpenBlock {
    index: u64,
    kind: BlockKind,
}

#[derive(Debug)]
enum BlockKind {
    Text {
        /// How many characters of text stood before it.
        start: u64,
        /// What it rests on.
        citations: Vec<Box<RawValue>>,
    },
    Thinking,
    Call {
        number: u32,
        /// The arguments if no delta brings any.
        untold: Option<Box<str>>,
    },
    /// A call of the JSON tool.
    Answer {
        untold: Option<Box<str>>,
    },
    /// A call of a tool that runs at Anthropic.
    Server {
        block: Box<RawValue>,
        /// The input as far as it has come.
        input: String,
    },
    Compaction,
}

/// One answer on its way to the client.
#[derive(Debug)]
pub(super) struct Machine {
    form: Form,
    chunks: Chunks,
    blocks: Vec<OpenBlock>,
    /// How many calls have begun.
    calls: u32,
    /// Text that gives way to the JSON tool's arguments, as it is written inside quotes.
    held: Vec<u8>,
    /// Whether the JSON tool was called.
    has_answer: bool,
    /// How many characters of text there are.
    chars: u64,
    usage: WireUsage,
}

impl Machine {
    pub(super) fn new(request: &Request, target: &Target, now_secs: u64) -> Self {
        Self {
            form: Form::of(request, target),
            chunks: Chunks::new(request, &target.model, now_secs),
            blocks: Vec::new(),
            calls: 0,
            held: Vec::new(),
            has_answer: false,
            chars: 0,
            usage: WireUsage::default(),
        }
    }

    pub(super) fn estimate(&mut self, estimate: Estimate) {
        self.chunks.estimate(estimate);
    }

    /// Whether nothing more goes to the client.
    pub(super) fn has_ended(&self) -> bool {
        self.chunks.has_ended()
    }

    pub(super) fn tally(&self) -> &Tally {
        &self.chunks.tally
    }

    /// Takes the next event; appends what the client gets to `out`.
    pub(super) fn event(&mut self, event: sse::Event<'_>, out: &mut Vec<u8>) {
        if self.has_ended() {
            return;
        }
        let Some(data) = event.data() else { return };
        let Ok(event) = serde_json::from_slice::<Event<'_>>(&data) else { return };
        match &*event.type_ {
            "content_block_delta" => self.delta(event.index, event.delta.unwrap_or_default(), out),
            "content_block_start" => self.block_start(event.index, event.content_block, out),
            "content_block_stop" => self.block_stop(event.index, out),
            "message_start" => self.message_start(event.message),
            "message_delta" => self.message_delta(&event, out),
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
        self.chunks.name(&start.id, &start.model);
        self.count(start.usage);
    }

    fn count(&mut self, usage: Raw<'_>) -> bool {
        let Some(usage) = WireUsage::read(usage) else { return false };
        self.usage.update(usage);
        self.chunks.tally.usage = Some(self.usage.usage());
        true
    }

    fn block_start(&mut self, index: u64, block: Raw<'_>, out: &mut Vec<u8>) {
        let Some(raw) = block else { return };
        let Ok(block) = serde_json::from_str::<Block<'_>>(raw.get()) else { return };
        if self.blocks.len() >= MAX_OPEN_BLOCKS {
            return;
        }
        let kind = match &*block.type_ {
            "text" => BlockKind::Text {
                start: self.chars,
                citations: block.citations.iter().flatten().map(|&raw| raw.to_owned()).collect(),
            },
            "thinking" => BlockKind::Thinking,
            "redacted_thinking" => {
                let data = block.data.and_then(Literal::new);
                return data.into_iter().for_each(|data| self.write(chunks::redacted(Text::Literal(data)), out));
            }
            "tool_use" => self.call(&block, out),
            "server_tool_use" | "mcp_tool_use" => BlockKind::Server { block: raw.to_owned(), input: String::new() },
            "compaction" => BlockKind::Compaction,
            other => {
                let mut extra = Extra::default();
                extra.take(other, raw);
                return self.extra(&extra, out);
            }
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
        self.write(chunks::call(delta), out);
        BlockKind::Call { number, untold }
    }

    fn delta(&mut self, index: u64, delta: EventDelta<'_>, out: &mut Vec<u8>) {
        let Some(block) = self.blocks.iter_mut().rev().find(|block| block.index == index) else { return };
        let field = match (&mut block.kind, &*delta.type_) {
            (BlockKind::Text { citations, .. }, "citations_delta") => {
                let Some(citation) = delta.citation else { return };
                if citations.len() < MAX_CITATIONS {
                    citations.push(citation.to_owned());
                }
                return self.extra(&Extra { citation: Some(citation), ..Extra::default() }, out);
            }
            (BlockKind::Compaction, _) => {
                let Some(content) = delta.content else { return };
                let block = serde_json::value::to_raw_value(&Compaction { type_: "compaction", content });
                let blocks = block.as_deref().map(|block| vec![block]).unwrap_or_default();
                return self.extra(&Extra { compaction_blocks: blocks, ..Extra::default() }, out);
            }
            (BlockKind::Text { .. }, "text_delta") => delta.text,
            (BlockKind::Thinking, "thinking_delta") => delta.thinking,
            (BlockKind::Thinking, "signature_delta") => delta.signature,
            (BlockKind::Call { .. } | BlockKind::Answer { .. } | BlockKind::Server { .. }, "input_json_delta") => {
                delta.partial_json
            }
            _ => return,
        };
        let Some(text) = field.and_then(Literal::new).filter(|text| !text.inner().is_empty()) else { return };
        match &mut block.kind {
            BlockKind::Text { .. } => self.text(text, out),
            BlockKind::Server { input, .. } => {
                if input.len() + text.inner().len() <= sse::MAX_EVENT_BYTES {
                    input.push_str(&text.decode().unwrap_or_default());
                }
            }
            BlockKind::Compaction => (),
            BlockKind::Thinking if &*delta.type_ == "signature_delta" => {
                let piece = chunks::piece(Text::Plain("".into()), Some(Text::Literal(text)));
                self.write(chunks::thought(piece), out);
            }
            BlockKind::Thinking => self.thinking(text, out),
            BlockKind::Call { number, untold } => {
                *untold = None;
                let number = *number;
                self.chunks.tally.content_bytes += text.decoded_len();
                self.write(chunks::arguments(number, Text::Literal(text)), out);
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
                self.chunks.tally.content_bytes += arguments.len() as u64;
                self.write(chunks::arguments(number, Text::Plain(Cow::Borrowed(&arguments))), out);
            }
            BlockKind::Answer { untold: Some(arguments) } => {
                self.chunks.tally.content_bytes += arguments.len() as u64;
                self.write(chunks::content(Text::Plain(Cow::Borrowed(&arguments))), out);
            }
            BlockKind::Text { start, citations } => {
                let places = citations.iter().filter_map(|citation| extra::annotation(citation, start, self.chars));
                let annotations = extra::written(&places.collect::<Vec<_>>());
                if annotations.is_some() {
                    self.write(Delta { annotations: annotations.as_deref(), ..Delta::default() }, out);
                }
            }
            BlockKind::Server { block, input } => {
                let whole = with_input(&block, &input);
                let server_tool_use = vec![whole.as_deref().unwrap_or(&*block)];
                self.extra(&Extra { server_tool_use, ..Extra::default() }, out);
            }
            BlockKind::Thinking | BlockKind::Compaction | BlockKind::Call { .. } | BlockKind::Answer { .. } => (),
        }
    }

    /// Passes text on, or holds it while the JSON tool may still be called.
    fn text(&mut self, text: Literal<'_>, out: &mut Vec<u8>) {
        self.chars += text.decode().map_or(0, |text| text.chars().count() as u64);
        if !self.form.is_json_tool {
            return self.content(text, out);
        }
        self.chunks.tally.content_bytes += text.decoded_len();
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
            self.write(chunks::content(Text::Literal(text)), out);
        }
    }

    fn content(&mut self, text: Literal<'_>, out: &mut Vec<u8>) {
        self.chunks.tally.content_bytes += text.decoded_len();
        self.write(chunks::content(Text::Literal(text)), out);
    }

    fn thinking(&mut self, text: Literal<'_>, out: &mut Vec<u8>) {
        self.chunks.tally.content_bytes += text.decoded_len();
        let delta = chunks::thought(chunks::piece(Text::Literal(text), None));
        self.write(Delta { reasoning_content: Some(Text::Literal(text)), ..delta }, out);
    }

    fn message_delta(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        self.chunks.tally.is_final |= self.count(event.usage);
        let Some(delta) = &event.delta else { return };
        let Some(stop_reason) = delta.stop_reason.as_deref().filter(|_| !self.chunks.is_finished(0)) else { return };
        self.settle(out);
        if let Some(refusal) = response::refusal(delta.stop_details) {
            self.write(Delta { refusal: Some(refusal), ..Delta::default() }, out);
        }
        let is_there = |raw: &&RawValue| raw.get() != "null";
        let extra = Extra {
            container: delta.container.filter(is_there),
            context_management: event.context_management.filter(is_there),
            ..Extra::default()
        };
        let reason = finish_reason(stop_reason, self.calls > 0);
        self.chunks.finish_with(0, reason, extra.written().as_deref(), out);
    }

    /// Passes on what a chunk has no place for.
    fn extra(&mut self, extra: &Extra<'_>, out: &mut Vec<u8>) {
        if let Some(fields) = extra.written() {
            self.write(Delta { provider_specific_fields: Some(&fields), ..Delta::default() }, out);
        }
    }

    /// Ends all blocks: nothing more will come for them.
    fn settle(&mut self, out: &mut Vec<u8>) {
        for block in std::mem::take(&mut self.blocks) {
            self.close(block, out);
        }
        self.release(out);
    }

    fn message_stop(&mut self, out: &mut Vec<u8>) {
        if !self.chunks.is_finished(0) {
            self.settle(out);
            self.chunks.finish(0, finish_reason("", self.calls > 0), out);
        }
        self.chunks.done(out);
    }

    /// Ends the stream with an error, unless it has ended.
    pub(super) fn fail(&mut self, error: Error, out: &mut Vec<u8>) {
        self.chunks.fail(error, out);
    }

    fn write(&mut self, delta: Delta<'_>, out: &mut Vec<u8>) {
        self.chunks.delta(0, delta, out);
    }
}

#[derive(Serialize)]
struct Compaction<'a> {
    #[serde(rename = "type")]
    type_: &'static str,
    content: &'a RawValue,
}

/// A block with its input, which came apart from it; `None` where that makes no sense.
fn with_input(block: &RawValue, input: &str) -> Option<Box<RawValue>> {
    let mut members: BTreeMap<&str, &RawValue> = serde_json::from_str(block.get()).ok()?;
    members.insert("input", serde_json::from_str(input).ok()?);
    serde_json::value::to_raw_value(&members).ok()
}

fn kind_text<'a>(block: &Block<'a>) -> Option<Literal<'a>> {
    block.text.or(block.thinking).and_then(Literal::new)
}
