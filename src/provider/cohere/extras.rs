//! What Cohere's answers have beside the text: citations, log probabilities, what is charged.
//!
//! Source: Cohere, "Citations" <https://docs.cohere.com/docs/rag-citations>, "Chat"
//! <https://docs.cohere.com/reference/chat>, not re-read for this.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use crate::json::{Literal, Text};
use crate::openai::chat::Raw;

/// `provider_specific_fields`: what OpenAI's shape has no place for.
#[derive(Debug, Default, Serialize)]
pub(super) struct Fields<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) citations: Raw<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) billed_units: Raw<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) finish_reason: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) logprobs: Raw<'a>,
}

impl Fields<'_> {
    /// The object; `None` where nothing is in it.
    pub(super) fn write(&self) -> Option<Box<RawValue>> {
        to_raw_value(self).ok().filter(|raw| raw.get() != "{}")
    }
}

#[derive(Deserialize)]
struct Citation<'a> {
    #[serde(default)]
    start: u64,
    #[serde(default)]
    end: u64,
    #[serde(borrow, default)]
    sources: Vec<Source<'a>>,
}

#[derive(Deserialize)]
struct Source<'a> {
    #[serde(borrow, default, rename = "type")]
    type_: Cow<'a, str>,
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    url: Option<Cow<'a, str>>,
    #[serde(borrow)]
    document: Raw<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Document<'a> {
    #[serde(borrow)]
    title: Raw<'a>,
}

#[derive(Serialize)]
struct Annotation<'a> {
    #[serde(rename = "type")]
    type_: &'static str,
    url_citation: UrlCitation<'a>,
}

#[derive(Serialize)]
struct UrlCitation<'a> {
    start_index: u64,
    end_index: u64,
    title: Text<'a>,
    url: Cow<'a, str>,
}

/// OpenAI's annotations for `citations`: one for each document cited. `None` where there is none.
pub(super) fn annotations<'a>(citations: Raw<'a>) -> Option<Box<RawValue>> {
    let citations: Vec<&'a RawValue> = serde_json::from_str(citations?.get()).ok()?;
    let citations = citations.into_iter().filter_map(|raw| serde_json::from_str::<Citation<'a>>(raw.get()).ok());
    let annotations: Vec<Annotation<'a>> = citations.flat_map(annotate).collect();
    if annotations.is_empty() { None } else { to_raw_value(&annotations).ok() }
}

fn annotate(citation: Citation<'_>) -> impl Iterator<Item = Annotation<'_>> {
    let Citation { start, end, sources } = citation;
    sources.into_iter().filter(|source| source.type_ == "document").filter_map(move |source| {
        let document: Document<'_> = serde_json::from_str(source.document?.get()).ok()?;
        let title = document.title.and_then(Literal::new).map_or(Text::Plain("".into()), Text::Literal);
        let unnamed = || Cow::Owned(format!("source:{}", source.id.as_deref().unwrap_or("unknown")));
        let url = source.url.clone().unwrap_or_else(unnamed);
        let url_citation = UrlCitation { start_index: start, end_index: end, title, url };
        Some(Annotation { type_: "url_citation", url_citation })
    })
}

#[derive(Deserialize)]
struct Probable<'a> {
    #[serde(borrow)]
    text: Literal<'a>,
    #[serde(borrow)]
    logprobs: [&'a RawValue; 1],
}

#[derive(Serialize)]
struct Token<'a> {
    token: Literal<'a>,
    logprob: &'a RawValue,
    bytes: Option<()>,
    top_logprobs: [(); 0],
}

/// `logprobs` of a choice, for one piece or a list of them; `None` where a piece is of several tokens.
pub(super) fn logprobs(raw: Raw<'_>) -> Option<Box<RawValue>> {
    #[derive(Serialize)]
    struct Logprobs<'a> {
        content: Vec<Token<'a>>,
    }
    let text = raw?.get();
    let pieces: Vec<Probable<'_>> = match text.starts_with('[') {
        true => serde_json::from_str(text).ok()?,
        false => vec![serde_json::from_str(text).ok()?],
    };
    let content = pieces.into_iter().map(Token::from).collect();
    to_raw_value(&Logprobs { content }).ok()
}

impl<'a> From<Probable<'a>> for Token<'a> {
    fn from(piece: Probable<'a>) -> Self {
        let [logprob] = piece.logprobs;
        Self { token: piece.text, logprob, bytes: None, top_logprobs: [] }
    }
}
