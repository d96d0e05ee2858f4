//! A chat completion as a request to `/v2/chat`.
//!
//! Source: Cohere, "Chat" <https://docs.cohere.com/reference/chat>, not re-read for this.

use std::collections::BTreeMap;

use serde::Serialize;

use super::messages::{self, Turn};
use super::params::{self, Setting};
use super::tools::{self, Tools};
use crate::error::{Error, Kind};
use crate::openai::Request;
use crate::provider::given::Given;
use crate::provider::{Body, Target, Upstream};
use crate::secret::Secret;

#[derive(Serialize)]
struct Chat<'a> {
    model: &'a str,
    messages: Vec<Turn<'a>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    tools: Option<Tools<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<&'static str>,
    #[serde(flatten)]
    settings: BTreeMap<&'a str, Setting<'a>>,
}

/// The path, headers and body of `request` at `target`.
///
/// # Errors
///
/// The client's: a value that Cohere cannot be given, with its path.
pub(super) fn request(request: &Request, target: &Target, key: Option<&Secret>) -> Result<Upstream, Error> {
    let given = Given::of(request);
    let offer = tools::offer(&given)?;
    let chat = Chat {
        model: &target.model,
        messages: messages::translate(given.text("messages").unwrap_or_default(), params::reasons(target))?,
        stream: request.stream,
        tools: offer.tools,
        tool_choice: offer.choice,
        settings: params::settings(&given, target)?,
    };
    upstream(path(target, "/v2/chat"), &chat, key)
}

/// What users give as a base URL although each endpoint has its own path below it.
const ENDPOINTS: [&str; 3] = ["/chat", "/embed", "/rerank"];
const VERSIONS: [&str; 2] = ["/v1", "/v2"];

/// The path of an endpoint, `/v2/chat`, below the base URL.
pub(super) fn path(target: &Target, endpoint: &str) -> String {
    let strip = |path, ends: &[&str]| ends.iter().find_map(|end| str::strip_suffix(path, end)).unwrap_or(path);
    let base = strip(strip(&target.base_path, &ENDPOINTS), &VERSIONS);
    format!("{base}{endpoint}")
}

/// An attempt with `body` at `path`.
pub(super) fn upstream(path: String, body: &impl Serialize, key: Option<&Secret>) -> Result<Upstream, Error> {
    let body = serde_json::to_vec(body).map_err(|_| Error::new(Kind::Internal, "cannot write the request"))?;
    let mut headers = vec![("content-type", "application/json".to_owned())];
    headers.extend(key.map(|key| ("authorization", format!("Bearer {}", key.expose()))));
    Ok(Upstream { path, headers, body: Body::Whole(body) })
}
