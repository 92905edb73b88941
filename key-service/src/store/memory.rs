//! The store `memory`: forgets everything when the process ends. For tests, development, and keys that are not to
//! outlive the process.
//!
//! Fetches touch one of many shards and nothing else. Each tenant has an index of its own, whose lock also orders the
//! commits of that tenant.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use async_trait::async_trait;
use bytes::Bytes;
use bytestring::ByteString;
use hashbrown::HashTable;

use super::transition::{self, Prepared, Transition};
use crate::port::{Bookmark, Change, IndexKey, Position, Store, StoreError, Stretch};
use crate::record::Record;

/// How much a [`MemoryStore`] takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryLimits {
    /// Records, destroyed ones included. Default: 10 million.
    pub maximum_records: u64,
    /// Bytes of the records as [`Record::encode`] writes them; with its indexes the process needs about five times as much.
    /// Inserts are refused from here on; changes of existing records may use 1/16 more, so that a full store can still
    /// revoke and destroy. Default: 8 GiB.
    pub maximum_bytes: u64,
}

impl Default for MemoryLimits {
    fn default() -> Self {
        Self { maximum_records: 10_000_000, maximum_bytes: 8 << 30 }
    }
}

/// Keeps records in memory.
pub struct MemoryStore {
    limits: MemoryLimits,
    hasher: RandomState,
    shards: Vec<RwLock<Shard>>,
    tenants: RwLock<HashMap<ByteString, Arc<RwLock<Index>>>>,
    records: AtomicU64,
    bytes: AtomicU64,
}

/// More than there are threads to contend.
const SHARDS: usize = 64;

/// The part of [`MemoryLimits::maximum_bytes`] that only changes of existing records may use on top.
const RESERVE_DIVISOR: u64 = 16;

/// Some of the records, by tenant and identifier.
type Shard = HashTable<Slot>;

struct Slot {
    record: Arc<Record>,
    bytes: u64,
}

/// The index of a tenant, in the order in which [`Store::select`] answers.
type Index = BTreeSet<Entry>;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    /// `None` stands for all records.
    key: Option<IndexKey>,
    sequence: Reverse<Position>,
    unique_identifier: ByteString,
}

/// A transition, where it goes, and what it weighs.
struct Step {
    transition: Transition,
    hash: u64,
    bytes_before: u64,
    bytes_after: u64,
}

impl MemoryStore {
    /// An empty store.
    pub fn new(limits: MemoryLimits) -> Self {
        Self {
            limits,
            hasher: RandomState::new(),
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            tenants: RwLock::default(),
            records: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }
    }

    fn hash(&self, tenant: &str, unique_identifier: &str) -> u64 {
        self.hasher.hash_one((tenant, unique_identifier))
    }

    fn tenant(&self, tenant: &str) -> Option<Arc<RwLock<Index>>> {
        read(&self.tenants).get(tenant).map(Arc::clone)
    }

    fn tenant_or_new(&self, tenant: &ByteString) -> Arc<RwLock<Index>> {
        self.tenant(tenant)
            .unwrap_or_else(|| Arc::clone(write(&self.tenants).entry(tenant.clone()).or_default()))
    }

    fn find(&self, tenant: &str, unique_identifier: &str) -> Option<Arc<Record>> {
        let hash = self.hash(tenant, unique_identifier);
        let shard = read(&self.shards[shard_of(hash)]);
        shard.find(hash, |slot| slot.is_of(tenant, unique_identifier)).map(|slot| Arc::clone(&slot.record))
    }

    fn step(&self, transition: Transition) -> Step {
        let Record { tenant, unique_identifier, .. } = &*transition.after;
        let hash = self.hash(tenant, unique_identifier);
        let shard = read(&self.shards[shard_of(hash)]);
        let bytes_before =
            shard.find(hash, |slot| slot.is_of(tenant, unique_identifier)).map_or(0, |slot| slot.bytes);
        let bytes_after = transition.bytes.len() as u64;
        Step { hash, bytes_before, bytes_after, transition }
    }

    /// Makes room for the steps, or fails.
    fn reserve(&self, steps: &[Step]) -> Result<(), StoreError> {
        let inserted = steps.iter().filter(|step| step.transition.before.is_none()).count() as u64;
        let before: u64 = steps.iter().map(|step| step.bytes_before).sum();
        let after: u64 = steps.iter().map(|step| step.bytes_after).sum();
        let reserve = if inserted == 0 { self.limits.maximum_bytes / RESERVE_DIVISOR } else { 0 };
        let maximum_bytes = self.limits.maximum_bytes.saturating_add(reserve);
        grow(&self.records, 0, inserted, self.limits.maximum_records)?;
        grow(&self.bytes, before, after, maximum_bytes).inspect_err(|_| {
            self.records.fetch_sub(inserted, Ordering::Relaxed);
        })
    }

    /// Puts the records into their shards. All the shards are locked meanwhile: nobody sees half of a commit.
    fn store(&self, steps: &[Step]) {
        let mut numbers: Vec<_> = steps.iter().map(|step| shard_of(step.hash)).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let mut shards: Vec<_> = numbers.iter().map(|number| write(&self.shards[*number])).collect();
        for step in steps {
            let shard = numbers.binary_search(&shard_of(step.hash)).expect("every step's shard was locked");
            self.put(&mut shards[shard], step);
        }
    }

    fn put(&self, shard: &mut Shard, step: &Step) {
        let record = &step.transition.after;
        let slot = Slot { record: Arc::clone(record), bytes: step.bytes_after };
        let rehash = |slot: &Slot| self.hash(&slot.record.tenant, &slot.record.unique_identifier);
        let is_same = |slot: &Slot| slot.is_of(&record.tenant, &record.unique_identifier);
        match shard.entry(step.hash, is_same, rehash) {
            hashbrown::hash_table::Entry::Occupied(mut entry) => *entry.get_mut() = slot,
            hashbrown::hash_table::Entry::Vacant(entry) => _ = entry.insert(slot),
        }
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn fetch(&self, tenant: &str, unique_identifier: &str) -> Result<Option<Arc<Record>>, StoreError> {
        Ok(self.find(tenant, unique_identifier))
    }

    async fn commit(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        let changes = changes.into_iter().map(Prepared::new).collect::<Result<Vec<_>, _>>()?;
        let mut tenants: Vec<_> =
            changes.iter().map(|prepared| prepared.change.record().tenant.clone()).collect();
        // Always in the same order, so that commits do not wait for each other in a circle.
        tenants.sort_unstable();
        tenants.dedup();
        let indexes: Vec<_> = tenants.iter().map(|tenant| self.tenant_or_new(tenant)).collect();
        let mut indexes: Vec<_> = indexes.iter().map(|index| write(index)).collect();
        let place = |tenant: &str| {
            tenants.binary_search_by(|other| (**other).cmp(tenant)).expect("every tenant's index was locked")
        };

        let stored = |tenant: &str, identifier: &str| Ok::<_, StoreError>(self.find(tenant, identifier));
        let transitions = transition::transitions(changes, stored)?;
        transition::judge_names(&transitions, |tenant, name| {
            Ok::<_, StoreError>(holder(&indexes[place(tenant)], name))
        })?;
        let steps: Vec<_> = transitions.into_iter().map(|transition| self.step(transition)).collect();
        self.reserve(&steps)?;
        self.store(&steps);
        for Step { transition, .. } in &steps {
            reindex(&mut indexes[place(&transition.after.tenant)], transition);
        }
        Ok(())
    }

    async fn select(
        &self,
        tenant: &str,
        key: Option<&IndexKey>,
        after: Option<Position>,
        limit: usize,
    ) -> Result<Vec<Arc<Record>>, StoreError> {
        let Some(index) = self.tenant(tenant) else { return Ok(Vec::new()) };
        let index = read(&index);
        let mut page: Vec<Arc<Record>> = Vec::new();
        for entry in entries(&index, key, after) {
            let ends_tie = page.last().is_some_and(|last| last.sequence != entry.sequence.0);
            if limit == 0 || (page.len() >= limit && ends_tie) {
                break;
            }
            page.extend(self.find(tenant, &entry.unique_identifier));
        }
        Ok(page)
    }

    /// The index is made here and by nobody else: it lacks nothing. A bookmark is the last sequence.
    async fn walk(&self, tenant: &str, from: Option<&Bookmark>, limit: usize) -> Result<Stretch, StoreError> {
        let last = from.and_then(|Bookmark(last)| last.first_chunk().copied().map(Position::from_be_bytes));
        let page = self.select(tenant, None, last, limit).await?;
        let next = page.last().filter(|_| page.len() >= limit);
        let next = next.map(|last| Bookmark(Bytes::copy_from_slice(&last.sequence.to_be_bytes())));
        Ok(Stretch { records: page.into_iter().map(Ok).collect(), next })
    }

    async fn tenants(&self) -> Result<Vec<ByteString>, StoreError> {
        // A tenant whose first commit was refused has an index, with nothing in it.
        let tenants = read(&self.tenants);
        let with_records = tenants.iter().filter(|(_, index)| !read(index).is_empty());
        Ok(with_records.map(|(tenant, _)| tenant.clone()).collect())
    }
}

impl Slot {
    fn is_of(&self, tenant: &str, unique_identifier: &str) -> bool {
        *self.record.unique_identifier == *unique_identifier && *self.record.tenant == *tenant
    }
}

impl Entry {
    fn new(key: Option<IndexKey>, record: &Record) -> Self {
        Self { key, sequence: Reverse(record.sequence), unique_identifier: record.unique_identifier.clone() }
    }
}

/// The shard takes the upper bits of the hash, the table inside it the lower ones and the topmost seven.
fn shard_of(hash: u64) -> usize {
    (hash >> 32) as usize % SHARDS
}

/// Replaces `before` by `after` in a sum, unless that makes it grow beyond `maximum`.
fn grow(sum: &AtomicU64, before: u64, after: u64, maximum: u64) -> Result<(), StoreError> {
    let grown = |sum: u64| {
        let grown = (sum + after).saturating_sub(before);
        (grown <= maximum || grown <= sum).then_some(grown)
    };
    sum.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown).map(drop).map_err(|_| StoreError::Full)
}

/// The entries of `key` beyond a position.
fn entries<'a>(
    index: &'a Index,
    key: Option<&'a IndexKey>,
    after: Option<Position>,
) -> impl Iterator<Item = &'a Entry> {
    let newest = match after {
        None => Some(Position::MAX),
        Some(after) => after.checked_sub(1),
    };
    let first = newest.map(|newest| Entry {
        key: key.cloned(),
        sequence: Reverse(newest),
        unique_identifier: ByteString::new(),
    });
    let range = first.map(|first| index.range((Bound::Included(first), Bound::Unbounded)));
    range.into_iter().flatten().take_while(move |entry| entry.key.as_ref() == key)
}

/// Who holds a name: names are index keys, too, that only one record carries.
fn holder(index: &Index, name: &IndexKey) -> Option<ByteString> {
    entries(index, Some(name), None).next().map(|entry| entry.unique_identifier.clone())
}

fn reindex(index: &mut Index, transition: &Transition) {
    let Transition { before, after, .. } = transition;
    let keys = |record: &Record| record.index_keys().into_iter().map(Some).chain([None]);
    let before: BTreeSet<_> =
        before.iter().flat_map(|before| keys(before).map(|key| Entry::new(key, before))).collect();
    let after: BTreeSet<_> = keys(after).map(|key| Entry::new(key, after)).collect();
    for entry in before.difference(&after) {
        index.remove(entry);
    }
    index.extend(after.difference(&before).cloned());
}

// A poisoned lock is used as it is: nothing that runs under one panics half way through a change.
fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::store::suite::{Subject, insert, name, record, replace, store_tests, with};

    store_tests!(
        all_stores,
        Subject { store: Arc::new(MemoryStore::new(MemoryLimits::default())), _keep: None }
    );

    #[tokio::test]
    async fn a_full_store_refuses_inserts() {
        let store = MemoryStore::new(MemoryLimits { maximum_records: 2, ..MemoryLimits::default() });
        let [a, b, c] = ["a", "b", "c"].map(|identifier| record("t", identifier, 1));
        store.commit(vec![insert(&a)]).await.unwrap();
        assert_eq!(store.commit(vec![insert(&b), insert(&c)]).await, Err(StoreError::Full));
        store.commit(vec![insert(&b)]).await.unwrap();
        assert_eq!(store.commit(vec![insert(&c)]).await, Err(StoreError::Full));
        assert!(store.fetch("t", "c").await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_full_store_still_takes_changes() {
        let first = record("t", "a", 1);
        let maximum_bytes = first.encode().len() as u64 * 16;
        let store = MemoryStore::new(MemoryLimits { maximum_bytes, ..MemoryLimits::default() });
        for number in 0..15 {
            store.commit(vec![insert(&record("t", &number.to_string(), 1))]).await.unwrap();
        }
        store.commit(vec![insert(&first)]).await.unwrap();
        assert_eq!(store.commit(vec![insert(&record("t", "b", 1))]).await, Err(StoreError::Full));
        // Revoke adds a reason and a date: a little growth is allowed.
        let grown = with(Record { version: 2, ..first.clone() }, [name("n")]);
        store.commit(vec![replace(&grown)]).await.unwrap();
        let too_large = with(Record { version: 3, ..first.clone() }, [name(&"n".repeat(1000))]);
        assert_eq!(store.commit(vec![replace(&too_large)]).await, Err(StoreError::Full));
        // Destroy makes room.
        store.commit(vec![replace(&Record { version: 3, sealed: None, ..first.clone() })]).await.unwrap();
        store.commit(vec![insert(&Record { sealed: None, ..record("t", "b", 1) })]).await.unwrap();
    }
}
