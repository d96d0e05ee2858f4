//! The frames of ConverseStream as chunks of a chat completion.
//!
//! The finish reason comes before usage and trace; it waits for them, so that its chunk has all that OpenAI's shape has
//! no place for. An exception, or an end before `messageStop`, becomes an `error` event after which nothing comes.
//!
//! Source: AWS, "ConverseStreamOutput"
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStreamOutput.html>, read 2026-11-23;
//! "ContentBlockDelta" <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlockDelta.html>, not
//! re-read for this.
//!
//! # Limits
//!
//! Of events that make no sense nothing is passed on. Calls beyond 64 at the same time are ignored. Where the answer
//! comes as a tool call, other text is held until the end: up to [`MAX_EVENT_BYTES`] of it. Citations are kept up to
//! [`MAX_CITATION_BYTES`].

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::eventstream::{Decoder, Frame};
use super::messages::unwrapped;
use super::response::{Extras, Form, Specific, ToolUse};
use super::{answer_id, error, finish_reason, usage};
use crate::error::{Error, Kind};
use crate::json::{Literal, Text};
use crate::openai::Request;
use crate::openai::chat::{CallDelta, Called, Delta, Raw};
use crate::provider::chunks::{self, Chunks};
use crate::provider::{Estimate, Pass, Tally, Target};
use crate::sse::MAX_EVENT_BYTES;

/// The most calls that are open at once; Bedrock opens one after the other.
const MAX_OPEN_CALLS: usize = 64;

/// How much of citations is kept for the end.
const MAX_CITATION_BYTES: usize = 64 << 10;

/// A stream on its way to OpenAI's shape.
#[derive(Debug)]
pub(super) struct Stream {
    decoder: Decoder,
    machine: Machine,
}

impl Stream {
    /// The stream of an answer to `request`; `now_secs` is Unix time for the `created` field.
    pub(super) fn new(request: &Request, target: &Target, now_secs: u64) -> Self {
        Self { decoder: Decoder::default(), machine: Machine::new(request, target, now_secs) }
    }
}

impl crate::provider::Stream for Stream {
    fn estimate(&mut self, estimate: Estimate) {
        self.machine.chunks.estimate(estimate);
    }

    fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Pass {
        let Self { decoder, machine } = self;
        if machine.chunks.has_ended() {
            return Pass::Replaced;
        }
        if decoder.push(bytes, |frame| machine.frame(frame, out)).is_err() {
            let error = Error::new(Kind::BadUpstream, "the provider's stream is broken: a frame makes no sense");
            machine.chunks.fail(error, out);
        }
        Pass::Replaced
    }

    fn finish(&mut self, unfinished: Error, out: &mut Vec<u8>) {
        self.machine.end(unfinished, out);
    }

    fn tally(&self) -> &Tally {
        &self.machine.chunks.tally
    }
}

/// A call that has begun and not ended.
#[derive(Debug)]
struct OpenCall {
    index: u64,
    /// Its number; `None`: the JSON tool's.
    number: Option<u32>,
    /// Whether it has arguments yet.
    is_told: bool,
}

/// One answer on its way to the client.
#[derive(Debug)]
struct Machine {
    form: Form,
    chunks: Chunks,
    open: Vec<OpenCall>,
    /// How many calls have begun.
    calls: u32,
    /// Text that gives way to the JSON tool's arguments, as it is written inside quotes.
    held: Vec<u8>,
    /// Whether the JSON tool was called.
    has_answer: bool,
    /// Why the answer ended, once it has.
    stopped: Option<Stopped>,
    /// Citations, a JSON array without its brackets.
    citations: String,
    asked_fields: bool,
}

#[derive(Debug)]
struct Stopped {
    reason: &'static str,
    /// The model's own fields.
    fields: Option<Box<RawValue>>,
}

/// The payload of any event.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Event<'a> {
    content_block_index: u64,
    #[serde(borrow)]
    start: Option<Start<'a>>,
    #[serde(borrow)]
    delta: Option<EventDelta<'a>>,
    #[serde(borrow)]
    stop_reason: Cow<'a, str>,
    #[serde(borrow, rename = "additionalModelResponseFields")]
    fields: Raw<'a>,
    #[serde(borrow)]
    usage: Raw<'a>,
    #[serde(borrow)]
    trace: Raw<'a>,
    #[serde(borrow)]
    performance_config: Raw<'a>,
    #[serde(borrow)]
    service_tier: Raw<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Start<'a> {
    #[serde(borrow)]
    tool_use: Option<ToolUse<'a>>,
    #[serde(borrow)]
    reasoning_content: Option<Reasoning<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct EventDelta<'a> {
    #[serde(borrow)]
    text: Raw<'a>,
    #[serde(borrow)]
    tool_use: Option<ToolUse<'a>>,
    #[serde(borrow)]
    reasoning_content: Option<Reasoning<'a>>,
    #[serde(borrow)]
    citation: Raw<'a>,
    #[serde(borrow)]
    citations_content: Raw<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Reasoning<'a> {
    #[serde(borrow)]
    text: Raw<'a>,
    #[serde(borrow)]
    signature: Raw<'a>,
    #[serde(borrow)]
    redacted_content: Option<Cow<'a, str>>,
}

impl Machine {
    fn new(request: &Request, target: &Target, now_secs: u64) -> Self {
        let mut chunks = Chunks::new(request, &target.model, now_secs);
        chunks.name(&answer_id(request, now_secs), "");
        Self {
            form: Form::of(request, target),
            chunks,
            open: Vec::new(),
            calls: 0,
            held: Vec::new(),
            has_answer: false,
            stopped: None,
            citations: String::new(),
            asked_fields: request.index.get("additionalModelResponseFieldPaths").is_some(),
        }
    }

    /// Takes the next frame; appends what the client gets to `out`.
    fn frame(&mut self, frame: Frame<'_>, out: &mut Vec<u8>) {
        if self.chunks.has_ended() {
            return;
        }
        match frame.header(":message-type") {
            Some("exception") => {
                let exception = frame.header(":exception-type").unwrap_or_default();
                return self.chunks.fail(error::in_stream(exception, frame.payload), out);
            }
            Some("error") => {
                let code = frame.header(":error-code").unwrap_or_default();
                return self.chunks.fail(error::in_stream(code, b""), out);
            }
            _ => (),
        }
        let Ok(event) = serde_json::from_slice::<Event<'_>>(frame.payload) else { return };
        match frame.header(":event-type").unwrap_or_default() {
            "contentBlockDelta" => self.delta(event.content_block_index, event.delta.unwrap_or_default(), out),
            "contentBlockStart" => self.start(event.content_block_index, event.start.unwrap_or_default(), out),
            "contentBlockStop" => self.stop(event.content_block_index, out),
            "messageStop" => self.message_stop(&event, out),
            "metadata" => self.metadata(event, out),
            _ => (),
        }
    }

    fn start(&mut self, index: u64, start: Start<'_>, out: &mut Vec<u8>) {
        if let Some(reasoning) = start.reasoning_content {
            self.think(reasoning, out);
        }
        let Some(call) = start.tool_use.filter(|_| self.open.len() < MAX_OPEN_CALLS) else { return };
        if self.form.is_answer(&call.name) {
            self.has_answer = true;
            return self.open.push(OpenCall { index, number: None, is_told: false });
        }
        let number = self.calls;
        self.calls = self.calls.saturating_add(1);
        let name = Some(Text::Plain(self.form.name(&call.name).to_owned().into()));
        let delta = CallDelta {
            index: number,
            id: call.tool_use_id.and_then(Literal::new).map(Text::Literal),
            type_: Some("function"),
            function: Called { name, arguments: Text::Plain("".into()) },
        };
        self.write(chunks::call(delta), out);
        self.open.push(OpenCall { index, number: Some(number), is_told: false });
    }

    fn delta(&mut self, index: u64, delta: EventDelta<'_>, out: &mut Vec<u8>) {
        if let Some(text) = delta.text.and_then(Literal::new) {
            self.text(text, out);
        }
        if let Some(input) = delta.tool_use.and_then(|call| call.input).and_then(Literal::new) {
            self.arguments(index, input, out);
        }
        if let Some(reasoning) = delta.reasoning_content {
            self.think(reasoning, out);
        }
        if let Some(citation) = delta.citation.or(delta.citations_content) {
            self.cite(citation.get());
        }
    }

    fn arguments(&mut self, index: u64, input: Literal<'_>, out: &mut Vec<u8>) {
        if input.inner().is_empty() {
            return;
        }
        let Some(call) = self.open.iter_mut().rev().find(|call| call.index == index) else { return };
        call.is_told = true;
        match call.number {
            Some(number) => {
                self.chunks.tally.content_bytes += input.decoded_len();
                self.write(chunks::arguments(number, Text::Literal(input)), out);
            }
            None => self.content(input, out),
        }
    }

    fn think(&mut self, reasoning: Reasoning<'_>, out: &mut Vec<u8>) {
        let is_there = |text: &Literal<'_>| !text.inner().is_empty();
        if let Some(text) = reasoning.text.and_then(Literal::new).filter(is_there) {
            self.chunks.tally.content_bytes += text.decoded_len();
            let delta = chunks::thought(chunks::piece(Text::Literal(text), None));
            self.write(Delta { reasoning_content: Some(Text::Literal(text)), ..delta }, out);
        }
        if let Some(signature) = reasoning.signature.and_then(Literal::new).filter(is_there) {
            let piece = chunks::piece(Text::Plain("".into()), Some(Text::Literal(signature)));
            self.write(chunks::thought(piece), out);
        }
        if let Some(data) = reasoning.redacted_content {
            let data = unwrapped(&data).into_owned();
            self.write(chunks::redacted(Text::Plain(data.into())), out);
        }
    }

    fn cite(&mut self, citation: &str) {
        if self.citations.len() + citation.len() < MAX_CITATION_BYTES {
            if !self.citations.is_empty() {
                self.citations.push(',');
            }
            self.citations.push_str(citation);
        }
    }

    fn stop(&mut self, index: u64, out: &mut Vec<u8>) {
        if let Some(at) = self.open.iter().rposition(|call| call.index == index) {
            let call = self.open.remove(at);
            self.close(&call, out);
        }
    }

    /// Ends a call: one without arguments has an empty object.
    fn close(&mut self, call: &OpenCall, out: &mut Vec<u8>) {
        if call.is_told {
            return;
        }
        self.chunks.tally.content_bytes += 2;
        let nothing = Text::Plain("{}".into());
        match call.number {
            Some(number) => self.write(chunks::arguments(number, nothing), out),
            None => self.write(chunks::content(nothing), out),
        }
    }

    /// Passes text on, or holds it while the JSON tool may still be called.
    fn text(&mut self, text: Literal<'_>, out: &mut Vec<u8>) {
        if text.inner().is_empty() {
            return;
        }
        if !self.form.is_json_tool {
            return self.content(text, out);
        }
        self.chunks.tally.content_bytes += text.decoded_len();
        if self.held.len() + text.inner().len() <= MAX_EVENT_BYTES {
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

    fn message_stop(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        for call in std::mem::take(&mut self.open) {
            self.close(&call, out);
        }
        self.release(out);
        let reason = finish_reason(&event.stop_reason, self.calls > 0);
        let fields = event.fields.filter(|fields| fields.get().len() <= MAX_CITATION_BYTES);
        self.stopped = Some(Stopped { reason, fields: fields.map(ToOwned::to_owned) });
    }

    fn metadata(&mut self, event: Event<'_>, out: &mut Vec<u8>) {
        let fields = self.stopped.as_ref().and_then(|stopped| stopped.fields.as_deref());
        if let Some(usage) = usage::read(event.usage, fields, event.service_tier) {
            self.chunks.tally.usage = Some(usage);
            self.chunks.tally.is_final = true;
        }
        let Event { trace, performance_config, service_tier, .. } = event;
        self.close_message(Extras { trace, performance_config, service_tier }, out);
    }

    /// Writes the finish chunk and the end, if the answer has ended.
    fn close_message(&mut self, extras: Extras<'_>, out: &mut Vec<u8>) {
        let Some(stopped) = self.stopped.take() else { return };
        let citations = serde_json::from_str::<Box<RawValue>>(&format!("[{}]", self.citations));
        let citations = citations.ok().filter(|_| !self.citations.is_empty());
        let citations_content: Vec<&RawValue> =
            citations.as_deref().and_then(|all| serde_json::from_str(all.get()).ok()).unwrap_or_default();
        let fields = stopped.fields.as_deref().filter(|_| self.asked_fields);
        let specific = Specific { extras, citations_content, fields }.raw();
        self.chunks.finish_with(0, stopped.reason, specific.as_deref(), out);
        self.chunks.done(out);
    }

    /// The bytes have ended.
    fn end(&mut self, unfinished: Error, out: &mut Vec<u8>) {
        self.close_message(Extras::default(), out);
        self.chunks.fail(unfinished, out);
    }

    fn write(&mut self, delta: Delta<'_>, out: &mut Vec<u8>) {
        self.chunks.delta(0, delta, out);
    }
}
