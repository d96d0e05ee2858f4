//! A chat completion as a request to `generateContent`.
//!
//! Source: Google, "Generating content" <https://ai.google.dev/api/generate-content>, not re-read for this; LITELLM.md
//! 3.2.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;

use super::contents::{self, Content, Instruction};
use super::generation::{self, Generation};
use super::media::Viewer;
use super::model::Model;
use super::tools::{self, Config, Tool};
use super::{Asked, Home};
use crate::error::{Error, Kind};
use crate::json::Literal;
use crate::json::Members;
use crate::openai::Request;
use crate::openai::chat::{self, Fault, Raw};
use crate::provider::Target;
use crate::provider::given::Given;

#[derive(Serialize)]
struct Body<'a> {
    contents: Vec<Content<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    system_instruction: Option<Instruction<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Tool<'a>>,
    #[serde(rename = "toolConfig", skip_serializing_if = "Option::is_none")]
    tool_config: Option<Configured<'a>>,
    #[serde(rename = "safetySettings", skip_serializing_if = "Option::is_none")]
    safety_settings: Raw<'a>,
    #[serde(rename = "generationConfig", skip_serializing_if = "Generation::is_empty")]
    generation_config: Generation<'a>,
    #[serde(rename = "cachedContent", skip_serializing_if = "Option::is_none")]
    cached_content: Raw<'a>,
    #[serde(rename = "serviceTier", skip_serializing_if = "Option::is_none")]
    service_tier: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, Literal<'a>>,
}

/// `toolConfig`: made from OpenAI's parameters, or the client's own.
#[derive(Serialize)]
#[serde(untagged)]
enum Configured<'a> {
    Made(Config<'a>),
    Own(&'a RawValue),
}

/// What is asked of `target` at `home`.
///
/// # Errors
///
/// The client's: a value that Gemini cannot be given, with its path.
pub(super) fn request(request: &Request, target: &Target, home: Home) -> Result<Asked, Error> {
    let given = Given::of(request);
    let model = Model::of(target);
    let body = translate(&given, &model, target, home)?;
    let mut bytes = Vec::with_capacity(request.body.len() + 1024);
    serde_json::to_writer(&mut bytes, &body).map_err(|_| Error::new(Kind::Internal, "cannot write the request"))?;
    let method = if request.stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
    Ok(Asked { method, body: bytes })
}

fn translate<'a>(given: &Given<'a>, model: &Model, target: &Target, home: Home) -> Result<Body<'a>, Fault> {
    let viewer = Viewer { home, model };
    let mut conversation = contents::translate(given.text("messages").unwrap_or_default(), viewer)?;
    let offer = tools::translate(given, model.is_3_or_later(), target.params.drop)?;
    let made = tools::config(given, &offer)?.map(Configured::Made);
    let own = || given.either(["toolConfig", "tool_config"]).map(Configured::Own);
    Ok(Body {
        system_instruction: conversation.instruction(),
        tool_config: made.or_else(own),
        tools: offer.tools,
        safety_settings: given.either(["safety_settings", "safetySettings"]),
        generation_config: generation::translate(given, model, target, conversation.detail())?,
        cached_content: given.either(["cached_content", "cachedContent"]),
        service_tier: service_tier(given)?,
        labels: if home == Home::Vertex { labels(given) } else { BTreeMap::new() },
        contents: conversation.contents,
    })
}

/// Google's name for OpenAI's tier.
fn service_tier(given: &Given<'_>) -> Result<Option<String>, Fault> {
    let Some(raw) = given.raw("service_tier") else { return Ok(None) };
    let tier = chat::string(raw).map_err(|fault| fault.at("service_tier"))?.to_lowercase();
    Ok(Some(match tier.as_str() {
        "auto" => "priority".to_owned(),
        "default" => "standard".to_owned(),
        _ => tier,
    }))
}

/// What Google's bill is to be sorted by: `labels`, else OpenAI's `metadata`; texts only.
fn labels<'a>(given: &Given<'a>) -> BTreeMap<String, Literal<'a>> {
    let read = |name: &str| {
        let members = given.raw(name).and_then(Members::read).unwrap_or_default().0.into_iter();
        members.filter_map(|(key, raw)| Some((key, Literal::new(raw)?))).collect::<BTreeMap<_, _>>()
    };
    let labels = read("labels");
    if labels.is_empty() { read("metadata") } else { labels }
}
