//! A provider's stream that becomes a chat completion's chunks, and these the client's events.

use memchr::memmem;

use super::Events;
use crate::error::{Error, Kind};
use crate::provider::{Estimate, Pass, Stream, Tally};
use crate::sse::{Decoder, Event, TooLong};

/// See the module.
#[derive(Debug)]
pub(super) struct Bridged {
    inner: Box<dyn Stream>,
    decoder: Decoder,
    events: Box<dyn Events>,
    phase: Phase,
    /// The chunks of a chat completion; reused.
    chat: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The answer is under way.
    Open,
    /// An error was among the chunks: what follows it is no answer.
    Failed,
    /// Nothing more goes to the client.
    Ended,
}

impl Bridged {
    pub(super) fn new(inner: Box<dyn Stream>, events: Box<dyn Events>) -> Self {
        Self { inner, decoder: Decoder::default(), events, phase: Phase::Open, chat: Vec::new() }
    }

    fn read(&mut self, chat: &[u8], out: &mut Vec<u8>) {
        let has_error = self.inner.tally().error.is_some();
        let Self { decoder, events, phase, .. } = self;
        if let Err(TooLong) = decoder.push(chat, |event| read(event, events.as_mut(), phase, has_error, out)) {
            self.end_with(&Error::new(Kind::BadUpstream, "the provider sent an event over the limit"), out);
        }
        self.tell_failure(out);
    }

    fn tell_failure(&mut self, out: &mut Vec<u8>) {
        if self.phase == Phase::Failed {
            let told = self.inner.tally().error.clone();
            let error = told.unwrap_or_else(|| Error::new(Kind::BadUpstream, "the provider's stream broke off"));
            self.end_with(&error, out);
        }
    }

    fn end_with(&mut self, error: &Error, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.phase, Phase::Ended) != Phase::Ended {
            self.events.fail(error, out);
        }
    }
}

/// Takes one event of a stream in which an error was found (`has_error`): it may be beside a chunk's choices.
fn read(event: Event<'_>, events: &mut dyn Events, phase: &mut Phase, has_error: bool, out: &mut Vec<u8>) {
    let Some(data) = event.data().filter(|_| *phase == Phase::Open) else { return };
    if data.as_ref() == b"[DONE]" && has_error {
        *phase = Phase::Failed;
    } else if data.as_ref() == b"[DONE]" {
        *phase = Phase::Ended;
        events.done(out);
    } else if is_error(&event, &data) {
        *phase = Phase::Failed;
    } else {
        events.chunk(&data, out);
    }
}

/// Whether an event says that the answer failed, and nothing else.
fn is_error(event: &Event<'_>, data: &[u8]) -> bool {
    let is_said = event.name() == Some(b"error") || data.starts_with(b"{\"error\"") || data.starts_with(b"{ \"error\"");
    is_said && memmem::find(event.raw, b"\"choices\"").is_none()
}

impl Stream for Bridged {
    fn estimate(&mut self, estimate: Estimate) {
        self.inner.estimate(estimate);
    }

    fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Pass {
        let mut chat = std::mem::take(&mut self.chat);
        chat.clear();
        match self.inner.push(bytes, &mut chat) {
            Pass::Unchanged => self.read(bytes, out),
            Pass::Replaced => self.read(&chat, out),
        }
        self.chat = chat;
        Pass::Replaced
    }

    fn finish(&mut self, unfinished: Error, out: &mut Vec<u8>) {
        let mut chat = Vec::new();
        self.inner.finish(unfinished.clone(), &mut chat);
        self.read(&chat, out);
        let has_error = self.inner.tally().error.is_some();
        let Self { decoder, events, phase, .. } = self;
        decoder.finish(|event| read(event, events.as_mut(), phase, has_error, out));
        self.tell_failure(out);
        if !self.inner.tally().is_complete {
            self.end_with(&unfinished, out);
        } else if std::mem::replace(&mut self.phase, Phase::Ended) != Phase::Ended {
            self.events.done(out);
        }
    }

    fn tally(&self) -> &Tally {
        self.inner.tally()
    }
}
