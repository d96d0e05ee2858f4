//! The events of a response on their way to the client: every byte goes on, the usage is read at the end.
//!
//! The `delta` of an event is counted where it stands; only the last event of a response and an `error` are decoded.
//! There is no `[DONE]`: `response.completed`, `response.incomplete` or `response.failed` is the end. A stream that ends
//! before gets an `error` event of ours, numbered as the next one.

use std::borrow::Cow;

use memchr::memmem;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::error::Error;
use crate::json::Literal;
use crate::openai::usage::{ResponseWire, Served, Usage};
use crate::provider::openai::error;
use crate::provider::openai::stream::string_len;
use crate::provider::{Estimate, Pass, Tally};
use crate::sse::{Decoder, Event};

/// See the module.
#[derive(Debug)]
pub(in crate::provider::openai) struct Stream {
    decoder: Decoder,
    reader: Reader,
    /// An event was too long: all bytes go on unread.
    blind: bool,
}

#[derive(Debug)]
struct Reader {
    delta: memmem::Finder<'static>,
    /// How many events have come: they are numbered from 0.
    events: u64,
    tally: Tally,
}

/// What an event begins with: `{"type":"response.output_text.delta",…}`.
#[derive(Deserialize)]
struct Typed<'a> {
    #[serde(borrow, rename = "type")]
    type_: Cow<'a, str>,
    #[serde(borrow, default)]
    response: Option<&'a RawValue>,
    #[serde(borrow, default)]
    code: Option<&'a RawValue>,
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Response<'a> {
    usage: Option<ResponseWire>,
    service_tier: Option<Served>,
    #[serde(borrow)]
    error: Option<Failure<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Failure<'a> {
    #[serde(borrow)]
    code: Option<Cow<'a, str>>,
    #[serde(borrow)]
    message: Option<Cow<'a, str>>,
}

impl Stream {
    pub(in crate::provider::openai) fn new() -> Self {
        let reader = Reader { delta: memmem::Finder::new("\"delta\":"), events: 0, tally: Tally::default() };
        Self { decoder: Decoder::default(), reader, blind: false }
    }
}

impl crate::provider::Stream for Stream {
    /// A response tells its usage in its last event or not at all.
    fn estimate(&mut self, _estimate: Estimate) {}

    fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Pass {
        if self.blind {
            return Pass::Unchanged;
        }
        let was_whole = self.decoder.is_at_boundary();
        let (reader, mut end) = (&mut self.reader, 0);
        let mut keep = |event: Event<'_>| match was_whole {
            true => end += event.raw.len(),
            false => out.extend_from_slice(event.raw),
        };
        let pushed = self.decoder.push(bytes, |event| {
            reader.read(event);
            keep(event);
        });
        if pushed.is_err() {
            self.blind = true;
            self.decoder.finish(keep);
        }
        if was_whole && end == bytes.len() {
            return Pass::Unchanged;
        }
        if was_whole {
            out.extend_from_slice(bytes.get(..end).unwrap_or_default());
        }
        Pass::Replaced
    }

    fn finish(&mut self, unfinished: Error, out: &mut Vec<u8>) {
        let reader = &mut self.reader;
        self.decoder.finish(|event| {
            // The last event may lack its blank line; half an event is no event.
            if event.data().is_some_and(|data| serde_json::from_slice::<Typed<'_>>(&data).is_ok()) {
                reader.read(event);
                out.extend_from_slice(event.raw);
                out.extend_from_slice(b"\n\n");
            }
        });
        if !self.blind && !reader.tally.is_complete && reader.tally.error.is_none() {
            error_event(&unfinished, reader.events, out);
            reader.tally.error = Some(unfinished);
        }
    }

    fn tally(&self) -> &Tally {
        &self.reader.tally
    }
}

impl Reader {
    fn read(&mut self, event: Event<'_>) {
        let Some(data) = event.data() else { return };
        self.events += 1;
        if event.name().map_or_else(|| may_end(&data), |name| ends(name) || name == b"error") {
            self.end(&data);
        } else if let Some(at) = self.delta.find(&data) {
            self.count(data.get(at + 8..).unwrap_or_default());
        }
    }

    /// Adds up the text of a delta, a string.
    fn count(&mut self, value: &[u8]) {
        if let Some(text) = value.trim_ascii_start().strip_prefix(b"\"") {
            let len = string_len(text) as u64;
            self.tally.content_bytes = self.tally.content_bytes.saturating_add(len);
        }
    }

    fn end(&mut self, data: &[u8]) {
        let Ok(event) = serde_json::from_slice::<Typed<'_>>(data) else { return };
        if event.type_ == "error" {
            self.tally.error = Some(told(&event, data));
            return;
        }
        if !ends(event.type_.as_bytes()) {
            return;
        }
        let response: Option<Response<'_>> = event.response.and_then(|raw| serde_json::from_str(raw.get()).ok());
        let Response { usage, service_tier, error } = response.unwrap_or_default();
        if let Some(usage) = usage {
            let service_tier = service_tier.and_then(|served| served.0);
            self.tally.usage = Some(Usage { service_tier, ..Usage::from(&usage) });
            self.tally.is_final = true;
        }
        if event.type_ != "response.failed" {
            self.tally.is_complete = true;
            return;
        }
        let Failure { code, message } = error.unwrap_or_default();
        self.tally.error.get_or_insert_with(|| failure(code.as_deref(), message.as_deref()));
    }
}

/// Whether an event without a name may be one of the last: whether its beginning says so.
fn may_end(data: &[u8]) -> bool {
    let head = data.get(..HEAD_BYTES.min(data.len())).unwrap_or_default();
    [&b"\"error\""[..], b"response.completed", b"response.incomplete", b"response.failed"]
        .iter()
        .any(|name| memmem::find(head, name).is_some())
}

/// The type of an event is its first member.
const HEAD_BYTES: usize = 64;

fn ends(name: &[u8]) -> bool {
    matches!(name, b"response.completed" | b"response.incomplete" | b"response.failed")
}

/// The error that an `error` event tells: in the event itself or, with some servers, in its `error`.
fn told(event: &Typed<'_>, data: &[u8]) -> Error {
    if event.error.is_some_and(|inner| inner.get().starts_with('{')) {
        return error(500, data);
    }
    let text = |raw: Option<&RawValue>| Some(Literal::new(raw?)?.decode()?.into_owned());
    failure(text(event.code).as_deref(), text(event.message).as_deref())
}

/// An error by its code and message.
fn failure(code: Option<&str>, message: Option<&str>) -> Error {
    let message = message.unwrap_or("the provider failed");
    let body = serde_json::json!({"error": {"message": message, "code": code}});
    error(500, body.to_string().as_bytes())
}

/// Writes an `error` event.
fn error_event(error: &Error, sequence_number: u64, out: &mut Vec<u8>) {
    #[derive(Serialize)]
    struct Wire<'a> {
        #[serde(rename = "type")]
        type_: &'static str,
        code: Option<&'a str>,
        message: &'a str,
        param: Option<&'a str>,
        sequence_number: u64,
    }
    let Error { message, param, .. } = error;
    let wire = Wire { type_: "error", code: error.code(), message, param: param.as_deref(), sequence_number };
    out.extend_from_slice(b"event: error\ndata: ");
    // Writing to memory cannot fail.
    let _written = serde_json::to_writer(&mut *out, &wire);
    out.extend_from_slice(b"\n\n");
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
