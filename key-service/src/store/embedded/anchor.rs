//! The anchor: a small file beside the database that says how far the store had come.
//!
//! It tells a store that lost its records (a repair that found nothing, a file replaced by an older one) from a new
//! one. It is written after each transaction but not forced to the disk, so it never runs ahead of the database, and
//! falls behind only if the power fails.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use super::layout::Progress;
use crate::crypto::sha256;

/// `magic (8) epoch (8) records (8) checksum (8)`, numbers big-endian: within one sector, so written whole.
const ANCHOR_BYTES: usize = 32;
const MAGIC: &[u8; 8] = b"KRYPTAN1";
const CHECKED_BYTES: usize = 24;

pub(super) struct Anchor {
    file: File,
}

impl Anchor {
    /// Writes a new anchor, or over an old one, and forces it to the disk.
    pub(super) fn create(path: &Path, progress: Progress) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
        let anchor = Self { file };
        anchor.write(progress)?;
        anchor.file.set_len(ANCHOR_BYTES as u64)?;
        anchor.sync()?;
        Ok(anchor)
    }

    /// What an anchor says; `None` if there is none. One that makes no sense is an error of
    /// [`io::ErrorKind::InvalidData`].
    pub(super) fn read(path: &Path) -> io::Result<Option<Progress>> {
        let mut bytes = Vec::new();
        match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
            Ok(file) => file.take(ANCHOR_BYTES as u64 + 1).read_to_end(&mut bytes)?,
        };
        decode(&bytes).map(Some).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "damaged anchor"))
    }

    pub(super) fn write(&self, progress: Progress) -> io::Result<()> {
        self.file.write_all_at(&encode(progress), 0)
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }
}

fn encode(progress: Progress) -> [u8; ANCHOR_BYTES] {
    let mut bytes = [0; ANCHOR_BYTES];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..16].copy_from_slice(&progress.epoch.to_be_bytes());
    bytes[16..24].copy_from_slice(&progress.records.to_be_bytes());
    let digest = sha256(&bytes[..CHECKED_BYTES]);
    bytes[CHECKED_BYTES..].copy_from_slice(&digest[..ANCHOR_BYTES - CHECKED_BYTES]);
    bytes
}

fn decode(bytes: &[u8]) -> Option<Progress> {
    let bytes: &[u8; ANCHOR_BYTES] = bytes.try_into().ok()?;
    let number = |at: usize| bytes[at..].first_chunk().map(|chunk| u64::from_be_bytes(*chunk));
    let progress = Progress { epoch: number(8)?, records: number(16)? };
    (*bytes == encode(progress)).then_some(progress)
}
