//! Token counts.
//!
//! Source: Anthropic, "Prompt caching" <https://platform.claude.com/docs/en/build-with-claude/prompt-caching>,
//! "Streaming messages" <https://platform.claude.com/docs/en/build-with-claude/streaming>, the latter read 2026-11-23, the former not re-read:
//! `input_tokens` leaves out what the cache read or wrote, and the counts of a `message_delta` are totals so far.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::openai::Usage;
use crate::openai::usage::Served;

/// `usage` of a message; a count that is not there is unknown.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wire {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation: Option<CacheCreation>,
    output_tokens_details: Option<OutputDetails>,
    service_tier: Option<Served>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct CacheCreation {
    ephemeral_1h_input_tokens: Option<u64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct OutputDetails {
    thinking_tokens: Option<u64>,
}

impl Wire {
    /// Reads the object; `None` where it makes no sense.
    pub(super) fn read(raw: Option<&RawValue>) -> Option<Self> {
        serde_json::from_str(raw?.get()).ok()
    }

    /// Takes over every count that `later` has.
    pub(super) fn update(&mut self, later: Self) {
        self.input_tokens = later.input_tokens.or(self.input_tokens);
        self.output_tokens = later.output_tokens.or(self.output_tokens);
        self.cache_creation_input_tokens = later.cache_creation_input_tokens.or(self.cache_creation_input_tokens);
        self.cache_read_input_tokens = later.cache_read_input_tokens.or(self.cache_read_input_tokens);
        self.cache_creation = later.cache_creation.or(self.cache_creation.take());
        self.service_tier = later.service_tier.or(self.service_tier);
        self.output_tokens_details = later.output_tokens_details.or(self.output_tokens_details.take());
    }

    /// The counts in the meaning that all providers share.
    pub(super) fn usage(&self) -> Usage {
        let written = self.cache_creation_input_tokens.unwrap_or(0);
        let cached_tokens = self.cache_read_input_tokens.unwrap_or(0);
        let hour = self.cache_creation.as_ref().and_then(|split| split.ephemeral_1h_input_tokens);
        let cache_write_1h_tokens = hour.unwrap_or(0).min(written);
        let thinking = self.output_tokens_details.as_ref().and_then(|details| details.thinking_tokens);
        let fresh = self.input_tokens.unwrap_or(0);
        Usage {
            input_tokens: fresh.saturating_add(written).saturating_add(cached_tokens),
            output_tokens: self.output_tokens.unwrap_or(0),
            cached_tokens,
            cache_write_tokens: written - cache_write_1h_tokens,
            cache_write_1h_tokens,
            reasoning_tokens: thinking.unwrap_or(0),
            service_tier: self.service_tier.and_then(|served| served.0),
            ..Usage::default()
        }
    }
}
