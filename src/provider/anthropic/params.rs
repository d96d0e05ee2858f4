//! The parameters of a chat completion: which Anthropic has, which it lacks, and which are not meant for it.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::error::{Error, Kind};
use crate::json::scan::Member;
use crate::json::{Index, Shape};
use crate::openai::{Endpoint, Request};
use crate::provider::Target;

/// What happens to a parameter. One that is not in [`TABLE`] is Anthropic's own or newer than us and passes on.
#[derive(Clone, Copy, Debug)]
enum Rule {
    /// Translated by another module.
    Mapped,
    /// Meant for a gateway.
    Gateway,
    /// Anthropic has nothing like it.
    Lacking,
    /// Anthropic has nothing like it, but this value, the default, asks for nothing.
    LackingUnless(&'static [u8]),
}

/// Source: LITELLM.md 3.1 and 4; Anthropic, "Create a message"
/// <https://platform.claude.com/docs/en/api/messages/create>, not re-read for this.
const TABLE: &[(&str, Rule)] = &[
    ("model", Rule::Mapped),
    ("messages", Rule::Mapped),
    ("stream", Rule::Mapped),
    ("stream_options", Rule::Mapped),
    ("max_tokens", Rule::Mapped),
    ("max_completion_tokens", Rule::Mapped),
    ("temperature", Rule::Mapped),
    ("top_p", Rule::Mapped),
    ("top_k", Rule::Mapped),
    ("stop", Rule::Mapped),
    ("tools", Rule::Mapped),
    ("tool_choice", Rule::Mapped),
    ("parallel_tool_calls", Rule::Mapped),
    ("response_format", Rule::Mapped),
    ("reasoning_effort", Rule::Mapped),
    ("user", Rule::Mapped),
    ("metadata", Rule::Mapped),
    ("thinking", Rule::Mapped),
    ("output_config", Rule::Mapped),
    ("frequency_penalty", Rule::Lacking),
    ("presence_penalty", Rule::Lacking),
    ("logit_bias", Rule::Lacking),
    ("logprobs", Rule::LackingUnless(b"false")),
    ("top_logprobs", Rule::Lacking),
    ("n", Rule::LackingUnless(b"1")),
    ("seed", Rule::Lacking),
    ("functions", Rule::Lacking),
    ("function_call", Rule::Lacking),
    ("audio", Rule::Lacking),
    ("modalities", Rule::LackingUnless(b"[\"text\"]")),
    ("prediction", Rule::Lacking),
    ("store", Rule::LackingUnless(b"false")),
    ("safety_identifier", Rule::Lacking),
    ("prompt_cache_key", Rule::Lacking),
    ("prompt_cache_retention", Rule::Lacking),
    ("verbosity", Rule::Lacking),
    ("web_search_options", Rule::Mapped),
    ("max_retries", Rule::Gateway),
    ("num_retries", Rule::Gateway),
    ("fallbacks", Rule::Gateway),
    ("context_window_fallbacks", Rule::Gateway),
    ("content_policy_fallbacks", Rule::Gateway),
    ("disable_fallbacks", Rule::Gateway),
    ("mock_response", Rule::Gateway),
    ("mock_testing_fallbacks", Rule::Gateway),
    ("mock_testing_context_fallbacks", Rule::Gateway),
    ("mock_testing_content_policy_fallbacks", Rule::Gateway),
    ("mock_testing_rate_limit_error", Rule::Gateway),
    ("tags", Rule::Gateway),
    ("cache", Rule::Gateway),
    ("caching", Rule::Gateway),
    ("no-log", Rule::Gateway),
    ("guardrails", Rule::Gateway),
    ("drop_params", Rule::Gateway),
    ("additional_drop_params", Rule::Gateway),
    ("allowed_openai_params", Rule::Gateway),
    ("modify_params", Rule::Gateway),
    ("litellm_metadata", Rule::Gateway),
    ("litellm_params", Rule::Gateway),
    ("litellm_session_id", Rule::Gateway),
    ("litellm_trace_id", Rule::Gateway),
    ("litellm_call_id", Rule::Gateway),
    ("proxy_server_request", Rule::Gateway),
    ("model_info", Rule::Gateway),
    ("model_list", Rule::Gateway),
    ("custom_llm_provider", Rule::Gateway),
    ("api_key", Rule::Gateway),
    ("api_base", Rule::Gateway),
    ("base_url", Rule::Gateway),
    ("api_version", Rule::Gateway),
    ("extra_headers", Rule::Gateway),
    ("extra_body", Rule::Gateway),
    ("headers", Rule::Gateway),
    ("timeout", Rule::Gateway),
    ("request_timeout", Rule::Gateway),
    ("stream_timeout", Rule::Gateway),
    ("priority", Rule::Gateway),
    ("ttl", Rule::Gateway),
    ("input_cost_per_token", Rule::Gateway),
    ("output_cost_per_token", Rule::Gateway),
];

fn rule(name: &str) -> Option<Rule> {
    TABLE.iter().find(|(known, _)| *known == name).map(|(_, rule)| *rule)
}

/// Whether Anthropic has the endpoint and every parameter of `request`. The messages are not looked into.
///
/// # Errors
///
/// `UnsupportedEndpoint`, and `UnsupportedParameter` unless `target.drop_params`.
pub fn check(request: &Request, target: &Target) -> Result<(), Error> {
    if request.endpoint != Endpoint::ChatCompletions {
        let message = format!("{} has no endpoint {}", target.provider_name, request.endpoint.path());
        return Err(Error::new(Kind::UnsupportedEndpoint, message));
    }
    if target.drop_params {
        return Ok(());
    }
    let given = request.index.members().iter().filter(|member| member.shape != Shape::Null);
    for member in given {
        let value = request.body.get(member.value.clone()).unwrap_or_default();
        if is_lacking(&member.key, value, target) {
            let message = format!("{} does not support the parameter '{}'", target.provider_name, member.key);
            return Err(Error::new(Kind::UnsupportedParameter, message).with_param(member.key.as_str()));
        }
    }
    Ok(())
}

fn is_lacking(name: &str, value: &[u8], target: &Target) -> bool {
    match rule(name) {
        Some(Rule::Lacking) => true,
        Some(Rule::LackingUnless(default)) => !value.iter().filter(|b| !b.is_ascii_whitespace()).eq(default),
        Some(Rule::Mapped) if name == "reasoning_effort" => !target.supports_reasoning && value != b"\"none\"",
        Some(Rule::Mapped | Rule::Gateway) | None => false,
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
    pub(super) fn raw(&self, name: &str) -> Option<&'a RawValue> {
        self.text(name).and_then(|text| serde_json::from_str(text).ok())
    }

    /// The members that Anthropic gets as they are. Of members with the same name the last one counts.
    pub(super) fn passing(&self) -> BTreeMap<&'a str, &'a RawValue> {
        let members = self.index.members().iter().filter(|member| rule(&member.key).is_none());
        let raw = |member: &Member| serde_json::from_slice(self.body.get(member.value.clone())?).ok();
        members.filter_map(|member| Some((member.key.as_str(), raw(member)?))).collect()
    }
}
