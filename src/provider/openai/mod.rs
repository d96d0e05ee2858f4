//! OpenAI's own language: the body is spliced, never written anew, and answers pass through as they are.

mod dialect;
mod error;
mod media;
mod request;
mod response;
mod responses;
mod stream;

pub use dialect::Dialect;
pub use error::error;
pub use response::{Tail, response};
pub use stream::Stream;

use super::{Answer, Language, Target, Upstream};
use crate::error::Error;
use crate::openai::{Endpoint, Request};
use crate::secret::Secret;

/// OpenAI's API, and every server that speaks it.
#[derive(Debug)]
pub struct OpenAi;

impl Language for OpenAi {
    fn serves(&self, endpoint: Endpoint, target: &Target) -> bool {
        match endpoint {
            Endpoint::ChatCompletions | Endpoint::Completions | Endpoint::Embeddings => true,
            Endpoint::Messages | Endpoint::CountTokens => false,
            Endpoint::Responses => target.vendor.dialect.responses,
            _ => true,
        }
    }

    fn lacks(&self, name: &str, endpoint: Endpoint, target: &Target) -> bool {
        endpoint == Endpoint::ChatCompletions && target.vendor.dialect.lacking.contains(&name)
    }

    fn request(&self, request: &Request, target: &Target, key: Option<&Secret>) -> Result<Upstream, Error> {
        request::request(request, target, key)
    }

    fn passes_through(&self, _request: &Request, _target: &Target) -> bool {
        true
    }

    fn response(&self, request: &Request, _target: &Target, body: &[u8], _now_secs: u64) -> Result<Answer, Error> {
        match request.endpoint {
            Endpoint::Responses => responses::response(body),
            _ => response(body),
        }
    }

    fn error(&self, status: u16, body: &[u8]) -> Error {
        error(status, body)
    }

    fn stream(&self, request: &Request, _target: &Target, _now_secs: u64) -> Box<dyn super::Stream> {
        match request.endpoint {
            Endpoint::Responses => Box::new(responses::Stream::new()),
            endpoint if endpoint.is_media() => Box::new(media::Events::default()),
            _ => Box::new(Stream::new(request)),
        }
    }
}
