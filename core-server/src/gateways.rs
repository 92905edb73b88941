//! The Gateways: each that is configured is an object of the Core, which operators see and revoke in plain KMIP. A Gateway that
//! was revoked is let in no more, under whatever certificate of that name; one whose object is damaged, not until that can be read.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use bytestring::ByteString;
use key_service::chain::{GATEWAY_PREFIX, gateway_object};
use key_service::fault::Fault;
use key_service::lifecycle_dates;
use key_service::port::{Change, Clock, Store, StoreError};
use key_service::record::Record;
use kmip_protocol::attribute::Attribute;
use kmip_protocol::enumeration::State;

use crate::audit::Settlement;
use crate::governed::{NAMESPACE, gateway_record};
use crate::leases::Leases;
use crate::ledger::Ledger;
use crate::metrics::Metrics;

/// Whether a Gateway is let in. Closing waits for what is being done with keys just now.
#[derive(Default)]
pub struct Admission {
    door: RwLock<Door>,
}

/// How a Gateway is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Door {
    /// It is let in.
    #[default]
    Open,
    /// Whether it was revoked cannot be told, since its object is damaged: it is not let in until that is put right.
    Unreadable,
    /// It was revoked, for good.
    Revoked,
}

/// Proof that a Gateway is let in, for as long as it is held.
pub struct Admitted<'a> {
    _held: RwLockReadGuard<'a, Door>,
}

impl Admission {
    /// Whether the Gateway is let in now.
    pub fn is_open(&self) -> bool {
        self.door() == Door::Open
    }

    /// Lets it in.
    ///
    /// # Errors
    /// If it was revoked, or its object is damaged.
    pub fn enter(&self) -> Result<Admitted<'_>, Fault> {
        let held = self.door.read().unwrap_or_else(PoisonError::into_inner);
        match *held {
            Door::Open => Ok(Admitted { _held: held }),
            Door::Unreadable => Err(Fault::permission_denied(
                "whether this Gateway was revoked cannot be told, since its object at the Core is damaged",
            )),
            Door::Revoked => Err(Fault::permission_denied("this Gateway was revoked")),
        }
    }

    fn door(&self) -> Door {
        *self.door.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Meets it otherwise from now on, if `change` says so. Returns whether that is news.
    fn change(&self, change: impl FnOnce(Door) -> Option<Door>) -> bool {
        let mut door = self.door.write().unwrap_or_else(PoisonError::into_inner);
        let changed = change(*door).filter(|changed| changed != &*door);
        *door = changed.unwrap_or(*door);
        changed.is_some()
    }

    /// Lets it in no more, for good. Returns whether that is news.
    fn revoke(&self) -> bool {
        self.change(|_| Some(Door::Revoked))
    }
}

/// The Gateways of the configuration.
pub struct Gateways {
    admissions: HashMap<ByteString, Arc<Admission>>,
    leases: Arc<Leases>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
}

impl Gateways {
    /// Gateways of these names, all let in.
    pub fn new<'a>(
        names: impl IntoIterator<Item = &'a str>,
        leases: Arc<Leases>,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
    ) -> Self {
        let admissions = names.into_iter().map(|name| (ByteString::from(name), Arc::default())).collect();
        Self { admissions, leases, clock, metrics }
    }

    /// The admission of a Gateway. One that is not configured is not here, and nobody sits for it.
    pub fn admission(&self, name: &str) -> Arc<Admission> {
        self.admissions.get(name).map(Arc::clone).unwrap_or_default()
    }

    /// Makes the objects that are missing, and closes those that were revoked before. Other Cores may do the same just now.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn establish(&self, store: &dyn Store, ledger: Option<&Ledger>) -> Result<(), StoreError> {
        for (name, admission) in &self.admissions {
            let unique_identifier = gateway_object(name);
            let was_closed = ledger.is_some_and(|ledger| ledger.has_closed(NAMESPACE, &unique_identifier));
            let record = match store.fetch(NAMESPACE, &unique_identifier).await {
                Ok(Some(record)) => record,
                Err(StoreError::Damaged(_)) if was_closed => {
                    admission.revoke();
                    continue;
                }
                Err(StoreError::Damaged(what)) => {
                    self.shut_out(name, &what);
                    continue;
                }
                Err(error) => return Err(error),
                Ok(None) => {
                    let mut record = gateway_record(name, &*self.clock);
                    // The store was lost, or restored from before there was this Gateway.
                    if was_closed {
                        record.set(Attribute::State(State::Compromised));
                    }
                    let record = Arc::new(record);
                    match store.commit(vec![Change::Insert(Arc::clone(&record))]).await {
                        Ok(()) => record,
                        Err(StoreError::IdentifierTaken | StoreError::NameTaken | StoreError::Conflict) => {
                            store.fetch(NAMESPACE, &unique_identifier).await?.unwrap_or(record)
                        }
                        Err(error) => return Err(error),
                    }
                }
            };
            if !self.is_let_in(&record) {
                admission.revoke();
                tracing::warn!(gateway = %name, "the Gateway was revoked and is not let in");
            }
        }
        Ok(())
    }

    /// Looks at the object of a Gateway that was changed: one that is no longer let in is let in no more when this returns, and
    /// expelled: the result ends when each of its lives has given up its keys, or its leases have ended.
    pub fn judge(&self, record: &Arc<Record>) -> Option<impl Future<Output = Settlement> + Send + use<>> {
        let name = record.unique_identifier.strip_prefix(GATEWAY_PREFIX)?;
        // Also when it was closed before: whoever revokes twice waits twice.
        (!self.admits(name, record)).then(|| self.expel(name))
    }

    /// Meets a Gateway from now on as its object says. Returns whether it is let in.
    fn admits(&self, name: &str, record: &Arc<Record>) -> bool {
        let (admission, is_let_in) = (self.admission(name), self.is_let_in(record));
        if !is_let_in && admission.revoke() {
            tracing::warn!(gateway = name, "the Gateway is revoked: it is let in no more");
        }
        // One that was revoked stays so, whatever its object says.
        if is_let_in && admission.change(|door| (door == Door::Unreadable).then_some(Door::Open)) {
            tracing::warn!(gateway = name, "the object of the Gateway can be read again: it is let in");
        }
        self.count();
        is_let_in
    }

    /// The object of a Gateway is damaged: it is not let in until that can be read. One that was revoked stays so.
    fn shut_out(&self, name: &str, what: &str) {
        let is_news = self.admission(name).change(|door| (door == Door::Open).then_some(Door::Unreadable));
        self.count();
        if is_news {
            let identifier = gateway_object(name);
            tracing::error!(gateway = name, %identifier, what, "the object of the Gateway is damaged: it is not let in until that is put right");
        }
    }

    fn expel(&self, name: &str) -> impl Future<Output = Settlement> + Send + use<> {
        let (leases, name) = (Arc::clone(&self.leases), ByteString::from(name));
        async move { leases.expel(&name).await }
    }

    fn count(&self) {
        let doors = self.admissions.values().map(|admission| admission.door());
        self.metrics.damaged_gateways(doors.filter(|door| *door == Door::Unreadable).count());
    }

    /// As [`judge`](Self::judge), of a Gateway whose object was changed elsewhere. One whose object cannot be read is not let in.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn look_at(
        &self,
        gateway: &str,
        store: &dyn Store,
    ) -> Result<Option<impl Future<Output = Settlement> + Send + use<>>, StoreError> {
        let is_let_in = match store.fetch(NAMESPACE, &gateway_object(gateway)).await {
            Ok(record) => record.is_none_or(|record| self.admits(gateway, &record)),
            Err(StoreError::Damaged(what)) => {
                self.shut_out(gateway, &what);
                false
            }
            Err(error) => return Err(error),
        };
        Ok((!is_let_in).then(|| self.expel(gateway)))
    }

    /// Looks for Gateways that were revoked by a date, and for objects that were damaged or put right. One that is damaged keeps nobody
    /// from looking at the others.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn refresh(&self, store: &dyn Store) -> Result<(), StoreError> {
        for (name, admission) in &self.admissions {
            let record = match store.fetch(NAMESPACE, &gateway_object(name)).await {
                Ok(record) => record,
                Err(StoreError::Damaged(what)) => {
                    if admission.is_open() {
                        self.shut_out(name, &what);
                        // Its leases may take their time to end; the others are not kept waiting.
                        tokio::spawn(self.expel(name));
                    }
                    continue;
                }
                Err(error) => return Err(error),
            };
            match (record, admission.door()) {
                (Some(record), Door::Open | Door::Unreadable) => _ = self.judge(&record).map(tokio::spawn),
                (Some(record), Door::Revoked) if self.is_let_in(&record) => {
                    tracing::error!(gateway = %name, "the store says that a revoked Gateway is let in: it is older than it was");
                }
                _ => (),
            }
        }
        Ok(())
    }

    fn is_let_in(&self, record: &Arc<Record>) -> bool {
        let settled = lifecycle_dates::settle(Arc::clone(record), self.clock.now());
        settled.state() == Some(State::Active)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Mutex;
    use std::time::Duration;

    use async_trait::async_trait;
    use key_service::port::SystemClock;
    use key_service::store::{MemoryLimits, MemoryStore};

    use super::*;

    /// A store with a damaged record, for as long as it is.
    struct Damaged {
        store: MemoryStore,
        damaged: Mutex<Option<ByteString>>,
    }

    #[async_trait]
    impl Store for Damaged {
        fn below(&self) -> Option<&dyn Store> {
            Some(&self.store)
        }

        async fn fetch(&self, tenant: &str, name: &str) -> Result<Option<Arc<Record>>, StoreError> {
            match &*self.damaged.lock().unwrap() {
                Some(damaged) if damaged == name => return Err(StoreError::Damaged(name.to_owned())),
                _ => (),
            }
            self.store.fetch(tenant, name).await
        }
    }

    const NAMES: [&str; 4] = ["a", "b", "c", "d"];

    fn gateways(clock: &Arc<SystemClock>) -> Gateways {
        let leases = Arc::new(Leases::new(clock.clone(), Duration::from_secs(1), Duration::ZERO, 1));
        Gateways::new(NAMES, leases, clock.clone(), Metrics::unregistered())
    }

    /// All of them let in, on a store of which nothing is damaged yet.
    async fn established() -> (Arc<SystemClock>, Damaged, Gateways) {
        let clock = Arc::new(SystemClock::default());
        let store = Damaged { store: MemoryStore::new(MemoryLimits::default()), damaged: Mutex::default() };
        let running = gateways(&clock);
        running.establish(&store, None).await.unwrap();
        (clock, store, running)
    }

    fn open(gateways: &Gateways) -> Vec<&'static str> {
        NAMES.into_iter().filter(|name| gateways.admission(name).is_open()).collect()
    }

    async fn revoke(store: &MemoryStore, name: &str) {
        let record = store.fetch(NAMESPACE, &gateway_object(name)).await.unwrap().unwrap();
        let mut record = Record { version: record.version + 1, ..Record::clone(&record) };
        record.set(Attribute::State(State::Compromised));
        store.commit(vec![Change::Replace(Arc::new(record))]).await.unwrap();
    }

    #[tokio::test]
    async fn a_gateway_whose_object_is_damaged_gets_nothing_and_the_others_are_looked_at() {
        let (clock, store, running) = established().await;
        assert_eq!(open(&running), NAMES);
        // Whichever it is, in whatever order they are looked at: the others are.
        for (damaged, revoked, left) in [("a", "b", vec!["c", "d"]), ("c", "a", vec!["d"])] {
            *store.damaged.lock().unwrap() = Some(gateway_object(damaged));
            revoke(&store.store, revoked).await;
            running.refresh(&store).await.unwrap();
            assert_eq!(open(&running), left);
            let refused = running.admission(damaged).enter().err().unwrap().message;
            assert!(refused.contains("damaged"), "{refused}");
            // So it is for a Core that starts now.
            let started = gateways(&clock);
            started.establish(&store, None).await.unwrap();
            assert_eq!(open(&started), left);
        }
        *store.damaged.lock().unwrap() = None;
        running.refresh(&store).await.unwrap();
        assert_eq!(open(&running), ["c", "d"], "it is let in when that was put right, unless it was revoked");
        *store.damaged.lock().unwrap() = Some(gateway_object("a"));
        running.look_at("a", &store).await.unwrap().unwrap().await;
        assert_eq!(running.admission("a").enter().err().unwrap().message, "this Gateway was revoked");
    }

    #[tokio::test]
    async fn a_change_that_cannot_be_read_shuts_its_gateway_out() {
        let (_, store, running) = established().await;
        *store.damaged.lock().unwrap() = Some(gateway_object("b"));
        running.look_at("b", &store).await.unwrap().unwrap().await;
        assert_eq!(open(&running), ["a", "c", "d"]);
        // What is damaged when it is revoked elsewhere, and put right then.
        revoke(&store.store, "b").await;
        *store.damaged.lock().unwrap() = None;
        running.look_at("b", &store).await.unwrap().unwrap().await;
        assert_eq!(running.admission("b").enter().err().unwrap().message, "this Gateway was revoked");
    }
}
