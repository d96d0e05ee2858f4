//! Which vendor a path belongs to, and what both have in common: credentials, errors, headers.

use bytes::Bytes;
use hyper::StatusCode;
use hyper::http::request::Parts;

use crate::reply::{Event, Reply};
use crate::script::Script;
use crate::value::{Object, object};
use crate::{anthropic, audio, bedrock, cohere, embeddings, gemini, images, judge, ollama, openai, responses};

/// The operation that the end of a path names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Endpoint {
    ChatCompletions,
    Completions,
    Embeddings,
    ImageGenerations,
    ImageEdits,
    Messages,
    CountTokens,
    Models,
    Moderations,
    Rerank,
    Speech,
    Transcriptions,
    BedrockConverse,
    BedrockInvoke,
    GenerateContent,
    StreamGenerateContent,
    BatchEmbedContents,
    Predict,
    RawPredict,
    CohereChat,
    CohereEmbed,
    CohereRerank,
    OllamaChat,
    OllamaEmbed,
    Responses,
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
            ("/audio/speech", Endpoint::Speech),
            ("/audio/transcriptions", Endpoint::Transcriptions),
            ("/audio/translations", Endpoint::Transcriptions),
            ("/embeddings", Endpoint::Embeddings),
            ("/images/edits", Endpoint::ImageEdits),
            ("/images/generations", Endpoint::ImageGenerations),
            ("/messages", Endpoint::Messages),
            ("/v2/chat", Endpoint::CohereChat),
            ("/v2/embed", Endpoint::CohereEmbed),
            ("/v2/rerank", Endpoint::CohereRerank),
            ("/api/chat", Endpoint::OllamaChat),
            ("/api/embed", Endpoint::OllamaEmbed),
            ("/messages/count_tokens", Endpoint::CountTokens),
            ("/models", Endpoint::Models),
            ("/moderations", Endpoint::Moderations),
            ("/rerank", Endpoint::Rerank),
            ("/converse", Endpoint::BedrockConverse),
            ("/converse-stream", Endpoint::BedrockConverse),
            ("/invoke", Endpoint::BedrockInvoke),
            (":generateContent", Endpoint::GenerateContent),
            (":streamGenerateContent", Endpoint::StreamGenerateContent),
            (":batchEmbedContents", Endpoint::BatchEmbedContents),
            (":predict", Endpoint::Predict),
            (":rawPredict", Endpoint::RawPredict),
            (":streamRawPredict", Endpoint::RawPredict),
            ("/responses", Endpoint::Responses),
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
    let anthropic = matches!(call.endpoint, Endpoint::Messages | Endpoint::CountTokens | Endpoint::RawPredict);
    let google = call.head.uri.path().rsplit('/').next().is_some_and(|last| last.contains(':')) && !anthropic;
    let cohere = matches!(call.endpoint, Endpoint::CohereChat | Endpoint::CohereEmbed | Endpoint::CohereRerank);
    let ollama = matches!(call.endpoint, Endpoint::OllamaChat | Endpoint::OllamaEmbed);
    let result = scripted(call.script).and_then(|()| match call.endpoint {
        Endpoint::ChatCompletions => openai::chat(call),
        Endpoint::Completions => openai::completions(call),
        Endpoint::Embeddings => embeddings::embeddings(call),
        Endpoint::ImageEdits => images::edits(call),
        Endpoint::ImageGenerations => images::generations(call),
        Endpoint::Messages => anthropic::messages(call),
        Endpoint::CountTokens => anthropic::count_tokens(call),
        Endpoint::Models => openai::models(call),
        Endpoint::Moderations => judge::moderations(call),
        Endpoint::Rerank => judge::rerank(call),
        Endpoint::Speech => audio::speech(call),
        Endpoint::Transcriptions => audio::transcriptions(call),
        Endpoint::BedrockConverse => bedrock::converse(call),
        Endpoint::BedrockInvoke => bedrock::invoke(call),
        Endpoint::GenerateContent | Endpoint::StreamGenerateContent => gemini::generate(call),
        Endpoint::BatchEmbedContents | Endpoint::Predict => gemini::embed(call),
        Endpoint::RawPredict => gemini::authenticate(call).and_then(|()| anthropic::messages(call)),
        Endpoint::CohereChat => cohere::chat(call),
        Endpoint::CohereEmbed => cohere::embed(call),
        Endpoint::CohereRerank => cohere::rerank(call),
        Endpoint::OllamaChat => ollama::chat(call),
        Endpoint::OllamaEmbed => ollama::embed(call),
        Endpoint::Responses => responses::responses(call),
    });
    let bedrock = matches!(call.endpoint, Endpoint::BedrockConverse | Endpoint::BedrockInvoke);
    let mut reply = result.unwrap_or_else(|fault| {
        let body = match () {
            () if anthropic => anthropic::error(&fault),
            () if bedrock => bedrock::error(&fault),
            () if cohere => cohere::error(&fault),
            () if google => gemini::error(&fault),
            () if ollama => ollama::error(&fault),
            () => openai::error(&fault),
        };
        Reply::json(StatusCode::from_u16(fault.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), &body)
    });
    let name = match () {
        () if anthropic => "request-id",
        () if bedrock => "x-amzn-requestid",
        () => "x-request-id",
    };
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
