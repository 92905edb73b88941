//! Checks entries against tiles, tiles against each other, and all against checkpoints.

use std::path::{Path, PathBuf};

use super::checkpoint::{Checkpoint, SignedCheckpoint};
use super::error::LogError;
use super::merkle::{FullTile, Hash, TILE_WIDTH, Tree, leaf_hash};
use super::tiles::Tiles;

/// Faults that a report lists at most.
pub const MAXIMUM_FAULTS: usize = 100;

/// Entries under a tile of level 1: where a check that does not begin at the beginning begins.
const CHECK_UNIT_ENTRIES: u64 = TILE_WIDTH * TILE_WIDTH;

/// What is wrong with a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogFault {
    /// A file is missing, or is not what it should be at all.
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// An entry is not what its hash says, or the hash is not what it was.
    Entry {
        /// The index of the entry.
        index: u64,
    },
    /// The log is not the one that the checkpoint covers.
    Root {
        /// The size of the checkpoint.
        size: u64,
    },
    /// The log does not go on from the earlier checkpoint.
    Earlier {
        /// The size of the earlier checkpoint.
        size: u64,
    },
}

impl std::fmt::Display for LogFault {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File { path, reason } => write!(formatter, "{}: {reason}", path.display()),
            Self::Entry { index } => write!(formatter, "entry {index} is not what its hash says"),
            Self::Root { size } => {
                write!(formatter, "the first {size} entries are not what the checkpoint covers")
            }
            Self::Earlier { size } => {
                write!(formatter, "the first {size} entries are not what the earlier checkpoint covers")
            }
        }
    }
}

/// What a check of a whole log has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The checkpoint that the log was checked against.
    pub checkpoint: Checkpoint,
    /// What is wrong, up to [`MAXIMUM_FAULTS`].
    pub faults: Vec<LogFault>,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.faults.is_empty()
    }
}

/// Checks every entry, every tile and every checkpoint of a log.
pub(super) fn check(tiles: &Tiles, signed: &SignedCheckpoint, earlier: Option<&SignedCheckpoint>) -> Report {
    let mut check = Check { tiles, size: signed.size(), tree: Tree::default(), faults: Vec::new() };
    if let Some(earlier) = earlier {
        check.up_to(earlier.size().min(signed.size()));
        if earlier.size() > signed.size() || check.tree.root() != *earlier.root() {
            check.fault(LogFault::Earlier { size: earlier.size() });
        }
    }
    check.up_to(signed.size());
    check.edges();
    if check.tree.root() != *signed.root() {
        check.fault(LogFault::Root { size: signed.size() });
    }
    Report { checkpoint: signed.checkpoint().clone(), faults: check.faults }
}

/// Checks the newest entries before `size`, which must be at the end of a bundle. What is before them is trusted.
pub(super) fn check_newest(tiles: &Tiles, size: u64, entries: u64) -> Result<(), LogError> {
    let start = size.saturating_sub(entries) / CHECK_UNIT_ENTRIES * CHECK_UNIT_ENTRIES;
    let mut check = Check { tiles, size, tree: tiles.tree(start)?, faults: Vec::new() };
    check.up_to(size);
    if check.faults.is_empty() && check.tree.root() != tiles.tree(size)?.root() {
        check.fault(LogFault::Root { size });
    }
    match check.faults.into_iter().next() {
        Some(LogFault::File { path, reason }) => Err(LogError::Damaged { path, reason }),
        Some(fault) => Err(LogError::damaged(Path::new("tile"), fault.to_string())),
        None => Ok(()),
    }
}

struct Check<'a> {
    tiles: &'a Tiles,
    /// The size that tiles and bundles have been published at.
    size: u64,
    tree: Tree,
    faults: Vec<LogFault>,
}

impl Check<'_> {
    fn fault(&mut self, fault: LogFault) {
        if self.faults.len() < MAXIMUM_FAULTS && !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }

    fn error(&mut self, error: LogError) {
        let fault = match error {
            LogError::Damaged { path, reason } => LogFault::File { path, reason },
            LogError::Io { path, source } => LogFault::File { path, reason: source.to_string() },
            other => LogFault::File { path: PathBuf::new(), reason: other.to_string() },
        };
        self.fault(fault);
    }

    /// Adds entries until the tree has `size`, each checked against its hash.
    fn up_to(&mut self, size: u64) {
        while self.tree.size() < size {
            let index = self.tree.size() / TILE_WIDTH;
            let Some(leaves) = self.leaves(index) else {
                // Without hashes there is nothing to go on with.
                return;
            };
            let known = (self.tree.size() % TILE_WIDTH) as usize;
            let wanted = (size - index * TILE_WIDTH).min(TILE_WIDTH) as usize;
            let mut full = Vec::new();
            for leaf in &leaves[known..wanted] {
                self.tree.push(*leaf, &mut full);
            }
            full.iter().filter(|tile| tile.level > 0).for_each(|tile| self.tile(tile));
        }
    }

    /// The hashes of a bundle's entries.
    fn leaves(&mut self, index: u64) -> Option<Vec<Hash>> {
        let width = (self.size - index * TILE_WIDTH).min(TILE_WIDTH);
        let hashes = self.tiles.tile(0, index, width).map_err(|error| self.error(error)).ok();
        let entries = self.tiles.bundle(index, width).map_err(|error| self.error(error)).ok();
        let computed =
            entries.map(|entries| entries.iter().map(|entry| leaf_hash(entry)).collect::<Vec<_>>());
        if let (Some(hashes), Some(computed)) = (&hashes, &computed) {
            for (position, _) in hashes.iter().zip(computed).enumerate().filter(|(_, (a, b))| a != b) {
                self.fault(LogFault::Entry { index: index * TILE_WIDTH + position as u64 });
            }
        }
        // The hashes go into the tree where they are there: then the root tells whether entries or hashes are wrong.
        hashes.or(computed)
    }

    fn tile(&mut self, expected: &FullTile) {
        let FullTile { level, index, hashes } = expected;
        match self.tiles.tile(*level, *index, hashes.len() as u64) {
            Ok(found) if found == *hashes => {}
            Ok(_) => {
                let path = self.tiles.tile_path(*level, *index, hashes.len() as u64);
                self.fault(LogFault::File { path, reason: "it does not fit the tiles below".to_owned() });
            }
            Err(error) => self.error(error),
        }
    }

    /// Checks the incomplete tiles above the bottom.
    fn edges(&mut self) {
        let size = self.tree.size();
        let edges = self.tree.edges().iter().enumerate().skip(1);
        let edges = edges.filter(|(_, hashes)| !hashes.is_empty()).map(|(level, hashes)| FullTile {
            level,
            index: (size >> (8 * level)) / TILE_WIDTH,
            hashes: hashes.clone(),
        });
        for tile in edges.collect::<Vec<_>>() {
            self.tile(&tile);
        }
    }
}
