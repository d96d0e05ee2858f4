//! The vendors: one folder each, the same file names in every folder.
//!
//! A vendor is pure functions (`request`, `response`, `error`) and one small machine for streams. An OpenAI dialect is
//! a row of differences, never a copy.

pub mod anthropic;
pub mod openai;

use std::fmt;

use crate::error::Error;
use crate::json::Splice;
use crate::openai::{Endpoint, Request, Usage};
use crate::secret::Secret;

/// The language that an upstream speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// OpenAI's own, and every server that speaks it.
    OpenAi,
    /// Anthropic's Messages API.
    Anthropic,
}

/// Where an attempt goes, as far as a provider cares.
#[derive(Clone)]
pub struct Target {
    /// The language.
    pub provider: Provider,
    /// LiteLLM's provider prefix: `openai`, `hosted_vllm`, `anthropic`, ...
    pub provider_name: String,
    /// The provider's own name of the model.
    pub model: String,
    /// `host` or `host:port`, for `:authority`.
    pub authority: String,
    /// The path of the base URL without a slash at its end: `/v1`, or empty.
    pub base_path: String,
    /// The credential.
    pub api_key: Option<Secret>,
    /// The model's own bound on an answer, in tokens.
    pub max_output_tokens: Option<u64>,
    /// Whether the model reasons.
    pub supports_reasoning: bool,
    /// Whether the model keeps to a JSON schema by itself.
    pub supports_response_schema: bool,
    /// Whether parameters that the provider lacks are dropped instead of refused.
    pub drop_params: bool,
    /// Headers from the config, lower-case names.
    pub extra_headers: Vec<(String, String)>,
}

/// What one attempt sends, beyond what all providers share.
#[derive(Debug)]
pub struct Upstream {
    /// `:path`.
    pub path: String,
    /// Credentials and the provider's own headers, lower-case names.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Body,
}

/// The body of an attempt.
#[derive(Debug)]
pub enum Body {
    /// The client's, edited.
    Splice(Splice),
    /// Another one.
    Whole(Vec<u8>),
}

/// A whole answer, read.
#[derive(Debug, Default)]
pub struct Answer {
    /// The body in OpenAI's shape; `None` where the provider's is in that shape already.
    pub body: Option<Vec<u8>>,
    /// What the provider counted.
    pub usage: Option<Usage>,
    /// Bytes of generated text: what an estimate of the output is made from.
    pub content_bytes: u64,
}

/// What usage is estimated from.
#[derive(Clone, Copy, Debug)]
pub struct Estimate {
    /// The tokens of the prompt.
    pub input_tokens: u64,
    /// The tokens of a text by its length in bytes.
    pub tokens_in_bytes: fn(u64) -> u64,
}

impl Estimate {
    /// The usage of an answer with this much text.
    pub fn usage(&self, content_bytes: u64) -> Usage {
        let output_tokens = (self.tokens_in_bytes)(content_bytes);
        Usage { input_tokens: self.input_tokens, output_tokens, ..Usage::default() }
    }
}

/// What a stream has come to so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// What the provider counted; the output is not final while `is_final` is false.
    pub usage: Option<Usage>,
    /// Whether `usage` is the provider's last word.
    pub is_final: bool,
    /// Bytes of generated text (content, reasoning, tool arguments) so far.
    pub content_bytes: u64,
    /// Whether the stream came to its proper end.
    pub is_complete: bool,
    /// The error that the provider put into the stream.
    pub error: Option<Error>,
}

/// What happened to the bytes given to a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// The client gets them as they are; nothing was written to `out`.
    Unchanged,
    /// The client gets `out` in their place.
    Replaced,
}

/// A stream of a provider on its way to OpenAI's shape.
#[derive(Debug)]
pub enum Stream {
    /// Passed on, usage taken out.
    OpenAi(Box<openai::Stream>),
    /// Translated.
    Anthropic(Box<anthropic::Stream>),
}

impl fmt::Debug for Target {
    /// Without the values of `extra_headers`, which may be credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<&str> = self.extra_headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Target")
            .field("provider_name", &self.provider_name)
            .field("model", &self.model)
            .field("authority", &self.authority)
            .field("base_path", &self.base_path)
            .field("api_key", &self.api_key)
            .field("max_output_tokens", &self.max_output_tokens)
            .field("supports_reasoning", &self.supports_reasoning)
            .field("supports_response_schema", &self.supports_response_schema)
            .field("drop_params", &self.drop_params)
            .field("extra_headers", &headers)
            .finish_non_exhaustive()
    }
}

impl Target {
    /// Whether this provider has `request`'s endpoint and every parameter of it (or may drop it).
    ///
    /// # Errors
    ///
    /// `UnsupportedEndpoint`, `UnsupportedParameter`.
    pub fn check(&self, request: &Request) -> Result<(), Error> {
        match self.provider {
            Provider::OpenAi => Ok(()),
            Provider::Anthropic => anthropic::check(request, self),
        }
    }

    /// The path, headers and body of an attempt at this target.
    ///
    /// # Errors
    ///
    /// The client's: a request that this provider cannot be asked.
    pub fn request(&self, request: &Request) -> Result<Upstream, Error> {
        match self.provider {
            Provider::OpenAi => openai::request(request, self),
            Provider::Anthropic => anthropic::request(request, self),
        }
    }

    /// Reads a whole successful answer of this target; `now_secs` is Unix time for the `created` field.
    ///
    /// # Errors
    ///
    /// `BadUpstream`: the answer makes no sense.
    pub fn response(&self, request: &Request, body: &[u8], now_secs: u64) -> Result<Answer, Error> {
        match self.provider {
            Provider::OpenAi => openai::response(body),
            Provider::Anthropic => anthropic::response(request, self, body, now_secs),
        }
    }

    /// Whether a successful answer goes to the client byte for byte.
    pub fn passes_through(&self) -> bool {
        match self.provider {
            Provider::OpenAi => true,
            Provider::Anthropic => false,
        }
    }

    /// Reads an error answer of this target; `status` is 400..=599.
    pub fn error(&self, status: u16, body: &[u8]) -> Error {
        match self.provider {
            Provider::OpenAi => openai::error(status, body),
            Provider::Anthropic => anthropic::error(status, body),
        }
    }

    /// The stream of an answer to `request`; `now_secs` is Unix time for the `created` field.
    pub fn stream(&self, request: &Request, now_secs: u64) -> Stream {
        match self.provider {
            Provider::OpenAi => Stream::OpenAi(Box::new(openai::Stream::new(request))),
            Provider::Anthropic => Stream::Anthropic(Box::new(anthropic::Stream::new(request, self, now_secs))),
        }
    }
}

impl Stream {
    /// Tells the client an estimate of the usage if the provider says none. For a client that asked for usage.
    pub fn estimate(&mut self, estimate: Estimate) {
        match self {
            Self::OpenAi(stream) => stream.estimate(estimate),
            Self::Anthropic(stream) => stream.estimate(estimate),
        }
    }

    /// Takes the next bytes of the provider; appends what the client gets to `out` where that differs from `bytes`.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Pass {
        match self {
            Self::OpenAi(stream) => stream.push(bytes, out),
            Self::Anthropic(stream) => {
                stream.push(bytes, out);
                Pass::Replaced
            }
        }
    }

    /// Takes the end of the provider's bytes; appends what the client still gets to `out`.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        match self {
            Self::OpenAi(stream) => stream.finish(out),
            Self::Anthropic(stream) => stream.finish(out),
        }
    }

    /// What it has come to so far.
    pub fn tally(&self) -> &Tally {
        match self {
            Self::OpenAi(stream) => stream.tally(),
            Self::Anthropic(stream) => stream.tally(),
        }
    }
}

impl Endpoint {
    /// The whole path of this endpoint at `target`.
    pub(crate) fn path_at(self, target: &Target) -> String {
        format!("{}{}", target.base_path, self.path())
    }
}
