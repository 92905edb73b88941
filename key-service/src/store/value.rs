//! A stored value: a record and what tells accidents from it.
//!
//! Format (1 byte), checksum (16 bytes), [`Record::encode`].

use std::sync::Arc;

use bytes::Bytes;

use crate::crypto::sha256;
use crate::port::StoreError;
use crate::record::Record;

const FORMAT: u8 = 1;
pub(super) const CHECKSUM_BYTES: usize = 16;

/// Opens a stored value.
///
/// # Errors
/// [`StoreError::Damaged`] if the value is not what was written under this tenant and identifier.
pub(super) fn open(value: &Bytes, tenant: &str, unique_identifier: &str) -> Result<Arc<Record>, StoreError> {
    let damaged = |what: &str| StoreError::Damaged(format!("{unique_identifier}: {what}"));
    if value.len() < 1 + CHECKSUM_BYTES || value[0] != FORMAT {
        return Err(damaged("unknown form"));
    }
    let bytes = value.slice(1 + CHECKSUM_BYTES..);
    if checksum(&bytes) != value[1..=CHECKSUM_BYTES] {
        return Err(damaged("its checksum is wrong"));
    }
    let record = Record::decode(&bytes).map_err(|error| damaged(&error.to_string()))?;
    if *record.tenant != *tenant || *record.unique_identifier != *unique_identifier {
        return Err(damaged("it belongs elsewhere"));
    }
    Ok(Arc::new(record))
}

/// Judges whether a record was found at its own place in an index.
///
/// # Errors
/// [`StoreError::Damaged`] if it was not.
pub(super) fn judge_place(record: &Record, sequence: u64) -> Result<(), StoreError> {
    match record.sequence == sequence {
        true => Ok(()),
        false => {
            let identifier = &record.unique_identifier;
            Err(StoreError::Damaged(format!("{identifier}: it has another place in the index")))
        }
    }
}

/// The value that holds the bytes of a record.
pub(super) fn enclose(bytes: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(1 + CHECKSUM_BYTES + bytes.len());
    value.push(FORMAT);
    value.extend_from_slice(&checksum(bytes));
    value.extend_from_slice(bytes);
    value
}

/// Finds accidents, not attacks: whoever can write the file can write a checksum.
pub(super) fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_BYTES] {
    *sha256(bytes).first_chunk().expect("a SHA-256 digest has 32 bytes")
}
