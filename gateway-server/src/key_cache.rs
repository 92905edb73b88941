//! Opened objects in locked memory, by the L3 that they were sealed under: they are wiped together when its lease ends.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytestring::ByteString;
use key_service::memory::{LockedMemory, LockedSecret};
use key_service::port::{Binding, Sealed};
use kmip_protocol::codec::Secret;

/// Opened objects.
pub(crate) struct KeyCache {
    memory: LockedMemory,
    maximum_entries: usize,
    /// By L3, then by the object's identifier.
    entries: RwLock<HashMap<ByteString, HashMap<ByteString, Arc<Entry>>>>,
}

struct Entry {
    binding: Binding,
    sealed: Sealed,
    secret: LockedSecret,
}

impl KeyCache {
    /// A cache of up to `maximum_entries` objects, as far as `memory` has room.
    pub(crate) fn new(memory: LockedMemory, maximum_entries: usize) -> Self {
        Self { memory, maximum_entries, entries: RwLock::default() }
    }

    /// The object, if exactly this sealed form of it was opened under this binding.
    pub(crate) fn find(&self, binding: &Binding, sealed: &Sealed) -> Option<Secret> {
        let entry = self.read().get(&sealed.key)?.get(&binding.unique_identifier)?.clone();
        let same = entry.binding == *binding && entry.sealed == *sealed;
        same.then(|| Secret::copy_from_slice(entry.secret.expose()))
    }

    /// Remembers an opened object; forgets another one where there is no room.
    pub(crate) fn remember(&self, binding: &Binding, sealed: &Sealed, secret: &Secret) {
        let mut entries = self.write();
        if entries.values().map(HashMap::len).sum::<usize>() >= self.maximum_entries {
            forget_one(&mut entries);
        }
        let Ok(secret) = self.memory.store(secret.expose()) else {
            forget_one(&mut entries);
            return;
        };
        let entry = Entry { binding: detach(binding), sealed: sealed.clone(), secret };
        let of_key = entries.entry(ByteString::from(&*sealed.key)).or_default();
        of_key.insert(entry.binding.unique_identifier.clone(), Arc::new(entry));
    }

    /// Wipes what was opened under an L3.
    pub(crate) fn wipe(&self, key: &str) {
        self.write().remove(key);
    }

    fn read(&self) -> RwLockReadGuard<'_, HashMap<ByteString, HashMap<ByteString, Arc<Entry>>>> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<ByteString, HashMap<ByteString, Arc<Entry>>>> {
        self.entries.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Copies a binding out of the messages that its texts are slices of.
fn detach(binding: &Binding) -> Binding {
    Binding {
        tenant: ByteString::from(&*binding.tenant),
        service: ByteString::from(&*binding.service),
        unique_identifier: ByteString::from(&*binding.unique_identifier),
        ..binding.clone()
    }
}

/// Any one will do: what is in use comes back with its next use.
fn forget_one(entries: &mut HashMap<ByteString, HashMap<ByteString, Arc<Entry>>>) {
    if let Some(of_key) = entries.values_mut().find(|of_key| !of_key.is_empty()) {
        let any = of_key.keys().next().cloned();
        any.and_then(|any| of_key.remove(&any));
    }
}
