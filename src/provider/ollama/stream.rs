//! The lines of an answer as chunks of a chat completion.
//!
//! Source: Ollama, "Streaming" <https://docs.ollama.com/api/streaming>, "Streaming responses with tool calling"
//! <https://ollama.com/blog/streaming-tool>, not re-read for this; "Errors" <https://docs.ollama.com/api/errors>, read
//! 2026-11-23.
//!
//! A call comes whole in one line, and the last line has `done: true`. An error, or an end before that, becomes an
//! `error` event after which nothing comes.
//!
//! # Limits
//!
//! Of lines that make no sense nothing is passed on.

use serde_json::value::RawValue;

use super::error;
use super::lines::Decoder;
use super::response::{Call, Line};
use super::tags::{Piece, Tags};
use crate::error::{Error, Kind};
use crate::json::{Literal, Text};
use crate::openai::Request;
use crate::openai::chat::{CallDelta, Delta, Raw};
use crate::provider::chunks::{self, Chunks};
use crate::provider::{Estimate, Pass, Tally, Target};

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
    tags: Tags,
    now_secs: u64,
    /// What the answer and its calls are called by; empty until the first line.
    stamp: String,
    /// How many calls there were.
    calls: u32,
}

impl Stream {
    /// The stream of an answer to `request`; `now_secs` is Unix time.
    pub(super) fn new(request: &Request, target: &Target, now_secs: u64) -> Self {
        let chunks = Chunks::new(request, &target.model, now_secs);
        let machine = Machine { chunks, tags: Tags::default(), now_secs, stamp: String::new(), calls: 0 };
        Self { decoder: Decoder::default(), machine }
    }
}

impl crate::provider::Stream for Stream {
    fn estimate(&mut self, estimate: Estimate) {
        self.machine.chunks.estimate(estimate);
    }

    fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Pass {
        let Self { decoder, machine } = self;
        if !machine.chunks.has_ended() && decoder.push(bytes, |line| machine.line(line, out)).is_err() {
            machine.chunks.fail(Error::new(Kind::BadUpstream, "the provider sent a line over the limit"), out);
        }
        Pass::Replaced
    }

    fn finish(&mut self, unfinished: Error, out: &mut Vec<u8>) {
        let Self { decoder, machine } = self;
        decoder.finish(|line| machine.line(line, out));
        machine.chunks.fail(unfinished, out);
    }

    fn tally(&self) -> &Tally {
        &self.machine.chunks.tally
    }
}

impl Machine {
    /// Takes the next line; appends what the client gets to `out`.
    fn line(&mut self, line: &[u8], out: &mut Vec<u8>) {
        if self.chunks.has_ended() {
            return;
        }
        let Ok(line) = serde_json::from_slice::<Line<'_>>(line) else { return };
        if let Some(error) = line.error {
            let message = Literal::new(error).and_then(Literal::decode).unwrap_or_default();
            return self.chunks.fail(error::in_stream(&message), out);
        }
        if self.stamp.is_empty() {
            self.stamp = line.stamp(self.now_secs);
            self.chunks.name(&self.stamp, &line.model);
        }
        if let Some(message) = &line.message {
            self.thinking(message.thinking, out);
            self.content(&line, message.content, out);
            message.tool_calls.iter().flatten().for_each(|call| self.call(call, out));
        }
        if line.done {
            self.done(&line, out);
        }
    }

    fn thinking(&mut self, raw: Raw<'_>, out: &mut Vec<u8>) {
        let Some(text) = raw.and_then(Literal::new).filter(|text| !text.inner().is_empty()) else { return };
        // The server tells reasoning apart itself.
        if let Some(held) = self.tags.end() {
            self.piece(held, None, out);
        }
        self.chunks.tally.content_bytes += text.decoded_len();
        self.chunks.delta(0, Delta { reasoning_content: Some(Text::Literal(text)), ..Delta::default() }, out);
    }

    fn content(&mut self, line: &Line<'_>, raw: Raw<'_>, out: &mut Vec<u8>) {
        let Some(text) = raw.and_then(Literal::new).filter(|text| !text.inner().is_empty()) else { return };
        self.chunks.tally.content_bytes += text.decoded_len();
        let logprobs = line.logprobs();
        if !self.tags.is_after()
            && let Some(decoded) = text.decode()
        {
            let mut pieces = Vec::new();
            self.tags.push(&decoded, |piece| pieces.push(piece));
            let last = pieces.pop();
            pieces.into_iter().for_each(|piece| self.piece(piece, None, out));
            return last.into_iter().for_each(|piece| self.piece(piece, logprobs.as_deref(), out));
        }
        self.chunks.delta_with(0, chunks::content(Text::Literal(text)), logprobs.as_deref(), out);
    }

    fn piece(&mut self, piece: Piece<'_>, logprobs: Option<&RawValue>, out: &mut Vec<u8>) {
        let delta = match piece {
            Piece::Content(text) => chunks::content(Text::Plain(text)),
            Piece::Reasoning(text) => Delta { reasoning_content: Some(Text::Plain(text)), ..Delta::default() },
        };
        self.chunks.delta_with(0, delta, logprobs, out);
    }

    fn call(&mut self, call: &Call<'_>, out: &mut Vec<u8>) {
        let index = self.calls;
        self.calls = self.calls.saturating_add(1);
        let (function, bytes) = call.called();
        self.chunks.tally.content_bytes += bytes;
        let id = Some(call.id(&self.stamp, index as usize));
        self.chunks.delta(0, chunks::call(CallDelta { index, id, type_: Some("function"), function }), out);
    }

    fn done(&mut self, line: &Line<'_>, out: &mut Vec<u8>) {
        if let Some(held) = self.tags.end() {
            self.piece(held, None, out);
        }
        self.chunks.tally.usage = line.usage();
        self.chunks.tally.is_final = self.chunks.tally.usage.is_some();
        self.chunks.finish(0, line.finish_reason(self.calls > 0), out);
        self.chunks.done(out);
    }
}
