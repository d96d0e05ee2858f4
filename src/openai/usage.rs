//! What one answer used: tokens by their kind, or what else it is billed by.

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};

use crate::units::Millis;

/// What a provider says it counted, in one meaning for all providers.
///
/// Tokens that were cached or written to a cache, and tokens of audio and of images in the prompt, are parts of
/// `input_tokens`; tokens of reasoning, and of audio and of images in the answer, of `output_tokens`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// All tokens of the prompt, cached ones too.
    pub input_tokens: u64,
    /// All tokens of the answer, reasoning too.
    pub output_tokens: u64,
    /// Prompt tokens read from the provider's cache.
    pub cached_tokens: u64,
    /// Prompt tokens written to the provider's cache for five minutes.
    pub cache_write_tokens: u64,
    /// Prompt tokens written to the provider's cache for one hour.
    pub cache_write_1h_tokens: u64,
    /// Answer tokens spent on reasoning.
    pub reasoning_tokens: u64,
    /// Prompt tokens of audio.
    pub audio_input_tokens: u64,
    /// Answer tokens of audio.
    pub audio_output_tokens: u64,
    /// Of `cached_tokens` those of audio; `audio_input_tokens` counts them, too.
    pub cached_audio_tokens: u64,
    /// Prompt tokens of images.
    pub image_input_tokens: u64,
    /// Answer tokens of images.
    pub image_output_tokens: u64,
    /// What was counted that is no token.
    pub measure: Measure,
    /// The service tier that served the request; `None` where the provider does not say.
    pub service_tier: Option<ServiceTier>,
}

/// What an answer is measured in where its tokens say nothing of its price. An answer has one such measure at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Measure {
    /// Nothing but tokens.
    #[default]
    None,
    /// The length of the audio that was heard.
    Audio(Millis),
    /// The characters of the text that was spoken.
    Characters(u64),
    /// The images that were made.
    Images(u64),
    /// The searches that a reranking counts as.
    Searches(u64),
}

/// The service tier of a request, as far as tiers have prices of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum ServiceTier {
    /// `default` or `standard`.
    #[default]
    Standard,
    /// `flex`: slower and cheaper.
    Flex,
    /// `priority`, or `fast`: faster and dearer.
    Priority,
}

impl ServiceTier {
    /// The tier of this name; `None` of `auto`, and of tiers without prices of their own.
    ///
    /// Source: LiteLLM 1.109.1, `cost_calculator.py` and `types/utils.py`, which bill `fast` as `priority`.
    pub fn named(name: &str) -> Option<Self> {
        let names = [
            ("default", Self::Standard),
            ("standard", Self::Standard),
            ("flex", Self::Flex),
            ("priority", Self::Priority),
            ("fast", Self::Priority),
        ];
        names.into_iter().find(|(known, _)| name.eq_ignore_ascii_case(known)).map(|(_, tier)| tier)
    }
}

/// `service_tier` of an answer, whatever stands there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Served(pub Option<ServiceTier>);

impl<'de> Deserialize<'de> for Served {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Any {
            Name(String),
            Other(IgnoredAny),
        }
        Ok(match Any::deserialize(deserializer)? {
            Any::Name(name) => Self(ServiceTier::named(&name)),
            Any::Other(_) => Self(None),
        })
    }
}

impl Usage {
    /// Input and output together.
    pub fn total_tokens(&self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }
}

/// The `usage` object of chat completions, completions and embeddings.
///
/// Source: OpenAI, "Chat completion object" <https://platform.openai.com/docs/api-reference/chat/object>, read 2026-11-23.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Wire {
    /// All tokens of the prompt.
    #[serde(default)]
    pub prompt_tokens: u64,
    /// All tokens of the answer.
    #[serde(default)]
    pub completion_tokens: u64,
    /// Their sum.
    #[serde(default)]
    pub total_tokens: u64,
    /// Parts of `prompt_tokens`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_tokens_details: Option<PromptDetails>,
    /// Parts of `completion_tokens`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_tokens_details: Option<CompletionDetails>,
    /// LiteLLM's place for what was written to a cache.
    #[serde(default, skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub cache_creation_input_tokens: Option<u64>,
    /// LiteLLM's place for what was read from a cache.
    #[serde(default, skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub cache_read_input_tokens: Option<u64>,
}

/// Parts of the prompt's tokens. LiteLLM adds `cache_creation_tokens` for what Anthropic wrote to its cache.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct PromptDetails {
    /// Read from the cache.
    #[serde(default)]
    pub cached_tokens: Option<u64>,
    /// Written to the cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_creation_tokens: Option<u64>,
    /// Of audio.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio_tokens: Option<u64>,
    /// Of images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_tokens: Option<u64>,
}

/// Parts of the answer's tokens.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct CompletionDetails {
    /// Spent on reasoning.
    #[serde(default)]
    pub reasoning_tokens: Option<u64>,
    /// Of audio.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio_tokens: Option<u64>,
    /// Of images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_tokens: Option<u64>,
    /// Of a prediction that came true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_prediction_tokens: Option<u64>,
    /// Of a prediction that did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected_prediction_tokens: Option<u64>,
}

impl From<&Wire> for Usage {
    fn from(wire: &Wire) -> Self {
        let prompt = wire.prompt_tokens_details.clone().unwrap_or_default();
        let completion = wire.completion_tokens_details.clone().unwrap_or_default();
        Self {
            input_tokens: wire.prompt_tokens,
            output_tokens: wire.completion_tokens,
            cached_tokens: prompt.cached_tokens.unwrap_or(0),
            cache_write_tokens: prompt.cache_creation_tokens.unwrap_or(0),
            cache_write_1h_tokens: 0,
            reasoning_tokens: completion.reasoning_tokens.unwrap_or(0),
            audio_input_tokens: prompt.audio_tokens.unwrap_or(0),
            audio_output_tokens: completion.audio_tokens.unwrap_or(0),
            image_input_tokens: prompt.image_tokens.unwrap_or(0),
            image_output_tokens: completion.image_tokens.unwrap_or(0),
            ..Self::default()
        }
    }
}

impl From<&Usage> for Wire {
    fn from(usage: &Usage) -> Self {
        let written = usage.cache_write_tokens.saturating_add(usage.cache_write_1h_tokens);
        let some = |count: u64| (count > 0).then_some(count);
        let prompt = PromptDetails {
            cached_tokens: Some(usage.cached_tokens),
            cache_creation_tokens: some(written),
            audio_tokens: some(usage.audio_input_tokens),
            image_tokens: some(usage.image_input_tokens),
        };
        let completion = CompletionDetails {
            reasoning_tokens: Some(usage.reasoning_tokens),
            audio_tokens: some(usage.audio_output_tokens),
            image_tokens: some(usage.image_output_tokens),
            ..CompletionDetails::default()
        };
        let has_parts = usage.reasoning_tokens > 0 || usage.audio_output_tokens > 0 || usage.image_output_tokens > 0;
        let has_cache = written > 0 || usage.cached_tokens > 0;
        Self {
            prompt_tokens: usage.input_tokens,
            completion_tokens: usage.output_tokens,
            total_tokens: usage.total_tokens(),
            prompt_tokens_details: Some(prompt),
            completion_tokens_details: has_parts.then_some(completion),
            cache_creation_input_tokens: has_cache.then_some(written),
            cache_read_input_tokens: has_cache.then_some(usage.cached_tokens),
        }
    }
}

/// The `usage` object of a response.
///
/// Source: OpenAI, "The response object" <https://platform.openai.com/docs/api-reference/responses/object>, and the
/// types of the official Python SDK, `types/responses/response_usage.py`, read 2026-11-23.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct ResponseWire {
    /// All tokens of the prompt.
    pub input_tokens: u64,
    /// Parts of `input_tokens`.
    pub input_tokens_details: Option<InputDetails>,
    /// All tokens of the answer.
    pub output_tokens: u64,
    /// Parts of `output_tokens`.
    pub output_tokens_details: Option<OutputDetails>,
    /// Their sum.
    pub total_tokens: u64,
}

/// Parts of a response's input tokens.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct InputDetails {
    /// Read from the cache.
    pub cached_tokens: Option<u64>,
    /// Written to the cache.
    pub cache_write_tokens: Option<u64>,
}

/// Parts of a response's output tokens.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct OutputDetails {
    /// Spent on reasoning.
    pub reasoning_tokens: Option<u64>,
}

impl From<&ResponseWire> for Usage {
    fn from(wire: &ResponseWire) -> Self {
        let input = wire.input_tokens_details.clone().unwrap_or_default();
        let output = wire.output_tokens_details.clone().unwrap_or_default();
        Self {
            input_tokens: wire.input_tokens,
            output_tokens: wire.output_tokens,
            cached_tokens: input.cached_tokens.unwrap_or(0),
            cache_write_tokens: input.cache_write_tokens.unwrap_or(0),
            reasoning_tokens: output.reasoning_tokens.unwrap_or(0),
            ..Self::default()
        }
    }
}

impl From<&Usage> for ResponseWire {
    fn from(usage: &Usage) -> Self {
        let written = usage.cache_write_tokens.saturating_add(usage.cache_write_1h_tokens);
        let input = InputDetails { cached_tokens: Some(usage.cached_tokens), cache_write_tokens: Some(written) };
        Self {
            input_tokens: usage.input_tokens,
            input_tokens_details: Some(input),
            output_tokens: usage.output_tokens,
            output_tokens_details: Some(OutputDetails { reasoning_tokens: Some(usage.reasoning_tokens) }),
            total_tokens: usage.total_tokens(),
        }
    }
}
