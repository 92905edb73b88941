//! What a Core of the region has changed, another one most likely, followed by this one: keys are wiped and leases recalled, Gateways expelled, objects
//! forgotten, a policy put in force. What the change is of, its namespace in the store tells.
//!
//! A Core follows its own changes, too. It has done for most of them what they ask for; but it has not for one whose request was given up
//! after the commit, or whose answer from the database got lost, and a change that does not bind it must not count as one that does.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytestring::ByteString;
use key_service::chain::{GATEWAY_PREFIX, POLICY_OBJECT};
use key_service::port::{Changed, Store, StoreError};
use key_service::record::Record;
use tokio::task::JoinSet;

use crate::chain::REGION;
use crate::gateways::Gateways;
use crate::governed::NAMESPACE;
use crate::leases::Leases;
use crate::ledger::Ledger;
use crate::policy::Governance;
use crate::store::WatchedStore;
use crate::switch::CLOSINGS;
use crate::tombstones::Plot;
use crate::vault::Vault;

/// Follows what others change.
pub(crate) struct Following {
    /// The chain, watched.
    pub(crate) chain: WatchedStore,
    /// Everything.
    pub(crate) store: Arc<dyn Store>,
    pub(crate) leases: Arc<Leases>,
    pub(crate) gateways: Arc<Gateways>,
    pub(crate) governance: Arc<Governance>,
    pub(crate) vault: Arc<Vault>,
    /// Where the store outlives the process.
    pub(crate) ledger: Option<Arc<Ledger>>,
}

impl Following {
    /// Follows changes that another Core has committed: they bind this Core when this returns, and its Gateways when the
    /// result has ended.
    ///
    /// # Errors
    /// If the store does not tell what has changed. Then they are followed once more.
    pub(crate) async fn follow(
        &self,
        changed: &[Changed],
    ) -> Result<impl Future<Output = ()> + Send + use<>, StoreError> {
        let in_namespace = |namespace: &str| {
            let records = changed.iter().filter(|record| record.tenant == namespace);
            // One that has changed several times is followed once.
            let names: HashSet<_> = records.map(|record| record.unique_identifier.clone()).collect();
            names.into_iter().collect::<Vec<_>>()
        };
        let store = ReadOnce { store: Arc::clone(&self.store), read: Mutex::default() };
        let mut given_up = JoinSet::new();
        for name in in_namespace(NAMESPACE) {
            if &*name == POLICY_OBJECT {
                match self.governance.refresh(&store).await {
                    // The one in force stays: nobody is kept from following all else.
                    Err(StoreError::Damaged(what)) => {
                        tracing::error!(what, "the policy in the store is damaged")
                    }
                    refreshed => refreshed?,
                }
            } else if let Some(gateway) = name.strip_prefix(GATEWAY_PREFIX)
                && let Some(expelled) = self.gateways.look_at(gateway, &store).await?
            {
                given_up.spawn(async { drop(expelled.await) });
            }
        }
        for tenant in in_namespace(CLOSINGS) {
            given_up.spawn(self.vault.follow_closing(&tenant));
        }
        for (plot, objects) in buried(changed) {
            let leases = Arc::clone(&self.leases);
            // Within a bound: a Gateway that cannot be told holds up neither this Destroy nor a Revoke for as long as its lease.
            given_up.spawn(async move { leases.forget(&plot, &objects, None).await });
        }
        given_up.spawn(self.chain.follow(&in_namespace(REGION), &store).await?);
        if let Some(ledger) = &self.ledger {
            // Written down before the other Core answers, and after all is closed: no disk is waited for with that.
            let (ledger, records) = (Arc::clone(ledger), records(&store, changed).await?);
            given_up.spawn(async move { ledger.note(&records).await });
        }
        Ok(async { drop(given_up.join_all().await) })
    }
}

/// What the store has of what has changed. A record that cannot be read is nothing to be taken down.
async fn records(store: &ReadOnce, changed: &[Changed]) -> Result<Vec<Arc<Record>>, StoreError> {
    let mut records = Vec::new();
    for Changed { tenant, unique_identifier } in changed {
        if tenant != REGION && tenant != NAMESPACE {
            continue;
        }
        match store.fetch(tenant, unique_identifier).await {
            Ok(record) => records.extend(record),
            Err(StoreError::Damaged(_)) => (),
            Err(error) => return Err(error),
        }
    }
    Ok(records)
}

/// A store while changes are followed: what is read of each record is read once, and all that follow see the same of it.
struct ReadOnce {
    store: Arc<dyn Store>,
    read: Mutex<HashMap<Changed, Read>>,
}

/// What a store has of a record, or why that cannot be told.
type Read = Result<Option<Arc<Record>>, StoreError>;

#[async_trait]
impl Store for ReadOnce {
    fn below(&self) -> Option<&dyn Store> {
        Some(&*self.store)
    }

    async fn fetch(&self, tenant: &str, unique_identifier: &str) -> Read {
        let of = Changed { tenant: tenant.into(), unique_identifier: unique_identifier.into() };
        let known = self.read.lock().unwrap_or_else(PoisonError::into_inner).get(&of).cloned();
        if let Some(known) = known {
            return known;
        }
        let read = self.store.fetch(tenant, unique_identifier).await;
        self.read.lock().unwrap_or_else(PoisonError::into_inner).insert(of, read.clone());
        read
    }
}

/// The objects that were buried, by service.
fn buried(changed: &[Changed]) -> HashMap<Plot, Vec<ByteString>> {
    let mut buried: HashMap<Plot, Vec<ByteString>> = HashMap::new();
    for record in changed {
        if let Some(plot) = Plot::named(&record.tenant) {
            buried.entry(plot).or_default().push(record.unique_identifier.clone());
        }
    }
    buried
}

#[cfg(test)]
mod tests;
