//! Reading a log: by whoever has its files and its public key, while it grows or long after.

use std::fs;
use std::io::{self, Write};
use std::ops::Range;
use std::path::Path;

use bytes::Bytes;

use super::checkpoint::SignedCheckpoint;
use super::entry::Entry;
use super::error::LogError;
use super::index;
use super::merkle::{self, Hash, TILE_WIDTH, leaf_hash};
use super::note::VerifierKey;
use super::receipt::Receipt;
use super::tiles::{Tiles, TreeFiles};
use super::verification::{self, Report};

/// A log as it was at its checkpoint. What the log takes later does not show.
#[derive(Debug, Clone)]
pub struct LogReader {
    tiles: Tiles,
    signed: SignedCheckpoint,
}

/// An inclusion proof with what it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InclusionProof {
    /// The index of the entry.
    pub index: u64,
    /// The hash of the entry.
    pub leaf_hash: Hash,
    /// The hashes beside the way from the entry to the root, from below.
    pub hashes: Vec<Hash>,
    /// What the proof leads to.
    pub checkpoint: SignedCheckpoint,
}

impl InclusionProof {
    /// Whether the entry is in the log.
    pub fn holds(&self) -> bool {
        let (size, root) = (self.checkpoint.size(), self.checkpoint.root());
        merkle::verify_inclusion(&self.leaf_hash, self.index, size, &self.hashes, root)
    }
}

impl LogReader {
    /// Opens the log in `directory` at its published checkpoint, whose signature is verified.
    ///
    /// # Errors
    /// [`LogError::Io`]; [`LogError::Note`] if the checkpoint is not signed by this key.
    pub fn open(directory: &Path, key: &VerifierKey) -> Result<Self, LogError> {
        let tiles = Tiles::new(directory);
        let path = tiles.checkpoint_path();
        let note = fs::read_to_string(&path).map_err(LogError::at(&path))?;
        let signed = SignedCheckpoint::open(&note, key).map_err(|source| LogError::Note { path, source })?;
        Ok(Self { tiles, signed })
    }

    /// The checkpoint.
    pub fn checkpoint(&self) -> &SignedCheckpoint {
        &self.signed
    }

    /// The bytes of an entry: one line of JSON. They are not verified: [`prove`](Self::prove) them.
    ///
    /// # Errors
    /// [`LogError::OutOfRange`], [`LogError::Damaged`], [`LogError::Io`].
    pub fn entry(&self, index: u64) -> Result<Bytes, LogError> {
        self.check_range(index)?;
        let mut bundle = self.bundle(index / TILE_WIDTH)?;
        Ok(bundle.swap_remove((index % TILE_WIDTH) as usize))
    }

    /// The bytes of the entries in a range, cut to the size of the log. Not verified either.
    pub fn entries(&self, range: Range<u64>) -> impl Iterator<Item = Result<Bytes, LogError>> {
        let end = range.end.min(self.signed.size());
        let bundles = range.start / TILE_WIDTH..end.div_ceil(TILE_WIDTH);
        bundles.flat_map(move |index| {
            let within = |entry: u64| entry.clamp(index * TILE_WIDTH, (index + 1) * TILE_WIDTH) % TILE_WIDTH;
            let first = if range.start > index * TILE_WIDTH { within(range.start) } else { 0 };
            let count = (end - index * TILE_WIDTH).min(TILE_WIDTH).saturating_sub(first);
            match self.bundle(index) {
                Ok(entries) => {
                    let wanted = entries.into_iter().skip(first as usize).take(count as usize);
                    wanted.map(Ok).collect::<Vec<_>>()
                }
                Err(error) => vec![Err(error)],
            }
        })
    }

    /// Writes entries as they are, a line each, and answers how many.
    ///
    /// # Errors
    /// As [`entry`](Self::entry), or what `out` answers.
    pub fn export(&self, range: Range<u64>, out: &mut impl Write) -> Result<u64, LogError> {
        let mut count = 0;
        for entry in self.entries(range) {
            let entry = entry?;
            let written: io::Result<()> = out.write_all(&entry).and_then(|()| out.write_all(b"\n"));
            written.map_err(LogError::at(Path::new("export")))?;
            count += 1;
        }
        Ok(count)
    }

    /// The proof that an entry is in the log.
    ///
    /// # Errors
    /// As [`entry`](Self::entry); [`LogError::Damaged`] also if the proof does not hold.
    pub fn prove(&self, index: u64) -> Result<InclusionProof, LogError> {
        let leaf_hash = leaf_hash(&self.entry(index)?);
        let hashes = merkle::inclusion_proof(&self.files(), index, self.signed.size())?;
        let proof = InclusionProof { index, leaf_hash, hashes, checkpoint: self.signed.clone() };
        if !proof.holds() {
            let path = self.tiles.bundle_path(index / TILE_WIDTH, TILE_WIDTH);
            return Err(LogError::damaged(&path, format!("entry {index} does not fit the checkpoint")));
        }
        Ok(proof)
    }

    /// The proof that the log goes on from the log of an earlier size: see [`merkle::verify_consistency`].
    ///
    /// # Errors
    /// [`LogError::OutOfRange`] if the size is not an earlier one; [`LogError::Damaged`], [`LogError::Io`].
    ///
    /// [`merkle::verify_consistency`]: super::verify_consistency
    pub fn prove_consistency(&self, earlier_size: u64) -> Result<Vec<Hash>, LogError> {
        let size = self.signed.size();
        match earlier_size {
            0 => Ok(Vec::new()),
            _ if earlier_size > size => Err(LogError::OutOfRange { index: earlier_size, size }),
            _ => merkle::consistency_proof(&self.files(), earlier_size, size),
        }
    }

    /// The receipt of an entry: what a third party needs, but for the public key.
    ///
    /// # Errors
    /// As [`prove`](Self::prove).
    pub fn receipt(&self, index: u64) -> Result<Receipt, LogError> {
        Ok(Receipt::new(&self.entry(index)?, &self.prove(index)?))
    }

    /// The newest entry that tells that an object was destroyed or revoked and that `accepts` takes; `None` if there is none.
    ///
    /// # Errors
    /// As [`entry`](Self::entry).
    pub fn find(
        &self,
        unique_identifier: &str,
        accepts: impl Fn(&Entry) -> bool,
    ) -> Result<Option<u64>, LogError> {
        index::find(self.tiles.directory(), self, unique_identifier, accepts)
    }

    /// Checks the whole log: every entry, every tile, the root, and the earlier checkpoint if one is given.
    pub fn verify(&self, earlier: Option<&SignedCheckpoint>) -> Report {
        verification::check(&self.tiles, &self.signed, earlier)
    }

    fn files(&self) -> TreeFiles<'_> {
        TreeFiles { tiles: &self.tiles, size: self.signed.size() }
    }

    fn bundle(&self, index: u64) -> Result<Vec<Bytes>, LogError> {
        self.tiles.bundle(index, (self.signed.size() - index * TILE_WIDTH).min(TILE_WIDTH))
    }

    fn check_range(&self, index: u64) -> Result<(), LogError> {
        let size = self.signed.size();
        if index < size { Ok(()) } else { Err(LogError::OutOfRange { index, size }) }
    }
}

/// Opens the log in `directory` and checks all of it: see [`LogReader::verify`].
///
/// # Errors
/// As [`LogReader::open`]. Faults of what the checkpoint covers are in the report.
pub fn verify(
    directory: &Path,
    key: &VerifierKey,
    earlier: Option<&SignedCheckpoint>,
) -> Result<Report, LogError> {
    Ok(LogReader::open(directory, key)?.verify(earlier))
}
