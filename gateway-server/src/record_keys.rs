//! What hangs on an L3 beside opened objects, and is wiped with them: the key of its records, in locked memory of its own, and
//! which of its objects were destroyed.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytestring::ByteString;
use key_service::memory::{LockedMemory, LockedSecret};

/// Objects of one L3 that are remembered as destroyed at most. Beyond that the L3 is given up: the Core knows them all.
const MAXIMUM_BURIED: usize = 16_384;

/// Record keys, and destroyed objects.
pub(crate) struct RecordKeys {
    memory: LockedMemory,
    by_key: RwLock<HashMap<ByteString, OfKey>>,
}

#[derive(Default)]
struct OfKey {
    record_key: Option<Arc<LockedSecret>>,
    /// What is on its way here of these objects is not remembered.
    buried: HashSet<ByteString>,
}

impl RecordKeys {
    /// As many keys as `memory` has room for.
    pub(crate) fn new(memory: LockedMemory) -> Self {
        Self { memory, by_key: RwLock::default() }
    }

    /// The key of the records that hang on an L3.
    pub(crate) fn find(&self, key: &str) -> Option<Arc<LockedSecret>> {
        self.read().get(key)?.record_key.clone()
    }

    /// Remembers a record key; where there is no room, another one gives way, and comes back with its next use. Returns whether it
    /// could.
    pub(crate) fn remember(&self, key: &str, record_key: &[u8]) -> bool {
        let mut by_key = self.write();
        let stored = self.memory.store(record_key).or_else(|_| {
            let other = by_key.values_mut().find(|of_key| of_key.record_key.is_some());
            other.and_then(|of_key| of_key.record_key.take());
            self.memory.store(record_key)
        });
        let Ok(stored) = stored else { return false };
        by_key.entry(ByteString::from(key)).or_default().record_key = Some(Arc::new(stored));
        true
    }

    /// Notes that an object was destroyed. Returns `false` where there are too many to be noted.
    pub(crate) fn bury(&self, key: &str, unique_identifier: &str) -> bool {
        let mut by_key = self.write();
        let of_key = by_key.entry(ByteString::from(key)).or_default();
        of_key.buried.insert(ByteString::from(unique_identifier));
        of_key.buried.len() <= MAXIMUM_BURIED
    }

    /// Whether an object was destroyed, as far as is known here.
    pub(crate) fn is_buried(&self, key: &str, unique_identifier: &str) -> bool {
        self.read().get(key).is_some_and(|of_key| of_key.buried.contains(unique_identifier))
    }

    /// Wipes what hangs on an L3.
    pub(crate) fn wipe(&self, key: &str) {
        self.write().remove(key);
    }

    fn read(&self) -> RwLockReadGuard<'_, HashMap<ByteString, OfKey>> {
        self.by_key.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<ByteString, OfKey>> {
        self.by_key.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use key_service::memory::MemoryKind;

    use super::*;

    #[test]
    fn a_full_memory_holds_the_latest_keys() {
        let memory = LockedMemory::new(MemoryKind::InsecureUnlocked, 64 * 1024).unwrap();
        let keys = RecordKeys::new(memory);
        for number in 0..5_000 {
            assert!(keys.remember(&number.to_string(), &[7; 32]));
        }
        assert_eq!(keys.find("4999").unwrap().expose(), [7; 32]);
    }

    #[test]
    fn a_wipe_forgets_the_key_and_what_was_buried() {
        let memory = LockedMemory::new(MemoryKind::InsecureUnlocked, 64 * 1024).unwrap();
        let keys = RecordKeys::new(memory);
        assert!(keys.remember("l3", &[7; 32]) && keys.bury("l3", "object") && keys.is_buried("l3", "object"));
        keys.wipe("l3");
        assert!(keys.find("l3").is_none() && !keys.is_buried("l3", "object"));
        assert_eq!(keys.memory.used_bytes(), 0);
    }
}
