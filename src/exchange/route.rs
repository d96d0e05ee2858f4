//! What a method and a path ask for.
//!
//! Every endpoint is there with and without `/v1`, and under `/openai`, where Azure's clients look for it. A model in
//! the path (`/openai/deployments/{model}/...`, `/engines/{model}/...`, `/models/{id}`) may hold slashes, written out or
//! percent-encoded.

use url::form_urlencoded;

use super::order::{Named, Order};
use super::reply::model_not_found;
use super::spend::Spend;
use crate::budget::Scope;
use crate::error::{Error, Kind};
use crate::openai::Endpoint;

/// What a request is for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// A model is asked; the path may name it.
    Ask(Endpoint, Option<String>),
    /// A WebSocket to a model.
    Realtime(Realtime),
    /// `GET /v1/models`
    Models,
    /// `GET /v1/models/{id}`
    Model(String),
    /// `GET /v1/model/info`, perhaps of one deployment only.
    ModelInfo(Option<String>),
    /// `GET /model_group/info`, perhaps of one group only.
    GroupInfo(Option<String>),
    /// `GET /key/info`, `/spend`, ...
    Spend(Spend),
    /// `POST /key/block`, ...
    Order(Order),
    /// `GET /health/liveliness`
    Alive,
    /// `GET /health/readiness`
    Ready,
}

/// The query of a WebSocket's path.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Realtime {
    /// `model`, or Azure's `deployment`.
    pub(super) model: Option<String>,
    /// All parameters but those that name the model, the version of Azure's API, or a key.
    pub(super) rest: String,
}

const GET: &str = "GET";
const POST: &str = "POST";

/// Reads `:method` and `:path`.
///
/// # Errors
///
/// `UnknownEndpoint`, and `ModelNotFound` where a model's name in the path is no text.
pub(super) fn route(method: &[u8], path: &str) -> Result<Route, Error> {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let Some((expected, route)) = known(path, query)? else {
        return Err(Error::new(Kind::UnknownEndpoint, "no such endpoint"));
    };
    if expected.as_bytes() == method {
        Ok(route)
    } else {
        Err(Error::new(Kind::UnknownEndpoint, format!("this endpoint takes {expected} only")))
    }
}

fn known(path: &str, query: &str) -> Result<Option<(&'static str, Route)>, Error> {
    let azure = below(path, "/openai");
    let rest = azure.unwrap_or(path);
    let bare = below(rest, "/v1").unwrap_or(rest);
    let route = match bare {
        "/models" => (GET, Route::Models),
        "/model/info" => (GET, Route::ModelInfo(parameter(query, "litellm_model_id"))),
        "/model_group/info" => (GET, Route::GroupInfo(parameter(query, "model_group"))),
        "/key/info" => (GET, Route::Spend(Spend::Key(key(query)))),
        "/key/block" => (POST, Route::Order(Order::Block)),
        "/key/unblock" => (POST, Route::Order(Order::Unblock)),
        "/team/info" => (GET, Route::Spend(Spend::One(Scope::Team, parameter(query, "team_id")))),
        "/user/info" => (GET, Route::Spend(Spend::One(Scope::User, parameter(query, "user_id")))),
        "/spend" => (GET, Route::Spend(Spend::All)),
        "/spend/keys" => (GET, Route::Spend(Spend::List(Scope::Key))),
        "/spend/teams" => (GET, Route::Spend(Spend::List(Scope::Team))),
        "/spend/users" => (GET, Route::Spend(Spend::List(Scope::User))),
        "/customer/info" => (GET, Route::Spend(Spend::One(Scope::EndUser, parameter(query, "end_user_id")))),
        "/spend/tags" => (GET, Route::Spend(Spend::List(Scope::Tag))),
        "/spend/end_users" => (GET, Route::Spend(Spend::List(Scope::EndUser))),
        "/spend/providers" => (GET, Route::Spend(Spend::List(Scope::Provider))),
        "/spend/deployments" => (GET, Route::Spend(Spend::List(Scope::Deployment))),
        "/global/spend" => (GET, Route::Spend(Spend::Global)),
        "/health/liveliness" | "/health/liveness" => (GET, Route::Alive),
        "/health/readiness" => (GET, Route::Ready),
        "/realtime" => (GET, Route::Realtime(Realtime::of(query))),
        "/v2/rerank" => (POST, Route::Ask(Endpoint::Rerank, None)),
        _ => {
            if let Some(alias) = bare.strip_prefix("/key/").and_then(|rest| rest.strip_suffix("/reset_spend")) {
                return Ok(Some((POST, Route::Order(Order::Reset(Named::by_alias(decoded(alias)?))))));
            }
            let named = azure.and(bare.strip_prefix("/deployments/")).or_else(|| bare.strip_prefix("/engines/"));
            return match (named, bare.strip_prefix("/models/")) {
                (Some(named), _) => of_model(named),
                (None, Some(id)) if !id.is_empty() => Ok(Some((GET, Route::Model(decoded(id)?)))),
                (None, _) => Ok(posted(bare).map(|endpoint| (POST, Route::Ask(endpoint, None)))),
            };
        }
    };
    Ok(Some(route))
}

/// `{model}/chat/completions`, and the like.
fn of_model(named: &str) -> Result<Option<(&'static str, Route)>, Error> {
    // `/chat/completions` ends in `/completions` too: the longest ending leaves the model's own name.
    let split = |endpoint| Some((endpoint, named.strip_suffix(Endpoint::path(endpoint))?));
    let found = Endpoint::ALL.into_iter().filter(is_posted).filter_map(split).min_by_key(|(_, model)| model.len());
    match found.filter(|(_, model)| !model.is_empty()) {
        Some((endpoint, model)) => Ok(Some((POST, Route::Ask(endpoint, Some(decoded(model)?))))),
        None => Ok(None),
    }
}

fn posted(path: &str) -> Option<Endpoint> {
    Endpoint::ALL.into_iter().filter(is_posted).find(|endpoint| endpoint.path() == path)
}

fn is_posted(endpoint: &Endpoint) -> bool {
    *endpoint != Endpoint::Realtime
}

/// What follows `prefix`, where that is a whole part of `path`.
fn below<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    path.strip_prefix(prefix).filter(|rest| rest.starts_with('/'))
}

fn parameter(query: &str, name: &str) -> Option<String> {
    let mut found = form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == name);
    found.next().map(|(_, value)| value.into_owned())
}

/// The key that a query names.
fn key(query: &str) -> Option<Named> {
    let alias = || parameter(query, "key_alias").map(Named::Alias);
    parameter(query, "key").map(|key| Named::by_key(&key)).or_else(alias)
}

/// A part of a path without its percent-encoding.
fn decoded(text: &str) -> Result<String, Error> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first != b'%' {
            bytes.push(first);
            continue;
        }
        let (digits, after) = rest.split_first_chunk::<2>().ok_or_else(model_not_found)?;
        let [high, low] = digits.map(|digit| char::from(digit).to_digit(16));
        let byte = high.zip(low).and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
        bytes.push(byte.ok_or_else(model_not_found)?);
        rest = after;
    }
    String::from_utf8(bytes).map_err(|_| model_not_found())
}

/// Parameters that are ours to write.
const OURS: [&str; 6] = ["model", "deployment", "api-version", "api_key", "api-key", "key"];

impl Realtime {
    fn of(query: &str) -> Self {
        let model = ["model", "deployment"].into_iter().find_map(|name| parameter(query, name));
        let rest = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| !OURS.contains(&name.as_ref()));
        let rest = form_urlencoded::Serializer::new(String::new()).extend_pairs(rest).finish();
        Self { model, rest }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn ask(endpoint: Endpoint, model: &str) -> Option<Route> {
        Some(Route::Ask(endpoint, Some(model).filter(|model| !model.is_empty()).map(str::to_owned)))
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn every_endpoint_has_its_paths() {
        for endpoint in Endpoint::ALL.into_iter().filter(is_posted) {
            for prefix in ["", "/v1", "/openai", "/openai/v1"] {
                let path = format!("{prefix}{}", endpoint.path());
                assert_eq!(route(b"POST", &path).ok(), ask(endpoint, ""), "{path}");
                assert_eq!(route(b"GET", &path).unwrap_err().kind, Kind::UnknownEndpoint, "{path}");
            }
            for prefix in ["/openai/deployments/", "/engines/", "/v1/engines/"] {
                let path = format!("{prefix}meta%2Fllama:8b%20x{}?api-version=2024-10-21", endpoint.path());
                assert_eq!(route(b"POST", &path).ok(), ask(endpoint, "meta/llama:8b x"), "{path}");
            }
        }
        assert_eq!(route(b"POST", "/v2/rerank").ok(), ask(Endpoint::Rerank, ""));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn names_in_paths_are_whole() {
        let path = "/openai/deployments/a/b/chat/completions";
        assert_eq!(route(b"POST", path).ok(), ask(Endpoint::ChatCompletions, "a/b"));
        assert_eq!(route(b"POST", "/engines/chat/completions").ok(), ask(Endpoint::Completions, "chat"));
        for (path, model) in [("/v1/models/a/b", "a/b"), ("/models/a%2fb", "a/b"), ("/models/%C3%A9%25", "é%")] {
            assert_eq!(route(b"GET", path).ok(), Some(Route::Model(model.to_owned())), "{path}");
        }
        for path in ["/v1/models/%", "/v1/models/%f", "/v1/models/%zz", "/v1/models/%ff"] {
            assert_eq!(route(b"GET", path).unwrap_err().kind, Kind::ModelNotFound, "{path}");
        }
        for path in ["/", "", "/v1", "/openai", "/v1/v1/models", "/v1/models/", "/deployments/a/embeddings"] {
            assert_eq!(route(b"GET", path).unwrap_err().kind, Kind::UnknownEndpoint, "{path}");
        }
        for path in ["/engines//embeddings", "/engines/a", "/openai/deployments/embeddings", "/v1/realtimes"] {
            assert_eq!(route(b"POST", path).unwrap_err().kind, Kind::UnknownEndpoint, "{path}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_websockets_query_loses_the_model_and_every_key() {
        let query = "model=a%2Fb&intent=transcription&key=sk&api-version=1&x=%20";
        let expected = Realtime { model: Some("a/b".to_owned()), rest: "intent=transcription&x=+".to_owned() };
        assert_eq!(route(b"GET", &format!("/v1/realtime?{query}")).ok(), Some(Route::Realtime(expected)));
        let expected = Realtime { model: Some("d".to_owned()), rest: String::new() };
        assert_eq!(route(b"GET", "/openai/realtime?deployment=d").ok(), Some(Route::Realtime(expected)));
    }
}
