//! The parameters of a chat completion: which Anthropic has, which it lacks, and which are not meant for it.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::json::scan::Member;
use crate::json::{Index, Shape};
use crate::openai::{Endpoint, Request};
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
    pub(super) fn raw(&self, name: &str) -> Option<&'a RawValue> {
        self.text(name).and_then(|text| serde_json::from_str(text).ok())
    }

    /// The members that Anthropic gets as they are: those that OpenAI and gateways don't know, and those that the
    /// config lets through. Of members with the same name the last one counts.
    pub(super) fn passing(&self, target: &Target) -> BTreeMap<&'a str, &'a RawValue> {
        let passes = |name: &str| {
            let is_ours = params::known(Endpoint::ChatCompletions).contains(&name) || BUILT.contains(&name);
            if is_ours { LACKING.contains(&name) && target.params.allows(name) } else { !params::is_gateways(name) }
        };
        let members = self.index.members().iter().filter(|member| passes(&member.key));
        let raw = |member: &Member| serde_json::from_slice(self.body.get(member.value.clone())?).ok();
        members.filter_map(|member| Some((member.key.as_str(), raw(member)?))).collect()
    }
}
