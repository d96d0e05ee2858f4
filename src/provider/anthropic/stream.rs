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
//! Of events that make no sense nothing is passed on. Blocks beyond 64 at the same time are ignored.
//! Where the answer comes as a tool call, other text is held until the end: up to [`MAX_EVENT_BYTES`](crate::sse::MAX_EVENT_BYTES) of it.

pub(super) mod event;
mod machine;

use self::machine::Machine;
use crate::error::{Error, Kind};
use crate::openai::Request;
use crate::provider::{Estimate, Pass, Tally, Target};
use crate::sse::Decoder;

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
        self.machine.estimate(estimate);
    }

    fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Pass {
        let Self { decoder, machine } = self;
        if machine.has_ended() {
            return Pass::Replaced;
        }
        if decoder.push(bytes, |event| machine.event(event, out)).is_err() {
            machine.fail(Error::new(Kind::BadUpstream, "the provider sent an event over the limit"), out);
        }
        Pass::Replaced
    }

    fn finish(&mut self, unfinished: Error, out: &mut Vec<u8>) {
        let Self { decoder, machine } = self;
        decoder.finish(|event| machine.event(event, out));
        machine.fail(unfinished, out);
    }

    fn tally(&self) -> &Tally {
        self.machine.tally()
    }
}
