//! Error bodies of OpenAI and of the servers that speak its language.

use std::borrow::Cow;

use serde_json::Value;

use crate::error::{Error, Kind};

/// Reads an error answer; a body in no known shape is not shown to the client.
///
/// Known shapes: `{"error":{"message","type","param","code"}}` (OpenAI, "Error codes"
/// <https://platform.openai.com/docs/guides/error-codes>, read 2026-11-23; Azure has `innererror` beside them),
/// `{"error":"..."}` (Ollama, llama.cpp; xAI with a `code` beside it), `{"message","type","code"}` (vLLM, Mistral,
/// Databricks), `{"statusCode","message"}` (Azure's gateway), `{"detail":"..."}` and `{"detail":[{"msg"}]}` (FastAPI),
/// `{"errors":[{"code","message"}]}` (watsonx), `[{"error":{...}}]` (Google's). OpenRouter's `metadata.raw`, the error of
/// the provider behind it, is read where it says more.
pub fn error(status: u16, body: &[u8]) -> Error {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let body = body.get(0).unwrap_or(&body);
    let first = body.get("errors").and_then(|errors| errors.get(0));
    let inner = body.get("error").filter(|error| !error.is_null()).or(first).unwrap_or(body);
    let message = message(inner, body);
    let code = code(inner, body, message.as_deref().unwrap_or_default());
    let message = message.map_or_else(|| format!("the provider answered with status {status}"), |m| redact(&m));
    let type_ = text(inner, "type").map_or(Cow::Borrowed(type_of(status)), Cow::Owned);
    let mut error = Error::new(Kind::Upstream { status, type_, code }, message);
    error.param = text(inner, "param");
    error
}

fn text(of: &Value, key: &str) -> Option<String> {
    of.get(key).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}

fn message(inner: &Value, body: &Value) -> Option<String> {
    let details = || {
        let each = inner.get("detail").or_else(|| inner.get("message")?.get("detail"))?.as_array()?;
        let said: Vec<String> = each.iter().filter_map(|detail| text(detail, "msg")).collect();
        (!said.is_empty()).then(|| said.join("; "))
    };
    let behind = || {
        let raw: Value = serde_json::from_str(inner.get("metadata")?.get("raw")?.as_str()?).ok()?;
        text(raw.get("error")?, "message").or_else(|| text(&raw, "message"))
    };
    let own = text(inner, "message").or_else(|| text(inner, "detail")).or_else(details);
    let own = own.or_else(|| inner.as_str().map(str::to_owned)).or_else(|| text(body, "message"));
    match own {
        Some(own) => Some(behind().map_or_else(|| own.clone(), |behind| format!("{own}: {behind}"))),
        None => behind(),
    }
}

/// The provider's code, or OpenAI's for what the provider says in prose or under another name.
fn code(inner: &Value, body: &Value, message: &str) -> Option<Cow<'static, str>> {
    let own = text(inner, "code").or_else(|| text(body, "code")).or_else(|| text(inner, "error_code"));
    let within = inner.get("innererror").and_then(|inner| text(inner, "code"));
    let message = message.to_ascii_lowercase();
    let says = |phrases: &[&str]| phrases.iter().any(|phrase| message.contains(phrase));
    let is = |codes: &[&str]| own.as_deref().is_some_and(|own| codes.contains(&own));
    if is(&["content_filter", "content_policy_violation", "context_length_exceeded"]) {
        return own.map(Cow::Owned);
    }
    if within.as_deref() == Some("ResponsibleAIPolicyViolation") || says(CONTENT_POLICY) {
        return Some("content_policy_violation".into());
    }
    if says(CONTEXT_LENGTH) {
        return Some("context_length_exceeded".into());
    }
    own.filter(|own| !own.bytes().all(|byte| byte.is_ascii_digit())).map(Cow::Owned)
}

/// How providers say that a conversation is too long. Source: LITELLM.md 1.15.
const CONTEXT_LENGTH: &[&str] = &[
    "maximum context length",
    "context_length_exceeded",
    "context length exceeded",
    "exceeds the context window",
    "exceed the context window",
    "input is too long",
    "is longer than the model's context length",
    "maximum prompt length",
    "model's context window",
    "prompt is too long",
    "reduce the length of the messages",
    "too large for model with",
];

/// How providers say that they will not. Source: LITELLM.md 1.15.
const CONTENT_POLICY: &[&str] = &[
    "content management policy",
    "content policy violation",
    "invalid_request_error: content_policy_violation",
    "responsibleaipolicyviolation",
    "rejected as a result of our safety system",
    "violates our usage policies",
    "violating our usage policy",
];

/// OpenAI's error type for a status without one.
const fn type_of(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        403 => "permission_error",
        429 => "rate_limit_error",
        408 | 504 => "timeout_error",
        400..=499 => "invalid_request_error",
        _ => "api_error",
    }
}

/// OpenAI quotes the key it refused, in part: the gateway's key is nobody's business.
fn redact(message: &str) -> String {
    let is_key = |word: &str| word.contains("sk-") || word.contains("***");
    message.split(' ').map(|word| if is_key(word) { "***" } else { word }).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn every_known_shape_keeps_its_message() {
        for (body, message, type_, code) in [
            (r#"{"error":{"message":"bad","type":"t","param":"p","code":"c"}}"#, "bad", "t", Some("c")),
            (r#"{"error":"no such model"}"#, "no such model", "rate_limit_error", None),
            (r#"{"code":"Some resource","error":"why"}"#, "why", "rate_limit_error", Some("Some resource")),
            (
                r#"{"object":"error","message":"too long","type":"BadRequestError","code":400}"#,
                "too long",
                "BadRequestError",
                None,
            ),
            (r#"{"error":{"code":"429","message":"slow down"}}"#, "slow down", "rate_limit_error", None),
            (r#"{"statusCode":429,"message":"slow down"}"#, "slow down", "rate_limit_error", None),
            (r#"{"error_code":"LIMIT","message":"slow"}"#, "slow", "rate_limit_error", Some("LIMIT")),
            (r#"{"detail":"Not Found"}"#, "Not Found", "rate_limit_error", None),
            (
                r#"{"object":"error","message":{"detail":[{"loc":["body","n"],"msg":"Extra inputs","input":"secret"}]},"type":"x"}"#,
                "Extra inputs",
                "x",
                None,
            ),
            (r#"{"errors":[{"code":"limit","message":"no"}],"trace":"t"}"#, "no", "rate_limit_error", Some("limit")),
            (
                r#"{"error":{"message":"Provider returned error","code":429,"metadata":{"raw":"{\"error\":{\"message\":\"busy\"}}"}}}"#,
                "Provider returned error: busy",
                "rate_limit_error",
                None,
            ),
            ("<html>secret</html>", "the provider answered with status 429", "rate_limit_error", None),
            (
                r#"{"error":{"message":"Incorrect key: sk-ab*cd. See"}}"#,
                "Incorrect key: *** See",
                "rate_limit_error",
                None,
            ),
        ] {
            let error = error(429, body.as_bytes());
            assert_eq!(
                (error.status(), error.message.as_str(), error.type_(), error.code()),
                (429, message, type_, code)
            );
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_long_prompt_and_a_filtered_one_have_codes() {
        for (body, code) in [
            (
                r#"{"error":{"message":"m","code":"content_filter","innererror":{"code":"ResponsibleAIPolicyViolation"}}}"#,
                "content_filter",
            ),
            (
                r#"{"error":{"message":"m","code":"400","innererror":{"code":"ResponsibleAIPolicyViolation"}}}"#,
                "content_policy_violation",
            ),
            (
                r#"{"message":"Prompt contains 40000 tokens, too large for model with 32768 maximum context length","code":"3051"}"#,
                "context_length_exceeded",
            ),
            (
                r#"{"error":{"message":"This model's maximum context length is 8192 tokens.","code":400}}"#,
                "context_length_exceeded",
            ),
        ] {
            assert_eq!(error(400, body.as_bytes()).code(), Some(code), "{body}");
        }
    }
}
