//! Vendors that speak OpenAI's language with an accent, and Azure.
//!
//! `dialect=groq` (as OpenRouter and Together): the model reasons in `reasoning`. `dialect=mistral`: it reasons in a list
//! of content, a member that Mistral does not know is refused, and a stream tells its usage beside the last choice. A
//! path with `/openai/deployments/` or `/openai/v1/` is Azure's: it wants its own header and `api-version`.
//!
//! Written from knowledge of the vendors' pages that tests/golden/openai-dialects/NOTES.md and
//! tests/golden/azure/NOTES.md name.

use serde_json::Value;

use crate::value::{Object, object};
use crate::vendor::{Call, Fault};

/// What a reasoning model thinks.
const THOUGHT: &str = "The question is about caf\u{e9}s.";

/// What Mistral's chat completions take.
const MISTRAL_TAKES: &[&str] = &[
    "frequency_penalty",
    "max_tokens",
    "messages",
    "model",
    "n",
    "parallel_tool_calls",
    "prediction",
    "presence_penalty",
    "prompt_mode",
    "random_seed",
    "response_format",
    "safe_prompt",
    "stop",
    "stream",
    "temperature",
    "tool_choice",
    "tools",
    "top_p",
];

/// The accent of an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Dialect {
    OpenAi,
    Azure,
    Groq,
    Mistral,
}

impl Dialect {
    /// The accent that the path or the script asks for.
    pub(crate) fn of(call: &Call<'_>) -> Self {
        let path = call.head.uri.path();
        match call.script.shape.dialect.as_deref() {
            Some("groq") => Self::Groq,
            Some("mistral") => Self::Mistral,
            _ if path.contains("/openai/deployments/") || path.contains("/openai/v1/") => Self::Azure,
            _ => Self::OpenAi,
        }
    }

    /// Refuses what this vendor refuses.
    pub(crate) fn check(self, call: &Call<'_>) -> Result<(), Fault> {
        match self {
            Self::OpenAi | Self::Groq => Ok(()),
            Self::Azure => azure(call),
            Self::Mistral => mistral(call),
        }
    }

    /// The message of a whole answer.
    pub(crate) fn message(self, message: Object, text: Option<&str>) -> Object {
        match (self, text) {
            (Self::Groq, _) => message.with("reasoning", THOUGHT),
            (Self::Mistral, Some(text)) => {
                let said = object! {"type": "text", "text": text};
                object! {"role": "assistant", "content": [thinking(), said]}
            }
            (Self::OpenAi | Self::Azure | Self::Mistral, _) => message,
        }
    }

    /// The delta of a stream with the reasoning.
    pub(crate) fn thought(self) -> Option<Object> {
        match self {
            Self::Groq => Some(object! {"reasoning": THOUGHT}),
            Self::Mistral => Some(object! {"content": [thinking()]}),
            Self::OpenAi | Self::Azure => None,
        }
    }

    /// What Azure's filters found in the prompt.
    pub(crate) fn filters(self) -> Option<Object> {
        let found = object! {"hate": object! {"filtered": false, "severity": "safe"}};
        let results = [object! {"prompt_index": 0_u64, "content_filter_results": found}];
        (self == Self::Azure).then(|| {
            object! {
                "choices": Vec::<Object>::new(), "created": 0_u64, "id": "", "model": "", "object": "",
                "prompt_filter_results": results,
            }
        })
    }
}

fn thinking() -> Object {
    object! {"type": "thinking", "thinking": [object! {"type": "text", "text": THOUGHT}]}
}

fn azure(call: &Call<'_>) -> Result<(), Fault> {
    let bearer = call.head.headers.get("authorization").and_then(|value| value.to_str().ok());
    let is_token = bearer.is_some_and(|value| value.starts_with("Bearer ey"));
    if !call.has_header("api-key") && !is_token {
        return Err(Fault::new(401, "Access denied due to missing api-key header or Entra token."));
    }
    let has_version = call.head.uri.query().is_some_and(|query| query.contains("api-version="));
    if call.head.uri.path().contains("/openai/deployments/") && !has_version {
        return Err(Fault::new(404, "Resource not found"));
    }
    Ok(())
}

fn mistral(call: &Call<'_>) -> Result<(), Fault> {
    let body: Value = serde_json::from_slice(call.body).unwrap_or_default();
    let unknown = body.as_object().and_then(|body| body.keys().find(|name| !MISTRAL_TAKES.contains(&name.as_str())));
    match unknown {
        Some(name) => Err(Fault::new(422, format!("Extra inputs are not permitted: {name}"))),
        None => Ok(()),
    }
}
