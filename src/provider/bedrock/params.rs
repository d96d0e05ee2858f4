//! The parameters of a chat completion: which a model on Bedrock has, which it lacks, and where the others go.

use serde_json::value::RawValue;

use super::model::{Model, Reasoning};
use crate::json::scan::Member;
use crate::json::{Index, Shape};
use crate::openai::chat::{Fault, Raw};
use crate::openai::{Endpoint, Request};
use crate::provider::{Target, params};

/// OpenAI's parameters that Converse has nothing like.
///
/// Source: LITELLM.md 3.5 and 4.
const LACKING: &[&str] = &[
    "audio",
    "frequency_penalty",
    "function_call",
    "functions",
    "logit_bias",
    "logprobs",
    "modalities",
    "n",
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
    "seed",
    "store",
    "top_logprobs",
    "verbosity",
];

/// Converse's own parameters that go to its top level as they are.
pub(super) const TOP_LEVEL: &[&str] =
    &["guardrailConfig", "performanceConfig", "promptVariables", "requestMetadata", "serviceTier"];

/// Converse's own parameters that go into `inferenceConfig` as they are.
pub(super) const INFERENCE: &[&str] = &["maxTokens", "stopSequences", "topP"];

/// Values that ask for nothing.
const IDLE: &[(&str, &str)] = &[("n", "1"), ("logprobs", "false"), ("store", "false"), ("modalities", "[\"text\"]")];

/// Parameters that are not passed on but built.
const BUILT: &[&str] = &[
    "additionalModelRequestFields",
    "additionalModelResponseFieldPaths",
    "anthropic_beta",
    "messages",
    "metadata",
    "model",
    "outputConfig",
    "output_config",
    "top_k",
    "topK",
];

/// Whether Converse lacks the parameter `name`, or this model does.
pub(super) fn lacks(name: &str, target: &Target) -> bool {
    let model = Model::of(target);
    match name {
        "tools" => !model.takes_tools(),
        "tool_choice" => !model.takes_tools() || !model.takes_tool_choice(),
        "temperature" | "top_p" => !model.takes_sampling(),
        "reasoning_effort" => model.reasoning() == Reasoning::None,
        "thinking" => !takes_thinking(model),
        "web_search_options" => !model.is_nova(),
        _ => LACKING.contains(&name),
    }
}

/// Whether `thinking` goes on as the client says it.
fn takes_thinking(model: Model<'_>) -> bool {
    match model.reasoning() {
        Reasoning::Thinking | Reasoning::Effort => true,
        Reasoning::None | Reasoning::Nova | Reasoning::Gpt => false,
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

    /// A number as it is written.
    pub(super) fn number(&self, name: &'static str) -> Result<Raw<'a>, Fault> {
        let raw = self.raw(name);
        match raw.map(|raw| serde_json::from_str::<f64>(raw.get())) {
            Some(Err(_)) => Err(Fault::wrong_type("a number").at(name)),
            Some(Ok(_)) | None => Ok(raw),
        }
    }

    /// A bool.
    pub(super) fn flag(&self, name: &'static str) -> Result<Option<bool>, Fault> {
        match self.text(name) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(Fault::wrong_type("a boolean").at(name)),
        }
    }

    /// The members that the model gets as they are: those that OpenAI, Converse and gateways don't know, and those that
    /// the config or the client lets through although the model lacks them: no others of these come here, but for
    /// values that ask for nothing.
    pub(super) fn passing(&self, target: &Target) -> Vec<(&'a str, &'a RawValue)> {
        let is_idle = |name: &str| IDLE.iter().any(|(idle, text)| *idle == name && self.text(name) == Some(text));
        let passes = |name: &str| {
            let is_known = params::known(Endpoint::ChatCompletions).contains(&name);
            let is_ours = is_known || [BUILT, TOP_LEVEL, INFERENCE].iter().any(|list| list.contains(&name));
            let is_let_through = || LACKING.contains(&name) && (target.params.allows(name) || !is_idle(name));
            if is_ours { is_let_through() } else { !params::is_gateways(name) }
        };
        let members = self.index.members().iter().filter(|m| m.shape != Shape::Null && passes(&m.key));
        let raw = |member: &Member| serde_json::from_slice(self.body.get(member.value.clone())?).ok();
        members.filter_map(|member| Some((member.key.as_str(), raw(member)?))).collect()
    }
}
