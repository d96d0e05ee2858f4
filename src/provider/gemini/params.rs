//! The parameters of a chat completion: which Gemini has, which it lacks, and where the others go.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::Home;
use super::model::Model;
use crate::json::Shape;
use crate::openai::Endpoint;
use crate::provider::given::Given;
use crate::provider::{Target, params};

/// OpenAI's parameters that Gemini has nothing like.
///
/// Source: LITELLM.md 3.2; Google, "GenerateContentRequest" <https://ai.google.dev/api/generate-content>, not re-read
/// for this.
const LACKING: &[&str] = &[
    "function_call",
    "logit_bias",
    "prediction",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
    "store",
    "verbosity",
];

/// Members of `generationConfig` that a client may give under Gemini's own name, in either spelling.
///
/// Source: LITELLM.md 3.2; Google, "GenerationConfig" <https://ai.google.dev/api/generate-content>, not re-read.
const GENERATION: &[&str] = &[
    "candidate_count",
    "enable_enhanced_civic_answers",
    "frequency_penalty",
    "image_config",
    "logprobs",
    "max_output_tokens",
    "media_resolution",
    "presence_penalty",
    "response_format",
    "response_json_schema",
    "response_logprobs",
    "response_mime_type",
    "response_modalities",
    "response_schema",
    "seed",
    "speech_config",
    "stop_sequences",
    "temperature",
    "thinking_config",
    "top_k",
    "top_p",
];

/// Whether Gemini at `home` lacks the parameter `name`, or this model of it.
pub(super) fn lacks(name: &str, endpoint: Endpoint, home: Home, target: &Target) -> bool {
    if endpoint != Endpoint::ChatCompletions {
        return false;
    }
    let model = Model::of(target);
    match name {
        "reasoning_effort" | "thinking" => !model.reasons(target),
        "temperature" | "top_p" => model.ignores_sampling(),
        "top_logprobs" => home == Home::Studio,
        "audio" => home == Home::Studio && !model.speaks(),
        "presence_penalty" | "frequency_penalty" => home == Home::Vertex && model.is_3_or_later(),
        _ => LACKING.contains(&name),
    }
}

/// The members that belong into `generationConfig` as they are: Gemini's own, as the client spells them, and those that the
/// config lets through. OpenAI's of the same name are not among them.
pub(super) fn generation<'a>(given: &Given<'a>, target: &Target) -> BTreeMap<&'a str, &'a RawValue> {
    let passes = |name: &str| match params::known(Endpoint::ChatCompletions).contains(&name) {
        true => LACKING.contains(&name) && target.params.allows(name),
        false => GENERATION.contains(&snake(name).as_str()),
    };
    given.members(|member| member.shape != Shape::Null && passes(&member.key)).collect()
}

/// `topK` as `top_k`.
fn snake(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for char in name.chars() {
        if char.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(char.to_ascii_lowercase());
    }
    snake
}
