//! What a whole answer and a stream have in common: the parts of a candidate, the ids of calls, and what OpenAI's shape
//! has no place for.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::calls::SEPARATOR;
use super::wire::{Blob, Candidate, FunctionCall, Part};
use crate::json::{Literal, Text};
use crate::openai::chat::{Audio, Image, MadeImage, Raw};

/// How long a link to a sound is said to last, in seconds: LiteLLM's number, since OpenAI's clients want one.
const AUDIO_LASTS_SECS: u64 = 86_400;
/// How much of an answer's id goes into those of its calls.
const MAX_ID_BYTES: usize = 24;

/// A part of an answer, read.
#[derive(Debug)]
pub(super) enum Piece<'a> {
    Text(Text<'a>, u64),
    Thought(Literal<'a>, Option<Cow<'a, str>>),
    Call {
        id: String,
        name: Cow<'a, str>,
        arguments: Cow<'a, str>,
    },
    Image(String),
    Audio(Cow<'a, str>),
    /// One that OpenAI's shape has no place for.
    Other(&'a RawValue),
}

/// Makes the ids of calls that come without one; the same answer gets the same ids again.
#[derive(Debug, Default)]
pub(super) struct Ids {
    answer: String,
    count: u32,
}

impl Ids {
    /// Takes the answer's own id, once.
    pub(super) fn name(&mut self, id: &str) {
        if self.answer.is_empty() {
            let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            self.answer = id.bytes().filter(is_plain).take(MAX_ID_BYTES).map(char::from).collect();
        }
    }

    /// The answer's own id, as far as it goes into others.
    pub(super) fn answer(&self) -> &str {
        &self.answer
    }

    fn next(&mut self, call: &FunctionCall<'_>, signature: Option<&str>) -> String {
        let mut id = match call.id.as_deref().filter(|id| !id.is_empty()) {
            Some(id) => id.to_owned(),
            None => format!("call_{}_{}", self.answer, self.count),
        };
        self.count = self.count.saturating_add(1);
        if let Some(signature) = signature {
            id.push_str(SEPARATOR);
            id.push_str(signature);
        }
        id
    }
}

/// Reads a part, and the signature that it carries.
pub(super) fn read<'a>(raw: &'a RawValue, ids: &mut Ids) -> (Piece<'a>, Option<Cow<'a, str>>) {
    let Ok(part) = serde_json::from_str::<Part<'a>>(raw.get()) else { return (Piece::Other(raw), None) };
    let signature = part.thought_signature.filter(|signature| !signature.is_empty());
    if let Some(call) = part.function_call {
        let id = ids.next(&call, signature.as_deref());
        let arguments = call.args.map(RawValue::get).filter(|args| *args != "null").map_or("{}".into(), compact);
        return (Piece::Call { id, name: call.name.unwrap_or_default(), arguments }, signature);
    }
    if let Some(text) = part.text.and_then(Literal::new) {
        return match part.thought {
            Some(true) => (Piece::Thought(text, signature.clone()), signature),
            Some(false) | None => (Piece::Text(Text::Literal(text), text.decoded_len()), signature),
        };
    }
    (part.inline_data.map_or(Piece::Other(raw), media), signature)
}

/// JSON without the lines that Google breaks a whole answer into: a model reads its calls again.
fn compact(json: &str) -> Cow<'_, str> {
    if !json.contains('\n') {
        return Cow::Borrowed(json);
    }
    let (mut is_inside, mut is_escaped) = (false, false);
    let keep = |char: &char| {
        let is_quote = *char == '"' && !is_escaped;
        is_escaped = is_inside && *char == '\\' && !is_escaped;
        is_inside ^= is_quote;
        is_inside || !char.is_ascii_whitespace()
    };
    Cow::Owned(json.chars().filter(keep).collect())
}

/// Images and sound have a place of their own; what else there is becomes text.
fn media(blob: Blob<'_>) -> Piece<'_> {
    if blob.mime_type.starts_with("audio/") {
        return Piece::Audio(blob.data);
    }
    let url = format!("data:{};base64,{}", blob.mime_type, blob.data);
    match blob.mime_type.starts_with("image/") {
        true => Piece::Image(url),
        false => {
            let bytes = url.len() as u64;
            Piece::Text(Text::Plain(url.into()), bytes)
        }
    }
}

/// An image of an answer.
pub(super) fn image<'a>(url: String, index: u32) -> Image<'a> {
    Image { type_: "image_url", image_url: MadeImage { url: url.into() }, index }
}

/// The sound of an answer.
pub(super) fn audio<'a>(id: &str, data: Cow<'a, str>, now_secs: u64) -> Audio<'a> {
    let expires_at = now_secs.saturating_add(AUDIO_LASTS_SECS);
    Audio { id: format!("audio_{id}").into(), data, expires_at, transcript: "" }
}

/// `provider_specific_fields`: what an answer has beside OpenAI's members.
#[derive(Debug, Default, Serialize)]
pub(super) struct Extra<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) native_finish_reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) thought_signatures: Vec<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) prompt_feedback: Raw<'a>,
    #[serde(flatten)]
    pub(super) beside: BTreeMap<&'static str, &'a RawValue>,
    /// Parts of unknown kinds, such as code that Google ran.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) other_parts: Vec<&'a RawValue>,
}

impl<'a> Extra<'a> {
    pub(super) fn of(candidate: &'a Candidate<'a>) -> Self {
        Self {
            native_finish_reason: candidate.finish_reason.as_deref(),
            beside: beside(candidate).into_iter().filter_map(|(name, raw)| Some((name, raw?))).collect(),
            ..Self::default()
        }
    }

    /// The object; `None` where there is nothing.
    pub(super) fn write(&self) -> Option<Box<RawValue>> {
        to_raw_value(self).ok().filter(|raw| raw.get() != "{}")
    }
}

/// What Google says beside the answer, by the names under which clients get it.
pub(super) fn beside<'a>(candidate: &Candidate<'a>) -> [(&'static str, Raw<'a>); 6] {
    [
        ("avg_logprobs", candidate.avg_logprobs),
        ("citation_metadata", candidate.citation_metadata),
        ("finish_message", candidate.finish_message),
        ("grounding_metadata", candidate.grounding_metadata),
        ("safety_ratings", candidate.safety_ratings),
        ("url_context_metadata", candidate.url_context_metadata),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn white_space_inside_strings_stays() {
        let json = "{\n  \"a \\\" b\": [ 1,\n 2 ],\n \"c\\\\\": \" \\n \"\n}";
        assert_eq!(compact(json), r#"{"a \" b":[1,2],"c\\":" \n "}"#);
        assert_eq!(compact(r#"{"a": 1}"#), r#"{"a": 1}"#);
    }
}
