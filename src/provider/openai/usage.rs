//! Token counts in the shapes of all endpoints, and of vendors that count under other names.
//!
//! Source: OpenAI, "API reference" <https://platform.openai.com/docs/api-reference>: `usage` of chat completions,
//! embeddings, responses, images and transcriptions; DeepSeek, "Context caching"
//! <https://api-docs.deepseek.com/guides/kv_cache>; xAI, "Models and pricing" <https://docs.x.ai/docs/models>; none
//! re-read for this.

use serde::Deserialize;

use crate::openai::Usage;
use crate::openai::usage::{Measure, Served};
use crate::units::Millis;

/// A `usage` object of any endpoint.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Counted {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    total_tokens: Option<u64>,
    /// A transcription's length, where it is billed by that: `{"type":"duration","seconds":7.4}`.
    seconds: Option<f64>,
    /// The tier that served the request, where a vendor says it in here.
    service_tier: Option<Served>,
    /// DeepSeek's cached tokens.
    prompt_cache_hit_tokens: Option<u64>,
    /// Moonshot's and others' cached tokens.
    cached_tokens: Option<u64>,
    prompt_tokens_details: Option<Details>,
    #[serde(alias = "input_token_details")]
    input_tokens_details: Option<Details>,
    completion_tokens_details: Option<Details>,
    #[serde(alias = "output_token_details")]
    output_tokens_details: Option<Details>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct Details {
    cached_tokens: Option<u64>,
    cache_creation_tokens: Option<u64>,
    cache_write_tokens: Option<u64>,
    reasoning_tokens: Option<u64>,
    audio_tokens: Option<u64>,
    image_tokens: Option<u64>,
    cached_tokens_details: Option<CachedDetails>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct CachedDetails {
    audio_tokens: Option<u64>,
}

impl Counted {
    /// What was counted; `None` where nothing was.
    pub(super) fn usage(&self) -> Option<Usage> {
        let input = self.prompt_tokens.or(self.input_tokens);
        let output = self.completion_tokens.or(self.output_tokens);
        let total = self.total_tokens;
        let details = self.prompt_tokens_details.or(self.input_tokens_details).unwrap_or_default();
        let spent = self.completion_tokens_details.or(self.output_tokens_details).unwrap_or_default();
        let measure = self.seconds.map_or(Measure::None, heard);
        if input.or(output).or(total).is_none() && measure == Measure::None {
            return None;
        }
        let reasoning_tokens = spent.reasoning_tokens.unwrap_or(0);
        // Embeddings and rerank may be counted in one sum.
        let input_tokens = match (input.unwrap_or(0), output.unwrap_or(0), total) {
            (0, 0, Some(total)) => total,
            (input, ..) => input,
        };
        Some(Usage {
            input_tokens,
            output_tokens: spoken(input_tokens, output.unwrap_or(0), reasoning_tokens, total),
            cached_tokens: details
                .cached_tokens
                .or(self.prompt_cache_hit_tokens)
                .or(self.cached_tokens)
                .unwrap_or(0)
                .min(input_tokens),
            cache_write_tokens: details.cache_creation_tokens.or(details.cache_write_tokens).unwrap_or(0),
            reasoning_tokens,
            audio_input_tokens: details.audio_tokens.unwrap_or(0),
            audio_output_tokens: spent.audio_tokens.unwrap_or(0),
            cached_audio_tokens: details.cached_tokens_details.and_then(|cached| cached.audio_tokens).unwrap_or(0),
            image_input_tokens: details.image_tokens.unwrap_or(0),
            image_output_tokens: spent.image_tokens.unwrap_or(0),
            measure,
            service_tier: self.service_tier.and_then(|served| served.0),
            ..Usage::default()
        })
    }
}

/// The measure of so many seconds of audio.
pub(super) fn heard(seconds: f64) -> Measure {
    // A float becomes the nearest integer that there is: of a negative one or of none at all, zero.
    Measure::Audio(Millis((seconds * 1000.0).round() as u64))
}

/// The tokens of the answer. xAI counts reasoning beside them, and in the total.
fn spoken(input: u64, output: u64, reasoning: u64, total: Option<u64>) -> u64 {
    let with_reasoning = output.saturating_add(reasoning);
    if reasoning > 0 && total == Some(input.saturating_add(with_reasoning)) { with_reasoning } else { output }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openai::usage::ServiceTier;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn every_endpoint_and_vendor_is_counted() {
        let base = Usage::default();
        for (text, expected) in [
            (
                r#"{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12,"prompt_tokens_details":{"cached_tokens":4,"audio_tokens":2},"completion_tokens_details":{"reasoning_tokens":1,"audio_tokens":1}}"#,
                Some(Usage {
                    input_tokens: 9,
                    output_tokens: 3,
                    cached_tokens: 4,
                    reasoning_tokens: 1,
                    audio_input_tokens: 2,
                    audio_output_tokens: 1,
                    ..base
                }),
            ),
            (
                r#"{"input_tokens":9,"output_tokens":3,"total_tokens":12,"input_tokens_details":{"cached_tokens":4},"output_tokens_details":{"reasoning_tokens":2}}"#,
                Some(Usage { input_tokens: 9, output_tokens: 3, cached_tokens: 4, reasoning_tokens: 2, ..base }),
            ),
            (r#"{"total_tokens":7}"#, Some(Usage { input_tokens: 7, ..base })),
            (r#"{"type":"duration"}"#, None),
            (r#"{"type":"duration","seconds":7.5}"#, Some(Usage { measure: Measure::Audio(Millis(7500)), ..base })),
            (
                r#"{"input_tokens":50,"output_tokens":4160,"total_tokens":4210,"service_tier":"priority","input_tokens_details":{"text_tokens":10,"image_tokens":40},"output_tokens_details":{"image_tokens":4100,"text_tokens":60}}"#,
                Some(Usage {
                    input_tokens: 50,
                    output_tokens: 4160,
                    image_input_tokens: 40,
                    image_output_tokens: 4100,
                    service_tier: Some(ServiceTier::Priority),
                    ..base
                }),
            ),
            (
                r#"{"prompt_tokens":9,"completion_tokens":3,"service_tier":{},"prompt_tokens_details":{"audio_tokens":8,"cached_tokens":6,"cached_tokens_details":{"audio_tokens":5}}}"#,
                Some(Usage {
                    input_tokens: 9,
                    output_tokens: 3,
                    cached_tokens: 6,
                    audio_input_tokens: 8,
                    cached_audio_tokens: 5,
                    ..base
                }),
            ),
            (
                r#"{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12,"prompt_cache_hit_tokens":5,"prompt_cache_miss_tokens":4}"#,
                Some(Usage { input_tokens: 9, output_tokens: 3, cached_tokens: 5, ..base }),
            ),
            (
                r#"{"prompt_tokens":9,"completion_tokens":3,"total_tokens":112,"completion_tokens_details":{"reasoning_tokens":100}}"#,
                Some(Usage { input_tokens: 9, output_tokens: 103, reasoning_tokens: 100, ..base }),
            ),
        ] {
            assert_eq!(serde_json::from_str::<Counted>(text).unwrap().usage(), expected, "{text}");
        }
    }
}
