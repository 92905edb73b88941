//! Openings of a tenant's keys that are under way. A closing has those that began before it make no key any more, and waits for the few
//! that are just making one: so none appears in memory once the closing is answered.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytestring::ByteString;
use key_service::memory::LockedSecret;
use thiserror::Error;
use tokio::sync::Notify;

/// The openings that are under way.
#[derive(Default)]
pub struct Openings {
    by_tenant: Mutex<HashMap<ByteString, Vec<Weak<Opening>>>>,
    ended: Notify,
}

/// One opening. It begins before what it opens is looked up: a closing that it does not see in the store sees it here.
pub struct Opening {
    openings: Arc<Openings>,
    tenant: ByteString,
    is_closed: AtomicBool,
    making: AtomicUsize,
}

/// A key that was made, until it is where a closing wipes it, or is wiped.
pub struct Opened {
    // Dropped first.
    secret: LockedSecret,
    making: Making,
}

/// A closing waits for this to be dropped.
pub struct Making(Arc<Opening>);

/// The tenant was closed while the key was being opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the tenant was closed while its key was being opened")]
pub struct Closed;

impl Openings {
    /// Begins an opening of a key of a tenant.
    pub fn begin(self: &Arc<Self>, tenant: &ByteString) -> Arc<Opening> {
        let opening = Arc::new(Opening {
            openings: Arc::clone(self),
            tenant: tenant.clone(),
            is_closed: AtomicBool::new(false),
            making: AtomicUsize::new(0),
        });
        self.by_tenant().entry(tenant.clone()).or_default().push(Arc::downgrade(&opening));
        opening
    }

    /// No opening of the tenant that has begun makes a key any more.
    pub fn close(&self, tenant: &str) {
        for opening in self.of_tenant(tenant) {
            opening.is_closed.store(true, Ordering::SeqCst);
        }
    }

    /// No opening that has begun makes a key any more.
    pub fn close_all(&self) {
        let tenants: Vec<ByteString> = self.by_tenant().keys().cloned().collect();
        tenants.iter().for_each(|tenant| self.close(tenant));
    }

    /// Waits until no key of a tenant is being made by an opening that was [closed](Self::close).
    pub async fn ended(&self, tenant: &str) {
        loop {
            let ended = self.ended.notified();
            if !self.of_tenant(tenant).iter().any(|opening| opening.is_closed() && opening.is_making()) {
                return;
            }
            ended.await;
        }
    }

    /// Held beyond the lock: the last to drop one takes the lock itself.
    fn of_tenant(&self, tenant: &str) -> Vec<Arc<Opening>> {
        self.by_tenant().get(tenant).into_iter().flatten().filter_map(Weak::upgrade).collect()
    }

    fn by_tenant(&self) -> MutexGuard<'_, HashMap<ByteString, Vec<Weak<Opening>>>> {
        self.by_tenant.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Opening {
    /// The tenant.
    pub fn tenant(&self) -> &ByteString {
        &self.tenant
    }

    /// Whether the tenant was closed since this began.
    pub fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::SeqCst)
    }

    /// Makes the key, unless the tenant was closed meanwhile.
    ///
    /// # Errors
    /// If it was, or the key cannot be made.
    pub fn make<E: From<Closed>>(
        self: &Arc<Self>,
        key: impl FnOnce() -> Result<LockedSecret, E>,
    ) -> Result<Opened, E> {
        // Counted before it is looked: either this sees the closing, or the closing sees this.
        self.making.fetch_add(1, Ordering::SeqCst);
        let making = Making(Arc::clone(self));
        if self.is_closed() {
            return Err(Closed.into());
        }
        Ok(Opened { secret: key()?, making })
    }

    fn is_making(&self) -> bool {
        self.making.load(Ordering::SeqCst) > 0
    }
}

impl Opened {
    /// The bytes.
    pub fn expose(&self) -> &[u8] {
        self.secret.expose()
    }

    /// The key, and what is to be dropped after it, or once a closing would find it.
    pub fn into_parts(self) -> (LockedSecret, Making) {
        (self.secret, self.making)
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        self.0.making.fetch_sub(1, Ordering::SeqCst);
        self.0.openings.ended.notify_waiters();
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        let mut by_tenant = self.openings.by_tenant();
        if let Some(openings) = by_tenant.get_mut(&self.tenant) {
            openings.retain(|opening| opening.strong_count() > 0);
            if openings.is_empty() {
                by_tenant.remove(&self.tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use key_service::memory::{LockedMemory, MemoryKind};

    use super::*;

    fn make(opening: &Arc<Opening>, memory: &LockedMemory) -> Option<Opened> {
        opening.make(|| Ok::<_, Closed>(memory.store(&[7; 32]).unwrap())).ok()
    }

    #[tokio::test]
    async fn a_closing_keeps_those_from_making_a_key_that_began_before_it() {
        let (openings, memory) =
            (Arc::new(Openings::default()), LockedMemory::new(MemoryKind::Locked, 4096).unwrap());
        let [acme, globex] = ["acme", "globex"].map(|tenant| openings.begin(&tenant.into()));
        openings.close("acme");
        assert!(make(&acme, &memory).is_none() && acme.is_closed());
        assert!(make(&globex, &memory).is_some() && !globex.is_closed());
        assert!(make(&openings.begin(&"acme".into()), &memory).is_some(), "it has seen what was closed");
        openings.close_all();
        assert!(make(&globex, &memory).is_none());
        drop((acme, globex));
        assert!(openings.by_tenant().is_empty());
    }

    #[tokio::test]
    async fn a_closing_waits_for_the_key_that_is_just_made_and_for_no_other() {
        let (openings, memory) =
            (Arc::new(Openings::default()), LockedMemory::new(MemoryKind::Locked, 4096).unwrap());
        let key = make(&openings.begin(&"acme".into()), &memory).unwrap();
        openings.ended("acme").await;
        openings.close("acme");
        let later = make(&openings.begin(&"acme".into()), &memory).unwrap();
        openings.ended("globex").await;
        let mut ended = tokio::spawn({
            let openings = Arc::clone(&openings);
            async move { openings.ended("acme").await }
        });
        assert!(tokio::time::timeout(Duration::from_millis(50), &mut ended).await.is_err());
        drop(key);
        ended.await.unwrap();
        drop(later);
        assert_eq!(memory.used_bytes(), 0);
    }
}
