//! Gemini's answers, whole or a piece of a stream: the fields that are read, none of them required.
//!
//! Source: Google, "GenerateContentResponse" <https://ai.google.dev/api/generate-content>,
//! <https://cloud.google.com/vertex-ai/docs/reference/rest/v1/GenerateContentResponse>, the latter read 2026-11-23 in
//! excerpts.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::usage::Counts;
use crate::openai::chat::Raw;

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Response<'a> {
    #[serde(borrow)]
    pub(super) candidates: Option<Vec<Candidate<'a>>>,
    #[serde(borrow)]
    pub(super) prompt_feedback: Raw<'a>,
    pub(super) usage_metadata: Option<Counts>,
    #[serde(borrow)]
    pub(super) model_version: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) response_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) error: Raw<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Candidate<'a> {
    pub(super) index: Option<usize>,
    #[serde(borrow)]
    pub(super) content: Option<Content<'a>>,
    #[serde(borrow)]
    pub(super) finish_reason: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) finish_message: Raw<'a>,
    #[serde(borrow)]
    pub(super) logprobs_result: Raw<'a>,
    #[serde(borrow)]
    pub(super) avg_logprobs: Raw<'a>,
    #[serde(borrow)]
    pub(super) safety_ratings: Raw<'a>,
    #[serde(borrow)]
    pub(super) citation_metadata: Raw<'a>,
    #[serde(borrow)]
    pub(super) grounding_metadata: Raw<'a>,
    #[serde(borrow)]
    pub(super) url_context_metadata: Raw<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Content<'a> {
    #[serde(borrow)]
    pub(super) parts: Option<Vec<&'a RawValue>>,
}

/// A part of an answer; one that has none of these is passed on as it is.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Part<'a> {
    #[serde(borrow)]
    pub(super) text: Raw<'a>,
    pub(super) thought: Option<bool>,
    #[serde(borrow)]
    pub(super) thought_signature: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) function_call: Option<FunctionCall<'a>>,
    #[serde(borrow)]
    pub(super) inline_data: Option<Blob<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct FunctionCall<'a> {
    #[serde(borrow)]
    pub(super) id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) args: Raw<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Blob<'a> {
    #[serde(borrow)]
    pub(super) mime_type: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) data: Cow<'a, str>,
}

/// Why a prompt was refused.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Feedback<'a> {
    #[serde(borrow)]
    pub(super) block_reason: Option<Cow<'a, str>>,
}

impl Response<'_> {
    /// Why the prompt was refused, if it was.
    pub(super) fn block_reason(&self) -> Option<Cow<'_, str>> {
        let feedback: Feedback<'_> = serde_json::from_str(self.prompt_feedback?.get()).ok()?;
        feedback.block_reason
    }
}
