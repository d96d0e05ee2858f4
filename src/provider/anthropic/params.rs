//! The parameters of a chat completion: which Anthropic has, which it lacks, and which are not meant for it.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::openai::Endpoint;
use crate::provider::given::Given;
use crate::provider::{Target, params};

/// OpenAI's parameters that Anthropic has nothing like.
///
/// Source: LITELLM.md 3.1 and 4; Anthropic, "Create a message"
/// <https://platform.claude.com/docs/en/api/messages/create>, not re-read for this.
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

/// Anthropic's own parameters that are not passed on but built.
const BUILT: &[&str] = &["model", "messages", "top_k", "metadata", "output_config"];

/// Whether Anthropic lacks the parameter `name`, or this model of it.
pub(super) fn lacks(name: &str, target: &Target) -> bool {
    LACKING.contains(&name) || (name == "reasoning_effort" && !target.supports_reasoning)
}

/// The members that Anthropic gets as they are: those that OpenAI and gateways don't know, and those that the config lets
/// through. Of members with the same name the last one counts.
pub(super) fn passing<'a>(given: &Given<'a>, target: &Target) -> BTreeMap<&'a str, &'a RawValue> {
    let passes = |name: &str| {
        let is_ours = params::known(Endpoint::ChatCompletions).contains(&name) || BUILT.contains(&name);
        if is_ours { LACKING.contains(&name) && target.params.allows(name) } else { !params::is_gateways(name) }
    };
    given.members(|member| passes(&member.key)).collect()
}
