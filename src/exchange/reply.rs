//! Answers that need no provider.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::value::RawValue;

use super::{Caller, Report};
use crate::budget::RateLimits;
use crate::config::Config;
use crate::error::{Error, Kind, Shape};
use crate::routing::Pool;
use crate::telemetry::ErrorCode;
use crate::units::PicoUsd;

/// An answer of our own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// `retry-after` in seconds.
    pub retry_after_secs: Option<u64>,
    /// `content-type`.
    pub content_type: &'static str,
    /// `x-ratelimit-*`.
    pub limits: RateLimits,
    /// JSON, or a whole stream of events.
    pub body: Vec<u8>,
    /// What the record says, where it is an error.
    pub error: Option<ErrorCode>,
}

impl From<&Error> for Reply {
    fn from(error: &Error) -> Self {
        Self::error(error, Shape::OpenAi)
    }
}

impl Reply {
    /// Whether requests may come: not before every access token was asked for once.
    pub fn ready(is_settled: bool) -> Self {
        if is_settled {
            Self::json(200, r#"{"status":"healthy"}"#)
        } else {
            Self::json(503, r#"{"status":"fetching access tokens"}"#)
        }
    }

    /// `error` in the shape that the client expects.
    pub fn error(error: &Error, shape: Shape) -> Self {
        Self {
            status: error.status(),
            retry_after_secs: error.retry_after.map(crate::units::Millis::secs_ceil),
            content_type: JSON,
            limits: RateLimits::default(),
            body: error.body_as(shape),
            error: Some(ErrorCode::of(error)),
        }
    }
}

#[derive(Serialize)]
struct List<'a> {
    object: &'static str,
    data: Vec<Model<'a>>,
}

/// Source: OpenAI, "List models" <https://platform.openai.com/docs/api-reference/models/list>, read 2026-11-23; the
/// three last fields are LiteLLM's.
#[derive(Serialize)]
struct Model<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    owned_by: &'a str,
    #[serde(skip_serializing_if = "String::is_empty")]
    mode: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_input_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u64>,
}

/// An amount as a JSON number with all its digits.
pub(super) fn number(amount: PicoUsd) -> Option<Box<RawValue>> {
    RawValue::from_string(amount.to_string()).ok()
}

const JSON: &str = "application/json";

/// Nobody knows when an alias was made; LiteLLM answers this constant too.
const CREATED: u64 = 1_677_610_602;

impl Reply {
    /// A whole stream of events.
    pub fn events(status: u16, body: Vec<u8>) -> Self {
        Self { content_type: "text/event-stream", ..Self::json(status, body) }
    }

    /// An answer in JSON.
    pub fn json(status: u16, body: impl Into<Vec<u8>>) -> Self {
        let limits = RateLimits::default();
        Self { status, retry_after_secs: None, content_type: JSON, limits, body: body.into(), error: None }
    }

    /// Its headers.
    pub fn headers(&self) -> Report {
        let mut headers = Report::default();
        headers.tell("content-type", self.content_type);
        self.retry_after_secs.iter().for_each(|secs| headers.tell_number("retry-after", *secs, ""));
        self.limits.headers(|name, number, unit| headers.tell_number(name, number, unit));
        headers
    }

    /// `GET /v1/models`: the model groups that the caller may use, and the aliases that are not hidden. Patterns are no
    /// names that can be asked for.
    pub(super) fn models(config: &Config, caller: Caller) -> Self {
        let groups = config.groups.keys().map(String::as_str);
        let own = caller.key(config).into_iter().flat_map(|key| key.aliases.keys().map(String::as_str));
        let names: BTreeSet<&str> = groups.chain(config.names.listed()).chain(own).collect();
        let allowed = names.into_iter().filter(|name| caller.may_use(config, name));
        let model = |name| Some(Model::of(name, &caller.resolve(config, name)?.pool()));
        Self::of(&List { object: "list", data: allowed.filter_map(model).collect() })
    }

    /// `GET /v1/models/{id}`.
    pub(super) fn model(config: &Config, caller: Caller, name: &str) -> Result<Self, Error> {
        match caller.resolve(config, name).filter(|_| caller.may_use(config, name)) {
            Some(resolved) => Ok(Self::of(&Model::of(name, &resolved.pool()))),
            None => Err(model_not_found()),
        }
    }

    pub(super) fn of(value: &impl Serialize) -> Self {
        Self::json(200, serde_json::to_vec(value).unwrap_or_default())
    }
}

/// The error of a name that no model group has.
pub(super) fn model_not_found() -> Error {
    let message = "no model has this name: see /v1/models for those that this key may use";
    Error::new(Kind::ModelNotFound, message).with_param("model")
}

impl<'a> Model<'a> {
    fn of(id: &'a str, pool: &Pool) -> Self {
        let first = pool.deployments().first();
        Self {
            id,
            object: "model",
            created: CREATED,
            owned_by: first.map_or("", |deployment| deployment.target.vendor.prefix),
            mode: first.map(|deployment| deployment.mode.clone()).unwrap_or_default(),
            max_input_tokens: first.and_then(|deployment| deployment.max_input_tokens),
            max_output_tokens: first.and_then(|deployment| deployment.target.max_output_tokens),
        }
    }
}
