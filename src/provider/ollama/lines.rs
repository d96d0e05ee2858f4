//! Lines of JSON out of bytes cut anywhere.
//!
//! Source: Ollama, "Streaming" <https://docs.ollama.com/api/streaming>, not re-read for this: `application/x-ndjson`.

use memchr::memchr;

/// The longest line kept while its end is awaited; a whole tool call or image fits.
pub(super) const MAX_LINE_BYTES: usize = 4 << 20;

/// A line over [`MAX_LINE_BYTES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLong;

/// Cuts a byte stream into lines.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    /// The beginning of a line whose end has not come.
    pending: Vec<u8>,
}

impl Decoder {
    /// Calls `each` with every line that `bytes` completes, in order; empty ones are left out.
    ///
    /// # Errors
    ///
    /// [`TooLong`]; the decoder is of no more use then.
    pub(super) fn push(&mut self, bytes: &[u8], mut each: impl FnMut(&[u8])) -> Result<(), TooLong> {
        let mut rest = bytes;
        while let Some(end) = memchr(b'\n', rest) {
            let (line, tail) = rest.split_at(end);
            rest = tail.get(1..).unwrap_or_default();
            if self.pending.is_empty() {
                give(line, &mut each);
            } else {
                self.pending.extend_from_slice(line);
                give(&self.pending, &mut each);
                self.pending.clear();
            }
        }
        self.pending.extend_from_slice(rest);
        if self.pending.len() > MAX_LINE_BYTES { Err(TooLong) } else { Ok(()) }
    }

    /// Calls `each` with what remains when the stream ends without a line end.
    pub(super) fn finish(&mut self, mut each: impl FnMut(&[u8])) {
        give(&std::mem::take(&mut self.pending), &mut each);
    }
}

fn give(line: &[u8], each: &mut impl FnMut(&[u8])) {
    let line = line.trim_ascii();
    if !line.is_empty() {
        each(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn every_cut_gives_the_same_lines() {
        const INPUT: &[u8] = b"{\"a\":1}\n\n {\"b\":2}\r\n{}";
        let decode = |chunks: &[&[u8]]| {
            let (mut decoder, mut lines) = (Decoder::default(), Vec::new());
            let mut take = |line: &[u8]| lines.push(line.to_vec());
            chunks.iter().for_each(|chunk| decoder.push(chunk, &mut take).unwrap());
            decoder.finish(&mut take);
            lines
        };
        let whole = decode(&[INPUT]);
        assert_eq!(whole, [b"{\"a\":1}".to_vec(), b"{\"b\":2}".to_vec(), b"{}".to_vec()]);
        for cut in 0..INPUT.len() {
            assert_eq!(decode(&[&INPUT[..cut], &INPUT[cut..]]), whole, "cut at {cut}");
        }
        assert_eq!(decode(&INPUT.chunks(1).collect::<Vec<_>>()), whole);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_line_without_end_is_an_error() {
        let mut decoder = Decoder::default();
        assert_eq!(decoder.push(&vec![b'x'; MAX_LINE_BYTES], |_| ()), Ok(()));
        assert_eq!(decoder.push(b"y", |_| ()), Err(TooLong));
    }
}
