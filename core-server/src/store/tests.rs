//! Closing a tenant whose store fails, or whose records cannot be read, at the wrong moment.

#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicBool, Ordering};

use key_service::guard::Guard;
use key_service::memory::{LockedMemory, MemoryKind};
use key_service::port::{NoAudit, SystemClock, SystemEntropy};
use key_service::store::{MemoryLimits, MemoryStore};
use kmip_protocol::attribute::{Attribute, Attributes};
use kmip_protocol::enumeration::ObjectType;

use super::*;
use crate::leases::Life;
use crate::metrics::Metrics;
use crate::root::Roots;
use crate::switch::Switch;
use crate::tombstones::Plot;

const LEASE: Duration = Duration::from_millis(300);

/// A store that hides a damaged L3, and fails once something was committed.
struct Failing {
    store: MemoryStore,
    damaged: Option<&'static str>,
    fails_then: bool,
    fails: AtomicBool,
    /// What happens just before a commit.
    meanwhile: Box<dyn Fn() + Send + Sync>,
}

impl Failing {
    fn judge(&self) -> Result<(), StoreError> {
        match self.fails.load(Ordering::Relaxed) {
            true => Err(StoreError::Unavailable("it fails".to_owned())),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl Store for Failing {
    fn below(&self) -> Option<&dyn Store> {
        Some(&self.store)
    }

    async fn fetch(&self, tenant: &str, identifier: &str) -> Result<Option<Arc<Record>>, StoreError> {
        self.judge()?;
        match self.damaged {
            Some(damaged) if damaged == identifier => Err(StoreError::Damaged(identifier.to_owned())),
            _ => self.store.fetch(tenant, identifier).await,
        }
    }

    async fn commit(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        (self.meanwhile)();
        self.store.commit(changes).await?;
        self.fails.store(self.fails_then, Ordering::Relaxed);
        Ok(())
    }

    async fn select(
        &self,
        tenant: &str,
        key: Option<&IndexKey>,
        after: Option<Position>,
        limit: usize,
    ) -> Result<Vec<Arc<Record>>, StoreError> {
        self.judge()?;
        let mut found = self.store.select(tenant, key, after, limit).await?;
        found.retain(|record| self.damaged.is_none_or(|damaged| record.unique_identifier != damaged));
        Ok(found)
    }
}

fn record(identifier: &'static str, service: &'static str, above: &'static str) -> Record {
    let attributes =
        [chain::wrapping_key_link(above.into()), tenant_attribute("acme"), Attribute::State(State::Active)];
    Record {
        tenant: REGION.into(),
        service: service.into(),
        unique_identifier: identifier.into(),
        sequence: u64::from(identifier.as_bytes()[1]),
        version: 1,
        object_type: ObjectType::SymmetricKey,
        attributes: Attributes::new(attributes),
        sealed: None,
        further_seals: Vec::new(),
        guard: Guard::default(),
    }
}

struct Rig {
    store: Arc<Failing>,
    leases: Arc<Leases>,
    watched: WatchedStore,
    _folder: tempfile::TempDir,
}

fn lease(leases: &Leases, key: &'static str) {
    let of = Plot::of(&"acme".into(), &record("l3", "default", "l2"));
    let life = Life { gateway: "g".into(), instance: "silent".into() };
    leases.grant(&key.into(), &of, &life).unwrap();
}

/// A tenant with one L3.
async fn rig(damaged: Option<&'static str>, fails_then: bool, leased_meanwhile: Option<&'static str>) -> Rig {
    let clock = Arc::new(SystemClock::default());
    let leases = Arc::new(Leases::new(clock.clone(), LEASE, Duration::ZERO, 8));
    let granting = Arc::clone(&leases);
    let store = Arc::new(Failing {
        store: MemoryStore::new(MemoryLimits::default()),
        damaged,
        fails_then,
        fails: AtomicBool::new(false),
        meanwhile: Box::new(move || leased_meanwhile.into_iter().for_each(|key| lease(&granting, key))),
    });
    let records = [record("l2", "", "l1"), record("l3", "default", "l2")];
    store.store.commit(records.map(|record| Change::Insert(Arc::new(record))).to_vec()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let memory = LockedMemory::new(MemoryKind::InsecureUnlocked, 64 * 1024).unwrap();
    let roots = Roots::software_only(folder.path(), memory.clone());
    let (entropy, audit) = (Arc::new(SystemEntropy::new()), Arc::new(NoAudit));
    let metrics = Metrics::unregistered();
    let membership = Membership::alone(clock.clone());
    let switch = Switch::new(leases.clone(), membership.clone(), audit, clock, metrics);
    let vault = Arc::new(Vault::new(store.clone(), roots, memory, entropy, switch));
    let watched = WatchedStore::new(store.clone(), vault, leases.clone(), membership, Arc::default());
    Rig { store, leases, watched, _folder: folder }
}

impl Rig {
    async fn revoke_l2(&self) {
        let mut revoked = record("l2", "", "l1");
        revoked.version += 1;
        revoked.set(Attribute::State(State::Compromised));
        self.watched.commit(vec![Change::Replace(Arc::new(revoked))]).await.unwrap();
    }
}

#[tokio::test]
async fn a_lease_on_an_l3_whose_record_is_damaged_is_waited_for() {
    let rig = rig(Some("l3"), false, None).await;
    lease(&rig.leases, "l3");
    assert!(rig.leases.remaining() > Duration::ZERO);
    rig.revoke_l2().await;
    assert_eq!(rig.leases.remaining(), Duration::ZERO, "somebody may still use it");
}

#[tokio::test]
async fn a_lease_on_an_l3_made_meanwhile_is_waited_for_though_the_store_fails_then() {
    let rig = rig(None, true, Some("l4")).await;
    rig.revoke_l2().await;
    assert!(rig.store.fails.load(Ordering::Relaxed));
    assert_eq!(rig.leases.remaining(), Duration::ZERO, "somebody may still use it");
}

#[tokio::test]
async fn another_core_that_finds_a_record_damaged_recalls_all() {
    let rig = rig(Some("l2"), false, None).await;
    lease(&rig.leases, "l3");
    rig.watched.follow(&["l2".into()], &*rig.store).await.unwrap().await;
    assert_eq!(rig.leases.remaining(), Duration::ZERO, "somebody may still use it");
}
