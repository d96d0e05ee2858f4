//! Cohere's errors in OpenAI's words.
//!
//! Source: Cohere, "Errors" <https://docs.cohere.com/reference/errors>, read 2026-11-23: `{"message":…}`, with an `id`
//! since v2; 498 is a prompt or an answer with a blocked word, 499 a request that was cancelled.

use std::borrow::Cow;

use serde::Deserialize;

use crate::error::Error;
use crate::provider::status::{upstream, words};

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    message: Cow<'a, str>,
}

/// Reads an error answer; a body that is not Cohere's is not shown to the client.
pub(super) fn error(status: u16, body: &[u8]) -> Error {
    let wire = serde_json::from_slice::<Wire<'_>>(body).ok();
    translate(status, wire.as_ref().map_or("", |wire| &wire.message))
}

/// Reads an error in the middle of a stream, where the status is spent.
pub(super) fn in_stream(message: &str) -> Error {
    translate(500, if message.is_empty() { "the provider could not finish its answer" } else { message })
}

fn translate(status: u16, message: &str) -> Error {
    let (type_, code) = match status {
        498 => ("invalid_request_error", Some("content_policy_violation")),
        _ => words(status, || code(message)),
    };
    upstream(status, type_, code, message)
}

/// What Cohere says in prose only. Of `too many tokens`, one is about `max_tokens` and not about the prompt.
fn code(message: &str) -> Option<&'static str> {
    let message = message.to_ascii_lowercase();
    let is_long = message.contains("too many tokens") || message.contains("context length");
    (is_long && !message.contains("max tokens must")).then_some("context_length_exceeded")
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn every_status_has_its_type() {
        const LONG: &str = "too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 4292.";
        const MOST: &str = "too many tokens: max tokens must be less than or equal to 4096";
        for (status, message, type_, code) in [
            (400, "invalid request: message must be at least 1 token long", "invalid_request_error", None),
            (400, LONG, "invalid_request_error", Some("context_length_exceeded")),
            (400, MOST, "invalid_request_error", None),
            (401, "invalid api token", "authentication_error", None),
            (404, "model 'x' not found", "invalid_request_error", Some("model_not_found")),
            (422, "invalid value", "invalid_request_error", None),
            (429, "trial key limit", "rate_limit_error", Some("rate_limit_exceeded")),
            (498, "blocked output", "invalid_request_error", Some("content_policy_violation")),
            (500, "internal server error", "api_error", None),
            (503, "unavailable", "overloaded_error", None),
        ] {
            let error = error(status, format!(r#"{{"id":"x","message":"{message}"}}"#).as_bytes());
            assert_eq!((error.status(), error.type_(), error.code()), (status, type_, code), "{message}");
            assert_eq!(error.message, message);
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_page_of_html_is_not_shown() {
        let error = error(502, b"<html>secret</html>");
        assert_eq!((error.status(), error.type_()), (502, "api_error"));
        assert!(!error.message.contains("secret"));
    }
}
