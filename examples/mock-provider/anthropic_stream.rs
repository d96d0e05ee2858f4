//! Anthropic's events: `message_start`, per block start, deltas and stop, a `ping`, `message_delta`, `message_stop`.
//!
//! Source: Anthropic, "Streaming messages" <https://docs.anthropic.com/en/api/messages-streaming>, read 2026-11-23.

use serde_json::{Value, json};

use crate::answer::{self, ARGUMENT_PIECES};
use crate::anthropic::{self, Block, Turn};
use crate::reply::{Event, Reply};
use crate::script::Script;
use crate::value::with;
use crate::vendor::{Fault, typed};

/// The pieces that a thinking block comes in.
const THINKING_PIECES: usize = 2;

/// Streams a turn.
pub(crate) fn reply(turn: &Turn, script: &Script) -> Reply {
    let mut events = vec![typed(&start(turn), false)];
    for (index, block) in turn.blocks.iter().enumerate() {
        block_events(&mut events, index, block, script);
    }
    events.push(typed(&end(turn), false));
    events.push(typed(&json!({"type": "message_stop"}), false));
    let overloaded = Fault::new(529, "Overloaded");
    Reply::events(events, typed(&anthropic::error(&overloaded), false).bytes)
}

/// Usage at the start has the whole input, and one output token.
fn start(turn: &Turn) -> Value {
    let usage = turn.usage.clone().map(|usage| with(usage, "output_tokens", Some(json!(1))));
    json!({"type": "message_start", "message": turn.message(&[], None, usage)})
}

/// Usage at the end is cumulative: only the output has grown.
fn end(turn: &Turn) -> Value {
    let event = json!({"type": "message_delta", "delta": {"stop_reason": turn.stop_reason, "stop_sequence": null}});
    let usage = turn.usage.as_ref().map(|usage| json!({"output_tokens": usage.get("output_tokens")}));
    with(event, "usage", usage)
}

fn block_events(events: &mut Vec<Event>, index: usize, block: &Block, script: &Script) {
    events.push(typed(&json!({"type": "content_block_start", "index": index, "content_block": empty(block)}), false));
    if index == 0 {
        events.push(typed(&json!({"type": "ping"}), false));
    }
    let delta = |delta: Value| json!({"type": "content_block_delta", "index": index, "delta": delta});
    events.extend(deltas(block, script).into_iter().map(|value| typed(&delta(value), true)));
    events.push(typed(&json!({"type": "content_block_stop", "index": index}), false));
}

fn empty(block: &Block) -> Value {
    match block {
        Block::Thinking { .. } => json!({"type": "thinking", "thinking": "", "signature": ""}),
        Block::Text(_) => json!({"type": "text", "text": ""}),
        Block::ToolUse { id, name, .. } => json!({"type": "tool_use", "id": id, "name": name, "input": {}}),
    }
}

fn deltas(block: &Block, script: &Script) -> Vec<Value> {
    match block {
        Block::Thinking { text, signature } => {
            let pieces = answer::split(text, THINKING_PIECES).into_iter();
            let signature = json!({"type": "signature_delta", "signature": signature});
            pieces.map(|piece| json!({"type": "thinking_delta", "thinking": piece})).chain([signature]).collect()
        }
        Block::Text(text) => {
            let pieces = answer::chunks(text, script).into_iter();
            pieces.map(|piece| json!({"type": "text_delta", "text": piece})).collect()
        }
        Block::ToolUse { input, .. } => {
            let pieces = answer::split(input, ARGUMENT_PIECES).into_iter();
            pieces.map(|piece| json!({"type": "input_json_delta", "partial_json": piece})).collect()
        }
    }
}
