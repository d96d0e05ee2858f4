//! Claude on Vertex: Anthropic's Messages, but the model is in the path, the version of the API in the body, and the
//! credential is Google's.
//!
//! Source: Anthropic, "Claude on Vertex AI" <https://platform.claude.com/docs/en/build-with-claude/claude-on-vertex-ai>,
//! not re-read for this; LiteLLM 1.109.1's requests, seen 2026-11-23.
//!
//! A schema for the answer becomes a tool that must be called, as LiteLLM does: not every model on Vertex has
//! Anthropic's structured outputs.

use std::borrow::Cow;

use super::place;
use crate::error::{Error, Kind};
use crate::json::Index;
use crate::json::scan::Member;
use crate::openai::{Endpoint, Request};
use crate::provider::anthropic::Anthropic;
use crate::provider::{Answer, Body, Language, Stream, Target, Upstream};
use crate::secret::Secret;

/// The version of the API, in the body.
const VERSION: &[u8] = b"\"anthropic_version\":\"vertex-2023-10-16\"";

/// Claude, as Vertex has it.
#[derive(Debug)]
pub(super) struct Claude;

impl Language for Claude {
    fn serves(&self, endpoint: Endpoint, target: &Target) -> bool {
        matches!(endpoint, Endpoint::ChatCompletions | Endpoint::Messages) && Anthropic.serves(endpoint, target)
    }

    fn lacks(&self, name: &str, endpoint: Endpoint, target: &Target) -> bool {
        Anthropic.lacks(name, endpoint, target)
    }

    fn request(&self, request: &Request, target: &Target, key: Option<&Secret>) -> Result<Upstream, Error> {
        let message = Anthropic.request(request, &plain(target), None)?;
        let body = match &message.body {
            Body::Whole(body) => Cow::Borrowed(body),
            Body::Splice(splice) => Cow::Owned(splice.apply(&request.body).unwrap_or_default()),
        };
        let body = vertexs(&body).ok_or_else(|| Error::new(Kind::Internal, "cannot write the request"))?;
        let mut headers = place::headers(target, key);
        headers.extend(message.headers.into_iter().filter(|(name, _)| *name == "anthropic-beta"));
        let method = if request.stream { "streamRawPredict?alt=sse" } else { "rawPredict" };
        Ok(Upstream { path: place::path(target, "anthropic", method), headers, body: Body::Whole(body) })
    }

    fn passes_through(&self, request: &Request, target: &Target) -> bool {
        Anthropic.passes_through(request, &plain(target))
    }

    fn response(&self, request: &Request, target: &Target, body: &[u8], now_secs: u64) -> Result<Answer, Error> {
        Anthropic.response(request, &plain(target), body, now_secs)
    }

    fn error(&self, status: u16, body: &[u8]) -> Error {
        Anthropic.error(status, body)
    }

    fn stream(&self, request: &Request, target: &Target, now_secs: u64) -> Box<dyn Stream> {
        Anthropic.stream(request, &plain(target), now_secs)
    }
}

/// Reads an error of Anthropic's, `{"type":"error",…}`; Vertex's own are Google's.
pub(super) fn error(status: u16, body: &[u8]) -> Option<Error> {
    let index = Index::parse(body).ok()?;
    let type_: Option<Cow<'_, str>> = index.read(body, "type").ok()?;
    (type_.as_deref() == Some("error")).then(|| Anthropic.error(status, body))
}

/// The target without what Vertex lacks.
fn plain(target: &Target) -> Target {
    Target { supports_response_schema: false, ..target.clone() }
}

/// A message as Vertex wants it: without its model, with the version.
fn vertexs(message: &[u8]) -> Option<Vec<u8>> {
    let index = Index::parse(message).ok()?;
    let mut body = Vec::with_capacity(message.len() + VERSION.len());
    body.push(b'{');
    body.extend_from_slice(VERSION);
    let goes = |member: &&Member| !matches!(member.key.as_str(), "model" | "anthropic_version");
    for member in index.members().iter().filter(goes) {
        body.push(b',');
        serde_json::to_writer(&mut body, &member.key).ok()?;
        body.push(b':');
        body.extend_from_slice(message.get(member.value.clone())?);
    }
    body.push(b'}');
    Some(body)
}
