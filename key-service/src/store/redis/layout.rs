//! How records lie in Redis. The scripts `commit.lua` and `select.lua` know this layout, too.
//!
//! | key | type | content |
//! | --- | --- | --- |
//! | `krypton:1:{t.TENANT}:r:IDENTIFIER` | string | a record: the head below, then the value as in [`value`](super::value) |
//! | `krypton:1:{t.TENANT}:index` | sorted set, all scores 0 | length (1 byte) and bytes of an index key (length 0: all records), inverted sequence (8), identifier |
//! | `krypton:1:tenants` | set | tenants that may have records |
//! | `krypton:1:format` | string | the version of what is indexed |
//!
//! In a cluster the braces keep all keys of a tenant on one node, so that a commit is atomic. The head of a record
//! holds what the scripts need: format (1), version (8), inverted sequence (8), length of the rest (4), then each
//! index key as: unique (1), length (1), bytes. Numbers are big-endian; sequences are inverted so that the newest
//! comes first.

use std::fmt::Write as _;
use std::sync::Arc;

use bytes::{Buf as _, Bytes};

use super::super::value;
use crate::port::{IndexKey, StoreError};
use crate::record::Record;

pub(super) const TENANTS: &str = "krypton:1:tenants";
pub(super) const FORMAT: &str = "krypton:1:format";

const HEAD_FORMAT: u8 = 1;
const FIXED_BYTES: usize = 21;

/// What the keys of a tenant begin with. Every byte that could end the braces, or is hard to read, is written as `%XX`.
fn prefix(tenant: &str) -> String {
    let mut prefix = "krypton:1:{t.".to_owned();
    for byte in tenant.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => prefix.push(byte.into()),
            _ => _ = write!(prefix, "%{byte:02X}"),
        }
    }
    prefix.push_str("}:");
    prefix
}

pub(super) fn index(tenant: &str) -> String {
    prefix(tenant) + "index"
}

/// What the keys of a tenant's records begin with.
pub(super) fn records(tenant: &str) -> String {
    prefix(tenant) + "r:"
}

/// The value of a record, whose bytes are `bytes`.
pub(super) fn seal(record: &Record, bytes: &[u8]) -> Bytes {
    let unique = record.unique_keys();
    let keys = record.index_keys();
    let keys_bytes: usize = keys.iter().map(|key| 2 + key.0.len()).sum();
    let mut head = Vec::with_capacity(FIXED_BYTES + keys_bytes + bytes.len() + 32);
    head.push(HEAD_FORMAT);
    head.extend_from_slice(&record.version.to_be_bytes());
    head.extend_from_slice(&(!record.sequence).to_be_bytes());
    head.extend_from_slice(&(keys_bytes as u32).to_be_bytes());
    for key in &keys {
        head.push(unique.contains(key).into());
        head.extend_from_slice(&entry_prefix(Some(key)));
    }
    head.extend_from_slice(&value::enclose(bytes));
    head.into()
}

/// Opens a record's value.
///
/// # Errors
/// [`StoreError::Damaged`] if it is not what was written under this tenant and identifier.
pub(super) fn open(
    mut stored: Bytes,
    tenant: &str,
    unique_identifier: &str,
) -> Result<Arc<Record>, StoreError> {
    let damaged = || StoreError::Damaged(format!("{unique_identifier}: unknown form"));
    if stored.len() < FIXED_BYTES || stored[0] != HEAD_FORMAT {
        return Err(damaged());
    }
    stored.advance(1);
    let (version, sequence) = (stored.get_u64(), !stored.get_u64());
    let keys_bytes = stored.get_u32() as usize;
    if keys_bytes > stored.len() {
        return Err(damaged());
    }
    stored.advance(keys_bytes);
    let record = value::open(&stored, tenant, unique_identifier)?;
    if record.version != version || record.sequence != sequence {
        return Err(StoreError::Damaged(format!("{unique_identifier}: its head is of another version")));
    }
    Ok(record)
}

/// What the index entries of a key (of all records, for `None`) begin with. Keys are digests or short: their length
/// fits a byte.
pub(super) fn entry_prefix(key: Option<&IndexKey>) -> Vec<u8> {
    let key = key.map_or(&b""[..], |key| &key.0);
    let mut prefix = Vec::with_capacity(1 + key.len());
    prefix.push(u8::try_from(key.len()).unwrap_or(u8::MAX));
    prefix.extend_from_slice(key);
    prefix
}

/// The place in the index beyond all entries of a sequence.
pub(super) fn beyond(sequence: u64) -> Vec<u8> {
    [&(!sequence).to_be_bytes()[..], b"\xff"].concat()
}

/// The identifier in an index entry, after its prefix.
pub(super) fn identifier(place: &[u8]) -> Option<&str> {
    std::str::from_utf8(place.get(8..)?).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::store::suite::{name, record, with};

    #[test]
    fn no_tenant_leaves_its_braces() {
        assert_eq!(index("acme"), "krypton:1:{t.acme}:index");
        assert_eq!(index("a}:{b%"), "krypton:1:{t.a%7D%3A%7Bb%25}:index");
        assert_eq!(index(""), "krypton:1:{t.}:index");
    }

    #[test]
    fn a_value_opens_where_it_was_written_and_whole() {
        let written = with(record("t", "a", 7), [name("n")]);
        let sealed = seal(&written, &written.encode());
        assert_eq!(*open(sealed.clone(), "t", "a").unwrap(), written);
        assert!(open(sealed.clone(), "u", "a").is_err());
        assert!(open(sealed.clone(), "t", "b").is_err());
        let keys: usize = written.index_keys().iter().map(|key| 2 + key.0.len()).sum();
        for at in 0..sealed.len() {
            let mut edited = sealed.to_vec();
            edited[at] ^= 1;
            // The index keys in the head are the scripts' own: an edited one misleads a search, not a reader.
            let in_keys = (FIXED_BYTES..FIXED_BYTES + keys).contains(&at);
            assert_eq!(open(edited.into(), "t", "a").is_ok(), in_keys, "{at}");
            assert!(open(sealed.slice(..at), "t", "a").is_err());
        }
    }
}
