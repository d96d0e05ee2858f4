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
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
