//! What whole answers and events have in common: ids, reasons to stop, token counts.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::openai::usage::{Usage as Counts, Wire};

/// The id of a message for that of a chat completion.
pub(super) fn message_id(chat_id: &str) -> String {
    format!("msg_{}", chat_id.strip_prefix("chatcmpl-").unwrap_or(chat_id))
}

/// A call's id in Anthropic's alphabet.
pub(super) fn call_id(id: &str) -> Cow<'_, str> {
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if !id.is_empty() && id.bytes().all(is_fine) {
        return Cow::Borrowed(id);
    }
    let fine: String = id.chars().map(|c| if c.is_ascii() && is_fine(c as u8) { c } else { '_' }).collect();
    Cow::Owned(if fine.is_empty() { "toolu_0".to_owned() } else { fine })
}

/// Anthropic's reason to stop for OpenAI's.
///
/// Source: Anthropic, "Stop reasons and fallback"
/// <https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons>, read 2026-11-23.
pub(super) fn stop_reason(finish_reason: &str, has_calls: bool, has_refused: bool) -> &'static str {
    match finish_reason {
        "length" => "max_tokens",
        "content_filter" | "refusal" => "refusal",
        _ if has_refused => "refusal",
        _ if has_calls => "tool_use",
        "tool_calls" | "function_call" => "tool_use",
        _ => "end_turn",
    }
}

/// Anthropic's token counts: `input_tokens` leaves out what a cache read or wrote.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Usage {
    input_tokens: u64,
    cache_creation_input_tokens: u64,
    cache_read_input_tokens: u64,
    output_tokens: u64,
}

impl Usage {
    /// Reads OpenAI's `usage`; `None` where it makes no sense.
    pub(super) fn read(raw: Option<&RawValue>) -> Option<Self> {
        let counts = Counts::from(&serde_json::from_str::<Wire>(raw?.get()).ok()?);
        let written = counts.cache_write_tokens.saturating_add(counts.cache_write_1h_tokens);
        Some(Self {
            input_tokens: counts.input_tokens.saturating_sub(counts.cached_tokens).saturating_sub(written),
            cache_creation_input_tokens: written,
            cache_read_input_tokens: counts.cached_tokens,
            output_tokens: counts.output_tokens,
        })
    }
}

/// A place on the web that a text rests on.
#[derive(Serialize)]
pub(super) struct Citation<'a> {
    #[serde(rename = "type")]
    type_: &'static str,
    cited_text: &'static str,
    encrypted_index: &'static str,
    title: Option<Cow<'a, str>>,
    url: Cow<'a, str>,
}

/// The `url_citation`s among OpenAI's annotations.
pub(super) fn citations(annotations: Option<&RawValue>) -> Vec<Citation<'_>> {
    #[derive(Deserialize)]
    struct Annotation<'a> {
        #[serde(borrow, default)]
        url_citation: Option<Place<'a>>,
    }
    #[derive(Deserialize)]
    struct Place<'a> {
        #[serde(borrow)]
        url: Cow<'a, str>,
        #[serde(borrow, default)]
        title: Option<Cow<'a, str>>,
    }
    let all: Vec<Annotation<'_>> = annotations.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
    let places = all.into_iter().filter_map(|annotation| annotation.url_citation);
    let cited = places.map(|Place { url, title }| Citation {
        type_: "web_search_result_location",
        cited_text: "",
        encrypted_index: "",
        title,
        url,
    });
    cited.collect()
}
