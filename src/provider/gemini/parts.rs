//! The parts of a turn: text, media, calls and what came of them.
//!
//! Source: Google, "Content" and "Part" <https://ai.google.dev/api/caching#Part>, "Thought signatures"
//! <https://ai.google.dev/gemini-api/docs/thought-signatures>, not re-read for this.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use super::media::{Media, Viewer};
use crate::json::{Literal, Text};
use crate::openai::chat::{self, Fault, Part as OpenAiPart, Raw};

/// A part of a turn.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Part<'a> {
    Text(TextPart<'a>),
    Media(Media<'a>),
    Call(CallPart<'a>),
    Response(ResponsePart<'a>),
}

#[derive(Debug, Serialize)]
pub(super) struct TextPart<'a> {
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) thought: bool,
    pub(super) text: Text<'a>,
    #[serde(rename = "thoughtSignature", skip_serializing_if = "Option::is_none")]
    pub(super) signature: Option<Cow<'a, str>>,
}

#[derive(Debug, Serialize)]
pub(super) struct CallPart<'a> {
    pub(super) function_call: FunctionCall<'a>,
    #[serde(rename = "thoughtSignature", skip_serializing_if = "Option::is_none")]
    pub(super) signature: Option<Cow<'a, str>>,
}

#[derive(Debug, Serialize)]
pub(super) struct FunctionCall<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) args: Box<RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<Cow<'a, str>>,
}

#[derive(Debug, Serialize)]
pub(super) struct ResponsePart<'a> {
    pub(super) function_response: FunctionResponse<'a>,
}

#[derive(Debug, Serialize)]
pub(super) struct FunctionResponse<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) response: Outcome<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) parts: Vec<Media<'a>>,
}

/// What a tool answered: an object, or else a text in one.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Outcome<'a> {
    Object(Box<RawValue>),
    Text { content: Cow<'a, str> },
}

impl<'a> Part<'a> {
    /// Text as the client wrote it.
    pub(super) fn text(text: Literal<'a>) -> Self {
        Self::Text(TextPart { thought: false, text: Text::Literal(text), signature: None })
    }

    /// Text that no client wrote.
    pub(super) fn plain(text: impl Into<Cow<'a, str>>) -> Self {
        Self::Text(TextPart { thought: false, text: Text::Plain(text.into()), signature: None })
    }
}

/// What becomes of an empty text in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blanks {
    Kept,
    LeftOut,
}

/// The parts of a message's content.
pub(super) fn content<'a>(raw: Raw<'a>, viewer: Viewer<'_>, blanks: Blanks) -> Result<Vec<Part<'a>>, Fault> {
    let Some(raw) = raw else { return Ok(Vec::new()) };
    if let Some(text) = Literal::new(raw) {
        return Ok(vec![Part::text(text)]);
    }
    if !raw.get().starts_with('[') {
        return Err(Fault::wrong_type("a string or an array"));
    }
    let all: Vec<OpenAiPart<'a>> = chat::objects(raw.get())?;
    let mut parts = Vec::with_capacity(all.len());
    for (i, each) in all.iter().enumerate() {
        parts.extend(part(each, viewer, blanks).map_err(|fault| fault.in_element("", i))?);
    }
    Ok(parts)
}

fn part<'a>(part: &OpenAiPart<'a>, viewer: Viewer<'_>, blanks: Blanks) -> Result<Option<Part<'a>>, Fault> {
    let type_ = chat::required(part.type_, "type")?;
    let media = match &*type_ {
        "text" => return text(part.text, "text", blanks),
        "refusal" => return text(part.refusal, "refusal", blanks),
        "image_url" => viewer.image(part.image_url)?,
        "file" => viewer.file(part.file).map_err(|fault| fault.at("file"))?,
        "input_audio" => viewer.audio(part.input_audio).map_err(|fault| fault.at("input_audio"))?,
        _ => return Err(Fault::wrong_value("one of text, image_url, file, input_audio, refusal").at("type")),
    };
    Ok(Some(Part::Media(media)))
}

fn text<'a>(raw: Raw<'a>, name: &'static str, blanks: Blanks) -> Result<Option<Part<'a>>, Fault> {
    let text = raw.ok_or(Fault::missing("a string")).and_then(chat::literal).map_err(|fault| fault.at(name))?;
    Ok((blanks == Blanks::Kept || !text.inner().is_empty()).then(|| Part::text(text)))
}

/// The texts of `parts` as one, and all else.
pub(super) fn apart(parts: Vec<Part<'_>>) -> (Cow<'_, str>, Vec<Media<'_>>) {
    let (mut texts, mut media) = (Vec::new(), Vec::new());
    for part in parts {
        match part {
            Part::Text(TextPart { text: Text::Literal(literal), .. }) => texts.extend(literal.decode()),
            Part::Text(TextPart { text: Text::Plain(text), .. }) => texts.push(text),
            Part::Media(each) => media.push(each),
            Part::Call(_) | Part::Response(_) => (),
        }
    }
    let text = match texts.len() {
        0 | 1 => texts.pop().unwrap_or_default(),
        _ => Cow::Owned(texts.concat()),
    };
    (text, media)
}
