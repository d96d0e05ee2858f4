//! Pieces of `chat.completion.chunk` objects.

use serde::Serialize;

use crate::json::Text;
use crate::openai::chat::{CallDelta, Called, Delta, ThinkingDelta};

use super::super::response::ID_PREFIX;

/// The beginning of every chunk: `data: {"id":…,"object":…,"created":…,"model":…,`.
pub(super) fn head(id: &str, created: u64, model: &str) -> Vec<u8> {
    #[derive(Serialize)]
    struct Head<'a> {
        id: String,
        object: &'static str,
        created: u64,
        model: &'a str,
    }
    let mut head = b"data: ".to_vec();
    write(&Head { id: format!("{ID_PREFIX}{id}"), object: "chat.completion.chunk", created, model }, &mut head);
    head.pop();
    head.push(b',');
    head
}

/// Writing to memory cannot fail, and none of our types refuses to be written.
pub(super) fn write(value: &impl Serialize, out: &mut Vec<u8>) {
    let _written = serde_json::to_writer(out, value);
}

pub(super) fn piece<'a>(thinking: Text<'a>, signature: Option<Text<'a>>) -> ThinkingDelta<'a> {
    ThinkingDelta::Piece { type_: "thinking", thinking, signature }
}

pub(super) fn thought(piece: ThinkingDelta<'_>) -> Delta<'_> {
    Delta { thinking_blocks: Some([piece]), ..Delta::default() }
}

pub(super) fn content(text: Text<'_>) -> Delta<'_> {
    Delta { content: Some(text), ..Delta::default() }
}

pub(super) fn call(call: CallDelta<'_>) -> Delta<'_> {
    Delta { tool_calls: Some([call]), ..Delta::default() }
}

pub(super) fn arguments(index: u32, arguments: Text<'_>) -> Delta<'_> {
    call(CallDelta { index, id: None, type_: None, function: Called { name: None, arguments } })
}

pub(super) fn redacted(data: Text<'_>) -> Delta<'_> {
    thought(ThinkingDelta::Redacted { type_: "redacted_thinking", data })
}
