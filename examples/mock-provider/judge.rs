//! Moderations in OpenAI's shape, and reranking in Cohere's.
//!
//! Written from knowledge of OpenAI's "API reference: Moderations"
//! <https://platform.openai.com/docs/api-reference/moderations> and Cohere's "Rerank" <https://docs.cohere.com/reference/rerank>;
//! neither was read for it.

use hyper::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use crate::openai;
use crate::reply::Reply;
use crate::value::{Object, object};
use crate::vendor::{self, Call, Fault};

#[derive(Deserialize)]
struct ModerationRequest {
    model: String,
    input: Value,
}

#[derive(Deserialize)]
struct RerankRequest {
    #[expect(dead_code, reason = "its presence is what is checked")]
    model: String,
    #[expect(dead_code, reason = "its presence is what is checked")]
    query: String,
    documents: Vec<Value>,
    #[serde(default)]
    top_n: Option<usize>,
}

/// Answers `/moderations`: what speaks of `violence` is flagged.
pub(crate) fn moderations(call: &Call<'_>) -> Result<Reply, Fault> {
    openai::authenticate(call)?;
    let request: ModerationRequest = vendor::parse(call.body)?;
    let inputs = match request.input {
        Value::Array(list) => list,
        one => vec![one],
    };
    let result = |input: &Value| {
        let flagged = input.to_string().contains("violence");
        object! {
            "flagged": flagged,
            "categories": object! {"violence": flagged, "harassment": false},
            "category_scores": object! {"violence": f32::from(u8::from(flagged)), "harassment": 0.0_f32},
        }
    };
    let results: Vec<Object> = inputs.iter().map(result).collect();
    let id = format!("modr-mock-{}", call.serial);
    Ok(Reply::json(StatusCode::OK, &object! {"id": id, "model": request.model, "results": results}))
}

/// Answers `/rerank`: the last document first.
pub(crate) fn rerank(call: &Call<'_>) -> Result<Reply, Fault> {
    openai::authenticate(call)?;
    let request: RerankRequest = vendor::parse(call.body)?;
    let indices = (0..request.documents.len()).rev().take(request.top_n.unwrap_or(usize::MAX));
    let results: Vec<Object> = indices
        .enumerate()
        .map(|(rank, index)| object! {"index": index, "relevance_score": 1.0 / (rank as f32 + 1.0)})
        .collect();
    let meta = object! {"api_version": object! {"version": "2"}, "billed_units": object! {"search_units": 1_u64}};
    let id = format!("rerank-mock-{}", call.serial);
    Ok(Reply::json(StatusCode::OK, &object! {"id": id, "results": results, "meta": meta}))
}
