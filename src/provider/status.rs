//! What the HTTP status of a provider's error is in OpenAI's words, where the provider itself says no more.

use std::borrow::Cow;

use crate::error::{Error, Kind};

/// OpenAI's type of an error, and its code where it has one.
pub type Words = (&'static str, Option<&'static str>);

/// The words for `status`; `code` is what a provider's prose says of any other error of the client's.
pub fn words(status: u16, code: impl FnOnce() -> Option<&'static str>) -> Words {
    match status {
        401 => ("authentication_error", None),
        403 => ("permission_error", None),
        404 => ("invalid_request_error", Some("model_not_found")),
        408 | 504 => ("timeout_error", Some("timeout")),
        413 => ("invalid_request_error", Some("request_too_large")),
        429 => ("rate_limit_error", Some("rate_limit_exceeded")),
        503 | 529 => ("overloaded_error", None),
        400..500 => ("invalid_request_error", code()),
        _ => ("api_error", None),
    }
}

/// The error of a provider that says `message`; one that says nothing readable has a sentence of ours.
pub fn upstream(status: u16, type_: impl Into<Cow<'static, str>>, code: Option<&'static str>, message: &str) -> Error {
    let kind = Kind::Upstream { status, type_: type_.into(), code: code.map(Cow::Borrowed) };
    match message {
        "" => Error::new(kind, format!("the provider answered with status {status} and no readable error")),
        _ => Error::new(kind, message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn every_status_has_its_words() {
        let prose = || Some("prose");
        for (status, type_, code) in [
            (400, "invalid_request_error", Some("prose")),
            (401, "authentication_error", None),
            (403, "permission_error", None),
            (404, "invalid_request_error", Some("model_not_found")),
            (408, "timeout_error", Some("timeout")),
            (413, "invalid_request_error", Some("request_too_large")),
            (422, "invalid_request_error", Some("prose")),
            (429, "rate_limit_error", Some("rate_limit_exceeded")),
            (500, "api_error", None),
            (503, "overloaded_error", None),
            (504, "timeout_error", Some("timeout")),
            (529, "overloaded_error", None),
        ] {
            assert_eq!(words(status, prose), (type_, code), "{status}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn an_error_without_a_message_has_one_of_ours() {
        assert_eq!(upstream(400, "t", None, "why").message, "why");
        assert_eq!(upstream(502, "t", None, "").message, "the provider answered with status 502 and no readable error");
    }
}
