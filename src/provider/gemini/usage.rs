//! Token counts.
//!
//! Source: Google, "UsageMetadata" <https://ai.google.dev/api/generate-content#UsageMetadata>, not re-read for this;
//! LITELLM.md 3.2: the thoughts are beside the candidates' tokens, unless the total says that they are among them.

use serde::{Deserialize, Deserializer};

use crate::openai::Usage;
use crate::openai::usage::ServiceTier;

/// `usageMetadata`; a count that is not there is zero.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Counts {
    prompt_tokens_details: Option<ByModality>,
    candidates_tokens_details: Option<ByModality>,
    cache_tokens_details: Option<ByModality>,
    traffic_type: Option<Traffic>,
    prompt_token_count: Option<u64>,
    candidates_token_count: Option<u64>,
    thoughts_token_count: Option<u64>,
    cached_content_token_count: Option<u64>,
    tool_use_prompt_token_count: Option<u64>,
    total_token_count: Option<u64>,
}

/// `[{"modality":"AUDIO","tokenCount":7}]`, the sums of what has prices of its own.
#[derive(Clone, Copy, Debug, Default)]
struct ByModality {
    audio: u64,
    image: u64,
}

impl<'de> Deserialize<'de> for ByModality {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Default, Deserialize)]
        #[serde(default, rename_all = "camelCase")]
        struct Part {
            modality: String,
            token_count: u64,
        }
        let mut sums = Self::default();
        for part in Vec::<Part>::deserialize(deserializer)? {
            let sum = match part.modality.as_str() {
                "AUDIO" => &mut sums.audio,
                "IMAGE" => &mut sums.image,
                _ => continue,
            };
            *sum = sum.saturating_add(part.token_count);
        }
        Ok(sums)
    }
}

/// `trafficType`, as the service tier that it is billed as.
///
/// Source: LiteLLM 1.109.1, `cost_calculator.py`, `_GEMINI_TRAFFIC_TYPE_TO_SERVICE_TIER`.
#[derive(Clone, Copy, Debug)]
struct Traffic(ServiceTier);

impl<'de> Deserialize<'de> for Traffic {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match String::deserialize(deserializer)?.as_str() {
            "ON_DEMAND_PRIORITY" => ServiceTier::Priority,
            "ON_DEMAND_FLEX" | "FLEX" | "BATCH" => ServiceTier::Flex,
            _ => ServiceTier::Standard,
        }))
    }
}

impl Counts {
    /// The counts in the meaning that all providers share. What Google's search read is not billed as input: it counts
    /// only where the answer `is_grounded` on none.
    pub(super) fn usage(&self, is_grounded: bool) -> Usage {
        let prompt = self.prompt_token_count.unwrap_or(0);
        let candidates = self.candidates_token_count.unwrap_or(0);
        let thoughts = self.thoughts_token_count.unwrap_or(0);
        let tools = self.tool_use_prompt_token_count.unwrap_or(0);
        let without_thoughts = prompt.saturating_add(candidates).saturating_add(tools);
        let among = self.total_token_count == Some(without_thoughts);
        let [given, made, cached] =
            [self.prompt_tokens_details, self.candidates_tokens_details, self.cache_tokens_details]
                .map(Option::unwrap_or_default);
        Usage {
            audio_input_tokens: given.audio,
            audio_output_tokens: made.audio,
            cached_audio_tokens: cached.audio,
            image_input_tokens: given.image,
            image_output_tokens: made.image,
            service_tier: self.traffic_type.map(|traffic| traffic.0),
            input_tokens: prompt.saturating_add(if is_grounded { 0 } else { tools }),
            output_tokens: if among { candidates } else { candidates.saturating_add(thoughts) },
            cached_tokens: self.cached_content_token_count.unwrap_or(0).min(prompt),
            reasoning_tokens: thoughts,
            ..Usage::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn modalities_and_traffic_are_read() {
        let counts: Counts = serde_json::from_str(
            r#"{"promptTokenCount":20,"candidatesTokenCount":9,"totalTokenCount":29,"cachedContentTokenCount":6,"trafficType":"ON_DEMAND_FLEX",
            "promptTokensDetails":[{"modality":"TEXT","tokenCount":5},{"modality":"AUDIO","tokenCount":12},{"modality":"IMAGE","tokenCount":3}],
            "cacheTokensDetails":[{"modality":"AUDIO","tokenCount":4}],
            "candidatesTokensDetails":[{"modality":"IMAGE","tokenCount":7},{"modality":"TEXT"}]}"#,
        )
        .unwrap();
        let expected = Usage {
            input_tokens: 20,
            output_tokens: 9,
            cached_tokens: 6,
            audio_input_tokens: 12,
            cached_audio_tokens: 4,
            image_input_tokens: 3,
            image_output_tokens: 7,
            service_tier: Some(ServiceTier::Flex),
            ..Usage::default()
        };
        assert_eq!(counts.usage(false), expected);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn thoughts_are_counted_once() {
        let counts = |total| Counts {
            prompt_token_count: Some(10),
            candidates_token_count: Some(7),
            thoughts_token_count: Some(5),
            tool_use_prompt_token_count: Some(3),
            total_token_count: total,
            ..Counts::default()
        };
        for (total, is_grounded, expected) in
            [(Some(25), false, (13, 12)), (Some(20), false, (13, 7)), (None, true, (10, 12))]
        {
            let usage = counts(total).usage(is_grounded);
            assert_eq!((usage.input_tokens, usage.output_tokens, usage.reasoning_tokens), (expected.0, expected.1, 5));
        }
    }
}
