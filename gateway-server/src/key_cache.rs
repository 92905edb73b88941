//! Opened objects in locked memory, by the L3 that they were sealed under: they are wiped together when its lease ends.
//!
//! Where there is no room, the tenant that holds most gives way, and of its objects one that was not used lately: a tenant
//! that opens a million objects pushes out its own, not those of others.

mod shard;

use std::hash::{BuildHasher, RandomState};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytestring::ByteString;
use key_service::memory::LockedMemory;
use key_service::port::{Binding, Sealed};
use kmip_protocol::codec::Secret;

use self::shard::Shard;

/// Parts with a lock of their own, where the cache is large enough to be parted.
const MAXIMUM_SHARDS: usize = 16;

/// Objects that are worth a part of their own.
const SMALLEST_SHARD: usize = 64;

/// How many objects give way to one at most. An object for which that is not enough is opened anew each time.
const EVICTIONS_PER_OBJECT: usize = 8;

/// Opened objects.
pub(crate) struct KeyCache {
    memory: LockedMemory,
    hasher: RandomState,
    maximum_objects_per_shard: usize,
    shards: Vec<RwLock<Shard>>,
}

impl KeyCache {
    /// A cache of up to `maximum_objects`, as far as `memory` has room.
    pub(crate) fn new(memory: LockedMemory, maximum_objects: usize) -> Self {
        let shards = (maximum_objects / SMALLEST_SHARD).clamp(1, MAXIMUM_SHARDS);
        Self {
            memory,
            hasher: RandomState::new(),
            maximum_objects_per_shard: maximum_objects.div_ceil(shards),
            shards: (0..shards).map(|_| RwLock::default()).collect(),
        }
    }

    /// The object, if exactly this sealed form of it was opened under this binding.
    pub(crate) fn find(&self, binding: &Binding, sealed: &Sealed) -> Option<Secret> {
        read(self.shard(&binding.unique_identifier)).find(binding, sealed)
    }

    /// Remembers an opened object; others make room for it.
    pub(crate) fn remember(&self, binding: &Binding, sealed: &Sealed, secret: &Secret) {
        if self.maximum_objects_per_shard == 0 {
            return;
        }
        let mut shard = write(self.shard(&binding.unique_identifier));
        shard.forget(&sealed.key, &binding.unique_identifier);
        while shard.objects() >= self.maximum_objects_per_shard {
            shard.evict();
        }
        for _ in 0..EVICTIONS_PER_OBJECT {
            if let Ok(secret) = self.memory.store(secret.expose()) {
                shard.insert(binding, sealed, secret);
                return;
            }
            if !shard.evict() {
                return;
            }
        }
    }

    /// Wipes an object that was opened under an L3.
    pub(crate) fn forget(&self, key: &ByteString, unique_identifier: &str) {
        write(self.shard(unique_identifier)).forget(key, unique_identifier);
    }

    /// Wipes what was opened under an L3: when this returns, nothing of it is here.
    pub(crate) fn wipe(&self, key: &str) {
        self.shards.iter().for_each(|shard| write(shard).wipe(key));
    }

    /// By the object alone, so that an L3 that is much used does not wait for one lock.
    fn shard(&self, unique_identifier: &str) -> &RwLock<Shard> {
        let hash = self.hasher.hash_one(unique_identifier);
        &self.shards[hash as usize % self.shards.len()]
    }
}

fn read(shard: &RwLock<Shard>) -> RwLockReadGuard<'_, Shard> {
    shard.read().unwrap_or_else(PoisonError::into_inner)
}

fn write(shard: &RwLock<Shard>) -> RwLockWriteGuard<'_, Shard> {
    shard.write().unwrap_or_else(PoisonError::into_inner)
}

/// Copies a text out of the message that it is a slice of.
fn detach(text: &ByteString) -> ByteString {
    ByteString::from(&**text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use bytes::Bytes;
    use key_service::memory::MemoryKind;
    use kmip_protocol::enumeration::ObjectType;

    use super::*;

    fn cache(maximum_objects: usize, memory_bytes: usize) -> KeyCache {
        KeyCache::new(LockedMemory::new(MemoryKind::InsecureUnlocked, memory_bytes).unwrap(), maximum_objects)
    }

    fn object(tenant: &str, key: &str, name: &str) -> (Binding, Sealed) {
        let binding = Binding {
            tenant: tenant.into(),
            service: "default".into(),
            unique_identifier: name.into(),
            object_type: ObjectType::SymmetricKey,
            cryptographic_algorithm: None,
            cryptographic_length: None,
        };
        (binding, Sealed { key: key.into(), envelope: Bytes::copy_from_slice(name.as_bytes()) })
    }

    fn remember(cache: &KeyCache, tenant: &str, key: &str, name: &str, length: usize) {
        let (binding, sealed) = object(tenant, key, name);
        cache.remember(&binding, &sealed, &Secret::copy_from_slice(&vec![7; length]));
    }

    fn holds(cache: &KeyCache, tenant: &str, key: &str, name: &str) -> bool {
        let (binding, sealed) = object(tenant, key, name);
        cache.find(&binding, &sealed).is_some()
    }

    #[test]
    fn a_tenant_that_opens_many_objects_pushes_out_its_own() {
        for (objects, memory) in [(64, 1 << 20), (100_000, 64 * 1024)] {
            let cache = cache(objects, memory);
            for number in 0..10 {
                remember(&cache, "acme", "a", &format!("acme-{number}"), 32);
            }
            for number in 0..20_000 {
                remember(&cache, "globex", "g", &format!("globex-{number}"), 32);
            }
            for number in 0..10 {
                assert!(holds(&cache, "acme", "a", &format!("acme-{number}")), "{number} of {objects}");
            }
            assert!(holds(&cache, "globex", "g", "globex-19999"));
        }
    }

    #[test]
    fn what_is_used_stays() {
        let cache = cache(10, 1 << 20);
        remember(&cache, "acme", "a", "hot", 32);
        for number in 0..1_000 {
            assert!(holds(&cache, "acme", "a", "hot"), "after {number}");
            remember(&cache, "acme", "a", &format!("cold-{number}"), 32);
        }
    }

    #[test]
    fn a_wipe_leaves_nothing_of_its_key_and_all_of_others() {
        let cache = cache(100_000, 4 << 20);
        for number in 0..2_000 {
            remember(&cache, "acme", &format!("l3-{}", number % 2), &format!("{number}"), 32);
        }
        let used = cache.memory.used_bytes();
        cache.wipe("l3-0");
        assert_eq!(cache.memory.used_bytes(), used / 2);
        for number in 0..2_000 {
            let held = holds(&cache, "acme", &format!("l3-{}", number % 2), &format!("{number}"));
            assert_eq!(held, number % 2 == 1);
        }
        cache.wipe("l3-1");
        assert_eq!(cache.memory.used_bytes(), 0);
        remember(&cache, "acme", "l3-0", "again", 32);
        assert!(holds(&cache, "acme", "l3-0", "again"));
    }

    #[test]
    fn only_the_same_sealed_form_under_the_same_binding_is_found() {
        let cache = cache(10, 1 << 20);
        remember(&cache, "acme", "a", "one", 32);
        let (binding, sealed) = object("acme", "a", "one");
        let other_envelope = Sealed { envelope: Bytes::from_static(b"other"), ..sealed.clone() };
        assert!(cache.find(&binding, &other_envelope).is_none());
        assert!(cache.find(&Binding { tenant: "globex".into(), ..binding.clone() }, &sealed).is_none());
        assert!(cache.find(&Binding { service: "hr".into(), ..binding.clone() }, &sealed).is_none());
        // An object that was sealed anew takes the place of its old form, whatever its key.
        let (_, again) = object("acme", "b", "one");
        cache.remember(&binding, &again, &Secret::copy_from_slice(&[8; 32]));
        assert!(cache.find(&binding, &again).is_some());
        assert_eq!(cache.memory.used_bytes(), 64);
    }

    #[test]
    fn an_object_that_does_not_fit_is_not_kept() {
        let cache = cache(10, 16 * 1024);
        remember(&cache, "acme", "a", "large", 100_000);
        assert!(!holds(&cache, "acme", "a", "large"));
    }
}
