//! The Gateway's leases on L3s: asked for when a key is first used, renewed while it is, given up at once when the Core asks
//! for them back, and with each its opened objects.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytestring::ByteString;
use key_service::chain::RECORD_KEY_LABEL;
use key_service::crypto::RECORD_KEY_BYTES;
use key_service::lease::{Asked, Granted, Holder};
use key_service::memory::{LockedSecret, keys_taken_back};
use key_service::port::{Binding, Clock, Sealed, SealerError};
use key_service::streams::Streams;
use kmip_protocol::codec::Secret;
use kmip_protocol::identifier::UniqueIdentifier;
use kmip_protocol::operation::{MacRequest, ObtainLeaseRequest, Response};

use crate::errands::{Answer, Errands};
use crate::key_cache::KeyCache;
use crate::questions::Questions;
use crate::record_keys::RecordKeys;

/// How often leases are looked after. What ends in between is noticed at its next use all the same.
const TICK: Duration = Duration::from_millis(200);

/// A lease that is in use is renewed when less than this is left of it.
const RENEW_BEFORE_END: Duration = Duration::from_millis(2_500);

/// The leases that this Gateway holds.
pub(crate) struct Leases {
    errands: Arc<Errands>,
    clock: Arc<dyn Clock>,
    book: Mutex<Book>,
    asked: Questions,
    asked_record_keys: Questions,
    cache: KeyCache,
    record_keys: RecordKeys,
    /// Operations in several parts hold opened objects, too.
    streams: OnceLock<Arc<Streams>>,
}

/// How often a lease is asked for that was recalled while the grant was under way: by a rotation, say.
const ATTEMPTS: usize = 2;

#[derive(Default)]
struct Book {
    holder: Holder<ByteString>,
    /// The L3s that were used since their leases were renewed, and whose they are.
    used: HashMap<ByteString, ByteString>,
}

impl Leases {
    pub(crate) fn new(
        errands: Arc<Errands>,
        clock: Arc<dyn Clock>,
        cache: KeyCache,
        record_keys: RecordKeys,
    ) -> Self {
        Self {
            errands,
            clock,
            book: Mutex::default(),
            asked: Questions::default(),
            asked_record_keys: Questions::default(),
            cache,
            record_keys,
            streams: OnceLock::new(),
        }
    }

    /// From now on, streams end with the lease on the L3 above their object. The first call counts.
    pub(crate) fn watch(&self, streams: Arc<Streams>) {
        let _ = self.streams.set(streams);
    }

    /// What was opened under these leases.
    pub(crate) fn cache(&self) -> &KeyCache {
        &self.cache
    }

    /// Under which lease the L3 may be used right now.
    pub(crate) fn lease(&self, key: &str) -> Option<u64> {
        self.book().holder.lease(key, self.clock.monotonic())
    }

    /// Makes sure of a live lease on an L3 of a tenant, asking for one where there is none.
    pub(crate) async fn ensure(&self, tenant: &str, key: &ByteString) -> Result<(), SealerError> {
        if self.use_live(tenant, key) {
            return Ok(());
        }
        for _ in 0..ATTEMPTS {
            self.renew(tenant, key).await?;
            if self.use_live(tenant, key) {
                return Ok(());
            }
        }
        Err(SealerError::Refused("the lease was recalled".to_owned()))
    }

    fn use_live(&self, tenant: &str, key: &ByteString) -> bool {
        let now = self.clock.monotonic();
        let mut book = self.book();
        let live = book.holder.is_live(key, now);
        if live && !book.used.contains_key(key) {
            book.used.insert(ByteString::from(&**key), ByteString::from(tenant));
        }
        live
    }

    async fn renew(&self, tenant: &str, key: &ByteString) -> Result<(), SealerError> {
        self.asked.ask(key, || self.ask(tenant, key)).await
    }

    /// Asks for a lease. It is measured from here: the time in the line counts against it.
    async fn ask(&self, tenant: &str, key: &ByteString) -> Result<(), SealerError> {
        let asked = self.book().holder.ask(self.clock.monotonic());
        let request = ObtainLeaseRequest { unique_identifier: Some(UniqueIdentifier::Text(key.clone())) };
        let Answer { by: Some(by), response: Response::ObtainLease(lease) } =
            self.errands.answer_to(tenant, 0, request).await?
        else {
            let why = "the Core's answer lacks the lease, or does not say which Core it is of";
            return Err(SealerError::Unavailable(why.to_owned()));
        };
        let lease_time = Duration::from_secs(u64::from(lease.lease_time.0));
        self.take(asked, by, key, lease_time);
        Ok(())
    }

    /// A Core has granted a lease: this life of it. Where one begins, nothing stays that was opened under an earlier one: the Core may
    /// have had it forgotten in between, when it had nobody to tell here, or another one may have ended before it could.
    fn take(&self, asked: Asked, by: u64, key: &ByteString, lease_time: Duration) {
        let mut book = self.book();
        let now = self.clock.monotonic();
        if book.holder.granted(asked, by, ByteString::from(&**key), lease_time, now) == Granted::Begun {
            self.wipe(key);
        }
    }

    /// To be called right before the Core is asked for something that is to be [remembered](Self::remember).
    pub(crate) fn asking(&self) -> Asked {
        self.book().holder.ask(self.clock.monotonic())
    }

    /// The Core asks for a lease back: nothing is used under it from now on, and what was opened is wiped.
    pub(crate) fn give_up(&self, key: &ByteString) {
        let mut book = self.book();
        book.holder.give_up(ByteString::from(&**key));
        // Under the same lock as `remember`: what was being opened meanwhile does not come back.
        self.wipe(key);
    }

    fn wipe(&self, key: &str) {
        self.cache.wipe(key);
        self.record_keys.wipe(key);
        if let Some(streams) = self.streams.get() {
            streams.keep_under(|other, _| other != key);
        }
        keys_taken_back();
    }

    /// The key of the records that hang on an L3, under a live lease on it.
    pub(crate) async fn record_key(
        &self,
        tenant: &str,
        key: &ByteString,
    ) -> Result<Arc<LockedSecret>, SealerError> {
        for _ in 0..ATTEMPTS {
            self.ensure(tenant, key).await?;
            if let Some(known) = self.record_keys.find(key) {
                return Ok(known);
            }
            self.asked_record_keys.ask(key, || self.ask_record_key(tenant, key)).await?;
            if let Some(known) = self.record_keys.find(key) {
                return Ok(known);
            }
        }
        Err(SealerError::Refused("the lease was recalled".to_owned()))
    }

    async fn ask_record_key(&self, tenant: &str, key: &ByteString) -> Result<(), SealerError> {
        let request = MacRequest {
            unique_identifier: Some(UniqueIdentifier::Text(key.clone())),
            cryptographic_parameters: None,
            data: Some(Secret::copy_from_slice(RECORD_KEY_LABEL)),
            correlation_value: None,
            init_indicator: None,
            final_indicator: None,
        };
        let asked = self.asking();
        let mac_data = match self.errands.ask(tenant, 0, request).await? {
            Response::Mac(made) => made.mac_data,
            _ => None,
        };
        let Some(record_key) = mac_data.filter(|mac| mac.len() == RECORD_KEY_BYTES) else {
            return Err(SealerError::Unavailable("the Core's answer lacks the key of records".to_owned()));
        };
        let book = self.book();
        let is_kept = book.holder.may_keep(asked, key, self.clock.monotonic());
        if is_kept && !self.record_keys.remember(key, &record_key) {
            return Err(SealerError::Unavailable("no locked memory is left for record keys".to_owned()));
        }
        Ok(())
    }

    /// An object was destroyed: what was opened of it is wiped, and what is on its way is not remembered.
    pub(crate) fn bury(&self, key: &ByteString, unique_identifier: &str) {
        let is_noted = {
            // Under the same lock as `remember`.
            let _book = self.book();
            self.cache.forget(key, unique_identifier);
            if let Some(streams) = self.streams.get() {
                streams.forget_object(unique_identifier);
            }
            self.record_keys.bury(key, unique_identifier)
        };
        if !is_noted {
            self.give_up(key);
        }
    }

    /// Remembers an opened object, if the lease that it was asked for under still lives.
    pub(crate) fn remember(&self, asked: Asked, binding: &Binding, sealed: &Sealed, opened: &Secret) {
        let book = self.book();
        let is_kept = book.holder.may_keep(asked, &sealed.key, self.clock.monotonic());
        if is_kept && !self.record_keys.is_buried(&sealed.key, &binding.unique_identifier) {
            self.cache.remember(binding, sealed, opened);
        }
    }

    /// Renews what is used and wipes what has ended, for ever.
    pub(crate) async fn look_after(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(TICK);
        loop {
            ticks.tick().await;
            // Each by itself: a tenant whose root is slow keeps no other's lease from being renewed.
            for (key, tenant) in self.ending() {
                let leases = Arc::clone(&self);
                tokio::spawn(async move {
                    if let Err(error) = leases.renew(&tenant, &key).await {
                        tracing::debug!(%tenant, %key, %error, "a lease was not renewed");
                    }
                });
            }
        }
    }

    /// Wipes what has ended. Returns the leases that are to be renewed, and whose they are.
    fn ending(&self) -> Vec<(ByteString, ByteString)> {
        let now = self.clock.monotonic();
        let mut book = self.book();
        for key in &book.holder.expire(now) {
            book.used.remove(key);
            self.wipe(key);
        }
        let mut streamed = self.look_after_streams(&book, now);
        let ending: Vec<ByteString> = book.holder.ending(now + RENEW_BEFORE_END).cloned().collect();
        let user = |key: ByteString| {
            let tenant = book.used.remove(&key).or_else(|| streamed.remove(&key))?;
            Some((key, tenant))
        };
        ending.into_iter().filter_map(user).collect()
    }

    /// Ends streams that are idle, and those that a request under way began after the lease had gone under which their object was
    /// opened. Returns the L3s of the others, whose leases they need for their next part, and whose they are.
    fn look_after_streams(&self, book: &Book, now: Duration) -> HashMap<ByteString, ByteString> {
        let Some(streams) = self.streams.get() else { return HashMap::new() };
        streams.forget_idle(&*self.clock);
        streams.keep_under(|key, lease| book.holder.lease(key, now) == Some(lease));
        streams.sealing_keys()
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
