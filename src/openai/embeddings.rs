//! Lists of embeddings: what a vendor's vectors become.
//!
//! Source: OpenAI, "Create embeddings" <https://platform.openai.com/docs/api-reference/embeddings/create>, not re-read
//! for this. `encoding_format: "base64"`, which OpenAI's own SDK asks for, is the vector as little-endian 32-bit floats.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use super::{Request, Usage};
use crate::json::Text;

/// How the vectors of an answer are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// As numbers.
    Float,
    /// As bytes in a string.
    Base64,
}

impl Encoding {
    /// What `request` asks for.
    pub fn of(request: &Request) -> Self {
        let format: Option<Cow<'_, str>> = request.index.read(&request.body, "encoding_format").ok().flatten();
        if format.is_some_and(|format| format == "base64") { Self::Base64 } else { Self::Float }
    }

    /// A vector as it is answered; `None` where `numbers` is no array of numbers.
    pub fn vector(self, numbers: &RawValue) -> Option<Vector<'_>> {
        match self {
            Self::Float if numbers.get().starts_with('[') => Some(Vector::Numbers(numbers)),
            Self::Float => None,
            Self::Base64 => {
                let numbers: Vec<f32> = serde_json::from_str(numbers.get()).ok()?;
                Some(Vector::Text(Text::Plain(base64(&numbers).into())))
            }
        }
    }
}

/// One embedding.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Vector<'a> {
    /// Numbers, as the vendor wrote them.
    Numbers(&'a RawValue),
    /// Base64.
    Text(Text<'a>),
}

/// The body of an answer: `{"object":"list","data":[…],"model":…,"usage":…}`.
pub fn list(model: &str, vectors: Vec<Vector<'_>>, usage: Option<&Usage>) -> Vec<u8> {
    #[derive(Serialize)]
    struct List<'a> {
        object: &'static str,
        data: Vec<Entry<'a>>,
        model: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        usage: Option<Counted>,
    }
    #[derive(Serialize)]
    struct Entry<'a> {
        object: &'static str,
        index: usize,
        embedding: Vector<'a>,
    }
    #[derive(Serialize)]
    struct Counted {
        prompt_tokens: u64,
        total_tokens: u64,
    }
    let entry = |(index, embedding)| Entry { object: "embedding", index, embedding };
    let data = vectors.into_iter().enumerate().map(entry).collect();
    let usage = usage.map(|usage| Counted { prompt_tokens: usage.input_tokens, total_tokens: usage.total_tokens() });
    // Writing to memory cannot fail, and none of these types refuses to be written.
    serde_json::to_vec(&List { object: "list", data, model, usage }).unwrap_or_default()
}

fn base64(numbers: &[f32]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = (0..3).fold(0_usize, |bits, i| (bits << 8) | usize::from(group.get(i).copied().unwrap_or(0)));
        for i in 0..4 {
            let digit = ALPHABET.get((bits >> (18 - 6 * i)) & 63).copied().unwrap_or(b'=');
            text.push(char::from(if i > group.len() { b'=' } else { digit }));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn base64_is_that_of_little_endian_floats() {
        for (numbers, text) in [
            (vec![], ""),
            (vec![1.0], "AACAPw=="),
            (vec![0.1, 0.2], "zczMPc3MTD4="),
            (vec![1.0, -1.0, 0.5], "AACAPwAAgL8AAAA/"),
        ] {
            assert_eq!(base64(&numbers), text);
        }
    }
}
