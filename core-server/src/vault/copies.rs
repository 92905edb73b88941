//! Copies of L2s that roots work with, beside the one that a wipe reaches: a closing waits until they are gone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytestring::ByteString;
use key_service::memory::LockedSecret;
use tokio::sync::Notify;

use crate::root::Plaintext;

/// How many copies are out, by tenant.
#[derive(Default)]
pub(super) struct Copies {
    out: Mutex<HashMap<ByteString, usize>>,
    returned: Notify,
}

/// Counts one copy, until it is dropped.
struct Out {
    copies: Arc<Copies>,
    tenant: ByteString,
}

impl Copies {
    /// Lends a copy to a root.
    pub(super) fn lend(self: &Arc<Self>, secret: LockedSecret, tenant: &ByteString) -> Arc<Plaintext> {
        *self.out().entry(tenant.clone()).or_default() += 1;
        let out = Out { copies: Arc::clone(self), tenant: tenant.clone() };
        Arc::new(Plaintext::watched(secret, Box::new(out)))
    }

    /// Waits until no copy of a key of a tenant is out.
    pub(super) async fn returned(&self, tenant: &str) {
        loop {
            let returned = self.returned.notified();
            if !self.out().contains_key(tenant) {
                return;
            }
            returned.await;
        }
    }

    fn out(&self) -> MutexGuard<'_, HashMap<ByteString, usize>> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Out {
    fn drop(&mut self) {
        let mut out = self.copies.out();
        if let Some(count) = out.get_mut(&self.tenant) {
            *count -= 1;
            if *count == 0 {
                out.remove(&self.tenant);
            }
        }
        drop(out);
        self.copies.returned.notify_waiters();
    }
}
