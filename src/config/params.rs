//! What a deployment makes of a request's parameters: `drop_params` and its like, defaults, `extra_body`.

use serde_json::value::RawValue;

use super::read::Node;
use crate::provider::params::{Members, Params};

/// The parameters of `litellm_params` that fill what a client left out.
pub(super) const DEFAULTS: &[&str] = &[
    "audio",
    "dimensions",
    "encoding_format",
    "frequency_penalty",
    "function_call",
    "functions",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "metadata",
    "modalities",
    "n",
    "parallel_tool_calls",
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "prompt_cache_retention",
    "reasoning_effort",
    "response_format",
    "safety_identifier",
    "seed",
    "service_tier",
    "stop",
    "store",
    "temperature",
    "thinking",
    "tool_choice",
    "tools",
    "top_k",
    "top_logprobs",
    "top_p",
    "user",
    "verbosity",
    "web_search_options",
];

/// Reads what `litellm_params` says; `drop` where it says nothing of `drop_params`.
pub(super) fn params(node: &Node<'_>, drop: bool) -> Params {
    let defaults = node.members().into_iter().filter(|(name, _)| DEFAULTS.contains(name));
    Params {
        drop: node.at("drop_params").flag().unwrap_or(drop),
        additional_drop: node.at("additional_drop_params").names().unwrap_or_default(),
        allowed: node.at("allowed_openai_params").names().unwrap_or_default(),
        defaults: members(defaults),
        extra_body: members(node.section("extra_body").members().into_iter()),
    }
}

fn members<'a>(nodes: impl Iterator<Item = (&'a str, Node<'a>)>) -> Members {
    let text = |node: &Node<'_>| RawValue::from_string(node.resolved().to_string()).ok();
    Members(nodes.filter_map(|(name, node)| Some((name.to_owned(), text(&node)?))).collect())
}
