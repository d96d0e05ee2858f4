//! Error bodies of OpenAI and of the servers that speak its language.

use std::borrow::Cow;

use serde_json::Value;

use crate::error::{Error, Kind};

/// Reads an error answer; a body in no known shape is not shown to the client.
///
/// Known shapes: `{"error":{"message","type","param","code"}}` (OpenAI, "Error codes"
/// <https://platform.openai.com/docs/guides/error-codes>, read 2026-11-23), `{"error":"..."}` (Ollama, llama.cpp),
/// `{"message","type","code"}` (vLLM), `{"detail":"..."}` (FastAPI).
pub fn error(status: u16, body: &[u8]) -> Error {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let inner = body.get("error").filter(|error| !error.is_null()).unwrap_or(&body);
    let text = |key: &str| inner.get(key).and_then(Value::as_str).map(str::to_owned);
    let message = text("message").or_else(|| text("detail")).or_else(|| inner.as_str().map(str::to_owned));
    let message = message.map_or_else(|| format!("the provider answered with status {status}"), |m| redact(&m));
    let type_ = text("type").map_or(Cow::Borrowed(type_of(status)), Cow::Owned);
    let mut error = Error::new(Kind::Upstream { status, type_, code: text("code").map(Cow::Owned) }, message);
    error.param = text("param");
    error
}

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
            (
                r#"{"object":"error","message":"too long","type":"BadRequestError","code":400}"#,
                "too long",
                "BadRequestError",
                None,
            ),
            (r#"{"detail":"Not Found"}"#, "Not Found", "rate_limit_error", None),
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
}
