//! A header map in the ABI's own serialization, read where it lies.

use std::ops::Range;

/// Headers as proxy-wasm hands them out: a count, the lengths of all names and values, then all of them, each ended
/// by a zero byte; numbers are 32 bits, little-endian. Values may be any bytes.
///
/// Source: proxy-wasm ABI 0.2.1, "Serialization" <https://github.com/proxy-wasm/spec/tree/main/abi-versions/v0.2.1>,
/// read 2026-11-23.
#[derive(Debug, Default)]
pub struct Headers {
    bytes: Vec<u8>,
    pairs: Vec<(Range<usize>, Range<usize>)>,
}

impl Headers {
    /// Takes a serialized map; what does not fit the format is left out.
    pub fn decode(bytes: Vec<u8>) -> Self {
        let word = |i: usize| -> Option<usize> {
            let word = bytes.get(i.checked_mul(4)?..)?.first_chunk::<4>()?;
            Some(u32::from_le_bytes(*word) as usize)
        };
        let count = word(0).unwrap_or(0).min(bytes.len() / 8);
        let mut pairs = Vec::with_capacity(count);
        let mut at = 4 + 8 * count;
        for i in 0..count {
            let (Some(name), Some(value)) = (word(1 + 2 * i), word(2 + 2 * i)) else { break };
            let Some(value_at) = at.checked_add(name).and_then(|end| end.checked_add(1)) else { break };
            let Some(end) = value_at.checked_add(value).filter(|&end| end < bytes.len()) else { break };
            pairs.push((at..at + name, value_at..end));
            at = end + 1;
        }
        Self { bytes, pairs }
    }

    /// Every header in its order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> + Clone {
        let at = |range: &Range<usize>| self.bytes.get(range.clone()).unwrap_or_default();
        self.pairs.iter().map(move |(name, value)| (at(name), at(value)))
    }

    /// The first value of a lower-case `name`.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter().find(|(found, _)| *found == name.as_bytes()).map(|(_, value)| value)
    }

    /// The first value of `name`, where it is UTF-8.
    pub fn text(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.get(name)?).ok()
    }

    /// The first value of `name`, where it is a number.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.text(name)?.trim().parse().ok()
    }

    /// Serializes `pairs`.
    pub fn encode<'a>(pairs: impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone) -> Vec<u8> {
        let (count, len) =
            pairs.clone().fold((0, 4), |(count, len), (name, value)| (count + 1, len + 10 + name.len() + value.len()));
        let mut bytes = Vec::with_capacity(len);
        bytes.extend_from_slice(&(count as u32).to_le_bytes());
        for (name, value) in pairs.clone() {
            bytes.extend_from_slice(&(name.len() as u32).to_le_bytes());
            bytes.extend_from_slice(&(value.len() as u32).to_le_bytes());
        }
        for (name, value) in pairs {
            bytes.extend_from_slice(name);
            bytes.push(0);
            bytes.extend_from_slice(value);
            bytes.push(0);
        }
        bytes
    }

    /// The map of these pairs.
    #[cfg(test)]
    pub fn of(pairs: &[(&str, &[u8])]) -> Self {
        Self::decode(Self::encode(pairs.iter().map(|(name, value)| (name.as_bytes(), *value))))
    }
}

#[cfg(test)]
mod tests {
    use super::Headers;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn any_bytes_go_through_and_no_garbage_breaks_it() {
        let pairs: &[(&str, &[u8])] = &[(":path", b"/x"), ("empty", b""), ("raw", b"\xff\0\x80"), ("n", b" 12 ")];
        let headers = Headers::of(pairs);
        let found: Vec<_> = headers.iter().collect();
        assert_eq!(found, pairs.iter().map(|(n, v)| (n.as_bytes(), *v)).collect::<Vec<_>>());
        assert_eq!((headers.number("n"), headers.text("raw"), headers.get("none")), (Some(12), None, None));
        let whole = Headers::encode(pairs.iter().map(|(name, value)| (name.as_bytes(), *value)));
        for cut in 0..whole.len() {
            assert!(Headers::decode(whole[..cut].to_vec()).iter().count() <= 4);
        }
        assert_eq!(Headers::decode(vec![0xff; 64]).iter().count(), 0);
    }
}
