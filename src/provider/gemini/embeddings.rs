//! Embeddings: many texts at once at AI Studio (`batchEmbedContents`) and on Vertex (`predict`), one for the newest model
//! on Vertex (`embedContent`).
//!
//! AI Studio counts no tokens for most models: the answer then has an estimate of four bytes to a token, which is not
//! taken for the provider's count.
//!
//! Source: Google, "Embeddings" <https://ai.google.dev/api/embeddings>, "Text embeddings API"
//! <https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api>, not re-read for this;
//! LiteLLM 1.109.1's requests, seen 2026-11-23.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::model::Model;
use super::usage::Counts;
use super::{Asked, Home};
use crate::error::{Error, Kind};
use crate::json::Literal;
use crate::openai::chat::{Fault, Raw};
use crate::openai::{Request, Usage, embeddings};
use crate::provider::given::Given;
use crate::provider::{Answer, Target};

/// Parameters of Google's own that go beside the dimensions.
const OWN: &[&str] = &["auto_truncate", "autoTruncate", "task_type", "taskType", "title"];

#[derive(Serialize)]
struct Batch<'a> {
    requests: Vec<One<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct One<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    content: Content<'a>,
    #[serde(flatten)]
    about: About<'a>,
}

#[derive(Serialize)]
struct Content<'a> {
    parts: [Part<'a>; 1],
}

#[derive(Serialize)]
struct Part<'a> {
    text: Literal<'a>,
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
struct About<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    output_dimensionality: Raw<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_type: Raw<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Raw<'a>,
}

/// `predict`'s form.
#[derive(Serialize)]
struct Predict<'a> {
    instances: Vec<Instance<'a>>,
    parameters: BTreeMap<&'static str, &'a RawValue>,
}

#[derive(Serialize)]
struct Instance<'a> {
    content: Literal<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_type: Raw<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Raw<'a>,
}

/// What is asked of `target` at `home`.
///
/// # Errors
///
/// The client's: an input that is no text.
pub(super) fn request(request: &Request, target: &Target, home: Home) -> Result<Asked, Error> {
    let given = Given::of(request);
    let texts = embeddings::texts(request)?;
    let task_type = given.either(["task_type", "taskType"]).or_else(|| given.raw("input_type"));
    let output_dimensionality = given.number("dimensions")?;
    let about = About { output_dimensionality, task_type, title: given.raw("title") };
    let one = |model, text| One { model, content: Content { parts: [Part { text }] }, about };
    let (method, body) = match (home, Model::of(target).embeds_content()) {
        (Home::Studio, _) => {
            let model = format!("models/{}", target.model);
            let requests = texts.into_iter().map(|text| one(Some(model.clone()), text)).collect();
            ("batchEmbedContents", serde_json::to_vec(&Batch { requests }))
        }
        (Home::Vertex, true) => match texts.as_slice() {
            [text] => ("embedContent", serde_json::to_vec(&one(None, *text))),
            _ => return Err(Fault::wrong_value("one text: this model embeds one at a time").at("input").into()),
        },
        (Home::Vertex, false) => ("predict", serde_json::to_vec(&predict(&given, texts, about))),
    };
    let body = body.map_err(|_| Error::new(Kind::Internal, "cannot write the request"))?;
    Ok(Asked { method, body })
}

fn predict<'a>(given: &Given<'a>, texts: Vec<Literal<'a>>, about: About<'a>) -> Predict<'a> {
    let About { task_type, title, .. } = about;
    let instance = |content| Instance { content, task_type, title };
    let mut parameters: BTreeMap<_, _> = OWN.iter().filter_map(|name| Some((*name, given.raw(name)?))).collect();
    parameters.extend(about.output_dimensionality.map(|raw| ("outputDimensionality", raw)));
    Predict { instances: texts.into_iter().map(instance).collect(), parameters }
}

/// An answer of any of the three methods.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Response<'a> {
    #[serde(borrow)]
    embeddings: Vec<Vector<'a>>,
    #[serde(borrow)]
    embedding: Option<Vector<'a>>,
    #[serde(borrow)]
    predictions: Vec<Prediction<'a>>,
    usage_metadata: Option<Counts>,
}

#[derive(Deserialize)]
struct Prediction<'a> {
    #[serde(borrow)]
    embeddings: Vector<'a>,
}

#[derive(Deserialize)]
struct Vector<'a> {
    #[serde(borrow)]
    values: &'a RawValue,
    statistics: Option<Statistics>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Statistics {
    token_count: Option<f64>,
}

/// Reads an answer to `request`.
///
/// # Errors
///
/// `BadUpstream`: it is none.
pub(super) fn response(request: &Request, target: &Target, body: &[u8]) -> Result<Answer, Error> {
    let bad = || Error::new(Kind::BadUpstream, "the provider's answer is not embeddings");
    let response: Response<'_> = serde_json::from_slice(body).map_err(|_| bad())?;
    let predicted = response.predictions.into_iter().map(|prediction| prediction.embeddings);
    let vectors: Vec<Vector<'_>> = response.embeddings.into_iter().chain(response.embedding).chain(predicted).collect();
    if vectors.is_empty() {
        return Err(bad());
    }
    let counted = vectors.iter().filter_map(|vector| vector.statistics.as_ref()?.token_count);
    let counted = counted.map(whole).reduce(u64::saturating_add);
    let counted = counted.map(|input_tokens| Usage { input_tokens, ..Usage::default() });
    let usage = counted.or_else(|| response.usage_metadata.map(|counts| counts.usage(false)));
    let raw: Vec<&RawValue> = vectors.iter().map(|vector| vector.values).collect();
    let told = usage.unwrap_or_else(|| estimate(request));
    let body = embeddings::answer(request, &target.model, &raw, told).ok_or_else(bad)?;
    Ok(Answer { body: Some(body), usage, content_bytes: 0 })
}

/// A count that Google writes as a number with a fraction.
fn whole(count: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "such a cast saturates")]
    let whole = count as u64;
    whole
}

fn estimate(request: &Request) -> Usage {
    let bytes: u64 = embeddings::texts(request).unwrap_or_default().iter().map(|text| text.decoded_len()).sum();
    Usage { input_tokens: bytes.div_ceil(4), ..Usage::default() }
}
