//! Where keys are, or will be once they are open: found by identifier, and for a whole tenant at once.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytestring::ByteString;
use tokio::sync::OnceCell;

use super::UnsealedKey;

/// Where a key is, or will be once it is open.
pub(super) struct Place {
    tenant: ByteString,
    pub(super) key: OnceCell<Arc<UnsealedKey>>,
}

impl Place {
    pub(super) fn wipe(&self) {
        if let Some(key) = self.key.get() {
            key.wipe();
        }
    }
}

/// The places of a vault.
#[derive(Default)]
pub(super) struct Places {
    by_key: HashMap<ByteString, Arc<Place>>,
    /// When a token dies that thousands of tenants share, each is closed without a look at all the others.
    by_tenant: HashMap<ByteString, HashSet<ByteString>>,
}

impl Places {
    pub(super) fn get(&self, unique_identifier: &str) -> Option<&Arc<Place>> {
        self.by_key.get(unique_identifier)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Place>> {
        self.by_key.values()
    }

    pub(super) fn of_tenant(&self, tenant: &str) -> impl Iterator<Item = &Arc<Place>> {
        self.by_tenant.get(tenant).into_iter().flatten().filter_map(|key| self.by_key.get(key))
    }

    /// The place of a key; made if there is none.
    pub(super) fn take_or_make(&mut self, unique_identifier: &ByteString, tenant: &ByteString) -> Arc<Place> {
        if let Some(place) = self.by_key.get(unique_identifier) {
            return Arc::clone(place);
        }
        let place = Arc::new(Place { tenant: tenant.clone(), key: OnceCell::new() });
        self.by_key.insert(unique_identifier.clone(), Arc::clone(&place));
        self.by_tenant.entry(tenant.clone()).or_default().insert(unique_identifier.clone());
        place
    }

    pub(super) fn remove(&mut self, unique_identifier: &str) -> Option<Arc<Place>> {
        let place = self.by_key.remove(unique_identifier)?;
        if let Some(keys) = self.by_tenant.get_mut(&place.tenant) {
            keys.remove(unique_identifier);
            if keys.is_empty() {
                self.by_tenant.remove(&place.tenant);
            }
        }
        Some(place)
    }

    /// Takes all places of a tenant away.
    pub(super) fn take_tenant(&mut self, tenant: &str) -> Vec<Arc<Place>> {
        let keys = self.by_tenant.remove(tenant).unwrap_or_default();
        keys.iter().filter_map(|key| self.by_key.remove(key)).collect()
    }
}
