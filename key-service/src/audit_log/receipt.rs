//! Receipts: an entry with all that it takes to verify it, but for the public key of the log.
//!
//! A receipt is a C2SP transparency log proof (<https://c2sp.org/tlog-proof>) with the entry as its extra data, and with
//! the signature of the log alone. There is one spelling of a receipt: any other byte makes it void.

use std::fmt;

use base64ct::{Base64, Encoding};
use thiserror::Error;

use super::checkpoint::{Checkpoint, SignedCheckpoint, decimal, hash};
use super::entry::Entry;
use super::merkle::{Hash, leaf_hash, verify_inclusion};
use super::note::{NoteError, VerifierKey};
use super::reader::InclusionProof;

const HEAD: &str = "c2sp.org/tlog-proof@v1";

/// Bytes of a receipt at most: an entry, 63 hashes and a checkpoint fit.
pub const MAXIMUM_RECEIPT_BYTES: usize = 128 * 1024;

/// A receipt: a text of a few lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt(String);

impl Receipt {
    pub(super) fn new(entry: &[u8], proof: &InclusionProof) -> Self {
        Self(write(entry, proof.index, &proof.hashes, proof.checkpoint.as_str()))
    }

    /// The text, to be kept in a file.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Receipt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What a receipt has proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedEntry {
    /// The index of the entry in the log.
    pub index: u64,
    /// The event.
    pub entry: Entry,
    /// The bytes of the entry: one line of JSON.
    pub json: String,
    /// The log, as it was when the receipt was made.
    pub checkpoint: Checkpoint,
}

/// Why a receipt is void.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ReceiptError {
    /// It is no receipt.
    #[error("this is not a receipt")]
    Malformed,
    /// Its checkpoint is not signed by the log.
    #[error("the checkpoint in the receipt: {0}")]
    Checkpoint(#[from] NoteError),
    /// The entry is not in the log.
    #[error("the proof does not lead from the entry to the checkpoint")]
    NotIncluded,
    /// The entry is in the log, but it is not one of this or an older version of its form.
    #[error("the entry in the receipt is not in a form that is known here")]
    Entry,
}

/// Verifies a receipt with nothing but the public key of the log.
///
/// # Errors
/// [`ReceiptError`]: then nothing in the receipt is to be believed.
pub fn verify(receipt: &[u8], key: &VerifierKey) -> Result<VerifiedEntry, ReceiptError> {
    let text = std::str::from_utf8(receipt).map_err(|_| ReceiptError::Malformed)?;
    let parts = parse(text).ok_or(ReceiptError::Malformed)?;
    let signed = SignedCheckpoint::open(parts.note, key)?;
    // Nothing may be in a receipt that is not needed, since nothing would vouch for it.
    let only_signature = parts.note.matches("\n\u{2014} ").count() == 1;
    let checkpoint = signed.checkpoint();
    let only_spelling = write(&parts.entry, parts.index, &parts.hashes, parts.note) == text;
    if !only_signature || !only_spelling || !parts.note.starts_with(&checkpoint.to_string()) {
        return Err(ReceiptError::Malformed);
    }
    let leaf = leaf_hash(&parts.entry);
    if !verify_inclusion(&leaf, parts.index, checkpoint.size, &parts.hashes, &checkpoint.root) {
        return Err(ReceiptError::NotIncluded);
    }
    let entry = Entry::decode(&parts.entry).map_err(|_| ReceiptError::Entry)?;
    let json = String::from_utf8(parts.entry).map_err(|_| ReceiptError::Entry)?;
    Ok(VerifiedEntry { index: parts.index, entry, json, checkpoint: checkpoint.clone() })
}

/// The receipts that a file holds, one after another; not verified. There is at least one, even if it is none.
pub fn each(content: &[u8]) -> impl Iterator<Item = &[u8]> {
    let begins = |at: usize| content[at..].starts_with(HEAD.as_bytes()) && content[..at].ends_with(b"\n");
    let mut starts: Vec<usize> = (1..content.len()).filter(|at| begins(*at)).collect();
    starts.insert(0, 0);
    let ends = starts.clone().into_iter().skip(1).chain([content.len()]);
    starts.into_iter().zip(ends).map(|(start, end)| &content[start..end])
}

struct Parts<'r> {
    entry: Vec<u8>,
    index: u64,
    hashes: Vec<Hash>,
    note: &'r str,
}

fn parse(text: &str) -> Option<Parts<'_>> {
    if text.len() > MAXIMUM_RECEIPT_BYTES {
        return None;
    }
    let (proof, note) = text.split_once("\n\n")?;
    let mut lines = proof.lines();
    if lines.next()? != HEAD {
        return None;
    }
    let entry = Base64::decode_vec(lines.next()?.strip_prefix("extra ")?).ok()?;
    let index = decimal(lines.next()?.strip_prefix("index ")?)?;
    let hashes = lines.map(hash).collect::<Option<Vec<Hash>>>()?;
    Some(Parts { entry, index, hashes, note })
}

fn write(entry: &[u8], index: u64, hashes: &[Hash], note: &str) -> String {
    let mut text = format!("{HEAD}\nextra {}\nindex {index}\n", Base64::encode_string(entry));
    for hash in hashes {
        text.push_str(&Base64::encode_string(hash));
        text.push('\n');
    }
    text.push('\n');
    text.push_str(note);
    text
}
