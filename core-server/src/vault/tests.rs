//! Races of opening and forgetting, with a store that keeps fetches waiting.

#![allow(clippy::unwrap_used)]

use std::sync::Mutex;

use async_trait::async_trait;
use key_service::chain::tenant_attribute;
use key_service::guard::Guard;
use key_service::memory::MemoryKind;
use key_service::port::{Change, NoAudit, Sealed, StoreError, SystemClock, SystemEntropy};
use key_service::store::{MemoryLimits, MemoryStore};
use kmip_protocol::attribute::{Attribute, Attributes, KeyValueLocation};
use kmip_protocol::enumeration::{KeyValueLocationType, ObjectType};
use prometheus_client::registry::Registry;
use tokio::sync::Semaphore;

use super::*;
use crate::metrics::Metrics;

/// A store that keeps fetches of one record waiting.
struct Gated {
    store: MemoryStore,
    gated: &'static str,
    waiting: Semaphore,
    released: Semaphore,
}

#[async_trait]
impl Store for Gated {
    fn below(&self) -> Option<&dyn Store> {
        Some(&self.store)
    }

    async fn fetch(&self, tenant: &str, identifier: &str) -> Result<Option<Arc<Record>>, StoreError> {
        let record = self.store.fetch(tenant, identifier).await;
        if identifier == self.gated {
            self.waiting.add_permits(1);
            self.released.acquire().await.unwrap().forget();
        }
        record
    }
}

struct Rig {
    store: Arc<Gated>,
    vault: Arc<Vault>,
    l2: Record,
    metrics: Registry,
    folder: tempfile::TempDir,
}

fn record(identifier: &'static str, attribute: Attribute) -> Record {
    let attributes = [attribute, tenant_attribute("acme"), Attribute::State(State::Active)];
    Record {
        tenant: REGION.into(),
        service: ByteString::new(),
        unique_identifier: identifier.into(),
        sequence: 1,
        version: 1,
        object_type: ObjectType::SymmetricKey,
        attributes: Attributes::new(attributes),
        sealed: None,
        further_seals: Vec::new(),
        guard: Guard::default(),
    }
}

/// A vault over an L1 and an L2, both Active; fetches of the L2 wait.
async fn rig() -> Rig {
    let folder = tempfile::tempdir().unwrap();
    let memory = LockedMemory::new(MemoryKind::Locked, 64 * 1024).unwrap();
    let store = Arc::new(Gated {
        store: MemoryStore::new(MemoryLimits::default()),
        gated: "l2",
        waiting: Semaphore::new(0),
        released: Semaphore::new(0),
    });
    let roots = Roots::software_only(folder.path(), memory.clone());
    let (clock, entropy) = (Arc::new(SystemClock::default()), Arc::new(SystemEntropy::new()));
    let mut registry = Registry::default();
    let switch = Switch::alone(Arc::new(NoAudit), clock, Metrics::register(&mut registry));
    let vault = Vault::new(store.clone(), roots, memory, entropy, switch);
    let location =
        KeyValueLocation { value: "software:acme".into(), location_type: KeyValueLocationType::Uri };
    vault.roots.establish(&location.value).unwrap();
    let l1 = record("l1", Attribute::KeyValueLocation(location));
    let mut l2 = record("l2", chain::wrapping_key_link("l1".into()));
    l2.sequence = 2;
    let envelope = vault.generate(&l2, &l1).await.unwrap();
    l2.sealed = Some(Sealed { key: "l1".into(), envelope });
    let changes = [&l1, &l2].map(|record| Change::Insert(Arc::new(record.clone()))).to_vec();
    store.commit(changes).await.unwrap();
    Rig { store, vault: Arc::new(vault), l2, metrics: registry, folder }
}

impl Rig {
    /// Begins to open the L2, as far as the store.
    async fn opening(&self) -> tokio::task::JoinHandle<Result<Arc<UnsealedKey>, VaultError>> {
        let vault = Arc::clone(&self.vault);
        let opening = tokio::spawn(async move { vault.open(&"l2".into(), &"acme".into()).await });
        self.store.waiting.acquire().await.unwrap().forget();
        opening
    }

    async fn opened(&self) -> Arc<UnsealedKey> {
        let opening = self.opening().await;
        self.store.released.add_permits(1);
        opening.await.unwrap().unwrap()
    }
}

#[tokio::test]
async fn a_key_that_is_forgotten_while_it_is_opened_is_not_handed_out() {
    let rig = rig().await;
    let opening = rig.opening().await;
    // The record is Active in the hands of whoever opens it, and destroyed in the store.
    let mut destroyed = Record { version: 2, sealed: None, ..rig.l2.clone() };
    destroyed.set(Attribute::State(State::Destroyed));
    rig.store.commit(vec![Change::Replace(Arc::new(destroyed))]).await.unwrap();
    rig.vault.forget_changed(&rig.l2);
    rig.store.released.add_permits(2);
    assert_eq!(opening.await.unwrap().err(), Some(VaultError::Missing));
    assert_eq!((rig.vault.opened_keys(), rig.vault.memory.used_bytes()), (0, 0));
}

#[tokio::test]
async fn a_forgotten_key_is_zeroized_whoever_holds_it() {
    let rig = rig().await;
    for forget in [|vault: &Vault| vault.forget("l2"), |vault: &Vault| vault.forget_tenant("acme")] {
        let key = rig.opened().await;
        assert!(key.with(|_| ()).is_some() && rig.vault.opened("l2").is_some());
        rig.vault.forget_tenant("globex");
        assert!(key.with(|_| ()).is_some());
        forget(&rig.vault);
        assert!(key.with(|_| ()).is_none() && rig.vault.opened("l2").is_none());
        assert_eq!(rig.vault.memory.used_bytes(), 0);
    }
}

/// A root that keeps what it is to seal, as a slow token does.
struct Slow {
    /// Where it works on when nobody waits for it any more, if it has begun.
    works: Option<Arc<Mutex<Option<Arc<Plaintext>>>>>,
    asked: Semaphore,
}

#[async_trait]
impl RootOfTrust for Slow {
    async fn seal(&self, _: &[u8], plaintext: &Arc<Plaintext>) -> Result<Bytes, RootError> {
        if let Some(works) = &self.works {
            *works.lock().unwrap() = Some(Arc::clone(plaintext));
        }
        self.asked.add_permits(1);
        std::future::pending().await
    }

    async fn unseal(&self, _: &[u8], _: &[u8], _: &Arc<Opening>) -> Result<Opened, RootError> {
        Err(RootError::Damaged)
    }

    async fn probe(&self) -> Result<(), RootError> {
        Ok(())
    }

    fn home(&self) -> String {
        "slow".to_owned()
    }
}

impl Slow {
    fn new(works: Option<&Arc<Mutex<Option<Arc<Plaintext>>>>>) -> Arc<Self> {
        Arc::new(Self { works: works.cloned(), asked: Semaphore::new(0) })
    }

    /// Has it seal the open L2 of a rig, and closes the tenant meanwhile.
    async fn is_closed_meanwhile(self: Arc<Self>, rig: &Rig) {
        let (vault, key, root) = (Arc::clone(&rig.vault), rig.opened().await, Arc::clone(&self));
        let sealing = tokio::spawn(async move { vault.seal_copy(&key, &*root, b"binding").await });
        self.asked.acquire().await.unwrap().forget();
        assert!(rig.vault.memory.used_bytes() > 0);
        rig.vault.forget_tenant("acme");
        assert_eq!(sealing.await.unwrap().err(), Some(VaultError::Restless));
    }
}

#[tokio::test]
async fn a_copy_that_waits_for_a_root_is_wiped_with_its_key() {
    let rig = rig().await;
    Slow::new(None).is_closed_meanwhile(&rig).await;
    rig.vault.copies_returned("acme").await;
    assert_eq!(rig.vault.memory.used_bytes(), 0);
}

#[tokio::test]
async fn a_copy_that_a_root_works_with_is_waited_for() {
    let rig = rig().await;
    let works = Arc::default();
    Slow::new(Some(&works)).is_closed_meanwhile(&rig).await;
    let vault = Arc::clone(&rig.vault);
    let mut returned = tokio::spawn(async move { vault.copies_returned("acme").await });
    rig.vault.copies_returned("globex").await;
    let early = tokio::time::timeout(Duration::from_millis(50), &mut returned).await;
    assert!(early.is_err() && rig.vault.memory.used_bytes() > 0);
    works.lock().unwrap().take();
    returned.await.unwrap();
    assert_eq!(rig.vault.memory.used_bytes(), 0);
}

/// A root that answers when it likes, and a tenant that is closed meanwhile: the answer is not made a key of.
#[tokio::test]
async fn what_a_root_opens_after_a_closing_becomes_no_key() {
    let rig = rig().await;
    let file = rig.folder.path().join("acme.l1");
    let key = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&file).status().unwrap().success());
    let opening = rig.opening().await;
    rig.store.released.add_permits(2);
    // There is somebody who reads: the root was asked.
    let mut root = tokio::task::spawn_blocking(|| std::fs::File::create(file)).await.unwrap().unwrap();
    let mut destroyed = Record { version: 2, sealed: None, ..rig.l2.clone() };
    destroyed.set(Attribute::State(State::Destroyed));
    rig.store.commit(vec![Change::Replace(Arc::new(destroyed))]).await.unwrap();
    rig.vault.forget_changed(&rig.l2);
    rig.vault.openings_ended("acme").await;
    std::io::Write::write_all(&mut root, &key).unwrap();
    assert_eq!(opening.await.unwrap().err(), Some(VaultError::Missing));
    let mut page = String::new();
    prometheus_client::encoding::text::encode(&mut page, &rig.metrics).unwrap();
    assert!(!page.contains("unseals_total{"), "an L2 was made: {page}");
    assert_eq!(rig.vault.memory.used_bytes(), 0);
}

#[tokio::test]
async fn whoever_gives_up_opening_leaves_it_to_the_next() {
    let rig = rig().await;
    let abandoned = rig.opening().await;
    let vault = Arc::clone(&rig.vault);
    let next = tokio::spawn(async move { vault.open(&"l2".into(), &"acme".into()).await });
    abandoned.abort();
    assert!(abandoned.await.unwrap_err().is_cancelled());
    rig.store.waiting.acquire().await.unwrap().forget();
    rig.store.released.add_permits(1);
    assert!(next.await.unwrap().unwrap().with(|_| ()).is_some());
}
