//! AWS's event stream: binary frames, however they are cut.
//!
//! ```text
//! total length u32 | headers length u32 | CRC of these 8 bytes | headers | payload | CRC of all before
//! header: name length u8 | name | type u8 | value
//! ```
//!
//! Numbers are big-endian, CRCs are CRC-32 as in zip. Both are checked: a frame that fails was not sent like this, and
//! nothing after it can be trusted. Pending bytes are bounded by [`MAX_FRAME_BYTES`].
//!
//! Source: AWS, "Event stream encoding"
//! <https://docs.aws.amazon.com/transcribe/latest/dg/streaming-setting-up.html>; smithy, "Amazon event stream specification"
//! <https://smithy.io/2.0/aws/amazon-eventstream.html>, not re-read for this.

use crate::sse::MAX_EVENT_BYTES;

/// The longest frame that is taken; AWS allows 24 MiB, Converse sends a few hundred bytes.
pub(super) const MAX_FRAME_BYTES: usize = MAX_EVENT_BYTES;

const PRELUDE_BYTES: usize = 12;
const CRC_BYTES: usize = 4;

/// A frame, read where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    headers: &'a [u8],
    /// What the event says.
    pub(super) payload: &'a [u8],
}

/// Why a stream cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// A length that makes no sense, or is over the limit.
    Length,
    /// A checksum that does not fit.
    Checksum,
}

/// Bytes on their way to frames.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    pending: Vec<u8>,
}

impl Decoder {
    /// Takes the next bytes; calls `take` with every frame that is whole now.
    ///
    /// # Errors
    ///
    /// The stream makes no sense from here on.
    pub(super) fn push(&mut self, bytes: &[u8], mut take: impl FnMut(Frame<'_>)) -> Result<(), Broken> {
        if self.pending.is_empty() {
            let used = read(bytes, &mut take)?;
            self.pending.extend_from_slice(bytes.get(used..).unwrap_or_default());
            return Ok(());
        }
        self.pending.extend_from_slice(bytes);
        let used = read(&self.pending, &mut take)?;
        self.pending.drain(..used);
        Ok(())
    }
}

/// Reads every whole frame of `bytes`; how many bytes they took.
fn read(bytes: &[u8], take: &mut impl FnMut(Frame<'_>)) -> Result<usize, Broken> {
    let mut used = 0;
    while let Some((frame, len)) = frame(bytes.get(used..).unwrap_or_default())? {
        take(frame);
        used += len;
    }
    Ok(used)
}

/// The first frame of `bytes` and its length; `None` where it is not whole yet.
fn frame(bytes: &[u8]) -> Result<Option<(Frame<'_>, usize)>, Broken> {
    let Some((prelude, _)) = bytes.split_at_checked(PRELUDE_BYTES) else { return Ok(None) };
    let (Some(total), Some(headers), Some(crc)) = (word(prelude, 0), word(prelude, 4), word(prelude, 8)) else {
        return Ok(None);
    };
    if crc32(prelude.get(..8).unwrap_or_default()) != crc {
        return Err(Broken::Checksum);
    }
    let (total, headers) = (total as usize, headers as usize);
    let around = PRELUDE_BYTES + CRC_BYTES;
    if total > MAX_FRAME_BYTES || total < around || headers > total - around {
        return Err(Broken::Length);
    }
    let Some((whole, _)) = bytes.split_at_checked(total) else { return Ok(None) };
    let (message, crc) = whole.split_at(total - CRC_BYTES);
    if word(crc, 0) != Some(crc32(message)) {
        return Err(Broken::Checksum);
    }
    let (headers, payload) = message.get(PRELUDE_BYTES..).unwrap_or_default().split_at(headers);
    Ok(Some((Frame { headers, payload }, total)))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

impl<'a> Frame<'a> {
    /// The header `name`, where it is a string.
    pub(super) fn header(&self, name: &str) -> Option<&'a str> {
        let mut rest = self.headers;
        while let Some((found, value, after)) = header(rest) {
            if found == name.as_bytes() {
                return std::str::from_utf8(value?).ok();
            }
            rest = after;
        }
        None
    }
}

/// A header's name, its value where that is a string, and what follows it.
type Header<'a> = (&'a [u8], Option<&'a [u8]>, &'a [u8]);

/// The first header.
fn header(bytes: &[u8]) -> Option<Header<'_>> {
    let (len, rest) = bytes.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(*len))?;
    let (type_, rest) = rest.split_first()?;
    // True, false, byte, short, integer, long, bytes, string, timestamp, UUID.
    let (value, rest) = match type_ {
        0 | 1 => rest.split_at_checked(0)?,
        2 => rest.split_at_checked(1)?,
        3 => rest.split_at_checked(2)?,
        4 => rest.split_at_checked(4)?,
        5 | 8 => rest.split_at_checked(8)?,
        6 | 7 => {
            let (len, rest) = rest.split_first_chunk()?;
            rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))?
        }
        9 => rest.split_at_checked(16)?,
        _ => return None,
    };
    Some((name, (*type_ == 7).then_some(value), rest))
}

/// CRC-32 as in zip.
///
/// Source: RFC 1952, section 8 <https://www.rfc-editor.org/rfc/rfc1952#section-8>, not re-read for this.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        let [low, ..] = crc.to_le_bytes();
        let row = TABLE.get(usize::from(low ^ byte)).copied().unwrap_or_default();
        (crc >> 8) ^ row
    };
    !bytes.iter().fold(u32::MAX, step)
}

const TABLE: [u32; 256] = table();

#[expect(clippy::indexing_slicing, reason = "at compile time, with an index below the length")]
const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let mut crc = i as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 };
            bit += 1;
        }
        table[i] = crc;
        i += 1;
    }
    table
}

/// A frame with these headers, all of them strings.
#[cfg(test)]
pub(super) fn encode(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    for (name, value) in headers {
        all.push(name.len() as u8);
        all.extend_from_slice(name.as_bytes());
        all.push(7);
        all.extend_from_slice(&(value.len() as u16).to_be_bytes());
        all.extend_from_slice(value.as_bytes());
    }
    let total = PRELUDE_BYTES + all.len() + payload.len() + CRC_BYTES;
    let mut frame = (total as u32).to_be_bytes().to_vec();
    frame.extend_from_slice(&(all.len() as u32).to_be_bytes());
    frame.extend_from_slice(&crc32(&frame).to_be_bytes());
    frame.extend_from_slice(&all);
    frame.extend_from_slice(payload);
    frame.extend_from_slice(&crc32(&frame).to_be_bytes());
    frame
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::hostile::Hostile;
    use wasm_bindgen_test::wasm_bindgen_test;

    type Decoded = (Vec<(String, Vec<u8>)>, Result<(), Broken>);

    fn decode(chunks: &[&[u8]]) -> Decoded {
        let (mut decoder, mut frames) = (Decoder::default(), Vec::new());
        for chunk in chunks {
            let result = decoder.push(chunk, |frame| {
                frames.push((frame.header(":event-type").unwrap_or_default().to_owned(), frame.payload.to_vec()));
            });
            if result.is_err() {
                return (frames, result);
            }
        }
        (frames, Ok(()))
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_checksum_is_that_of_zip() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(b""), 0);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn frames_come_out_however_they_are_cut() {
        let mut bytes = encode(&[(":message-type", "event"), (":event-type", "a")], b"{\"x\":1}");
        bytes.extend(encode(&[], b""));
        bytes.extend(encode(&[(":event-type", "b")], &[0; 300]));
        let whole = decode(&[&bytes]);
        assert_eq!(whole.0.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["a", "", "b"]);
        for cut in 0..bytes.len() {
            assert_eq!(decode(&[&bytes[..cut], &bytes[cut..]]), whole, "cut at {cut}");
        }
        assert_eq!(decode(&bytes.chunks(1).collect::<Vec<_>>()), whole);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn headers_of_every_type_are_passed_over() {
        let mut headers = Vec::new();
        for (type_, len) in [(0, 0), (1, 0), (2, 1), (3, 2), (4, 4), (5, 8), (8, 8), (9, 16)] {
            headers.extend([1, b'h', type_]);
            headers.extend(vec![0; len]);
        }
        headers.extend([1, b'b', 6, 0, 2, 9, 9, 1, b's', 7, 0, 2, b'o', b'k']);
        let frame = Frame { headers: &headers, payload: b"" };
        assert_eq!((frame.header("s"), frame.header("b"), frame.header("none")), (Some("ok"), None, None));
        assert_eq!(Frame { headers: &[1, b's', 7, 0, 9, b'o'], payload: b"" }.header("s"), None);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn any_wrong_byte_breaks_the_stream() {
        let good = encode(&[(":event-type", "a")], b"payload");
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x40;
            let (frames, result) = decode(&[&bad]);
            assert!(frames.is_empty() && result.is_err(), "byte {at}");
        }
        let mut long = (MAX_FRAME_BYTES as u32 + 1).to_be_bytes().to_vec();
        long.extend([0; 4]);
        long.extend(crc32(&long).to_be_bytes());
        assert_eq!(decode(&[&long]).1, Err(Broken::Length));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn hostile_bytes_never_panic() {
        let good = encode(&[(":event-type", "a"), (":content-type", "application/json")], b"{\"delta\":{}}");
        let mut hostile = Hostile(0x5851_f42d_4c95_7f2d);
        for _ in 0..2000 {
            let _frames = decode(&[&hostile.mutate(&good)]);
        }
    }
}
