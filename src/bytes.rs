//! Records in bytes, as workers share them: little-endian numbers, one after the other; and bytes as text.

use sha2::{Digest as _, Sha256};

/// Bytes that are read from their beginning.
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl Bytes<'_> {
    /// The next `N` bytes; `None` where there are fewer.
    pub(crate) fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    /// The next number of eight bytes.
    pub(crate) fn number(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    /// Whether nothing is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What stands for a name in records: the first eight bytes of its SHA-256, the same in every worker and after an update.
pub(crate) fn number_of(name: impl AsRef<[u8]>) -> u64 {
    Sha256::digest(name).first_chunk().copied().map_or(0, u64::from_le_bytes)
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)]).collect()
}

/// A number for texts: the same for the same ones.
///
/// Each step maps the numbers one to one, so texts that differ in one word of eight bytes never share one, and any others
/// do by a chance of 2^-64, unless somebody chooses them to.
pub(crate) fn number_of_texts(seed: u64, texts: &[&str]) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |number: u64, word: u64| {
        let mixed = (number ^ word).wrapping_mul(ODD);
        mixed ^ (mixed >> 32)
    };
    let text = |number: u64, text: &str| {
        let (words, rest) = text.as_bytes().as_chunks::<8>();
        let number = words.iter().fold(number, |number, word| mix(number, u64::from_le_bytes(*word)));
        // The length ends the text: the last bytes of one never run into the first of the next.
        let rest = rest.iter().fold(text.len() as u64, |word, byte| word << 8 | u64::from(*byte));
        mix(number, rest)
    };
    texts.iter().fold(seed, |number, part| text(number, part))
}
