//! Google's errors in OpenAI's words.
//!
//! Source: Google, "Errors" <https://cloud.google.com/apis/design/errors>, "Gemini API troubleshooting"
//! <https://ai.google.dev/gemini-api/docs/troubleshooting>, not re-read for this: `{"error":{"code","message","status",
//! "details"}}`, in some streams an array of one.

use std::borrow::Cow;

use serde::Deserialize;

use crate::error::Error;
use crate::provider::status::{upstream, words};
use crate::units::Millis;

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    error: Body<'a>,
}

/// The inner object of an error, of an answer or of a stream.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Body<'a> {
    code: Option<i64>,
    #[serde(borrow)]
    message: Cow<'a, str>,
    #[serde(borrow)]
    status: Cow<'a, str>,
    #[serde(borrow)]
    details: Vec<Detail<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Detail<'a> {
    #[serde(borrow)]
    reason: Cow<'a, str>,
    #[serde(borrow)]
    retry_delay: Option<Cow<'a, str>>,
}

/// The longest that a client is told to wait, in milliseconds: a day, until Google's daily quotas are whole again.
const MAX_DELAY_MS: u64 = 86_400_000;

/// Reads an error answer; a body that is not Google's is not shown to the client.
pub(super) fn error(status: u16, body: &[u8]) -> Error {
    let one = || serde_json::from_slice::<Wire<'_>>(body).ok();
    let first = || serde_json::from_slice::<Vec<Wire<'_>>>(body).ok()?.into_iter().next();
    // To serde, a list may stand for a struct: it is read as a list first.
    let wire = first().or_else(one);
    translate(status, &wire.map(|wire| wire.error).unwrap_or_default())
}

/// Reads an error in the middle of a stream, where the status is spent.
pub(super) fn in_stream(body: &Body<'_>) -> Error {
    let named = STATUSES.iter().find(|(name, _)| *name == body.status).map(|(_, status)| *status);
    let code = body.code.and_then(|code| u16::try_from(code).ok()).filter(|code| (400..600).contains(code));
    translate(code.or(named).unwrap_or(500), body)
}

/// Google's names of statuses.
const STATUSES: &[(&str, u16)] = &[
    ("INVALID_ARGUMENT", 400),
    ("FAILED_PRECONDITION", 400),
    ("OUT_OF_RANGE", 400),
    ("UNAUTHENTICATED", 401),
    ("PERMISSION_DENIED", 403),
    ("NOT_FOUND", 404),
    ("RESOURCE_EXHAUSTED", 429),
    ("CANCELLED", 499),
    ("INTERNAL", 500),
    ("UNAVAILABLE", 503),
    ("DEADLINE_EXCEEDED", 504),
];

fn translate(status: u16, body: &Body<'_>) -> Error {
    let is_bad_key = body.details.iter().any(|detail| detail.reason == "API_KEY_INVALID")
        || body.message.starts_with("API key not valid")
        || body.message.starts_with("API key expired");
    let status = if status == 400 && is_bad_key { 401 } else { status };
    let (type_, code) = words(status, || code(&body.message));
    let error = upstream(status, type_, code, &body.message);
    match body.details.iter().find_map(|detail| delay(detail.retry_delay.as_deref()?)) {
        Some(wait) => error.with_retry_after(wait),
        None => error,
    }
}

/// What Google says in prose only. Source: LITELLM.md 1.15; LiteLLM 1.109.1's exception mapping.
fn code(message: &str) -> Option<&'static str> {
    const CONTEXT: [&str; 4] = [
        "exceeds the maximum number of tokens",
        "input token count",
        "maximum context length",
        "input context is too long",
    ];
    const POLICY: [&str; 3] = ["content filtering policy", "blocked by safety", "violates google's responsible ai"];
    let message = message.to_ascii_lowercase();
    let says = |texts: &[&str]| texts.iter().any(|text| message.contains(text));
    if says(&CONTEXT) {
        return Some("context_length_exceeded");
    }
    says(&POLICY).then_some("content_policy_violation")
}

/// A duration as Google writes it: `36.5s`.
fn delay(text: &str) -> Option<Millis> {
    let (secs, fraction) = text.strip_suffix('s')?.split_once('.').unwrap_or((text.strip_suffix('s')?, ""));
    let millis: String = fraction.chars().chain("000".chars()).take(3).collect();
    let millis = secs.parse::<u64>().ok()?.saturating_mul(1000).saturating_add(millis.parse().ok()?);
    Some(Millis(millis.min(MAX_DELAY_MS)))
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
            (429, "rate_limit_error", Some("rate_limit_exceeded")),
            (500, "api_error", None),
            (503, "overloaded_error", None),
            (504, "timeout_error", Some("timeout")),
        ] {
            for body in [r#"{"error":{"code":1,"message":"why","status":"X"}}"#, r#"[{"error":{"message":"why"}}]"#] {
                let error = error(status, body.as_bytes());
                assert_eq!((error.status(), error.type_(), error.code()), (status, type_, code));
                assert_eq!(error.message, "why");
            }
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_delay_is_read_in_every_form() {
        for (text, millis) in [
            ("36s", Some(36_000)),
            ("0.25s", Some(250)),
            ("1.0000009s", Some(1000)),
            ("99999999999999999999s", None),
            ("9999999999s", Some(MAX_DELAY_MS)),
            ("-1s", None),
            ("36", None),
            (".é5s", None),
        ] {
            assert_eq!(delay(text), millis.map(Millis), "{text}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn prose_has_codes() {
        for (message, code) in [
            (
                "The input token count (1048577) exceeds the maximum number of tokens allowed (1048575).",
                Some("context_length_exceeded"),
            ),
            ("Unable to submit request because one or more parameters", None),
        ] {
            let body = format!(r#"{{"error":{{"code":400,"message":"{message}","status":"INVALID_ARGUMENT"}}}}"#);
            assert_eq!(error(400, body.as_bytes()).code(), code, "{message}");
        }
        let error = error(400, br#"{"error":{"message":"x","details":[{"@type":"t","reason":"API_KEY_INVALID"}]}}"#);
        assert_eq!((error.status(), error.type_()), (401, "authentication_error"));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_page_of_html_is_not_shown() {
        let error = error(502, b"<html>secret</html>");
        assert_eq!((error.status(), error.type_()), (502, "api_error"));
        assert!(!error.message.contains("secret"));
    }
}
