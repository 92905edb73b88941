//! How records lie in the database file: tables, keys, and the checksum around each record.
//!
//! | table | key | value |
//! | --- | --- | --- |
//! | `records` | tenant, identifier | as in [`value`] |
//! | `index` | tenant, index key or none, newest first by sequence, identifier | nothing |
//! | `meta` | `format`, `index`, `epoch`, `records`, `round` | number |
//!
//! Names need no table of their own: they are index keys that one record carries. Keys are compared as bytes.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use redb::{
    ReadTransaction, ReadableTable, StorageError, Table, TableDefinition, TableError, WriteTransaction,
};

use super::super::transition::Transition;
use super::super::value;
use super::journal::Round;
use crate::port::{Bookmark, IndexKey, Position, StoreError, Stretch};
use crate::record::{INDEX_VERSION, Record};

pub(super) const RECORDS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("records");
pub(super) const INDEX: TableDefinition<'_, &[u8], ()> = TableDefinition::new("index");
pub(super) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");

/// The layout described above, and all that a reader of it has to know.
pub(super) const FORMAT: u64 = 3;

/// Without a journal.
pub(super) const FORMAT_WITHOUT_JOURNAL: u64 = 2;

/// And nothing was said of what is indexed.
pub(super) const FORMAT_WITHOUT_INDEX_VERSION: u64 = 1;

pub(super) const META_FORMAT: &str = "format";
/// [`INDEX_VERSION`]; 0 while records are indexed anew.
pub(super) const META_INDEX: &str = "index";
const META_EPOCH: &str = "epoch";
const META_RECORDS: &str = "records";
/// The round of the journal that goes on from here.
pub(super) const META_ROUND: &str = "round";

/// How far a store has come: the anchor outside the file says it too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Progress {
    /// Counts the transactions.
    pub(super) epoch: u64,
    /// Records, destroyed ones included.
    pub(super) records: u64,
}

/// The tables of a transaction that writes.
pub(super) struct Tables<'t> {
    records: Table<'t, &'static [u8], &'static [u8]>,
    index: Table<'t, &'static [u8], ()>,
    meta: Table<'t, &'static str, u64>,
}

impl<'t> Tables<'t> {
    pub(super) fn open(transaction: &'t WriteTransaction) -> Result<Self, TableError> {
        Ok(Self {
            records: transaction.open_table(RECORDS)?,
            index: transaction.open_table(INDEX)?,
            meta: transaction.open_table(META)?,
        })
    }

    pub(super) fn record(
        &self,
        tenant: &str,
        unique_identifier: &str,
    ) -> Result<Option<Bytes>, StorageError> {
        let value = self.records.get(&*record_key(tenant, unique_identifier))?;
        Ok(value.map(|value| Bytes::copy_from_slice(value.value())))
    }

    /// Who holds a name.
    pub(super) fn holder(&self, tenant: &str, name: &IndexKey) -> Result<Option<ByteString>, StorageError> {
        let prefix = index_prefix(tenant, Some(name));
        let Some(entry) = range_after(&self.index, &prefix, None)?.next().transpose()? else {
            return Ok(None);
        };
        Ok(place_of(&prefix, entry.0.value()).map(|(_, identifier)| identifier))
    }

    /// Writes what a transition leaves.
    pub(super) fn apply(&mut self, transition: &Transition) -> Result<(), StorageError> {
        let Transition { before, after, bytes } = transition;
        let entries_before: BTreeSet<_> = before.iter().flat_map(|before| index_entries(before)).collect();
        let entries_after: BTreeSet<_> = index_entries(after).collect();
        self.records
            .insert(&*record_key(&after.tenant, &after.unique_identifier), &*value::enclose(bytes))?;
        for entry in entries_before.difference(&entries_after) {
            self.index.remove(&**entry)?;
        }
        for entry in entries_after.difference(&entries_before) {
            self.index.insert(&**entry, ())?;
        }
        Ok(())
    }

    /// Writes a record as the journal holds it; tells whether there was none of its identifier.
    pub(super) fn restore(&mut self, bytes: &Bytes) -> Result<bool, redb::Error> {
        let after = Record::decode(bytes).map_err(|error| redb::Error::Corrupted(error.to_string()))?;
        let stored = self.record(&after.tenant, &after.unique_identifier)?;
        let is_new = stored.is_none();
        // Where the one before is damaged, its entries stay in the index, and lead to a record that has others.
        let before =
            stored.and_then(|value| value::open(&value, &after.tenant, &after.unique_identifier).ok());
        self.apply(&Transition { before, after: Arc::new(after), bytes: bytes.clone() })?;
        Ok(is_new)
    }

    pub(super) fn write_progress(&mut self, progress: Progress) -> Result<(), StorageError> {
        self.meta.insert(META_FORMAT, FORMAT)?;
        self.meta.insert(META_INDEX, INDEX_VERSION)?;
        self.meta.insert(META_EPOCH, progress.epoch)?;
        self.meta.insert(META_RECORDS, progress.records)?;
        Ok(())
    }

    pub(super) fn write_round(&mut self, round: Round) -> Result<(), StorageError> {
        self.meta.insert(META_ROUND, round.0).map(drop)
    }

    /// Copies rows as they are.
    pub(super) fn put_record(&mut self, key: &[u8], value: &[u8]) -> Result<(), StorageError> {
        self.records.insert(key, value).map(drop)
    }

    pub(super) fn put_index(&mut self, key: &[u8]) -> Result<(), StorageError> {
        self.index.insert(key, ()).map(drop)
    }

    /// Indexes rows of the table of records; those that are damaged are found no more, and said.
    pub(super) fn index_rows<'r>(
        &mut self,
        rows: impl Iterator<Item = (&'r [u8], &'r [u8])>,
    ) -> Result<(), StorageError> {
        let mut entries = Vec::new();
        for (key, value) in rows {
            match open_row(key, value) {
                Ok(record) => entries.extend(index_entries(&record)),
                Err(error) => tracing::error!(%error, "a record is left out of the index"),
            }
        }
        // Neighbours go to the same page.
        entries.sort_unstable();
        entries.iter().try_for_each(|entry| self.put_index(entry))
    }
}

fn open_row(key: &[u8], value: &[u8]) -> Result<Arc<Record>, StoreError> {
    let unreadable = || StoreError::Damaged("its key makes no sense".to_owned());
    let (length, rest) = key.split_first_chunk().ok_or_else(unreadable)?;
    let (tenant, identifier) =
        rest.split_at_checked(u32::from_be_bytes(*length) as usize).ok_or_else(unreadable)?;
    let text = |bytes| std::str::from_utf8(bytes).map_err(|_| unreadable());
    value::open(&Bytes::copy_from_slice(value), text(tenant)?, text(identifier)?)
}

/// Empties the index, and notes that it is of no version until everything is indexed anew.
pub(super) fn forget_index(transaction: &WriteTransaction) -> Result<(), redb::Error> {
    transaction.delete_table(INDEX)?;
    let mut meta = transaction.open_table(META)?;
    meta.insert(META_FORMAT, FORMAT)?;
    meta.insert(META_INDEX, 0)?;
    Ok(())
}

/// How far the store has come, if the table says so.
pub(super) fn read_progress(
    meta: &impl ReadableTable<&'static str, u64>,
) -> Result<Option<Progress>, StorageError> {
    let number = |key| Ok::<_, StorageError>(meta.get(key)?.map(|value| value.value()));
    let (Some(epoch), Some(records)) = (number(META_EPOCH)?, number(META_RECORDS)?) else { return Ok(None) };
    Ok(Some(Progress { epoch, records }))
}

/// The round of the journal that goes on from what the database holds, if there is one.
pub(super) fn read_round(
    meta: &impl ReadableTable<&'static str, u64>,
) -> Result<Option<Round>, StorageError> {
    Ok(meta.get(META_ROUND)?.map(|round| Round(round.value())))
}

/// The bytes of a record, as stored.
pub(super) fn fetch(
    transaction: &ReadTransaction,
    tenant: &str,
    unique_identifier: &str,
) -> Result<Option<Bytes>, redb::Error> {
    let value = transaction.open_table(RECORDS)?.get_owned(&*record_key(tenant, unique_identifier))?;
    Ok(value.map(|value| Bytes::copy_from_slice(value.value())))
}

/// What an entry of the index leads to.
pub(super) struct Entry {
    sequence: u64,
    identifier: ByteString,
    /// As stored; empty if there is no such record.
    value: Bytes,
}

impl Entry {
    /// Opens the record. The place has to be the record's: the caller goes on after the last record of a page, and one from
    /// elsewhere would lead past others.
    pub(super) fn open(&self, tenant: &str) -> Result<Arc<Record>, StoreError> {
        let record = value::open(&self.value, tenant, &self.identifier)?;
        value::judge_place(&record, self.sequence)?;
        Ok(record)
    }
}

/// The records of a page of [`Store::select`](crate::port::Store::select), as stored.
pub(super) fn select(
    transaction: &ReadTransaction,
    tenant: &str,
    key: Option<&IndexKey>,
    after: Option<Position>,
    limit: usize,
) -> Result<Vec<Entry>, redb::Error> {
    let (records, index) = (transaction.open_table(RECORDS)?, transaction.open_table(INDEX)?);
    let prefix = index_prefix(tenant, key);
    let mut page: Vec<Entry> = Vec::new();
    for entry in range_after(&index, &prefix, after)? {
        let entry = entry?;
        let Some((sequence, identifier)) = place_of(&prefix, entry.0.value()) else { continue };
        let ends_tie = page.last().is_some_and(|last| last.sequence != sequence);
        if limit == 0 || (page.len() >= limit && ends_tie) {
            break;
        }
        let value = records.get_owned(&*record_key(tenant, &identifier))?;
        let value = value.map(|value| Bytes::copy_from_slice(value.value())).unwrap_or_default();
        page.push(Entry { sequence, identifier, value });
    }
    Ok(page)
}

/// A part of a [`Store::walk`](crate::port::Store::walk), in the order of identifiers. A bookmark is the last key.
pub(super) fn walk(
    transaction: &ReadTransaction,
    tenant: &str,
    from: Option<&Bookmark>,
    limit: usize,
) -> Result<Stretch, redb::Error> {
    let records = transaction.open_table(RECORDS)?;
    let prefix = length_prefixed(tenant.as_bytes());
    let end = successor(&prefix);
    let first = from.map_or(Bound::Included(&*prefix), |Bookmark(last)| Bound::Excluded(&**last));
    let mut stretch = Stretch::default();
    for row in records.range::<&[u8]>((first, Bound::Excluded(&*end)))?.take(limit) {
        let (key, value) = row?;
        stretch.records.push(open_row(key.value(), value.value()));
        stretch.next = Some(Bookmark(Bytes::copy_from_slice(key.value())));
    }
    if stretch.records.len() < limit {
        stretch.next = None;
    }
    Ok(stretch)
}

/// The tenants that have records: from the first record of each, straight to that of the next.
pub(super) fn tenants(transaction: &ReadTransaction) -> Result<Vec<ByteString>, redb::Error> {
    let records = transaction.open_table(RECORDS)?;
    let (mut tenants, mut first) = (Vec::new(), Vec::new());
    while let Some(entry) = records.range::<&[u8]>(&*first..)?.next().transpose()? {
        let key = entry.0.value();
        let Some((length, rest)) = key.split_first_chunk() else { break };
        let Some(tenant) = rest.get(..u32::from_be_bytes(*length) as usize) else { break };
        tenants.extend(ByteString::try_from(tenant));
        first = successor(&length_prefixed(tenant));
    }
    Ok(tenants)
}

fn record_key(tenant: &str, unique_identifier: &str) -> Vec<u8> {
    let mut key = length_prefixed(tenant.as_bytes());
    key.extend_from_slice(unique_identifier.as_bytes());
    key
}

/// What the index entries of a key (of all records, for `None`) begin with.
fn index_prefix(tenant: &str, key: Option<&IndexKey>) -> Vec<u8> {
    let mut prefix = length_prefixed(tenant.as_bytes());
    match key {
        None => prefix.push(0),
        Some(IndexKey(key)) => {
            prefix.push(1);
            prefix.extend(length_prefixed(key));
        }
    }
    prefix
}

/// With its length before it, no text is the beginning of another.
fn length_prefixed(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    [&length.to_be_bytes(), bytes].concat()
}

fn index_entries(record: &Record) -> impl Iterator<Item = Vec<u8>> {
    let keys = record.index_keys().into_iter().map(Some).chain([None]);
    keys.map(|key| {
        let mut entry = index_prefix(&record.tenant, key.as_ref());
        entry.extend_from_slice(&(!record.sequence).to_be_bytes());
        entry.extend_from_slice(record.unique_identifier.as_bytes());
        entry
    })
}

/// The sequence and identifier in an index entry that begins with `prefix`.
fn place_of(prefix: &[u8], entry: &[u8]) -> Option<(u64, ByteString)> {
    let (sequence, identifier) = entry.get(prefix.len()..)?.split_first_chunk()?;
    Some((!u64::from_be_bytes(*sequence), ByteString::try_from(identifier).ok()?))
}

/// The index entries that begin with `prefix`, from the newest one older than `after` on.
fn range_after<'t>(
    index: &'t impl ReadableTable<&'static [u8], ()>,
    prefix: &[u8],
    after: Option<Position>,
) -> Result<redb::Range<'t, &'static [u8], ()>, StorageError> {
    let first = match after {
        None => Bound::Included(prefix.to_vec()),
        // Beyond every identifier of that sequence.
        Some(after) => match after.checked_sub(1) {
            Some(newest) => Bound::Included([prefix, &(!newest).to_be_bytes()].concat()),
            None => Bound::Included(successor(prefix)),
        },
    };
    let end = successor(prefix);
    index.range::<&[u8]>((first.as_ref().map(|first| &**first), Bound::Excluded(&*end)))
}

/// The first key beyond all those that begin with `prefix`.
fn successor(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            break;
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_tenants_entries_lie_within_another_tenants() {
        let key = IndexKey(Bytes::from_static(b"\xff\xff"));
        let prefixes =
            ["", "a", "ab", "b"].map(|tenant| [None, Some(&key)].map(|key| index_prefix(tenant, key)));
        let prefixes = prefixes.as_flattened();
        for one in prefixes {
            let inside = |other: &&Vec<u8>| *other >= one && **other < successor(one);
            assert_eq!(prefixes.iter().filter(inside).count(), 1);
        }
    }

    #[test]
    fn the_successor_carries_over() {
        assert_eq!(successor(b"a\xff\xff"), b"b");
        assert_eq!(successor(b"ab"), b"ac");
    }
}
