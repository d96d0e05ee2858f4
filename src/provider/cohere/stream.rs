//! The events of an answer as chunks of a chat completion.
//!
//! Source: Cohere, "A guide to streaming responses" <https://docs.cohere.com/docs/streaming>, "Streaming for tool use"
//! <https://docs.cohere.com/docs/tool-use-streaming>, both read 2026-11-23 in excerpts; "Chat with streaming"
//! <https://docs.cohere.com/reference/chat-stream>, not re-read for this.
//!
//! The type of an event is in its data. A citation is passed on in `provider_specific_fields` when it comes: OpenAI's
//! chunk has no annotations. An error, or an end before `message-end`, becomes an `error` event after which nothing
//! comes.
//!
//! # Limits
//!
//! Of events that make no sense nothing is passed on. Calls beyond 64 at the same time are ignored.

use std::borrow::Cow;

use serde::Deserialize;

use super::extras::{self, Fields};
use super::response::{Block, Call};
use super::usage::Wire as WireUsage;
use super::{error, finish_reason, is_told_in_part};
use crate::error::{Error, Kind};
use crate::json::{Literal, Text};
use crate::openai::Request;
use crate::openai::chat::{CallDelta, Called, Delta, Raw};
use crate::provider::chunks::{self, Chunks};
use crate::provider::{Estimate, Pass, Tally, Target};
use crate::sse::{self, Decoder};

/// The most calls that are open at once; Cohere opens one after the other.
const MAX_OPEN_CALLS: usize = 64;

/// The data of an event, with the fields of all.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Event<'a> {
    #[serde(borrow, rename = "type")]
    type_: Cow<'a, str>,
    #[serde(borrow)]
    id: Cow<'a, str>,
    index: u64,
    #[serde(borrow)]
    delta: Option<EventDelta<'a>>,
    #[serde(borrow)]
    logprobs: Raw<'a>,
    /// Of an error, where the event has no type.
    #[serde(borrow)]
    message: Raw<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct EventDelta<'a> {
    #[serde(borrow)]
    message: Raw<'a>,
    #[serde(borrow)]
    finish_reason: Option<Cow<'a, str>>,
    #[serde(borrow)]
    usage: Raw<'a>,
    #[serde(borrow)]
    error: Raw<'a>,
}

/// The message inside a delta: each event has one member of it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Message<'a> {
    #[serde(borrow)]
    content: Raw<'a>,
    #[serde(borrow)]
    tool_plan: Raw<'a>,
    #[serde(borrow)]
    tool_calls: Raw<'a>,
    #[serde(borrow)]
    citations: Raw<'a>,
}

/// A stream on its way to OpenAI's shape.
#[derive(Debug)]
pub(super) struct Stream {
    decoder: Decoder,
    machine: Machine,
}

/// One answer on its way to the client.
#[derive(Debug)]
struct Machine {
    chunks: Chunks,
    open: Vec<OpenCall>,
    /// How many calls have begun.
    calls: u32,
}

/// A call that has begun and not ended.
#[derive(Debug)]
struct OpenCall {
    index: u64,
    number: u32,
    has_arguments: bool,
}

impl Stream {
    /// The stream of an answer to `request`; `now_secs` is Unix time.
    pub(super) fn new(request: &Request, target: &Target, now_secs: u64) -> Self {
        let chunks = Chunks::new(request, &target.model, now_secs);
        Self { decoder: Decoder::default(), machine: Machine { chunks, open: Vec::new(), calls: 0 } }
    }
}

impl crate::provider::Stream for Stream {
    fn estimate(&mut self, estimate: Estimate) {
        self.machine.chunks.estimate(estimate);
    }

    fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Pass {
        let Self { decoder, machine } = self;
        if !machine.chunks.has_ended() && decoder.push(bytes, |event| machine.event(event, out)).is_err() {
            machine.chunks.fail(Error::new(Kind::BadUpstream, "the provider sent an event over the limit"), out);
        }
        Pass::Replaced
    }

    fn finish(&mut self, unfinished: Error, out: &mut Vec<u8>) {
        let Self { decoder, machine } = self;
        decoder.finish(|event| machine.event(event, out));
        machine.chunks.fail(unfinished, out);
    }

    fn tally(&self) -> &Tally {
        &self.machine.chunks.tally
    }
}

impl Machine {
    /// Takes the next event; appends what the client gets to `out`.
    fn event(&mut self, event: sse::Event<'_>, out: &mut Vec<u8>) {
        if self.chunks.has_ended() {
            return;
        }
        let Some(data) = event.data() else { return };
        let Ok(event) = serde_json::from_slice::<Event<'_>>(&data) else { return };
        let delta = event.delta.unwrap_or_default();
        let message = || delta.message.and_then(|raw| serde_json::from_str::<Message<'_>>(raw.get()).ok());
        match &*event.type_ {
            "content-delta" | "content-start" => {
                self.content(message().unwrap_or_default().content, event.logprobs, out);
            }
            "tool-call-delta" => self.arguments(event.index, message().unwrap_or_default().tool_calls, out),
            "tool-call-start" => self.call(event.index, message().unwrap_or_default().tool_calls, out),
            "tool-call-end" => self.call_end(event.index, out),
            "tool-plan-delta" => self.thought(message().unwrap_or_default().tool_plan, out),
            "citation-start" => self.citation(message().unwrap_or_default().citations, out),
            "message-start" => self.chunks.name(&event.id, ""),
            "message-end" => self.message_end(&delta, out),
            "" => self.error(event.message, out),
            _ => (),
        }
    }

    fn content(&mut self, raw: Raw<'_>, logprobs: Raw<'_>, out: &mut Vec<u8>) {
        let Some(block) = raw.and_then(|raw| serde_json::from_str::<Block<'_>>(raw.get()).ok()) else { return };
        self.thought(block.thinking, out);
        let Some(text) = told(block.text) else { return };
        self.chunks.tally.content_bytes += text.decoded_len();
        let logprobs = extras::logprobs(logprobs);
        self.chunks.delta_with(0, chunks::content(Text::Literal(text)), logprobs.as_deref(), out);
    }

    fn thought(&mut self, raw: Raw<'_>, out: &mut Vec<u8>) {
        let Some(text) = told(raw) else { return };
        self.chunks.tally.content_bytes += text.decoded_len();
        self.chunks.delta(0, Delta { reasoning_content: Some(Text::Literal(text)), ..Delta::default() }, out);
    }

    fn call(&mut self, index: u64, raw: Raw<'_>, out: &mut Vec<u8>) {
        let Some(call) = raw.and_then(|raw| serde_json::from_str::<Call<'_>>(raw.get()).ok()) else { return };
        if self.open.len() >= MAX_OPEN_CALLS {
            return;
        }
        let number = self.calls;
        self.calls = self.calls.saturating_add(1);
        let arguments = told(call.function.arguments);
        self.open.push(OpenCall { index, number, has_arguments: arguments.is_some() });
        self.chunks.tally.content_bytes += arguments.map_or(0, Literal::decoded_len);
        let name = call.function.name.and_then(Literal::new).map_or(Text::Plain("".into()), Text::Literal);
        let delta = CallDelta {
            index: number,
            id: call.id.and_then(Literal::new).map(Text::Literal),
            type_: Some("function"),
            function: Called { name: Some(name), arguments: arguments.map_or(Text::Plain("".into()), Text::Literal) },
        };
        self.chunks.delta(0, chunks::call(delta), out);
    }

    fn arguments(&mut self, index: u64, raw: Raw<'_>, out: &mut Vec<u8>) {
        let Some(call) = raw.and_then(|raw| serde_json::from_str::<Call<'_>>(raw.get()).ok()) else { return };
        let Some(open) = self.open.iter_mut().rev().find(|open| open.index == index) else { return };
        let Some(text) = told(call.function.arguments) else { return };
        open.has_arguments = true;
        self.chunks.tally.content_bytes += text.decoded_len();
        self.chunks.delta(0, chunks::arguments(open.number, Text::Literal(text)), out);
    }

    fn call_end(&mut self, index: u64, out: &mut Vec<u8>) {
        if let Some(at) = self.open.iter().rposition(|open| open.index == index) {
            let call = self.open.remove(at);
            self.close(&call, out);
        }
    }

    /// Ends a call: without arguments it has those of an empty object.
    fn close(&mut self, call: &OpenCall, out: &mut Vec<u8>) {
        if !call.has_arguments {
            self.chunks.tally.content_bytes += 2;
            self.chunks.delta(0, chunks::arguments(call.number, Text::Plain("{}".into())), out);
        }
    }

    /// A citation comes alone; a list of them is passed on too.
    fn citation(&mut self, raw: Raw<'_>, out: &mut Vec<u8>) {
        let Some(raw) = raw else { return };
        let listed = serde_json::value::RawValue::from_string(format!("[{}]", raw.get()));
        let Ok(listed) = (if raw.get().starts_with('[') { Ok(raw.to_owned()) } else { listed }) else { return };
        let fields = Fields { citations: Some(&listed), ..Fields::default() }.write();
        self.chunks.delta(0, Delta { provider_specific_fields: fields.as_deref(), ..Delta::default() }, out);
    }

    fn message_end(&mut self, delta: &EventDelta<'_>, out: &mut Vec<u8>) {
        let wire = WireUsage::read(delta.usage).unwrap_or_default();
        self.chunks.tally.usage = wire.usage();
        self.chunks.tally.is_final = self.chunks.tally.usage.is_some();
        if let Some(error) = told(delta.error) {
            return self.chunks.fail(error::in_stream(&error.decode().unwrap_or_default()), out);
        }
        for call in std::mem::take(&mut self.open) {
            self.close(&call, out);
        }
        let reason = delta.finish_reason.as_deref().unwrap_or_default();
        let finish_reason_there = is_told_in_part(reason).then_some(Cow::Borrowed(reason));
        let fields =
            Fields { billed_units: wire.billed_units, finish_reason: finish_reason_there, ..Fields::default() };
        self.chunks.finish_with(0, finish_reason(reason, self.calls > 0), fields.write().as_deref(), out);
        self.chunks.done(out);
    }

    fn error(&mut self, message: Raw<'_>, out: &mut Vec<u8>) {
        if let Some(message) = message.and_then(Literal::new) {
            self.chunks.fail(error::in_stream(&message.decode().unwrap_or_default()), out);
        }
    }
}

/// A text that says something.
fn told(raw: Raw<'_>) -> Option<Literal<'_>> {
    raw.and_then(Literal::new).filter(|text| !text.inner().is_empty())
}
