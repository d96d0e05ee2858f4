//! The events of `streamGenerateContent?alt=sse` as chunks of a chat completion.
//!
//! Every event is an answer like a whole one, with the parts that are new; a call comes whole. Google says no end: the
//! stream is complete when a candidate has said why it finished and the connection ends. So the finish reasons, and
//! what is to be said with them, are held until then; of what comes more than once the last counts.
//!
//! An error, or an end before a finish reason, becomes an `error` event after which nothing comes, not even `[DONE]`.
//!
//! Source: Google, "Generating content" <https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent>,
//! not re-read for this; LITELLM.md 3.2.
//!
//! # Limits
//!
//! Of events that make no sense nothing is passed on, nor of candidates beyond the 128th. What is held for the end, over
//! all candidates, is no more than [`MAX_EVENT_BYTES`]; what would go over it is left out.

use std::collections::BTreeMap;

use serde_json::value::{RawValue, to_raw_value};

use super::answer::{self, Extra, Ids, Piece};
use super::usage::Counts;
use super::wire::{Candidate, Response};
use super::{error, finish_reason, grounding};
use crate::error::{Error, Kind};
use crate::json::Text;
use crate::openai::Request;
use crate::openai::chat::{CallDelta, Called, Delta, Raw};
use crate::provider::chunks::{self, Chunks};
use crate::provider::{Estimate, Pass, Tally, Target};
use crate::sse::{Decoder, Event, MAX_EVENT_BYTES};

/// OpenAI's bound on `n`.
const MAX_CHOICES: usize = 128;

/// A stream on its way to OpenAI's shape.
#[derive(Debug)]
pub(super) struct Stream {
    decoder: Decoder,
    machine: Machine,
}

#[derive(Debug)]
struct Machine {
    chunks: Chunks,
    ids: Ids,
    choices: BTreeMap<usize, Choice>,
    held_bytes: usize,
    counts: Option<Counts>,
    is_grounded: bool,
    now_secs: u64,
}

/// What is known of a candidate until its end.
#[derive(Debug, Default)]
struct Choice {
    calls: u32,
    images: u32,
    /// Google's reason to finish.
    reason: Option<String>,
    /// Whether the prompt was refused.
    is_blocked: bool,
    /// What goes beside the finish reason.
    held: BTreeMap<&'static str, Box<RawValue>>,
}

impl Stream {
    /// The stream of an answer to `request`; `now_secs` is Unix time for the `created` field.
    pub(super) fn new(request: &Request, target: &Target, now_secs: u64) -> Self {
        let machine = Machine {
            chunks: Chunks::new(request, &target.model, now_secs),
            ids: Ids::default(),
            choices: BTreeMap::new(),
            held_bytes: 0,
            counts: None,
            is_grounded: false,
            now_secs,
        };
        Self { decoder: Decoder::default(), machine }
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
        if decoder.push(bytes, |event| machine.event(event, out)).is_err() {
            machine.chunks.fail(Error::new(Kind::BadUpstream, "the provider sent an event over the limit"), out);
        }
        Pass::Replaced
    }

    fn finish(&mut self, unfinished: Error, out: &mut Vec<u8>) {
        let Self { decoder, machine } = self;
        decoder.finish(|event| machine.event(event, out));
        machine.end(unfinished, out);
    }

    fn tally(&self) -> &Tally {
        &self.machine.chunks.tally
    }
}

impl Machine {
    fn event(&mut self, event: Event<'_>, out: &mut Vec<u8>) {
        if self.chunks.has_ended() {
            return;
        }
        let Some(data) = event.data() else { return };
        let Ok(response) = serde_json::from_slice::<Response<'_>>(&data) else { return };
        if let Some(raw) = response.error {
            let body = serde_json::from_str(raw.get()).unwrap_or_default();
            return self.chunks.fail(error::in_stream(&body), out);
        }
        if let Some(id) = response.response_id.as_deref() {
            self.ids.name(id);
            self.chunks.name(id, response.model_version.as_deref().unwrap_or_default());
        }
        for (at, candidate) in response.candidates.as_deref().unwrap_or_default().iter().enumerate() {
            self.candidate(candidate.index.unwrap_or(at), candidate, out);
        }
        if let (Some(reason), true) = (response.block_reason(), self.choices.is_empty()) {
            let blocked = Choice { reason: Some(reason.into_owned()), is_blocked: true, ..Choice::default() };
            self.choices.insert(0, blocked);
            self.hold(0, &[("prompt_feedback", response.prompt_feedback)]);
        }
        self.count(response.usage_metadata);
    }

    fn count(&mut self, counts: Option<Counts>) {
        self.counts = counts.or(self.counts);
        self.chunks.tally.usage = self.counts.map(|counts| counts.usage(self.is_grounded));
        self.chunks.tally.is_final |= counts.is_some() && self.choices.values().any(|choice| choice.reason.is_some());
    }

    fn candidate(&mut self, index: usize, candidate: &Candidate<'_>, out: &mut Vec<u8>) {
        if index >= MAX_CHOICES {
            return;
        }
        let mut others = Vec::new();
        let mut logprobs = grounding::logprobs(candidate.logprobs_result);
        let parts = candidate.content.as_ref().and_then(|content| content.parts.as_deref()).unwrap_or_default();
        for raw in parts {
            let (piece, signature) = answer::read(raw, &mut self.ids);
            let signatures = Extra { thought_signatures: signature.into_iter().collect(), ..Extra::default() };
            let fields = signatures.write();
            match piece {
                Piece::Other(raw) => others.push(raw),
                piece => self.piece(index, piece, fields.as_deref(), logprobs.take().as_deref(), out),
            }
        }
        if !others.is_empty() {
            let fields = Extra { other_parts: others, ..Extra::default() }.write();
            self.chunks.delta(index, Delta { provider_specific_fields: fields.as_deref(), ..Delta::default() }, out);
        }
        if let Some(logprobs) = logprobs {
            self.chunks.delta_with(index, chunks::content(Text::Plain("".into())), Some(&logprobs), out);
        }
        self.is_grounded |= grounding::is_grounded(candidate.grounding_metadata);
        if let Some(reason) = candidate.finish_reason.as_deref() {
            self.choices.entry(index).or_default().reason = Some(reason.to_owned());
        }
        self.hold(index, &answer::beside(candidate));
    }

    /// Keeps what is said at the end, as far as it fits.
    fn hold(&mut self, index: usize, members: &[(&'static str, Raw<'_>)]) {
        let held = &mut self.choices.entry(index).or_default().held;
        for (name, raw) in members.iter().filter_map(|(name, raw)| Some((*name, (*raw)?))) {
            let before = held.remove(name).map_or(0, |raw| raw.get().len());
            self.held_bytes = self.held_bytes.saturating_sub(before);
            let len = raw.get().len();
            if self.held_bytes.saturating_add(len) <= MAX_EVENT_BYTES {
                self.held_bytes = self.held_bytes.saturating_add(len);
                held.insert(name, raw.to_owned());
            }
        }
    }

    fn piece(&mut self, index: usize, piece: Piece<'_>, fields: Raw<'_>, logprobs: Raw<'_>, out: &mut Vec<u8>) {
        let mut bytes = 0;
        let choice = self.choices.entry(index).or_default();
        let delta = match piece {
            Piece::Text(_, 0) if fields.is_none() && logprobs.is_none() => return,
            Piece::Text(text, len) => {
                bytes = len;
                chunks::content(text)
            }
            Piece::Thought(text, signature) => {
                bytes = text.decoded_len();
                let thought = chunks::piece(Text::Literal(text), signature.map(Text::Plain));
                Delta { reasoning_content: Some(Text::Literal(text)), ..chunks::thought(thought) }
            }
            Piece::Call { id, name, arguments } => {
                bytes = arguments.len() as u64;
                let function = Called { name: Some(Text::Plain(name)), arguments: Text::Plain(arguments) };
                let id = Some(Text::Plain(id.into()));
                let call = CallDelta { index: choice.calls, id, type_: Some("function"), function };
                choice.calls = choice.calls.saturating_add(1);
                chunks::call(call)
            }
            Piece::Image(url) => {
                let image = answer::image(url, choice.images);
                choice.images = choice.images.saturating_add(1);
                Delta { images: Some([image]), ..Delta::default() }
            }
            Piece::Audio(data) => {
                Delta { audio: Some(answer::audio(self.ids.answer(), data, self.now_secs)), ..Delta::default() }
            }
            Piece::Other(_) => return,
        };
        self.chunks.tally.content_bytes = self.chunks.tally.content_bytes.saturating_add(bytes);
        let delta = Delta { provider_specific_fields: fields, ..delta };
        self.chunks.delta_with(index, delta, logprobs, out);
    }

    /// Ends the stream: what was held, then the end, or `unfinished` where no candidate finished.
    fn end(&mut self, unfinished: Error, out: &mut Vec<u8>) {
        if self.chunks.has_ended() {
            return;
        }
        let choices = std::mem::take(&mut self.choices);
        if choices.values().all(|choice| choice.reason.is_none()) {
            return self.chunks.fail(unfinished, out);
        }
        for (index, mut choice) in choices {
            let grounding = choice.held.get("grounding_metadata").map(|raw| &**raw);
            if let Some(annotations) = grounding::annotations(grounding) {
                self.chunks.delta(index, Delta { annotations: Some(&annotations), ..Delta::default() }, out);
            }
            let native = choice.reason.as_deref().and_then(|reason| to_raw_value(reason).ok());
            choice.held.extend(native.map(|raw| ("native_finish_reason", raw)));
            let fields = to_raw_value(&choice.held).ok().filter(|_| !choice.held.is_empty());
            let reason = match choice.is_blocked {
                true => "content_filter",
                false => finish_reason(choice.reason.as_deref(), choice.calls > 0),
            };
            self.chunks.finish_with(index, reason, fields.as_deref(), out);
        }
        self.chunks.done(out);
    }
}
