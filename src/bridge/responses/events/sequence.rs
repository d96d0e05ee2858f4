//! How an event is written: its name, its number, and what it is about.

use crate::bridge::responses::item::put;

/// The number of the next event.
#[derive(Debug, Default)]
pub(super) struct Sequence(u64);

impl Sequence {
    /// Writes an event; `members` each begin with a comma.
    pub(super) fn event(&mut self, name: &str, out: &mut Vec<u8>, members: impl FnOnce(&mut Vec<u8>)) {
        put(out, &[b"event: ", name.as_bytes(), b"\ndata: {\"type\":\"", name.as_bytes(), b"\",\"sequence_number\":"]);
        put(out, &[itoa::Buffer::new().format(self.0).as_bytes()]);
        members(out);
        put(out, &[b"}\n\n"]);
        self.0 += 1;
    }

    /// Writes an event about a part of an item: `part` is the name of its number.
    pub(super) fn part_event(&mut self, name: &str, place: Place<'_>, out: &mut Vec<u8>, members: &[&[u8]]) {
        self.event(name, out, |out| {
            place.write(out);
            put(out, members);
        });
    }
}

/// Which item an event is about, and which part of it.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) id: &'a [u8],
    pub(super) index: u64,
    /// `content_index` or `summary_index`, and its value.
    pub(super) part: Option<(&'static str, usize)>,
}

impl Place<'_> {
    pub(super) fn write(self, out: &mut Vec<u8>) {
        put(out, &[b",\"item_id\":\"", self.id, b"\",\"output_index\":"]);
        put(out, &[itoa::Buffer::new().format(self.index).as_bytes()]);
        if let Some((name, number)) = self.part {
            put(out, &[b",\"", name.as_bytes(), b"\":", itoa::Buffer::new().format(number).as_bytes()]);
        }
    }
}
