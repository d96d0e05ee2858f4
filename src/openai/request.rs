//! A request body of an OpenAI endpoint: indexed once, its text untouched.

use serde::Deserialize;

use crate::error::{Error, Kind};
use crate::json::{Index, Shape};

/// The endpoints that carry a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Endpoint {
    /// `/v1/chat/completions`
    ChatCompletions,
    /// `/v1/completions`
    Completions,
    /// `/v1/embeddings`
    Embeddings,
}

impl Endpoint {
    /// The path below a provider's base URL, `/chat/completions`.
    pub const fn path(self) -> &'static str {
        match self {
            Self::ChatCompletions => "/chat/completions",
            Self::Completions => "/completions",
            Self::Embeddings => "/embeddings",
        }
    }

    /// Whether the answer is generated text, which costs output tokens.
    pub const fn generates(self) -> bool {
        match self {
            Self::ChatCompletions | Self::Completions => true,
            Self::Embeddings => false,
        }
    }

    /// The member that a body must have, with the shapes it may take.
    const fn required(self) -> (&'static str, &'static [Shape]) {
        match self {
            Self::ChatCompletions => ("messages", &[Shape::Array]),
            Self::Completions => ("prompt", &[Shape::String, Shape::Array]),
            Self::Embeddings => ("input", &[Shape::String, Shape::Array]),
        }
    }
}

/// A checked request of a client.
#[derive(Debug)]
pub struct Request {
    /// What is asked for.
    pub endpoint: Endpoint,
    /// The body as it came: one JSON object in UTF-8.
    pub body: Vec<u8>,
    /// Where its members are.
    pub index: Index,
    /// The model as the client named it: an alias.
    pub model: String,
    /// Whether the answer is a stream of events.
    pub stream: bool,
    /// Whether the client asked for usage at the end of the stream.
    pub include_usage: bool,
    /// The most tokens that the client lets the answer have.
    pub max_output_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
}

impl Request {
    /// Reads the body of a request to `endpoint`.
    ///
    /// # Errors
    ///
    /// The client's: not JSON, a required member missing, a member of the wrong type.
    pub fn parse(endpoint: Endpoint, body: Vec<u8>) -> Result<Self, Error> {
        let index = Index::parse(&body)
            .map_err(|fault| Error::new(Kind::InvalidJson, format!("the body is not valid JSON: {fault}")))?;
        let (name, shapes) = endpoint.required();
        index.expect(name, shapes)?;
        index.expect("model", &[Shape::String])?;
        let model: String = index.read(&body, "model")?.unwrap_or_default();
        let stream = index.read(&body, "stream")?.unwrap_or(false);
        if index.get("stream_options").is_some_and(|member| member.shape == Shape::Array) {
            // To serde, a list may stand for a struct.
            index.expect("stream_options", &[Shape::Object])?;
        }
        let options: Option<StreamOptions> = index.read(&body, "stream_options")?;
        let max_tokens: Option<u64> = index.read(&body, "max_tokens")?;
        let max_completion_tokens: Option<u64> = index.read(&body, "max_completion_tokens")?;
        Ok(Self {
            endpoint,
            model,
            stream,
            include_usage: options.and_then(|o| o.include_usage).unwrap_or(false),
            max_output_tokens: max_completion_tokens.or(max_tokens),
            index,
            body,
        })
    }
}
