//! Ollama's errors in OpenAI's words.
//!
//! Source: Ollama, "Errors" <https://docs.ollama.com/api/errors>, read 2026-11-23: `{"error":"…"}`, in a stream as a line
//! of its own.

use std::borrow::Cow;

use serde::Deserialize;

use crate::error::Error;
use crate::provider::status::{upstream, words};

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    error: Cow<'a, str>,
}

/// Reads an error answer; a body that is not Ollama's is not shown to the client.
pub(super) fn error(status: u16, body: &[u8]) -> Error {
    let wire = serde_json::from_slice::<Wire<'_>>(body).ok();
    translate(status, wire.as_ref().map_or("", |wire| &wire.error))
}

/// Reads an error in the middle of a stream, where the status is spent.
pub(super) fn in_stream(message: &str) -> Error {
    translate(500, if message.is_empty() { "the provider's stream broke off with an error" } else { message })
}

fn translate(status: u16, message: &str) -> Error {
    // Under any status: it may say so when the answer is under way.
    let (type_, code) = match is_of_context(message) {
        true => ("invalid_request_error", Some("context_length_exceeded")),
        false => words(status, || None),
    };
    upstream(status, type_, code, message)
}

/// What Ollama says in prose only.
fn is_of_context(message: &str) -> bool {
    const CONTEXT: [&str; 3] = ["exceeds the context length", "exceeds maximum context", "exceed_context_size"];
    CONTEXT.iter().any(|text| message.contains(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn every_status_has_its_type() {
        for (status, message, type_, code) in [
            (400, "json: cannot unmarshal", "invalid_request_error", None),
            (
                400,
                "the input length exceeds the context length",
                "invalid_request_error",
                Some("context_length_exceeded"),
            ),
            (401, "unauthorized", "authentication_error", None),
            (404, "model 'x' not found", "invalid_request_error", Some("model_not_found")),
            (429, "too many requests", "rate_limit_error", Some("rate_limit_exceeded")),
            (500, "model runner has unexpectedly stopped", "api_error", None),
            (503, "server busy", "overloaded_error", None),
        ] {
            let error = error(status, format!(r#"{{"error":"{message}"}}"#).as_bytes());
            assert_eq!((error.status(), error.type_(), error.code()), (status, type_, code));
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
