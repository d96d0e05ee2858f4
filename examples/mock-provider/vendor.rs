//! Which vendor a path belongs to, and what both have in common: credentials, errors, headers.

use bytes::Bytes;
use hyper::StatusCode;
use hyper::http::request::Parts;

use crate::reply::{Event, Reply};
use crate::script::Script;
use crate::value::{Object, object};
use crate::{anthropic, embeddings, gemini, openai};

/// The operation that the end of a path names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Endpoint {
    ChatCompletions,
    Completions,
    Embeddings,
    Models,
    Messages,
    GenerateContent,
    StreamGenerateContent,
    BatchEmbedContents,
    Predict,
    RawPredict,
}

/// One request to an endpoint.
pub(crate) struct Call<'a> {
    pub(crate) endpoint: Endpoint,
    pub(crate) head: &'a Parts,
    pub(crate) body: &'a Bytes,
    pub(crate) script: &'a Script,
    /// The number of the answer, part of its id.
    pub(crate) serial: u64,
}

/// An error to be told in the vendor's shape.
pub(crate) struct Fault {
    pub(crate) status: u16,
    pub(crate) code: Option<String>,
    pub(crate) message: String,
}

impl Endpoint {
    /// Reads the endpoint off the end of a path; whatever stands before it is the prefix.
    pub(crate) fn of(path: &str) -> Option<Self> {
        const SUFFIXES: &[(&str, Endpoint)] = &[
            ("/chat/completions", Endpoint::ChatCompletions),
            ("/completions", Endpoint::Completions),
            ("/embeddings", Endpoint::Embeddings),
            ("/models", Endpoint::Models),
            ("/messages", Endpoint::Messages),
            (":generateContent", Endpoint::GenerateContent),
            (":streamGenerateContent", Endpoint::StreamGenerateContent),
            (":batchEmbedContents", Endpoint::BatchEmbedContents),
            (":predict", Endpoint::Predict),
            (":rawPredict", Endpoint::RawPredict),
            (":streamRawPredict", Endpoint::RawPredict),
        ];
        SUFFIXES.iter().find(|(suffix, _)| path.ends_with(suffix)).map(|(_, endpoint)| *endpoint)
    }
}

impl Call<'_> {
    pub(crate) fn has_header(&self, name: &str) -> bool {
        self.head.headers.get(name).is_some_and(|value| !value.is_empty())
    }
}

impl Fault {
    pub(crate) fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, code: None, message: message.into() }
    }
}

/// Answers a call: the scripted error first, then credentials, then the endpoint.
pub(crate) fn answer(call: &Call<'_>) -> Reply {
    let anthropic = matches!(call.endpoint, Endpoint::Messages | Endpoint::RawPredict);
    let google = call.head.uri.path().rsplit('/').next().is_some_and(|last| last.contains(':')) && !anthropic;
    let result = scripted(call.script).and_then(|()| match call.endpoint {
        Endpoint::ChatCompletions => openai::chat(call),
        Endpoint::Completions => openai::completions(call),
        Endpoint::Embeddings => embeddings::embeddings(call),
        Endpoint::Models => openai::models(call),
        Endpoint::Messages => anthropic::messages(call),
        Endpoint::GenerateContent | Endpoint::StreamGenerateContent => gemini::generate(call),
        Endpoint::BatchEmbedContents | Endpoint::Predict => gemini::embed(call),
        Endpoint::RawPredict => gemini::authenticate(call).and_then(|()| anthropic::messages(call)),
    });
    let mut reply = result.unwrap_or_else(|fault| {
        let body = match () {
            () if anthropic => anthropic::error(&fault),
            () if google => gemini::error(&fault),
            () => openai::error(&fault),
        };
        Reply::json(StatusCode::from_u16(fault.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), &body)
    });
    let name = if anthropic { "request-id" } else { "x-request-id" };
    reply.headers.push((name, format!("req_mock_{}", call.serial)));
    reply
}

fn scripted(script: &Script) -> Result<(), Fault> {
    match script.fault.status {
        Some(status) if status != 200 => Err(Fault {
            status,
            code: script.fault.code.clone(),
            message: format!("mock-provider was told to answer {status}"),
        }),
        _ => Ok(()),
    }
}

/// Parses a request body.
pub(crate) fn parse<'a, T: serde::Deserialize<'a>>(body: &'a [u8]) -> Result<T, Fault> {
    serde_json::from_slice(body).map_err(|error| Fault::new(400, format!("We could not parse the body: {error}")))
}

/// An event without a name, as OpenAI sends them.
pub(crate) fn data(value: &Object, content: bool) -> Event {
    Event { bytes: Bytes::from(format!("data: {}\n\n", value.text())), content }
}

/// An event named by its own `type`, as Anthropic sends them.
pub(crate) fn typed(name: &str, members: impl FnOnce(Object) -> Object, content: bool) -> Event {
    let value = members(object! {"type": name});
    Event { bytes: Bytes::from(format!("event: {name}\ndata: {}\n\n", value.text())), content }
}

/// One entry of a model list.
pub(crate) fn model(id: &str) -> Object {
    object! {"id": id, "object": "model", "created": openai::CREATED, "owned_by": "mock"}
}
