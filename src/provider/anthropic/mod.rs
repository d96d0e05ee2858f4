//! Anthropic's Messages API behind OpenAI's chat completions.
//!
//! Strings of the client and of the provider go through as they are written, escapes and all; only what must change
//! (a role, a name, a nesting) is built anew. Nothing here retries, counts money or knows other providers.
//!
//! | file | what it translates |
//! | --- | --- |
//! | `params` | which parameters exist there, which pass on, which stay here |
//! | `request`, `body`, `messages`, `blocks`, `tools`, `search`, `schema`, `thinking` | the request |
//! | `response`, `stream`, `extra`, `usage` | the answer, whole or in events |
//! | `error` | an error answer |
//! | `native` | requests and answers that are in Anthropic's shape already |
//! | `headers`, `betas` | the path and the headers, of both |
//!
//! A source that is dated was looked up on that day in a stored copy of the page, in excerpts; one "not re-read" was
//! written down from knowledge of it.
//!
//! # Choices
//!
//! - A `temperature` above 1 becomes 1: OpenAI's range ends at 2, Anthropic's at 1, and the top of either is the top.
//! - A conversation that does not begin with a user gets a short user message in front: Anthropic refuses it otherwise.
//! - An empty user message becomes a placeholder; an empty assistant message is left out.
//! - Reasoning effort is a hint, a forced tool or a JSON schema is a contract: where both cannot be had, the hint goes.
//! - Calls in the history without any `tools` declare those tools, with `tool_choice: none`: OpenAI's model could not
//!   call them either.
//! - `metadata` of OpenAI is a map for OpenAI's dashboard; only its `user_id` has a place at Anthropic.
//! - Calls of tools that run at Anthropic are no `tool_calls`: nobody waits for a client to answer them. They and their
//!   results are in `provider_specific_fields`, and pages that a text cites are annotations.
//! - A file by its id is a document of that id; its name becomes the document's title.
//! - The client's `anthropic-version` goes before ours, and its `anthropic-beta` beside ours and the config's.
//! - On Anthropic's own endpoints only the model's name changes, and of the config's defaults those go in that Anthropic
//!   has in the same meaning. Betas are added there for what the body asks for as LiteLLM does; for tools the client asks.
//!
//! # Limits
//!
//! - OpenAI's tool of type `mcp` goes on as it is, and Anthropic refuses it: `mcp_servers` is its own form.
//! - `strict` of a tool is dropped; constraints of a `response_format` schema that Anthropic refuses are too.
//! - Of the blocks of tools that ran at Anthropic nothing goes back there with the history.
//! - Two tool call ids that differ only in characters that Anthropic refuses become one.
//! - A client's tool named `json_tool_call` collides with ours where a schema has to be forced; Anthropic then says so.

mod betas;
mod blocks;
mod body;
mod error;
mod extra;
mod headers;
mod messages;
mod native;
mod params;
mod request;
mod response;
mod schema;
mod search;
mod stream;
mod thinking;
mod tools;
mod usage;

use super::{Answer, KeyHeader, Language, Target, Upstream};
use crate::error::Error;
use crate::openai::{Endpoint, Request};
use crate::secret::Secret;

/// The Messages API.
#[derive(Debug)]
pub struct Anthropic;

impl Language for Anthropic {
    fn key_header(&self, _target: &Target) -> KeyHeader {
        KeyHeader::Named("x-api-key")
    }

    fn serves(&self, endpoint: Endpoint, _target: &Target) -> bool {
        endpoint == Endpoint::ChatCompletions || native::serves(endpoint)
    }

    fn lacks(&self, name: &str, endpoint: Endpoint, target: &Target) -> bool {
        endpoint == Endpoint::ChatCompletions && params::lacks(name, target)
    }

    fn request(&self, request: &Request, target: &Target, key: Option<&Secret>) -> Result<Upstream, Error> {
        match native::serves(request.endpoint) {
            true => native::request(request, target, key),
            false => request::request(request, target, key),
        }
    }

    fn passes_through(&self, request: &Request, _target: &Target) -> bool {
        native::serves(request.endpoint)
    }

    fn response(&self, request: &Request, target: &Target, body: &[u8], now_secs: u64) -> Result<Answer, Error> {
        match native::serves(request.endpoint) {
            true => native::response(request, body),
            false => response::response(request, target, body, now_secs),
        }
    }

    fn error(&self, status: u16, body: &[u8]) -> Error {
        error::error(status, body)
    }

    fn stream(&self, request: &Request, target: &Target, now_secs: u64) -> Box<dyn super::Stream> {
        match native::serves(request.endpoint) {
            true => Box::new(native::Stream::default()),
            false => Box::new(stream::Stream::new(request, target, now_secs)),
        }
    }
}

/// OpenAI's reason for Anthropic's, as LiteLLM maps it. An answer with calls ends with them, one whose only call is the
/// JSON tool has none.
///
/// Source: Anthropic, "Stop reasons and fallback"
/// <https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons>, read 2026-11-23.
fn finish_reason(stop_reason: &str, has_calls: bool) -> &'static str {
    match stop_reason {
        "max_tokens" | "compaction" | "pause_turn" | "model_context_window_exceeded" => "length",
        "refusal" | "content_filtered" => "content_filter",
        _ if has_calls => "tool_calls",
        _ => "stop",
    }
}

#[cfg(test)]
mod tests;
