//! What a log is when it is opened: what the journal and the tiles hold, and whether that is what was signed.
//!
//! Only the last group of the journal can be torn, because each is durable before the next is written, and then nobody
//! has been told that its events are remembered: it is cut off. Tiles whose entries are in the journal still may be
//! torn as well; they are written again. Whatever else differs from what is signed is damage, and the log stays shut.

use std::path::Path;

use super::checkpoint::SignedCheckpoint;
use super::entries::Entries;
use super::error::LogError;
use super::journal::{Group, Journal, Replay};
use super::merkle::{FullTile, Hash, TILE_WIDTH, Tree, leaf_hash};
use super::note::VerifierKey;
use super::tiles::{Tiles, encode_tile};
use super::verification;
use crate::durable_files::{self, Readers};

/// Bytes that a disk writes at once, or not at all.
const SECTOR_BYTES: usize = 512;

/// What has been recovered.
pub(super) struct Recovered {
    pub(super) tree: Tree,
    /// The entries before the tail.
    pub(super) base: u64,
    /// The entries whose tiles may not be durable.
    pub(super) tail: Entries,
    /// Full tiles over the tail.
    pub(super) full: Vec<FullTile>,
    pub(super) signed: SignedCheckpoint,
}

/// Whether there is a log, even a damaged one, in the directory.
pub(super) fn exists(directory: &Path) -> Result<bool, LogError> {
    for name in ["journal", "checkpoint", "tile"] {
        let path = directory.join(name);
        if std::fs::exists(&path).map_err(LogError::at(&path))? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Reads a log that exists. The newest `checked_entries` of those in tiles are hashed anew.
pub(super) fn recover(
    directory: &Path,
    key: &VerifierKey,
    checked_entries: u64,
) -> Result<Recovered, LogError> {
    let tiles = Tiles::new(directory);
    let recovered = replay(directory, &tiles, key)?;
    check_published(&tiles, key, &recovered)?;
    check_tail(&tiles, &recovered)?;
    tiles.check_presence(recovered.base)?;
    verification::check_newest(&tiles, recovered.base, checked_entries)?;
    Ok(recovered)
}

/// Reads the journal over the tiles before it.
fn replay(directory: &Path, tiles: &Tiles, key: &VerifierKey) -> Result<Recovered, LogError> {
    let path = Journal::path(directory);
    let content = durable_files::read(&path).map_err(LogError::at(&path))?;
    let content = content.ok_or_else(|| LogError::damaged(&path, "the file is missing"))?;
    let replay = Replay::new(content).filter(|replay| replay.base % TILE_WIDTH == 0);
    let mut replay = replay.ok_or_else(|| LogError::damaged(&path, "this is not a journal"))?;
    let mut tree = tiles.tree(replay.base)?;
    let (mut tail, mut full, mut signed) = (Entries::default(), Vec::new(), None);
    while let Some((group, end)) = replay.peek() {
        let Some(accepted) = accept(&tree, &group, key) else { break };
        tree = accepted.0;
        full.extend(accepted.1);
        signed = Some(accepted.2);
        group.entries.iter().for_each(|entry| tail.push(entry));
        replay.accept(end);
    }
    let signed = signed.ok_or_else(|| {
        LogError::damaged(&path, "its first group does not fit the tiles, or is not signed by this log's key")
    })?;
    check_torn(&path, replay.rest(), key.name())?;
    Ok(Recovered { tree, base: replay.base, tail, full, signed })
}

/// The tree with a group added, if the group's checkpoint covers just that.
fn accept(tree: &Tree, group: &Group, key: &VerifierKey) -> Option<(Tree, Vec<FullTile>, SignedCheckpoint)> {
    let (mut tree, mut full) = (tree.clone(), Vec::new());
    for entry in &group.entries {
        tree.push(leaf_hash(entry), &mut full);
    }
    let signed = SignedCheckpoint::open(&group.note, key).ok()?;
    let fits = signed.size() == tree.size() && *signed.root() == tree.root();
    fits.then_some((tree, full, signed))
}

/// That what is left of the journal can be one torn group: then there is one checkpoint in it at most.
fn check_torn(path: &Path, rest: &[u8], origin: &str) -> Result<(), LogError> {
    if rest.is_empty() {
        return Ok(());
    }
    // Counted by their first and by their last line, so that one change hides none. An entry has no line feed in it,
    // and so nothing that looks like either.
    let checkpoints = count(rest, &format!("{origin}\n")).max(count(rest, &format!("\n\u{2014} {origin} ")));
    if checkpoints > 1 {
        return Err(LogError::damaged(path, "entries that a checkpoint in it covers differ"));
    }
    tracing::warn!(path = %path.display(), bytes = rest.len(), "cut a torn group off the audit log");
    Ok(())
}

fn count(bytes: &[u8], pattern: &str) -> usize {
    bytes.windows(pattern.len()).filter(|window| *window == pattern.as_bytes()).count()
}

/// That the log goes on from the checkpoint that was published.
fn check_published(tiles: &Tiles, key: &VerifierKey, recovered: &Recovered) -> Result<(), LogError> {
    let path = tiles.checkpoint_path();
    let content = durable_files::read(&path).map_err(LogError::at(&path))?.unwrap_or_default();
    // Published without synchronization, it may be empty after a power failure. The journal has a later one.
    if content.is_empty() {
        return Ok(());
    }
    let note = String::from_utf8_lossy(&content);
    let published =
        SignedCheckpoint::open(&note, key).map_err(|source| LogError::Note { path: path.clone(), source })?;
    let (covered, found) = (published.size(), recovered.tree.size());
    if covered > found {
        let reason = format!("it covers {covered} entries, but only {found} are there");
        return Err(LogError::damaged(&path, reason));
    }
    if root_at(tiles, recovered, covered)? != *published.root() {
        return Err(LogError::damaged(&path, format!("the first {covered} entries are not what it covers")));
    }
    Ok(())
}

fn root_at(tiles: &Tiles, recovered: &Recovered, size: u64) -> Result<Hash, LogError> {
    let mut tree = tiles.tree(size.min(recovered.base))?;
    for entry in recovered.tail.iter().take(size.saturating_sub(recovered.base) as usize) {
        tree.push(leaf_hash(entry), &mut Vec::new());
    }
    Ok(tree.root())
}

/// That the tiles over the tail are what it says, where they are there. Torn ones are written again.
fn check_tail(tiles: &Tiles, recovered: &Recovered) -> Result<(), LogError> {
    for tile in &recovered.full {
        check_file(&tiles.tile_path(tile.level, tile.index, TILE_WIDTH), || encode_tile(&tile.hashes))?;
    }
    for (level, hashes) in recovered.tree.edges().iter().enumerate() {
        let index = (recovered.tree.size() >> (8 * level)) / TILE_WIDTH;
        for width in 1..=hashes.len() {
            let path = tiles.tile_path(level, index, width as u64);
            check_file(&path, || encode_tile(&hashes[..width]))?;
        }
    }
    let (first, tail, width) = (recovered.base / TILE_WIDTH, &recovered.tail, TILE_WIDTH as usize);
    let entries = |from: usize, count: usize| tail.encoded_range(from..from + count).to_vec();
    for (index, from) in (first..).zip((0..tail.len()).step_by(width)) {
        let there = (tail.len() - from).min(width);
        // Of a full bundle the incomplete forms are gone, or going.
        for count in if there == width { width..=width } else { 1..=there } {
            check_file(&tiles.bundle_path(index, count as u64), || entries(from, count))?;
        }
    }
    Ok(())
}

fn check_file(path: &Path, expected: impl FnOnce() -> Vec<u8>) -> Result<(), LogError> {
    let Some(content) = durable_files::read(path).map_err(LogError::at(path))? else { return Ok(()) };
    let expected = expected();
    if content == expected {
        return Ok(());
    }
    if !is_torn(&content, &expected) {
        return Err(LogError::damaged(path, "it is not what the checkpoint covers"));
    }
    tracing::warn!(path = %path.display(), "a torn file of the audit log is written again");
    durable_files::replace_for_now(path, Readers::Everybody, &expected).map(drop).map_err(LogError::at(path))
}

/// Whether a power failure can have made this of a file: some of its sectors were not written, or its end.
fn is_torn(content: &[u8], expected: &[u8]) -> bool {
    let mut sectors = content.chunks(SECTOR_BYTES).zip(expected.chunks(SECTOR_BYTES));
    content.len() <= expected.len()
        && sectors.all(|(found, wanted)| wanted.starts_with(found) || found.iter().all(|byte| *byte == 0))
}
