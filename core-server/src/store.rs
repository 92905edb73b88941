//! The store as the Core sees it: every change of the chain passes the vault, and a Gateway sees nothing but the L3s of
//! the tenants that it serves. Both hold by construction, whatever the rules above do.

use std::sync::Arc;

use async_trait::async_trait;
use bytestring::ByteString;
use key_service::chain::tenant_attribute;
use key_service::port::{Change, IndexKey, Position, Store, StoreError};
use key_service::record::{Record, index_key};
use kmip_protocol::enumeration::State;
use kmip_protocol::lifecycle::{self, Purpose};

use crate::chain::{self, Level, REGION};
use crate::leases::Leases;
use crate::reach::Reach;
use crate::vault::Vault;

/// A store whose changes make the vault forget what they touch, and the Gateways give up what they close, before they are
/// answered.
pub struct WatchedStore {
    store: Arc<dyn Store>,
    vault: Arc<Vault>,
    leases: Arc<Leases>,
}

impl WatchedStore {
    /// `store`, watched for `vault` and `leases`.
    pub fn new(store: Arc<dyn Store>, vault: Arc<Vault>, leases: Arc<Leases>) -> Self {
        Self { store, vault, leases }
    }

    /// The L3s that a changed record keeps from being used from now on.
    async fn closed_by(&self, record: &Record) -> Result<Vec<ByteString>, StoreError> {
        let state = record.state().unwrap_or(State::PreActive);
        let (level, tenant) = (Level::of(record), chain::tenant(record));
        match (level, tenant) {
            (Level::L1 | Level::L2, Some(tenant)) if !matches!(state, State::PreActive | State::Active) => {
                let below = service_keys(&*self.store, tenant).await?;
                let is_below = |key: &Arc<Record>| {
                    level == Level::L1 || chain::wrapping_key(key) == Some(&record.unique_identifier)
                };
                Ok(below
                    .iter()
                    .filter(|key| is_below(key))
                    .map(|key| key.unique_identifier.clone())
                    .collect())
            }
            (Level::L3, _) if !lifecycle::allows(state, Purpose::Process) && state != State::PreActive => {
                Ok(vec![record.unique_identifier.clone()])
            }
            // A compromised L3 opens nothing here either.
            (Level::L3, _) if state == State::Compromised => Ok(vec![record.unique_identifier.clone()]),
            _ => Ok(Vec::new()),
        }
    }
}

/// The L3s of a tenant, all versions.
pub(crate) async fn service_keys(store: &dyn Store, tenant: &str) -> Result<Vec<Arc<Record>>, StoreError> {
    let key = index_key(&tenant_attribute(tenant));
    let mut records = store.select(REGION, key.as_ref(), None, usize::MAX).await?;
    records.retain(|record| Level::of(record) == Level::L3);
    Ok(records)
}

#[async_trait]
impl Store for WatchedStore {
    async fn fetch(&self, tenant: &str, unique_identifier: &str) -> Result<Option<Arc<Record>>, StoreError> {
        self.store.fetch(tenant, unique_identifier).await
    }

    async fn commit(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        let changed: Vec<Arc<Record>> = changes.iter().map(|change| Arc::clone(change.record())).collect();
        // Asked first: once something is committed, nothing may stand between it and the Gateways.
        let mut closed = Vec::new();
        for record in &changed {
            closed.extend(self.closed_by(record).await?);
        }
        let committed = self.store.commit(changes).await;
        // A failed commit may have happened all the same.
        for record in &changed {
            self.vault.forget_changed(record);
        }
        // And once more: L3s may have been made in between. They are refused from now on, but may be leased already.
        for record in &changed {
            closed.extend(self.closed_by(record).await.unwrap_or_default());
        }
        match &committed {
            Ok(()) => self.leases.revoke(&closed).await,
            Err(StoreError::Unavailable(_)) => self.leases.recall(&closed).await,
            Err(_) => (),
        }
        committed
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

/// The L3s of some tenants and services, to be read only: all that a Gateway sees.
pub struct ServiceKeyView {
    store: Arc<dyn Store>,
    reach: Arc<Reach>,
}

impl ServiceKeyView {
    /// The L3s within `reach` in `store`.
    pub fn new(store: Arc<dyn Store>, reach: Arc<Reach>) -> Self {
        Self { store, reach }
    }

    fn shows(&self, record: &Record) -> bool {
        Level::of(record) == Level::L3
            && chain::tenant(record).is_some_and(|tenant| self.reach.includes(tenant, &record.service))
    }
}

#[async_trait]
impl Store for ServiceKeyView {
    async fn fetch(&self, tenant: &str, unique_identifier: &str) -> Result<Option<Arc<Record>>, StoreError> {
        let record = self.store.fetch(tenant, unique_identifier).await?;
        Ok(record.filter(|record| self.shows(record)))
    }

    async fn commit(&self, _changes: Vec<Change>) -> Result<(), StoreError> {
        Err(StoreError::Unavailable("a Gateway changes nothing here".to_owned()))
    }

    async fn select(
        &self,
        tenant: &str,
        key: Option<&IndexKey>,
        mut after: Option<Position>,
        limit: usize,
    ) -> Result<Vec<Arc<Record>>, StoreError> {
        let mut shown = Vec::new();
        // A page that is not full means the end to the caller, so pages are filled up.
        loop {
            let page = self.store.select(tenant, key, after, limit).await?;
            let is_last = page.len() < limit;
            after = page.last().map(|record| record.sequence).or(after);
            let room = limit - shown.len();
            shown.extend(page.into_iter().filter(|record| self.shows(record)).take(room));
            if is_last || shown.len() == limit {
                return Ok(shown);
            }
        }
    }

    async fn tenants(&self) -> Result<Vec<ByteString>, StoreError> {
        Ok(vec![ByteString::from_static(REGION)])
    }
}
