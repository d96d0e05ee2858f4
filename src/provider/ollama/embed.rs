//! Embeddings: OpenAI's request as one to `/api/embed`, and its answer.
//!
//! Source: Ollama, "Generate embeddings" <https://docs.ollama.com/api/embed>, not re-read for this; LiteLLM 1.109.1 as
//! captured on 2026-11-23: the input is always a list, unknown parameters are options.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::request::upstream;
use crate::error::{Error, Kind};
use crate::json::Literal;
use crate::openai::chat::{self, Fault};
use crate::openai::embeddings;
use crate::openai::{Request, Usage};
use crate::provider::given::Given;
use crate::provider::{Answer, Target, Upstream};
use crate::secret::Secret;

/// Members of Ollama's own request, passed on as they are.
const BESIDE: &[&str] = &["keep_alive", "truncate"];
const BUILT: &[&str] = &["input", "metadata", "model", "options"];

#[derive(Serialize)]
struct Embed<'a> {
    model: &'a str,
    input: Vec<Literal<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    options: BTreeMap<Cow<'a, str>, &'a RawValue>,
    #[serde(flatten)]
    beside: BTreeMap<&'a str, &'a RawValue>,
}

#[derive(Deserialize)]
struct Embedded<'a> {
    #[serde(borrow, default)]
    model: Cow<'a, str>,
    #[serde(borrow)]
    embeddings: Vec<&'a RawValue>,
    #[serde(default)]
    prompt_eval_count: Option<u64>,
}

/// The path, headers and body of `request` at `target`.
///
/// # Errors
///
/// The client's: an input of tokens, which Ollama does not take.
pub(super) fn request(request: &Request, target: &Target, key: Option<&Secret>) -> Result<Upstream, Error> {
    let given = Given::of(request);
    let mut options: BTreeMap<Cow<'_, str>, &RawValue> = match given.text("options") {
        Some(options) => chat::object(options).map_err(|fault: Fault| fault.at("options"))?,
        None => BTreeMap::new(),
    };
    let mut beside = given.others(BUILT, target, |_| false);
    beside.retain(|name, raw| {
        let stays = BESIDE.contains(name);
        if !stays {
            options.insert(Cow::Borrowed(*name), raw);
        }
        stays
    });
    let input = embeddings::texts(request)?;
    let dimensions = given.number("dimensions")?;
    let body = Embed { model: &target.model, input, dimensions, options, beside };
    upstream("/api/embed", &body, target, key)
}

/// Reads the answer to `request`.
///
/// # Errors
///
/// `BadUpstream`.
pub(super) fn response(request: &Request, target: &Target, body: &[u8]) -> Result<Answer, Error> {
    let bad = || Error::new(Kind::BadUpstream, "the provider's answer is no list of embeddings");
    let embedded: Embedded<'_> = serde_json::from_slice(body).map_err(|_| bad())?;
    let usage = embedded.prompt_eval_count.map(|input_tokens| Usage { input_tokens, ..Usage::default() });
    let model = if embedded.model.is_empty() { &target.model } else { &*embedded.model };
    let body = embeddings::answer(request, model, &embedded.embeddings, usage.unwrap_or_default());
    Ok(Answer { body: Some(body.ok_or_else(bad)?), usage, content_bytes: 0 })
}
