//! The parameters of a chat completion: which Gemini has, which it lacks, and where the others go.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::Home;
use super::model::Model;
use crate::json::scan::Member;
use crate::json::{Index, Shape};
use crate::openai::chat::{Fault, Raw};
use crate::openai::{Endpoint, Request};
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

/// The members of a request's body by name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Params<'a> {
    body: &'a [u8],
    index: &'a Index,
}

impl<'a> Params<'a> {
    pub(super) fn of(request: &'a Request) -> Self {
        Self { body: &request.body, index: &request.index }
    }

    /// The text of the member `name`; `None` where it is absent or null.
    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        let member = self.index.get(name).filter(|member| member.shape != Shape::Null)?;
        std::str::from_utf8(self.body.get(member.value.clone())?).ok()
    }

    /// The same, ready to be written.
    pub(super) fn raw(&self, name: &str) -> Raw<'a> {
        self.text(name).and_then(|text| serde_json::from_str(text).ok())
    }

    /// The first of `names` that is there: spellings of one member.
    pub(super) fn either(&self, names: [&str; 2]) -> Raw<'a> {
        names.into_iter().find_map(|name| self.raw(name))
    }

    /// The member `name`, which must be a number.
    pub(super) fn number(&self, name: &'static str) -> Result<Raw<'a>, Fault> {
        let raw = self.raw(name);
        match raw.map(|raw| serde_json::from_str::<f64>(raw.get())) {
            Some(Err(_)) => Err(Fault::wrong_type("a number").at(name)),
            Some(Ok(_)) | None => Ok(raw),
        }
    }

    /// The member `name`, which must be a boolean.
    pub(super) fn flag(&self, name: &'static str) -> Result<Option<bool>, Fault> {
        match self.text(name) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(Fault::wrong_type("a boolean").at(name)),
        }
    }

    /// The members that belong into `generationConfig` as they are: Gemini's own, as the client spells them, and those
    /// that the config lets through. OpenAI's of the same name are not among them.
    pub(super) fn generation(&self, target: &Target) -> BTreeMap<&'a str, &'a RawValue> {
        let passes = |name: &str| match params::known(Endpoint::ChatCompletions).contains(&name) {
            true => LACKING.contains(&name) && target.params.allows(name),
            false => GENERATION.contains(&snake(name).as_str()),
        };
        let members = self.index.members().iter().filter(|member| member.shape != Shape::Null && passes(&member.key));
        let raw = |member: &Member| serde_json::from_slice(self.body.get(member.value.clone())?).ok();
        members.filter_map(|member| Some((member.key.as_str(), raw(member)?))).collect()
    }
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
