//! Embeddings for vendors with an API of their own: what a request asks to embed, and the answer in OpenAI's shape.
//!
//! Clients get numbers or base64 as they ask: OpenAI's own SDKs ask for base64 unless told otherwise, and vendors answer
//! in numbers only.
//!
//! Source: OpenAI, "Create embeddings" <https://platform.openai.com/docs/api-reference/embeddings/create>, not re-read
//! for this: base64 is that of the vector's 32-bit floats, little-endian.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::value::RawValue;

use super::chat::{self, Fault};
use super::{Request, Usage};
use crate::json::{Literal, Shape};

/// The texts of `input`: one, or an array of them.
///
/// # Errors
///
/// The client's: anything else, such as numbers of tokens, which mean something to OpenAI's models only.
pub fn texts(request: &Request) -> Result<Vec<Literal<'_>>, Fault> {
    const EXPECTED: &str = "a string or an array of strings";
    let Some(raw) = member(request, "input") else { return Err(Fault::missing(EXPECTED).at("input")) };
    if let Some(text) = Literal::new(raw) {
        return Ok(vec![text]);
    }
    let all = chat::elements(raw.get()).map_err(|_| Fault::wrong_type(EXPECTED).at("input"))?;
    if all.is_empty() {
        return Err(Fault::wrong_value("at least one text").at("input"));
    }
    let texts = all.into_iter().enumerate();
    texts.map(|(i, raw)| chat::literal(raw).map_err(|fault| fault.in_element("input", i))).collect()
}

/// Whether the client wants the vectors in base64.
pub fn wants_base64(request: &Request) -> bool {
    member(request, "encoding_format").is_some_and(|raw| raw.get() == "\"base64\"")
}

fn member<'a>(request: &'a Request, name: &str) -> Option<&'a RawValue> {
    let member = request.index.get(name).filter(|member| member.shape != Shape::Null)?;
    serde_json::from_slice(request.body.get(member.value.clone())?).ok()
}

/// `{"object":"list","data":[{"object":"embedding","index":…,"embedding":…}],"model":…,"usage":…}` that answers
/// `request`, each of `vectors` an array of numbers, or base64 already; `None` where one of them is neither.
pub fn answer(request: &Request, model: &str, vectors: &[&RawValue], usage: Usage) -> Option<Vec<u8>> {
    let is_base64 = wants_base64(request);
    let vector = |raw: &&RawValue| match is_base64 {
        _ if raw.get().starts_with('"') => Some((**raw).to_owned()),
        true => base64(raw.get()).and_then(|text| serde_json::value::to_raw_value(&text).ok()),
        false => raw.get().starts_with('[').then(|| (**raw).to_owned()),
    };
    let entry = |(index, raw)| Some(Entry { object: "embedding", index, embedding: vector(raw)? });
    let data = vectors.iter().enumerate().map(entry).collect::<Option<_>>()?;
    let usage = Counted { prompt_tokens: usage.input_tokens, total_tokens: usage.input_tokens };
    serde_json::to_vec(&List { object: "list", data, model, usage }).ok()
}

#[derive(Serialize)]
struct List<'a> {
    object: &'static str,
    data: Vec<Entry>,
    model: &'a str,
    usage: Counted,
}

#[derive(Serialize)]
struct Entry {
    object: &'static str,
    index: usize,
    embedding: Box<RawValue>,
}

#[derive(Serialize)]
struct Counted {
    prompt_tokens: u64,
    total_tokens: u64,
}

/// The base64 of `vector`, a JSON array of numbers.
pub fn base64(vector: &str) -> Option<String> {
    let numbers: Vec<f32> = serde_json::from_str(vector).ok()?;
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    Some(STANDARD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openai::Endpoint;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn asked(rest: &str) -> Request {
        Request::parse(Endpoint::Embeddings, format!(r#"{{"model":"m",{rest}}}"#).into_bytes()).unwrap()
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn texts_come_one_or_many() {
        let count = |rest: &str| texts(&asked(rest)).map(|all| all.len());
        assert_eq!(count(r#""input":"a""#), Ok(1));
        assert_eq!(count(r#""input":["a","b"]"#), Ok(2));
        for (rest, param) in
            [(r#""input":[]"#, "input"), (r#""input":["a",[1]]"#, "input[1]"), (r#""input":[1]"#, "input[0]")]
        {
            let error = crate::error::Error::from(count(rest).unwrap_err());
            assert_eq!(error.param.as_deref(), Some(param));
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn vectors_come_as_asked() {
        let vector: &RawValue = serde_json::from_str("[1.0, -0.5]").unwrap();
        let usage = Usage { input_tokens: 3, ..Usage::default() };
        let text = |rest: &str| String::from_utf8(answer(&asked(rest), "m", &[vector], usage).unwrap()).unwrap();
        assert_eq!(
            text(r#""input":"a""#),
            r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[1.0, -0.5]}],"model":"m","usage":{"prompt_tokens":3,"total_tokens":3}}"#
        );
        assert!(text(r#""input":"a","encoding_format":"base64""#).contains(r#""embedding":"AACAPwAAAL8=""#));
        let written: &RawValue = serde_json::from_str(r#""AACAPw==""#).unwrap();
        assert!(answer(&asked(r#""input":"a""#), "m", &[written], usage).is_some());
        let wrong: &RawValue = serde_json::from_str("{}").unwrap();
        assert_eq!(answer(&asked(r#""input":"a""#), "m", &[wrong], usage), None);
    }
}
