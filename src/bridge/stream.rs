//! A provider's stream that becomes a chat completion's chunks, and these the client's events.

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
    has_ended: bool,
    /// The chunks of a chat completion; reused.
    chat: Vec<u8>,
}

impl Bridged {
    pub(super) fn new(inner: Box<dyn Stream>, events: Box<dyn Events>) -> Self {
        Self { inner, decoder: Decoder::default(), events, has_ended: false, chat: Vec::new() }
    }

    fn read(&mut self, chat: &[u8], out: &mut Vec<u8>) {
        let Self { decoder, events, has_ended, .. } = self;
        if let Err(TooLong) = decoder.push(chat, |event| read(event, events.as_mut(), has_ended, out)) {
            self.end_with(&Error::new(Kind::BadUpstream, "the provider sent an event over the limit"), out);
        }
        if let Some(error) = self.inner.tally().error.clone() {
            self.end_with(&error, out);
        }
    }

    fn end_with(&mut self, error: &Error, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.has_ended, true) {
            self.events.fail(error, out);
        }
    }
}

fn read(event: Event<'_>, events: &mut dyn Events, has_ended: &mut bool, out: &mut Vec<u8>) {
    let Some(data) = event.data().filter(|_| !*has_ended) else { return };
    if data.as_ref() == b"[DONE]" {
        *has_ended = true;
        events.done(out);
    } else if event.name() != Some(b"error") && !data.starts_with(b"{\"error\"") {
        events.chunk(&data, out);
    }
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

    fn finish(&mut self, out: &mut Vec<u8>) {
        let mut chat = Vec::new();
        self.inner.finish(&mut chat);
        self.read(&chat, out);
        let Self { decoder, events, has_ended, .. } = self;
        decoder.finish(|event| read(event, events.as_mut(), has_ended, out));
        if self.inner.tally().is_complete {
            if !std::mem::replace(&mut self.has_ended, true) {
                self.events.done(out);
            }
        } else {
            self.end_with(&Error::new(Kind::BadUpstream, "the provider's stream ended before the answer did"), out);
        }
    }

    fn tally(&self) -> &Tally {
        self.inner.tally()
    }
}
