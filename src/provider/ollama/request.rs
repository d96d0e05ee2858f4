//! A chat completion as a request to `/api/chat`.
//!
//! Source: Ollama, "Generate a chat message" <https://docs.ollama.com/api/chat>, not re-read for this; its
//! `api/types.go`, read 2026-11-23.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;

use super::messages::{self, Turn};
use super::params::{self, Format, Setting, Think};
use crate::error::{Error, Kind};
use crate::openai::Request;
use crate::openai::chat::{self, Fault};
use crate::provider::given::Given;
use crate::provider::{Body, Target, Upstream};
use crate::secret::Secret;

#[derive(Serialize)]
struct Chat<'a> {
    model: &'a str,
    messages: Vec<Turn<'a>>,
    options: BTreeMap<Cow<'a, str>, Setting<'a>>,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<Format<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tools: Option<Tools<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    think: Option<Thought<'a>>,
    #[serde(flatten)]
    beside: BTreeMap<&'a str, &'a RawValue>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Tools<'a> {
    AsGiven(&'a RawValue),
    Wrapped(Vec<Tool<'a>>),
}

/// A function of the time before tools.
#[derive(Serialize)]
struct Tool<'a> {
    #[serde(rename = "type")]
    type_: &'static str,
    function: &'a RawValue,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Thought<'a> {
    Asked(Think),
    /// In Ollama's own words.
    AsGiven(&'a RawValue),
}

/// The path, headers and body of `request` at `target`.
///
/// # Errors
///
/// The client's: a value that Ollama cannot be given, with its path.
pub(super) fn request(request: &Request, target: &Target, key: Option<&Secret>) -> Result<Upstream, Error> {
    let given = Given::of(request);
    let settings = params::settings(&given, target)?;
    let own_think = || given.raw("think").map(Thought::AsGiven);
    let chat = Chat {
        model: &target.model,
        messages: messages::translate(given.text("messages").unwrap_or_default())?,
        options: settings.options,
        stream: request.stream,
        format: params::format(&given)?,
        tools: tools(&given)?,
        think: params::think(&given, target)?.map(Thought::Asked).or_else(own_think),
        beside: settings.beside,
    };
    upstream("/api/chat", &chat, target, key)
}

/// An attempt with `body` at `path` below the base URL.
pub(super) fn upstream(
    path: &str,
    body: &impl Serialize,
    target: &Target,
    key: Option<&Secret>,
) -> Result<Upstream, Error> {
    let body = serde_json::to_vec(body).map_err(|_| Error::new(Kind::Internal, "cannot write the request"))?;
    let mut headers = vec![("content-type", "application/json".to_owned())];
    headers.extend(key.map(|key| ("authorization", format!("Bearer {}", key.expose()))));
    Ok(Upstream { path: format!("{}{path}", target.base_path), headers, body: Body::Whole(body) })
}

/// The tools that the model gets; none where it must not call any.
fn tools<'a>(given: &Given<'a>) -> Result<Option<Tools<'a>>, Fault> {
    if given.text("tool_choice") == Some("\"none\"") {
        return Ok(None);
    }
    let array = |name: &'static str| -> Result<Option<(&'a RawValue, Vec<&'a RawValue>)>, Fault> {
        let Some(raw) = given.raw(name) else { return Ok(None) };
        Ok(Some((raw, chat::elements(raw.get()).map_err(|fault| fault.at(name))?)))
    };
    if let Some((raw, _)) = array("tools")? {
        return Ok(Some(Tools::AsGiven(raw)));
    }
    let wrap = |function| Tool { type_: "function", function };
    Ok(array("functions")?.map(|(_, all)| Tools::Wrapped(all.into_iter().map(wrap).collect())))
}
