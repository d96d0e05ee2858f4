//! Anthropic's events: `message_start`, per block start, deltas and stop, a `ping`, `message_delta`, `message_stop`.
//!
//! Written from knowledge of Anthropic's "Streaming messages" <https://docs.anthropic.com/en/api/messages-streaming>
//! and compared on 2026-11-23 with streams of the API that users have published; the page itself was not read for it.

use bytes::Bytes;

use crate::answer::{self, ARGUMENT_PIECES};
use crate::anthropic::{self, Block, Turn};
use crate::reply::{Event, Reply};
use crate::script::{Script, ScriptedUsage};
use crate::value::{NULL, Object, object};
use crate::vendor::{Fault, typed};

/// The pieces that a thinking block comes in.
const THINKING_PIECES: usize = 2;

/// Streams a turn.
pub(crate) fn reply(turn: &Turn, script: &Script) -> Reply {
    let mut events = vec![typed("message_start", |event| event.with("message", &start(turn)), false)];
    for (index, block) in turn.blocks.iter().enumerate() {
        block_events(&mut events, index, block, script);
    }
    events.push(typed("message_delta", |event| end(turn, event), false));
    events.push(typed("message_stop", |event| event, false));
    let overloaded = anthropic::error(&Fault::new(529, "Overloaded"));
    Reply::events(events, Bytes::from(format!("event: error\ndata: {}\n\n", overloaded.text())))
}

/// Usage at the start has the whole input, and one output token.
fn start(turn: &Turn) -> Object {
    let usage = turn.usage.map(|usage| ScriptedUsage { completion: 1, ..usage });
    turn.message(&[], NULL, usage)
}

/// Usage at the end is cumulative and tells the input again: adding it to the start would count the input twice.
fn end(turn: &Turn, event: Object) -> Object {
    let usage = turn.usage.map(anthropic::usage_value);
    event.with("delta", &object! {"stop_reason": turn.stop_reason, "stop_sequence": NULL}).with_some("usage", usage)
}

fn block_events(events: &mut Vec<Event>, index: usize, block: &Block, script: &Script) {
    let indexed = |event: Object| event.with("index", &index);
    events.push(typed("content_block_start", |event| indexed(event).with("content_block", &empty(block)), false));
    if index == 0 {
        events.push(typed("ping", |event| event, false));
    }
    for delta in deltas(block, script) {
        events.push(typed("content_block_delta", |event| indexed(event).with("delta", &delta), true));
    }
    events.push(typed("content_block_stop", indexed, false));
}

fn empty(block: &Block) -> Object {
    match block {
        Block::Thinking { .. } => object! {"type": "thinking", "thinking": "", "signature": ""},
        Block::Text(_) => object! {"type": "text", "text": ""},
        Block::ToolUse { id, name, .. } => {
            object! {"type": "tool_use", "id": id, "name": name, "input": Object::default()}
        }
    }
}

fn deltas(block: &Block, script: &Script) -> Vec<Object> {
    match block {
        Block::Thinking { text, signature } => {
            let pieces = answer::split(text, THINKING_PIECES).into_iter();
            let signature = object! {"type": "signature_delta", "signature": signature};
            pieces.map(|piece| object! {"type": "thinking_delta", "thinking": piece}).chain([signature]).collect()
        }
        Block::Text(text) => {
            let pieces = answer::chunks(text, script).into_iter();
            pieces.map(|piece| object! {"type": "text_delta", "text": piece}).collect()
        }
        Block::ToolUse { input, .. } => {
            let pieces = answer::split(input, ARGUMENT_PIECES).into_iter();
            pieces.map(|piece| object! {"type": "input_json_delta", "partial_json": piece}).collect()
        }
    }
}
