//! The Gateways: each that is configured is an object of the Core, which operators see and revoke in plain KMIP. A Gateway that
//! was revoked is let in no more, under whatever certificate of that name.

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

/// Whether a Gateway is let in. Closing waits for what is being done with keys just now.
pub struct Admission {
    is_open: RwLock<bool>,
}

impl Default for Admission {
    fn default() -> Self {
        Self { is_open: RwLock::new(true) }
    }
}

/// Proof that a Gateway is let in, for as long as it is held.
pub struct Admitted<'a> {
    _held: RwLockReadGuard<'a, bool>,
}

impl Admission {
    /// Whether the Gateway is let in now.
    pub fn is_open(&self) -> bool {
        *self.is_open.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets it in.
    ///
    /// # Errors
    /// If it was revoked.
    pub fn enter(&self) -> Result<Admitted<'_>, Fault> {
        let held = self.is_open.read().unwrap_or_else(PoisonError::into_inner);
        if *held { Ok(Admitted { _held: held }) } else { Err(revoked()) }
    }

    /// Lets it in no more. Returns whether it was let in before.
    fn close(&self) -> bool {
        std::mem::replace(&mut *self.is_open.write().unwrap_or_else(PoisonError::into_inner), false)
    }
}

/// What a revoked Gateway is told.
pub(crate) fn revoked() -> Fault {
    Fault::permission_denied("this Gateway was revoked")
}

/// The Gateways of the configuration.
pub struct Gateways {
    admissions: HashMap<ByteString, Arc<Admission>>,
    leases: Arc<Leases>,
    clock: Arc<dyn Clock>,
}

impl Gateways {
    /// Gateways of these names, all let in.
    pub fn new<'a>(
        names: impl IntoIterator<Item = &'a str>,
        leases: Arc<Leases>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let admissions = names.into_iter().map(|name| (ByteString::from(name), Arc::default())).collect();
        Self { admissions, leases, clock }
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
            let record = match store.fetch(NAMESPACE, &unique_identifier).await? {
                Some(record) => record,
                None => {
                    let mut record = gateway_record(name, &*self.clock);
                    // The store was lost, or restored from before there was this Gateway.
                    if ledger.is_some_and(|ledger| ledger.has_closed(NAMESPACE, &unique_identifier)) {
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
                admission.close();
                tracing::warn!(gateway = %name, "the Gateway was revoked and is not let in");
            }
        }
        Ok(())
    }

    /// Looks at the object of a Gateway that was changed: one that is no longer let in is let in no more when this returns, and
    /// expelled: the result ends when each of its lives has given up its keys, or its leases have ended.
    pub fn judge(&self, record: &Arc<Record>) -> Option<impl Future<Output = Settlement> + Send + use<>> {
        let name = record.unique_identifier.strip_prefix(GATEWAY_PREFIX)?;
        if self.is_let_in(record) {
            return None;
        }
        if self.admission(name).close() {
            tracing::warn!(gateway = name, "the Gateway is revoked: it is let in no more");
        }
        // Also when it was closed before: whoever revokes twice waits twice.
        let (leases, name) = (Arc::clone(&self.leases), ByteString::from(name));
        Some(async move { leases.expel(&name).await })
    }

    /// As [`judge`](Self::judge), of a Gateway whose object was changed elsewhere. One whose object cannot be read is let in no more.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn look_at(
        &self,
        gateway: &str,
        store: &dyn Store,
    ) -> Result<Option<impl Future<Output = Settlement> + Send + use<>>, StoreError> {
        let record = match store.fetch(NAMESPACE, &gateway_object(gateway)).await {
            Ok(Some(record)) => record,
            Ok(None) => return Ok(None),
            Err(StoreError::Damaged(what)) => {
                tracing::error!(gateway, what, "the object of the Gateway is damaged");
                let mut closed = gateway_record(gateway, &*self.clock);
                closed.set(Attribute::State(State::Compromised));
                Arc::new(closed)
            }
            Err(error) => return Err(error),
        };
        Ok(self.judge(&record))
    }

    /// Looks for Gateways that were revoked by a date.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn refresh(&self, store: &dyn Store) -> Result<(), StoreError> {
        for (name, admission) in &self.admissions {
            let record = store.fetch(NAMESPACE, &gateway_object(name)).await?;
            match record {
                Some(record) if admission.is_open() && !self.is_let_in(&record) => {
                    // Its leases may take their time to end; the others are not kept waiting.
                    self.judge(&record).map(tokio::spawn);
                }
                Some(record) if !admission.is_open() && self.is_let_in(&record) => {
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
