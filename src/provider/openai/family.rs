//! OpenAI's model families: what their parameters are, by the name of the model.
//!
//! Source: LiteLLM 1.109.1, `llms/openai/chat/o_series_transformation.py`, `gpt_reasoning_transformation.py` and its
//! price map, read 2026-11-23; LITELLM.md 3.5.
//!
//! A name in no known family lacks nothing: behind `openai/` may stand any server.

use crate::provider::Target;

/// A family of models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// o1, o3, o4.
    O,
    /// gpt-5 and later; `effort` tells when the model does not reason, and so takes sampling parameters.
    Gpt5 { effort: Effort },
    /// gpt-5 with a search that cannot be turned off.
    Gpt5Search,
    /// The models before, which do not reason.
    Gpt4,
    /// No known name.
    Other,
}

/// Which reasoning effort a model of the gpt-5 family may do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effort {
    /// It always reasons.
    Always,
    /// It reasons unless told not to.
    ByDefault,
    /// It does not reason unless told to.
    OnDemand,
}

const O_LACKS: &[&str] =
    &["frequency_penalty", "logprobs", "presence_penalty", "thinking", "top_logprobs", "top_p", "verbosity"];
const GPT5_LACKS: &[&str] = &[
    "audio",
    "frequency_penalty",
    "logit_bias",
    "modalities",
    "prediction",
    "presence_penalty",
    "stop",
    "thinking",
    "web_search_options",
];
const GPT5_SEARCH_HAS: &[&str] = &[
    "max_completion_tokens",
    "max_tokens",
    "response_format",
    "safety_identifier",
    "service_tier",
    "store",
    "stream",
    "stream_options",
    "user",
    "verbosity",
    "web_search_options",
];
const SAMPLING: &[&str] = &["logprobs", "top_logprobs", "top_p"];
const REASONING: &[&str] = &["reasoning_effort", "thinking", "verbosity"];

impl Family {
    /// The family of the model that `target` is known by.
    pub(super) fn of(target: &Target) -> Self {
        let name = target.base_model.rsplit('/').next().unwrap_or_default();
        let is_marked = |mark: &str| target.model.starts_with(mark);
        // Names are short, and this is asked for each parameter: to set a string search up would take longer than to search.
        let has = |mark: &str| name.as_bytes().windows(mark.len()).any(|part| part == mark.as_bytes());
        let mut start = name.bytes();
        match (start.next(), start.next()) {
            _ if is_marked("o_series/") => return Self::O,
            (Some(b'o'), Some(digit)) if digit.is_ascii_digit() => return Self::O,
            _ => {}
        }
        let is_late = ["gpt-5", "gpt-6"].into_iter().any(has) || is_marked("gpt5_series/");
        if is_late && !has("gpt-5-chat") {
            return if has("search") { Self::Gpt5Search } else { Self::Gpt5 { effort: effort(name) } };
        }
        let is_early =
            ["gpt-4", "gpt-3.5", "chatgpt-", "gpt-5-chat", "gpt-35"].iter().any(|start| name.starts_with(start));
        if is_early { Self::Gpt4 } else { Self::Other }
    }

    /// Whether it takes `max_completion_tokens` and not `max_tokens`.
    pub(super) fn counts_reasoning(self) -> bool {
        matches!(self, Self::O | Self::Gpt5 { .. } | Self::Gpt5Search)
    }

    /// Whether it lacks the value of `name`; `asked_effort` is the request's `reasoning_effort`.
    pub(super) fn lacks_value(self, name: &str, value: &[u8], asked_effort: Option<&str>) -> bool {
        let reasons = match self {
            Self::O => true,
            Self::Gpt5 { effort } => match asked_effort {
                Some(asked) => effort == Effort::Always || asked != "none",
                None => effort != Effort::OnDemand,
            },
            Self::Gpt5Search | Self::Gpt4 | Self::Other => false,
        };
        match (self, name) {
            (_, "temperature") => reasons && !is_one(value),
            (Self::Gpt5 { .. }, name) if SAMPLING.contains(&name) => reasons,
            (Self::Gpt5 { effort: Effort::Always }, "reasoning_effort") => value == b"\"none\"",
            (Self::Gpt5 { .. }, "reasoning_effort") => value == b"\"minimal\"",
            _ => false,
        }
    }
}

fn effort(name: &str) -> Effort {
    let minor = name.split_once("gpt-5.").map(|(_, rest)| rest.split(|c: char| !c.is_ascii_digit()).next());
    let minor: u32 = minor.flatten().and_then(|digits| digits.parse().ok()).unwrap_or(0);
    let is_special = ["codex", "chat", "cyber", "pro"].iter().any(|kind| name.contains(kind));
    match minor {
        _ if is_special => Effort::Always,
        1..=4 => Effort::OnDemand,
        5.. => Effort::ByDefault,
        0 if name.contains("gpt-6") => Effort::ByDefault,
        0 => Effort::Always,
    }
}

fn is_one(value: &[u8]) -> bool {
    serde_json::from_slice::<f64>(value).is_ok_and(|value| (value - 1.0).abs() < f64::EPSILON)
}

/// Whether the model of `target` lacks the parameter `name`, at OpenAI.
pub(super) fn lacks(target: &Target, name: &str) -> bool {
    match Family::of(target) {
        Family::O => O_LACKS.contains(&name) || name == "parallel_tool_calls",
        family => lacks_of(family, name),
    }
}

/// The same at Azure, where the name of a deployment may say nothing of its model.
pub(super) fn lacks_at_azure(target: &Target, name: &str) -> bool {
    const UNKNOWN: &[&str] = &["prompt_cache_retention", "safety_identifier", "service_tier"];
    match Family::of(target) {
        Family::O => O_LACKS.contains(&name),
        Family::Gpt4 | Family::Other => {
            UNKNOWN.contains(&name)
                || name == "thinking"
                || name == "verbosity"
                || (name == "reasoning_effort" && !target.supports_reasoning)
        }
        family => lacks_of(family, name),
    }
}

fn lacks_of(family: Family, name: &str) -> bool {
    match family {
        Family::O => O_LACKS.contains(&name),
        Family::Gpt5 { effort } => GPT5_LACKS.contains(&name) || (effort == Effort::Always && SAMPLING.contains(&name)),
        Family::Gpt5Search => !GPT5_SEARCH_HAS.contains(&name),
        Family::Gpt4 => REASONING.contains(&name),
        Family::Other => false,
    }
}

/// Whether the target is OpenAI's own API, whose clients speak its language already.
pub(super) fn is_openais(target: &Target) -> bool {
    matches!(target.vendor.prefix, "openai" | "text-completion-openai")
}

/// Whether the model knows the role `developer`.
pub(super) fn knows_developer(target: &Target) -> bool {
    if is_openais(target) {
        return true;
    }
    Family::of(target) == Family::O
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn names_tell_the_family() {
        for (name, family) in [
            ("o3-mini", Family::O),
            ("o1", Family::O),
            ("gpt-5", Family::Gpt5 { effort: Effort::Always }),
            ("gpt-5-codex", Family::Gpt5 { effort: Effort::Always }),
            ("gpt-5.1-2025-11-13", Family::Gpt5 { effort: Effort::OnDemand }),
            ("gpt-5.4-mini", Family::Gpt5 { effort: Effort::OnDemand }),
            ("gpt-5.6", Family::Gpt5 { effort: Effort::ByDefault }),
            ("gpt-5-search-api", Family::Gpt5Search),
            ("gpt-5-chat-latest", Family::Gpt4),
            ("gpt-4o-mini", Family::Gpt4),
            ("ollama", Family::Other),
            ("my-own", Family::Other),
        ] {
            assert_eq!(Family::of(&Target::of("openai", name)), family, "{name}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_model_that_reasons_takes_no_other_temperature() {
        let family = |name| Family::of(&Target::of("openai", name));
        for (name, value, effort, lacks) in [
            ("o3", "0.5", None, true),
            ("o3", "1", None, false),
            ("o3", "1.0", None, false),
            ("gpt-5", "0", Some("low"), true),
            ("gpt-5.1", "0", None, false),
            ("gpt-5.1", "0", Some("low"), true),
            ("gpt-5.6", "0", None, true),
            ("gpt-5.6", "0", Some("none"), false),
            ("gpt-4o", "0", None, false),
        ] {
            assert_eq!(family(name).lacks_value("temperature", value.as_bytes(), effort), lacks, "{name} {value}");
        }
    }
}
