//! The journal: what makes events durable before they are in tiles, with one write and one synchronization a group.
//!
//! It begins with a magic line and the number of entries before its first, 8 bytes, big-endian. Groups follow: entries
//! as in a bundle, then a length of 0, which no entry has, then a signed checkpoint over all of them, with its length
//! before it. The journal is private to the writer; others read tiles.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::entries::Entries;
use super::tiles::decode_entry;
use crate::durable_files::{self, Readers};

const MAGIC: &[u8] = b"krypton audit journal 1\n";
const HEADER_BYTES: usize = MAGIC.len() + 8;
const CHECKPOINT_FOLLOWS: [u8; 2] = [0, 0];

/// The journal, open for more.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
}

impl Journal {
    pub(super) fn path(directory: &Path) -> PathBuf {
        directory.join("journal")
    }

    /// Replaces the journal by one that begins after `base` entries with this group.
    pub(super) fn replace(directory: &Path, base: u64, group: &[u8]) -> io::Result<Self> {
        let content = [MAGIC, &base.to_be_bytes(), group].concat();
        Ok(Self { file: durable_files::replace(&Self::path(directory), Readers::Everybody, &content)? })
    }

    /// Adds a group and makes it durable. After an error nobody knows what the file holds: replace the journal.
    pub(super) fn append(&mut self, group: &[u8]) -> io::Result<()> {
        self.file.write_all(group)?;
        self.file.sync_data()
    }
}

/// A group of entries and the checkpoint that covers them, in the form of the journal.
pub(super) fn encode_group(entries: &Entries, note: &str) -> Vec<u8> {
    let note: Entries = [note].into_iter().collect();
    [entries.encoded(), &CHECKPOINT_FOLLOWS, note.encoded()].concat()
}

/// A group as it was read. Nothing about it has been verified.
pub(super) struct Group {
    pub(super) entries: Vec<Bytes>,
    pub(super) note: String,
}

/// Reads a journal from its beginning.
pub(super) struct Replay {
    /// The entries before the first of the journal.
    pub(super) base: u64,
    content: Bytes,
    at: usize,
}

impl Replay {
    /// `None` if this is not a journal.
    pub(super) fn new(content: Vec<u8>) -> Option<Self> {
        let base = content.strip_prefix(MAGIC)?.first_chunk::<8>()?;
        Some(Self { base: u64::from_be_bytes(*base), content: Bytes::from(content), at: HEADER_BYTES })
    }

    /// The next group, if there is a whole one. A group that is not accepted stays in the [`rest`](Self::rest).
    pub(super) fn peek(&self) -> Option<(Group, usize)> {
        let (mut entries, mut at) = (Vec::new(), self.at);
        loop {
            let (entry, length) = decode_entry(&self.content.slice(at..))?;
            at += length;
            if !entry.is_empty() {
                entries.push(entry);
                continue;
            }
            let (note, length) = decode_entry(&self.content.slice(at..))?;
            let note = String::from_utf8(note.to_vec()).ok()?;
            return Some((Group { entries, note }, at + length));
        }
    }

    /// Goes on after a group.
    pub(super) fn accept(&mut self, end: usize) {
        self.at = end;
    }

    /// What no group has been accepted of.
    pub(super) fn rest(&self) -> &[u8] {
        &self.content[self.at..]
    }
}
