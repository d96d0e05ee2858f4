//! Embeddings: OpenAI's request as one to `/v2/embed`, and its answer.
//!
//! Source: Cohere, "Embed" <https://docs.cohere.com/reference/embed>, not re-read for this; LiteLLM 1.109.1 as captured on
//! 2026-11-23: `input_type` is `search_document` unless the client says otherwise, an input of `data:` URLs is images.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::request::{path, upstream};
use super::usage::Wire as WireUsage;
use crate::error::{Error, Kind};
use crate::json::Literal;
use crate::openai::Request;
use crate::openai::chat::{Fault, Raw};
use crate::openai::embeddings;
use crate::provider::given::Given;
use crate::provider::{Answer, Target, Upstream};
use crate::secret::Secret;

const BUILT: &[&str] = &["input", "metadata", "model"];

#[derive(Serialize)]
struct Embed<'a> {
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    texts: Option<Vec<Literal<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    images: Option<Vec<Literal<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    embedding_types: Option<Types<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_dimension: Raw<'a>,
    #[serde(flatten)]
    others: BTreeMap<&'a str, &'a RawValue>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Types<'a> {
    One([Literal<'a>; 1]),
    AsGiven(&'a RawValue),
}

#[derive(Deserialize)]
struct Embedded<'a> {
    /// By type, or of the type that there was in v1.
    #[serde(borrow)]
    embeddings: &'a RawValue,
    #[serde(borrow)]
    meta: Raw<'a>,
}

/// The path, headers and body of `request` at `target`.
///
/// # Errors
///
/// The client's: an input of tokens, which Cohere does not take.
pub(super) fn request(request: &Request, target: &Target, key: Option<&Secret>) -> Result<Upstream, Error> {
    let given = Given::of(request);
    let input = embeddings::texts(request)?;
    let is_images = input.iter().all(|text| text.inner().starts_with("data:"));
    let others = given.others(BUILT, target, |_| false);
    let input_type = if is_images { "image" } else { "search_document" };
    let (texts, images) = if is_images { (None, Some(input)) } else { (Some(input), None) };
    let body = Embed {
        model: &target.model,
        texts,
        images,
        input_type: (!others.contains_key("input_type")).then_some(input_type),
        embedding_types: types(&given)?.filter(|_| !others.contains_key("embedding_types")),
        output_dimension: given.number("dimensions")?.filter(|_| !others.contains_key("output_dimension")),
        others,
    };
    upstream(path(target, "/v2/embed"), &body, key)
}

fn types<'a>(given: &Given<'a>) -> Result<Option<Types<'a>>, Fault> {
    let Some(raw) = given.raw("encoding_format") else { return Ok(None) };
    match Literal::new(raw) {
        Some(one) => Ok(Some(Types::One([one]))),
        None if raw.get().starts_with('[') => Ok(Some(Types::AsGiven(raw))),
        None => Err(Fault::wrong_type("a string").at("encoding_format")),
    }
}

/// Reads the answer to `request`.
///
/// # Errors
///
/// `BadUpstream`.
pub(super) fn response(request: &Request, target: &Target, body: &[u8]) -> Result<Answer, Error> {
    let bad = || Error::new(Kind::BadUpstream, "the provider's answer is no list of embeddings");
    let embedded: Embedded<'_> = serde_json::from_slice(body).map_err(|_| bad())?;
    let chosen = chosen(request, embedded.embeddings).ok_or_else(bad)?;
    let all: Vec<&RawValue> = serde_json::from_str(chosen.get()).map_err(|_| bad())?;
    let usage = WireUsage::read(embedded.meta).and_then(|wire| wire.usage());
    let body = embeddings::answer(request, &target.model, &all, usage.unwrap_or_default());
    Ok(Answer { body: Some(body.ok_or_else(bad)?), usage, content_bytes: 0 })
}

/// The embeddings of the type that was asked for, else of the first that there is.
fn chosen<'a>(request: &Request, embeddings: &'a RawValue) -> Option<&'a RawValue> {
    if embeddings.get().starts_with('[') {
        return Some(embeddings);
    }
    let types: BTreeMap<Cow<'a, str>, &'a RawValue> = serde_json::from_str(embeddings.get()).ok()?;
    let asked: Option<Cow<'_, str>> = request.index.read(&request.body, "encoding_format").ok().flatten();
    let asked = asked.as_deref().unwrap_or("float");
    types.get(asked).or_else(|| types.get("float")).or_else(|| types.values().next()).copied()
}
