//! The first look at a request: its endpoint and who asks, before a byte of the body is read.

use super::auth::{KEY_PROTOCOL, Scene, authenticate, protocols};
use super::knobs::KnobHeaders;
use super::order::Order;
use super::reply::model_not_found;
use super::route::{Realtime, Route, route};
use super::spend::Spend;
use super::{Caller, Headers, Reply};
use crate::config::Config;
use crate::error::{Error, Kind, Shape};
use crate::openai::{Endpoint, Request};
use crate::store::Store;
use crate::telemetry::Record;
use crate::units::Millis;

/// A request that may be read.
#[derive(Debug)]
pub struct Front {
    /// What is asked for.
    pub endpoint: Endpoint,
    /// Who asks.
    pub caller: Caller,
    /// Whom Envoy has verified, where no key says which user that is.
    pub user: Option<String>,
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
    /// Read its body, and do as it says: see [`Order::obey`]. The holder of the master key sends it.
    Order(Order),
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

impl Front {
    /// Looks at the headers of a request.
    pub fn open(config: &Config, headers: &Headers, end_of_stream: bool, scene: &Scene<'_, impl Store>) -> Opening {
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
        let (caller, user) = match authenticate(config, headers, matches!(route, Route::Realtime(_)), scene) {
            Ok(found) => found,
            Err(error) => return Opening::Answer(None, Reply::error(&error, errors)),
        };
        let front = |endpoint, model| Self {
            endpoint,
            caller,
            user,
            started: scene.now,
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
            Route::Order(order) => order.open(config, caller, headers, end_of_stream),
            other => reply(config, caller, &other).map(|reply| Opening::Answer(Some(caller), reply)),
        };
        opening.unwrap_or_else(|error| Opening::Answer(Some(caller), Reply::error(&error, errors)))
    }

    /// A record that knows who asked, and no more.
    pub fn record(&self, config: &Config) -> Record {
        Record::of_caller(config, self.caller).with_user(self.user.as_deref())
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
        Route::Ask(..) | Route::Realtime(_) | Route::Spend(_) | Route::Order(_) | Route::Alive | Route::Ready => {
            Err(Error::new(Kind::Internal, "no such route"))
        }
    }
}

fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}

pub(super) fn readable(config: &Config, headers: &Headers) -> Result<(), Error> {
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
