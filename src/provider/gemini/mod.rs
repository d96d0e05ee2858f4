//! Google's Gemini API behind OpenAI's chat completions and embeddings: AI Studio, and what Vertex has in common with it.
//!
//! Strings of the client and of the provider go through as they are written, escapes and all. Nothing here fetches,
//! retries, counts money or knows other providers.
//!
//! | file | what it translates |
//! | --- | --- |
//! | `params`, `model` | which parameters exist there; what a model's name says of it |
//! | `request`, `contents`, `parts`, `media`, `calls`, `tools`, `schema`, `generation`, `thinking`, `speech` | the request |
//! | `wire`, `answer`, `response`, `stream`, `grounding`, `usage` | the answer, whole or in events |
//! | `embeddings` | embeddings, both ways |
//! | `error` | an error answer |
//!
//! # Choices
//!
//! What goes upstream is what LiteLLM 1.109.1 sends, but for:
//!
//! - Arguments `""` are `{}`, not `{"type":"object"}`; two equal calls of one turn stay two.
//! - Media at `https://` go by reference at AI Studio too: LiteLLM downloads them. Without a media type, which Vertex
//!   requires, such a URL is refused there.
//! - `oneOf` becomes `anyOf`, `allOf` is merged and `const` becomes an enum, where LiteLLM leaves an empty schema; an
//!   empty text is left out of an enum, where LiteLLM sends null.
//! - A property that is named `strict` stays: LiteLLM takes it for the keyword.
//! - A tool that Gemini has nothing like is refused, or left out with `drop_params`; an unknown one in Google's own form
//!   goes through. Without functions `tool_choice` is not sent.
//! - Models that take no JSON schema get OpenAPI's kind in `response_schema`, never a prompt.
//! - A result of a tool is matched with every earlier call, not with the last message's only.
//! - `n` texts for a model that embeds one at a time are refused, where LiteLLM gets one vector for all.
//!
//! Like LiteLLM, search tools beside functions are left out unless `include_server_side_tool_invocations` says
//! otherwise, and penalties that the third generation ignores are not sent.
//!
//! # Limits
//!
//! - Places of annotations are counted in bytes, as Google does, and of the part they are in.
//! - A client's old `functions` are answered with `tool_calls`.
//! - Unknown parameters that Gemini has no place for are left out.
//! - Tokens are not told apart by what they stand for (text, images, sound); what they cost is not either.
//! - Thoughts, answers and code that Google ran stand in an order of their own; the history loses how they alternated.

mod answer;
mod calls;
mod contents;
mod embeddings;
mod error;
mod generation;
mod grounding;
mod media;
mod model;
mod params;
mod parts;
mod request;
mod response;
mod schema;
mod speech;
mod stream;
mod thinking;
mod tools;
mod usage;
mod wire;

use super::{Answer, Body, KeyHeader, Language, Target, Upstream};
use crate::error::Error;
use crate::openai::{Endpoint, Request};
use crate::secret::Secret;

use self::model::Model;

/// Where a Gemini model is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Home {
    /// The Gemini API of Google AI Studio.
    Studio,
    /// Vertex AI: paths and credentials are the caller's to give.
    Vertex,
}

/// Gemini at one of its homes.
#[derive(Debug)]
pub struct Gemini(pub Home);

/// What is asked of a model.
#[derive(Debug)]
pub struct Asked {
    /// What follows the model's name and a colon in the path.
    pub method: &'static str,
    /// The body.
    pub body: Vec<u8>,
}

/// AI Studio's own host, where the version of the API goes before the path.
const STUDIO: &str = "generativelanguage.googleapis.com";

impl Gemini {
    /// What a request asks of `target`, wherever that is.
    ///
    /// # Errors
    ///
    /// The client's: a request that Gemini cannot be asked.
    pub fn ask(&self, request: &Request, target: &Target) -> Result<Asked, Error> {
        match request.endpoint {
            Endpoint::Embeddings => embeddings::request(request, target, self.0),
            _ => request::request(request, target, self.0),
        }
    }
}

impl Language for Gemini {
    fn key_header(&self, _target: &Target) -> KeyHeader {
        KeyHeader::Named("x-goog-api-key")
    }

    fn serves(&self, endpoint: Endpoint, _target: &Target) -> bool {
        matches!(endpoint, Endpoint::ChatCompletions | Endpoint::Embeddings)
    }

    fn lacks(&self, name: &str, endpoint: Endpoint, target: &Target) -> bool {
        params::lacks(name, endpoint, self.0, target)
    }

    fn request(&self, request: &Request, target: &Target, key: Option<&Secret>) -> Result<Upstream, Error> {
        let Asked { method, body } = self.ask(request, target)?;
        let version = match (target.authority.as_str(), target.base_path.as_str()) {
            (STUDIO, "") if request.endpoint == Endpoint::ChatCompletions && Model::of(target).is_3_or_later() => {
                "/v1alpha"
            }
            (STUDIO, "") => "/v1beta",
            _ => "",
        };
        let path = format!("{}{version}/models/{}:{method}", target.base_path, encoded(&target.model));
        let mut headers = vec![("content-type", "application/json".to_owned())];
        headers.extend(key.map(|key| ("x-goog-api-key", key.expose().to_owned())));
        Ok(Upstream { path, headers, body: Body::Whole(body) })
    }

    fn passes_through(&self, _request: &Request, _target: &Target) -> bool {
        false
    }

    fn response(&self, request: &Request, target: &Target, body: &[u8], now_secs: u64) -> Result<Answer, Error> {
        match request.endpoint {
            Endpoint::Embeddings => embeddings::response(request, target, body),
            _ => response::response(target, body, now_secs),
        }
    }

    fn error(&self, status: u16, body: &[u8]) -> Error {
        error::error(status, body)
    }

    fn stream(&self, request: &Request, target: &Target, now_secs: u64) -> Box<dyn super::Stream> {
        Box::new(stream::Stream::new(request, target, now_secs))
    }
}

/// A model's name as one segment of a path.
pub fn encoded(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~' | b'@') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// OpenAI's reason for Gemini's, as LiteLLM maps it; an answer with calls ends with them.
///
/// Source: LITELLM.md 3.2; Google, "FinishReason" <https://ai.google.dev/api/generate-content#FinishReason>, not re-read
/// for this.
fn finish_reason(native: Option<&str>, has_calls: bool) -> &'static str {
    if has_calls {
        return "tool_calls";
    }
    match native.unwrap_or_default() {
        "MAX_TOKENS" | "CONTINUATION" => "length",
        "SAFETY" | "RECITATION" | "LANGUAGE" | "OTHER" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII" | "NO_IMAGE"
        | "ESCALATION" => "content_filter",
        image if image.starts_with("IMAGE_") => "content_filter",
        _ => "stop",
    }
}

#[cfg(test)]
mod tests;
