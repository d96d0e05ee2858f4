//! Alerts as bytes: a version, then 65 bytes an entry, little-endian.

use super::entry::{COUNTED, Entry, Trust};
use super::{Alerts, ENTRIES_MAX};
use crate::bytes::Bytes;
use crate::units::Millis;

impl Alerts {
    /// Reads what [`Alerts::encode`] wrote. Anything else is no alert at all: nothing that is stored can stop a request
    /// from being served.
    pub fn decode(bytes: &[u8]) -> Self {
        Self::read(bytes).unwrap_or_default()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (entries, []) = bytes.strip_prefix(&VERSION)?.as_chunks::<ENTRY_BYTES>() else { return None };
        if entries.len() > ENTRIES_MAX {
            return None;
        }
        let entries = entries.iter().map(|bytes| entry(bytes)).collect::<Option<Vec<Entry>>>()?;
        entries.is_sorted_by(|a, b| a.number < b.number).then_some(Self { entries })
    }

    /// The alerts as bytes; none where there is no entry.
    pub fn encode(&self) -> Vec<u8> {
        if self.entries.is_empty() {
            return Vec::new();
        }
        let mut out = Vec::with_capacity(VERSION.len() + ENTRY_BYTES * self.entries.len());
        out.extend(VERSION);
        self.entries.iter().for_each(|entry| write(entry, &mut out));
        out
    }
}

fn entry(bytes: &[u8]) -> Option<Entry> {
    let mut bytes = Bytes(bytes);
    let entry = Entry {
        number: bytes.number()?,
        written: Millis(bytes.number()?),
        trust: match (bytes.take()?, Millis(bytes.number()?)) {
            ([0], _) => Trust::Full,
            ([1], until) => Trust::Cooled(until),
            ([2], until) => Trust::Probing(until),
            _ => return None,
        },
        exhausted_until: Millis(bytes.number()?),
        minute: bytes.number()?,
        in_minute: u32::from_le_bytes(bytes.take()?),
        window: Millis(bytes.number()?),
        in_window: counts(&mut bytes)?,
    };
    bytes.is_empty().then_some(entry)
}

fn counts(bytes: &mut Bytes<'_>) -> Option<[u16; COUNTED.len()]> {
    let mut counts = [0; COUNTED.len()];
    for count in &mut counts {
        *count = u16::from_le_bytes(bytes.take()?);
    }
    Some(counts)
}

fn write(entry: &Entry, out: &mut Vec<u8>) {
    let (trust, until) = match entry.trust {
        Trust::Full => (0u8, Millis(0)),
        Trust::Cooled(until) => (1, until),
        Trust::Probing(until) => (2, until),
    };
    out.extend(entry.number.to_le_bytes());
    out.extend(entry.written.0.to_le_bytes());
    out.push(trust);
    [until.0, entry.exhausted_until.0, entry.minute].into_iter().for_each(|number| out.extend(number.to_le_bytes()));
    out.extend(entry.in_minute.to_le_bytes());
    out.extend(entry.window.0.to_le_bytes());
    entry.in_window.into_iter().for_each(|count| out.extend(count.to_le_bytes()));
}

/// Changes with the layout.
const VERSION: [u8; 4] = *b"TGA1";
/// Six numbers of 8 bytes, one of 4, one byte that says which trust, two bytes for each class.
const ENTRY_BYTES: usize = 6 * 8 + 4 + 1 + 2 * COUNTED.len();
