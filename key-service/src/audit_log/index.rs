//! Which entries tell that an object was destroyed or revoked: a file beside the tiles, so that a receipt is found without reading
//! the log. What it says is never believed: the entry is read and proved.
//!
//! Records of 24 bytes, in the order of the log: the first 16 bytes of the SHA-256 of the Unique Identifier, and the index of
//! the entry, big-endian. A record whose first bytes are zero only says how far the index reaches.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::entry::Entry;
use super::error::LogError;
use super::reader::LogReader;
use crate::crypto::sha256;

const KEY_BYTES: usize = 16;
const RECORD_BYTES: usize = KEY_BYTES + 8;
const MARK: [u8; KEY_BYTES] = [0; KEY_BYTES];

/// Bytes that a search reads at a time.
const CHUNK_BYTES: u64 = 2_730 * RECORD_BYTES as u64;

/// After so many entries without a record, one is written that says so: what an index lacks is read from the log when it is opened.
const ENTRIES_PER_MARK: u64 = 65_536;

/// The index of a log that is being written.
#[derive(Debug)]
pub(super) struct Index {
    file: File,
    length: u64,
    /// The entries that have been looked at.
    covered: u64,
    /// The entries that the last record says have been looked at.
    marked: u64,
}

impl Index {
    /// Opens the index of a published log, or makes one. What it lacks is read from the log.
    pub(super) fn open(directory: &Path, reader: &LogReader) -> Result<Self, LogError> {
        let path = path(directory);
        let size = reader.checkpoint().size();
        let file = File::options().create(true).truncate(false).read(true).write(true).open(&path);
        let file = file.map_err(LogError::at(&path))?;
        let (length, covered) = sound_part(&file, size).map_err(LogError::at(&path))?;
        file.set_len(length).map_err(LogError::at(&path))?;
        let mut index = Self { file, length, covered, marked: covered };
        let mut records = Vec::new();
        for (at, entry) in (covered..).zip(reader.entries(covered..size)) {
            // An entry of a younger form is none that this version gives receipts of.
            if let Ok(entry) = Entry::decode(&entry?) {
                let is_final = is_final(&entry);
                records.extend(is_final.then_some((entry.unique_identifier, at)));
            }
        }
        let records = records.iter().filter_map(|(object, at)| Some((object.as_deref()?, *at)));
        index.add(records, size).map_err(LogError::at(&path))?;
        Ok(index)
    }

    /// Adds entries. The log has `size` entries now.
    pub(super) fn add<'e>(
        &mut self,
        entries: impl Iterator<Item = (&'e str, u64)>,
        size: u64,
    ) -> io::Result<()> {
        let mut records = Vec::new();
        for (unique_identifier, index) in entries {
            records.extend_from_slice(&key(unique_identifier));
            records.extend_from_slice(&index.to_be_bytes());
            self.marked = index + 1;
        }
        let needs_mark = size.saturating_sub(self.marked) >= ENTRIES_PER_MARK;
        if needs_mark {
            records.extend_from_slice(&MARK);
            records.extend_from_slice(&(size - 1).to_be_bytes());
            self.marked = size;
        }
        if !records.is_empty() {
            self.file.write_all_at(&records, self.length)?;
            self.length += records.len() as u64;
        }
        if needs_mark {
            self.file.sync_data()?;
        }
        self.covered = size;
        Ok(())
    }
}

/// The operations that there are receipts of, once they have succeeded.
pub(super) const FINAL_OPERATIONS: &[&str] = &["Destroy", "Revoke"];

fn is_final(entry: &Entry) -> bool {
    entry.outcome == "Success" && FINAL_OPERATIONS.contains(&&*entry.operation)
}

/// The newest entry about an object that `accepts` takes; `None` if there is none. Reads the whole log where it has no index.
pub(super) fn find(
    directory: &Path,
    reader: &LogReader,
    unique_identifier: &str,
    accepts: impl Fn(&Entry) -> bool,
) -> Result<Option<u64>, LogError> {
    let size = reader.checkpoint().size();
    let path = path(directory);
    let fits = |index: u64| -> Result<bool, LogError> {
        let entry = Entry::decode(&reader.entry(index)?);
        Ok(entry.is_ok_and(|entry| {
            is_final(&entry)
                && entry.unique_identifier.as_deref() == Some(unique_identifier)
                && accepts(&entry)
        }))
    };
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            for index in (0..size).rev() {
                if fits(index)? {
                    return Ok(Some(index));
                }
            }
            return Ok(None);
        }
        Err(error) => return Err(LogError::at(&path)(error)),
    };
    let wanted = key(unique_identifier);
    let mut end = whole(file.metadata().map_err(LogError::at(&path))?.len());
    while end > 0 {
        let start = end.saturating_sub(CHUNK_BYTES);
        let mut chunk = vec![0; (end - start) as usize];
        file.read_exact_at(&mut chunk, start).map_err(LogError::at(&path))?;
        for record in chunk.as_chunks::<RECORD_BYTES>().0.iter().rev() {
            let (found, index) = split(record);
            if found == wanted && index < size && fits(index)? {
                return Ok(Some(index));
            }
        }
        end = start;
    }
    Ok(None)
}

fn path(directory: &Path) -> PathBuf {
    directory.join("receipts")
}

fn whole(length: u64) -> u64 {
    length / RECORD_BYTES as u64 * RECORD_BYTES as u64
}

/// The records from the beginning that can be of a log of `size` entries, and the entries that they cover. What a power failure
/// left behind is at the end.
fn sound_part(file: &File, size: u64) -> io::Result<(u64, u64)> {
    let mut length = whole(file.metadata()?.len());
    while length > 0 {
        let mut record = [0; RECORD_BYTES];
        file.read_exact_at(&mut record, length - RECORD_BYTES as u64)?;
        let (_, index) = split(&record);
        if index < size && record != [0; RECORD_BYTES] {
            return Ok((length, index + 1));
        }
        length -= RECORD_BYTES as u64;
    }
    Ok((0, 0))
}

fn split(record: &[u8; RECORD_BYTES]) -> (&[u8], u64) {
    let (key, index) = record.split_at(KEY_BYTES);
    (key, index.iter().fold(0, |index, byte| index << 8 | u64::from(*byte)))
}

fn key(unique_identifier: &str) -> [u8; KEY_BYTES] {
    let mut key = [0; KEY_BYTES];
    key.copy_from_slice(&sha256(unique_identifier.as_bytes())[..KEY_BYTES]);
    key
}
