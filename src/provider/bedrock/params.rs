//! The parameters of a chat completion: which a model on Bedrock has, which it lacks, and where the others go.

use serde_json::value::RawValue;

use super::model::{Model, Reasoning};
use crate::json::Shape;
use crate::openai::Endpoint;
use crate::provider::given::Given;
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

/// The members that the model gets as they are: those that OpenAI, Converse and gateways don't know, and those that the
/// config or the client lets through although the model lacks them: no others of these come here, but for values that ask
/// for nothing.
pub(super) fn passing<'a>(given: &Given<'a>, target: &Target) -> Vec<(&'a str, &'a RawValue)> {
    let is_idle = |name: &str| IDLE.iter().any(|(idle, text)| *idle == name && given.text(name) == Some(text));
    let passes = |name: &str| {
        let is_known = params::known(Endpoint::ChatCompletions).contains(&name);
        let is_ours = is_known || [BUILT, TOP_LEVEL, INFERENCE].iter().any(|list| list.contains(&name));
        let is_let_through = || LACKING.contains(&name) && (target.params.allows(name) || !is_idle(name));
        if is_ours { is_let_through() } else { !params::is_gateways(name) }
    };
    given.members(|member| member.shape != Shape::Null && passes(&member.key)).collect()
}
