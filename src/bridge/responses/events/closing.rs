//! The ends: of an item, of all of them, of the response.

use super::{Machine, Open, Phase};
use crate::bridge::responses::item::{self, Item, PartKind, put};
use crate::bridge::responses::shell::State;

impl Machine {
    /// Ends the open items that are meant.
    pub(super) fn close_all(&mut self, is_meant: impl Fn(&Open) -> bool, out: &mut Vec<u8>) {
        let (closing, open) = std::mem::take(&mut self.open).into_iter().partition(|open| is_meant(open));
        self.open = open;
        let closing: Vec<Open> = closing;
        closing.into_iter().for_each(|open| self.close(open, State::Completed.status(), out));
    }

    pub(super) fn close(&mut self, open: Open, status: &str, out: &mut Vec<u8>) {
        match &open.item {
            Item::Reasoning(block) if !block.text.is_empty() => {
                let place = open.place(Some(("summary_index", 0)));
                let members: [&[u8]; 3] = [b",\"text\":\"", &block.text, b"\""];
                self.sequence.part_event("response.reasoning_summary_text.done", place, out, &members);
                self.sequence.event("response.reasoning_summary_part.done", out, |out| {
                    place.write(out);
                    put(out, &[b",\"part\":"]);
                    block.write_part(out);
                });
            }
            Item::Message(message) => self.close_parts(&open, message, out),
            Item::Call(call) if call.is_custom => {
                let (place, input) = (open.place(None), call.input());
                let delta: [&[u8]; 3] = [b",\"delta\":\"", &input, b"\""];
                self.sequence.part_event("response.custom_tool_call_input.delta", place, out, &delta);
                let whole: [&[u8]; 3] = [b",\"input\":\"", &input, b"\""];
                self.sequence.part_event("response.custom_tool_call_input.done", place, out, &whole);
            }
            Item::Call(call) => {
                let members: [&[u8]; 5] = [b",\"name\":\"", &call.name, b"\",\"arguments\":\"", &call.arguments, b"\""];
                self.sequence.part_event("response.function_call_arguments.done", open.place(None), out, &members);
            }
            Item::Reasoning(_) | Item::Image(_) => (),
        }
        let mut written = Vec::new();
        open.item.write(&open.id, status, &mut written);
        self.sequence.event("response.output_item.done", out, |out| {
            put(out, &[b",\"output_index\":", open.index.to_string().as_bytes(), b",\"item\":", &written]);
        });
        self.finished.push((open.index, written));
    }

    fn close_parts(&mut self, open: &Open, message: &item::Message, out: &mut Vec<u8>) {
        for (i, kind) in message.parts().into_iter().flatten().enumerate() {
            let place = open.place(Some(("content_index", i)));
            match kind {
                PartKind::Text => {
                    let text = message.text.as_deref().unwrap_or_default();
                    let members: [&[u8]; 5] =
                        [b",\"text\":\"", text, b"\",\"logprobs\":[", &message.logprobs.text, b"]"];
                    self.sequence.part_event("response.output_text.done", place, out, &members);
                }
                PartKind::Refusal => {
                    let refusal = message.refusal.as_deref().unwrap_or_default();
                    let members: [&[u8]; 3] = [b",\"refusal\":\"", refusal, b"\""];
                    self.sequence.part_event("response.refusal.done", place, out, &members);
                }
            }
            self.sequence.event("response.content_part.done", out, |out| {
                place.write(out);
                put(out, &[b",\"part\":"]);
                message.write_part(kind, out);
            });
        }
    }

    /// Writes the last event.
    pub(super) fn end(&mut self, state: State<'_>, out: &mut Vec<u8>) {
        self.phase = Phase::Ended;
        self.finished.sort_by_key(|(index, _)| *index);
        let output: Vec<&[u8]> = self.finished.iter().map(|(_, item)| item.as_slice()).collect();
        let (shell, usage) = (&self.shell, self.usage.as_ref());
        self.sequence.event(&format!("response.{}", state.status()), out, |out| {
            put(out, &[b",\"response\":"]);
            shell.write(state, &output, usage, out);
        });
        self.finished = Vec::new();
        self.open = Vec::new();
    }
}
