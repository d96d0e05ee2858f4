//! OpenAI's own language and its dialects: the body is spliced, never written anew, and answers pass through as they
//! are unless a vendor puts something elsewhere than OpenAI does.
//!
//! A vendor that speaks this language is a row in [`table`] and a row in [`super::vendor`]; nothing else here knows a
//! vendor by its name.
//!
//! | file | what it is |
//! | --- | --- |
//! | `dialect`, `table` | what may differ, and what does |
//! | `family` | the parameters of OpenAI's model families |
//! | `request`, `messages`, `tools`, `schema`, `reasoning` | the edits of a request |
//! | `azure` | the paths and credentials of every site, Azure's above all |
//! | `response`, `stream`, `usage` | the usage of an answer, read on its way |
//! | `reshape` | what an answer has elsewhere, put where OpenAI has it |
//! | `error` | an error answer |
//!
//! # Choices
//!
//! Compared with LiteLLM 1.109.1, which is otherwise matched:
//!
//! - To `openai`, `openai_like`, `custom_openai` and `litellm_proxy` all bytes go but those that must change: `user`,
//!   `metadata` and null parameters pass, and a model of no known family lacks no parameter.
//! - What no provider of OpenAI's language knows goes from a conversation even there, as LiteLLM does it: null members of
//!   an assistant's message; `thinking_blocks` and `provider_specific_fields`, which another vendor's answer may have
//!   brought. OpenAI itself takes a null content, and the role `developer` for every model: both stay there, byte for
//!   byte. Elsewhere the role is `system` where the model is none of the o-series.
//! - Web search beside a chat is refused at xAI and at Groq's gpt-oss: their chat completions have none.
//! - The system message of an o-series model stays one; LiteLLM makes it a user's for most of them.
//! - An empty user message stays; LiteLLM's Mistral loses it and sends no message at all.
//! - A property that happens to be called `strict` or `additionalProperties` stays in a tool's schema.
//! - Magistral is told to reason by `prompt_mode`, its own parameter, not by a system prompt.
//! - Whether a model has tools is its vendor's to say: LiteLLM refuses them to models that its price map does not know.
//! - OpenRouter is told `x-title: Tollgate` and no `http-referer`; `extra_headers` says otherwise.
//! - Of Azure's two ways to give a key, `api-key` is used everywhere, also on v1.
//!
//! # Limits
//!
//! - Images and files in a conversation with a vendor that takes text alone (DeepSeek) are left out where there is text
//!   beside them, as LiteLLM does.
//! - Perplexity's citations stay where Perplexity has them, beside the choices.
//! - Databricks' Claude models get `reasoning_effort` and `response_format` as they are.

pub mod azure;
mod dialect;
mod error;
mod family;
mod media;
mod messages;
mod reasoning;
mod request;
mod reshape;
mod response;
mod responses;
mod schema;
mod stream;
pub mod table;
mod tools;
mod usage;

pub use dialect::Dialect;
pub use error::error;
pub use response::{Tail, response};
pub use stream::{Reshaping, Stream};

use super::{Answer, KeyHeader, Language, Target, Upstream};
use crate::error::Error;
use crate::openai::{Endpoint, Request};
use crate::secret::Secret;

/// OpenAI's API, and every server that speaks it.
#[derive(Debug)]
pub struct OpenAi;

impl Language for OpenAi {
    fn key_header(&self, target: &Target) -> KeyHeader {
        azure::key_header(target)
    }

    fn serves(&self, endpoint: Endpoint, target: &Target) -> bool {
        target.vendor.dialect.path(endpoint).is_some()
    }

    fn lacks(&self, name: &str, endpoint: Endpoint, target: &Target) -> bool {
        let dialect = &target.vendor.dialect;
        match endpoint {
            Endpoint::ChatCompletions => dialect.lacks(name, target),
            Endpoint::Embeddings => dialect.lacking_of_embeddings.contains(&name),
            _ => false,
        }
    }

    fn lacks_value(&self, name: &str, value: &[u8], request: &Request, target: &Target) -> bool {
        request.endpoint == Endpoint::ChatCompletions && lacks_value(name, value, request, target)
    }

    fn request(&self, request: &Request, target: &Target, key: Option<&Secret>) -> Result<Upstream, Error> {
        request::request(request, target, key)
    }

    fn passes_through(&self, request: &Request, target: &Target) -> bool {
        let is_reshaped = request.endpoint == Endpoint::ChatCompletions && target.vendor.dialect.is_reshaped;
        !is_reshaped && !schema::is_by_tool(request, target)
    }

    fn response(&self, request: &Request, target: &Target, body: &[u8], _now_secs: u64) -> Result<Answer, Error> {
        if request.endpoint == Endpoint::Responses {
            return responses::response(body);
        }
        let mut answer = response::response(request.endpoint, body)?;
        if !self.passes_through(request, target) {
            answer.body = reshape::answer(body, schema::is_by_tool(request, target));
        }
        Ok(answer)
    }

    fn error(&self, status: u16, body: &[u8]) -> Error {
        error(status, body)
    }

    fn stream(&self, request: &Request, target: &Target, _now_secs: u64) -> Box<dyn super::Stream> {
        let shape = match self.passes_through(request, target) {
            true => Reshaping::None,
            false if schema::is_by_tool(request, target) => Reshaping::ByTool,
            false => Reshaping::Dialect,
        };
        match request.endpoint {
            Endpoint::Responses => Box::new(responses::Stream::new()),
            endpoint if endpoint.is_media() => Box::new(media::Events::default()),
            _ => Box::new(Stream::new(request, shape)),
        }
    }
}

/// Whether the target lacks this value of a parameter that it has.
fn lacks_value(name: &str, value: &[u8], request: &Request, target: &Target) -> bool {
    if !target.vendor.dialect.has_families {
        return false;
    }
    let effort: Option<String> = request.index.read(&request.body, "reasoning_effort").ok().flatten();
    family::Family::of(target).lacks_value(name, value, effort.as_deref())
}

#[cfg(test)]
mod tests;
