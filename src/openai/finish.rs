//! Why a chat completion ended.

use serde::Deserialize;

#[derive(Deserialize)]
struct Completion<'a> {
    #[serde(borrow)]
    choices: Vec<Choice<'a>>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow)]
    finish_reason: Option<&'a str>,
}

/// Whether the provider's filter ended every answer of the chat completion `body`.
///
/// Source: OpenAI, "The chat completion object" <https://platform.openai.com/docs/api-reference/chat/object>, not re-read
/// for this.
pub fn is_filtered(body: &[u8]) -> bool {
    const FILTERED: &str = "content_filter";
    if memchr::memmem::find(body, FILTERED.as_bytes()).is_none() {
        return false;
    }
    let completion: Option<Completion<'_>> = serde_json::from_slice(body).ok();
    completion.is_some_and(|completion| {
        let mut choices = completion.choices.iter();
        !completion.choices.is_empty() && choices.all(|choice| choice.finish_reason == Some(FILTERED))
    })
}

#[cfg(test)]
mod tests {
    use super::is_filtered;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn only_a_finish_reason_says_so() {
        for (choices, expected) in [
            (r#"[{"finish_reason":"content_filter"}]"#, true),
            (
                r#"[{"message":{"content":null},"finish_reason":"content_filter"},{"finish_reason":"content_filter"}]"#,
                true,
            ),
            (r#"[{"finish_reason":"content_filter"},{"finish_reason":"stop"}]"#, false),
            (r#"[{"message":{"content":"content_filter"},"finish_reason":"stop"}]"#, false),
            ("[]", false),
        ] {
            let body = format!(r#"{{"id":"content_filter","choices":{choices}}}"#);
            assert_eq!(is_filtered(body.as_bytes()), expected, "{choices}");
        }
        assert!(!is_filtered(b"content_filter"));
    }
}
