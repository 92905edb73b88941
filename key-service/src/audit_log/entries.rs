//! Entries one after another in the form that bundles and the journal share: each with its length before it.

use std::ops::Range;

/// Bytes of a length.
const LENGTH_BYTES: usize = 2;

/// Encoded entries. They are encoded where they stay: journal and bundles are written from here as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Entries {
    bytes: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
}

impl Entries {
    /// Adds the entry that `write` appends. Entries are shorter than 64 KiB by their own limits.
    pub(super) fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; LENGTH_BYTES]);
        write(&mut self.bytes);
        let length = u16::try_from(self.bytes.len() - start - LENGTH_BYTES)
            .expect("the limits of entries keep them shorter than 64 KiB");
        self.bytes[start..start + LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
        self.ends.push(self.bytes.len());
    }

    pub(super) fn push(&mut self, entry: &[u8]) {
        self.push_with(|bytes| bytes.extend_from_slice(entry));
    }

    /// The number of entries.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// All of them, with their lengths.
    pub(super) fn encoded(&self) -> &[u8] {
        &self.bytes
    }

    /// Some of them, with their lengths; as many of the range as are there.
    pub(super) fn encoded_range(&self, range: Range<usize>) -> &[u8] {
        &self.bytes[self.start(range.start)..self.start(range.end)]
    }

    /// The entries themselves.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).map(|at| &self.bytes[self.start(at) + LENGTH_BYTES..self.ends[at]])
    }

    /// Adds others behind these.
    pub(super) fn extend(&mut self, others: &Self) {
        let before = self.bytes.len();
        self.bytes.extend_from_slice(&others.bytes);
        self.ends.extend(others.ends.iter().map(|end| before + end));
    }

    /// Drops so many of the first ones, and the room that they took.
    pub(super) fn drop_first(&mut self, count: usize) {
        let rest = self.start(count);
        *self = Self {
            bytes: self.bytes[rest..].to_vec(),
            ends: self.ends.iter().skip(count).map(|end| end - rest).collect(),
        };
    }

    /// Drops all; keeps the room.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// Where an entry starts, or the last one ends.
    fn start(&self, at: usize) -> usize {
        match at.min(self.len()) {
            0 => 0,
            at => self.ends[at - 1],
        }
    }
}

impl<Entry: AsRef<[u8]>> FromIterator<Entry> for Entries {
    fn from_iter<I: IntoIterator<Item = Entry>>(from: I) -> Self {
        let mut entries = Self::default();
        from.into_iter().for_each(|entry| entries.push(entry.as_ref()));
        entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_what_they_are_made_of() {
        let all: Entries = [&b"a"[..], b"bc", b"", b"def"].into_iter().collect();
        assert_eq!(all.encoded(), b"\0\x01a\0\x02bc\0\0\0\x03def");
        assert_eq!(all.encoded_range(1..3), b"\0\x02bc\0\0");
        assert_eq!(all.encoded_range(3..9), b"\0\x03def");
        assert_eq!(all.iter().collect::<Vec<_>>(), [&b"a"[..], b"bc", b"", b"def"]);
        let mut joined: Entries = all.iter().take(1).collect();
        joined.extend(&all.iter().skip(1).collect());
        assert_eq!(joined, all);
        joined.drop_first(2);
        assert_eq!(joined, all.iter().skip(2).collect());
        joined.drop_first(2);
        assert_eq!((joined.len(), joined.encoded()), (0, &b""[..]));
    }
}
