//! A part of the cache: objects by L3 and identifier, and for each tenant the order in which they give way.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};

use bytestring::ByteString;
use key_service::memory::LockedSecret;
use key_service::port::{Binding, Sealed};
use kmip_protocol::codec::Secret;

use super::detach;

/// Opened objects under one lock.
#[derive(Default)]
pub(super) struct Shard {
    /// By L3, then by the object's identifier.
    keys: HashMap<ByteString, HashMap<ByteString, Entry>>,
    tenants: HashMap<ByteString, Holding>,
    /// The tenants that hold something, and how many bytes: the last one holds most.
    by_size: BTreeSet<(usize, ByteString)>,
    objects: usize,
}

struct Entry {
    binding: Binding,
    sealed: Sealed,
    secret: LockedSecret,
    /// Whether it was used since it was last looked at for giving way.
    used: AtomicBool,
}

/// What a tenant holds: its objects (L3 and identifier), the next one to be looked at first.
#[derive(Default)]
struct Holding {
    bytes: usize,
    order: VecDeque<(ByteString, ByteString)>,
}

impl Shard {
    pub(super) fn objects(&self) -> usize {
        self.objects
    }

    pub(super) fn find(&self, binding: &Binding, sealed: &Sealed) -> Option<Secret> {
        let entry = self.keys.get(&sealed.key)?.get(&binding.unique_identifier)?;
        if entry.binding != *binding || entry.sealed != *sealed {
            return None;
        }
        if !entry.used.load(Ordering::Relaxed) {
            entry.used.store(true, Ordering::Relaxed);
        }
        Some(Secret::copy_from_slice(entry.secret.expose()))
    }

    /// Takes in an object that is not here.
    pub(super) fn insert(&mut self, binding: &Binding, sealed: &Sealed, secret: LockedSecret) {
        let (tenant, key) = (detach(&binding.tenant), detach(&sealed.key));
        let binding = Binding {
            tenant: tenant.clone(),
            service: detach(&binding.service),
            unique_identifier: detach(&binding.unique_identifier),
            ..binding.clone()
        };
        let identifier = binding.unique_identifier.clone();
        let bytes = secret.length();
        let sealed = Sealed { key: key.clone(), envelope: sealed.envelope.clone() };
        let entry = Entry { binding, sealed, secret, used: AtomicBool::new(false) };
        self.keys.entry(key.clone()).or_default().insert(identifier.clone(), entry);
        self.objects += 1;
        self.holding(&tenant, |holding| {
            holding.bytes += bytes;
            holding.order.push_back((key, identifier));
        });
    }

    /// Forgets an object in whatever form it was sealed under the L3.
    pub(super) fn forget(&mut self, sealing_key: &ByteString, identifier: &str) {
        if let Some(entry) = self.take(sealing_key, identifier) {
            self.holding(&entry.binding.tenant, |holding| {
                holding.bytes -= entry.secret.length();
                holding.order.retain(|(key, other)| other != identifier || key != sealing_key);
            });
        }
    }

    /// Forgets one object, of the tenant that holds most; returns whether there was one.
    pub(super) fn evict(&mut self) -> bool {
        let Some((_, tenant)) = self.by_size.last().cloned() else { return false };
        let Some(holding) = self.tenants.get_mut(&tenant) else { return false };
        // Each is passed over once at most, so this ends.
        while let Some((key, identifier)) = holding.order.pop_front() {
            let entry = self.keys.get(&key).and_then(|held| held.get(&identifier));
            if entry.is_some_and(|entry| entry.used.swap(false, Ordering::Relaxed)) {
                holding.order.push_back((key, identifier));
                continue;
            }
            let Some(entry) = self.take(&key, &identifier) else { return false };
            self.holding(&tenant, |holding| holding.bytes -= entry.secret.length());
            return true;
        }
        false
    }

    /// Forgets what was opened under an L3.
    pub(super) fn wipe(&mut self, key: &str) {
        let Some(wiped) = self.keys.remove(key) else { return };
        self.objects -= wiped.len();
        let mut tenants: HashMap<ByteString, usize> = HashMap::new();
        for entry in wiped.into_values() {
            *tenants.entry(entry.binding.tenant).or_default() += entry.secret.length();
        }
        for (tenant, bytes) in tenants {
            self.holding(&tenant, |holding| {
                holding.bytes -= bytes;
                holding.order.retain(|(other, _)| other != key);
            });
        }
    }

    fn take(&mut self, key: &ByteString, identifier: &str) -> Option<Entry> {
        let held = self.keys.get_mut(key)?;
        let entry = held.remove(identifier)?;
        if held.is_empty() {
            self.keys.remove(key);
        }
        self.objects -= 1;
        Some(entry)
    }

    /// Changes what a tenant holds.
    fn holding(&mut self, tenant: &ByteString, change: impl FnOnce(&mut Holding)) {
        let holding = self.tenants.entry(tenant.clone()).or_default();
        self.by_size.remove(&(holding.bytes, tenant.clone()));
        change(holding);
        if holding.order.is_empty() {
            self.tenants.remove(tenant);
        } else {
            self.by_size.insert((holding.bytes, tenant.clone()));
        }
    }
}
