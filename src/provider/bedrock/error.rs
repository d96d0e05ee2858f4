//! Bedrock's errors in OpenAI's words.
//!
//! The type of an error stands in a header; the body has a message, in either case of its first letter.
//!
//! Source: AWS, "ConverseStreamOutput"
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStreamOutput.html>, read 2026-11-23;
//! "Converse", Errors <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html>, not re-read.

use std::borrow::Cow;

use serde::Deserialize;

use crate::error::Error;
use crate::provider::status::{upstream, words};

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow, default)]
    message: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "Message")]
    capital: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "__type")]
    type_: Option<Cow<'a, str>>,
}

/// Reads an error answer; a body that is not AWS's is not shown to the client.
pub(super) fn error(status: u16, body: &[u8]) -> Error {
    let wire = serde_json::from_slice::<Wire<'_>>(body).ok();
    let type_ = wire.as_ref().and_then(|wire| wire.type_.as_deref()).unwrap_or_default();
    let message = wire.as_ref().and_then(|wire| wire.message.as_deref().or(wire.capital.as_deref()));
    translate(status, type_, message.unwrap_or_default())
}

/// Reads an exception in the middle of a stream, where the status is spent.
pub(super) fn in_stream(exception: &str, payload: &[u8]) -> Error {
    let row = EXCEPTIONS.iter().find(|(name, _)| name.eq_ignore_ascii_case(exception));
    let status = row.map_or(500, |(_, status)| *status);
    let wire = serde_json::from_slice::<Wire<'_>>(payload).ok();
    let message = wire.as_ref().and_then(|wire| wire.message.as_deref().or(wire.capital.as_deref()));
    translate(status, exception, message.unwrap_or_default())
}

/// Bedrock's exceptions with their statuses.
const EXCEPTIONS: &[(&str, u16)] = &[
    ("accessDeniedException", 403),
    ("internalServerException", 500),
    ("modelErrorException", 424),
    ("modelNotReadyException", 429),
    ("modelStreamErrorException", 424),
    ("modelTimeoutException", 408),
    ("resourceNotFoundException", 404),
    ("serviceQuotaExceededException", 400),
    ("serviceUnavailableException", 503),
    ("throttlingException", 429),
    ("validationException", 400),
];

fn translate(status: u16, exception: &str, message: &str) -> Error {
    let is_throttled = exception.to_ascii_lowercase().contains("throttling");
    let (type_, code) = match status {
        _ if is_throttled => words(429, || None),
        // AWS answers 403 to a wrong signature and to a right that is missing.
        403 if is_about_credentials(message) => words(401, || None),
        424 => ("api_error", Some("model_error")),
        _ => words(status, || code(message)),
    };
    upstream(status, type_, code, message)
}

fn is_about_credentials(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    ["security token", "signature", "authenticat", "api key", "credential"].iter().any(|word| message.contains(word))
}

/// What Bedrock says in prose only. Source: LITELLM.md 1.15.
fn code(message: &str) -> Option<&'static str> {
    const CONTEXT: [&str; 8] = [
        "input is too long",
        "prompt is too long",
        "too many tokens",
        "expected maxlength:",
        "exceed context limit",
        "maximum context length",
        "input length and `max_tokens` exceed",
        "exceeds the maximum number of tokens",
    ];
    let message = message.to_ascii_lowercase();
    if CONTEXT.iter().any(|text| message.contains(text)) {
        return Some("context_length_exceeded");
    }
    message.contains("content filter").then_some("content_policy_violation")
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn every_status_has_its_type() {
        for (status, message, type_, code) in [
            (400, "The provided model identifier is invalid.", "invalid_request_error", None),
            (400, "Input is too long for requested model.", "invalid_request_error", Some("context_length_exceeded")),
            (403, "The security token included in the request is invalid.", "authentication_error", None),
            (403, "You don't have access to the model.", "permission_error", None),
            (404, "Could not resolve the model.", "invalid_request_error", Some("model_not_found")),
            (408, "slow", "timeout_error", Some("timeout")),
            (424, "the model failed", "api_error", Some("model_error")),
            (429, "Too many tokens, please wait.", "rate_limit_error", Some("rate_limit_exceeded")),
            (500, "x", "api_error", None),
            (503, "x", "overloaded_error", None),
        ] {
            for name in ["message", "Message"] {
                let error = error(status, format!(r#"{{"{name}":"{message}"}}"#).as_bytes());
                assert_eq!((error.status(), error.type_(), error.code()), (status, type_, code), "{message}");
                assert_eq!(error.message, message);
            }
        }
        let throttled = error(400, br#"{"__type":"com.amazon.coral#ThrottlingException","message":"Rate exceeded"}"#);
        assert_eq!(throttled.type_(), "rate_limit_error");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn an_exception_in_a_stream_has_its_status() {
        let error = in_stream("throttlingException", br#"{"message":"slow down"}"#);
        assert_eq!((error.status(), error.type_(), error.message.as_str()), (429, "rate_limit_error", "slow down"));
        assert_eq!(in_stream("newException", b"{").status(), 500);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_page_of_html_is_not_shown() {
        let error = error(502, b"<html>secret</html>");
        assert_eq!((error.status(), error.type_()), (502, "api_error"));
        assert!(!error.message.contains("secret"));
    }
}
