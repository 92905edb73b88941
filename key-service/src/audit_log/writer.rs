//! The writer: one thread that makes groups of events durable, and publishes tiles.
//!
//! A group is one write to the journal and one synchronization; then its events are remembered, and whoever waits for
//! them is told. Tiles and the checkpoint file follow, without synchronization, since the journal has it all. Once the
//! journal is long, its full tiles are synchronized and it begins anew.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::checkpoint::SignedCheckpoint;
use super::error::LogError;
use super::files;
use super::journal::{Journal, encode_group};
use super::merkle::{FullTile, TILE_WIDTH, Tree, leaf_hash};
use super::note::SigningKey;
use super::recovery::{self, Recovered};
use super::settings::AuditLogSettings;
use super::tiles::{Tiles, encode_bundle, encode_tile};
use crate::port::AuditError;

/// Bytes of entries that the journal holds before it begins anew.
const JOURNAL_BYTES: usize = 4 << 20;

pub(super) struct Writer {
    directory: PathBuf,
    tiles: Tiles,
    maximum_journal_entries: usize,
    key: SigningKey,
    tree: Tree,
    signed: SignedCheckpoint,
    /// `None` when nobody knows what the file holds.
    journal: Option<Journal>,
    /// The entries before the tail: full bundles, durable.
    base: u64,
    /// The entries whose tiles may not be durable.
    tail: Vec<Bytes>,
    tail_bytes: usize,
    /// Full tiles that are not in files yet.
    full: Vec<FullTile>,
    /// Full bundles of the tail that are in files already.
    bundles: usize,
    /// Files that are not certain yet.
    unsynchronized: Vec<PathBuf>,
    /// The size of the checkpoint file.
    published: Option<u64>,
}

impl Writer {
    /// Opens a log, or begins a new one.
    pub(super) fn open(
        directory: &Path,
        key: SigningKey,
        settings: &AuditLogSettings,
    ) -> Result<Self, LogError> {
        let recovered = if recovery::exists(directory)? {
            recovery::recover(directory, key.verifier(), settings.entries_checked_at_start)?
        } else {
            let tree = Tree::default();
            let signed = SignedCheckpoint::sign(0, tree.root(), &key)
                .map_err(|source| LogError::Note { path: directory.to_owned(), source })?;
            Recovered { tree, base: 0, tail: Vec::new(), full: Vec::new(), signed }
        };
        let mut writer = Self {
            directory: directory.to_owned(),
            tiles: Tiles::new(directory),
            maximum_journal_entries: settings.maximum_journal_entries,
            key,
            tree: recovered.tree,
            signed: recovered.signed,
            journal: None,
            base: recovered.base,
            tail_bytes: recovered.tail.iter().map(Bytes::len).sum(),
            tail: recovered.tail,
            full: recovered.full,
            bundles: 0,
            unsynchronized: Vec::new(),
            published: None,
        };
        // Also cuts off what was torn.
        writer.journal = Some(writer.begin_journal()?);
        writer.publish()?;
        Ok(writer)
    }

    /// Makes entries durable. They get the indices from the one that is answered.
    pub(super) fn append(&mut self, entries: Vec<Bytes>) -> Result<u64, AuditError> {
        self.append_group(entries).map_err(|error| AuditError(error.to_string()))
    }

    fn append_group(&mut self, entries: Vec<Bytes>) -> Result<u64, LogError> {
        let first = self.tree.size();
        let (mut tree, mut full) = (self.tree.clone(), Vec::new());
        for entry in &entries {
            tree.push(leaf_hash(entry), &mut full);
        }
        let signed = SignedCheckpoint::sign(tree.size(), tree.root(), &self.key)
            .map_err(|source| LogError::Note { path: Journal::path(&self.directory), source })?;
        let group = encode_group(&entries, signed.as_str());
        if let Err(error) = self.journal()?.append(&group) {
            self.journal = None;
            return Err(LogError::at(&Journal::path(&self.directory))(error));
        }
        self.tree = tree;
        self.signed = signed;
        self.full.extend(full);
        self.tail_bytes += entries.iter().map(Bytes::len).sum::<usize>();
        self.tail.extend(entries);
        Ok(first)
    }

    /// The number of entries.
    pub(super) fn size(&self) -> u64 {
        self.tree.size()
    }

    /// Begins the journal anew: after an error, that shows whether the disk takes something again.
    pub(super) fn renew(&mut self) -> Result<(), LogError> {
        self.journal = None;
        self.journal().map(drop)
    }

    /// The journal, which begins anew if it must.
    fn journal(&mut self) -> Result<&mut Journal, LogError> {
        let long = self.tail.len() >= self.maximum_journal_entries || self.tail_bytes >= JOURNAL_BYTES;
        let begin = long && self.tail.len() as u64 >= TILE_WIDTH;
        let journal = match self.journal.take() {
            Some(journal) if !begin => journal,
            _ => self.begin_journal()?,
        };
        Ok(self.journal.insert(journal))
    }

    /// Makes full tiles certain, and a journal of what they do not hold.
    fn begin_journal(&mut self) -> Result<Journal, LogError> {
        self.write_full()?;
        self.synchronize()?;
        let in_tiles = self.bundles * TILE_WIDTH as usize;
        let base = self.base + in_tiles as u64;
        let group = encode_group(&self.tail[in_tiles..], self.signed.as_str());
        let journal = Journal::replace(&self.directory, base, &group)
            .map_err(LogError::at(&Journal::path(&self.directory)))?;
        self.base = base;
        self.bundles = 0;
        self.tail.drain(..in_tiles);
        self.tail_bytes = self.tail.iter().map(Bytes::len).sum();
        Ok(journal)
    }

    fn synchronize(&mut self) -> Result<(), LogError> {
        let mut directories = BTreeSet::new();
        for path in &self.unsynchronized {
            files::synchronize(path).map_err(LogError::at(path))?;
            let above = path.ancestors().skip(1).take_while(|above| *above != self.directory);
            directories.extend(above.map(Path::to_owned));
            directories.insert(self.directory.clone());
        }
        for path in directories {
            files::synchronize(&path).map_err(LogError::at(&path))?;
        }
        self.unsynchronized.clear();
        Ok(())
    }

    /// Whether all that is remembered has been published.
    pub(super) fn is_published(&self) -> bool {
        self.published == Some(self.tree.size())
    }

    /// Writes the tiles and bundles of the latest checkpoint, then the checkpoint.
    pub(super) fn publish(&mut self) -> Result<(), LogError> {
        if self.is_published() {
            return Ok(());
        }
        self.write_full()?;
        self.write_partial()?;
        let path = self.tiles.checkpoint_path();
        files::replace(&path, self.signed.as_str().as_bytes()).map_err(LogError::at(&path))?;
        self.published = Some(self.tree.size());
        Ok(())
    }

    fn write_full(&mut self) -> Result<(), LogError> {
        while let Some(tile) = self.full.last() {
            let path = self.tiles.tile_path(tile.level, tile.index, TILE_WIDTH);
            write_file(&path, &encode_tile(&tile.hashes))?;
            remove_partial(&path)?;
            self.unsynchronized.push(path);
            self.full.pop();
        }
        let width = TILE_WIDTH as usize;
        while let Some(entries) = self.tail.chunks_exact(width).nth(self.bundles) {
            let index = self.base / TILE_WIDTH + self.bundles as u64;
            let path = self.tiles.bundle_path(index, TILE_WIDTH);
            write_file(&path, &encode_bundle(entries))?;
            remove_partial(&path)?;
            self.unsynchronized.push(path);
            self.bundles += 1;
        }
        Ok(())
    }

    fn write_partial(&self) -> Result<(), LogError> {
        for (level, hashes) in self.tree.edges().iter().enumerate() {
            let index = (self.tree.size() >> (8 * level)) / TILE_WIDTH;
            let path = self.tiles.tile_path(level, index, hashes.len() as u64);
            if !hashes.is_empty() && !exists(&path)? {
                write_file(&path, &encode_tile(hashes))?;
            }
        }
        let entries = &self.tail[self.bundles * TILE_WIDTH as usize..];
        let path = self.tiles.bundle_path(self.tree.size() / TILE_WIDTH, entries.len() as u64);
        if !entries.is_empty() && !exists(&path)? {
            write_file(&path, &encode_bundle(entries))?;
        }
        Ok(())
    }
}

fn exists(path: &Path) -> Result<bool, LogError> {
    fs::exists(path).map_err(LogError::at(path))
}

fn write_file(path: &Path, content: &[u8]) -> Result<(), LogError> {
    if let Some(parent) = path.parent() {
        files::create_directory(parent).map_err(LogError::at(parent))?;
    }
    files::replace(path, content).map_err(LogError::at(path))?;
    Ok(())
}

/// Removes the incomplete forms of what is complete now.
fn remove_partial(full: &Path) -> Result<(), LogError> {
    let path = Tiles::partial_directory(full);
    match fs::remove_dir_all(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(LogError::at(&path)(error)),
        _ => Ok(()),
    }
}
