//! Google's Vertex AI: Gemini and Claude behind one prefix.
//!
//! This is the one place that knows two languages: which of them a deployment speaks is read off its model's name, and
//! what they say is sent to Vertex's own paths with Vertex's own credential. Nothing of either is repeated here.
//!
//! | file | what it is |
//! | --- | --- |
//! | `place` | paths, hosts and credentials |
//! | `claude` | Anthropic's Messages as Vertex wants them |
//!
//! # Choices
//!
//! - A key from the config is Google's API key (`x-goog-api-key`, Vertex in express mode); any other credential is an
//!   access token.
//! - Where the config names no location it is `us-central1`, LiteLLM's, but for a key without a project, which is good
//!   at the global host only.
//!
//! # Limits
//!
//! Mistral's, Meta's and other partners' models on Vertex are refused by the config.

mod claude;
mod place;

use super::gemini::{Asked, Gemini, Home};
use super::{Answer, Body, KeyHeader, Language, Target, Upstream};
use crate::error::Error;
use crate::openai::{Endpoint, Request};
use crate::secret::Secret;

pub use place::{base, fault, location};

/// Vertex AI.
#[derive(Debug)]
pub struct Vertex;

const GEMINI: Gemini = Gemini(Home::Vertex);

/// What a model speaks.
fn language(target: &Target) -> &'static dyn Language {
    if place::is_claude(&target.model) { &claude::Claude } else { &GEMINI }
}

impl Language for Vertex {
    fn key_header(&self, _target: &Target) -> KeyHeader {
        KeyHeader::Named("x-goog-api-key")
    }

    fn serves(&self, endpoint: Endpoint, target: &Target) -> bool {
        language(target).serves(endpoint, target)
    }

    fn lacks(&self, name: &str, endpoint: Endpoint, target: &Target) -> bool {
        language(target).lacks(name, endpoint, target)
    }

    fn request(&self, request: &Request, target: &Target, key: Option<&Secret>) -> Result<Upstream, Error> {
        if place::is_claude(&target.model) {
            return claude::Claude.request(request, target, key);
        }
        let Asked { method, body } = GEMINI.ask(request, target)?;
        let headers = place::headers(target, key);
        Ok(Upstream { path: place::path(target, "google", method), headers, body: Body::Whole(body) })
    }

    fn passes_through(&self, request: &Request, target: &Target) -> bool {
        language(target).passes_through(request, target)
    }

    fn response(&self, request: &Request, target: &Target, body: &[u8], now_secs: u64) -> Result<Answer, Error> {
        language(target).response(request, target, body, now_secs)
    }

    fn error(&self, status: u16, body: &[u8]) -> Error {
        claude::error(status, body).unwrap_or_else(|| GEMINI.error(status, body))
    }

    fn stream(&self, request: &Request, target: &Target, now_secs: u64) -> Box<dyn super::Stream> {
        language(target).stream(request, target, now_secs)
    }
}
