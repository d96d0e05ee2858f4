//! A response without its output: who answers what, and how it was asked.

use serde_json::value::RawValue;

use super::chat::Completion;
use super::item::put;
use crate::json::{Literal, Shape};
use crate::openai::Request;
use crate::openai::chat::Raw;
use crate::openai::usage::ResponseWire;
use crate::provider::chunks::ID_PREFIX;

/// What an answer says again of its request, and what stands for what the request does not say. `store` is not among
/// them: nothing is stored.
const ECHOED: &[(&str, &str)] = &[
    ("instructions", "null"),
    ("max_output_tokens", "null"),
    ("max_tool_calls", "null"),
    ("metadata", "{}"),
    ("parallel_tool_calls", "true"),
    ("prompt_cache_key", "null"),
    ("reasoning", r#"{"effort":null,"summary":null}"#),
    ("safety_identifier", "null"),
    ("temperature", "null"),
    ("text", r#"{"format":{"type":"text"}}"#),
    ("tool_choice", "\"auto\""),
    ("tools", "[]"),
    ("top_logprobs", "0"),
    ("top_p", "null"),
    ("truncation", "\"disabled\""),
    ("user", "null"),
];

/// The longest id of a chat completion that ours are made of: every event repeats one.
const MAX_ID_BYTES: usize = 256;

/// See the module.
#[derive(Debug)]
pub(super) struct Shell {
    created_at: u64,
    /// What the ids end with, as it is written between quotes.
    id: Vec<u8>,
    /// A JSON string.
    model: Vec<u8>,
    /// A JSON value.
    service_tier: Vec<u8>,
    /// All members from the request, each with a comma before it.
    echo: Vec<u8>,
}

/// How far a response has come.
#[derive(Clone, Copy, Debug)]
pub(super) enum State<'a> {
    InProgress,
    Completed,
    /// `max_output_tokens` or `content_filter`.
    Incomplete(&'static str),
    /// Code and message, as they are written between quotes.
    Failed(&'a [u8], &'a [u8]),
}

impl State<'_> {
    /// `status`
    pub(super) fn status(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Incomplete(_) => "incomplete",
            Self::Failed(..) => "failed",
        }
    }

    /// The state of an answer that ended for this reason.
    pub(super) fn of(finish_reason: &str) -> Self {
        match finish_reason {
            "length" => Self::Incomplete("max_output_tokens"),
            "content_filter" => Self::Incomplete("content_filter"),
            _ => Self::Completed,
        }
    }
}

impl Shell {
    /// The shell of the answer to `client`.
    pub(super) fn new(client: &Request, now_secs: u64) -> Self {
        let mut echo = Vec::new();
        for (name, default) in ECHOED {
            let given = client.index.get(name).filter(|member| member.shape != Shape::Null);
            let value = given.and_then(|member| client.body.get(member.value.clone())).unwrap_or(default.as_bytes());
            put(&mut echo, &[b",\"", name.as_bytes(), b"\":", value]);
        }
        // Writing a string to memory cannot fail.
        let model = serde_json::to_vec(&client.model).unwrap_or_default();
        Self { created_at: now_secs, id: Vec::new(), model, service_tier: b"null".to_vec(), echo }
    }

    /// Takes what a completion, or the first chunk of one, says of itself.
    pub(super) fn name(&mut self, completion: &Completion<'_>) {
        self.created_at = completion.created().unwrap_or(self.created_at);
        let id = completion.id.and_then(Literal::new).map(Literal::inner);
        let id = id.map(|id| id.strip_prefix(ID_PREFIX).unwrap_or(id));
        let id = id.filter(|id| (1..=MAX_ID_BYTES).contains(&id.len()));
        self.id = id.map_or_else(|| self.created_at.to_string().into_bytes(), |id| id.as_bytes().to_vec());
        if let Some(model) = string(completion.model) {
            self.model = model.as_bytes().to_vec();
        }
        if let Some(tier) = string(completion.service_tier) {
            self.service_tier = tier.as_bytes().to_vec();
        }
    }

    /// The id of item number `index`, as it is written between quotes.
    pub(super) fn item_id(&self, prefix: &str, index: u64) -> Vec<u8> {
        [prefix.as_bytes(), b"_", &self.id, b"_", index.to_string().as_bytes()].concat()
    }

    /// Writes the response; the items of `output` are complete.
    pub(super) fn write(&self, state: State<'_>, output: &[&[u8]], usage: Option<&ResponseWire>, out: &mut Vec<u8>) {
        put(out, &[b"{\"id\":\"resp_", &self.id, b"\",\"object\":\"response\",\"created_at\":"]);
        put(out, &[self.created_at.to_string().as_bytes(), b",\"status\":\"", state.status().as_bytes()]);
        put(out, &[b"\",\"background\":false,\"error\":"]);
        match state {
            State::Failed(code, message) => {
                put(out, &[b"{\"code\":\"", code, b"\",\"message\":\"", message, b"\"}"]);
            }
            _ => put(out, &[b"null"]),
        }
        put(out, &[b",\"incomplete_details\":"]);
        match state {
            State::Incomplete(reason) => put(out, &[b"{\"reason\":\"", reason.as_bytes(), b"\"}"]),
            _ => put(out, &[b"null"]),
        }
        put(out, &[b",\"model\":", &self.model, b",\"output\":[", &output.join(&b','), b"]"]);
        put(
            out,
            &[&self.echo, b",\"previous_response_id\":null,\"store\":false,\"service_tier\":", &self.service_tier],
        );
        put(out, &[b",\"usage\":"]);
        // Writing to memory cannot fail.
        let _written = serde_json::to_writer(&mut *out, &usage);
        out.push(b'}');
    }
}

/// A string that says something, quotes included.
fn string(raw: Raw<'_>) -> Option<&str> {
    raw.map(RawValue::get).filter(|text| text.len() > 2 && text.starts_with('"'))
}
