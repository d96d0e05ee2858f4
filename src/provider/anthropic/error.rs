//! Anthropic's errors in OpenAI's words.
//!
//! Source: Anthropic, "Errors" <https://platform.claude.com/docs/en/api/errors>, read 2026-11-23:
//! `{"type":"error","error":{"type":…,"message":…}}`.

use std::borrow::Cow;

use serde::Deserialize;

use crate::error::Error;
use crate::provider::status::{upstream, words};

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    error: Body<'a>,
}

/// The inner object of an error, of an answer or of a stream.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Body<'a> {
    #[serde(borrow, rename = "type")]
    type_: Cow<'a, str>,
    #[serde(borrow)]
    message: Cow<'a, str>,
}

/// Reads an error answer; a body that is not Anthropic's is not shown to the client.
pub(super) fn error(status: u16, body: &[u8]) -> Error {
    let wire = serde_json::from_slice::<Wire<'_>>(body).ok();
    translate(status, &wire.map(|wire| wire.error).unwrap_or_default())
}

/// Reads an error in the middle of a stream, where the status is spent.
pub(super) fn in_stream(body: &Body<'_>) -> Error {
    let row = TYPES.iter().find(|(type_, _)| *type_ == body.type_);
    translate(row.map_or(500, |(_, status)| *status), body)
}

/// Anthropic's types of errors with their statuses.
const TYPES: &[(&str, u16)] = &[
    ("invalid_request_error", 400),
    ("authentication_error", 401),
    ("billing_error", 402),
    ("permission_error", 403),
    ("not_found_error", 404),
    ("conflict_error", 409),
    ("request_too_large", 413),
    ("rate_limit_error", 429),
    ("api_error", 500),
    ("timeout_error", 504),
    ("overloaded_error", 529),
];

fn translate(status: u16, body: &Body<'_>) -> Error {
    let (type_, code) = words(status, || code(&body.message));
    let says_little = code.is_none() && matches!(type_, "invalid_request_error" | "api_error");
    let telling = TELLING.iter().find(|telling| says_little && **telling == body.type_);
    upstream(status, *telling.unwrap_or(&type_), code, &body.message)
}

/// Types that say more than some statuses they come with.
const TELLING: [&str; 4] = ["billing_error", "conflict_error", "overloaded_error", "timeout_error"];

/// What Anthropic says in prose only. Source: LITELLM.md 1.15.
fn code(message: &str) -> Option<&'static str> {
    const CONTEXT: [&str; 4] =
        ["prompt is too long", "prompt: length", "exceed context limit", "maximum context length"];
    let message = message.to_ascii_lowercase();
    if CONTEXT.iter().any(|text| message.contains(text)) {
        return Some("context_length_exceeded");
    }
    message.contains("content filtering policy").then_some("content_policy_violation")
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn every_status_has_its_type() {
        for (status, type_, code) in [
            (400, "invalid_request_error", None),
            (401, "authentication_error", None),
            (403, "permission_error", None),
            (404, "invalid_request_error", Some("model_not_found")),
            (413, "invalid_request_error", Some("request_too_large")),
            (429, "rate_limit_error", Some("rate_limit_exceeded")),
            (500, "api_error", None),
            (529, "overloaded_error", None),
        ] {
            let error = error(status, br#"{"type":"error","error":{"type":"x","message":"why"},"request_id":"req_1"}"#);
            assert_eq!((error.status(), error.type_(), error.code()), (status, type_, code));
            assert_eq!(error.message, "why");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_long_prompt_and_a_filtered_answer_have_codes() {
        for (message, code) in [
            ("prompt is too long: 215000 tokens > 200000 maximum", Some("context_length_exceeded")),
            ("Output blocked by content filtering policy", Some("content_policy_violation")),
            ("max_tokens: Field required", None),
        ] {
            let body = format!(r#"{{"error":{{"type":"invalid_request_error","message":"{message}"}}}}"#);
            assert_eq!(error(400, body.as_bytes()).code(), code, "{message}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_page_of_html_is_not_shown() {
        let error = error(502, b"<html>secret</html>");
        assert_eq!((error.status(), error.type_()), (502, "api_error"));
        assert!(!error.message.contains("secret"));
    }
}
