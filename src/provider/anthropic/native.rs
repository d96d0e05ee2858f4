//! Anthropic's own endpoints, asked in Anthropic's own shape: `/v1/messages` and `/v1/messages/count_tokens`.
//!
//! The body is the client's with another model name in it, the answer goes through byte for byte; both are only read for
//! what must be counted. A stream goes on in the pieces in which it came, but for an event that a piece cuts: its
//! beginning waits for its end, so that an error event never follows half an event.
//!
//! Source: Anthropic, "Create a message" <https://platform.claude.com/docs/en/api/messages/create>, "Count tokens in a
//! message" <https://platform.claude.com/docs/en/api/messages/count_tokens>, not re-read for this; "Streaming messages"
//! <https://platform.claude.com/docs/en/build-with-claude/streaming>, read 2026-11-23.

use memchr::memchr;
use serde_json::value::RawValue;

use super::headers::{headers, path};
use super::stream::event::{Event as Wire, Start};
use super::usage::Wire as WireUsage;
use super::{betas, error};
use crate::error::{Error, Kind, Shape};
use crate::json::Index;
use crate::openai::{Endpoint, Request, Usage};
use crate::provider::given::Given;
use crate::provider::{Answer, Body, Estimate, Pass, Tally, Target, Upstream};
use crate::secret::Secret;
use crate::sse::{Decoder, Event};

/// The endpoints of this file.
pub(super) fn serves(endpoint: Endpoint) -> bool {
    matches!(endpoint, Endpoint::Messages | Endpoint::CountTokens)
}

/// The path, headers and body of `request` at `target`.
///
/// # Errors
///
/// `Internal`, where the index of the request does not fit its body.
pub(super) fn request(request: &Request, target: &Target, key: Option<&Secret>) -> Result<Upstream, Error> {
    let splice = request.renamed(&target.model);
    let splice = splice.ok_or_else(|| Error::new(Kind::Internal, "the request cannot be spliced"))?;
    let headers = headers(request, target, key, &betas::of_message(&Given::of(request)));
    Ok(Upstream { path: path(target, request.endpoint.path()), headers, body: Body::Splice(splice) })
}

/// Reads the usage of a whole answer, or what an estimate of it needs. Counting tokens costs none.
///
/// # Errors
///
/// `BadUpstream`: the body is no JSON object.
pub(super) fn response(request: &Request, body: &[u8]) -> Result<Answer, Error> {
    let index = Index::parse(body)
        .map_err(|fault| Error::new(Kind::BadUpstream, format!("the provider's answer is not valid JSON: {fault}")))?;
    if request.endpoint == Endpoint::CountTokens {
        return Ok(Answer { body: None, usage: Some(Usage::default()), content_bytes: 0 });
    }
    let usage = index.read::<&RawValue>(body, "usage").ok().flatten();
    let usage = WireUsage::read(usage).map(|wire| wire.usage());
    let content = index.get("content").and_then(|member| body.get(member.value.clone())).unwrap_or_default();
    let content_bytes = if usage.is_some() { 0 } else { text_bytes(content) };
    Ok(Answer { body: None, usage, content_bytes })
}

/// A stream on its way to a client that speaks the same language.
#[derive(Debug, Default)]
pub(super) struct Stream {
    decoder: Decoder,
    usage: WireUsage,
    tally: Tally,
    /// An event was too long: all bytes go on unread.
    is_blind: bool,
}

impl crate::provider::Stream for Stream {
    /// Anthropic always says its usage.
    fn estimate(&mut self, _estimate: Estimate) {}

    fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Pass {
        if self.is_blind {
            return Pass::Unchanged;
        }
        let mut decoder = std::mem::take(&mut self.decoder);
        let (is_whole, mut read) = (decoder.is_at_boundary(), 0);
        let pushed = decoder.push(bytes, |event| {
            self.read(event);
            read += event.raw.len();
            if !is_whole {
                out.extend_from_slice(event.raw);
            }
        });
        if is_whole && read == bytes.len() {
            self.decoder = decoder;
            return Pass::Unchanged;
        }
        if is_whole {
            out.extend_from_slice(bytes.get(..read).unwrap_or_default());
        }
        if pushed.is_err() {
            self.is_blind = true;
            decoder.finish(|event| out.extend_from_slice(event.raw));
        }
        self.decoder = decoder;
        Pass::Replaced
    }

    fn finish(&mut self, unfinished: Error, out: &mut Vec<u8>) {
        let mut decoder = std::mem::take(&mut self.decoder);
        decoder.finish(|event| {
            // The last event may lack its blank line; half an event is no event.
            if event.data().is_some_and(|data| Index::parse(&data).is_ok()) {
                self.read(event);
                out.extend_from_slice(event.raw);
                out.extend_from_slice(b"\n\n");
            }
        });
        if !self.is_blind && !self.tally.is_complete && self.tally.error.is_none() {
            for part in [b"event: error\ndata: ", unfinished.body_as(Shape::Anthropic).as_slice(), b"\n\n"] {
                out.extend_from_slice(part);
            }
            self.tally.error = Some(unfinished);
        }
    }

    fn tally(&self) -> &Tally {
        &self.tally
    }
}

impl Stream {
    /// Reads one event; those with text are only looked at for its length.
    fn read(&mut self, event: Event<'_>) {
        let Some(data) = event.data() else { return };
        match event.name() {
            Some(b"content_block_delta") => {
                self.tally.content_bytes = self.tally.content_bytes.saturating_add(text_bytes(&data));
            }
            Some(b"ping" | b"content_block_start" | b"content_block_stop") => (),
            _ => self.read_rare(&data),
        }
    }

    fn read_rare(&mut self, data: &[u8]) {
        let Ok(event) = serde_json::from_slice::<Wire<'_>>(data) else { return };
        match &*event.type_ {
            "message_start" => {
                let start = event.message.and_then(|raw| serde_json::from_str::<Start<'_>>(raw.get()).ok());
                self.count(start.and_then(|start| start.usage));
            }
            "message_delta" => self.tally.is_final |= self.count(event.usage),
            "message_stop" => self.tally.is_complete = true,
            "error" => {
                let body = event.error.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
                self.tally.error = Some(error::in_stream(&body));
            }
            // An event whose name was not said.
            "content_block_delta" => {
                self.tally.content_bytes = self.tally.content_bytes.saturating_add(text_bytes(data));
            }
            _ => (),
        }
    }

    fn count(&mut self, usage: Option<&RawValue>) -> bool {
        let Some(usage) = WireUsage::read(usage) else { return false };
        self.usage.update(usage);
        self.tally.usage = Some(self.usage.usage());
        true
    }
}

/// Adds up the generated text in some JSON: the string values of the names that hold any.
fn text_bytes(json: &[u8]) -> u64 {
    let (mut rest, mut name, mut sum): (&[u8], &[u8], u64) = (json, b"", 0);
    while let Some(start) = memchr(b'"', rest) {
        let body = rest.get(start + 1..).unwrap_or_default();
        let len = string_len(body);
        let text = body.get(..len).unwrap_or_default();
        rest = body.get(len + 1..).unwrap_or_default();
        if rest.trim_ascii_start().starts_with(b":") {
            name = text;
            continue;
        }
        if matches!(name, b"text" | b"thinking" | b"partial_json") {
            sum = sum.saturating_add(len as u64);
        }
        name = b"";
    }
    sum
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
