//! The files of a log (<https://c2sp.org/tlog-tiles>): tiles of hashes, bundles of entries, the checkpoint.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::error::LogError;
use super::merkle::{Hash, Nodes, TILE_WIDTH, Tree, root_of};
use crate::durable_files;

const HASH_BYTES: usize = 32;
const FULL_TILE_BYTES: u64 = TILE_WIDTH * HASH_BYTES as u64;

/// Where the files of a log are.
#[derive(Debug, Clone)]
pub(super) struct Tiles {
    directory: PathBuf,
}

impl Tiles {
    pub(super) fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    /// The folder of the log.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The latest checkpoint that has been published.
    pub(super) fn checkpoint_path(&self) -> PathBuf {
        self.directory.join("checkpoint")
    }

    /// The file of a tile with so many hashes.
    pub(super) fn tile_path(&self, level: usize, index: u64, width: u64) -> PathBuf {
        self.directory.join(format!("tile/{level}/{}", numbered(index, width)))
    }

    /// The file of a bundle with so many entries.
    pub(super) fn bundle_path(&self, index: u64, width: u64) -> PathBuf {
        self.directory.join(format!("tile/entries/{}", numbered(index, width)))
    }

    /// Where the incomplete forms of a tile or bundle are, by the path of its full one.
    pub(super) fn partial_directory(full: &Path) -> PathBuf {
        full.with_extension("p")
    }

    /// The first `width` hashes of a tile.
    pub(super) fn tile(&self, level: usize, index: u64, width: u64) -> Result<Vec<Hash>, LogError> {
        let (path, content, expected) = self.first_of(width, |width| self.tile_path(level, index, width))?;
        let (hashes, rest) = content.as_chunks::<HASH_BYTES>();
        if hashes.len() as u64 != expected || !rest.is_empty() {
            return Err(LogError::damaged(&path, "the tile has the wrong length"));
        }
        Ok(hashes[..width as usize].to_vec())
    }

    /// The first `width` entries of a bundle.
    pub(super) fn bundle(&self, index: u64, width: u64) -> Result<Vec<Bytes>, LogError> {
        let (path, content, expected) = self.first_of(width, |width| self.bundle_path(index, width))?;
        let entries = decode_bundle(&Bytes::from(content)).filter(|entries| entries.len() as u64 == expected);
        let mut entries =
            entries.ok_or_else(|| LogError::damaged(&path, "this is not a whole entry bundle"))?;
        entries.truncate(width as usize);
        Ok(entries)
    }

    /// The incomplete form if it is there, else the full one, with what its width must be. In this order, because
    /// the incomplete forms go away while others read, but not before the full one is there.
    fn first_of(
        &self,
        width: u64,
        path: impl Fn(u64) -> PathBuf,
    ) -> Result<(PathBuf, Vec<u8>, u64), LogError> {
        for width in [width, TILE_WIDTH] {
            let path = path(width);
            if let Some(content) = durable_files::read(&path).map_err(LogError::at(&path))? {
                return Ok((path, content, width));
            }
        }
        Err(LogError::damaged(&path(width), "the file is missing"))
    }

    /// The tree of the first `size` entries, from full tiles alone: incomplete ones need not be there.
    pub(super) fn tree(&self, size: u64) -> Result<Tree, LogError> {
        let mut edges = Vec::new();
        let mut count = size;
        while count > 0 {
            let (index, width) = (count / TILE_WIDTH, count % TILE_WIDTH);
            edges.push(self.edge(edges.len(), index, width)?);
            count = index;
        }
        Ok(Tree::from_edges(edges))
    }

    /// The first hashes of a tile: at the bottom from the full tile, above from the full tiles below, since its own
    /// full form may be younger than what is asked for.
    fn edge(&self, level: usize, index: u64, width: u64) -> Result<Vec<Hash>, LogError> {
        if level == 0 && width > 0 {
            let mut hashes = self.tile(0, index, TILE_WIDTH)?;
            hashes.truncate(width as usize);
            return Ok(hashes);
        }
        let below = (0..width).map(|child| self.tile(level - 1, index * TILE_WIDTH + child, TILE_WIDTH));
        below.map(|hashes| Ok(root_of(&hashes?))).collect()
    }

    /// That the full tiles and bundles of the first `size` entries are there; not what is in them.
    pub(super) fn check_presence(&self, size: u64) -> Result<(), LogError> {
        for index in 0..size / TILE_WIDTH {
            let path = self.bundle_path(index, TILE_WIDTH);
            if length(&path)? == 0 {
                return Err(LogError::damaged(&path, "the entry bundle is empty"));
            }
        }
        let (mut level, mut count) = (0, size / TILE_WIDTH);
        while count > 0 {
            for index in 0..count {
                let path = self.tile_path(level, index, TILE_WIDTH);
                if length(&path)? != FULL_TILE_BYTES {
                    return Err(LogError::damaged(&path, "the tile has the wrong length"));
                }
            }
            (level, count) = (level + 1, count / TILE_WIDTH);
        }
        Ok(())
    }
}

/// The tiles of a log as it is published at some size.
pub(super) struct TreeFiles<'a> {
    pub(super) tiles: &'a Tiles,
    pub(super) size: u64,
}

impl Nodes for TreeFiles<'_> {
    type Error = LogError;

    fn node(&self, height: u8, index: u64) -> Result<Hash, LogError> {
        let (level, within) = (usize::from(height / 8), height % 8);
        let first = index << within;
        let tile = first / TILE_WIDTH;
        let hashes_of_level = self.size >> (8 * level);
        let width = (hashes_of_level - tile * TILE_WIDTH).min(TILE_WIDTH);
        let hashes = self.tiles.tile(level, tile, width)?;
        let start = (first % TILE_WIDTH) as usize;
        let end = start + (1 << within);
        let of_node = hashes.get(start..end).ok_or(LogError::OutOfRange { index, size: self.size })?;
        Ok(root_of(of_node))
    }
}

/// The bytes of a tile.
pub(super) fn encode_tile(hashes: &[Hash]) -> Vec<u8> {
    hashes.concat()
}

/// The first entry of a bundle, and how many bytes it takes with its length.
pub(super) fn decode_entry(bundle: &Bytes) -> Option<(Bytes, usize)> {
    let length = usize::from(u16::from_be_bytes(bundle.get(..2)?.try_into().ok()?));
    bundle.get(2..2 + length)?;
    Some((bundle.slice(2..2 + length), 2 + length))
}

fn decode_bundle(content: &Bytes) -> Option<Vec<Bytes>> {
    let (mut entries, mut at) = (Vec::new(), 0);
    while at < content.len() {
        let (entry, length) = decode_entry(&content.slice(at..))?;
        entries.push(entry);
        at += length;
    }
    Some(entries)
}

/// `x001/x234/067` and, for incomplete ones, `.p/W`.
fn numbered(index: u64, width: u64) -> String {
    let mut path = format!("{:03}", index % 1000);
    let mut rest = index / 1000;
    while rest > 0 {
        path = format!("x{:03}/{path}", rest % 1000);
        rest /= 1000;
    }
    if width < TILE_WIDTH { format!("{path}.p/{width}") } else { path }
}

fn length(path: &Path) -> Result<u64, LogError> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(metadata.len()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(LogError::damaged(path, "the file is missing"))
        }
        Err(error) => Err(LogError::at(path)(error)),
    }
}
