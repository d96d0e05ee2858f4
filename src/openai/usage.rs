//! Token counts of one answer.

use serde::{Deserialize, Serialize};

/// What a provider says it counted, in one meaning for all providers.
///
/// `cached_tokens` and `cache_write_tokens` are parts of `input_tokens`, `reasoning_tokens` of `output_tokens`.
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
        }
    }
}

impl From<&Usage> for Wire {
    fn from(usage: &Usage) -> Self {
        let written = usage.cache_write_tokens.saturating_add(usage.cache_write_1h_tokens);
        let prompt = PromptDetails {
            cached_tokens: Some(usage.cached_tokens),
            cache_creation_tokens: (written > 0).then_some(written),
            audio_tokens: (usage.audio_input_tokens > 0).then_some(usage.audio_input_tokens),
        };
        let completion = CompletionDetails {
            reasoning_tokens: Some(usage.reasoning_tokens),
            audio_tokens: (usage.audio_output_tokens > 0).then_some(usage.audio_output_tokens),
            ..CompletionDetails::default()
        };
        Self {
            prompt_tokens: usage.input_tokens,
            completion_tokens: usage.output_tokens,
            total_tokens: usage.total_tokens(),
            prompt_tokens_details: Some(prompt),
            completion_tokens_details: (usage.reasoning_tokens > 0 || usage.audio_output_tokens > 0)
                .then_some(completion),
        }
    }
}
