//! How records lie in Redis. The scripts beside this file know this layout, too.
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

use bytes::Bytes;
use bytestring::ByteString;

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

/// What the keys of all records are like, for SCAN.
pub(super) const ALL_RECORDS: &str = "krypton:1:{t.*}:r:*";

/// The tenant of a record by its key; `None` if it is not the key of one.
pub(super) fn tenant_of(key: &[u8]) -> Option<ByteString> {
    let rest = key.strip_prefix(b"krypton:1:{t.")?;
    let (written, rest) = rest.split_at(rest.iter().position(|byte| *byte == b'}')?);
    rest.strip_prefix(b"}:r:")?;
    let (mut tenant, mut written) = (Vec::with_capacity(written.len()), written.iter());
    while let Some(byte) = written.next() {
        let byte = match byte {
            b'%' => {
                let digits = [*written.next()?, *written.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            byte => *byte,
        };
        tenant.push(byte);
    }
    ByteString::try_from(tenant).ok()
}

/// The value of a record, whose bytes are `bytes`.
pub(super) fn seal(record: &Record, bytes: &[u8]) -> Bytes {
    [head(record), value::enclose(bytes)].concat().into()
}

/// What the scripts are told of a record.
fn head(record: &Record) -> Vec<u8> {
    let unique = record.unique_keys();
    let keys = record.index_keys();
    let keys_bytes: usize = keys.iter().map(|key| 2 + key.0.len()).sum();
    let mut head = Vec::with_capacity(FIXED_BYTES + keys_bytes);
    head.push(HEAD_FORMAT);
    head.extend_from_slice(&record.version.to_be_bytes());
    head.extend_from_slice(&(!record.sequence).to_be_bytes());
    head.extend_from_slice(&(keys_bytes as u32).to_be_bytes());
    for key in &keys {
        head.push(unique.contains(key).into());
        head.extend_from_slice(&entry_prefix(Some(key)));
    }
    head
}

/// Opens a record's value. Its head has to be the one that the record gives: nothing else vouches for that.
///
/// # Errors
/// [`StoreError::Damaged`] if it is not what was written under this tenant and identifier.
pub(super) fn open(stored: Bytes, tenant: &str, unique_identifier: &str) -> Result<Arc<Record>, StoreError> {
    let damaged = |what: &str| StoreError::Damaged(format!("{unique_identifier}: {what}"));
    let length = head_length(&stored).ok_or_else(|| damaged("unknown form"))?;
    let record = value::open(&stored.slice(length..), tenant, unique_identifier)?;
    match stored[..length] == *head(&record) {
        true => Ok(record),
        false => Err(damaged("its head is not its own")),
    }
}

/// Opens a record's value, found at a place in the index.
///
/// # Errors
/// [`StoreError::Damaged`] if it is not what was written there.
pub(super) fn open_at(place: &[u8], stored: Bytes, tenant: &str) -> Result<Arc<Record>, StoreError> {
    let read = |place: &[u8]| {
        let (sequence, identifier) = place.split_first_chunk()?;
        Some((!u64::from_be_bytes(*sequence), String::from_utf8(identifier.to_vec()).ok()?))
    };
    let unknown = || StoreError::Damaged(format!("{}: no place in an index", place.escape_ascii()));
    let (sequence, identifier) = read(place).ok_or_else(unknown)?;
    let record = open(stored, tenant, &identifier)?;
    value::judge_place(&record, sequence)?;
    Ok(record)
}

/// How long the head of a value is, as far as it says so.
fn head_length(stored: &[u8]) -> Option<usize> {
    let fixed: &[u8; FIXED_BYTES] = stored.first_chunk()?;
    let keys = fixed.last_chunk().map(|length| u32::from_be_bytes(*length) as usize)?;
    let length = FIXED_BYTES.checked_add(keys)?;
    (fixed[0] == HEAD_FORMAT && length <= stored.len()).then_some(length)
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
    fn a_key_tells_its_tenant() {
        for tenant in ["", "acme", "a}:r:{b%", "with space", "\u{1F511}"] {
            assert_eq!(tenant_of(format!("{}x}}:r:", records(tenant)).as_bytes()).unwrap(), tenant);
            assert_eq!(tenant_of(index(tenant).as_bytes()), None);
        }
        for other in
            ["", "krypton:1:tenants", "krypton:1:{t.a", "krypton:1:{t.%4}:r:k", "krypton:1:{t.%FF}:r:k"]
        {
            assert_eq!(tenant_of(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn a_value_opens_where_it_was_written_and_whole() {
        let written = with(record("t", "a", 7), [name("n")]);
        let sealed = seal(&written, &written.encode());
        assert_eq!(*open(sealed.clone(), "t", "a").unwrap(), written);
        assert!(open(sealed.clone(), "u", "a").is_err());
        assert!(open(sealed.clone(), "t", "b").is_err());
        for at in 0..sealed.len() {
            for bit in 0..8 {
                let mut edited = sealed.to_vec();
                edited[at] ^= 1 << bit;
                assert!(open(edited.into(), "t", "a").is_err(), "byte {at}, bit {bit}");
            }
            assert!(open(sealed.slice(..at), "t", "a").is_err());
        }
    }

    #[test]
    fn a_record_is_found_at_its_own_place_only() {
        let written = record("t", "a", 7);
        let sealed = seal(&written, &written.encode());
        let place =
            |sequence: u64, identifier: &str| [&(!sequence).to_be_bytes(), identifier.as_bytes()].concat();
        assert!(open_at(&place(7, "a"), sealed.clone(), "t").is_ok());
        for wrong in [place(8, "a"), place(7, "b"), place(7, "a")[..7].to_vec(), Vec::new()] {
            open_at(&wrong, sealed.clone(), "t").unwrap_err();
        }
    }
}
