//! OpenAI's embeddings: small vectors that depend on the input's text alone.
//!
//! `encoding_format: base64`, which the Python SDK asks for, is little-endian f32; tests/sdk/openai_sdk.py compares
//! both formats through that SDK.

use hyper::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use crate::openai;
use crate::reply::Reply;
use crate::usage;
use crate::value::{Object, object};
use crate::vendor::{self, Call, Fault};

/// The length of a vector when the request does not say.
pub(crate) const DIMENSIONS: usize = 8;
/// The longest vector that is served.
const DIMENSIONS_LIMIT: usize = 4096;

#[derive(Deserialize)]
struct EmbeddingRequest {
    model: String,
    input: Value,
    #[serde(default)]
    encoding_format: Option<String>,
    dimensions: Option<usize>,
}

/// Answers `/embeddings`.
pub(crate) fn embeddings(call: &Call<'_>) -> Result<Reply, Fault> {
    openai::authenticate(call)?;
    let request: EmbeddingRequest = vendor::parse(call.body)?;
    let dimensions = request.dimensions.unwrap_or(DIMENSIONS).min(DIMENSIONS_LIMIT);
    let base64 = request.encoding_format.as_deref() == Some("base64");
    let vectors: Vec<Object> = inputs(&request.input)
        .iter()
        .enumerate()
        .map(|(index, input)| {
            let vector = vector(input, dimensions);
            let entry = object! {"object": "embedding", "index": index};
            if base64 { entry.with("embedding", &encode(&vector)) } else { entry.with("embedding", &vector) }
        })
        .collect();
    let body = object! {"object": "list", "data": vectors, "model": request.model};
    let prompt = usage::count(call.script, call.body.len(), "").prompt;
    let usage = (!call.script.shape.no_usage).then(|| object! {"prompt_tokens": prompt, "total_tokens": prompt});
    Ok(Reply::json(StatusCode::OK, &body.with_some("usage", usage)))
}

/// A string or a list of token numbers is one input; any other list is one input per element.
fn inputs(input: &Value) -> Vec<String> {
    match input {
        Value::Array(list) if !list.iter().all(Value::is_number) => list.iter().map(Value::to_string).collect(),
        one => vec![one.to_string()],
    }
}

/// Numbers in `-1.0..1.0`, all multiples of 1/128, so that text and base64 say exactly the same.
pub(crate) fn vector(input: &str, dimensions: usize) -> Vec<f32> {
    // FNV-1a, then xorshift.
    let mut state = input
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let [byte, ..] = state.to_le_bytes();
        (f32::from(byte) - 128.0) / 128.0
    };
    (0..dimensions).map(|_| next()).collect()
}

fn encode(vector: &[f32]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = (0..3).fold(0_usize, |bits, i| (bits << 8) | usize::from(group.get(i).copied().unwrap_or(0)));
        for i in 0..4 {
            let sextet = ALPHABET.get((bits >> (18 - 6 * i)) & 63).copied().unwrap_or(b'=');
            text.push(char::from(if i > group.len() { b'=' } else { sextet }));
        }
    }
    text
}
