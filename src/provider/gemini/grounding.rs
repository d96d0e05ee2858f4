//! What an answer rests on, as OpenAI's annotations; and the probabilities of its tokens.
//!
//! Source: Google, "GroundingMetadata" and "LogprobsResult" <https://ai.google.dev/api/generate-content>, not re-read
//! for this; OpenAI, "The chat completion object" <https://platform.openai.com/docs/api-reference/chat/object>, not
//! re-read for this.

use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use crate::openai::chat::Raw;

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Grounding<'a> {
    #[serde(borrow)]
    web_search_queries: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    grounding_chunks: Option<Vec<Chunk<'a>>>,
    #[serde(borrow)]
    grounding_supports: Option<Vec<Support<'a>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Chunk<'a> {
    #[serde(borrow)]
    web: Option<Web<'a>>,
    #[serde(borrow)]
    maps: Raw<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Web<'a> {
    #[serde(borrow)]
    uri: Raw<'a>,
    #[serde(borrow)]
    title: Raw<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Support<'a> {
    segment: Option<Segment>,
    #[serde(borrow)]
    grounding_chunk_indices: Option<Vec<&'a RawValue>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Segment {
    /// Zero is not written.
    start_index: u64,
    end_index: Option<u64>,
}

#[derive(Serialize)]
struct Annotation<'a> {
    #[serde(rename = "type")]
    type_: &'static str,
    url_citation: Citation<'a>,
}

#[derive(Serialize)]
struct Citation<'a> {
    start_index: u64,
    end_index: u64,
    url: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Raw<'a>,
}

/// The most citations that are written for one answer: each support may name every source.
const MAX_CITATIONS: usize = 4096;

/// Whether Google's search or maps were asked.
pub(super) fn is_grounded(metadata: Raw<'_>) -> bool {
    let Some(grounding) = read(metadata) else { return false };
    let has_maps = || grounding.grounding_chunks.iter().flatten().any(|chunk| chunk.maps.is_some());
    grounding.web_search_queries.as_ref().is_some_and(|queries| !queries.is_empty()) || has_maps()
}

/// The citations of `groundingMetadata`; `None` where there are none. Places are counted in bytes, as Google does.
pub(super) fn annotations(metadata: Raw<'_>) -> Option<Box<RawValue>> {
    let grounding = read(metadata)?;
    let chunks = grounding.grounding_chunks.as_deref().unwrap_or_default();
    let supports = grounding.grounding_supports.as_deref().unwrap_or_default();
    let cited = supports.iter().flat_map(|support| {
        let segment = support.segment.as_ref();
        let place = segment.and_then(|segment| Some((segment.start_index, segment.end_index?)));
        let sources = support.grounding_chunk_indices.iter().flatten();
        sources.filter_map(move |index| {
            let (start_index, end_index) = place?;
            let web = chunks.get(serde_json::from_str::<usize>(index.get()).ok()?)?.web.as_ref()?;
            let url_citation = Citation { start_index, end_index, url: web.uri?, title: web.title };
            Some(Annotation { type_: "url_citation", url_citation })
        })
    });
    let all: Vec<Annotation<'_>> = cited.take(MAX_CITATIONS).collect();
    if all.is_empty() { None } else { to_raw_value(&all).ok() }
}

fn read(metadata: Raw<'_>) -> Option<Grounding<'_>> {
    serde_json::from_str(metadata?.get()).ok()
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Logprobs<'a> {
    #[serde(borrow)]
    chosen_candidates: Vec<Token<'a>>,
    #[serde(borrow)]
    top_candidates: Vec<Top<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Top<'a> {
    #[serde(borrow)]
    candidates: Vec<Token<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Token<'a> {
    #[serde(borrow)]
    token: Raw<'a>,
    #[serde(borrow)]
    log_probability: Raw<'a>,
}

#[derive(Serialize)]
struct Written<'a> {
    token: &'a RawValue,
    logprob: &'a RawValue,
    bytes: Option<&'static [u8]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_logprobs: Option<Vec<Written<'a>>>,
}

impl<'a> Token<'a> {
    fn write(&self, top_logprobs: Option<Vec<Written<'a>>>) -> Option<Written<'a>> {
        Some(Written { token: self.token?, logprob: self.log_probability?, bytes: None, top_logprobs })
    }
}

/// `{"content":[{"token","logprob","bytes","top_logprobs"}],"refusal":null}`
pub(super) fn logprobs(result: Raw<'_>) -> Option<Box<RawValue>> {
    #[derive(Serialize)]
    struct All<'a> {
        content: Vec<Written<'a>>,
        refusal: Option<()>,
    }
    let logprobs: Logprobs<'_> = serde_json::from_str(result?.get()).ok()?;
    let written = logprobs.chosen_candidates.iter().enumerate().filter_map(|(i, token)| {
        let top = logprobs.top_candidates.get(i).map(|top| top.candidates.as_slice()).unwrap_or_default();
        token.write(Some(top.iter().filter_map(|token| token.write(None)).collect()))
    });
    to_raw_value(&All { content: written.collect(), refusal: None }).ok()
}
