//! A stream that passes through: its usage is read on the way, and taken out where the client didn't ask for it.
//!
//! No event is decoded but the one with the usage. The bytes go on untouched unless an event is cut by the end of a
//! chunk (then its beginning waits for its end) or is the usage that nobody asked for. A client that asked for usage
//! gets an estimate before `[DONE]` where the provider said none.
//!
//! The stream of a vendor whose answers are reshaped (see [`super::reshape`]) is the same, but for the events that differ:
//! usage that came beside choices is told in a chunk of its own, and `[DONE]` where the vendor has none.

use memchr::{memchr, memmem};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::reshape;
use super::usage::Counted;
use crate::error::Error;
use crate::json::{Index, Shape};
use crate::openai::Request;
use crate::openai::Usage;
use crate::openai::usage::{Served, Wire};
use crate::provider::{Estimate, Pass, Tally};
use crate::sse::{Decoder, Event};

/// See the module.
#[derive(Debug)]
pub struct Stream {
    decoder: Decoder,
    reader: Reader,
    /// An event was too long: all bytes go on unread.
    blind: bool,
}

/// What becomes of the events on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reshaping {
    /// They pass.
    None,
    /// They become OpenAI's where the vendor's differ.
    Dialect,
    /// The same, and the call of a tool that stands for a schema becomes content.
    ByTool,
}

#[derive(Debug)]
struct Reader {
    usage: memmem::Finder<'static>,
    choices: memmem::Finder<'static>,
    hide_usage: bool,
    /// What the client is told where the provider says nothing.
    estimate: Option<Estimate>,
    /// The first chunk, where there is an estimate: the chunk with it looks alike.
    first: Vec<u8>,
    reshaping: Reshaping,
    /// The usage that was taken out of the last chunk that had any, of a reshaped stream.
    taken: Vec<u8>,
    is_done: bool,
    tally: Tally,
}

impl Stream {
    /// The stream that answers `request`.
    pub fn new(request: &Request, reshaping: Reshaping) -> Self {
        let reader = Reader {
            usage: memmem::Finder::new("\"usage\""),
            choices: memmem::Finder::new("\"choices\""),
            hide_usage: !request.include_usage,
            estimate: None,
            first: Vec::new(),
            reshaping,
            taken: Vec::new(),
            is_done: false,
            tally: Tally::default(),
        };
        Self { decoder: Decoder::default(), reader, blind: false }
    }
}

impl crate::provider::Stream for Stream {
    fn estimate(&mut self, estimate: Estimate) {
        self.reader.estimate = Some(estimate);
    }

    fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Pass {
        if self.blind {
            return Pass::Unchanged;
        }
        let mut kept = Kept { source: self.decoder.is_at_boundary().then_some(bytes), end: 0 };
        let reader = &mut self.reader;
        let pushed = self.decoder.push(bytes, |event| {
            if let Some(usage) = reader.untold_usage(event) {
                kept.insert(&usage, out);
            }
            let goes_on = reader.read(event);
            match reader.reshaped(event) {
                Some(data) if goes_on => kept.insert(&data, out),
                None if goes_on => kept.keep(event.raw, out),
                Some(_) | None => kept.drop(event.raw, out),
            }
        });
        if pushed.is_err() {
            self.blind = true;
            self.decoder.finish(|event| kept.keep(event.raw, out));
        }
        kept.pass(bytes, out)
    }

    fn finish(&mut self, unfinished: Error, out: &mut Vec<u8>) {
        let reader = &mut self.reader;
        self.decoder.finish(|event| {
            out.extend(reader.untold_usage(event).unwrap_or_default());
            // The last event may lack its blank line; half an event is no event.
            if is_whole(event) && reader.read(event) {
                out.extend(reader.reshaped(event).unwrap_or_else(|| [event.raw, b"\n\n"].concat()));
            }
        });
        if !self.blind && reader.owes_an_end() {
            reader.is_done = true;
            out.extend(reader.usage_chunk().unwrap_or_default());
            out.extend_from_slice(b"data: [DONE]\n\n");
        }
        if !self.blind && !reader.tally.is_complete && reader.tally.error.is_none() {
            for part in [b"data: ", unfinished.body().as_slice(), b"\n\n"] {
                out.extend_from_slice(part);
            }
            reader.tally.error = Some(unfinished);
        }
    }

    fn tally(&self) -> &Tally {
        &self.reader.tally
    }
}

/// Whether an event says that the answer failed, and nothing else.
fn is_error(event: &Event<'_>, data: &[u8]) -> bool {
    event.name() == Some(b"error") || data.starts_with(b"{\"error\"") || data.starts_with(b"{ \"error\"")
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

    /// Puts bytes between those that go on.
    fn insert(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        self.drop(&[], out);
        out.extend_from_slice(bytes);
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
    usage: Option<Counted>,
    service_tier: Option<Served>,
    x_groq: Option<Groq>,
}

/// Groq's usage, before it took OpenAI's `stream_options`.
#[derive(Deserialize)]
struct Groq {
    usage: Option<Box<RawValue>>,
}

/// The part of a chunk that all chunks of a stream have in common.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    object: Option<&'a RawValue>,
    #[serde(borrow)]
    created: Option<&'a RawValue>,
    #[serde(borrow)]
    model: Option<&'a RawValue>,
}

/// The chunk that brings the usage.
#[derive(Serialize)]
struct UsageChunk<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a RawValue>,
    choices: [(); 0],
    usage: &'a RawValue,
}

impl Reader {
    /// The event to put before `event`, where that is the end and the client waits for a usage that has not come.
    fn untold_usage(&mut self, event: Event<'_>) -> Option<Vec<u8>> {
        if self.hide_usage || (self.estimate.is_none() && !self.is_reshaped()) {
            return None;
        }
        let data = event.data()?;
        if data.as_ref() != b"[DONE]" {
            if self.first.is_empty() && self.choices.find(&data).is_some() && !is_without_choices(&data) {
                self.first = data.into_owned();
            }
            return None;
        }
        self.usage_chunk()
    }

    /// A chunk with the usage that was taken out of another one, or an estimate where there was none.
    fn usage_chunk(&self) -> Option<Vec<u8>> {
        if self.hide_usage {
            return None;
        }
        let estimate = self.estimate.filter(|_| self.tally.usage.is_none());
        let usage = match estimate {
            _ if !self.taken.is_empty() => self.taken.clone(),
            Some(estimate) => serde_json::to_vec(&Wire::from(&estimate.usage(self.tally.content_bytes))).ok()?,
            None => return None,
        };
        let usage: &RawValue = serde_json::from_slice(&usage).ok()?;
        let Head { id, object, created, model } = serde_json::from_slice(&self.first).ok()?;
        let chunk = serde_json::to_vec(&UsageChunk { id, object, created, model, choices: [], usage }).ok()?;
        Some([b"data: ", chunk.as_slice(), b"\n\n"].concat())
    }

    /// The event as the client gets it, where the vendor's differs.
    fn reshaped(&mut self, event: Event<'_>) -> Option<Vec<u8>> {
        if !self.is_reshaped() {
            return None;
        }
        let (data, usage) = reshape::chunk(&event.data()?, self.reshaping == Reshaping::ByTool)?;
        if let Some(usage) = usage.filter(|usage| usage.len() <= TAKEN_MAX) {
            self.taken = usage;
        }
        Some([b"data: ", data.as_slice(), b"\n\n"].concat())
    }

    fn is_reshaped(&self) -> bool {
        self.reshaping != Reshaping::None
    }

    /// Whether the answer is complete, but the stream of a reshaped vendor was not ended as OpenAI ends it.
    fn owes_an_end(&self) -> bool {
        self.is_reshaped() && self.tally.is_complete && !self.is_done && self.tally.error.is_none()
    }

    /// Reads one event; whether the client gets it.
    fn read(&mut self, event: Event<'_>) -> bool {
        let raw = event.raw;
        if self.has_usage(raw)
            && let Some(chunk) = event.data().and_then(|data| serde_json::from_slice::<Chunk>(&data).ok())
            && let Some(usage) = self.counted(&chunk)
        {
            let service_tier = chunk.service_tier.and_then(|served| served.0).or(usage.service_tier);
            self.tally.usage = Some(Usage { service_tier, ..usage });
            self.tally.is_final = true;
            if chunk.choices.is_empty() {
                self.read_rare(event);
                // Told in a chunk of its own: it needs no other.
                self.taken.clear();
                return !self.hide_usage;
            }
        }
        match self.choices.find(raw) {
            Some(at) => self.count(raw.get(at..).unwrap_or_default()),
            None => self.read_rare(event),
        }
        if self.is_reshaped() && memmem::find(raw, b"\"error\"").is_some() {
            self.read_error(event);
        }
        true
    }

    /// What a chunk counts; Groq's own place is for the client's eyes only where there is no other.
    fn counted(&mut self, chunk: &Chunk) -> Option<Usage> {
        if let Some(usage) = &chunk.usage {
            return usage.usage();
        }
        let groqs = chunk.x_groq.as_ref()?.usage.as_ref()?;
        if self.is_reshaped() && groqs.get().len() <= TAKEN_MAX {
            self.taken = groqs.get().into();
        }
        serde_json::from_str::<Counted>(groqs.get()).ok()?.usage()
    }

    /// An error beside choices: OpenRouter's.
    fn read_error(&mut self, event: Event<'_>) {
        let Some(data) = event.data() else { return };
        let Ok(index) = Index::parse(&data) else { return };
        if index.get("error").is_some_and(|error| matches!(error.shape, Shape::Object | Shape::String)) {
            self.fail(&data);
        }
    }

    /// The first error counts, and none after the end.
    fn fail(&mut self, data: &[u8]) {
        if !self.is_done {
            self.tally.error.get_or_insert_with(|| super::error(500, data));
        }
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
            self.is_done = true;
        } else if is_error(&event, &data) {
            self.fail(&data);
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
                b"finish_reason" if len > 0 => self.tally.is_complete = true,
                _ => {}
            }
            name = b"";
        }
    }
}

/// The longest usage object that is kept to be told later: all details of all vendors fit.
const TAKEN_MAX: usize = 4096;

/// Whether a chunk has no choices: Azure's first one, which tells of the prompt's filters.
fn is_without_choices(data: &[u8]) -> bool {
    serde_json::from_slice::<Chunk>(data).is_ok_and(|chunk| chunk.choices.is_empty())
}

/// The length of a JSON string up to its closing quote.
pub(super) fn string_len(body: &[u8]) -> usize {
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
