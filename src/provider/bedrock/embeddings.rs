//! Embeddings of Titan and Cohere, by `/model/{id}/invoke`.
//!
//! Source: AWS, "Amazon Titan Embeddings"
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html>, "Cohere Embed"
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-embed.html>, not re-read for this.
//!
//! # Limits
//!
//! Titan takes one text a request. Cohere counts its tokens in a header, which is not read: the client gets an estimate.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::request;
use crate::error::{Error, Kind};
use crate::json::Literal;
use crate::json::scan::Member;
use crate::openai::chat::{self, Fault};
use crate::openai::embeddings;
use crate::openai::{Endpoint, Request, Usage};
use crate::provider::given::Given;
use crate::provider::{Answer, Body, Target, Upstream, params};
use crate::secret::Secret;

/// Whose embedding model it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// `amazon.titan-embed-text-v1`, which has one length.
    TitanOne,
    TitanTwo,
    TitanImage,
    /// Cohere's version 3, which has one length.
    CohereThree,
    CohereFour,
}

impl Family {
    pub(super) fn of(target: &Target) -> Option<Self> {
        const ROWS: &[(&str, Family)] = &[
            ("titan-embed-text-v2", Family::TitanTwo),
            ("titan-embed-image", Family::TitanImage),
            ("titan-embed", Family::TitanOne),
            ("cohere.embed-v4", Family::CohereFour),
            ("cohere.embed", Family::CohereThree),
        ];
        let model = target.base_model.as_str();
        ROWS.iter().find(|(part, _)| model.contains(part)).map(|(_, family)| *family)
    }

    fn is_cohere(self) -> bool {
        matches!(self, Self::CohereThree | Self::CohereFour)
    }
}

/// Whether the target lacks the OpenAI parameter `name`.
pub(super) fn lacks(name: &str, target: &Target) -> bool {
    name == "dimensions" && matches!(Family::of(target), Some(Family::TitanOne | Family::CohereThree))
}

/// The members of a body that are the model's own.
type Own<'a> = BTreeMap<&'a str, Value<'a>>;

#[derive(Serialize)]
#[serde(untagged)]
enum Value<'a> {
    Asked(&'a RawValue),
    Text(Literal<'a>),
    Texts(Vec<Literal<'a>>),
    Word(&'static str),
    Words([&'static str; 1]),
    Output {
        #[serde(rename = "outputEmbeddingLength")]
        length: &'a RawValue,
    },
}

/// The path, headers and body of `request` at `target`.
///
/// # Errors
///
/// The client's.
pub(super) fn request(request: &Request, target: &Target, key: Option<&Secret>) -> Result<Upstream, Error> {
    let Some(family) = Family::of(target) else {
        return Err(Error::new(Kind::UnsupportedEndpoint, "this model makes no embeddings"));
    };
    let given = Given::of(request);
    let body = if family.is_cohere() { cohere(&given)? } else { titan(&given, family)? };
    let mut all = own(request);
    all.extend(body);
    let body = serde_json::to_vec(&all).map_err(|_| Error::new(Kind::Internal, "cannot write the request"))?;
    Ok(Upstream { path: request::path(target, "invoke"), headers: request::headers(key), body: Body::Whole(body) })
}

/// The members that OpenAI and gateways don't know.
fn own(request: &Request) -> Own<'_> {
    let passes = |name: &str| {
        !matches!(name, "model" | "input" | "stream")
            && !params::known(Endpoint::Embeddings).contains(&name)
            && !params::is_gateways(name)
    };
    let members = request.index.members().iter().filter(|member| passes(&member.key));
    let raw = |member: &Member| serde_json::from_slice(request.body.get(member.value.clone())?).ok();
    members.filter_map(|member| Some((member.key.as_str(), Value::Asked(raw(member)?)))).collect()
}

fn titan<'a>(given: &Given<'a>, family: Family) -> Result<Own<'a>, Fault> {
    let [text] = inputs(given)?.try_into().map_err(|_| {
        Fault::wrong_value("one text: this model embeds one a request, so send as many requests").at("input")
    })?;
    let mut body = Own::from([("inputText", Value::Text(text))]);
    match (family, given.number("dimensions")?) {
        (Family::TitanImage, Some(length)) => drop(body.insert("embeddingConfig", Value::Output { length })),
        (_, Some(dimensions)) => drop(body.insert("dimensions", Value::Asked(dimensions))),
        (_, None) => (),
    }
    if family == Family::TitanTwo && given.text("encoding_format") == Some("\"float\"") {
        body.insert("embeddingTypes", Value::Words(["float"]));
    }
    Ok(body)
}

fn cohere<'a>(given: &Given<'a>) -> Result<Own<'a>, Fault> {
    let mut body = Own::from([("texts", Value::Texts(inputs(given)?))]);
    if given.text("input_type").is_none() {
        body.insert("input_type", Value::Word("search_document"));
    }
    if given.text("encoding_format").is_some() {
        body.insert("embedding_types", Value::Words(["float"]));
    }
    if let Some(dimensions) = given.number("dimensions")? {
        body.insert("output_dimension", Value::Asked(dimensions));
    }
    Ok(body)
}

fn inputs<'a>(given: &Given<'a>) -> Result<Vec<Literal<'a>>, Fault> {
    let raw = given.raw("input").ok_or(Fault::missing("a string or an array").at("input"))?;
    if let Some(text) = Literal::new(raw) {
        return Ok(vec![text]);
    }
    let each =
        chat::elements(raw.get()).map_err(|_| Fault::wrong_type("a string or an array of strings").at("input"))?;
    each.into_iter().enumerate().map(|(i, raw)| chat::literal(raw).map_err(|f| f.in_element("input", i))).collect()
}

/// `{"embedding":[…],"inputTextTokenCount":n}` of Titan, `{"embeddings":[[…]]}` or `{"embeddings":{"float":[[…]]}}` of
/// Cohere.
#[derive(Deserialize)]
struct Answered<'a> {
    #[serde(borrow)]
    embedding: Option<&'a RawValue>,
    #[serde(borrow)]
    embeddings: Option<&'a RawValue>,
    #[serde(rename = "inputTextTokenCount")]
    tokens: Option<u64>,
}

/// Reads a whole answer.
///
/// # Errors
///
/// `BadUpstream`: it has no vectors.
pub(super) fn response(request: &Request, target: &Target, body: &[u8]) -> Result<Answer, Error> {
    let bad = || Error::new(Kind::BadUpstream, "the provider's answer has no embeddings");
    let answered: Answered<'_> = serde_json::from_slice(body).map_err(|_| bad())?;
    let vectors = vectors(&answered).ok_or_else(bad)?;
    let usage = answered.tokens.map(|input_tokens| Usage { input_tokens, ..Usage::default() });
    let told = usage.unwrap_or_else(|| Usage { input_tokens: estimate(request), ..Usage::default() });
    let body = embeddings::answer(request, &target.model, &vectors, told).ok_or_else(bad)?;
    Ok(Answer { body: Some(body), usage, content_bytes: 0 })
}

fn vectors<'a>(answered: &Answered<'a>) -> Option<Vec<&'a RawValue>> {
    #[derive(Deserialize)]
    struct ByType<'a> {
        #[serde(borrow)]
        float: Vec<&'a RawValue>,
    }
    if let Some(one) = answered.embedding {
        return Some(vec![one]);
    }
    let all = answered.embeddings?.get();
    let by_type = || serde_json::from_str::<ByType<'a>>(all).ok().map(|by_type| by_type.float);
    serde_json::from_str(all).ok().or_else(by_type)
}

/// Tokens of the input: a quarter of its bytes.
fn estimate(request: &Request) -> u64 {
    let texts = inputs(&Given::of(request)).unwrap_or_default();
    texts.iter().map(|text| text.decoded_len()).sum::<u64>().div_ceil(4)
}
