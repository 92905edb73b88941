//! A bounded cache of decoded records that never answers with an older version than the database would.
//!
//! A record that a transaction replaces is marked as changing before the transaction commits; until the outcome is
//! known, fetches of it read the database and may not fill the cache. A fetch that began before the change and ends
//! after it may not either: it brings the generation of its shard with it, which has passed by then.
//!
//! A full cache takes in what was read only at its second miss within a while. So a walk through all records, or fetches
//! that hardly ever repeat, neither push out what is in use nor pay for taking in and evicting.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytestring::ByteString;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::record::Record;

pub(super) struct Cache {
    hasher: RandomState,
    shards: Vec<RwLock<Shard>>,
    /// Bytes of encoded records that a shard may hold.
    shard_bytes: usize,
}

/// What a cache knows of a record.
pub(super) enum Lookup {
    Hit(Arc<Record>),
    Miss(Ticket),
}

/// Allows one record, read from the database after the cache missed it, into the cache.
pub(super) struct Ticket {
    hash: u64,
    generation: u64,
}

#[derive(Default)]
struct Shard {
    table: HashTable<Slot>,
    /// Hashes and names of slots, the next one to evict first. Names without a slot are passed over.
    queue: VecDeque<(u64, ByteString, ByteString)>,
    bytes: usize,
    /// Counts the finished changes.
    generation: u64,
    misses: Misses,
}

/// Remembers the last misses, as far as others have not taken their places.
#[derive(Default)]
struct Misses {
    /// Parts of hashes, at places that other parts pick. Empty until the shard is full for the first time.
    places: Box<[u32]>,
}

struct Slot {
    /// What is cached, or is to be if a change succeeds.
    record: Arc<Record>,
    bytes: usize,
    changing: bool,
    /// Fetched since it last came to the front of the queue.
    used: AtomicBool,
}

const SHARDS: usize = 64;

/// What a slot costs beside the record.
const SLOT_BYTES: usize = 256;

/// Misses that a shard remembers at most: about as many as it holds records of 600 bytes, with the default of 64 MiB.
const REMEMBERED_MISSES: usize = 1024;

/// A record above this part of a shard is not cached: it would push out too many others.
const LARGEST_DIVISOR: usize = 4;

impl Cache {
    /// A cache of about so many bytes of encoded records; decoded ones take about three times as much.
    pub(super) fn new(bytes: usize) -> Self {
        Self {
            hasher: RandomState::new(),
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            shard_bytes: bytes / SHARDS,
        }
    }

    pub(super) fn look_up(&self, tenant: &str, unique_identifier: &str) -> Lookup {
        let hash = self.hasher.hash_one((tenant, unique_identifier));
        let shard = self.read(hash);
        match shard.table.find(hash, |slot| slot.is_of(tenant, unique_identifier)) {
            Some(slot) if !slot.changing => {
                // Not written when already set, so that readers do not take the line from each other.
                if !slot.used.load(Ordering::Relaxed) {
                    slot.used.store(true, Ordering::Relaxed);
                }
                Lookup::Hit(Arc::clone(&slot.record))
            }
            _ => Lookup::Miss(Ticket { hash, generation: shard.generation }),
        }
    }

    /// Takes in what was read after a miss, unless it may be outdated by now.
    pub(super) fn fill(&self, ticket: Ticket, record: &Arc<Record>, bytes: usize) {
        let mut shard = self.write(ticket.hash);
        let is_full = shard.bytes + bytes + SLOT_BYTES > self.shard_bytes;
        if shard.generation == ticket.generation && (!is_full || shard.misses.repeat(ticket.hash)) {
            self.insert(&mut shard, ticket.hash, Slot::new(record, bytes), false);
        }
    }

    /// Before a transaction that replaces the record is committed.
    pub(super) fn begin_change(&self, record: &Arc<Record>) {
        let hash = self.hash(record);
        let slot = Slot { changing: true, ..Slot::new(record, 0) };
        self.insert(&mut self.write(hash), hash, slot, true);
    }

    /// After the record was replaced or inserted durably.
    pub(super) fn finish_change(&self, record: &Arc<Record>, bytes: usize) {
        let hash = self.hash(record);
        let mut shard = self.write(hash);
        shard.generation += 1;
        self.insert(&mut shard, hash, Slot::new(record, bytes), true);
    }

    /// Forgets everything, also what is changing: the outcome is in the database.
    pub(super) fn clear(&self) {
        for shard in &self.shards {
            let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
            let generation = shard.generation + 1;
            *shard = Shard { generation, ..Shard::default() };
        }
    }

    fn insert(&self, shard: &mut Shard, hash: u64, slot: Slot, replace: bool) {
        let Shard { table, queue, bytes, .. } = shard;
        let record = Arc::clone(&slot.record);
        let is_same = |other: &Slot| other.is_of(&record.tenant, &record.unique_identifier);
        if !slot.changing && slot.bytes > self.shard_bytes / LARGEST_DIVISOR {
            if let Ok(entry) = table.find_entry(hash, is_same) {
                *bytes -= entry.remove().0.bytes;
            }
            return;
        }
        match table.entry(hash, is_same, |slot| self.hash(&slot.record)) {
            Entry::Occupied(_) if !replace => return,
            Entry::Occupied(mut entry) => {
                *bytes = *bytes + slot.bytes - entry.get().bytes;
                *entry.get_mut() = slot;
            }
            Entry::Vacant(entry) => {
                *bytes += slot.bytes;
                queue.push_back((hash, record.tenant.clone(), record.unique_identifier.clone()));
                entry.insert(slot);
            }
        }
        self.evict(shard);
    }

    /// Second chance: what was used since its last turn goes to the back of the queue.
    fn evict(&self, shard: &mut Shard) {
        let Shard { table, queue, bytes, .. } = shard;
        let mut turns = queue.len() * 2;
        while *bytes > self.shard_bytes && turns > 0 {
            turns -= 1;
            let Some((hash, tenant, unique_identifier)) = queue.pop_front() else { return };
            let Ok(entry) = table.find_entry(hash, |slot| slot.is_of(&tenant, &unique_identifier)) else {
                continue;
            };
            if entry.get().changing || entry.get().used.swap(false, Ordering::Relaxed) {
                queue.push_back((hash, tenant, unique_identifier));
            } else {
                *bytes -= entry.remove().0.bytes;
            }
        }
    }

    fn hash(&self, record: &Record) -> u64 {
        self.hasher.hash_one((&*record.tenant, &*record.unique_identifier))
    }

    fn shard(&self, hash: u64) -> &RwLock<Shard> {
        // The table inside takes the lower bits and the topmost seven.
        &self.shards[(hash >> 32) as usize % SHARDS]
    }

    fn read(&self, hash: u64) -> RwLockReadGuard<'_, Shard> {
        self.shard(hash).read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, hash: u64) -> RwLockWriteGuard<'_, Shard> {
        self.shard(hash).write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Misses {
    /// Whether this one is remembered; it is from now on.
    fn repeat(&mut self, hash: u64) -> bool {
        if self.places.is_empty() {
            self.places = vec![0; REMEMBERED_MISSES].into_boxed_slice();
        }
        // The bits between pick the shard.
        let place = &mut self.places[hash as usize % REMEMBERED_MISSES];
        std::mem::replace(place, (hash >> 32) as u32) == (hash >> 32) as u32
    }
}

impl Slot {
    fn new(record: &Arc<Record>, bytes: usize) -> Self {
        Self {
            record: Arc::clone(record),
            bytes: bytes + SLOT_BYTES,
            changing: false,
            used: AtomicBool::new(false),
        }
    }

    fn is_of(&self, tenant: &str, unique_identifier: &str) -> bool {
        *self.record.unique_identifier == *unique_identifier && *self.record.tenant == *tenant
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::store::suite::record;

    fn version(version: u64) -> Arc<Record> {
        Arc::new(Record { version, ..record("t", "a", 1) })
    }

    fn cached(cache: &Cache) -> Option<u64> {
        match cache.look_up("t", "a") {
            Lookup::Hit(record) => Some(record.version),
            Lookup::Miss(_) => None,
        }
    }

    fn miss(cache: &Cache) -> Ticket {
        match cache.look_up("t", "a") {
            Lookup::Hit(_) => panic!("it is cached"),
            Lookup::Miss(ticket) => ticket,
        }
    }

    #[test]
    fn a_miss_is_filled() {
        let cache = Cache::new(1 << 20);
        let ticket = miss(&cache);
        cache.fill(ticket, &version(1), 100);
        assert_eq!(cached(&cache), Some(1));
    }

    #[test]
    fn a_changing_record_is_neither_answered_nor_filled() {
        let cache = Cache::new(1 << 20);
        cache.fill(miss(&cache), &version(1), 100);
        cache.begin_change(&version(2));
        assert_eq!(cached(&cache), None);
        cache.fill(miss(&cache), &version(1), 100);
        assert_eq!(cached(&cache), None);
        cache.finish_change(&version(2), 100);
        assert_eq!(cached(&cache), Some(2));
    }

    #[test]
    fn what_was_read_before_a_change_is_not_filled_after_it() {
        for limit in [0, 1 << 20] {
            let cache = Cache::new(limit);
            let ticket = miss(&cache);
            cache.begin_change(&version(2));
            cache.finish_change(&version(2), 100);
            // Evicted meanwhile, for the smaller cache.
            cache.fill(ticket, &version(1), 100);
            assert_ne!(cached(&cache), Some(1));
        }
    }

    #[test]
    fn a_failed_change_leaves_nothing() {
        let cache = Cache::new(1 << 20);
        cache.fill(miss(&cache), &version(1), 100);
        let ticket = miss_other(&cache);
        cache.begin_change(&version(2));
        cache.clear();
        assert_eq!(cached(&cache), None);
        cache.fill(ticket, &version(1), 100);
        assert_eq!(cached(&cache), None);
    }

    #[test]
    fn a_full_cache_takes_in_what_is_missed_again() {
        let cache = Cache::new(SHARDS * 16 * (SLOT_BYTES + 100));
        let fetch = |identifier: &str| match cache.look_up("t", identifier) {
            Lookup::Hit(_) => true,
            Lookup::Miss(ticket) => {
                cache.fill(ticket, &Arc::new(record("t", identifier, 1)), 100);
                false
            }
        };
        let held = || cache.shards.iter().map(|shard| shard.read().unwrap().table.len()).sum::<usize>();
        let in_use: Vec<_> = (0..200).map(|number| format!("in use {number}")).collect();
        in_use.iter().for_each(|identifier| _ = fetch(identifier));
        assert!(in_use.iter().all(|identifier| fetch(identifier)), "it is not full yet");
        // A walk through all that there is leaves them where they are.
        (0..10_000).for_each(|number| _ = fetch(&format!("k{number}")));
        assert!(held() > SHARDS * 10, "the test proves nothing");
        assert!(in_use.iter().all(|identifier| fetch(identifier)));
        // The first one is forgotten by then; what comes again soon is taken in.
        assert!(!fetch("late"));
        assert!(!fetch("late") && fetch("late"));
    }

    /// A ticket of the same shard, from before.
    fn miss_other(cache: &Cache) -> Ticket {
        let hash = cache.hash(&record("t", "a", 1));
        Ticket { hash, generation: cache.read(hash).generation }
    }

    #[test]
    fn it_stays_within_its_bytes_and_keeps_what_is_used() {
        let cache = Cache::new(SHARDS * 16 * (SLOT_BYTES + 100));
        for number in 0..10_000 {
            let record = Arc::new(record("t", &format!("k{number}"), number));
            cache.finish_change(&record, 100);
            assert!(number == 0 || matches!(cache.look_up("t", "k0"), Lookup::Hit(_)), "{number}");
        }
        let held = |shard: &RwLock<Shard>| {
            let shard = shard.read().unwrap();
            assert!(shard.bytes <= cache.shard_bytes && shard.queue.len() <= 17);
            shard.table.len()
        };
        let held: usize = cache.shards.iter().map(held).sum();
        assert!((SHARDS * 10..=SHARDS * 16).contains(&held), "{held}");
    }
}
