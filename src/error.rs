//! Every way a request can fail, and what the client is told: one table.
//!
//! A message names what was expected and found. It never carries a key, a prompt, or the names of other deployments.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;

use crate::units::Millis;

/// What went wrong, as the client's SDK will classify it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// No key, an unknown, expired or blocked one.
    InvalidApiKey,
    /// The key may not use this model.
    ModelNotAllowed,
    /// The key may not see this.
    NotPermitted,
    /// No deployment of the model serves the request's tags.
    TagsNotAllowed,
    /// Nobody knows what the model costs, and the config says not to serve it then.
    ModelNotPriced,
    /// No model group has this name.
    ModelNotFound,
    /// No key has this name.
    KeyNotFound,
    /// No endpoint has this path, or not with this method.
    UnknownEndpoint,
    /// The provider of the model has no such endpoint.
    UnsupportedEndpoint,
    /// The body is not JSON.
    InvalidJson,
    /// The body is not a form where it must be one, or can be read in two ways.
    InvalidForm,
    /// The body lacks a required parameter.
    MissingRequiredParameter,
    /// A parameter has the wrong type.
    InvalidType,
    /// A parameter has a value that means nothing.
    InvalidValue,
    /// The provider lacks this parameter and `drop_params` is off.
    UnsupportedParameter,
    /// The body is compressed.
    UnsupportedContentEncoding,
    /// The body is over the limit.
    RequestTooLarge,
    /// The budget is spent.
    BudgetExceeded {
        /// `litellm_settings.budget_exceeded_status_code`, 429 unless set.
        status: u16,
    },
    /// A limit of requests, tokens or places is reached.
    RateLimitExceeded,
    /// Nobody can say whether there is room: the rate limit service does not answer.
    RateLimitUnknown,
    /// Every deployment that could answer is resting or at its limit.
    NoDeployments,
    /// The prompt is too long for every model of this name.
    ContextLengthExceeded,
    /// The provider did not answer in time.
    Timeout,
    /// The provider could not be reached, or hung up before it answered.
    Unreachable,
    /// The provider's answer made no sense.
    BadUpstream,
    /// The provider's own error, in OpenAI's words.
    Upstream {
        /// The provider's status, 400..=599.
        status: u16,
        /// OpenAI's error type.
        type_: Cow<'static, str>,
        /// The code, where there is one.
        code: Option<Cow<'static, str>>,
    },
    /// Our own fault.
    Internal,
}

/// The shape in which a client expects errors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shape {
    /// `{"error":{"message","type","param","code"}}`
    #[default]
    OpenAi,
    /// `{"type":"error","error":{"type","message"}}`
    Anthropic,
}

/// An error that a client sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// What went wrong.
    pub kind: Kind,
    /// One sentence for a person.
    pub message: String,
    /// The parameter at fault, as in `messages[2].content`.
    pub param: Option<String>,
    /// When it is worth asking again.
    pub retry_after: Option<Millis>,
}

impl Error {
    /// An error without a parameter.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), param: None, retry_after: None }
    }

    /// The same error, blaming `param`.
    #[must_use]
    pub fn with_param(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// The same error, worth a retry after `wait`.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Millis) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.kind.row().0
    }

    /// OpenAI's `type`.
    pub fn type_(&self) -> &str {
        self.kind.row().1
    }

    /// OpenAI's `code`.
    pub fn code(&self) -> Option<&str> {
        self.kind.row().2
    }

    /// The body in the shape that a client expects.
    pub fn body_as(&self, shape: Shape) -> Vec<u8> {
        match shape {
            Shape::OpenAi => self.body(),
            Shape::Anthropic => self.anthropic_body(),
        }
    }

    /// The body in Anthropic's shape, `{"type":"error","error":{"type","message"}}`.
    ///
    /// Source: Anthropic, "Errors" <https://platform.claude.com/docs/en/api/errors>, read 2026-11-23.
    fn anthropic_body(&self) -> Vec<u8> {
        #[derive(Serialize)]
        struct Outer<'a> {
            #[serde(rename = "type")]
            type_: &'static str,
            error: Inner<'a>,
        }
        #[derive(Serialize)]
        struct Inner<'a> {
            #[serde(rename = "type")]
            type_: &'a str,
            message: &'a str,
        }
        let own = match &self.kind {
            Kind::Upstream { type_, .. } if ANTHROPIC_TYPES.contains(&&**type_) => Some(&**type_),
            _ => None,
        };
        let type_ = own.unwrap_or(match self.status() {
            401 => "authentication_error",
            402 => "billing_error",
            403 => "permission_error",
            404 => "not_found_error",
            409 => "conflict_error",
            413 => "request_too_large",
            429 => "rate_limit_error",
            400..=499 => "invalid_request_error",
            504 => "timeout_error",
            529 => "overloaded_error",
            _ => "api_error",
        });
        let outer = Outer { type_: "error", error: Inner { type_, message: &self.message } };
        serde_json::to_vec(&outer).unwrap_or_default()
    }

    /// The body in OpenAI's shape, `{"error":{"message","type","param","code"}}`.
    ///
    /// Source: OpenAI, "Error codes" <https://platform.openai.com/docs/guides/error-codes>, read 2026-11-23.
    pub fn body(&self) -> Vec<u8> {
        let (_, type_, code) = self.kind.row();
        let error = Wire { message: &self.message, type_, param: self.param.as_deref(), code };
        serde_json::to_vec(&Body { error }).unwrap_or_default()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

#[derive(Serialize)]
struct Body<'a> {
    error: Wire<'a>,
}

#[derive(Serialize)]
struct Wire<'a> {
    message: &'a str,
    #[serde(rename = "type")]
    type_: &'a str,
    param: Option<&'a str>,
    code: Option<&'a str>,
}

/// Anthropic's types of errors that say more than a status does: a provider's own one stays.
const ANTHROPIC_TYPES: [&str; 4] = ["billing_error", "conflict_error", "overloaded_error", "timeout_error"];

const INVALID_REQUEST: &str = "invalid_request_error";
const API_ERROR: &str = "api_error";

impl Kind {
    /// Status, type and code: the table of errors.
    fn row(&self) -> (u16, &str, Option<&str>) {
        match self {
            Kind::InvalidApiKey => (401, "authentication_error", Some("invalid_api_key")),
            Kind::ModelNotAllowed => (403, "permission_error", Some("model_not_allowed")),
            Kind::NotPermitted => (403, "permission_error", Some("not_permitted")),
            Kind::TagsNotAllowed => (401, "authentication_error", Some("tags_not_allowed")),
            Kind::ModelNotPriced => (403, "permission_error", Some("model_not_priced")),
            Kind::ModelNotFound => (404, INVALID_REQUEST, Some("model_not_found")),
            Kind::KeyNotFound => (404, INVALID_REQUEST, Some("key_not_found")),
            Kind::UnknownEndpoint => (404, INVALID_REQUEST, Some("unknown_endpoint")),
            Kind::UnsupportedEndpoint => (400, INVALID_REQUEST, Some("unsupported_endpoint")),
            Kind::InvalidJson => (400, INVALID_REQUEST, Some("invalid_json")),
            Kind::InvalidForm => (400, INVALID_REQUEST, Some("invalid_form")),
            Kind::MissingRequiredParameter => (400, INVALID_REQUEST, Some("missing_required_parameter")),
            Kind::InvalidType => (400, INVALID_REQUEST, Some("invalid_type")),
            Kind::InvalidValue => (400, INVALID_REQUEST, Some("invalid_value")),
            Kind::UnsupportedParameter => (400, INVALID_REQUEST, Some("unsupported_parameter")),
            Kind::UnsupportedContentEncoding => (415, INVALID_REQUEST, Some("unsupported_content_encoding")),
            Kind::RequestTooLarge => (413, INVALID_REQUEST, Some("request_too_large")),
            Kind::BudgetExceeded { status } => (*status, "budget_exceeded", Some("budget_exceeded")),
            Kind::RateLimitExceeded => (429, "rate_limit_error", Some("rate_limit_exceeded")),
            Kind::RateLimitUnknown => (503, API_ERROR, Some("rate_limit_service_unavailable")),
            Kind::NoDeployments => (429, "rate_limit_error", Some("no_deployments_available")),
            Kind::ContextLengthExceeded => (400, INVALID_REQUEST, Some("context_length_exceeded")),
            Kind::Timeout => (504, "timeout_error", Some("timeout")),
            Kind::Unreachable => (503, API_ERROR, Some("upstream_unreachable")),
            Kind::BadUpstream => (502, API_ERROR, Some("bad_upstream_response")),
            Kind::Upstream { status, type_, code } => (*status, type_, code.as_deref()),
            Kind::Internal => (500, API_ERROR, Some("internal_error")),
        }
    }
}
