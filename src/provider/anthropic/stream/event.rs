//! The events of Anthropic's streams, each with the fields of all: one that is not there is none.

use std::borrow::Cow;

use serde::Deserialize;

use crate::openai::chat::Raw;

/// An event's data.
#[derive(Deserialize)]
pub(in crate::provider::anthropic) struct Event<'a> {
    #[serde(borrow, rename = "type")]
    pub(in crate::provider::anthropic) type_: Cow<'a, str>,
    #[serde(default)]
    pub(in crate::provider::anthropic) index: u64,
    #[serde(borrow)]
    pub(in crate::provider::anthropic) message: Raw<'a>,
    #[serde(borrow)]
    pub(in crate::provider::anthropic) content_block: Raw<'a>,
    #[serde(borrow)]
    pub(in crate::provider::anthropic) delta: Option<EventDelta<'a>>,
    #[serde(borrow)]
    pub(in crate::provider::anthropic) usage: Raw<'a>,
    #[serde(borrow)]
    pub(in crate::provider::anthropic) error: Raw<'a>,
    #[serde(borrow)]
    pub(in crate::provider::anthropic) context_management: Raw<'a>,
}

/// What a `content_block_delta` or a `message_delta` brings.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(in crate::provider::anthropic) struct EventDelta<'a> {
    #[serde(borrow, rename = "type")]
    pub(in crate::provider::anthropic) type_: Cow<'a, str>,
    #[serde(borrow)]
    pub(in crate::provider::anthropic) text: Raw<'a>,
    #[serde(borrow)]
    pub(in crate::provider::anthropic) partial_json: Raw<'a>,
    #[serde(borrow)]
    pub(in crate::provider::anthropic) thinking: Raw<'a>,
    #[serde(borrow)]
    pub(in crate::provider::anthropic) signature: Raw<'a>,
    #[serde(borrow)]
    pub(in crate::provider::anthropic) citation: Raw<'a>,
    #[serde(borrow)]
    pub(in crate::provider::anthropic) content: Raw<'a>,
    #[serde(borrow)]
    pub(in crate::provider::anthropic) container: Raw<'a>,
    #[serde(borrow)]
    pub(in crate::provider::anthropic) stop_reason: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(in crate::provider::anthropic) stop_details: Raw<'a>,
}

/// The message of a `message_start`.
#[derive(Deserialize)]
pub(in crate::provider::anthropic) struct Start<'a> {
    #[serde(borrow, default)]
    pub(in crate::provider::anthropic) id: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(in crate::provider::anthropic) model: Cow<'a, str>,
    #[serde(borrow)]
    pub(in crate::provider::anthropic) usage: Raw<'a>,
}
