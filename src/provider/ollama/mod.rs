//! Ollama's own API: `/api/chat` behind chat completions, `/api/embed` behind embeddings.
//!
//! Strings of the client and of the provider go through as they are written, escapes and all, wherever they need not be
//! joined or cut.
//!
//! | file | what it translates |
//! | --- | --- |
//! | `params` | which parameters exist there, and where they go |
//! | `request`, `messages` | the request |
//! | `response`, `stream`, `lines`, `tags`, `usage` | the answer, whole or line by line |
//! | `embed` | embeddings, both ways |
//! | `error` | an error answer |
//!
//! # Choices
//!
//! - LiteLLM's prefixes `ollama` and `ollama_chat` are one: both speak `/api/chat`. LiteLLM writes a text prompt of its
//!   own for the former and sends it to `/api/generate`, where a model has no tools and not its own template.
//! - `frequency_penalty` is the option `frequency_penalty`, as in Ollama's own OpenAI layer and in LiteLLM's `ollama`;
//!   LiteLLM's `ollama_chat` makes `repeat_penalty` of it, a factor around 1 where OpenAI's is a sum around 0.
//!   `presence_penalty` is Ollama's too; LiteLLM refuses it.
//! - `stop` is always a list: Ollama ignores a string.
//! - Ollama has no `tool_choice`. With `none` the tools are not sent; any other is left out, as LiteLLM does.
//! - A tool's result names its tool (`tool_name`), found by the call's id; LiteLLM sends the id alone.
//! - `reasoning_effort` turns `think` on or off, except for gpt-oss, which has three levels: the nearest is taken.
//!   LiteLLM turns it off for efforts above `high`, and sends gpt-oss levels that Ollama refuses.
//! - `thinking` in Anthropic's form turns it on or off too; LiteLLM refuses it.
//! - `logprobs` is refused unless the config lets it through: only servers of late have it, the others ignore it in
//!   silence. What Ollama has beside `options` (`keep_alive`, `think`, `format`, `truncate`, `shift`) goes there, the
//!   client's own `options` are taken in, and every other unknown parameter is an option.
//! - Ollama names no answer: its id is made of the time at which it began. So are the ids of calls that have none.
//! - Reasoning at the beginning of the text, `<think>…</think>`, is taken out of it. One that does not end is reasoning
//!   to the end: the model ran out of tokens.
//!
//! # Limits
//!
//! - Images must be `data:` URLs or bare base64: Ollama fetches none, and neither does anything here. Formats other
//!   than those that the model knows are not converted.
//! - Files and audio have no place in a message of Ollama's.
//! - One answer only: there is no `n`.

mod embed;
mod error;
mod lines;
mod messages;
mod params;
mod request;
mod response;
mod stream;
mod tags;
mod usage;

use super::{Answer, Language, Target, Upstream};
use crate::error::Error;
use crate::openai::{Endpoint, Request};
use crate::secret::Secret;

/// Ollama's API.
#[derive(Debug)]
pub struct Ollama;

impl Language for Ollama {
    fn serves(&self, endpoint: Endpoint, _target: &Target) -> bool {
        matches!(endpoint, Endpoint::ChatCompletions | Endpoint::Embeddings)
    }

    fn lacks(&self, name: &str, endpoint: Endpoint, _target: &Target) -> bool {
        endpoint == Endpoint::ChatCompletions && params::lacks(name)
    }

    fn request(&self, request: &Request, target: &Target, key: Option<&Secret>) -> Result<Upstream, Error> {
        match request.endpoint {
            Endpoint::Embeddings => embed::request(request, target, key),
            _ => request::request(request, target, key),
        }
    }

    fn passes_through(&self, _request: &Request, _target: &Target) -> bool {
        false
    }

    fn response(&self, request: &Request, target: &Target, body: &[u8], now_secs: u64) -> Result<Answer, Error> {
        match request.endpoint {
            Endpoint::Embeddings => embed::response(request, target, body),
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

/// OpenAI's reason for Ollama's, as LiteLLM maps it.
///
/// Source: Ollama, `server/routes.go` and "Generate a chat message" <https://docs.ollama.com/api/chat>, not re-read for
/// this: `stop`, `length`, `load`, `unload`.
fn finish_reason(done_reason: &str, has_calls: bool) -> &'static str {
    match done_reason {
        _ if has_calls => "tool_calls",
        "length" => "length",
        _ => "stop",
    }
}

#[cfg(test)]
mod tests;
