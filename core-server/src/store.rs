//! The store as the Core sees it: every change of the chain passes the vault, and a Gateway sees nothing but the L3s of
//! the tenants that it serves. Both hold by construction, whatever the rules above do.

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use bytestring::ByteString;
use key_service::port::{Change, IndexKey, Position, Store, StoreError};
use key_service::record::Record;

use crate::chain::{self, Level};
use crate::vault::Vault;

/// A store whose changes make the vault forget what they touch, before they are answered.
pub struct WatchedStore {
    store: Arc<dyn Store>,
    vault: Arc<Vault>,
}

impl WatchedStore {
    /// `store`, watched for `vault`.
    pub fn new(store: Arc<dyn Store>, vault: Arc<Vault>) -> Self {
        Self { store, vault }
    }
}

#[async_trait]
impl Store for WatchedStore {
    async fn fetch(&self, tenant: &str, unique_identifier: &str) -> Result<Option<Arc<Record>>, StoreError> {
        self.store.fetch(tenant, unique_identifier).await
    }

    async fn commit(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        let changed: Vec<Arc<Record>> = changes.iter().map(|change| Arc::clone(change.record())).collect();
        let committed = self.store.commit(changes).await;
        // A failed commit may have happened all the same.
        for record in &changed {
            self.vault.forget_changed(record);
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
}

/// The L3s of some tenants, to be read only: all that a Gateway sees.
pub struct ServiceKeyView {
    store: Arc<dyn Store>,
    tenants: Arc<HashSet<ByteString>>,
}

impl ServiceKeyView {
    /// The L3s of `tenants` in `store`.
    pub fn new(store: Arc<dyn Store>, tenants: Arc<HashSet<ByteString>>) -> Self {
        Self { store, tenants }
    }

    fn shows(&self, record: &Record) -> bool {
        Level::of(record) == Level::L3
            && chain::tenant(record).is_some_and(|tenant| self.tenants.contains(tenant))
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
}
