//! Checkpoints (<https://c2sp.org/tlog-checkpoint>): what a log says of itself, signed.

use std::fmt;

use base64ct::{Base64, Encoding};

use super::merkle::Hash;
use super::note::{NoteError, SigningKey, VerifierKey};

/// The size and the root hash of a log at some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log: a name without spaces, such as `kms.example.org/core`.
    pub origin: String,
    /// The number of entries.
    pub size: u64,
    /// The root hash of the Merkle tree over them.
    pub root: Hash,
}

impl fmt::Display for Checkpoint {
    /// The three lines that are signed.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}\n{}\n{}", self.origin, self.size, Base64::encode_string(&self.root))
    }
}

impl Checkpoint {
    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let origin = lines.next().filter(|origin| !origin.is_empty())?;
        let size = decimal(lines.next()?)?;
        let root = hash(lines.next()?)?;
        // Further lines are extensions, which say nothing about the tree.
        if lines.any(str::is_empty) {
            return None;
        }
        Some(Self { origin: origin.to_owned(), size, root })
    }
}

/// A checkpoint with the signature of its log, which has been verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    note: String,
}

impl SignedCheckpoint {
    pub(super) fn sign(size: u64, root: Hash, key: &SigningKey) -> Result<Self, NoteError> {
        let checkpoint = Checkpoint { origin: key.verifier().name().to_owned(), size, root };
        let note = key.sign(&checkpoint.to_string())?;
        Ok(Self { checkpoint, note })
    }

    /// A checkpoint of the log whose key this is.
    ///
    /// # Errors
    /// As [`VerifierKey::open`]; [`NoteError::Malformed`] also if the note is no checkpoint of that log.
    pub fn open(note: &str, key: &VerifierKey) -> Result<Self, NoteError> {
        let checkpoint = Checkpoint::parse(key.open(note)?).ok_or(NoteError::Malformed)?;
        if checkpoint.origin != key.name() {
            return Err(NoteError::Malformed);
        }
        Ok(Self { checkpoint, note: note.to_owned() })
    }

    /// What is signed.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The number of entries.
    pub fn size(&self) -> u64 {
        self.checkpoint.size
    }

    /// The root hash.
    pub fn root(&self) -> &Hash {
        &self.checkpoint.root
    }

    /// The signed note.
    pub fn as_str(&self) -> &str {
        &self.note
    }
}

/// A number without a sign or leading zeroes.
pub(super) fn decimal(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    if number.to_string() == text { Some(number) } else { None }
}

/// A hash in Base64.
pub(super) fn hash(text: &str) -> Option<Hash> {
    Base64::decode_vec(text).ok()?.try_into().ok()
}
