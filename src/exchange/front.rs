//! The first look at a request: its endpoint and who asks, before a byte of the body is read.

use sha2::{Digest as _, Sha256};

use super::{Caller, Headers, Reply};
use crate::config::{Config, Digest};
use crate::error::{Error, Kind, Shape};
use crate::openai::Endpoint;
use crate::units::Millis;

/// A request that may be read.
#[derive(Debug)]
pub struct Front {
    /// What is asked for.
    pub endpoint: Endpoint,
    /// Who asks.
    pub caller: Caller,
    /// When.
    pub started: Millis,
    pub(super) originals: Vec<(&'static str, Vec<u8>)>,
}

/// What to do with a request after its headers.
#[derive(Debug)]
pub enum Opening {
    /// Answer it at once.
    Answer(Option<Caller>, Reply),
    /// Answer [`Reply::key_info`], with the ledger of the caller's key.
    KeyInfo(Caller),
    /// Answer [`Reply::ready`].
    Ready,
    /// Read its body.
    Read(Front),
}

enum Route<'a> {
    Post(Endpoint),
    Models,
    Model(&'a str),
    KeyInfo,
    Alive,
    Ready,
}

/// The client's headers that a provider gets; all others stay here.
const FORWARDED: [&str; 3] = ["traceparent", "tracestate", "x-request-id"];

/// Where a key may stand, first found wins.
///
/// Source: OpenAI, Anthropic, Azure and Google SDKs; the order is LiteLLM's.
const CREDENTIALS: [&str; 5] = ["x-litellm-api-key", "authorization", "x-api-key", "api-key", "x-goog-api-key"];

impl Front {
    /// Looks at the headers of a request.
    pub fn open(config: &Config, headers: &Headers, end_of_stream: bool, now: Millis) -> Opening {
        let (method, path) = (headers.get(":method").unwrap_or_default(), headers.text(":path").unwrap_or_default());
        let route = match route(method, path) {
            Ok(Route::Alive) => return Opening::Answer(None, Reply::json(200, "\"I'm alive!\"")),
            Ok(Route::Ready) => return Opening::Ready,
            Ok(route) => route,
            Err(error) => return Opening::Answer(None, Reply::from(&error)),
        };
        let errors = match route {
            Route::Post(endpoint) => endpoint.errors(),
            _ => Shape::OpenAi,
        };
        let caller = match authenticate(config, headers, now) {
            Ok(caller) => caller,
            Err(error) => return Opening::Answer(None, Reply::error(&error, errors)),
        };
        let answer = |answer: Result<Reply, Error>| {
            Opening::Answer(Some(caller), answer.unwrap_or_else(|error| Reply::error(&error, errors)))
        };
        match route {
            Route::Models => answer(Ok(Reply::models(config, caller))),
            Route::Model(name) => answer(Reply::model(config, caller, name)),
            Route::KeyInfo => Opening::KeyInfo(caller),
            Route::Post(endpoint) => match readable(config, headers, end_of_stream) {
                Err(error) => answer(Err(error)),
                Ok(()) => Opening::Read(Self { endpoint, caller, started: now, originals: originals(headers) }),
            },
            Route::Alive | Route::Ready => answer(Err(Error::new(Kind::Internal, "no such route"))),
        }
    }
}

fn route<'a>(method: &[u8], path: &'a str) -> Result<Route<'a>, Error> {
    let path = path.split('?').next().unwrap_or_default();
    let bare = path.strip_prefix("/v1").filter(|rest| rest.starts_with('/')).unwrap_or(path);
    let route = match bare {
        "/models" => Some((b"GET".as_slice(), Route::Models)),
        "/key/info" => Some((b"GET".as_slice(), Route::KeyInfo)),
        "/health/liveliness" | "/health/liveness" => Some((b"GET".as_slice(), Route::Alive)),
        "/health/readiness" => Some((b"GET".as_slice(), Route::Ready)),
        _ => match Endpoint::ALL.into_iter().find(|endpoint| is_posted(*endpoint) && endpoint.path() == bare) {
            Some(endpoint) => Some((b"POST".as_slice(), Route::Post(endpoint))),
            None => bare.strip_prefix("/models/").map(|name| (b"GET".as_slice(), Route::Model(name))),
        },
    };
    match route {
        Some((expected, route)) if expected == method => Ok(route),
        Some((expected, _)) => {
            let expected = String::from_utf8_lossy(expected);
            Err(Error::new(Kind::UnknownEndpoint, format!("this endpoint takes {expected} only")))
        }
        None => Err(Error::new(Kind::UnknownEndpoint, "no such endpoint")),
    }
}

/// Whether the endpoint takes JSON by POST.
fn is_posted(endpoint: Endpoint) -> bool {
    !endpoint.is_form() && endpoint != Endpoint::Realtime
}

fn authenticate(config: &Config, headers: &Headers, now: Millis) -> Result<Caller, Error> {
    let refuse = |message: &str| Err(Error::new(Kind::InvalidApiKey, message));
    let Some(key) = credential(headers) else {
        return if config.allow_anonymous { Ok(Caller::Anonymous) } else { refuse("no API key was given") };
    };
    let digest: Digest = Sha256::digest(key).into();
    if config.master_key.is_some_and(|master| equal(&master, &digest)) {
        return Ok(Caller::Master);
    }
    let Some(i) = config.keys.iter().position(|key| equal(&key.digest, &digest)) else {
        return if config.allow_anonymous { Ok(Caller::Anonymous) } else { refuse("the API key is not known") };
    };
    match config.keys.get(i) {
        Some(key) if key.blocked => refuse("the API key is blocked"),
        Some(key) if key.expires.is_some_and(|expires| expires <= now) => refuse("the API key has expired"),
        _ => Ok(Caller::Key(i)),
    }
}

fn credential(headers: &Headers) -> Option<&[u8]> {
    CREDENTIALS.iter().find_map(|name| {
        let value = headers.get(name)?.trim_ascii();
        let value = match value.split_first_chunk::<7>() {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"bearer ") => token.trim_ascii(),
            _ => value,
        };
        (!value.is_empty()).then_some(value)
    })
}

/// Compares in a time that does not depend on where two digests differ.
fn equal(a: &Digest, b: &Digest) -> bool {
    std::hint::black_box(a.iter().zip(b).fold(0, |diff, (a, b)| diff | (a ^ b))) == 0
}

fn readable(config: &Config, headers: &Headers, end_of_stream: bool) -> Result<(), Error> {
    let encoding = headers.get("content-encoding").unwrap_or(b"identity");
    if !encoding.is_empty() && !encoding.eq_ignore_ascii_case(b"identity") {
        let message = "compressed request bodies are not supported: send the body without content-encoding";
        return Err(Error::new(Kind::UnsupportedContentEncoding, message));
    }
    if headers.number("content-length").is_some_and(|len| len > config.max_request_bytes) {
        return Err(too_large(config));
    }
    if end_of_stream {
        return Err(Error::new(Kind::InvalidJson, "the body is not valid JSON: it is empty"));
    }
    Ok(())
}

/// The error of a body over the limit.
pub(super) fn too_large(config: &Config) -> Error {
    Error::new(Kind::RequestTooLarge, format!("the body is longer than {} bytes", config.max_request_bytes))
}

fn originals(headers: &Headers) -> Vec<(&'static str, Vec<u8>)> {
    FORWARDED.iter().filter_map(|&name| Some((name, headers.get(name)?.to_vec()))).collect()
}
