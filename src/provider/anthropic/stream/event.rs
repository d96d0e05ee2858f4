//! The events of Anthropic's streams, each with the fields of all: one that is not there is none.

use std::borrow::Cow;

use serde::Deserialize;

use crate::openai::chat::Raw;

/// An event's data.
#[derive(Deserialize)]
pub(super) struct Event<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) type_: Cow<'a, str>,
    #[serde(default)]
    pub(super) index: u64,
    #[serde(borrow)]
    pub(super) message: Raw<'a>,
    #[serde(borrow)]
    pub(super) content_block: Raw<'a>,
    #[serde(borrow)]
    pub(super) delta: Option<EventDelta<'a>>,
    #[serde(borrow)]
    pub(super) usage: Raw<'a>,
    #[serde(borrow)]
    pub(super) error: Raw<'a>,
}

/// What a `content_block_delta` or a `message_delta` brings.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct EventDelta<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) type_: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) text: Raw<'a>,
    #[serde(borrow)]
    pub(super) partial_json: Raw<'a>,
    #[serde(borrow)]
    pub(super) thinking: Raw<'a>,
    #[serde(borrow)]
    pub(super) signature: Raw<'a>,
    #[serde(borrow)]
    pub(super) stop_reason: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) stop_details: Raw<'a>,
}

/// The message of a `message_start`.
#[derive(Deserialize)]
pub(super) struct Start<'a> {
    #[serde(borrow, default)]
    pub(super) id: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(super) model: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) usage: Raw<'a>,
}
