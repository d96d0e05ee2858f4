//! A stream that passes through: its usage is read on the way, and taken out where the client didn't ask for it.
//!
//! No event is decoded but the one with the usage. The bytes go on untouched unless an event is cut by the end of a
//! chunk (then its beginning waits for its end) or is the usage that nobody asked for.

use memchr::{memchr, memmem};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::error::{Error, Kind};
use crate::json::Index;
use crate::openai::Request;
use crate::openai::usage::{Usage, Wire};
use crate::provider::{Pass, Tally};
use crate::sse::{Decoder, Event};

/// See the module.
#[derive(Debug)]
pub struct Stream {
    decoder: Decoder,
    reader: Reader,
    /// An event was too long: all bytes go on unread.
    blind: bool,
}

#[derive(Debug)]
struct Reader {
    usage: memmem::Finder<'static>,
    choices: memmem::Finder<'static>,
    hide_usage: bool,
    tally: Tally,
}

impl Stream {
    /// The stream that answers `request`.
    pub fn new(request: &Request) -> Self {
        let reader = Reader {
            usage: memmem::Finder::new("\"usage\""),
            choices: memmem::Finder::new("\"choices\""),
            hide_usage: !request.include_usage,
            tally: Tally::default(),
        };
        Self { decoder: Decoder::default(), reader, blind: false }
    }

    /// See [`crate::provider::Stream::push`].
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Pass {
        if self.blind {
            return Pass::Unchanged;
        }
        let mut kept = Kept { source: self.decoder.is_at_boundary().then_some(bytes), end: 0 };
        let reader = &mut self.reader;
        let pushed = self.decoder.push(bytes, |event| {
            if reader.read(event) {
                kept.keep(event.raw, out);
            } else {
                kept.drop(event.raw, out);
            }
        });
        if pushed.is_err() {
            self.blind = true;
            self.decoder.finish(|event| kept.keep(event.raw, out));
        }
        kept.pass(bytes, out)
    }

    /// See [`crate::provider::Stream::finish`].
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        let reader = &mut self.reader;
        self.decoder.finish(|event| {
            // The last event may lack its blank line; half an event is no event.
            if is_whole(event) && reader.read(event) {
                out.extend_from_slice(event.raw);
                out.extend_from_slice(b"\n\n");
            }
        });
        if !self.blind && !reader.tally.is_complete && reader.tally.error.is_none() {
            let error = Error::new(Kind::BadUpstream, "the provider ended the stream before the answer was complete");
            for part in [b"data: ", error.body().as_slice(), b"\n\n"] {
                out.extend_from_slice(part);
            }
            reader.tally.error = Some(error);
        }
    }

    /// What it has come to so far.
    pub fn tally(&self) -> &Tally {
        &self.reader.tally
    }
}

fn is_whole(event: Event<'_>) -> bool {
    event.data().is_some_and(|data| data.as_ref() == b"[DONE]" || Index::parse(&data).is_ok())
}

/// The part of a chunk that goes on, copied to `out` only from the moment that it differs from the chunk.
struct Kept<'a> {
    /// The chunk, while everything of it so far goes on.
    source: Option<&'a [u8]>,
    /// How much of `source` went on.
    end: usize,
}

impl Kept<'_> {
    fn keep(&mut self, raw: &[u8], out: &mut Vec<u8>) {
        match self.source {
            Some(_) => self.end += raw.len(),
            None => out.extend_from_slice(raw),
        }
    }

    fn drop(&mut self, _raw: &[u8], out: &mut Vec<u8>) {
        if let Some(source) = self.source.take() {
            out.extend_from_slice(source.get(..self.end).unwrap_or_default());
        }
    }

    fn pass(mut self, bytes: &[u8], out: &mut Vec<u8>) -> Pass {
        if self.source.is_some() && self.end == bytes.len() {
            return Pass::Unchanged;
        }
        self.drop(&[], out);
        Pass::Replaced
    }
}

#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Vec<IgnoredAny>,
    usage: Option<Wire>,
}

impl Reader {
    /// Reads one event; whether the client gets it.
    fn read(&mut self, event: Event<'_>) -> bool {
        let raw = event.raw;
        if self.has_usage(raw)
            && let Some(chunk) = event.data().and_then(|data| serde_json::from_slice::<Chunk>(&data).ok())
            && let Some(usage) = chunk.usage
        {
            self.tally.usage = Some(Usage::from(&usage));
            self.tally.is_final = true;
            if chunk.choices.is_empty() {
                return !self.hide_usage;
            }
        }
        match self.choices.find(raw) {
            Some(at) => self.count(raw.get(at..).unwrap_or_default()),
            None => self.read_rare(event),
        }
        true
    }

    /// `"usage":{...}`, not `"usage":null`.
    fn has_usage(&self, raw: &[u8]) -> bool {
        let Some(value) = self.usage.find(raw).and_then(|at| raw.get(at + 7..)) else { return false };
        value.trim_ascii_start().strip_prefix(b":").is_some_and(|value| value.trim_ascii_start().starts_with(b"{"))
    }

    /// The end of the stream, or an error in its midst.
    fn read_rare(&mut self, event: Event<'_>) {
        let Some(data) = event.data() else { return };
        if data.as_ref() == b"[DONE]" {
            self.tally.is_complete = true;
        } else if data.starts_with(b"{\"error\"") || data.starts_with(b"{ \"error\"") {
            self.tally.error = Some(super::error(500, &data));
        }
    }

    /// Adds up the generated text in the choices: the string values of the names that hold any.
    fn count(&mut self, choices: &[u8]) {
        let mut rest = choices;
        let mut name: &[u8] = b"";
        while let Some(start) = memchr(b'"', rest) {
            let body = rest.get(start + 1..).unwrap_or_default();
            let len = string_len(body);
            let text = body.get(..len).unwrap_or_default();
            rest = body.get(len + 1..).unwrap_or_default();
            if rest.trim_ascii_start().starts_with(b":") {
                name = text;
                continue;
            }
            match name {
                b"content" | b"reasoning_content" | b"reasoning" | b"refusal" | b"arguments" | b"text" => {
                    self.tally.content_bytes = self.tally.content_bytes.saturating_add(len as u64);
                }
                b"finish_reason" => self.tally.is_complete = true,
                _ => {}
            }
            name = b"";
        }
    }
}

/// The length of a JSON string up to its closing quote.
fn string_len(body: &[u8]) -> usize {
    let mut at = 0;
    while let Some(quote) = memchr(b'"', body.get(at..).unwrap_or_default()) {
        let end = at + quote;
        let escapes = body.get(..end).unwrap_or_default().iter().rev().take_while(|&&byte| byte == b'\\').count();
        if escapes % 2 == 0 {
            return end;
        }
        at = end + 1;
    }
    body.len()
}

#[cfg(test)]
mod tests;
