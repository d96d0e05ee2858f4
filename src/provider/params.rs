//! Which parameters a target takes: what is refused, dropped, added and let through, in one place for all vendors.
//!
//! The rules are LiteLLM's (LITELLM.md 4): a parameter that OpenAI knows and the target lacks is refused, unless
//! `drop_params` drops it or `allowed_openai_params` lets it through; one that OpenAI doesn't know is never checked.
//! What a target lacks is its language's to say ([`super::Language::lacks`]), so a language never meets a parameter
//! that it lacks.
//!
//! A request that nothing of this touches is not copied.

use std::borrow::Cow;
use std::fmt;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::error::{Error, Kind};
use crate::json::scan::{Member, members_of};
use crate::json::{Index, Shape, Splice};
use crate::openai::form::Part;
use crate::openai::{Endpoint, Form, Request};
use crate::provider::Target;

/// What a deployment's config makes of a request's parameters.
#[derive(Clone, Debug, Default)]
pub struct Params {
    /// `drop_params`: drop what the target lacks instead of refusing the request.
    pub drop: bool,
    /// `additional_drop_params`: names, or paths such as `tools[*].input_examples`, that never go upstream.
    pub additional_drop: Vec<String>,
    /// `allowed_openai_params`: names that go upstream although the target is said to lack them.
    pub allowed: Vec<String>,
    /// Parameters that fill what the client left out.
    pub defaults: Members,
    /// `extra_body`: members of the provider's own body, over those that we write.
    pub extra_body: Members,
}

/// Members of a JSON object, in their order.
#[derive(Clone, Default)]
pub struct Members(pub Vec<(String, Box<RawValue>)>);

impl fmt::Debug for Members {
    /// The names only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// OpenAI's parameters of chat completions beside `model` and `messages`, and LiteLLM's `thinking`.
///
/// Source: LITELLM.md 3.5 and 4; OpenAI, "Create chat completion"
/// <https://platform.openai.com/docs/api-reference/chat/create>, not re-read for this.
const CHAT: &[&str] = &[
    "audio",
    "frequency_penalty",
    "function_call",
    "functions",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
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
    "stream",
    "stream_options",
    "temperature",
    "thinking",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "user",
    "verbosity",
    "web_search_options",
];
/// Parameters that chat completions and responses have in common.
const RESPONSES: &[&str] = &[
    "metadata",
    "parallel_tool_calls",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
    "store",
    "temperature",
    "top_logprobs",
    "top_p",
    "user",
];
const EMBEDDINGS: &[&str] = &["dimensions", "encoding_format", "user"];

/// The config's defaults that Anthropic's Messages have in the same meaning.
const MESSAGES_DEFAULTS: &[&str] = &["max_tokens", "temperature", "thinking", "top_k", "top_p"];

/// The config's defaults that images and audio have in the same meaning.
const MEDIA_DEFAULTS: &[&str] = &["n", "response_format", "temperature", "user"];

/// Never refused: where they cannot be sent they are not.
const UNREFUSED: &[&str] = &["stream", "stream_options", "user"];

/// Values that ask for nothing.
const IDLE: &[(&str, &[u8])] = &[
    ("n", b"1"),
    ("logprobs", b"false"),
    ("store", b"false"),
    ("modalities", b"[\"text\"]"),
    ("reasoning_effort", b"\"none\""),
];

/// Members of a body that steer a gateway and mean nothing to a provider.
///
/// Source: LiteLLM 1.109.1, `types/utils.py`, `all_litellm_params`, read 2026-11-23.
const GATEWAY: &[&str] = &[
    "additional_drop_params",
    "allowed_openai_params",
    "api_base",
    "api_key",
    "api_version",
    "base_url",
    "cache",
    "caching",
    "content_policy_fallbacks",
    "context_window_fallbacks",
    "custom_llm_provider",
    "disable_fallbacks",
    "drop_params",
    "extra_body",
    "extra_headers",
    "fallbacks",
    "guardrails",
    "headers",
    "input_cost_per_token",
    "litellm_call_id",
    "litellm_metadata",
    "litellm_params",
    "litellm_session_id",
    "litellm_trace_id",
    "max_retries",
    "mock_response",
    "mock_testing_content_policy_fallbacks",
    "mock_testing_context_fallbacks",
    "mock_testing_fallbacks",
    "mock_testing_rate_limit_error",
    "model_info",
    "model_list",
    "modify_params",
    "no-log",
    "num_retries",
    "output_cost_per_token",
    "priority",
    "proxy_server_request",
    "request_timeout",
    "stream_timeout",
    "tags",
    "timeout",
    "ttl",
];

/// The OpenAI parameters of `endpoint` that a target may lack; of other endpoints nothing is checked.
pub const fn known(endpoint: Endpoint) -> &'static [&'static str] {
    match endpoint {
        Endpoint::ChatCompletions => CHAT,
        Endpoint::Embeddings => EMBEDDINGS,
        _ => &[],
    }
}

/// The OpenAI parameters of `endpoint` that `target` takes, in alphabetical order.
pub fn taken(endpoint: Endpoint, target: &Target) -> Vec<&'static str> {
    let takes = |name: &&&str| target.params.allows(name) || !target.vendor.language.lacks(name, endpoint, target);
    known(endpoint).iter().filter(takes).copied().collect()
}

/// Whether the member `name` of a body steers the gateway alone.
pub fn is_gateways(name: &str) -> bool {
    GATEWAY.binary_search(&name).is_ok()
}

/// Whether nobody is refused for the parameter `name` with this `value`, a JSON text: where it cannot be sent it is not.
pub fn goes_unrefused(name: &str, value: &[u8]) -> bool {
    let is_idle = |(idle, text): &(&str, &[u8])| {
        *idle == name && value.iter().filter(|byte| !byte.is_ascii_whitespace()).eq(text.iter())
    };
    UNREFUSED.contains(&name) || IDLE.iter().any(is_idle)
}

/// Whether `target` has the endpoint and every parameter of `request`, or may drop it. No value is looked into.
///
/// # Errors
///
/// `UnsupportedEndpoint`, `UnsupportedParameter`.
pub fn check(request: &Request, target: &Target) -> Result<(), Error> {
    let prefix = target.vendor.prefix;
    if !target.serves(request.endpoint) {
        let message = format!("the provider '{prefix}' has no endpoint {}", request.endpoint.path());
        return Err(Error::new(Kind::UnsupportedEndpoint, message));
    }
    let own = Own::of(request);
    if target.params.drop || own.drop {
        return Ok(());
    }
    match request.index.members().iter().find(|member| own.is_lacking(member, request, target)) {
        None => Ok(()),
        Some(Member { key, .. }) => {
            let message = format!(
                "{prefix} does not support the parameter '{key}' for this model; to have it dropped set drop_params, to \
                 have it sent all the same set allowed_openai_params"
            );
            Err(Error::new(Kind::UnsupportedParameter, message).with_param(key.as_str()))
        }
    }
}

/// `request` as `target` is asked it: without what is dropped, with the config's defaults; `None` where it is the same.
pub fn adapt(request: &Request, target: &Target) -> Option<Request> {
    if let Some(form) = &request.form {
        return adapt_form(request, form, target);
    }
    if request.endpoint == Endpoint::Realtime {
        return None;
    }
    let own = Own::of(request);
    let members = request.index.members();
    let is_absent = |name: &str| match name {
        "max_tokens" | "max_completion_tokens" | "max_output_tokens" => request.max_output_tokens.is_none(),
        _ => request.index.get(name).is_none(),
    };
    let defaults =
        target.params.defaults.0.iter().filter_map(|(name, value)| default_at(request.endpoint, name, value));
    let added: Vec<_> = defaults.filter(|(name, _)| is_absent(name)).collect();
    let drops: Vec<&str> =
        target.params.additional_drop.iter().chain(&own.additional_drop).map(String::as_str).collect();
    let goes = |member: &Member| {
        is_gateways(&member.key) || drops.contains(&member.key.as_str()) || own.is_lacking(member, request, target)
    };
    let is_inside = |member: &Member| drops.iter().any(|path| inside(path, &member.key).is_some());
    if added.is_empty() && !members.iter().any(|member| goes(member) || is_inside(member)) {
        return None;
    }
    let mut body = b"{".to_vec();
    for member in members.iter().filter(|member| !goes(member)) {
        let value = request.body.get(member.value.clone()).unwrap_or_default();
        let paths: Vec<&str> = drops.iter().filter_map(|path| inside(path, &member.key)).collect();
        write_member(&member.key, &pruned(value, &paths), &mut body);
    }
    added.iter().for_each(|(name, value)| write_member(name, value.as_bytes(), &mut body));
    body.push(b'}');
    request.with_body(body)
}

/// A default, which is in the words of chat completions, in those of `endpoint`; `None` where it has no place for it.
fn default_at<'a>(endpoint: Endpoint, name: &'a str, value: &'a RawValue) -> Option<(&'a str, Cow<'a, str>)> {
    let has_place = match endpoint {
        Endpoint::Responses => return response_default(name, value),
        Endpoint::ChatCompletions | Endpoint::Completions => !matches!(name, "dimensions" | "encoding_format"),
        Endpoint::Embeddings => EMBEDDINGS.contains(&name),
        Endpoint::Messages => MESSAGES_DEFAULTS.contains(&name),
        endpoint if endpoint.is_media() => MEDIA_DEFAULTS.contains(&name),
        _ => false,
    };
    has_place.then(|| (name, value.get().into()))
}

/// `request` without what `paths` lead to, and with one member more; `None` where that makes no sense.
pub fn edited(request: &Request, paths: &[&str], added: Option<(&str, String)>) -> Option<Request> {
    let mut body = b"{".to_vec();
    for member in request.index.members().iter().filter(|member| !paths.contains(&member.key.as_str())) {
        let value = request.body.get(member.value.clone()).unwrap_or_default();
        let below: Vec<&str> = paths.iter().filter_map(|path| inside(path, &member.key)).collect();
        write_member(&member.key, &pruned(value, &below), &mut body);
    }
    added.iter().for_each(|(name, value)| write_member(name, value.as_bytes(), &mut body));
    body.push(b'}');
    request.with_body(body)
}

/// The same in the words of responses.
fn response_default<'a>(name: &'a str, value: &'a RawValue) -> Option<(&'a str, Cow<'a, str>)> {
    match name {
        "max_tokens" | "max_completion_tokens" => Some(("max_output_tokens", value.get().into())),
        "reasoning_effort" => Some(("reasoning", format!("{{\"effort\":{}}}", value.get()).into())),
        "verbosity" => Some(("text", format!("{{\"verbosity\":{}}}", value.get()).into())),
        _ => RESPONSES.contains(&name).then(|| (name, value.get().into())),
    }
}

/// [`adapt`] for a form: defaults that are text, numbers or flags become parts.
fn adapt_form(request: &Request, form: &Form, target: &Target) -> Option<Request> {
    let goes = |part: &Part| is_gateways(&part.name) || target.params.additional_drop.contains(&part.name);
    let gone = form.parts().iter().filter(|part| goes(part));
    let is_absent = |name: &str| form.named(name).next().is_none();
    let defaults = target.params.defaults.0.iter();
    let defaults = defaults.filter(|(name, _)| MEDIA_DEFAULTS.contains(&name.as_str()) && is_absent(name));
    let added = defaults.filter_map(|(name, value)| {
        let value = match serde_json::from_str(value.get()).ok()? {
            Value::String(text) => text,
            Value::Bool(flag) => flag.to_string(),
            Value::Number(number) => number.to_string(),
            Value::Null | Value::Array(_) | Value::Object(_) => return None,
        };
        form.takes(&value).then(|| form.part(name, &value))
    });
    let mut splice = Splice::default();
    let added: Vec<u8> = added.flatten().collect();
    if !added.is_empty() {
        splice.replace(form.start()..form.start(), added).then_some(())?;
    }
    for part in gone {
        splice.replace(part.whole.clone(), "").then_some(())?;
    }
    if splice == Splice::default() {
        return None;
    }
    request.with_body(splice.apply(&request.body)?)
}

/// What a request's body says of its own parameters.
struct Own {
    drop: bool,
    additional_drop: Vec<String>,
    allowed: Vec<String>,
}

impl Own {
    fn of(request: &Request) -> Self {
        let names = |key| request.index.read::<Vec<String>>(&request.body, key).ok().flatten().unwrap_or_default();
        let drop = request.index.get("drop_params").and_then(|member| request.body.get(member.value.clone()));
        Self {
            drop: matches!(drop, Some(b"true" | b"\"true\"" | b"\"True\"")),
            additional_drop: names("additional_drop_params"),
            allowed: names("allowed_openai_params"),
        }
    }

    fn is_lacking(&self, member: &Member, request: &Request, target: &Target) -> bool {
        let name = member.key.as_str();
        let value = request.body.get(member.value.clone()).unwrap_or_default();
        let language = target.vendor.language;
        member.shape != Shape::Null
            && known(request.endpoint).contains(&name)
            && !goes_unrefused(name, value)
            && !target.params.allows(name)
            && !self.allowed.iter().any(|allowed| allowed == name)
            && !target.params.additional_drop.iter().chain(&self.additional_drop).any(|dropped| dropped == name)
            && (language.lacks(name, request.endpoint, target) || language.lacks_value(name, value, request, target))
    }
}

impl Params {
    /// Whether `name` goes upstream although the target is said to lack it.
    pub fn allows(&self, name: &str) -> bool {
        self.allowed.iter().any(|allowed| allowed == name)
    }

    /// Puts `extra_body` into a body of the provider's.
    pub fn extend(&self, body: &mut Vec<u8>) {
        let Ok(index) = Index::parse(body) else { return };
        let mut out = b"{".to_vec();
        let ours = |member: &&Member| !self.extra_body.0.iter().any(|(name, _)| *name == member.key);
        for member in index.members().iter().filter(ours) {
            write_member(&member.key, body.get(member.value.clone()).unwrap_or_default(), &mut out);
        }
        self.extra_body.0.iter().for_each(|(name, value)| write_member(name, value.get().as_bytes(), &mut out));
        out.push(b'}');
        *body = out;
    }
}

fn write_member(name: &str, value: &[u8], out: &mut Vec<u8>) {
    if out.last() != Some(&b'{') {
        out.push(b',');
    }
    // Writing a string to memory cannot fail.
    let _written = serde_json::to_writer(&mut *out, name);
    out.push(b':');
    out.extend_from_slice(value);
}

/// The rest of `path` below the member `name`: `[*].b` of `a[*].b`, `.b` of `a.b`.
fn inside<'a>(path: &'a str, name: &str) -> Option<&'a str> {
    path.strip_prefix(name).filter(|rest| rest.starts_with(['.', '[']))
}

/// `value` without what `paths` lead to; a path that leads nowhere changes nothing.
fn pruned(value: &[u8], paths: &[&str]) -> Vec<u8> {
    if paths.is_empty() {
        return value.to_vec();
    }
    pruned_object(value, paths).or_else(|| pruned_array(value, paths)).unwrap_or_else(|| value.to_vec())
}

fn pruned_object(value: &[u8], paths: &[&str]) -> Option<Vec<u8>> {
    let steps: Vec<&str> = paths.iter().filter_map(|path| path.strip_prefix('.')).collect();
    let object = members_of(value, 0..value.len())?;
    let mut out = b"{".to_vec();
    for member in object.members().iter().filter(|member| !steps.contains(&member.key.as_str())) {
        let below: Vec<&str> = steps.iter().filter_map(|step| inside(step, &member.key)).collect();
        write_member(&member.key, &pruned(value.get(member.value.clone())?, &below), &mut out);
    }
    out.push(b'}');
    Some(out)
}

fn pruned_array(value: &[u8], paths: &[&str]) -> Option<Vec<u8>> {
    let elements: Vec<&RawValue> = serde_json::from_slice(value).ok()?;
    let steps: Vec<(&str, &str)> = paths.iter().filter_map(|path| path.strip_prefix('[')?.split_once(']')).collect();
    let leads_to = |at: usize, step: &str| step == "*" || step.parse() == Ok(at);
    let mut out = b"[".to_vec();
    for (at, element) in elements.iter().enumerate() {
        let below: Vec<&str> = steps.iter().filter(|(step, _)| leads_to(at, step)).map(|(_, rest)| *rest).collect();
        if below.contains(&"") {
            continue;
        }
        if out.len() > 1 {
            out.push(b',');
        }
        out.extend(pruned(element.get().as_bytes(), &below));
    }
    out.push(b']');
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn the_gateways_names_are_sorted() {
        assert!(GATEWAY.is_sorted());
        assert!(CHAT.is_sorted() && EMBEDDINGS.is_sorted());
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn paths_are_pruned_and_all_else_stays() {
        let value = br#"[{"a":1,"b":{"c": [ 2 ]}},{"a":3},"a"]"#;
        for (paths, expected) in [
            (vec!["[*].a"], r#"[{"b":{"c": [ 2 ]}},{},"a"]"#),
            (vec!["[0].b.c"], r#"[{"a":1,"b":{}},{"a":3},"a"]"#),
            (vec!["[0].b.c[0]", "[1]"], r#"[{"a":1,"b":{"c":[]}},"a"]"#),
            (vec!["[7]", ".a", "[*].z"], r#"[{"a":1,"b":{"c": [ 2 ]}},{"a":3},"a"]"#),
        ] {
            assert_eq!(String::from_utf8(pruned(value, &paths)).unwrap(), expected, "{paths:?}");
        }
    }
}
