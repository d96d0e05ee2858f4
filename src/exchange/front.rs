//! The first look at a request: its endpoint and who asks, before a byte of the body is read.

use sha2::{Digest as _, Sha256};

use super::knobs::KnobHeaders;
use super::reply::model_not_found;
use super::route::{Realtime, Route, route};
use super::spend::Spend;
use super::{Caller, Headers, Reply};
use crate::config::{Config, Digest, equal};
use crate::error::{Error, Kind, Shape};
use crate::openai::{Endpoint, Request};
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
    /// See [`Request::headers`](crate::openai::Request::headers).
    pub(super) language_headers: Vec<(&'static str, String)>,
    pub(super) knobs: KnobHeaders,
    /// The model, where the path names it.
    pub(super) model: Option<String>,
    /// The header of a form, with its boundary.
    pub(super) form: Option<String>,
}

/// What to do with a request after its headers.
#[derive(Debug)]
pub enum Opening {
    /// Answer it at once.
    Answer(Option<Caller>, Reply),
    /// Answer [`Spend::reply`].
    Spend(Caller, Spend),
    /// Answer [`Reply::ready`].
    Ready,
    /// Read its body.
    Read(Front),
    /// Admit it at once: it becomes a WebSocket.
    Upgrade(Front, Box<Request>),
}

/// The client's headers that a provider gets; all others stay here.
const FORWARDED: [&str; 3] = ["traceparent", "tracestate", "x-request-id"];

/// The client's headers that a provider's language reads; none goes upstream but as the language says.
const LANGUAGE_HEADERS: [&str; 2] = ["anthropic-beta", "anthropic-version"];
/// Those of a WebSocket that a provider gets beside them.
///
/// Source: RFC 6455, 4.1; OpenAI's own is `openai-beta`. Not re-read for this.
const FORWARDED_UPGRADE: [&str; 4] =
    ["sec-websocket-key", "sec-websocket-version", "sec-websocket-extensions", "openai-beta"];

/// How a browser, which cannot set headers, says its key among the subprotocols of a WebSocket.
///
/// Source: OpenAI, "Realtime API with WebSocket" <https://platform.openai.com/docs/guides/realtime-websocket>, not
/// re-read for this.
const KEY_PROTOCOL: &[u8] = b"openai-insecure-api-key.";

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
        let errors = match &route {
            Route::Ask(endpoint, _) => endpoint.errors(),
            _ => Shape::OpenAi,
        };
        let caller = match authenticate(config, headers, matches!(route, Route::Realtime(_)), now) {
            Ok(caller) => caller,
            Err(error) => return Opening::Answer(None, Reply::error(&error, errors)),
        };
        let front = |endpoint, model| Self {
            endpoint,
            caller,
            started: now,
            originals: originals(headers, &FORWARDED),
            language_headers: language_headers(headers),
            knobs: KnobHeaders::of(headers),
            model,
            form: None,
        };
        let opening = match route {
            Route::Ask(endpoint, model) => front(endpoint, model).reading(config, headers, end_of_stream),
            Route::Realtime(query) => front(Endpoint::Realtime, None).upgrading(config, headers, query),
            Route::Spend(spend) => Ok(Opening::Spend(caller, spend)),
            other => reply(config, caller, &other).map(|reply| Opening::Answer(Some(caller), reply)),
        };
        opening.unwrap_or_else(|error| Opening::Answer(Some(caller), Reply::error(&error, errors)))
    }

    /// The request has a body.
    fn reading(mut self, config: &Config, headers: &Headers, end_of_stream: bool) -> Result<Opening, Error> {
        readable(config, headers)?;
        let content_type = headers.text("content-type").unwrap_or_default();
        let takes_json = !self.endpoint.is_form() || self.endpoint == Endpoint::ImageEdits;
        if self.endpoint.is_form() && !(takes_json && is_json(content_type)) {
            self.form = Some(content_type.to_owned());
        }
        match (end_of_stream, &self.form) {
            (true, None) => Err(Error::new(Kind::InvalidJson, "the body is not valid JSON: it is empty")),
            (true, Some(_)) => Err(Error::new(Kind::InvalidForm, "the body is not a valid form: it is empty")),
            (false, _) => Ok(Opening::Read(self)),
        }
    }

    /// The request becomes a WebSocket.
    fn upgrading(mut self, config: &Config, headers: &Headers, query: Realtime) -> Result<Opening, Error> {
        if !headers.get("upgrade").is_some_and(|upgrade| upgrade.eq_ignore_ascii_case(b"websocket")) {
            return Err(Error::new(Kind::InvalidValue, "this endpoint is a WebSocket: expected 'upgrade: websocket'"));
        }
        let Some(model) = query.model.filter(|model| !model.is_empty()) else {
            let message = "missing required parameter: 'model', in the query of the path";
            return Err(Error::new(Kind::MissingRequiredParameter, message).with_param("model"));
        };
        if self.caller.resolve(config, &model).is_none() {
            return Err(model_not_found());
        }
        self.originals.extend([("connection", b"Upgrade".to_vec()), ("upgrade", b"websocket".to_vec())]);
        self.originals.extend(originals(headers, &FORWARDED_UPGRADE));
        let protocols: Vec<&[u8]> = protocols(headers).filter(|protocol| !protocol.starts_with(KEY_PROTOCOL)).collect();
        if !protocols.is_empty() {
            self.originals.push(("sec-websocket-protocol", protocols.join(b", ".as_slice())));
        }
        Ok(Opening::Upgrade(self, Box::new(Request::realtime(model, query.rest))))
    }
}

/// The answer to a request that needs no provider.
fn reply(config: &Config, caller: Caller, route: &Route) -> Result<Reply, Error> {
    match route {
        Route::Models => Ok(Reply::models(config, caller)),
        Route::Model(name) => Reply::model(config, caller, name),
        Route::ModelInfo(id) => Reply::model_info(config, caller, id.as_deref()),
        Route::GroupInfo(group) => Reply::group_info(config, caller, group.as_deref()),
        Route::Ask(..) | Route::Realtime(_) | Route::Spend(_) | Route::Alive | Route::Ready => {
            Err(Error::new(Kind::Internal, "no such route"))
        }
    }
}

fn authenticate(config: &Config, headers: &Headers, is_upgrade: bool, now: Millis) -> Result<Caller, Error> {
    let refuse = |message: &str| Err(Error::new(Kind::InvalidApiKey, message));
    let in_protocol = || protocols(headers).find_map(|protocol| protocol.strip_prefix(KEY_PROTOCOL));
    let Some(key) = credential(headers).or_else(|| in_protocol().filter(|_| is_upgrade)) else {
        return if config.allow_anonymous { Ok(Caller::Anonymous) } else { refuse("no API key was given") };
    };
    let digest: Digest = Sha256::digest(key).into();
    if config.master_key.is_some_and(|master| equal(&master, &digest)) {
        return Ok(Caller::Master);
    }
    let Some(i) = config.key_by_digest(&digest) else {
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

/// The subprotocols that a WebSocket's client offers.
fn protocols(headers: &Headers) -> impl Iterator<Item = &[u8]> {
    let lists = headers.iter().filter(|(name, _)| *name == b"sec-websocket-protocol");
    lists.flat_map(|(_, list)| list.split(|byte| *byte == b',')).map(<[u8]>::trim_ascii)
}

fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}

fn readable(config: &Config, headers: &Headers) -> Result<(), Error> {
    let encoding = headers.get("content-encoding").unwrap_or(b"identity");
    if !encoding.is_empty() && !encoding.eq_ignore_ascii_case(b"identity") {
        let message = "compressed request bodies are not supported: send the body without content-encoding";
        return Err(Error::new(Kind::UnsupportedContentEncoding, message));
    }
    if headers.number("content-length").is_some_and(|len| len > config.max_request_bytes) {
        return Err(too_large(config));
    }
    Ok(())
}

/// The error of a body over the limit.
pub(super) fn too_large(config: &Config) -> Error {
    Error::new(Kind::RequestTooLarge, format!("the body is longer than {} bytes", config.max_request_bytes))
}

/// A header that came in several lines is one list.
fn language_headers(headers: &Headers) -> Vec<(&'static str, String)> {
    let value = |name: &str| -> String {
        let lines = headers.iter().filter(|(found, _)| *found == name.as_bytes());
        let texts = lines.filter_map(|(_, value)| std::str::from_utf8(value).ok());
        texts.map(str::trim).filter(|text| !text.is_empty()).collect::<Vec<_>>().join(",")
    };
    LANGUAGE_HEADERS.iter().map(|&name| (name, value(name))).filter(|(_, value)| !value.is_empty()).collect()
}

fn originals(headers: &Headers, names: &[&'static str]) -> Vec<(&'static str, Vec<u8>)> {
    names.iter().filter_map(|&name| Some((name, headers.get(name)?.to_vec()))).collect()
}
