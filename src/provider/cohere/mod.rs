//! Cohere's API v2: Chat behind chat completions, Embed behind embeddings, Rerank as it is.
//!
//! Strings of the client and of the provider go through as they are written, escapes and all.
//!
//! | file | what it translates |
//! | --- | --- |
//! | `params` | which parameters exist there, and under which name |
//! | `request`, `messages`, `tools` | the request |
//! | `response`, `stream`, `extras`, `usage` | the answer, whole or in events |
//! | `embed`, `rerank` | the other endpoints, both ways |
//! | `error` | an error answer |
//!
//! # Choices
//!
//! - LiteLLM's prefixes `cohere` and `cohere_chat` are one. To LiteLLM the base URL is the whole URL of one endpoint; here
//!   the endpoint's path (`/v2/chat`) follows it, whichever path of Cohere's it ends with.
//! - `tool_choice` is sent: `required` and `none` as they are there, a named tool as `REQUIRED` with that tool alone.
//!   `response_format`, `logprobs`, and of models that reason `reasoning_effort` and `thinking` are sent too. LiteLLM
//!   leaves out the first and refuses the others.
//! - `n` above 1 is `num_generations`, as LiteLLM has it; 1 asks for nothing and is left out.
//! - Arguments `""` of a call in the history become `{}`.
//! - `tool_plan` is what the model says about the calls that it will make: `reasoning_content`. It goes back as
//!   `tool_plan`, or as a block of thinking where the model reasons.
//! - A citation of a document is an annotation, as LiteLLM has it. All citations are in `provider_specific_fields`, as
//!   are `billed_units`, which is what Cohere charges for while usage counts the model's tokens.
//! - The reasons `ERROR` and unknown ones are `stop`, as LiteLLM has them, and stand as they are in
//!   `provider_specific_fields.finish_reason`. A stream that says what went wrong ends with an error.
//! - `top_k` is `k`. Other unknown parameters pass: `k`, `p`, `documents`, `citation_options`, `safety_mode`, ...
//! - Rerank goes to `/v1/rerank` where `max_chunks_per_doc` is asked for, which v2 lacks, or where the base URL says so.
//!   `return_documents` is true unless the client says otherwise, as LiteLLM has it.
//!
//! # Limits
//!
//! - Log probabilities of several tokens in one piece of text have no place in OpenAI's shape: they are in
//!   `provider_specific_fields`.
//! - `priority` steers a gateway, as with LiteLLM: Cohere's own parameter of that name is not sent.
//! - Rerank is charged by search units; they are in the answer (`meta.billed_units`), not in the usage.

mod embed;
mod error;
mod extras;
mod messages;
mod params;
mod request;
mod rerank;
mod response;
mod stream;
mod tools;
mod usage;

use super::{Answer, Language, Target, Upstream};
use crate::error::Error;
use crate::openai::{Endpoint, Request};
use crate::secret::Secret;

/// Cohere's API v2.
#[derive(Debug)]
pub struct Cohere;

impl Language for Cohere {
    fn serves(&self, endpoint: Endpoint, _target: &Target) -> bool {
        matches!(endpoint, Endpoint::ChatCompletions | Endpoint::Embeddings | Endpoint::Rerank)
    }

    fn lacks(&self, name: &str, endpoint: Endpoint, target: &Target) -> bool {
        endpoint == Endpoint::ChatCompletions && params::lacks(name, target)
    }

    fn request(&self, request: &Request, target: &Target, key: Option<&Secret>) -> Result<Upstream, Error> {
        match request.endpoint {
            Endpoint::Embeddings => embed::request(request, target, key),
            Endpoint::Rerank => rerank::request(request, target, key),
            _ => request::request(request, target, key),
        }
    }

    fn passes_through(&self, request: &Request, _target: &Target) -> bool {
        request.endpoint == Endpoint::Rerank
    }

    fn response(&self, request: &Request, target: &Target, body: &[u8], now_secs: u64) -> Result<Answer, Error> {
        match request.endpoint {
            Endpoint::Embeddings => embed::response(request, target, body),
            Endpoint::Rerank => rerank::response(body),
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

/// OpenAI's reason for Cohere's, as LiteLLM's table has it. Those that OpenAI has no word for are `stop`.
///
/// Source: Cohere, "Chat" <https://docs.cohere.com/reference/chat>, not re-read for this; LITELLM.md 3.
fn finish_reason(reason: &str, has_calls: bool) -> &'static str {
    match reason {
        "MAX_TOKENS" | "TIMEOUT" | "ERROR_LIMIT" => "length",
        "ERROR_TOXIC" => "content_filter",
        _ if has_calls => "tool_calls",
        _ => "stop",
    }
}

/// Whether [`finish_reason`] tells less than `reason`.
fn is_told_in_part(reason: &str) -> bool {
    !matches!(reason, "" | "COMPLETE" | "STOP_SEQUENCE" | "MAX_TOKENS" | "TOOL_CALL")
}

#[cfg(test)]
mod tests;
