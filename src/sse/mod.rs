//! Server-sent events: whole events out of bytes cut anywhere.
//!
//! Source: WHATWG, "Server-sent events" <https://html.spec.whatwg.org/multipage/server-sent-events.html>, read 2026-11-23.
//!
//! # Limits
//!
//! A line ends with `\n` or `\r\n`; a lone `\r` does not end one (no LLM vendor sends it). An event longer than
//! [`MAX_EVENT_BYTES`] is an error.

use std::borrow::Cow;

use memchr::{memchr, memchr_iter};

/// The longest event kept while its end is awaited; a whole tool call or image fits.
pub const MAX_EVENT_BYTES: usize = 4 << 20;

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// Its bytes as they came, the blank line at the end included.
    pub raw: &'a [u8],
}

impl<'a> Event<'a> {
    /// The `event` field.
    pub fn name(&self) -> Option<&'a [u8]> {
        self.field(b"event").next()
    }

    /// The `data` field: its lines joined by `\n`, borrowed where there is one. `None` for a comment.
    pub fn data(&self) -> Option<Cow<'a, [u8]>> {
        let mut lines = self.field(b"data");
        let first = lines.next()?;
        let mut joined = Cow::Borrowed(first);
        for line in lines {
            let joined = joined.to_mut();
            joined.push(b'\n');
            joined.extend_from_slice(line);
        }
        Some(joined)
    }

    fn field(&self, name: &'static [u8]) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        lines(self.raw).filter_map(move |line| {
            let value = line.strip_prefix(name)?.strip_prefix(b":")?;
            Some(value.strip_prefix(b" ").unwrap_or(value))
        })
    }
}

/// Cuts a byte stream into events.
#[derive(Debug, Default)]
pub struct Decoder {
    /// The beginning of an event whose end has not come.
    pending: Vec<u8>,
    /// How much of `pending` holds no event end.
    searched: usize,
}

/// An event over [`MAX_EVENT_BYTES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

impl Decoder {
    /// Whether the bytes so far end at the end of an event.
    pub fn is_at_boundary(&self) -> bool {
        self.pending.is_empty()
    }

    /// Calls `each` with every event that `bytes` completes, in order.
    ///
    /// # Errors
    ///
    /// [`TooLong`]; the decoder is of no more use then.
    pub fn push(&mut self, bytes: &[u8], mut each: impl FnMut(Event<'_>)) -> Result<(), TooLong> {
        if self.pending.is_empty() {
            let rest = drain_events(bytes, 0, &mut each);
            self.keep(bytes.get(rest..).unwrap_or_default());
        } else {
            let mut pending = std::mem::take(&mut self.pending);
            pending.extend_from_slice(bytes);
            let rest = drain_events(&pending, self.searched, &mut each);
            pending.drain(..rest);
            self.pending = pending;
            self.searched = searched(&self.pending);
        }
        if self.pending.len() > MAX_EVENT_BYTES { Err(TooLong) } else { Ok(()) }
    }

    /// Calls `each` with what remains when the stream ends without a blank line.
    pub fn finish(&mut self, each: impl FnOnce(Event<'_>)) {
        let pending = std::mem::take(&mut self.pending);
        self.searched = 0;
        if !pending.is_empty() {
            each(Event { raw: &pending });
        }
    }

    fn keep(&mut self, rest: &[u8]) {
        self.pending.extend_from_slice(rest);
        self.searched = searched(rest);
    }
}

/// Up to two bytes of a blank line may be the last ones seen: search again from there.
fn searched(pending: &[u8]) -> usize {
    pending.len().saturating_sub(2)
}

/// Hands out the events of `bytes`; no event ends before `from`. Returns where the rest begins.
fn drain_events(bytes: &[u8], from: usize, each: &mut impl FnMut(Event<'_>)) -> usize {
    let mut start = 0;
    for newline in memchr_iter(b'\n', bytes.get(from..).unwrap_or_default()) {
        let newline = from + newline;
        if newline < start {
            // It ended the event before: a run of blank lines ends one event only.
            continue;
        }
        let blank = match bytes.get(newline + 1..) {
            Some([b'\n', ..]) => 1,
            Some([b'\r', b'\n', ..]) => 2,
            _ => continue,
        };
        let end = newline + 1 + blank;
        if let Some(raw) = bytes.get(start..end) {
            each(Event { raw });
            start = end;
        }
    }
    start
}

fn lines(raw: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = raw;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = memchr(b'\n', rest).unwrap_or(rest.len());
        let line = rest.get(..end)?;
        rest = rest.get(end + 1..).unwrap_or_default();
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    const STREAM: &[u8] = b": hi\n\ndata: 1\n\nevent: x\r\ndata: 2\r\ndata:3\r\n\r\n\n\ndata: [DONE]\n\ndata: cut";

    /// Name and data of every event with data.
    type Events = Vec<(Option<Vec<u8>>, Option<Vec<u8>>)>;

    fn decode(chunks: &[&[u8]]) -> Events {
        let (mut decoder, mut out, mut raw) = (Decoder::default(), Vec::new(), Vec::new());
        let mut take = |event: Event<'_>| {
            raw.extend_from_slice(event.raw);
            if let Some(data) = event.data() {
                out.push((event.name().map(<[u8]>::to_vec), Some(data.into_owned())));
            }
        };
        for chunk in chunks {
            decoder.push(chunk, &mut take).unwrap();
        }
        decoder.finish(&mut take);
        assert_eq!(raw, chunks.concat(), "no byte is lost");
        out
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn every_cut_gives_the_same_events() {
        let whole = decode(&[STREAM]);
        assert_eq!(whole.len(), 4);
        assert_eq!(whole[1], (Some(b"x".to_vec()), Some(b"2\n3".to_vec())));
        for cut in 0..STREAM.len() {
            assert_eq!(decode(&[&STREAM[..cut], &STREAM[cut..]]), whole, "cut at {cut}");
        }
        assert_eq!(decode(&STREAM.chunks(1).collect::<Vec<_>>()), whole);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn blank_lines_without_end_belong_to_the_next_event() {
        let raws = |size: usize| {
            let (mut decoder, mut raws) = (Decoder::default(), Vec::new());
            for chunk in b"a\n\n\nb\n\r\n\nc".chunks(size) {
                decoder.push(chunk, |event| raws.push(event.raw.to_vec())).unwrap();
            }
            raws
        };
        assert_eq!(raws(99), [b"a\n\n".as_slice(), b"\nb\n\r\n"]);
        assert_eq!(raws(1), raws(99));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn an_event_without_end_is_an_error() {
        let mut decoder = Decoder::default();
        let chunk = vec![b'x'; MAX_EVENT_BYTES];
        assert_eq!(decoder.push(&chunk, |_| ()), Ok(()));
        assert_eq!(decoder.push(b"y", |_| ()), Err(TooLong));
    }
}
