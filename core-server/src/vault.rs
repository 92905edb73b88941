//! The unsealed chain: L2s and L3s in locked memory, opened on demand and forgotten when anything about them changes.
//!
//! A key is opened once, however many requests wait for it. It is handed out only while its place here is still its
//! own: [`forget`](Vault::forget) takes the place away, so that a key which was being opened meanwhile is wiped
//! instead of used. A forgotten key is zeroized at once, whoever still holds it.

mod copies;
mod error;
mod places;
mod proving;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use bytes::Bytes;
use bytestring::ByteString;
use key_service::crypto::{self, Entropy, SEALING_KEY_BYTES};
use key_service::lifecycle_dates;
use key_service::memory::{LockedMemory, LockedSecret, keys_taken_back};
use key_service::port::{Sealed, Store};
use key_service::record::Record;
use kmip_protocol::attribute::AttributeType;
use kmip_protocol::codec::DateTime;
use kmip_protocol::enumeration::State;
use tokio::sync::Notify;

use crate::anchor::{self, Anchor, AnchorBook};
use crate::audit::record_opening;
use crate::chain::{self, Level, REGION, associated_data};
use crate::openings::{Making, Opened, Opening, Openings};
use crate::root::{Plaintext, RootError, RootOfTrust, Roots};
use crate::switch::Switch;
use crate::uses::{UseBook, Uses};
use copies::Copies;
pub use error::VaultError;
use places::{Place, Places};

/// The unsealed keys of a Core, and the way to them.
pub struct Vault {
    store: Arc<dyn Store>,
    roots: Roots,
    memory: LockedMemory,
    entropy: Arc<dyn Entropy>,
    anchors: AnchorBook,
    uses: UseBook,
    switch: Switch,
    copies: Arc<Copies>,
    openings: Arc<Openings>,
    places: RwLock<Places>,
}

/// An L2 or L3 in locked memory.
pub struct UnsealedKey {
    record: Arc<Record>,
    level: Level,
    tenant: ByteString,
    /// How it was opened, if it is an L2.
    anchorage: Option<Anchorage>,
    /// How often it has been used.
    uses: Arc<Uses>,
    /// When the first of the keys above this one is deactivated by its date.
    closes: Option<DateTime>,
    /// What everything that this key seals is bound to; the rest is appended.
    binding: Vec<u8>,
    secret: RwLock<Option<LockedSecret>>,
    /// Until a wipe finds it.
    making: Mutex<Option<Making>>,
    wiped: Notify,
}

/// The anchors of an open L2.
pub(crate) struct Anchorage {
    /// All of them that were Active when it was opened.
    pub(crate) anchors: Vec<Anchor>,
    /// The one that opened it.
    pub(crate) opened_by: ByteString,
    /// When, on the monotonic clock.
    pub(crate) opened: Duration,
}

/// How often a key is opened again when the chain changes meanwhile.
const ATTEMPTS: usize = 8;

impl Vault {
    /// A vault with nothing open.
    pub fn new(
        store: Arc<dyn Store>,
        roots: Roots,
        memory: LockedMemory,
        entropy: Arc<dyn Entropy>,
        switch: Switch,
    ) -> Self {
        let anchors = AnchorBook::new(switch.metrics.clone());
        let (uses, copies) = (UseBook::default(), Arc::default());
        let (openings, places) = (Arc::default(), RwLock::default());
        Self { store, roots, memory, entropy, anchors, uses, switch, copies, openings, places }
    }

    /// How often L3s have been used.
    pub fn uses(&self) -> &UseBook {
        &self.uses
    }

    /// The roots of trust.
    pub fn roots(&self) -> &Roots {
        &self.roots
    }

    /// The key, if it is open already.
    pub fn opened(&self, unique_identifier: &str) -> Option<Arc<UnsealedKey>> {
        let key = self.places().get(unique_identifier)?.key.get().cloned()?;
        if key.is_closed(self.switch.clock.now()) {
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
            // All this before the record is read: whoever changes the record later empties the place, and keeps the key from being
            // made.
            let opening = self.openings.begin(tenant);
            let place = self.place(unique_identifier, tenant);
            let opened =
                place.key.get_or_try_init(|| self.unseal(unique_identifier, &opening)).await.cloned();
            let is_current = self.settle(unique_identifier, &place);
            match opened {
                Ok(key) if is_current => {
                    key.is_in_its_place();
                    return Ok(key);
                }
                Ok(key) => key.wipe(),
                Err(error) if is_current && !opening.is_closed() => return Err(error),
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
        let associated_data = binding(record, &parent.unique_identifier)?;
        match Level::of(parent) {
            Level::L1 => {
                self.require_active(parent)?;
                let location = chain::location(parent).ok_or(VaultError::Missing)?;
                let sealed = self.roots.open(location)?.seal(&associated_data, &Plaintext::new(secret)).await;
                if let Err(RootError::Denied(_)) = &sealed {
                    self.doubt(&parent.unique_identifier).await;
                }
                Ok(sealed?)
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
            self.switch.metrics.wiped.inc();
        }
    }

    /// Forgets all keys of a tenant.
    pub fn forget_tenant(&self, tenant: &str) {
        let forgotten = self.places_mut().take_tenant(tenant);
        self.openings.close(tenant);
        for place in &forgotten {
            place.wipe();
            self.switch.metrics.wiped.inc();
        }
    }

    /// Forgets everything.
    pub fn forget_all(&self) {
        let forgotten = std::mem::take(&mut *self.places_mut());
        self.openings.close_all();
        for place in forgotten.iter() {
            place.wipe();
            self.switch.metrics.wiped.inc();
        }
    }

    /// Forgets what a change of `record` touches: a key, or for an L1 or L2 everything of the tenant.
    pub fn forget_changed(&self, record: &Record) {
        if Level::of(record) == Level::L2 {
            let is_anchor = |l1: &str| record.seals().any(|sealed| sealed.key == l1);
            self.anchors.retain(&record.unique_identifier, is_anchor);
        }
        let is_live = matches!(record.state(), Some(State::PreActive | State::Active));
        match (Level::of(record), chain::tenant(record)) {
            // An L1 that becomes an anchor: a tenant whose other root is lost must live to be sealed under this one.
            (Level::L1, Some(tenant)) if is_live && !self.depends_on(tenant, &record.unique_identifier) => (),
            (Level::L1 | Level::L2, Some(tenant)) => self.forget_tenant(tenant),
            _ => self.forget(&record.unique_identifier),
        }
    }

    /// Whether something open, or being opened, of a tenant depends on what its L1 is like.
    fn depends_on(&self, tenant: &str, l1: &str) -> bool {
        let is_anchor =
            |anchorage: &Anchorage| anchorage.anchors.iter().any(|anchor| anchor.unique_identifier == l1);
        let places = self.places();
        places.of_tenant(tenant).any(|place| match place.key.get() {
            Some(key) => key.anchorage.as_ref().is_some_and(is_anchor),
            None => true,
        })
    }

    /// The L2s that are open now.
    pub fn tenant_keys(&self) -> Vec<Arc<UnsealedKey>> {
        let places = self.places();
        let open = places.iter().filter_map(|place| place.key.get());
        open.filter(|key| key.level == Level::L2).cloned().collect()
    }

    /// The anchors of an L2 that are Active, in the order in which they were added.
    ///
    /// # Errors
    /// If there is none.
    pub async fn anchors_of(&self, l2: &Record) -> Result<Vec<Anchor>, VaultError> {
        let mut anchors = Vec::new();
        let mut problem = VaultError::Missing;
        for sealed in l2.seals().filter(|sealed| chain::is_wrapped_by(l2, &sealed.key)) {
            let Some(l1) = self.store.fetch(REGION, &sealed.key).await? else { continue };
            // Who could write the store could have an L2 opened by a root of somebody else's.
            if Level::of(&l1) != Level::L1 || chain::tenant(&l1) != chain::tenant(l2) {
                continue;
            }
            match (self.require_active(&l1), chain::location(&l1), binding(l2, &sealed.key)) {
                (Ok(()), Some(location), Ok(binding)) => anchors.push(Anchor {
                    unique_identifier: sealed.key.clone(),
                    location: location.clone(),
                    closes: l1.date(AttributeType::DeactivationDate),
                    binding: binding.into(),
                    envelope: sealed.envelope.clone(),
                }),
                (Err(error), ..) | (_, _, Err(error)) => problem = error,
                _ => (),
            }
        }
        if anchors.is_empty() { Err(problem) } else { Ok(anchors) }
    }

    /// Begins an opening of a tenant's keys, for [`prove`](Self::prove).
    pub fn begin_opening(&self, tenant: &ByteString) -> Arc<Opening> {
        self.openings.begin(tenant)
    }

    /// Seals an open L2 under one L1 more, which has to open it again at once.
    ///
    /// # Errors
    /// If the L1 is not Active, or does not do its work; or the L2 is wiped meanwhile.
    pub async fn seal_under(&self, key: &UnsealedKey, l1: &Record) -> Result<Sealed, VaultError> {
        self.require_active(l1)?;
        let root = self.roots.open(chain::location(l1).ok_or(VaultError::Missing)?)?;
        let binding = binding(&key.record, &l1.unique_identifier)?;
        let opening = self.openings.begin(&key.tenant);
        let sealed = async {
            // One that was wiped before the opening began is not copied.
            let envelope = self.seal_copy(key, &*root, &binding).await?;
            let opened = root.unseal(&binding, &envelope, &opening).await?;
            Ok((envelope, opened))
        };
        let sealed = sealed.await;
        if let Err(VaultError::Root(RootError::Denied(_))) = &sealed {
            self.doubt(&l1.unique_identifier).await;
        }
        let (envelope, opened) = sealed?;
        match key.with(|bytes| opened.expose() == bytes) {
            Some(true) => Ok(Sealed { key: l1.unique_identifier.clone(), envelope }),
            Some(false) => Err(VaultError::Damaged),
            None => Err(VaultError::Restless),
        }
    }

    /// Has a root seal a copy of a key: the key itself may be wiped while the root works. Then the copy goes with this attempt; where
    /// the root is just working with it, whoever closes the tenant waits until it is [returned](Self::copies_returned).
    async fn seal_copy(
        &self,
        key: &UnsealedKey,
        root: &dyn RootOfTrust,
        binding: &[u8],
    ) -> Result<Bytes, VaultError> {
        let wiped = key.wiped.notified();
        let copy = key.with(|bytes| self.memory.store(bytes).map(|copy| self.copies.lend(copy, &key.tenant)));
        let copy = copy.ok_or(VaultError::Restless)??;
        tokio::select! {
            sealed = root.seal(binding, &copy) => Ok(sealed?),
            () = wiped => Err(VaultError::Restless),
        }
    }

    /// Waits until no root works with a copy of a key of a tenant. One that was wiped is copied no more.
    pub async fn copies_returned(&self, tenant: &str) {
        self.copies.returned(tenant).await;
    }

    /// Waits until no key of a tenant is made any more by an opening that began before the tenant was forgotten.
    pub async fn openings_ended(&self, tenant: &str) {
        self.openings.ended(tenant).await;
    }

    /// Keys that are open now.
    pub fn opened_keys(&self) -> usize {
        self.places().iter().filter(|place| place.key.initialized()).count()
    }

    async fn unseal(
        &self,
        unique_identifier: &ByteString,
        opening: &Arc<Opening>,
    ) -> Result<Arc<UnsealedKey>, VaultError> {
        let record = self.fetch(unique_identifier).await?;
        let tenant = chain::tenant(&record).ok_or(VaultError::Missing)?.clone();
        let level = Level::of(&record);
        let (opened, closes, anchorage) = match level {
            Level::L2 => self.unseal_by_anchor(&record, opening).await?,
            _ => self.unseal_by_tenant_key(&record, opening).await?,
        };
        self.switch.metrics.unsealed(level);
        tracing::debug!(level = level.name(), %unique_identifier, %tenant, "unsealed");
        if level == Level::L2 {
            record_opening(&*self.switch.audit, self.switch.clock.now(), unique_identifier, &tenant).await;
        }
        let uses = self.uses.of(unique_identifier);
        Ok(Arc::new(UnsealedKey::new(record, tenant, anchorage, uses, closes, opened)?))
    }

    async fn unseal_by_anchor(&self, l2: &Record, opening: &Arc<Opening>) -> Result<Unsealed, VaultError> {
        let anchors = self.anchors_of(l2).await?;
        let mut ranked = anchors.clone();
        self.anchors.rank(&l2.unique_identifier, &mut ranked);
        let asked = (self.switch.clock.monotonic(), self.switch.clock.now());
        let mut told = Vec::new();
        let root_at = |location: &str| self.roots.open(location);
        // One that was denied closes the tenant now, this opening included, whatever the others will say.
        let refused = |anchor: &Anchor, error: &RootError| {
            told.extend(self.failed(opening.tenant(), &l2.unique_identifier, anchor, error));
        };
        let opened = anchor::open_by_any(root_at, ranked, opening, refused).await;
        for told in told {
            // It goes on whether somebody waits or not.
            let _ = told.await;
        }
        let (anchor, opened) = opened?;
        self.anchors.proved(&l2.unique_identifier, &anchor.unique_identifier, asked);
        let closes = anchors.iter().filter_map(|anchor| anchor.closes).min();
        let anchorage = Anchorage { anchors, opened_by: anchor.unique_identifier, opened: asked.0 };
        Ok((opened, closes, Some(anchorage)))
    }

    async fn unseal_by_tenant_key(
        &self,
        record: &Record,
        opening: &Arc<Opening>,
    ) -> Result<Unsealed, VaultError> {
        let parent = self.fetch(chain::wrapping_key(record).ok_or(VaultError::Missing)?).await?;
        let sealed = record.sealed.as_ref().ok_or(VaultError::Missing)?;
        let associated_data = binding(record, &parent.unique_identifier)?;
        self.require_active(&parent)?;
        let own_end = parent.date(AttributeType::DeactivationDate);
        let above = Box::pin(self.open(&parent.unique_identifier, opening.tenant())).await?;
        let opened = opening.make(|| self.open_under(&above, &associated_data, &sealed.envelope))?;
        Ok((opened, own_end.into_iter().chain(above.closes).min(), None))
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

    /// Whether a key is Active now.
    pub(crate) fn is_active(&self, record: &Record) -> bool {
        self.require_active(record).is_ok()
    }

    fn require_active(&self, record: &Record) -> Result<(), VaultError> {
        let settled = lifecycle_dates::settle(Arc::new(record.clone()), self.switch.clock.now());
        match settled.state() {
            Some(State::Active) => Ok(()),
            _ => Err(VaultError::Closed { above: Level::of(record).name() }),
        }
    }

    fn place(&self, unique_identifier: &ByteString, tenant: &ByteString) -> Arc<Place> {
        self.places_mut().take_or_make(unique_identifier, tenant)
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

    fn places(&self) -> RwLockReadGuard<'_, Places> {
        self.places.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn places_mut(&self) -> RwLockWriteGuard<'_, Places> {
        self.places.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An opened key, when it closes, and for an L2 by which anchor it was opened.
type Unsealed = (Opened, Option<DateTime>, Option<Anchorage>);

impl UnsealedKey {
    fn new(
        record: Arc<Record>,
        tenant: ByteString,
        anchorage: Option<Anchorage>,
        uses: Arc<Uses>,
        closes: Option<DateTime>,
        opened: Opened,
    ) -> Result<Self, VaultError> {
        let (secret, making) = opened.into_parts();
        let binding = associated_data(Level::L4, &tenant, &record.service, &record.unique_identifier)?;
        Ok(Self {
            level: Level::of(&record),
            record,
            tenant,
            anchorage,
            uses,
            closes,
            binding,
            secret: RwLock::new(Some(secret)),
            making: Mutex::new(Some(making)),
            wiped: Notify::new(),
        })
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

    /// How it was opened, if it is an L2.
    pub(crate) fn anchorage(&self) -> Option<&Anchorage> {
        self.anchorage.as_ref()
    }

    /// How often it has been used.
    pub fn uses(&self) -> &Uses {
        &self.uses
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

    /// Whether it was not wiped.
    fn is_open(&self) -> bool {
        self.secret.read().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Whoever closes the tenant finds the key and wipes it, and need not wait for it.
    fn is_in_its_place(&self) {
        self.making.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    fn wipe(&self) {
        // The memory is zeroized as it is given back.
        self.secret.write().unwrap_or_else(PoisonError::into_inner).take();
        self.is_in_its_place();
        self.wiped.notify_waiters();
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

/// What the bytes of an L2 or L3 are bound to when `sealing_key` seals them.
fn binding(record: &Record, sealing_key: &str) -> Result<Vec<u8>, VaultError> {
    let tenant = chain::tenant(record).ok_or(VaultError::Missing)?;
    let mut binding = associated_data(Level::of(record), tenant, &record.service, sealing_key)?;
    binding.extend_from_slice(record.unique_identifier.as_bytes());
    Ok(binding)
}
