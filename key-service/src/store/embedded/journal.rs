//! The journal: what has been committed since the database last wrote everything down.
//!
//! A file of fixed length. A commit is acknowledged when its entry is in it and forced to the disk, which is one small write
//! into blocks that the file has already; the database may then write its pages late, and many commits' at once. A
//! *round* of entries begins at the start of the file whenever the database has written everything down. The database names
//! the round that continues it, so entries of earlier rounds, which still lie behind the last one, are never taken for it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use bytes::{Buf as _, Bytes};

use super::file;
use crate::crypto::{Entropy as _, SystemEntropy};
use crate::durable_files;
use crate::store::value::{CHECKSUM_BYTES, checksum};

/// Names a round: drawn at random, so that no two are taken for each other, not even in a copy of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Round(pub(super) u64);

impl Round {
    /// A new one.
    pub(super) fn draw() -> io::Result<Self> {
        let mut bytes = [0; 8];
        SystemEntropy::new().fill(&mut bytes).map_err(io::Error::other)?;
        Ok(Self(u64::from_be_bytes(bytes)))
    }
}

/// What a transaction left: one entry of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// The number of the transaction.
    pub(super) epoch: u64,
    /// The records as they were after it, encoded.
    pub(super) records: Vec<Bytes>,
}

pub(super) struct Journal {
    file: File,
    capacity: u64,
    /// `None` until the database names one.
    round: Option<Round>,
    end: u64,
    /// Kept for the next entry.
    buffer: Vec<u8>,
}

/// `checksum (16) round (8) epoch (8) length of the records (4)`, numbers big-endian, then the records, each after its
/// length (4). The checksum is over all that follows it.
const HEADER_BYTES: usize = 36;
const LENGTH_BYTES: usize = 4;

/// Entries begin at multiples of this: no write touches a block that holds an acknowledged one.
const BLOCK_BYTES: usize = 4096;

impl Journal {
    /// Opens the journal or makes it, and reads the entries of a round.
    ///
    /// It has `capacity` bytes, more if it once had more. Where the disk is too full for that, it stays shorter.
    pub(super) fn open(path: &Path, capacity: u64, round: Option<Round>) -> io::Result<(Self, Vec<Entry>)> {
        let file = file::owner_only(path)?;
        let length = lengthen(&file, capacity)?;
        // What is acknowledged by it must not hang on a name that a power failure takes.
        durable_files::synchronize_name(path)?;
        let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        file.read_exact_at(&mut bytes, 0)?;
        let mut journal = Self { file, capacity: length, round, end: 0, buffer: Vec::new() };
        let mut entries = Vec::new();
        let mut rest = Bytes::from(bytes);
        while let Some((entry, entry_bytes)) = round.and_then(|round| decode(&rest, round)) {
            entries.push(entry);
            journal.end += entry_bytes as u64;
            rest.advance(entry_bytes.min(rest.len()));
        }
        Ok((journal, entries))
    }

    /// Whether an entry of records of these lengths can be appended to the round.
    pub(super) fn has_room(&self, lengths: impl Iterator<Item = usize>) -> bool {
        let bytes = lengths.fold(HEADER_BYTES, |sum, length| sum + LENGTH_BYTES + length);
        self.round.is_some() && self.end + padded(bytes) as u64 <= self.capacity
    }

    /// Appends an entry that there [is room](Self::has_room) for; it is on the disk when this returns.
    ///
    /// After an error it may be there or not: the journal has to be opened again.
    pub(super) fn append<'r>(
        &mut self,
        epoch: u64,
        records: impl Iterator<Item = &'r Bytes>,
    ) -> io::Result<()> {
        let round = self.round.ok_or_else(|| io::Error::other("the journal has no round"))?;
        encode(&mut self.buffer, round, epoch, records);
        if self.end + self.buffer.len() as u64 > self.capacity {
            return Err(io::Error::other("the entry is longer than the rest of the journal"));
        }
        self.file.write_all_at(&self.buffer, self.end)?;
        self.file.sync_data()?;
        self.end += self.buffer.len() as u64;
        Ok(())
    }

    /// Begins the round that the database names since it has written everything down.
    pub(super) fn begin(&mut self, round: Round) {
        (self.round, self.end) = (Some(round), 0);
    }
}

/// Gives the file blocks of its own, so that writing an entry changes nothing but these; returns how long it is.
fn lengthen(file: &File, capacity: u64) -> io::Result<u64> {
    let length = file.metadata()?.len();
    if length >= capacity {
        return Ok(length);
    }
    let zeros = vec![0; usize::try_from(capacity - length).map_err(io::Error::other)?];
    match file.write_all_at(&zeros, length).and_then(|()| file.sync_all()) {
        Ok(()) => Ok(capacity),
        Err(error) => {
            tracing::warn!(%error, "the journal of the store is shorter than it should be: commits are slower");
            file.set_len(length)?;
            Ok(length)
        }
    }
}

fn padded(bytes: usize) -> usize {
    bytes.next_multiple_of(BLOCK_BYTES)
}

fn encode<'r>(buffer: &mut Vec<u8>, round: Round, epoch: u64, records: impl Iterator<Item = &'r Bytes>) {
    buffer.clear();
    buffer.resize(CHECKSUM_BYTES, 0);
    buffer.extend_from_slice(&round.0.to_be_bytes());
    buffer.extend_from_slice(&epoch.to_be_bytes());
    buffer.extend_from_slice(&[0; LENGTH_BYTES]);
    for record in records {
        buffer.extend_from_slice(&length(record.len()));
        buffer.extend_from_slice(record);
    }
    let records_bytes = length(buffer.len() - HEADER_BYTES);
    buffer[HEADER_BYTES - LENGTH_BYTES..HEADER_BYTES].copy_from_slice(&records_bytes);
    let checksum = checksum(&buffer[CHECKSUM_BYTES..]);
    buffer[..CHECKSUM_BYTES].copy_from_slice(&checksum);
    buffer.resize(padded(buffer.len()), 0);
}

/// Lengths are far below 4 GiB: a transaction has [`batch_commits`](super::EmbeddedLimits::batch_commits) of a message each,
/// and what is longer than the journal is not written to it.
fn length(bytes: usize) -> [u8; LENGTH_BYTES] {
    u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes()
}

/// The first entry and how many bytes it takes; `None` where no entry of the round begins.
fn decode(bytes: &Bytes, round: Round) -> Option<(Entry, usize)> {
    let mut header = bytes.get(CHECKSUM_BYTES..HEADER_BYTES)?;
    let (found, epoch, length) = (Round(header.get_u64()), header.get_u64(), header.get_u32() as usize);
    let end = HEADER_BYTES.checked_add(length)?;
    let checked = bytes.get(CHECKSUM_BYTES..end)?;
    if found != round || checksum(checked) != bytes[..CHECKSUM_BYTES] {
        return None;
    }
    let mut rest = bytes.slice(HEADER_BYTES..end);
    let mut records = Vec::new();
    while !rest.is_empty() {
        let length = rest.try_get_u32().ok()? as usize;
        (length <= rest.len()).then(|| records.push(rest.split_to(length)))?;
    }
    Some((Entry { epoch, records }, padded(end)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;

    use super::*;

    const CAPACITY: u64 = 16 * BLOCK_BYTES as u64;

    fn entry(epoch: u64, lengths: &[usize]) -> Entry {
        let records = lengths.iter().map(|length| Bytes::from(vec![epoch as u8; *length])).collect();
        Entry { epoch, records }
    }

    fn append(journal: &mut Journal, entry: &Entry) -> bool {
        let has_room = journal.has_room(entry.records.iter().map(Bytes::len));
        if has_room {
            journal.append(entry.epoch, entry.records.iter()).unwrap();
        }
        has_room
    }

    /// A journal of a round that holds these entries.
    fn journal(path: &Path, round: Round, entries: &[Entry]) -> Journal {
        let (mut journal, _) = Journal::open(path, CAPACITY, None).unwrap();
        journal.begin(round);
        assert!(entries.iter().all(|entry| append(&mut journal, entry)));
        journal
    }

    fn entries(path: &Path, round: Round) -> Vec<Entry> {
        Journal::open(path, CAPACITY, Some(round)).unwrap().1
    }

    #[test]
    fn entries_come_back_and_others_follow_them() {
        let keep = tempfile::tempdir().unwrap();
        let (path, round) = (keep.path().join("journal"), Round::draw().unwrap());
        let mut written = vec![entry(1, &[5]), entry(2, &[BLOCK_BYTES, 0, 3]), entry(3, &[])];
        drop(journal(&path, round, &written));
        let (mut journal, found) = Journal::open(&path, CAPACITY, Some(round)).unwrap();
        assert_eq!(found, written);
        written.push(entry(4, &[700; 9]));
        assert!(append(&mut journal, &written[3]));
        assert_eq!(entries(&path, round), written);
    }

    #[test]
    fn an_entry_of_another_round_is_none() {
        let keep = tempfile::tempdir().unwrap();
        let (path, rounds) = (keep.path().join("journal"), [Round::draw().unwrap(), Round::draw().unwrap()]);
        let mut journal = journal(&path, rounds[0], &[entry(1, &[9]), entry(2, &[9]), entry(3, &[9])]);
        assert_eq!(entries(&path, rounds[1]), []);
        journal.begin(rounds[1]);
        assert!(append(&mut journal, &entry(4, &[9])));
        // Two entries of the first round still lie behind it.
        assert_eq!(entries(&path, rounds[1]), [entry(4, &[9])]);
        assert_eq!(entries(&path, rounds[0]), []);
    }

    #[test]
    fn what_does_not_fit_has_no_room() {
        let keep = tempfile::tempdir().unwrap();
        let (path, round) = (keep.path().join("journal"), Round::draw().unwrap());
        let (journal_without_round, _) = Journal::open(&path, CAPACITY, None).unwrap();
        assert!(!journal_without_round.has_room([1].into_iter()));
        let mut journal = journal(&path, round, &[]);
        assert!(!append(&mut journal, &entry(1, &[CAPACITY as usize])));
        let exact = CAPACITY as usize - HEADER_BYTES - LENGTH_BYTES;
        assert!(append(&mut journal, &entry(1, &[exact])) && !append(&mut journal, &entry(2, &[])));
        assert_eq!(entries(&path, round), [entry(1, &[exact])]);
        // It is made longer, never shorter.
        for (capacity, length) in [(2 * CAPACITY, 2 * CAPACITY), (CAPACITY, 2 * CAPACITY)] {
            let (_, found) = Journal::open(&path, capacity, Some(round)).unwrap();
            assert_eq!((found.len(), fs::metadata(&path).unwrap().len()), (1, length));
        }
    }

    /// A crash may leave any part of the last entry; a damaged one ends the round, too.
    #[test]
    fn any_damage_ends_the_round_before_it() {
        let keep = tempfile::tempdir().unwrap();
        let (path, round) = (keep.path().join("journal"), Round::draw().unwrap());
        let written = [entry(1, &[5]), entry(2, &[40, 3])];
        drop(journal(&path, round, &written));
        let whole = fs::read(&path).unwrap();
        let second = BLOCK_BYTES..BLOCK_BYTES + HEADER_BYTES + 2 * LENGTH_BYTES + 43;
        for at in second.clone() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            fs::write(&path, &damaged).unwrap();
            assert_eq!(entries(&path, round), written[..1], "{at}");
            // Torn: what would follow was not written yet.
            damaged[at..].fill(0);
            fs::write(&path, &damaged).unwrap();
            assert_eq!(entries(&path, round), written[..1], "{at}");
        }
        fs::write(&path, &whole[..second.end]).unwrap();
        assert_eq!(entries(&path, round), written);
    }
}
