//! A whole answer: only its usage is read.

use std::borrow::Cow;

use memchr::memmem;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::usage::{Counted, heard};
use crate::error::{Error, Kind};
use crate::json::Index;
use crate::openai::usage::{Measure, Served, ServiceTier};
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
    let usage = match endpoint {
        Endpoint::ImageGenerations | Endpoint::ImageEdits => images(counted, &index, body),
        Endpoint::AudioTranscriptions | Endpoint::AudioTranslations => sound(counted, &index, body),
        _ => counted.and_then(|counted| counted.usage()).or_else(|| billed(&index, body)),
    };
    let served: Option<Served> = index.read(body, "service_tier").ok().flatten();
    let served = served.and_then(|served| served.0);
    let usage = usage.map(|usage| Usage { service_tier: served.or(usage.service_tier), ..usage });
    let content_bytes = if usage.is_some() { 0 } else { content_bytes(&index, body) };
    Ok(Answer { body: None, usage, content_bytes })
}

/// The tokens of images, else their number: `{"data":[...]}`.
fn images(counted: Option<Counted>, index: &Index, body: &[u8]) -> Option<Usage> {
    let usage = counted.and_then(|counted| counted.usage());
    if usage.is_some_and(|usage| usage.output_tokens > 0) {
        return usage;
    }
    let data: Vec<IgnoredAny> = index.read(body, "data").ok().flatten()?;
    Some(Usage { measure: Measure::Images(data.len() as u64), ..usage.unwrap_or_default() })
}

/// The tokens or the seconds of a transcription; one with timestamps (`verbose_json`) says its `duration`, too.
fn sound(counted: Option<Counted>, index: &Index, body: &[u8]) -> Option<Usage> {
    let usage = counted.and_then(|counted| counted.usage());
    usage.or_else(|| {
        let seconds: f64 = index.read(body, "duration").ok().flatten()?;
        Some(Usage { measure: heard(seconds), ..Usage::default() })
    })
}

/// What Cohere's rerank says it counted: `{"meta":{"tokens":{"input_tokens"},"billed_units":{…}}}`.
fn billed(index: &Index, body: &[u8]) -> Option<Usage> {
    #[derive(Deserialize)]
    struct Meta {
        tokens: Option<Counted>,
        billed_units: Option<Billed>,
    }
    #[derive(Deserialize)]
    struct Billed {
        #[serde(flatten)]
        counted: Counted,
        search_units: Option<f64>,
    }
    let Meta { tokens, billed_units } = index.read(body, "meta").ok().flatten()?;
    let searches = billed_units.as_ref().and_then(|billed| billed.search_units);
    let measure = searches.map_or(Measure::None, |units| Measure::Searches(units as u64));
    let usage = tokens.and_then(|tokens| tokens.usage()).or_else(|| billed_units?.counted.usage());
    let is_measured = measure != Measure::None;
    usage.or(is_measured.then(Usage::default)).map(|usage| Usage { measure, ..usage })
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

/// The end of an answer that is too long to be held: OpenAI writes `usage` last, or has but `metadata` after it.
#[derive(Debug, Default)]
pub struct Tail {
    bytes: Vec<u8>,
}

impl Tail {
    /// Enough for a usage object with all its details and the 16 entries of `metadata`, 576 characters each.
    const MAX_BYTES: usize = 16 << 10;

    /// Takes the next bytes of the answer.
    pub fn push(&mut self, bytes: &[u8]) {
        let keep = Self::MAX_BYTES.saturating_sub(bytes.len());
        self.bytes.drain(..self.bytes.len().saturating_sub(keep));
        let from = bytes.len().saturating_sub(Self::MAX_BYTES);
        self.bytes.extend_from_slice(bytes.get(from..).unwrap_or_default());
    }

    /// The usage object among the last bytes.
    pub fn usage(&self) -> Option<Usage> {
        memmem::rfind_iter(&self.bytes, b"\"usage\"").find_map(|at| {
            let value = self.bytes.get(at + 7..)?.trim_ascii_start().strip_prefix(b":")?;
            let object: &RawValue = serde_json::Deserializer::from_slice(value).into_iter().next()?.ok()?;
            // Anthropic's counts leave out what its cache gave.
            let is_ours = !object.get().contains("\"cache_read_input_tokens\"");
            let usage = serde_json::from_str::<Counted>(object.get()).ok().filter(|_| is_ours)?.usage()?;
            Some(Usage { service_tier: self.service_tier().or(usage.service_tier), ..usage })
        })
    }

    /// The last service tier among the last bytes; in a text of the answer the quotes would be escaped.
    fn service_tier(&self) -> Option<ServiceTier> {
        let at = memmem::rfind(&self.bytes, b"\"service_tier\"")?;
        let value = self.bytes.get(at + 14..)?.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
        let name = value.strip_prefix(b"\"")?.split(|byte| *byte == b'"').next()?;
        ServiceTier::named(std::str::from_utf8(name).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Millis;
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
        let usage = response(Endpoint::Rerank, body).unwrap().usage.unwrap();
        assert_eq!((usage.input_tokens, usage.measure), (8, Measure::Searches(1)));
        let body = br#"{"results":[],"meta":{"billed_units":{"search_units":2}}}"#;
        assert_eq!(response(Endpoint::Rerank, body).unwrap().usage.unwrap().measure, Measure::Searches(2));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_no_text_is_measured() {
        let audio = |ms| Measure::Audio(Millis(ms));
        let rows = [
            (Endpoint::AudioTranscriptions, r#"{"text":"a","usage":{"type":"duration","seconds":7}}"#, audio(7000), 0),
            (Endpoint::AudioTranslations, r#"{"text":"a","duration":8.47,"segments":[]}"#, audio(8470), 0),
            (Endpoint::AudioTranscriptions, r#"{"usage":{"input_tokens":1,"output_tokens":2}}"#, Measure::None, 0),
            (Endpoint::ImageGenerations, r#"{"data":[{"url":"a"},{"url":"b"}]}"#, Measure::Images(2), 0),
            (Endpoint::ImageEdits, r#"{"data":[1],"usage":{"input_tokens":3,"output_tokens":9}}"#, Measure::None, 0),
            (
                Endpoint::ImageEdits,
                r#"{"usage":{"input_tokens":3,"output_tokens":9,"output_tokens_details":{"image_tokens":8,"text_tokens":1}}}"#,
                Measure::None,
                8,
            ),
        ];
        for (endpoint, body, measure, image_tokens) in rows {
            let usage = response(endpoint, body.as_bytes()).unwrap().usage.unwrap();
            assert_eq!((usage.measure, usage.image_output_tokens), (measure, image_tokens), "{body}");
        }
        let body = br#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":3},"service_tier":"priority"}"#;
        let usage = response(Endpoint::ChatCompletions, body).unwrap().usage.unwrap();
        assert_eq!(usage.service_tier, Some(ServiceTier::Priority));
        let mut tail = Tail::default();
        tail.push(body);
        assert_eq!(tail.usage(), Some(usage));
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

    #[wasm_bindgen_test(unsupported = test)]
    fn the_tail_of_a_long_response_holds_its_usage_before_its_metadata() {
        let mut tail = Tail::default();
        tail.push(br#"xx"],"usage":{"input_tokens":7,"input_tokens_details":{"cached_tokens":2},"output_tokens":5,"total_tokens":12},"user":null,"metadata":{"usage":"none"}}"#);
        let usage = tail.usage().unwrap();
        assert_eq!((usage.input_tokens, usage.cached_tokens, usage.output_tokens), (7, 2, 5));
    }
}
