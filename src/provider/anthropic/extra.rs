//! What a message has and a chat completion has no place for: citations, and the blocks of tools that run at Anthropic.
//!
//! A citation of a page is an annotation; everything else goes into `provider_specific_fields` under LiteLLM's names,
//! `server_tool_use` and `blocks` aside, which it has not.
//!
//! Source: Anthropic, "Citations" <https://platform.claude.com/docs/en/build-with-claude/citations>, "Web search tool"
//! <https://platform.claude.com/docs/en/agents-and-tools/tool-use/web-search-tool>, not re-read for this; OpenAI, "Chat
//! completion object" <https://platform.openai.com/docs/api-reference/chat/object>, read 2026-11-23, for annotations.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::openai::chat::Raw;

/// `provider_specific_fields`.
#[derive(Debug, Default, Serialize)]
pub(super) struct Extra<'a> {
    /// One list for each text that cites.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) citations: Vec<Vec<&'a RawValue>>,
    /// One citation of a stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) citation: Raw<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) server_tool_use: Vec<&'a RawValue>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) web_search_results: Vec<&'a RawValue>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) tool_results: Vec<&'a RawValue>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) compaction_blocks: Vec<&'a RawValue>,
    /// Blocks of types that nobody here knows.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) blocks: Vec<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) container: Raw<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) context_management: Raw<'a>,
}

impl<'a> Extra<'a> {
    /// Takes a block that is neither text nor thought nor a call of the client's tools.
    pub(super) fn take(&mut self, type_: &str, block: &'a RawValue) {
        let place = match type_ {
            "server_tool_use" | "mcp_tool_use" => &mut self.server_tool_use,
            "web_search_tool_result" | "web_fetch_tool_result" => &mut self.web_search_results,
            "compaction" => &mut self.compaction_blocks,
            result if result.ends_with("_tool_result") => &mut self.tool_results,
            _ => &mut self.blocks,
        };
        place.push(block);
    }

    /// The object; `None` where it is empty.
    pub(super) fn written(&self) -> Option<Box<RawValue>> {
        let written = serde_json::value::to_raw_value(self).ok()?;
        (written.get() != "{}").then_some(written)
    }
}

/// `{"type":"url_citation","url_citation":{…}}`; the indices count characters of the content.
#[derive(Debug, Serialize)]
pub(super) struct Annotation<'a> {
    #[serde(rename = "type")]
    type_: &'static str,
    url_citation: Place<'a>,
}

#[derive(Debug, Serialize)]
struct Place<'a> {
    url: Cow<'a, str>,
    title: Cow<'a, str>,
    start_index: u64,
    end_index: u64,
}

/// The annotation of a citation whose text is that between two characters; `None` where it cites no page.
pub(super) fn annotation(citation: &RawValue, start_index: u64, end_index: u64) -> Option<Annotation<'_>> {
    #[derive(Deserialize)]
    struct Cited<'a> {
        #[serde(borrow)]
        url: Option<Cow<'a, str>>,
        #[serde(borrow)]
        source: Option<Cow<'a, str>>,
        #[serde(borrow)]
        title: Option<Cow<'a, str>>,
    }
    let cited: Cited<'_> = serde_json::from_str(citation.get()).ok()?;
    let url = cited.url.or(cited.source).filter(|url| url.starts_with("http"))?;
    let title = cited.title.unwrap_or_default();
    Some(Annotation { type_: "url_citation", url_citation: Place { url, title, start_index, end_index } })
}

/// Annotations as they are written; `None` for none.
pub(super) fn written(annotations: &[Annotation<'_>]) -> Option<Box<RawValue>> {
    if annotations.is_empty() { None } else { serde_json::value::to_raw_value(annotations).ok() }
}
