//! Rerank: clients speak Cohere's own shape, and get its answer as it is.
//!
//! Source: Cohere, "Rerank" <https://docs.cohere.com/reference/rerank> and its v1, not re-read for this; LiteLLM 1.109.1
//! as captured on 2026-11-23: `max_chunks_per_doc` without `max_tokens_per_doc` asks v1.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::request::{path, upstream};
use super::usage::Wire as WireUsage;
use crate::error::{Error, Kind};
use crate::openai::Request;
use crate::openai::chat::{Fault, Raw};
use crate::provider::given::Given;
use crate::provider::{Answer, Target, Upstream};
use crate::secret::Secret;

const BUILT: &[&str] = &["metadata", "model", "user"];

#[derive(Serialize)]
struct Rerank<'a> {
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    return_documents: Option<bool>,
    #[serde(flatten)]
    others: BTreeMap<&'a str, &'a RawValue>,
}

#[derive(Deserialize)]
struct Reranked<'a> {
    #[serde(borrow, rename = "results")]
    _results: Vec<&'a RawValue>,
    #[serde(borrow)]
    meta: Raw<'a>,
}

/// The path, headers and body of `request` at `target`.
///
/// # Errors
///
/// The client's: no query.
pub(super) fn request(request: &Request, target: &Target, key: Option<&Secret>) -> Result<Upstream, Error> {
    let given = Given::of(request);
    if given.string("query")?.is_none() {
        return Err(Fault::missing("a string").at("query").into());
    }
    let others = given.others(BUILT, target, |_| false);
    let has = |name| others.contains_key(name);
    let asks_chunks = has("max_chunks_per_doc") && !has("max_tokens_per_doc");
    let says_v1 = target.base_path.ends_with("/v1/rerank");
    let says_v2 = target.base_path.ends_with("/v2/rerank");
    let version = if says_v1 || (asks_chunks && !says_v2) { "/v1/rerank" } else { "/v2/rerank" };
    let return_documents = (!has("return_documents")).then_some(true);
    let body = Rerank { model: &target.model, return_documents, others };
    upstream(path(target, version), &body, key)
}

/// Reads an answer; it goes on as it is.
///
/// # Errors
///
/// `BadUpstream`: it has no results.
pub(super) fn response(body: &[u8]) -> Result<Answer, Error> {
    let bad = |_| Error::new(Kind::BadUpstream, "the provider's answer has no results");
    let reranked: Reranked<'_> = serde_json::from_slice(body).map_err(bad)?;
    // What is billed is searches; only where the model's tokens are told is there a usage.
    let usage = WireUsage::read(reranked.meta).and_then(|wire| wire.usage());
    Ok(Answer { body: None, usage, content_bytes: 0 })
}
