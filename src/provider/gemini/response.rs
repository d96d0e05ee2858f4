//! A whole answer of `generateContent` as a chat completion.
//!
//! Source: see [`super::wire`]; LITELLM.md 3.2.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::answer::{self, Extra, Ids, Piece};
use super::wire::{Candidate, Response};
use super::{finish_reason, grounding};
use crate::error::{Error, Kind};
use crate::json::Text;
use crate::openai::chat::{Call, Called, Choice, Completion, Raw, Reply};
use crate::provider::chunks::{self, ID_PREFIX};
use crate::provider::{Answer, Target};

/// A completion with LiteLLM's members of Google's beside it: of each candidate that has them, in order.
#[derive(Serialize)]
struct Written<'a> {
    #[serde(flatten)]
    completion: Completion<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    vertex_ai_grounding_metadata: Vec<&'a RawValue>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    vertex_ai_url_context_metadata: Vec<&'a RawValue>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    vertex_ai_safety_results: Vec<&'a RawValue>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    vertex_ai_citation_metadata: Vec<&'a RawValue>,
}

/// Reads a whole answer; `now_secs` is Unix time.
///
/// # Errors
///
/// `BadUpstream`: it is none.
pub(super) fn response(target: &Target, body: &[u8], now_secs: u64) -> Result<Answer, Error> {
    let bad = || Error::new(Kind::BadUpstream, "the provider's answer is not a generated content");
    let response: Response<'_> = serde_json::from_slice(body).map_err(|_| bad())?;
    let candidates = response.candidates.as_deref().unwrap_or_default();
    if candidates.is_empty() && response.prompt_feedback.is_none() && response.usage_metadata.is_none() {
        return Err(bad());
    }
    let mut reader = Reader { ids: Ids::default(), bytes: 0, now_secs };
    let id = response.response_id.as_deref().unwrap_or_default();
    reader.ids.name(id);
    let blocks: Vec<Vec<Box<RawValue>>> = candidates.iter().map(thinking_blocks).collect();
    let each = candidates.iter().zip(&blocks).enumerate();
    let mut choices: Vec<Choice<'_>> =
        each.map(|(i, (candidate, blocks))| reader.choice(i, candidate, blocks)).collect();
    let block_reason = response.block_reason();
    if choices.is_empty() {
        choices.push(blocked(block_reason.as_deref(), response.prompt_feedback));
    }
    let is_grounded = candidates.iter().any(|candidate| grounding::is_grounded(candidate.grounding_metadata));
    let usage = response.usage_metadata.map(|counts| counts.usage(is_grounded));
    let completion = Completion {
        id: &format!("{ID_PREFIX}{id}"),
        object: "chat.completion",
        created: now_secs,
        model: response.model_version.as_deref().unwrap_or(&target.model),
        choices,
        usage: usage.as_ref().map(Into::into),
    };
    let written = Written {
        completion,
        vertex_ai_grounding_metadata: candidates.iter().filter_map(|candidate| candidate.grounding_metadata).collect(),
        vertex_ai_url_context_metadata: candidates.iter().filter_map(|c| c.url_context_metadata).collect(),
        vertex_ai_safety_results: candidates.iter().filter_map(|candidate| candidate.safety_ratings).collect(),
        vertex_ai_citation_metadata: candidates.iter().filter_map(|candidate| candidate.citation_metadata).collect(),
    };
    let body = serde_json::to_vec(&written).map_err(|_| bad())?;
    Ok(Answer { body: Some(body), usage, content_bytes: reader.bytes })
}

/// The choice of a prompt that was refused, or that nothing came of.
fn blocked<'a>(block_reason: Option<&str>, prompt_feedback: Raw<'a>) -> Choice<'a> {
    let extra = Extra { native_finish_reason: block_reason, prompt_feedback, ..Extra::default() };
    let message = Reply { role: "assistant", provider_specific_fields: extra.write(), ..Reply::default() };
    let finish_reason = if prompt_feedback.is_some() { "content_filter" } else { "stop" };
    Choice { index: 0, message, logprobs: None, finish_reason }
}

struct Reader {
    ids: Ids,
    bytes: u64,
    now_secs: u64,
}

impl Reader {
    fn choice<'a>(&mut self, at: usize, candidate: &'a Candidate<'a>, blocks: &'a [Box<RawValue>]) -> Choice<'a> {
        let mut extra = Extra::of(candidate);
        let mut parts = Parts::default();
        let raw = candidate.content.as_ref().and_then(|content| content.parts.as_deref()).unwrap_or_default();
        for raw in raw {
            let (piece, signature) = answer::read(raw, &mut self.ids);
            extra.thought_signatures.extend(signature);
            match piece {
                Piece::Other(raw) => extra.other_parts.push(raw),
                piece => self.bytes = self.bytes.saturating_add(parts.take(piece, self.ids.answer(), self.now_secs)),
            }
        }
        let finish_reason = finish_reason(candidate.finish_reason.as_deref(), !parts.calls.is_empty());
        let index = u32::try_from(candidate.index.unwrap_or(at)).unwrap_or(u32::MAX);
        let annotations = grounding::annotations(candidate.grounding_metadata).map(Cow::Owned);
        let thinking_blocks = blocks.iter().map(|block| &**block).collect();
        let message = Reply { annotations, thinking_blocks, provider_specific_fields: extra.write(), ..parts.reply() };
        Choice { index, message, logprobs: grounding::logprobs(candidate.logprobs_result), finish_reason }
    }
}

/// What the parts of a candidate come to.
#[derive(Default)]
struct Parts<'a> {
    text: Vec<Text<'a>>,
    thoughts: Vec<Text<'a>>,
    reply: Reply<'a>,
    calls: Vec<Call<'a>>,
}

impl<'a> Parts<'a> {
    /// Adds a piece; gives the bytes of generated text in it.
    fn take(&mut self, piece: Piece<'a>, id: &str, now_secs: u64) -> u64 {
        match piece {
            Piece::Text(text, bytes) => {
                self.text.push(text);
                return bytes;
            }
            Piece::Thought(text, _) => {
                self.thoughts.push(Text::Literal(text));
                return text.decoded_len();
            }
            Piece::Call { id, name, arguments } => {
                let bytes = arguments.len() as u64;
                let function = Called { name: Some(Text::Plain(name)), arguments: Text::Plain(arguments) };
                self.calls.push(Call { id: Text::Plain(id.into()), type_: "function", function });
                return bytes;
            }
            Piece::Image(url) => {
                let index = u32::try_from(self.reply.images.len()).unwrap_or(u32::MAX);
                self.reply.images.push(answer::image(url, index));
            }
            Piece::Audio(data) => self.reply.audio = Some(answer::audio(id, data, now_secs)),
            Piece::Other(_) => (),
        }
        0
    }

    fn reply(self) -> Reply<'a> {
        let says_otherwise = !self.calls.is_empty() || self.reply.audio.is_some();
        let content = if self.text.is_empty() && says_otherwise { None } else { Some(joined(self.text)) };
        let reasoning_content = (!self.thoughts.is_empty()).then(|| joined(self.thoughts));
        Reply { role: "assistant", content, reasoning_content, tool_calls: self.calls, ..self.reply }
    }
}

/// The thoughts of a candidate as LiteLLM's blocks: `{"type":"thinking","thinking":…,"signature":…}`.
fn thinking_blocks(candidate: &Candidate<'_>) -> Vec<Box<RawValue>> {
    let parts = candidate.content.as_ref().and_then(|content| content.parts.as_deref()).unwrap_or_default();
    let block = |raw: &&RawValue| match answer::read(raw, &mut Ids::default()).0 {
        Piece::Thought(text, signature) => {
            let signature = signature.map(Text::Plain);
            to_raw_value(&chunks::piece(Text::Literal(text), signature)).ok()
        }
        _ => None,
    };
    parts.iter().filter_map(block).collect()
}

/// One text out of many; a single one stays as it is written.
fn joined(mut texts: Vec<Text<'_>>) -> Text<'_> {
    if let [_] = texts.as_slice()
        && let Some(one) = texts.pop()
    {
        return one;
    }
    let decoded = texts.into_iter().filter_map(|text| match text {
        Text::Literal(literal) => literal.decode(),
        Text::Plain(text) => Some(text),
    });
    Text::Plain(Cow::Owned(decoded.collect()))
}
