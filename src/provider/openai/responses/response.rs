//! A whole response: only its usage is read, or what an estimate of it needs.

use std::borrow::Cow;

use serde::Deserialize;

use crate::error::{Error, Kind};
use crate::json::Index;
use crate::openai::usage::{ResponseWire, Served, Usage};
use crate::provider::Answer;

/// Reads the usage of a whole response.
///
/// # Errors
///
/// `BadUpstream`: the body is not a JSON object.
pub(in crate::provider::openai) fn response(body: &[u8]) -> Result<Answer, Error> {
    let index = Index::parse(body)
        .map_err(|fault| Error::new(Kind::BadUpstream, format!("the provider's answer is not valid JSON: {fault}")))?;
    let usage: Option<ResponseWire> = index.read(body, "usage").ok().flatten();
    let content_bytes = if usage.is_some() { 0 } else { content_bytes(&index, body) };
    let service_tier = index.read::<Served>(body, "service_tier").ok().flatten().and_then(|served| served.0);
    let usage = usage.as_ref().map(|usage| Usage { service_tier, ..Usage::from(usage) });
    Ok(Answer { body: None, usage, content_bytes })
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Item<'a> {
    #[serde(borrow)]
    content: Option<Vec<Part<'a>>>,
    #[serde(borrow)]
    summary: Option<Vec<Part<'a>>>,
    #[serde(borrow)]
    arguments: Option<Cow<'a, str>>,
    #[serde(borrow)]
    input: Option<Cow<'a, str>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Part<'a> {
    #[serde(borrow)]
    text: Option<Cow<'a, str>>,
    #[serde(borrow)]
    refusal: Option<Cow<'a, str>>,
}

fn content_bytes(index: &Index, body: &[u8]) -> u64 {
    let items: Vec<Item<'_>> = index.read(body, "output").ok().flatten().unwrap_or_default();
    items.iter().map(Item::content_bytes).sum()
}

impl Item<'_> {
    fn content_bytes(&self) -> u64 {
        let parts = self.content.iter().chain(&self.summary).flatten();
        let texts = parts.flat_map(|part| part.text.iter().chain(&part.refusal));
        texts.chain(&self.arguments).chain(&self.input).map(|text| text.len() as u64).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openai::usage::ServiceTier;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn usage_is_read_or_what_an_estimate_needs() {
        let body = br#"{"output":[],"usage":{"input_tokens":9,"input_tokens_details":{"cached_tokens":4,"cache_write_tokens":1},"output_tokens":3,"output_tokens_details":{"reasoning_tokens":2},"total_tokens":12},"service_tier":"flex"}"#;
        let usage = response(body).unwrap().usage.unwrap();
        assert_eq!(usage.service_tier, Some(ServiceTier::Flex));
        assert_eq!((usage.input_tokens, usage.output_tokens, usage.total_tokens()), (9, 3, 12));
        assert_eq!((usage.cached_tokens, usage.cache_write_tokens, usage.reasoning_tokens), (4, 1, 2));
        let body = br#"{"output":[{"type":"reasoning","summary":[{"text":"123"}]},{"type":"message","content":[{"text":"12345"},{"refusal":"1"}]},{"type":"function_call","arguments":"{}"}],"usage":null}"#;
        let answer = response(body).unwrap();
        assert_eq!((answer.usage, answer.content_bytes), (None, 11));
        assert_eq!(response(b"<html>").unwrap_err().kind, Kind::BadUpstream);
    }
}
