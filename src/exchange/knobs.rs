//! What a client may say about the way of its request, in its headers and its body.
//!
//! Source: LiteLLM, "Request headers" <https://docs.litellm.ai/docs/proxy/request_headers> and "Reliability"
//! <https://docs.litellm.ai/docs/proxy/reliability>, not re-read for this.
//!
//! # Limits
//!
//! Of `fallbacks`, names are taken, and the `model` of objects; other members of such an object are not. Names that no
//! model has are passed over: the answer does not tell which there are.

use serde::Deserialize;

use super::Headers;
use crate::error::{Error, Kind};
use crate::openai::Request;
use crate::units::Millis;

/// The headers of a request that say something about its way.
#[derive(Clone, Debug, Default)]
pub(super) struct KnobHeaders {
    num_retries: Option<String>,
    timeout: Option<String>,
    pub(super) tags: Option<String>,
    pub(super) session: Option<String>,
    end_user: Option<String>,
}

/// What a client said.
#[derive(Clone, Debug, Default)]
pub(super) struct Knobs {
    pub(super) num_retries: Option<u32>,
    pub(super) timeout: Option<Millis>,
    pub(super) fallbacks: Option<Vec<String>>,
    pub(super) disable_fallbacks: bool,
    pub(super) tags: Vec<String>,
    pub(super) session: Option<String>,
    /// Who asks the client.
    pub(super) end_user: Option<String>,
}

/// The most retries that a client may ask for; a plan has a bound of its own.
const MAX_RETRIES: u32 = 100;
/// The longest list of fallbacks or tags, and the longest name in one.
const MAX_NAMES: usize = 32;
const MAX_NAME_BYTES: usize = 256;

impl KnobHeaders {
    pub(super) fn of(headers: &Headers) -> Self {
        let text = |name: &str| headers.text(name).map(str::to_owned);
        Self {
            num_retries: text("x-litellm-num-retries"),
            timeout: text("x-litellm-timeout"),
            tags: text("x-litellm-tags"),
            session: text("x-litellm-session-id"),
            end_user: text("x-litellm-end-user-id"),
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Fallback {
    Name(String),
    Object { model: String },
}

#[derive(Default, Deserialize)]
struct Metadata {
    #[serde(default)]
    tags: Option<Vec<String>>,
    #[serde(default)]
    session_id: Option<String>,
    #[serde(default)]
    user_id: Option<String>,
}

impl Knobs {
    /// Reads what `request` and its headers say; the headers go first.
    ///
    /// # Errors
    ///
    /// `InvalidType`, `InvalidValue`.
    pub(super) fn read(headers: &KnobHeaders, request: &Request) -> Result<Self, Error> {
        let (index, body) = (&request.index, request.body.as_slice());
        let is_foreign = |name: &str| index.get(name).is_none();
        let mut knobs = Self {
            num_retries: number(headers.num_retries.as_deref(), "x-litellm-num-retries")?.map(|n: f64| n as u32),
            timeout: number(headers.timeout.as_deref(), "x-litellm-timeout")?.map(seconds),
            ..Self::default()
        };
        knobs.tags = list(headers.tags.as_deref().unwrap_or_default());
        knobs.session.clone_from(&headers.session);
        knobs.end_user = headers.end_user.clone().filter(|id| !id.is_empty());
        if STEERING.iter().all(|name| is_foreign(name)) {
            return Ok(knobs);
        }
        let from_body: Option<u32> = index.read(body, "num_retries")?;
        knobs.num_retries = knobs.num_retries.or(from_body).map(|n| n.min(MAX_RETRIES));
        let timeout: Option<f64> = index.read(body, "timeout")?;
        knobs.timeout = knobs.timeout.or(timeout.filter(|secs| *secs > 0.0).map(seconds));
        let fallbacks: Option<Vec<Fallback>> = index.read(body, "fallbacks")?;
        knobs.fallbacks = fallbacks.map(names);
        knobs.disable_fallbacks = index.read(body, "disable_fallbacks")?.unwrap_or(false);
        let tags: Option<Vec<String>> = index.read(body, "tags")?;
        // `metadata` is OpenAI's own too, with values of any kind: what is not ours to read is nobody's fault.
        let metadata = ["litellm_metadata", "metadata"].into_iter().filter_map(|name| index.get(name));
        let metadata = metadata.filter_map(|member| body.get(member.value.clone()));
        let metadata: Vec<Metadata> = metadata.filter_map(|text| serde_json::from_slice(text).ok()).collect();
        let session: Option<String> = index.read(body, "litellm_session_id")?;
        let mut sessions = metadata.iter().filter_map(|metadata| metadata.session_id.clone());
        knobs.session = knobs.session.or(session).or_else(|| sessions.next());
        let user = index.get("user").and_then(|member| body.get(member.value.clone()));
        let user = user.and_then(|text| serde_json::from_slice(text).ok());
        let mut users = user.into_iter().chain(metadata.iter().filter_map(|metadata| metadata.user_id.clone()));
        knobs.end_user = knobs.end_user.or_else(|| users.find(|id| !id.is_empty()));
        let more = metadata.into_iter().filter_map(|metadata| metadata.tags).flatten();
        knobs.tags.extend(tags.into_iter().flatten().chain(more));
        knobs.tags.retain(|tag| tag.len() <= MAX_NAME_BYTES);
        knobs.tags.truncate(MAX_NAMES);
        Ok(knobs)
    }
}

/// The members of a body that are read here.
const STEERING: [&str; 9] = [
    "num_retries",
    "timeout",
    "fallbacks",
    "disable_fallbacks",
    "tags",
    "metadata",
    "litellm_metadata",
    "litellm_session_id",
    "user",
];

fn names(fallbacks: Vec<Fallback>) -> Vec<String> {
    let name = |fallback| match fallback {
        Fallback::Name(name) | Fallback::Object { model: name } => name,
    };
    fallbacks.into_iter().map(name).take(MAX_NAMES).collect()
}

fn list(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|tag| !tag.is_empty()).take(MAX_NAMES).map(str::to_owned).collect()
}

fn number(text: Option<&str>, name: &str) -> Result<Option<f64>, Error> {
    let Some(text) = text else { return Ok(None) };
    let number = text.trim().parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0);
    let fault = || {
        let message = format!("the header {name} is not valid: expected a number, zero or more");
        Error::new(Kind::InvalidValue, message).with_param(name)
    };
    number.map(Some).ok_or_else(fault)
}

/// At least a millisecond, at most a day.
fn seconds(secs: f64) -> Millis {
    Millis((secs * 1000.0).ceil().clamp(1.0, 86_400_000.0) as u64)
}
