//! Endpoints that a vendor lacks, bridged to its chat completions: Anthropic's Messages, OpenAI's Responses and text
//! completions.
//!
//! ```text
//! client's request -> chat completion -> [provider] -> chat completion -> client's shape
//! ```
//!
//! A vendor that has the endpoint itself is asked it as it is. One bridge serves all others: it knows the client's
//! shape and OpenAI's, and no vendor.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`ask`] | what a target is asked for a client's request, and how its answer comes back |
//! | the others | one bridged endpoint each |

pub mod ask;
mod completions;
mod messages;
mod responses;
mod stream;

use std::fmt;

use crate::error::Error;
use crate::openai::{Endpoint, Request};
use crate::provider::Target;

pub use ask::{Ask, Asked};

/// One endpoint in terms of chat completions.
pub trait Bridge: fmt::Debug + Sync {
    /// The chat completion that stands for `client`; a stream asks for its usage.
    ///
    /// # Errors
    ///
    /// The client's: what cannot be said in a chat completion, with its path.
    fn request(&self, client: &Request) -> Result<Request, Error>;

    /// `chat`, made of `client`, as the model of `target` takes it where models differ; `None` where it is the same.
    fn fit(&self, _client: &Request, _chat: &Request, _target: &Target) -> Option<Request> {
        None
    }

    /// `chat`, a whole chat completion, in the client's shape; `now_secs` is Unix time.
    ///
    /// # Errors
    ///
    /// `BadUpstream`: it is none.
    fn response(&self, client: &Request, chat: &[u8], now_secs: u64) -> Result<Vec<u8>, Error>;

    /// The client's events for the chunks of a chat completion.
    fn events(&self, client: &Request, now_secs: u64) -> Box<dyn Events>;
}

/// The chunks of a chat completion on their way to the client's events.
pub trait Events: fmt::Debug {
    /// Takes the next chunk, JSON; appends what the client gets to `out`.
    fn chunk(&mut self, chunk: &[u8], out: &mut Vec<u8>);

    /// Takes the end of a complete answer.
    fn done(&mut self, out: &mut Vec<u8>);

    /// Takes an error, after which nothing comes.
    fn fail(&mut self, error: &Error, out: &mut Vec<u8>);
}

/// How an endpoint leads to a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The provider has it.
    Native,
    /// By the provider's chat completions.
    Bridged,
}

/// How `endpoint` leads to `target`; `None` where it does not.
pub fn reach(endpoint: Endpoint, target: &Target) -> Option<Reach> {
    if target.serves(endpoint) {
        return Some(Reach::Native);
    }
    of(endpoint).filter(|_| target.serves(Endpoint::ChatCompletions)).map(|_| Reach::Bridged)
}

/// The bridge of `endpoint`.
pub fn of(endpoint: Endpoint) -> Option<&'static dyn Bridge> {
    match endpoint {
        Endpoint::Completions => Some(&completions::Completions),
        Endpoint::Messages => Some(&messages::Messages),
        Endpoint::Responses => Some(&responses::Responses),
        Endpoint::ChatCompletions
        | Endpoint::Embeddings
        | Endpoint::ImageGenerations
        | Endpoint::ImageEdits
        | Endpoint::AudioTranscriptions
        | Endpoint::AudioTranslations
        | Endpoint::AudioSpeech
        | Endpoint::Moderations
        | Endpoint::Rerank
        | Endpoint::CountTokens
        | Endpoint::Realtime => None,
    }
}

#[cfg(test)]
mod reach_tests;
#[cfg(test)]
mod tests;
