//! The Merkle tree of RFC 6962: hashes, the growing tree with its tiles, proofs and their verification.
//!
//! Inclusion and consistency proofs are those of RFC 6962 section 2.1, verified as RFC 9162 sections 2.1.3.2 and
//! 2.1.4.2 tell. Nothing here touches a file.

use crate::crypto::{sha256, sha256_of_parts};

/// A SHA-256 hash.
pub type Hash = [u8; 32];

/// Hashes of a full tile, and entries of a full bundle.
pub(super) const TILE_WIDTH: u64 = 256;

/// Levels of the binary tree that one tile spans.
const TILE_HEIGHT: u8 = 8;

/// The hash of an entry.
pub fn leaf_hash(entry: &[u8]) -> Hash {
    sha256_of_parts([&[0], entry])
}

/// The hash of two subtrees, side by side.
pub(super) fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut input = [1; 65];
    input[1..33].copy_from_slice(left);
    input[33..].copy_from_slice(right);
    sha256(&input)
}

/// A tile that has just got its last hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FullTile {
    pub(super) level: usize,
    pub(super) index: u64,
    pub(super) hashes: Vec<Hash>,
}

/// What a growing tree must remember: the perfect subtrees that it is made of, and its incomplete tiles.
#[derive(Debug, Clone, Default)]
pub(super) struct Tree {
    size: u64,
    peaks: Vec<(u8, Hash)>,
    edges: Vec<Vec<Hash>>,
}

impl Tree {
    /// The tree whose incomplete tiles are `edges`, by level from 0.
    pub(super) fn from_edges(edges: Vec<Vec<Hash>>) -> Self {
        let mut tree = Self::default();
        for (level, hashes) in edges.iter().enumerate().rev() {
            let height = TILE_HEIGHT * level as u8;
            for hash in hashes {
                tree.add(height, *hash, |_, _| {});
                tree.size += 1 << height;
            }
        }
        tree.edges = edges;
        tree
    }

    /// The number of entries.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// The incomplete tiles, by level from 0; empty where all tiles of a level are full.
    pub(super) fn edges(&self) -> &[Vec<Hash>] {
        &self.edges
    }

    /// Adds an entry by its hash. Tiles that become full go to `full`.
    pub(super) fn push(&mut self, leaf: Hash, full: &mut Vec<FullTile>) {
        self.size += 1;
        let size = self.size;
        let mut edges = std::mem::take(&mut self.edges);
        self.add(0, leaf, |height, hash| {
            if height % TILE_HEIGHT != 0 {
                return;
            }
            let level = usize::from(height / TILE_HEIGHT);
            if edges.len() == level {
                edges.push(Vec::with_capacity(TILE_WIDTH as usize));
            }
            edges[level].push(hash);
            if edges[level].len() as u64 == TILE_WIDTH {
                let hashes = std::mem::take(&mut edges[level]);
                full.push(FullTile { level, index: (size >> (height + TILE_HEIGHT)) - 1, hashes });
            }
        });
        self.edges = edges;
    }

    /// Adds a perfect subtree and merges it with its equals. `formed` sees every subtree on the way.
    fn add(&mut self, height: u8, hash: Hash, mut formed: impl FnMut(u8, Hash)) {
        let (mut height, mut hash) = (height, hash);
        formed(height, hash);
        while let Some((_, left)) = self.peaks.pop_if(|(peak, _)| *peak == height) {
            hash = node_hash(&left, &hash);
            height += 1;
            formed(height, hash);
        }
        self.peaks.push((height, hash));
    }

    /// The root hash; of an empty tree, the hash of nothing.
    pub(super) fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev().map(|(_, hash)| *hash);
        match peaks.next() {
            Some(last) => peaks.fold(last, |right, left| node_hash(&left, &right)),
            None => sha256(b""),
        }
    }
}

/// The root of a full tile, or of any number of hashes that are the entries of a tree.
pub(super) fn root_of(hashes: &[Hash]) -> Hash {
    let mut tree = Tree::default();
    for hash in hashes {
        tree.add(0, *hash, |_, _| {});
    }
    tree.root()
}

/// Gives the hashes of perfect subtrees.
pub(super) trait Nodes {
    type Error;

    /// The hash of the subtree over the entries `index << height` to `(index + 1) << height`.
    fn node(&self, height: u8, index: u64) -> Result<Hash, Self::Error>;
}

/// The inclusion proof of entry `index` in the tree of `size` entries, which must be more than `index`.
pub(super) fn inclusion_proof<N: Nodes>(nodes: &N, index: u64, size: u64) -> Result<Vec<Hash>, N::Error> {
    let (mut low, mut high) = (0, size);
    let mut proof = Vec::new();
    while high - low > 1 {
        let middle = low + split(high - low);
        if index < middle {
            proof.push(range_hash(nodes, middle, high)?);
            high = middle;
        } else {
            proof.push(range_hash(nodes, low, middle)?);
            low = middle;
        }
    }
    proof.reverse();
    Ok(proof)
}

/// The proof that the tree of `size` entries begins with the tree of `earlier` entries, `0 < earlier <= size`.
pub(super) fn consistency_proof<N: Nodes>(nodes: &N, earlier: u64, size: u64) -> Result<Vec<Hash>, N::Error> {
    let (mut low, mut high, mut wanted) = (0, size, earlier);
    let mut proof = Vec::new();
    while wanted != high - low {
        let middle = low + split(high - low);
        if wanted <= middle - low {
            proof.push(range_hash(nodes, middle, high)?);
            high = middle;
        } else {
            proof.push(range_hash(nodes, low, middle)?);
            wanted -= middle - low;
            low = middle;
        }
    }
    // The verifier has the earlier root itself.
    if low != 0 {
        proof.push(range_hash(nodes, low, high)?);
    }
    proof.reverse();
    Ok(proof)
}

/// The largest power of two below `count`, which is 2 at least.
fn split(count: u64) -> u64 {
    1 << (count - 1).ilog2()
}

/// The hash over the entries `low..high`, where a subtree begins at `low`.
fn range_hash<N: Nodes>(nodes: &N, low: u64, high: u64) -> Result<Hash, N::Error> {
    let count = high - low;
    if count.is_power_of_two() {
        let height = count.ilog2() as u8;
        return nodes.node(height, low >> height);
    }
    let middle = low + split(count);
    Ok(node_hash(&range_hash(nodes, low, middle)?, &range_hash(nodes, middle, high)?))
}

/// Whether `proof` shows that `leaf` is entry `index` of the tree with this size and root.
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut index, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if index & 1 == 1 || index == last {
            hash = node_hash(sibling, &hash);
            // The last subtree has no right sibling while it is a left child: it rises as it is.
            (index, last) = rise(index, last, index.trailing_zeros());
        } else {
            hash = node_hash(&hash, sibling);
        }
        (index, last) = rise(index, last, 1);
    }
    last == 0 && hash == *root
}

/// Whether `proof` shows that the tree of `size` entries begins with the tree of `earlier_size` entries.
pub fn verify_consistency(
    earlier_size: u64,
    earlier_root: &Hash,
    size: u64,
    root: &Hash,
    proof: &[Hash],
) -> bool {
    if earlier_size > size {
        return false;
    }
    if earlier_size == size || earlier_size == 0 {
        let honest = if earlier_size == 0 { sha256(b"") == *earlier_root } else { earlier_root == root };
        return honest && proof.is_empty();
    }
    // An earlier tree that is one perfect subtree is its own first hash.
    let proof = if earlier_size.is_power_of_two() { &[&[*earlier_root], proof].concat()[..] } else { proof };
    let Some((first, rest)) = proof.split_first() else { return false };
    let whole = (earlier_size - 1).trailing_ones();
    let (mut index, mut last) = rise(earlier_size - 1, size - 1, whole);
    let (mut earlier_hash, mut hash) = (*first, *first);
    for sibling in rest {
        if last == 0 {
            return false;
        }
        if index & 1 == 1 || index == last {
            earlier_hash = node_hash(sibling, &earlier_hash);
            hash = node_hash(sibling, &hash);
            (index, last) = rise(index, last, index.trailing_zeros());
        } else {
            hash = node_hash(&hash, sibling);
        }
        (index, last) = rise(index, last, 1);
    }
    last == 0 && earlier_hash == *earlier_root && hash == *root
}

/// The positions of a node and of the last one, some levels above.
fn rise(index: u64, last: u64, levels: u32) -> (u64, u64) {
    (index >> levels, last >> levels)
}
