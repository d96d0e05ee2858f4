//! Cohere's chat, embeddings, rerank and errors of API v2; the events are in [`crate::cohere_stream`].
//!
//! Written from knowledge of Cohere's "Chat" <https://docs.cohere.com/reference/chat>, "Embed"
//! <https://docs.cohere.com/reference/embed> and "Rerank" <https://docs.cohere.com/reference/rerank>, not read for it;
//! "Errors" <https://docs.cohere.com/reference/errors>, read 2026-11-23.

use hyper::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use crate::answer::{self, ARGUMENTS, Answer, Message, Question};
use crate::reply::Reply;
use crate::value::{Object, object, text_at};
use crate::vendor::{self, Call, Fault};
use crate::{cohere_stream, embeddings, usage};

/// What the model says of the calls that it will make.
const PLAN: &str = "I will look at the weather first.";

#[derive(Deserialize)]
struct ChatRequest {
    #[expect(dead_code, reason = "its presence is what is checked")]
    model: String,
    messages: Vec<Message>,
    #[serde(default)]
    stream: bool,
    #[serde(default)]
    tools: Option<Vec<Value>>,
    tool_choice: Option<String>,
    #[serde(default)]
    documents: Vec<Value>,
    #[serde(default)]
    thinking: Value,
}

#[derive(Deserialize)]
struct EmbedRequest {
    #[expect(dead_code, reason = "its presence is what is checked")]
    model: String,
    texts: Value,
    #[expect(dead_code, reason = "its presence is what is checked")]
    input_type: String,
    #[serde(default)]
    embedding_types: Vec<String>,
    output_dimension: Option<usize>,
}

#[derive(Deserialize)]
struct RerankRequest {
    #[expect(dead_code, reason = "its presence is what is checked")]
    model: String,
    #[expect(dead_code, reason = "its presence is what is checked")]
    query: String,
    documents: Vec<Value>,
    top_n: Option<usize>,
}

/// A whole answer, from which either form is made.
pub(crate) struct Turn {
    pub(crate) id: String,
    pub(crate) thinking: Option<&'static str>,
    pub(crate) text: Option<String>,
    pub(crate) plan: Option<&'static str>,
    /// The ids and names of the calls.
    pub(crate) calls: Vec<(String, String)>,
    pub(crate) citation: Option<Object>,
    pub(crate) finish_reason: String,
    /// `None` with `no-usage`.
    pub(crate) usage: Option<Object>,
}

/// Answers `/v2/chat`.
pub(crate) fn chat(call: &Call<'_>) -> Result<Reply, Fault> {
    authenticate(call)?;
    let request: ChatRequest = vendor::parse(call.body)?;
    let turn = turn(call, &request);
    Ok(if request.stream { cohere_stream::reply(&turn, call.script) } else { turn.reply() })
}

/// Answers `/v2/embed`.
pub(crate) fn embed(call: &Call<'_>) -> Result<Reply, Fault> {
    authenticate(call)?;
    let request: EmbedRequest = vendor::parse(call.body)?;
    let vectors = embeddings::vectors(&request.texts, request.output_dimension);
    let by_type = match request.embedding_types.iter().any(|kind| kind == "base64") {
        true => object! {"base64": vectors.iter().map(|vector| embeddings::encode(vector)).collect::<Vec<_>>()},
        false => object! {"float": vectors},
    };
    let prompt = usage::count(call.script, call.body.len(), "").prompt;
    let meta = object! {"api_version": object! {"version": "2"}, "billed_units": object! {"input_tokens": prompt}};
    let body = object! {"id": format!("embed-mock-{}", call.serial), "embeddings": by_type, "meta": meta};
    Ok(Reply::json(StatusCode::OK, &body.with("response_type", "embeddings_by_type")))
}

/// Answers `/v2/rerank`: the last document is the best.
pub(crate) fn rerank(call: &Call<'_>) -> Result<Reply, Fault> {
    authenticate(call)?;
    let request: RerankRequest = vendor::parse(call.body)?;
    let count = request.documents.len();
    let results: Vec<Object> = (0..count)
        .rev()
        .take(request.top_n.unwrap_or(count))
        .map(|index| object! {"index": index, "relevance_score": (index + 1) as f32 / (count + 1) as f32})
        .collect();
    let units = object! {"search_units": 1_u64};
    let meta = object! {"api_version": object! {"version": "2"}, "billed_units": units};
    let body = object! {"id": format!("rerank-mock-{}", call.serial), "results": results, "meta": meta};
    Ok(Reply::json(StatusCode::OK, &body))
}

/// An error body: `{"id":…,"message":…}`.
pub(crate) fn error(fault: &Fault) -> Object {
    let message = match fault.code.as_deref() {
        Some("context_length_exceeded") => {
            "too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 4292."
        }
        Some("content_filter") => "blocked output: a word on the list",
        _ => &fault.message,
    };
    object! {"id": "error-mock", "message": message}
}

fn authenticate(call: &Call<'_>) -> Result<(), Fault> {
    let key = call.head.headers.get("authorization").and_then(|value| value.to_str().ok());
    match key.is_some_and(|key| key.starts_with("Bearer ")) {
        true => Ok(()),
        false => Err(Fault::new(401, "no api key supplied")),
    }
}

fn turn(call: &Call<'_>, request: &ChatRequest) -> Turn {
    let answer = answer::answer(&question(request), call.script);
    let finish_reason = match (call.script.fault.finish.as_deref(), &answer) {
        (Some("length"), _) => "MAX_TOKENS",
        (Some(other), _) => other,
        (None, Answer::Text(_)) => "COMPLETE",
        (None, Answer::Calls(_)) => "TOOL_CALL",
    };
    let usage = (!call.script.shape.no_usage).then(|| usage::count(call.script, call.body.len(), &answer.words()));
    let usage = usage.map(|usage| {
        let counts = |extra| object! {"input_tokens": usage.prompt + extra, "output_tokens": usage.completion};
        // Cohere charges for less than the model reads.
        object! {"billed_units": counts(0), "tokens": counts(66)}
    });
    let (text, calls) = match answer {
        Answer::Text(text) => (Some(text), Vec::new()),
        Answer::Calls(names) => {
            let named = |(i, name): (usize, String)| (format!("{name}_mock{i}"), name);
            (None, names.into_iter().enumerate().map(named).collect())
        }
    };
    Turn {
        id: format!("chat-mock-{}", call.serial),
        thinking: (text_at(&request.thinking, "/type") == Some("enabled")).then_some("The same calm words will do."),
        plan: text.is_none().then_some(PLAN),
        citation: text.as_ref().filter(|_| !request.documents.is_empty()).map(|_| citation()),
        text,
        calls,
        finish_reason: finish_reason.to_owned(),
        usage,
    }
}

fn citation() -> Object {
    let document = object! {"id": "doc:0", "title": "The mock", "snippet": "calm words"};
    let source = object! {"type": "document", "id": "doc:0", "document": document};
    object! {"start": 4_u64, "end": 8_u64, "text": "mock", "sources": [source], "type": "TEXT_CONTENT"}
}

fn question(request: &ChatRequest) -> Question<'_> {
    let tools = request.tools.as_deref().unwrap_or_default();
    Question {
        tools: tools.iter().filter_map(|tool| text_at(tool, "/function/name")).collect(),
        may_call: request.tool_choice.as_deref() != Some("NONE"),
        must_call: request.tool_choice.as_deref() == Some("REQUIRED"),
        named: None,
        user_text: answer::user_text(&request.messages),
    }
}

/// A call, with its arguments or the first of them.
pub(crate) fn tool_call(id: &str, name: &str, arguments: &str) -> Object {
    let function = object! {"name": name, "arguments": arguments};
    object! {"id": id, "type": "function", "function": function}
}

impl Turn {
    fn reply(&self) -> Reply {
        let mut content = Vec::new();
        content.extend(self.thinking.map(|thinking| object! {"type": "thinking", "thinking": thinking}));
        content.extend(self.text.as_ref().map(|text| object! {"type": "text", "text": text}));
        let calls: Vec<Object> = self.calls.iter().map(|(id, name)| tool_call(id, name, ARGUMENTS)).collect();
        let message = object! {"role": "assistant"}
            .with_some("content", (!content.is_empty()).then_some(content))
            .with_some("tool_plan", self.plan)
            .with_some("tool_calls", (!calls.is_empty()).then_some(calls))
            .with_some("citations", self.citation.clone().map(|citation| [citation]));
        let body = object! {"id": self.id, "finish_reason": self.finish_reason, "message": message};
        Reply::json(StatusCode::OK, &body.with_some("usage", self.usage.clone()))
    }
}
