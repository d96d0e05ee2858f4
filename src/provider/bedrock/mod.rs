//! Amazon Bedrock's Converse API behind OpenAI's chat completions, and its embedding models behind embeddings.
//!
//! One shape for all of Bedrock's models; what only some of them take goes into `additionalModelRequestFields`. The
//! request is signed by Envoy (see [`Credential::Signed`](super::Credential)), or carries a Bedrock API key.
//!
//! | file | what it translates |
//! | --- | --- |
//! | `model` | which model this is, and what its family takes |
//! | `params` | which parameters exist there, which pass on, which stay here |
//! | `request`, `body`, `messages`, `blocks`, `media`, `tools`, `schema`, `thinking` | a chat |
//! | `response`, `stream`, `eventstream`, `usage` | its answer, whole or in frames |
//! | `embeddings` | embeddings of Titan and Cohere |
//! | `error` | an error answer |
//!
//! A source that is dated was looked up on that day in a stored copy of the page, in excerpts; one "not re-read" was
//! written down from knowledge of it. What is LiteLLM's was seen in requests captured from LiteLLM 1.109.1.
//!
//! # Choices
//!
//! - Bedrock has no `tool_choice: none`: the tools are left out, and calls in the history become text, as they do where
//!   the client declares no tools. LiteLLM refuses `none`.
//! - A conversation always has a message that says something, and a user begins it: an empty user message becomes a
//!   placeholder, an empty assistant message is left out. LiteLLM sends `messages: []` for a blank one.
//! - An instruction amid the conversation becomes part of the user's turn, in words of our own.
//! - Reasoning without a signature does not go back: Claude refuses it. LiteLLM sends it as if the model had said it.
//! - A `max_tokens` of the client's stands: half of it goes to thinking at most, none where that is too little.
//!   LiteLLM sends a budget over the bound, which Bedrock refuses.
//! - A JSON schema is a contract: where it takes a tool, and the client has tools too, some tool must be called.
//!   LiteLLM forces the JSON tool, or none.
//! - Text in `citationsContent` is part of the answer's content, in its place.
//! - Arguments in the history that are no JSON object are refused; LiteLLM sends an empty object in their place.
//! - `parallel_tool_calls` goes nowhere without tools; an empty stop sequence is left out.
//! - `additionalModelResponseFieldPaths` and `promptVariables` go where Converse reads them; LiteLLM buries them among
//!   the model's own fields.
//! - A budget of thinking that is under the smallest is raised to it, as in LiteLLM.
//! - `embeddingTypes: ["binary"]`, which LiteLLM makes of `encoding_format: base64`, are other vectors: floats are
//!   asked for and encoded here.
//! - The answer has no id of its own: it is made from the request and the time.
//!
//! # Limits
//!
//! - Bedrock fetches nothing: images and documents come as `data:` URLs, or as `s3://` where the model takes those.
//! - Constraints of a `response_format` schema that Claude refuses are dropped; `strict` of a tool is, where the model
//!   takes none.
//! - A tool schema whose references are circular keeps them with its `$defs`.
//! - `metrics` of an answer are left out.
//! - Titan embeds one text a request: several are refused. Rerank, images and the models' own bodies (`bedrock/invoke/`)
//!   are not here.
//! - A client's tool named `json_tool_call` collides with ours where a schema has to be forced.

mod blocks;
mod body;
mod embeddings;
mod error;
mod eventstream;
mod media;
mod messages;
mod model;
mod params;
mod request;
mod response;
mod schema;
mod stream;
mod thinking;
mod tools;
mod usage;

use sha2::{Digest as _, Sha256};

use super::{Answer, Language, Target, Upstream};
use crate::error::Error;
use crate::openai::{Endpoint, Request};
use crate::secret::Secret;

/// The Converse API.
#[derive(Debug)]
pub struct Bedrock;

impl Language for Bedrock {
    fn serves(&self, endpoint: Endpoint, target: &Target) -> bool {
        match endpoint {
            Endpoint::ChatCompletions => !model::Model::of(target).is_embedding(),
            Endpoint::Embeddings => embeddings::Family::of(target).is_some(),
            _ => false,
        }
    }

    fn lacks(&self, name: &str, endpoint: Endpoint, target: &Target) -> bool {
        match endpoint {
            Endpoint::ChatCompletions => params::lacks(name, target),
            Endpoint::Embeddings => embeddings::lacks(name, target),
            _ => false,
        }
    }

    fn request(&self, request: &Request, target: &Target, key: Option<&Secret>) -> Result<Upstream, Error> {
        match request.endpoint {
            Endpoint::Embeddings => embeddings::request(request, target, key),
            _ => request::request(request, target, key),
        }
    }

    fn passes_through(&self, _request: &Request, _target: &Target) -> bool {
        false
    }

    fn response(&self, request: &Request, target: &Target, body: &[u8], now_secs: u64) -> Result<Answer, Error> {
        match request.endpoint {
            Endpoint::Embeddings => embeddings::response(request, target, body),
            _ => response::response(request, target, body, now_secs),
        }
    }

    fn error(&self, status: u16, body: &[u8]) -> Error {
        error::error(status, body)
    }

    fn stream(&self, request: &Request, target: &Target, now_secs: u64) -> Box<dyn super::Stream> {
        Box::new(stream::Stream::new(request, target, now_secs))
    }

    fn aws_service(&self) -> Option<&'static str> {
        Some("bedrock")
    }
}

/// The base URL of Bedrock's runtime in `region`.
///
/// Source: AWS, "Amazon Bedrock endpoints and quotas" <https://docs.aws.amazon.com/general/latest/gr/bedrock.html>,
/// not re-read for this.
pub(super) fn base_url(region: &str) -> String {
    let china = if region.starts_with("cn-") { ".cn" } else { "" };
    format!("https://bedrock-runtime.{region}.amazonaws.com{china}")
}

/// OpenAI's reason for Bedrock's, as LiteLLM maps it. An answer with calls ends with them, one whose only call is the
/// JSON tool has none.
///
/// Source: AWS, "Converse" <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html>,
/// not re-read for this.
fn finish_reason(stop_reason: &str, has_calls: bool) -> &'static str {
    match stop_reason {
        "max_tokens" | "model_context_window_exceeded" => "length",
        "guardrail_intervened" | "content_filtered" | "refusal" => "content_filter",
        _ if has_calls => "tool_calls",
        _ => "stop",
    }
}

/// An id for the answer to `request`, which Bedrock does not name: the same for the same request at the same time.
fn answer_id(request: &Request, now_secs: u64) -> String {
    let digest = Sha256::new().chain_update(&request.body).chain_update(now_secs.to_le_bytes()).finalize();
    hex(&digest, 24)
}

/// The first `digits` hexadecimal digits of `bytes`.
fn hex(bytes: &[u8], digits: usize) -> String {
    let mut text = crate::bytes::hex(bytes);
    text.truncate(digits);
    text
}

#[cfg(test)]
mod tests;
