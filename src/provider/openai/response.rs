//! A whole answer: only its usage is read.

use std::borrow::Cow;

use memchr::memmem;
use serde::Deserialize;

use super::usage::Counted;
use crate::error::{Error, Kind};
use crate::json::Index;
use crate::openai::{Endpoint, Usage};
use crate::provider::Answer;

/// Reads the usage of a whole answer, or what an estimate of it needs. A transcription may be a plain text.
///
/// # Errors
///
/// `BadUpstream`: the body is not a JSON object.
pub fn response(endpoint: Endpoint, body: &[u8]) -> Result<Answer, Error> {
    let index = match Index::parse(body) {
        Ok(index) => index,
        Err(_) if matches!(endpoint, Endpoint::AudioTranscriptions | Endpoint::AudioTranslations) => {
            return Ok(Answer::default());
        }
        Err(fault) => {
            let message = format!("the provider's answer is not valid JSON: {fault}");
            return Err(Error::new(Kind::BadUpstream, message));
        }
    };
    let counted: Option<Counted> = index.read(body, "usage").ok().flatten();
    let usage = counted.and_then(|counted| counted.usage()).or_else(|| billed(&index, body));
    let content_bytes = if usage.is_some() { 0 } else { content_bytes(&index, body) };
    Ok(Answer { body: None, usage, content_bytes })
}

/// What Cohere's rerank says it counted: `{"meta":{"tokens":{"input_tokens"},"billed_units":{…}}}`.
fn billed(index: &Index, body: &[u8]) -> Option<Usage> {
    #[derive(Deserialize)]
    struct Meta {
        tokens: Option<Counted>,
        billed_units: Option<Counted>,
    }
    let meta: Meta = index.read(body, "meta").ok().flatten()?;
    meta.tokens.and_then(|tokens| tokens.usage()).or_else(|| meta.billed_units?.usage())
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow, default)]
    message: Option<Message<'a>>,
    #[serde(borrow, default)]
    text: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    content: Option<Cow<'a, str>>,
    #[serde(borrow, default, alias = "reasoning")]
    reasoning_content: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    tool_calls: Option<Vec<ToolCall<'a>>>,
}

#[derive(Deserialize)]
struct ToolCall<'a> {
    #[serde(borrow)]
    function: Function<'a>,
}

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(borrow)]
    arguments: Cow<'a, str>,
}

fn content_bytes(index: &Index, body: &[u8]) -> u64 {
    let choices: Vec<Choice<'_>> = index.read(body, "choices").ok().flatten().unwrap_or_default();
    choices.iter().map(Choice::content_bytes).sum()
}

impl Choice<'_> {
    fn content_bytes(&self) -> u64 {
        let of = |text: &Option<Cow<'_, str>>| text.as_ref().map_or(0, |text| text.len());
        let message = self.message.as_ref().map_or(0, |message| {
            let calls = message.tool_calls.iter().flatten().map(|call| call.function.arguments.len()).sum::<usize>();
            of(&message.content) + of(&message.reasoning_content) + calls
        });
        (message + of(&self.text)) as u64
    }
}

/// The end of an answer that is too long to be held: OpenAI writes `usage` last.
#[derive(Debug, Default)]
pub struct Tail {
    bytes: Vec<u8>,
}

impl Tail {
    /// Enough for a usage object with all its details.
    const MAX_BYTES: usize = 4096;

    /// Takes the next bytes of the answer.
    pub fn push(&mut self, bytes: &[u8]) {
        let keep = Self::MAX_BYTES.saturating_sub(bytes.len());
        self.bytes.drain(..self.bytes.len().saturating_sub(keep));
        let from = bytes.len().saturating_sub(Self::MAX_BYTES);
        self.bytes.extend_from_slice(bytes.get(from..).unwrap_or_default());
    }

    /// The usage object among the last bytes.
    pub fn usage(&self) -> Option<Usage> {
        let at = memmem::rfind(&self.bytes, b"\"usage\"")?;
        let value = self.bytes.get(at + 7..)?.trim_ascii_start().strip_prefix(b":")?;
        let mut values = serde_json::Deserializer::from_slice(value).into_iter::<Counted>();
        values.next()?.ok()?.usage()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn usage_is_read_or_what_an_estimate_needs() {
        let body = br#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12,"prompt_tokens_details":{"cached_tokens":4}}}"#;
        let usage = response(Endpoint::ChatCompletions, body).unwrap().usage.unwrap();
        assert_eq!((usage.input_tokens, usage.output_tokens, usage.cached_tokens), (9, 3, 4));
        let body = br#"{"choices":[{"message":{"content":"12345","tool_calls":[{"id":"x","function":{"name":"f","arguments":"{}"}}]}},{"text":"123"}],"usage":null}"#;
        let answer = response(Endpoint::ChatCompletions, body).unwrap();
        assert_eq!((answer.usage, answer.content_bytes), (None, 10));
        assert_eq!(response(Endpoint::ChatCompletions, b"<html>").unwrap_err().kind, Kind::BadUpstream);
        assert_eq!(response(Endpoint::AudioTranscriptions, b"1\n00:00 --> 00:01\nHi").unwrap().usage, None);
        let body = br#"{"results":[],"meta":{"billed_units":{"search_units":1},"tokens":{"input_tokens":8}}}"#;
        assert_eq!(response(Endpoint::Rerank, body).unwrap().usage.unwrap().input_tokens, 8);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_tail_of_a_long_answer_holds_its_usage() {
        let body = [&b"[0.5,".repeat(5000)[..], br#"],"usage": {"prompt_tokens": 7, "total_tokens": 7} }"#].concat();
        for size in [1, 7, 4096, body.len()] {
            let mut tail = Tail::default();
            body.chunks(size).for_each(|chunk| tail.push(chunk));
            assert_eq!(tail.usage().unwrap().input_tokens, 7, "chunks of {size}");
        }
    }
}
