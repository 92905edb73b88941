//! The unsealed chain: L2s and L3s in locked memory, opened on demand and forgotten when anything about them changes.
//!
//! A key is opened once, however many requests wait for it. It is handed out only while its place here is still its
//! own: [`forget`](Vault::forget) takes the place away, so that a key which was being opened meanwhile is wiped
//! instead of used. A forgotten key is zeroized at once, whoever still holds it.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;
use bytestring::ByteString;
use key_service::crypto::{self, CryptoError, Entropy, SEALING_KEY_BYTES};
use key_service::fault::Fault;
use key_service::lifecycle_dates;
use key_service::memory::{LockedMemory, LockedSecret, MemoryError, keys_taken_back};
use key_service::port::{Clock, Store, StoreError};
use key_service::record::Record;
use kmip_protocol::attribute::AttributeType;
use kmip_protocol::codec::DateTime;
use kmip_protocol::enumeration::State;
use thiserror::Error;
use tokio::sync::OnceCell;

use crate::chain::{self, Level, REGION, associated_data};
use crate::metrics::Metrics;
use crate::root::{RootError, RootOfTrust, Roots};

/// The unsealed keys of a Core, and the way to them.
pub struct Vault {
    store: Arc<dyn Store>,
    roots: Roots,
    memory: LockedMemory,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    metrics: Metrics,
    places: RwLock<HashMap<ByteString, Arc<Place>>>,
}

/// Where a key is, or will be once it is open.
struct Place {
    tenant: ByteString,
    key: OnceCell<Arc<UnsealedKey>>,
}

/// An L2 or L3 in locked memory.
pub struct UnsealedKey {
    record: Arc<Record>,
    level: Level,
    tenant: ByteString,
    /// Where the L1 is that opened this key, if it is an L2.
    location: Option<ByteString>,
    /// When the first of the keys above this one is deactivated by its date.
    closes: Option<DateTime>,
    /// What everything that this key seals is bound to; the rest is appended.
    binding: Vec<u8>,
    secret: RwLock<Option<LockedSecret>>,
}

/// Why a key is not to be had.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum VaultError {
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The root does not do its work.
    #[error(transparent)]
    Root(#[from] RootError),
    /// No room.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The key, or one above it, is gone.
    #[error("a key of the chain is missing")]
    Missing,
    /// A key above is not Active: it was never activated, or it was revoked.
    #[error("the {above} above the key is not Active")]
    Closed {
        /// The level of the key above.
        above: &'static str,
    },
    /// A wrapped key does not open: it was damaged, or moved from elsewhere.
    #[error("a wrapped key of the chain does not open")]
    Damaged,
    /// No randomness.
    #[error("the source of randomness failed")]
    Entropy,
    /// Others change the chain faster than it can be opened.
    #[error("the chain is being changed")]
    Restless,
}

/// How often a key is opened again when the chain changes meanwhile.
const ATTEMPTS: usize = 8;

impl Vault {
    /// A vault with nothing open.
    pub fn new(
        store: Arc<dyn Store>,
        roots: Roots,
        memory: LockedMemory,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        metrics: Metrics,
    ) -> Self {
        Self { store, roots, memory, clock, entropy, metrics, places: RwLock::default() }
    }

    /// The roots of trust.
    pub fn roots(&self) -> &Roots {
        &self.roots
    }

    /// The key, if it is open already.
    pub fn opened(&self, unique_identifier: &str) -> Option<Arc<UnsealedKey>> {
        let key = self.places().get(unique_identifier)?.key.get().cloned()?;
        if key.is_closed(self.clock.now()) {
            self.forget_tenant(&key.tenant);
            return None;
        }
        Some(key)
    }

    /// The key, opened if need be: the L1 of the tenant opens the L2, that opens the L3. Keys above must be Active.
    ///
    /// # Errors
    /// Why it is not to be had.
    pub async fn open(
        &self,
        unique_identifier: &ByteString,
        tenant: &ByteString,
    ) -> Result<Arc<UnsealedKey>, VaultError> {
        for _ in 0..ATTEMPTS {
            if let Some(key) = self.opened(unique_identifier) {
                return Ok(key);
            }
            // The place is taken before the record is read: whoever changes the record later empties the place.
            let place = self.place(unique_identifier, tenant);
            let opened = place.key.get_or_try_init(|| self.unseal(unique_identifier)).await.cloned();
            let is_current = self.settle(unique_identifier, &place);
            match opened {
                Ok(key) if is_current => return Ok(key),
                Ok(key) => key.wipe(),
                Err(error) if is_current => return Err(error),
                Err(_) => (),
            }
        }
        Err(VaultError::Restless)
    }

    /// Makes a key for `record` and seals it under the key that the record links to. Nothing of it stays.
    ///
    /// # Errors
    /// If the key above is not to be had.
    pub async fn generate(&self, record: &Record, parent: &Record) -> Result<Bytes, VaultError> {
        let secret = self
            .memory
            .try_build(SEALING_KEY_BYTES, |slot| self.entropy.fill(slot).map_err(|_| VaultError::Entropy))?;
        let associated_data = binding(record).ok_or(VaultError::Missing)?;
        match Level::of(parent) {
            Level::L1 => {
                self.require_active(parent)?;
                let location = chain::location(parent).ok_or(VaultError::Missing)?;
                Ok(self.roots.open(location)?.seal(&associated_data, &secret).await?)
            }
            _ => {
                let tenant = chain::tenant(parent).ok_or(VaultError::Missing)?;
                self.require_active(parent)?;
                let key = self.open(&parent.unique_identifier, tenant).await?;
                let sealed =
                    key.with(|key| crypto::seal(key, &associated_data, secret.expose(), &*self.entropy));
                Ok(sealed.ok_or(VaultError::Restless)??.into())
            }
        }
    }

    /// Forgets a key: zeroizes it, and keeps it from being used if it is just being opened.
    pub fn forget(&self, unique_identifier: &str) {
        let place = self.places_mut().remove(unique_identifier);
        if let Some(place) = place {
            place.wipe();
            self.metrics.wiped.inc();
        }
    }

    /// Forgets all keys of a tenant.
    pub fn forget_tenant(&self, tenant: &str) {
        let forgotten: Vec<Arc<Place>> =
            self.places_mut().extract_if(|_, place| place.tenant == tenant).map(|(_, place)| place).collect();
        for place in &forgotten {
            place.wipe();
            self.metrics.wiped.inc();
        }
    }

    /// Forgets what a change of `record` touches: a key, or for an L1 or L2 everything of the tenant.
    pub fn forget_changed(&self, record: &Record) {
        match (Level::of(record), chain::tenant(record)) {
            (Level::L1 | Level::L2, Some(tenant)) => self.forget_tenant(tenant),
            _ => self.forget(&record.unique_identifier),
        }
    }

    /// The L2s that are open now.
    pub fn tenant_keys(&self) -> Vec<Arc<UnsealedKey>> {
        let places = self.places();
        let open = places.values().filter_map(|place| place.key.get());
        open.filter(|key| key.location.is_some()).cloned().collect()
    }

    /// The root of an open L2.
    ///
    /// # Errors
    /// If the key is no L2, or there is no such root any more.
    pub fn root_of(&self, key: &UnsealedKey) -> Result<Box<dyn RootOfTrust>, RootError> {
        self.roots.open(key.location.as_ref().ok_or(RootError::UnknownLocation)?)
    }

    /// Proves that `root` still opens an L2 that it once opened. What it opens is wiped at once.
    ///
    /// # Errors
    /// If it does not.
    pub async fn prove(&self, key: &UnsealedKey, root: &dyn RootOfTrust) -> Result<(), RootError> {
        let (binding, sealed) = (binding(&key.record), key.record.sealed.as_ref());
        let (Some(binding), Some(sealed)) = (binding, sealed) else { return Err(RootError::Damaged) };
        root.unseal(&binding, &sealed.envelope).await.map(drop)
    }

    /// Keys that are open now.
    pub fn opened_keys(&self) -> usize {
        self.places().values().filter(|place| place.key.initialized()).count()
    }

    async fn unseal(&self, unique_identifier: &ByteString) -> Result<Arc<UnsealedKey>, VaultError> {
        let record = self.fetch(unique_identifier).await?;
        let parent = self.fetch(chain::wrapping_key(&record).ok_or(VaultError::Missing)?).await?;
        let tenant = chain::tenant(&record).ok_or(VaultError::Missing)?.clone();
        let sealed = &record.sealed.as_ref().ok_or(VaultError::Missing)?.envelope;
        let associated_data = binding(&record).ok_or(VaultError::Missing)?;
        self.require_active(&parent)?;
        let own_end = parent.date(AttributeType::DeactivationDate);
        let (secret, closes, location) = match Level::of(&parent) {
            Level::L1 => {
                let location = chain::location(&parent).ok_or(VaultError::Missing)?;
                let root = self.roots.open(location)?;
                (root.unseal(&associated_data, sealed).await?, own_end, Some(location.clone()))
            }
            _ => {
                let above = Box::pin(self.open(&parent.unique_identifier, &tenant)).await?;
                let secret = self.open_under(&above, &associated_data, sealed)?;
                (secret, own_end.into_iter().chain(above.closes).min(), None)
            }
        };
        let level = Level::of(&record);
        self.metrics.unsealed(level);
        tracing::debug!(level = level.name(), %unique_identifier, %tenant, "unsealed");
        Ok(Arc::new(UnsealedKey::new(record, tenant, location, closes, secret)))
    }

    fn open_under(
        &self,
        above: &UnsealedKey,
        associated_data: &[u8],
        sealed: &[u8],
    ) -> Result<LockedSecret, VaultError> {
        let length = crypto::plaintext_length(sealed).map_err(|_| VaultError::Damaged)?;
        let opened = above.with(|key| {
            self.memory.try_build(length, |slot| Ok(crypto::unseal_into(key, associated_data, sealed, slot)?))
        });
        opened.ok_or(VaultError::Restless)?
    }

    async fn fetch(&self, unique_identifier: &str) -> Result<Arc<Record>, VaultError> {
        self.store.fetch(REGION, unique_identifier).await?.ok_or(VaultError::Missing)
    }

    fn require_active(&self, record: &Record) -> Result<(), VaultError> {
        let settled = lifecycle_dates::settle(Arc::new(record.clone()), self.clock.now());
        match settled.state() {
            Some(State::Active) => Ok(()),
            _ => Err(VaultError::Closed { above: Level::of(record).name() }),
        }
    }

    fn place(&self, unique_identifier: &ByteString, tenant: &ByteString) -> Arc<Place> {
        let mut places = self.places_mut();
        let place = places
            .entry(unique_identifier.clone())
            .or_insert_with(|| Arc::new(Place { tenant: tenant.clone(), key: OnceCell::new() }));
        Arc::clone(place)
    }

    /// Whether the place is still the key's own. One that stayed empty is given up.
    fn settle(&self, unique_identifier: &str, place: &Arc<Place>) -> bool {
        let mut places = self.places_mut();
        let is_current = places.get(unique_identifier).is_some_and(|current| Arc::ptr_eq(current, place));
        if is_current && !place.key.initialized() {
            places.remove(unique_identifier);
        }
        is_current
    }

    fn places(&self) -> RwLockReadGuard<'_, HashMap<ByteString, Arc<Place>>> {
        self.places.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn places_mut(&self) -> RwLockWriteGuard<'_, HashMap<ByteString, Arc<Place>>> {
        self.places.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    fn wipe(&self) {
        if let Some(key) = self.key.get() {
            key.wipe();
        }
    }
}

impl UnsealedKey {
    fn new(
        record: Arc<Record>,
        tenant: ByteString,
        location: Option<ByteString>,
        closes: Option<DateTime>,
        secret: LockedSecret,
    ) -> Self {
        let binding = associated_data(Level::L4, &tenant, &record.service, &record.unique_identifier);
        Self {
            level: Level::of(&record),
            record,
            tenant,
            location,
            closes,
            binding,
            secret: RwLock::new(Some(secret)),
        }
    }

    /// The record as it was when the key was opened; every change of it makes the vault forget the key.
    pub fn record(&self) -> &Arc<Record> {
        &self.record
    }

    /// L2 or L3.
    pub fn level(&self) -> Level {
        self.level
    }

    /// The tenant.
    pub fn tenant(&self) -> &ByteString {
        &self.tenant
    }

    /// What data that an L3 seals is bound to: the L3, its tenant and service, and what the Gateway tells.
    pub fn binding(&self, object: &[u8]) -> Vec<u8> {
        [&self.binding, object].concat()
    }

    /// Works with the key; `None` if it was wiped. A wipe waits until the work is done.
    pub fn with<T>(&self, work: impl FnOnce(&[u8; SEALING_KEY_BYTES]) -> T) -> Option<T> {
        let secret = self.secret.read().unwrap_or_else(PoisonError::into_inner);
        let bytes = secret.as_ref()?.expose().try_into().ok()?;
        Some(work(bytes))
    }

    fn wipe(&self) {
        // The memory is zeroized as it is given back.
        self.secret.write().unwrap_or_else(PoisonError::into_inner).take();
        keys_taken_back();
    }

    fn is_closed(&self, now: DateTime) -> bool {
        self.closes.is_some_and(|closes| closes <= now)
    }
}

impl fmt::Debug for UnsealedKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "UnsealedKey({} {})", self.level.name(), self.record.unique_identifier)
    }
}

/// What the bytes of an L2 or L3 are bound to.
fn binding(record: &Record) -> Option<Vec<u8>> {
    let (tenant, sealing_key) = (chain::tenant(record)?, chain::wrapping_key(record)?);
    let mut binding = associated_data(Level::of(record), tenant, &record.service, sealing_key);
    binding.extend_from_slice(record.unique_identifier.as_bytes());
    Some(binding)
}

impl From<CryptoError> for VaultError {
    fn from(error: CryptoError) -> Self {
        match error {
            CryptoError::EntropyUnavailable => Self::Entropy,
            _ => Self::Damaged,
        }
    }
}

impl From<VaultError> for Fault {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::Store(error) => error.into(),
            VaultError::Closed { .. } => {
                Self::permission_denied("a key above this one is not Active: its tenant is closed")
            }
            VaultError::Missing => Self::permission_denied("the chain above this key is not whole"),
            VaultError::Root(RootError::UnknownLocation | RootError::SoftwareRefused) => {
                tracing::error!(%error, "root of trust refused");
                Self::permission_denied("the root of trust that the L1 names is not in use here")
            }
            VaultError::Root(RootError::Denied(_)) => {
                tracing::error!(%error, "root of trust denied");
                Self::permission_denied("the root of trust refuses: the tenant is closed by its owner")
            }
            VaultError::Root(RootError::Unreachable(_)) => {
                tracing::error!(%error, "root of trust unreachable");
                Self::general_failure("the root of trust cannot be reached; try again later")
            }
            VaultError::Damaged | VaultError::Root(RootError::Damaged) => {
                tracing::error!(%error, "chain damaged");
                Self::general_failure("a wrapped key of the chain is damaged and was not used")
            }
            VaultError::Memory(_) | VaultError::Root(RootError::Memory(_)) => {
                tracing::error!(%error, "no locked memory left: raise memory.capacity_bytes");
                Self::general_failure("the vault has no room for another key")
            }
            VaultError::Entropy | VaultError::Restless => {
                tracing::error!(%error, "key not opened");
                Self::general_failure("the key cannot be used now; try again later")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use async_trait::async_trait;
    use key_service::chain::tenant_attribute;
    use key_service::guard::Guard;
    use key_service::memory::MemoryKind;
    use key_service::port::{Change, IndexKey, Position, Sealed, SystemClock, SystemEntropy};
    use key_service::store::{MemoryLimits, MemoryStore};
    use kmip_protocol::attribute::{Attribute, Attributes, KeyValueLocation};
    use kmip_protocol::enumeration::{KeyValueLocationType, ObjectType};
    use tokio::sync::Semaphore;

    use super::*;

    /// A store that keeps fetches of one record waiting.
    struct Gated {
        store: MemoryStore,
        gated: &'static str,
        waiting: Semaphore,
        released: Semaphore,
    }

    #[async_trait]
    impl Store for Gated {
        async fn fetch(&self, tenant: &str, identifier: &str) -> Result<Option<Arc<Record>>, StoreError> {
            let record = self.store.fetch(tenant, identifier).await;
            if identifier == self.gated {
                self.waiting.add_permits(1);
                self.released.acquire().await.unwrap().forget();
            }
            record
        }

        async fn commit(&self, changes: Vec<Change>) -> Result<(), StoreError> {
            self.store.commit(changes).await
        }

        async fn select(
            &self,
            tenant: &str,
            key: Option<&IndexKey>,
            after: Option<Position>,
            limit: usize,
        ) -> Result<Vec<Arc<Record>>, StoreError> {
            self.store.select(tenant, key, after, limit).await
        }

        async fn tenants(&self) -> Result<Vec<ByteString>, StoreError> {
            self.store.tenants().await
        }
    }

    struct Rig {
        store: Arc<Gated>,
        vault: Arc<Vault>,
        l2: Record,
        _folder: tempfile::TempDir,
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
        let vault = Vault::new(store.clone(), roots, memory, clock, entropy, Metrics::unregistered());
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
        Rig { store, vault: Arc::new(vault), l2, _folder: folder }
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
}
