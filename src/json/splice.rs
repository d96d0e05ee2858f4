//! Edits to a byte string that leave all other bytes alone.

use std::ops::Range;

/// Ordered replacements of byte ranges, none overlapping another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Splice {
    edits: Vec<(Range<usize>, Vec<u8>)>,
}

impl Splice {
    /// Replaces `range` by `with`; an empty range inserts. Edits of overlapping ranges are refused with `false`.
    pub fn replace(&mut self, range: Range<usize>, with: impl Into<Vec<u8>>) -> bool {
        let at = self
            .edits
            .partition_point(|(r, _)| r.start < range.start || (r.start == range.start && r.end <= range.end));
        let before = at.checked_sub(1).and_then(|i| self.edits.get(i));
        let free = range.start <= range.end
            && before.is_none_or(|(r, _)| r.end <= range.start)
            && self.edits.get(at).is_none_or(|(r, _)| range.end <= r.start);
        if free {
            self.edits.insert(at, (range, with.into()));
        }
        free
    }

    /// The length of the result for a source of `len` bytes.
    pub fn len_of(&self, len: usize) -> usize {
        self.edits.iter().fold(len, |len, (range, with)| len.saturating_add(with.len()).saturating_sub(range.len()))
    }

    /// The end of the last edit in the source: all bytes from there on stay where they are.
    pub fn end(&self) -> usize {
        self.edits.last().map_or(0, |(range, _)| range.end)
    }

    /// The edited text of `source[..self.end()]`. `None` when an edit lies outside `source`.
    pub fn head(&self, source: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(self.len_of(self.end()));
        let mut at = 0;
        for (range, with) in &self.edits {
            out.extend_from_slice(source.get(at..range.start)?);
            out.extend_from_slice(with);
            at = range.end;
        }
        source.get(..at)?;
        Some(out)
    }

    /// The whole edited text. `None` when an edit lies outside `source`.
    pub fn apply(&self, source: &[u8]) -> Option<Vec<u8>> {
        let mut out = self.head(source)?;
        out.extend_from_slice(source.get(self.end()..)?);
        Some(out)
    }
}
