//! Cohere's events: `message-start`, blocks of content, the plan, calls, citations, `message-end`.
//!
//! Written after Cohere's "A guide to streaming responses" <https://docs.cohere.com/docs/streaming> and "Streaming for
//! tool use" <https://docs.cohere.com/docs/tool-use-streaming>, both read 2026-11-23 in excerpts.

use bytes::Bytes;

use crate::answer::{self, ARGUMENT_PIECES, ARGUMENTS};
use crate::cohere::{Turn, tool_call};
use crate::reply::{Event, Reply};
use crate::script::Script;
use crate::value::{Object, object};
use crate::vendor::typed;

/// The pieces that a plan or a thought comes in.
const PIECES: usize = 2;

/// Streams a turn.
pub(crate) fn reply(turn: &Turn, script: &Script) -> Reply {
    let start = object! {"message": object! {"role": "assistant", "content": [""; 0], "tool_plan": ""}};
    let mut events = vec![typed("message-start", |event| event.with("id", &turn.id).with("delta", &start), false)];
    if let Some(plan) = turn.plan {
        let pieces = answer::split(plan, PIECES).into_iter();
        events.extend(pieces.map(|piece| said("tool-plan-delta", 0, "tool_plan", &piece, true)));
    }
    let mut blocks = 0;
    if let Some(thinking) = turn.thinking {
        block(&mut events, blocks, "thinking", answer::split(thinking, PIECES));
        blocks += 1;
    }
    if let Some(text) = &turn.text {
        block(&mut events, blocks, "text", answer::chunks(text, script));
    }
    if let Some(citation) = &turn.citation {
        events.push(said("citation-start", 0, "citations", citation, false));
        events.push(typed("citation-end", |event| event.with("index", &0_u64), false));
    }
    for (index, (id, name)) in turn.calls.iter().enumerate() {
        call(&mut events, index, &tool_call(id, name, ""));
    }
    let end = object! {"finish_reason": turn.finish_reason}.with_some("usage", turn.usage.clone());
    events.push(typed("message-end", |event| event.with("id", &turn.id).with("delta", &end), false));
    let broken = object! {"finish_reason": "ERROR", "error": "the model is having a moment"};
    let broken = typed("message-end", |event| event.with("delta", &broken), false).bytes;
    Reply::events(events, Bytes::clone(&broken))
}

fn block(events: &mut Vec<Event>, index: usize, kind: &str, pieces: Vec<String>) {
    let start = object! {"type": kind}.with(kind, "");
    events.push(said("content-start", index, "content", &start, false));
    let delta = |piece: String| said("content-delta", index, "content", &Object::default().with(kind, &piece), true);
    events.extend(pieces.into_iter().map(delta));
    events.push(typed("content-end", |event| event.with("index", &index), false));
}

fn call(events: &mut Vec<Event>, index: usize, start: &Object) {
    events.push(said("tool-call-start", index, "tool_calls", start, false));
    for piece in answer::split(ARGUMENTS, ARGUMENT_PIECES) {
        let delta = object! {"function": object! {"arguments": piece}};
        events.push(said("tool-call-delta", index, "tool_calls", &delta, true));
    }
    events.push(typed("tool-call-end", |event| event.with("index", &index), false));
}

/// An event whose delta has one member of a message.
fn said(name: &str, index: usize, member: &str, value: &(impl crate::value::Json + ?Sized), content: bool) -> Event {
    let message = Object::default().with(member, value);
    let delta = object! {"message": message};
    typed(name, |event| event.with("index", &index).with("delta", &delta), content)
}
