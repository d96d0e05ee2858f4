//! The chunks of a chat completion as the events of a response.
//!
//! One reasoning item and one message are open at a time, and all calls, since their pieces may come in any order.
//! Every event has its number; the items are numbered as they begin.

mod closing;
mod sequence;

use serde_json::value::RawValue;

use self::sequence::{Place, Sequence};
use super::chat::{Call, Completion, Said};
use super::item::{self, Item, PartKind, put};
use super::response::{begun, custom_names, grow};
use super::shell::{Shell, State};
use crate::bridge::Events;
use crate::error::{Error, Kind};
use crate::json::Literal;
use crate::openai::Request;
use crate::openai::usage::ResponseWire;

/// The longest answer that the last event can repeat: twice what an answer of a million tokens takes.
const MAX_KEPT_BYTES: usize = 8 << 20;
/// The most items of one answer, each of which takes more than its text.
const MAX_ITEMS: u64 = 4096;

/// See the module.
#[derive(Debug)]
pub(super) struct Machine {
    shell: Shell,
    /// The names of the custom tools.
    custom: Vec<String>,
    phase: Phase,
    sequence: Sequence,
    open: Vec<Open>,
    /// Items with their numbers, as they are written.
    finished: Vec<(u64, Vec<u8>)>,
    /// How many items have begun.
    begun: u64,
    finish_reason: String,
    usage: Option<ResponseWire>,
    /// How much is kept for the last event.
    kept_bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Awaited,
    InProgress,
    Ended,
}

/// An item that has begun and not ended.
#[derive(Debug)]
struct Open {
    index: u64,
    id: Vec<u8>,
    /// The number of the call in the chat completion.
    call: Option<u64>,
    item: Item,
}

impl Open {
    fn place(&self, part: Option<(&'static str, usize)>) -> Place<'_> {
        Place { id: &self.id, index: self.index, part }
    }
}

impl Machine {
    pub(super) fn new(client: &Request, now_secs: u64) -> Self {
        Self {
            shell: Shell::new(client, now_secs),
            custom: custom_names(client),
            phase: Phase::Awaited,
            sequence: Sequence::default(),
            open: Vec::new(),
            finished: Vec::new(),
            begun: 0,
            finish_reason: String::new(),
            usage: None,
            kept_bytes: 0,
        }
    }

    fn begin(&mut self, first: &Completion<'_>, out: &mut Vec<u8>) {
        if self.phase != Phase::Awaited {
            return;
        }
        self.phase = Phase::InProgress;
        self.shell.name(first);
        for name in ["response.created", "response.in_progress"] {
            let Self { sequence, shell, .. } = self;
            sequence.event(name, out, |out| {
                put(out, &[b",\"response\":"]);
                shell.write(State::InProgress, &[], None, out);
            });
        }
    }

    /// Takes what a chunk adds.
    fn add(&mut self, said: &Said<'_>, logprobs: &[&RawValue], out: &mut Vec<u8>) {
        self.think(said, out);
        for text in said.content() {
            self.text(text, logprobs, out);
        }
        if let Some(refusal) = said.refusal() {
            self.refuse(refusal, out);
        }
        for raw in said.annotations() {
            self.annotate(&item::annotation(raw), out);
        }
        for call in said.calls() {
            self.call(&call, out);
        }
        for data in said.images() {
            self.close_all(|open| open.call.is_none(), out);
            self.kept_bytes += data.len();
            self.start(Item::Image(item::quoted(&data)), None, out);
            self.close_all(|open| matches!(open.item, Item::Image(_)), out);
        }
        if let (Some(fields), Some(Open { item: Item::Message(message), .. })) =
            (said.provider_specific_fields, self.open.iter_mut().find(|open| is_message(open)))
        {
            message.provider_specific_fields = fields.get().as_bytes().to_vec();
        }
    }

    fn think(&mut self, said: &Said<'_>, out: &mut Vec<u8>) {
        let blocks = said.thinking_blocks();
        if blocks.is_empty()
            && let Some(text) = said.reasoning()
        {
            return self.thought(Some(text), None, out);
        }
        for block in blocks {
            let [thinking, signature, data] = [block.thinking, block.signature, block.data]
                .map(|raw| raw.and_then(Literal::new).filter(|text| !text.inner().is_empty()));
            if let Some(data) = data {
                self.close_all(|open| open.call.is_none(), out);
                let redacted = data.inner().as_bytes().to_vec();
                self.kept_bytes += redacted.len();
                self.start(Item::Reasoning(item::Reasoning { redacted, ..item::Reasoning::default() }), None, out);
            } else if thinking.is_some() || signature.is_some() {
                self.thought(thinking, signature, out);
            }
        }
    }

    /// Takes a piece of a readable block of reasoning. A text that follows a seal begins another block.
    fn thought(&mut self, text: Option<Literal<'_>>, signature: Option<Literal<'_>>, out: &mut Vec<u8>) {
        let goes_on = |open: &Open| match &open.item {
            Item::Reasoning(block) => block.redacted.is_empty() && (text.is_none() || block.signature.is_empty()),
            _ => false,
        };
        if !self.open.iter().any(goes_on) {
            self.close_all(|open| open.call.is_none(), out);
            self.start(Item::Reasoning(item::Reasoning::default()), None, out);
        }
        let Self { open, sequence, kept_bytes, .. } = self;
        let Some(open) = open.iter_mut().find(|open| goes_on(open)) else { return };
        let Open { index, id, item: Item::Reasoning(block), .. } = open else { return };
        let place = Place { id, index: *index, part: Some(("summary_index", 0)) };
        if let Some(text) = text.map(|text| text.inner().as_bytes()) {
            if block.text.is_empty() {
                let part = b",\"part\":{\"type\":\"summary_text\",\"text\":\"\"}";
                sequence.part_event("response.reasoning_summary_part.added", place, out, &[part]);
            }
            block.text.extend_from_slice(text);
            *kept_bytes += text.len();
            let members: [&[u8]; 3] = [b",\"delta\":\"", text, b"\""];
            sequence.part_event("response.reasoning_summary_text.delta", place, out, &members);
        }
        if let Some(signature) = signature.map(|signature| signature.inner().as_bytes()) {
            block.signature.extend_from_slice(signature);
            *kept_bytes += signature.len();
        }
    }

    fn text(&mut self, text: Literal<'_>, logprobs: &[&RawValue], out: &mut Vec<u8>) {
        self.open_part(PartKind::Text, out);
        let Self { open, sequence, kept_bytes, .. } = self;
        let Some(Open { index, id, item: Item::Message(message), .. }) = open.iter_mut().find(|open| is_message(open))
        else {
            return;
        };
        let text = text.inner().as_bytes();
        message.text().0.extend_from_slice(text);
        *kept_bytes += text.len();
        let mut probable = item::List::default();
        for raw in logprobs {
            probable.push(raw.get().as_bytes());
            message.logprobs.push(raw.get().as_bytes());
        }
        *kept_bytes += probable.text.len();
        let place = Place { id, index: *index, part: Some(("content_index", message.index_of(PartKind::Text))) };
        let members: [&[u8]; 5] = [b",\"delta\":\"", text, b"\",\"logprobs\":[", &probable.text, b"]"];
        sequence.part_event("response.output_text.delta", place, out, &members);
    }

    fn refuse(&mut self, refusal: Literal<'_>, out: &mut Vec<u8>) {
        self.open_part(PartKind::Refusal, out);
        let Self { open, sequence, kept_bytes, .. } = self;
        let Some(Open { index, id, item: Item::Message(message), .. }) = open.iter_mut().find(|open| is_message(open))
        else {
            return;
        };
        let text = refusal.inner().as_bytes();
        message.refusal().0.extend_from_slice(text);
        *kept_bytes += text.len();
        let place = Place { id, index: *index, part: Some(("content_index", message.index_of(PartKind::Refusal))) };
        sequence.part_event("response.refusal.delta", place, out, &[b",\"delta\":\"", text, b"\""]);
    }

    fn annotate(&mut self, annotation: &[u8], out: &mut Vec<u8>) {
        self.open_part(PartKind::Text, out);
        let Self { open, sequence, kept_bytes, .. } = self;
        let Some(Open { index, id, item: Item::Message(message), .. }) = open.iter_mut().find(|open| is_message(open))
        else {
            return;
        };
        let number = message.annotations.len.to_string();
        message.annotations.push(annotation);
        *kept_bytes += annotation.len();
        let place = Place { id, index: *index, part: Some(("content_index", message.index_of(PartKind::Text))) };
        let members: [&[u8]; 4] = [b",\"annotation_index\":", number.as_bytes(), b",\"annotation\":", annotation];
        sequence.part_event("response.output_text.annotation.added", place, out, &members);
    }

    /// Makes sure that a message is open with a part of this kind.
    fn open_part(&mut self, kind: PartKind, out: &mut Vec<u8>) {
        if !self.open.iter().any(is_message) {
            self.close_all(|open| open.call.is_none(), out);
            self.start(Item::Message(item::Message::default()), None, out);
        }
        let Self { open, sequence, .. } = self;
        let Some(Open { index, id, item: Item::Message(message), .. }) = open.iter_mut().find(|open| is_message(open))
        else {
            return;
        };
        let (begins, part): (bool, &[u8]) = match kind {
            PartKind::Text => (message.text().1, br#"{"type":"output_text","annotations":[],"logprobs":[],"text":""}"#),
            PartKind::Refusal => (message.refusal().1, br#"{"type":"refusal","refusal":""}"#),
        };
        if begins {
            let place = Place { id, index: *index, part: Some(("content_index", message.index_of(kind))) };
            sequence.part_event("response.content_part.added", place, out, &[b",\"part\":", part]);
        }
    }

    /// Takes a piece of a call: of one that is open, or of a new one.
    fn call(&mut self, piece: &Call<'_>, out: &mut Vec<u8>) {
        let id = piece.id.map(Literal::inner).filter(|id| !id.is_empty());
        let last = || self.open.iter().rev().find_map(|open| open.call);
        let number = piece.index().or_else(|| last().filter(|_| id.is_none()));
        // Some servers give all calls the same number, or none.
        let is_it = |open: &Open| match &open.item {
            Item::Call(call) => {
                open.call == number && number.is_some() && id.is_none_or(|id| call.call_id == id.as_bytes())
            }
            _ => false,
        };
        let at = self.open.iter().rposition(is_it);
        let fresh = match at {
            Some(_) => item::Call::default(),
            None => begun(piece, &self.custom),
        };
        if at.is_none() {
            self.close_all(|open| open.call.is_none(), out);
            self.start_call(fresh, number, out);
            return;
        }
        let Self { open, sequence, kept_bytes, .. } = self;
        let Some(Open { index, id, item: Item::Call(call), .. }) = at.and_then(|at| open.get_mut(at)) else { return };
        let before = call.arguments.len();
        grow(call, piece);
        let added = call.arguments.get(before..).unwrap_or_default();
        *kept_bytes += added.len();
        arguments_delta(sequence, Place { id, index: *index, part: None }, call.is_custom, added, out);
    }

    /// Begins a call; its first arguments are a delta too.
    fn start_call(&mut self, mut call: item::Call, number: Option<u64>, out: &mut Vec<u8>) {
        if call.call_id.is_empty() {
            call.call_id = self.shell.item_id("call", self.begun);
        }
        let arguments = std::mem::take(&mut call.arguments);
        self.kept_bytes += arguments.len() + call.name.len() + call.call_id.len() + call.extra.len();
        self.start(Item::Call(call), Some(number.unwrap_or(self.begun)), out);
        let Self { open, sequence, .. } = self;
        let Some(Open { index, id, item: Item::Call(call), .. }) = open.last_mut() else { return };
        arguments_delta(sequence, Place { id, index: *index, part: None }, call.is_custom, &arguments, out);
        call.arguments = arguments;
    }

    /// Begins an item.
    fn start(&mut self, item: Item, call: Option<u64>, out: &mut Vec<u8>) {
        let index = self.begun;
        let id = self.shell.item_id(item.prefix(), index);
        self.begun += 1;
        self.sequence.event("response.output_item.added", out, |out| {
            put(out, &[b",\"output_index\":", index.to_string().as_bytes(), b",\"item\":"]);
            match &item {
                // What only the provider can read comes when the item is done.
                Item::Reasoning(_) => Item::Reasoning(item::Reasoning::default()).write(&id, "in_progress", out),
                Item::Image(_) => Item::Image(Vec::new()).write(&id, "in_progress", out),
                item => item.write(&id, "in_progress", out),
            }
        });
        self.open.push(Open { index, id, call, item });
    }
}

impl Events for Machine {
    fn chunk(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        if self.phase == Phase::Ended {
            return;
        }
        let Some(chunk) = Completion::read(chunk) else { return };
        self.begin(&chunk, out);
        self.usage = chunk.usage().or(self.usage.take());
        if let Some(choice) = chunk.choice() {
            self.add(&choice.said(), &choice.logprobs(), out);
            if let Some(reason) = choice.finish_reason() {
                reason.clone_into(&mut self.finish_reason);
            }
        }
        if self.kept_bytes > MAX_KEPT_BYTES || self.begun > MAX_ITEMS {
            self.fail(
                &Error::new(Kind::BadUpstream, "the provider's answer is too long to be repeated at its end"),
                out,
            );
        }
    }

    fn done(&mut self, out: &mut Vec<u8>) {
        if self.phase == Phase::Ended {
            return;
        }
        self.begin(&Completion::default(), out);
        let finish_reason = std::mem::take(&mut self.finish_reason);
        let state = State::of(&finish_reason);
        if self.begun == 0 && matches!(state, State::Completed) {
            // An answer that is complete says something, if nothing.
            self.open_part(PartKind::Text, out);
        }
        for open in std::mem::take(&mut self.open) {
            // What cut the answer short cut its last item.
            let is_last = open.index.saturating_add(1) == self.begun;
            self.close(open, if is_last { state.status() } else { State::Completed.status() }, out);
        }
        self.end(state, out);
    }

    fn fail(&mut self, error: &Error, out: &mut Vec<u8>) {
        if self.phase == Phase::Ended {
            return;
        }
        self.begin(&Completion::default(), out);
        let param =
            error.param.as_deref().map_or(b"null".to_vec(), |param| [b"\"", &*item::quoted(param), b"\""].concat());
        let (code, message) = (item::quoted(code(error)), item::quoted(&error.message));
        self.sequence.event("error", out, |out| {
            put(out, &[b",\"code\":\"", &code, b"\",\"message\":\"", &message, b"\",\"param\":", &param]);
        });
        for open in std::mem::take(&mut self.open) {
            let mut written = Vec::new();
            open.item.write(&open.id, "incomplete", &mut written);
            self.finished.push((open.index, written));
        }
        self.end(State::Failed(&code, &message), out);
    }
}

/// The code of an error in a response, which always has one.
fn code(error: &Error) -> &str {
    match (error.code(), error.type_()) {
        (Some(code), _) => code,
        (None, "rate_limit_error") => "rate_limit_exceeded",
        (None, _) => "server_error",
    }
}

fn is_message(open: &Open) -> bool {
    matches!(open.item, Item::Message(_))
}

/// Tells a piece of a function's arguments. Those of a custom tool are not its input, and are told when they are whole.
fn arguments_delta(sequence: &mut Sequence, place: Place<'_>, is_custom: bool, added: &[u8], out: &mut Vec<u8>) {
    if !is_custom && !added.is_empty() {
        let members: [&[u8]; 3] = [b",\"delta\":\"", added, b"\""];
        sequence.part_event("response.function_call_arguments.delta", place, out, &members);
    }
}
