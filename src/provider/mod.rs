//! The vendors: one folder each, the same file names in every folder.
//!
//! A vendor's language is pure functions (`request`, `response`, `error`) and one small machine for streams, behind
//! [`Language`]. An OpenAI dialect is a row of differences in [`vendor`], never a copy.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`vendor`] | every vendor once: prefix, language, base URL, credential, differences |
//! | [`aws`] | what Envoy signs requests to AWS with |
//! | [`injected`] | credentials that Envoy writes, and the filter never sees |
//! | [`target`] | where an attempt goes, as far as a language cares |
//! | [`params`] | which parameters a target takes; what the config drops, adds and lets pass |
//! | [`given`] | what a client gave, member by member |
//! | [`status`] | what a status is in OpenAI's words |
//! | [`tools`] | names of tools that a provider takes, and the choice among them |
//! | [`chunks`] | what every translated stream is written as |
//! | the folders | one language each |

pub mod anthropic;
pub mod aws;
pub mod bedrock;
pub mod chunks;
pub mod cohere;
pub mod gemini;
pub mod given;
#[cfg(test)]
pub(crate) mod hostile;
pub mod injected;
pub mod ollama;
pub mod openai;
pub mod params;
pub mod status;
pub mod target;
pub mod tools;
#[cfg(test)]
pub(crate) mod trials;
pub mod vendor;
pub mod vertex;

use std::fmt;

use crate::error::{Error, Kind};
use crate::json::Splice;
use crate::openai::{Endpoint, Request, Usage};
use crate::secret::Secret;

pub use injected::{Injected, KeyHeader};
pub use target::{Credential, Target};
pub use vendor::Vendor;

/// What an upstream speaks, and how our common language becomes it and comes back.
///
/// Requests are in OpenAI's shape, checked by [`params`]; answers come out in that shape.
pub trait Language: fmt::Debug + Sync {
    /// Whether `target` has an endpoint like this.
    fn serves(&self, endpoint: Endpoint, target: &Target) -> bool;

    /// Whether `target` lacks the OpenAI parameter `name`, one of [`params::known`], at `endpoint`.
    fn lacks(&self, name: &str, endpoint: Endpoint, target: &Target) -> bool;

    /// Whether `target` lacks this value of a parameter that it has; `value` is JSON.
    fn lacks_value(&self, _name: &str, _value: &[u8], _request: &Request, _target: &Target) -> bool {
        false
    }

    /// The path, headers and body of an attempt at `target`, of an endpoint that it serves. `key` is its credential at
    /// this moment.
    ///
    /// # Errors
    ///
    /// The client's: a request that this provider cannot be asked.
    fn request(&self, request: &Request, target: &Target, key: Option<&Secret>) -> Result<Upstream, Error>;

    /// Whether a successful answer to `request` goes to the client byte for byte.
    fn passes_through(&self, request: &Request, target: &Target) -> bool;

    /// Reads a whole successful answer; `now_secs` is Unix time for the `created` field.
    ///
    /// # Errors
    ///
    /// `BadUpstream`: the answer makes no sense.
    fn response(&self, request: &Request, target: &Target, body: &[u8], now_secs: u64) -> Result<Answer, Error>;

    /// Reads an error answer; `status` is 400..=599.
    fn error(&self, status: u16, body: &[u8]) -> Error;

    /// The stream of an answer to `request`; `now_secs` is Unix time for the `created` field.
    fn stream(&self, request: &Request, target: &Target, now_secs: u64) -> Box<dyn Stream>;

    /// The AWS service in whose name requests are signed where the config gives no key; `None` outside AWS.
    fn aws_service(&self) -> Option<&'static str> {
        None
    }

    /// Where `target` expects a key, as [`Self::request`] writes it.
    fn key_header(&self, _target: &Target) -> KeyHeader {
        KeyHeader::Bearer
    }
}

/// A stream of a provider on its way to OpenAI's shape. The same bytes in any chunking give the same bytes out.
pub trait Stream: fmt::Debug {
    /// Tells the client an estimate of the usage if the provider says none. For a client that asked for usage.
    fn estimate(&mut self, estimate: Estimate);

    /// Takes the next bytes of the provider; appends what the client gets to `out` where that differs from `bytes`.
    fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Pass;

    /// Takes the end of the provider's bytes; appends what the client still gets to `out`: `unfinished`, where the answer
    /// is not complete.
    fn finish(&mut self, unfinished: Error, out: &mut Vec<u8>);

    /// What it has come to so far.
    fn tally(&self) -> &Tally;
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

/// What the client is told where the provider ended a stream before its answer was complete.
pub fn ended_early() -> Error {
    Error::new(Kind::BadUpstream, "the provider's stream ended before the answer did")
}

/// What happened to the bytes given to a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// The client gets them as they are; nothing was written to `out`.
    Unchanged,
    /// The client gets `out` in their place.
    Replaced,
}
