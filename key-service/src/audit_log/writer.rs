//! The writer: one thread that makes groups of events durable, and publishes tiles.
//!
//! A group is one write to the journal and one synchronization; then its events are remembered, and whoever waits for
//! them is told. Tiles and the checkpoint file follow, without synchronization, since the journal has it all. Once the
//! journal is long, its full tiles are synchronized beside it, and then it begins anew without what they hold.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::checkpoint::SignedCheckpoint;
use super::entries::Entries;
use super::error::LogError;
use super::journal::{Journal, encode_group};
use super::merkle::{FullTile, TILE_WIDTH, Tree, leaf_hash};
use super::note::SigningKey;
use super::recovery::{self, Recovered};
use super::settings::AuditLogSettings;
use super::settling::Settling;
use super::tiles::{Tiles, encode_tile};
use crate::durable_files::{self, Readers};
use crate::port::AuditError;

/// Bytes of entries that the journal holds before its tiles are made certain.
const JOURNAL_BYTES: usize = 16 << 20;

/// Groups of the journal before that: when a log is opened, the signature of each is verified.
const JOURNAL_GROUPS: usize = 2_048;

/// How many times too long the journal may grow while its tiles become certain. Then the writer waits for them.
const LONGEST: usize = 2;

pub(super) struct Writer {
    directory: PathBuf,
    tiles: Tiles,
    maximum_journal_entries: usize,
    key: SigningKey,
    tree: Tree,
    signed: SignedCheckpoint,
    /// `None` when nobody knows what the file holds.
    journal: Option<Journal>,
    /// The groups in it.
    groups: usize,
    /// The entries before the tail: full bundles, durable.
    base: u64,
    /// The entries whose tiles may not be durable.
    tail: Entries,
    /// Full tiles over the tail.
    full: Vec<FullTile>,
    /// The first so many of them are in files already.
    written_tiles: usize,
    /// The first so many full bundles of the tail are in files already.
    written_bundles: usize,
    /// Files that become certain.
    settling: Option<Settling>,
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
            Recovered { tree, base: 0, tail: Entries::default(), full: Vec::new(), signed }
        };
        let mut writer = Self {
            directory: directory.to_owned(),
            tiles: Tiles::new(directory),
            maximum_journal_entries: settings.maximum_journal_entries,
            key,
            tree: recovered.tree,
            signed: recovered.signed,
            journal: None,
            groups: 0,
            base: recovered.base,
            tail: recovered.tail,
            full: recovered.full,
            written_tiles: 0,
            written_bundles: 0,
            settling: None,
            published: None,
        };
        // Also cuts off what was torn.
        writer.journal = Some(writer.begin_journal()?);
        writer.publish()?;
        Ok(writer)
    }

    /// Makes entries durable. They get the indices from the one that is answered.
    pub(super) fn append(&mut self, entries: &Entries) -> Result<u64, AuditError> {
        self.append_group(entries).map_err(|error| AuditError(error.to_string()))
    }

    fn append_group(&mut self, entries: &Entries) -> Result<u64, LogError> {
        let first = self.tree.size();
        let (mut tree, mut full) = (self.tree.clone(), Vec::new());
        for entry in entries.iter() {
            tree.push(leaf_hash(entry), &mut full);
        }
        let signed = SignedCheckpoint::sign(tree.size(), tree.root(), &self.key)
            .map_err(|source| LogError::Note { path: Journal::path(&self.directory), source })?;
        let group = encode_group(entries, signed.as_str());
        if let Err(error) = self.journal()?.append(&group) {
            self.journal = None;
            return Err(LogError::at(&Journal::path(&self.directory))(error));
        }
        self.tree = tree;
        self.signed = signed;
        self.groups += 1;
        self.full.extend(full);
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
        if self.settling.is_none() && self.is_long(1) {
            self.settling = Some(self.settle()?);
        }
        let is_due = |settling: &Settling| settling.is_finished() || self.is_long(LONGEST);
        let is_due = self.settling.as_ref().is_some_and(is_due);
        let journal = match self.journal.take() {
            Some(journal) if !is_due => journal,
            _ => self.begin_journal()?,
        };
        Ok(self.journal.insert(journal))
    }

    /// Whether the journal is so many times too long, and may be shorter.
    fn is_long(&self, times: usize) -> bool {
        let is_long = self.tail.len() >= times * self.maximum_journal_entries
            || self.tail.encoded().len() >= times * JOURNAL_BYTES
            || self.groups >= times * JOURNAL_GROUPS;
        is_long && self.tail.len() as u64 >= TILE_WIDTH
    }

    /// Begins to make full tiles certain.
    fn settle(&mut self) -> Result<Settling, LogError> {
        self.write_full()?;
        let tiles = self.full.iter().map(|tile| self.tile_path(tile)).collect();
        let bundles = (0..self.written_bundles).map(|bundle| self.bundle_path(bundle)).collect();
        Settling::begin(&self.directory, tiles, bundles)
    }

    /// Waits until full tiles are certain, and begins a journal of what they do not hold.
    fn begin_journal(&mut self) -> Result<Journal, LogError> {
        let settling = match self.settling.take() {
            Some(settling) => settling,
            None => self.settle()?,
        };
        let (tiles, bundles) = (settling.tiles, settling.bundles);
        if let Err(error) = settling.finish() {
            // What the disk has refused once it may seem to have taken when it is asked again: all is written anew.
            (self.written_tiles, self.written_bundles) = (0, 0);
            return Err(error);
        }
        self.full.drain(..tiles);
        self.tail.drop_first(bundles * TILE_WIDTH as usize);
        self.base += bundles as u64 * TILE_WIDTH;
        self.written_tiles -= tiles;
        self.written_bundles -= bundles;
        let group = encode_group(&self.tail, self.signed.as_str());
        let journal = Journal::replace(&self.directory, self.base, &group)
            .map_err(LogError::at(&Journal::path(&self.directory)))?;
        self.groups = 1;
        Ok(journal)
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
        write_file(&path, self.signed.as_str().as_bytes())?;
        self.published = Some(self.tree.size());
        Ok(())
    }

    fn write_full(&mut self) -> Result<(), LogError> {
        while let Some(tile) = self.full.get(self.written_tiles) {
            write_file_and_remove_partial(&self.tile_path(tile), &encode_tile(&tile.hashes))?;
            self.written_tiles += 1;
        }
        let width = TILE_WIDTH as usize;
        while (self.written_bundles + 1) * width <= self.tail.len() {
            let from = self.written_bundles * width;
            let entries = self.tail.encoded_range(from..from + width);
            write_file_and_remove_partial(&self.bundle_path(self.written_bundles), entries)?;
            self.written_bundles += 1;
        }
        Ok(())
    }

    fn tile_path(&self, tile: &FullTile) -> PathBuf {
        self.tiles.tile_path(tile.level, tile.index, TILE_WIDTH)
    }

    /// The file of a full bundle of the tail.
    fn bundle_path(&self, bundle: usize) -> PathBuf {
        self.tiles.bundle_path(self.base / TILE_WIDTH + bundle as u64, TILE_WIDTH)
    }

    fn write_partial(&self) -> Result<(), LogError> {
        for (level, hashes) in self.tree.edges().iter().enumerate() {
            let index = (self.tree.size() >> (8 * level)) / TILE_WIDTH;
            let path = self.tiles.tile_path(level, index, hashes.len() as u64);
            if !hashes.is_empty() && !exists(&path)? {
                write_file(&path, &encode_tile(hashes))?;
            }
        }
        let (from, to) = (self.written_bundles * TILE_WIDTH as usize, self.tail.len());
        let path = self.tiles.bundle_path(self.tree.size() / TILE_WIDTH, (to - from) as u64);
        if from < to && !exists(&path)? {
            write_file(&path, self.tail.encoded_range(from..to))?;
        }
        Ok(())
    }
}

fn exists(path: &Path) -> Result<bool, LogError> {
    fs::exists(path).map_err(LogError::at(path))
}

fn write_file(path: &Path, content: &[u8]) -> Result<(), LogError> {
    if let Some(parent) = path.parent() {
        durable_files::make_folder(parent).map_err(LogError::at(parent))?;
    }
    durable_files::replace_for_now(path, Readers::Everybody, content).map(drop).map_err(LogError::at(path))
}

/// Writes what is complete, and removes its incomplete forms.
fn write_file_and_remove_partial(full: &Path, content: &[u8]) -> Result<(), LogError> {
    write_file(full, content)?;
    let path = Tiles::partial_directory(full);
    match fs::remove_dir_all(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(LogError::at(&path)(error)),
        _ => Ok(()),
    }
}
