//! What a request may cost, before anybody knows: the size of the reservation that admission makes.
//!
//! The gateway has no tokenizer: one for every vendor is megabytes of tables, and a reservation need not be exact, since
//! settlement replaces it by the truth. It must only be cheap and, for ordinary requests, not too small.
//!
//! # Limits
//!
//! - Text is counted at four bytes a token. English prose has about that; code and Chinese about three bytes a token,
//!   so they are counted a quarter too low; text made to be dense in tokens can reach one byte a token, and be counted
//!   four times too low. `\uXXXX` escapes are counted too high, up to six times.
//! - The JSON around a text counts as text. It pays for the tokens that a vendor adds to each message.
//! - A picture counts as [`IMAGE_TOKENS`], whatever its size, if it is a `data:` URL or, in Anthropic's shape, base64 in a
//!   member `data`, where a document or a sound counts as one too: up to four times too low, documents far more. A picture
//!   behind an `https:` URL counts as the text of its URL. Other files in base64 count as text, which is far too high.
//! - Nobody knows before the answer how long the audio of a transcription is, how many tokens a picture or speech that is
//!   made has, or how many searches a reranking counts as: nothing, nothing and one is set aside.

use memchr::{memchr, memmem};

use std::borrow::Cow;

use super::Price;
use crate::openai::usage::{Measure, Served, ServiceTier};
use crate::openai::{Endpoint, Request, Usage};
use crate::units::PicoUsd;

/// The tokens of a picture whose size is not known: what one large picture costs with most vendors.
///
/// Source: Together AI, "Vision" <https://docs.together.ai/docs/vision-overview>, read 2026-11-23: 1,601 tokens for each tile of
/// 560 pixels, at most four of them. GPT-4.1's rule, as second-hand tables give it, is at most 1,536.
pub const IMAGE_TOKENS: u64 = 1600;

/// The longest answer of a model of which nobody says how much it can answer.
pub const DEFAULT_OUTPUT_TOKENS: u64 = 4096;

/// The tokens of a text of this length: four bytes each, rounded up, which is OpenAI's rule of thumb for English.
pub const fn tokens_in_bytes(bytes: u64) -> u64 {
    bytes.div_ceil(4)
}

/// The tokens of a request's prompt and tools.
pub fn prompt_tokens(request: &Request) -> u64 {
    let values = request.index.members().iter().filter(|member| PROMPT.contains(&member.key.as_str()));
    values.fold(0, |sum: u64, member| {
        let value = request.body.get(member.value.clone()).unwrap_or_default();
        sum.saturating_add(tokens_in(value))
    })
}

/// The most that a request can use of any deployment, read from its body once.
#[derive(Clone, Copy, Debug)]
pub struct Most {
    /// Without the tokens of the answers.
    usage: Usage,
    /// The longest answer, where the request says one.
    asked: Option<u64>,
    /// How many answers there are; 0 where no text is generated.
    answers: u64,
}

impl Most {
    /// What `request` can use, whose prompt has so many tokens.
    pub fn of(request: &Request, prompt_tokens: u64) -> Self {
        let usage = Usage {
            input_tokens: prompt_tokens,
            measure: measure(request),
            service_tier: service_tier(request),
            ..Usage::default()
        };
        let answers = if request.endpoint.generates() { answers(request) } else { 0 };
        Self { usage, asked: request.max_output_tokens, answers }
    }

    /// The most tokens that the answers can have; `model_max` is the model's own bound on one.
    ///
    /// A request that sets no bound of its own may take all of the model's, and one that asks for `n` answers `n` times that.
    pub fn output_tokens(&self, model_max: Option<u64>) -> u64 {
        let one = match (self.asked, model_max) {
            (Some(asked), Some(max)) => asked.min(max),
            (Some(only), None) | (None, Some(only)) => only,
            (None, None) => DEFAULT_OUTPUT_TOKENS,
        };
        one.saturating_mul(self.answers)
    }

    /// The most tokens that the answers can have where the request says it.
    pub fn asked_tokens(&self) -> u64 {
        self.asked.map_or(0, |_| self.output_tokens(None))
    }

    /// The most that the answers can cost: all tokens at the dearest rate of their side, all images that it asks for, all
    /// characters of what is to be spoken. `model_max` is as in [`Self::output_tokens`].
    pub fn cost(&self, price: &Price, model_max: Option<u64>) -> PicoUsd {
        price.ceiling(&Usage { output_tokens: self.output_tokens(model_max), ..self.usage })
    }
}

/// What a request says of the measure of its answer. The length of audio is in no request.
pub fn measure(request: &Request) -> Measure {
    match request.endpoint {
        Endpoint::AudioSpeech => {
            let input: Option<Cow<'_, str>> = request.index.read(&request.body, "input").ok().flatten();
            Measure::Characters(input.map_or(0, |input| input.chars().count() as u64))
        }
        Endpoint::ImageGenerations | Endpoint::ImageEdits => Measure::Images(answers(request)),
        Endpoint::Rerank => Measure::Searches(1),
        _ => Measure::None,
    }
}

/// The service tier that a request asks for, where it has a price of its own.
pub fn service_tier(request: &Request) -> Option<ServiceTier> {
    request.index.read::<Served>(&request.body, "service_tier").ok().flatten()?.0
}

fn answers(request: &Request) -> u64 {
    let part = |key| {
        let part = request.form.as_ref()?.named(key).next()?;
        std::str::from_utf8(request.body.get(part.value.clone())?).ok()?.trim().parse().ok()
    };
    let member = |key| request.index.read::<u64>(&request.body, key).ok().flatten();
    let count = |key| member(key).or_else(|| part(key)).unwrap_or(1);
    count("n").max(count("best_of")).clamp(1, MOST_ANSWERS)
}

/// The tokens of a JSON value, every byte of which is looked at once.
fn tokens_in(mut value: &[u8]) -> u64 {
    let finder = memmem::Finder::new(DATA);
    let (mut text, mut images) = (0_u64, 0_u64);
    while images < MOST_IMAGES {
        let Some(at) = finder.find(value) else { break };
        let (before, after) = value.split_at(at.saturating_add(DATA.len()));
        text = text.saturating_add(before.len() as u64);
        let picture = picture_len(after);
        images = images.saturating_add(u64::from(picture.is_some()));
        value = after.get(picture.unwrap_or_default()..).unwrap_or_default();
    }
    let text = text.saturating_add(value.len() as u64);
    tokens_in_bytes(text).saturating_add(images.saturating_mul(IMAGE_TOKENS))
}

/// The length of the picture that begins behind [`DATA`]: a `data:` URL, or the `data` of Anthropic's base64.
fn picture_len(after: &[u8]) -> Option<usize> {
    if after.starts_with(b":image/") {
        return Some(memchr(b'"', after).unwrap_or(after.len()));
    }
    let value = after.strip_prefix(b"\"")?.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
    let data = value.strip_prefix(b"\"")?;
    let len = memchr(b'"', data).unwrap_or(data.len());
    let is_base64 = |&byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    let is_picture = len >= SMALL_PICTURE_BYTES && data.iter().take(SMALL_PICTURE_BYTES).all(is_base64);
    is_picture.then_some(after.len().saturating_sub(data.len()).saturating_add(len))
}

/// The members that a model reads.
const PROMPT: [&str; 10] =
    ["messages", "prompt", "suffix", "input", "tools", "functions", "system", "instructions", "query", "documents"];
/// What pictures begin with, in a URL or as a member of their own.
const DATA: &[u8] = b"\"data";
/// A member `data` in base64 that is shorter counts as text: there is more of it in tools' arguments than in pictures.
const SMALL_PICTURE_BYTES: usize = 1024;
/// Pictures that are told from text in one member. No vendor takes more.
const MOST_IMAGES: u64 = 1000;
/// OpenAI's bound on `n`.
const MOST_ANSWERS: u64 = 128;

#[cfg(test)]
mod tests {
    use super::{DEFAULT_OUTPUT_TOKENS, IMAGE_TOKENS, MOST_IMAGES, Most, measure, prompt_tokens, tokens_in_bytes};
    use crate::budget::rate::Condition;
    use crate::budget::{Price, Rate};
    use crate::openai::usage::{Measure, ServiceTier};
    use crate::openai::{Endpoint, Request};
    use crate::units::PicoUsd;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn request(endpoint: Endpoint, body: &str) -> Request {
        Request::parse(endpoint, body.as_bytes().to_vec()).unwrap()
    }

    fn chat(members: &str) -> Request {
        request(Endpoint::ChatCompletions, &format!(r#"{{"model":"m",{members}}}"#))
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn four_bytes_are_a_token() {
        for (bytes, tokens) in [(0, 0), (1, 1), (4, 1), (5, 2), (u64::MAX, u64::MAX / 4 + 1)] {
            assert_eq!(tokens_in_bytes(bytes), tokens);
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_the_model_reads_is_counted_and_nothing_else() {
        let rows = [
            (chat(r#""messages":[]"#), 1),
            (chat(r#""messages":[],"user":"0123456789","metadata":{"a":"0123456789"}"#), 1),
            (chat(r#""messages":["0123"],"tools":[{"a":"b"}]"#), 2 + 3),
            (request(Endpoint::Completions, r#"{"model":"m","prompt":"012345678901"}"#), 4),
            (request(Endpoint::Embeddings, r#"{"model":"m","input":["01","23"]}"#), 3),
            (
                request(Endpoint::Responses, r#"{"model":"m","input":"012345","instructions":"01","tools":[]}"#),
                2 + 1 + 1,
            ),
        ];
        for (request, tokens) in rows {
            assert_eq!(prompt_tokens(&request), tokens, "{}", String::from_utf8_lossy(&request.body));
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_picture_is_not_text() {
        let picture = |bytes: usize| format!(r#"{{"url":"data:image/png;base64,{}"}}"#, "A".repeat(bytes));
        let tokens = |pictures: &[String]| prompt_tokens(&chat(&format!(r#""messages":[{}]"#, pictures.join(","))));
        let one = tokens(&[picture(1_000_000)]);
        assert_eq!(one, tokens(&[picture(1)]));
        assert!((IMAGE_TOKENS..IMAGE_TOKENS + 20).contains(&one), "{one}");
        let three = tokens(&[picture(1000), picture(1000), picture(1000)]);
        assert!((3 * IMAGE_TOKENS..3 * IMAGE_TOKENS + 50).contains(&three), "{three}");
        let many = tokens(&vec![picture(1); MOST_IMAGES as usize + 500]);
        assert!((MOST_IMAGES * IMAGE_TOKENS..(MOST_IMAGES + 20) * IMAGE_TOKENS).contains(&many), "{many}");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_picture_in_anthropics_shape_is_one_too() {
        let source = |bytes: usize| format!(r#"{{"type":"base64","data" : "{}"}}"#, "A".repeat(bytes));
        let tokens = |sources: &[String]| prompt_tokens(&chat(&format!(r#""messages":[{}]"#, sources.join(","))));
        let two = tokens(&[source(1_000_000), source(5000)]);
        assert!((2 * IMAGE_TOKENS..2 * IMAGE_TOKENS + 40).contains(&two), "{two}");
        assert!((25..50).contains(&tokens(&[source(100)])), "short data is text");
        let words = format!(r#"{{"data":"{}"}}"#, "some words ".repeat(1000));
        assert!(tokens(&[words]) > 2500);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn an_answer_is_bounded_by_the_request_and_the_model() {
        let rows = [
            ("", None, DEFAULT_OUTPUT_TOKENS),
            ("", Some(100), 100),
            (r#","max_tokens":7"#, None, 7),
            (r#","max_tokens":700"#, Some(100), 100),
            (r#","max_tokens":7,"n":3"#, Some(100), 21),
            (r#","max_tokens":7,"n":0"#, None, 7),
            (r#","max_tokens":1,"n":18446744073709551615"#, None, 128),
            (r#","max_tokens":1,"n":"x""#, None, 1),
        ];
        for (members, max, tokens) in rows {
            assert_eq!(
                Most::of(&chat(&format!(r#""messages":[]{members}"#)), 0).output_tokens(max),
                tokens,
                "{members}"
            );
        }
        let response = request(Endpoint::Responses, r#"{"model":"m","input":"a","max_output_tokens":7}"#);
        assert_eq!(Most::of(&response, 0).output_tokens(Some(100)), 7);
        assert_eq!(
            Most::of(&request(Endpoint::Embeddings, r#"{"model":"m","input":"a"}"#), 0).output_tokens(Some(9)),
            0
        );
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_worst_cost_takes_the_dearest_rates() {
        let pico = PicoUsd;
        let price = Price::flat(pico(10), pico(50))
            .with(Rate::Cached, pico(1))
            .with(Rate::CacheWrite, pico(12))
            .with(Rate::InputCharacter, pico(7))
            .with(Rate::OutputImage, pico(100_000));
        let rows = [
            (chat(r#""messages":[],"max_tokens":10"#), price.clone(), 1200 + 500),
            (chat(r#""messages":[],"max_tokens":10"#), price.clone().with(Rate::Request, pico(3)), 1200 + 500 + 3),
            (chat(r#""messages":[],"max_tokens":10"#), price.clone().with(Rate::OutputAudio, pico(60)), 1200 + 600),
            (
                request(Endpoint::AudioSpeech, r#"{"model":"m","input":"\u00e9 a"}"#),
                Price::default().with(Rate::InputCharacter, pico(7)),
                21,
            ),
            (request(Endpoint::AudioSpeech, r#"{"model":"m","input":"ab"}"#), price.clone(), 1200),
            (request(Endpoint::ImageGenerations, r#"{"model":"m","prompt":"a","n":3}"#), price.clone(), 300_000),
            (
                request(Endpoint::Rerank, r#"{"model":"m","documents":[]}"#),
                Price::default().with(Rate::Query, pico(5)),
                5,
            ),
        ];
        for (request, price, worst) in rows {
            let body = String::from_utf8_lossy(&request.body);
            assert_eq!(Most::of(&request, 100).cost(&price, None), PicoUsd(worst), "{body}");
        }
        let dear = Condition { above_input_tokens: None, tier: ServiceTier::Priority };
        let tiered = price.with_in(dear, Rate::Input, pico(20));
        for (tier, worst) in [("priority", 2000 + 500), ("flex", 1200 + 500), ("auto", 1200 + 500)] {
            let request = chat(&format!(r#""messages":[],"max_tokens":10,"service_tier":"{tier}""#));
            assert_eq!(Most::of(&request, 100).cost(&tiered, None), PicoUsd(worst), "{tier}");
        }
        let endless = chat(r#""messages":[],"max_tokens":18446744073709551615"#);
        assert_eq!(Most::of(&endless, u64::MAX).cost(&tiered, None), PicoUsd(u64::MAX));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_form_says_how_many_images_it_wants() {
        let form = "--b\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\nx\r\n--b\r\nContent-Disposition: form-data; \
                    name=\"image\"; filename=\"a\"\r\n\r\nx\r\n--b\r\nContent-Disposition: form-data; name=\"n\"\r\n\r\n4\r\n--b--\r\n";
        let content_type = "multipart/form-data; boundary=b";
        let model = Some("m".to_owned());
        let request = Request::parse_form(Endpoint::ImageEdits, model, content_type, form.into()).unwrap();
        assert_eq!(measure(&request), Measure::Images(4));
    }
}
