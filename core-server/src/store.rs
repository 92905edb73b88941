//! The store as the Core sees it: every change of the chain passes the vault, and a Gateway sees nothing but the L3s of
//! the tenants that it serves. Both hold by construction, whatever the rules above do.

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytestring::ByteString;
use key_service::chain::tenant_attribute;
use key_service::port::{Change, IndexKey, Position, Store, StoreError};
use key_service::record::{Record, index_key};
use kmip_protocol::enumeration::State;
use kmip_protocol::lifecycle::{self, Purpose};
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use crate::audit::{Settlement, Settlements};
use crate::chain::{self, Level, REGION};
use crate::leases::Leases;
use crate::membership::Membership;
use crate::reach::Reach;
use crate::vault::Vault;

/// How long a Revoke waits for roots that work with a copy of the tenant's key.
const COPIES_WITHIN: Duration = Duration::from_secs(10);

/// How long a closing waits for roots that are just opening the tenant's key. There is none yet, and one that comes later is wiped where it
/// arrives: a root that hangs does not keep a Revoke from being answered.
const OPENINGS_WITHIN: Duration = Duration::from_secs(1);

/// A store whose changes make the vault forget what they touch, the Gateways give up what they close, and the other Cores of
/// the region do the same, before they are answered.
pub struct WatchedStore {
    store: Arc<dyn Store>,
    vault: Arc<Vault>,
    leases: Arc<Leases>,
    membership: Arc<Membership>,
    settlements: Arc<Settlements>,
}

impl WatchedStore {
    /// `store`, watched for `vault`, `leases` and the other Cores. How revocations went is told to `settlements`.
    pub fn new(
        store: Arc<dyn Store>,
        vault: Arc<Vault>,
        leases: Arc<Leases>,
        membership: Arc<Membership>,
        settlements: Arc<Settlements>,
    ) -> Self {
        Self { store, vault, leases, membership, settlements }
    }

    /// Follows changes that another Core has committed, as `store` has them: they bind this Core when this returns, and its Gateways
    /// when the result has ended.
    ///
    /// # Errors
    /// If the store does not tell what has changed.
    pub(crate) async fn follow(
        &self,
        identifiers: &[ByteString],
        store: &dyn Store,
    ) -> Result<impl Future<Output = ()> + Send + use<>, StoreError> {
        let mut changed = Vec::new();
        let mut closed = Closed::default();
        for identifier in identifiers {
            match store.fetch(REGION, identifier).await {
                Ok(Some(record)) => changed.push(record),
                // Whatever it was, nothing that hangs on it may be used.
                Ok(None) | Err(StoreError::Damaged(_)) => {
                    self.vault.forget_all();
                    closed.revoked.push(identifier.clone());
                    closed.recalled.extend(self.leases.leased(|_| true));
                }
                Err(error) => return Err(error),
            }
        }
        for record in &changed {
            self.vault.forget_changed(record);
        }
        for record in &changed {
            closed.add(self.closed_by(record, &changed).await?);
        }
        let tenants = closed_tenants(&changed);
        closed.recalled.extend(self.leased_of(&tenants));
        closed.settle();
        let (given_up, vault) = (closed.end(&self.leases), Arc::clone(&self.vault));
        Ok(async move {
            drop(given_up.await);
            // A root that hangs with its copy is reported where it was asked, and holds up nobody elsewhere for ever.
            let _ = returned(&vault, &tenants).await;
        })
    }

    /// The L3s of tenants on which there are leases. They are looked for in the book of leases, after the vault has forgotten the
    /// tenants: no record is needed that may be damaged, no store that may fail.
    fn leased_of(&self, tenants: &HashSet<ByteString>) -> Vec<ByteString> {
        match tenants.is_empty() {
            true => Vec::new(),
            false => self.leases.leased(|of| tenants.contains(of.tenant())),
        }
    }

    /// What a changed record keeps from being used from now on. `changed`: all that changes together.
    async fn closed_by(&self, record: &Record, changed: &[Arc<Record>]) -> Result<Closed, StoreError> {
        let state = record.state().unwrap_or(State::PreActive);
        let mut closed = Closed::default();
        match (Level::of(record), chain::tenant(record)) {
            (Level::L1 | Level::L2, Some(tenant)) if closes_tenant(record) => {
                let mut chain = of_tenant(&*self.store, tenant).await?;
                for record in &mut chain {
                    let change = changed.iter().rev();
                    let mut change =
                        change.filter(|change| change.unique_identifier == record.unique_identifier);
                    *record = change.next().unwrap_or(record).clone();
                }
                for l2 in chain.iter().filter(|key| Level::of(key) == Level::L2) {
                    let below = chain.iter().filter(|key| {
                        Level::of(key) == Level::L3 && chain::is_wrapped_by(key, &l2.unique_identifier)
                    });
                    let below = below.map(|key| key.unique_identifier.clone());
                    let is_above = chain::is_wrapped_by(l2, &record.unique_identifier);
                    if l2.unique_identifier == record.unique_identifier
                        || is_above && !self.has_anchor(l2, &chain)
                    {
                        closed.revoked.extend(below);
                    } else if is_above {
                        closed.recalled.extend(below);
                    }
                }
            }
            (Level::L3, _) if !lifecycle::allows(state, Purpose::Process) && state != State::PreActive => {
                closed.revoked.push(record.unique_identifier.clone());
            }
            // A compromised L3 opens nothing here either.
            (Level::L3, _) if state == State::Compromised => {
                closed.revoked.push(record.unique_identifier.clone());
            }
            _ => (),
        }
        Ok(closed)
    }

    /// Whether an L2 can be opened by one of its anchors, as far as their states say.
    fn has_anchor(&self, l2: &Record, chain: &[Arc<Record>]) -> bool {
        let is_anchor = |key: &&Arc<Record>| {
            Level::of(key) == Level::L1 && chain::is_wrapped_by(l2, &key.unique_identifier)
        };
        chain.iter().filter(is_anchor).any(|l1| self.vault.is_active(l1))
    }
}

/// L3s that are of no more use.
#[derive(Default)]
struct Closed {
    /// For good: nobody may take a lease on them again.
    revoked: Vec<ByteString>,
    /// Until a root that is left has opened them again.
    recalled: Vec<ByteString>,
}

impl Closed {
    /// Revokes and recalls the leases, from the call on; the result ends when no Gateway can use them.
    fn end(&self, leases: &Arc<Leases>) -> impl Future<Output = Settlement> + Send + use<> {
        let (revoked, recalled) = (leases.revoke(&self.revoked), leases.recall(&self.recalled));
        async {
            let (revoked, recalled) = tokio::join!(revoked, recalled);
            revoked.with_recalled(recalled)
        }
    }

    fn add(&mut self, other: Self) {
        self.revoked.extend(other.revoked);
        self.recalled.extend(other.recalled);
    }

    /// Names each once.
    fn settle(&mut self) {
        for keys in [&mut self.revoked, &mut self.recalled] {
            keys.sort();
            keys.dedup();
        }
        self.recalled.retain(|key| self.revoked.binary_search(key).is_err());
    }
}

/// Whether a record is an L1 or L2 that is of no more use.
fn closes_tenant(record: &Record) -> bool {
    let is_live = matches!(record.state(), None | Some(State::PreActive | State::Active));
    matches!(Level::of(record), Level::L1 | Level::L2) && !is_live
}

/// The tenants that are closed by changes, or by one of several anchors.
fn closed_tenants(changed: &[Arc<Record>]) -> HashSet<ByteString> {
    let closing = changed.iter().filter(|record| closes_tenant(record));
    closing.filter_map(|record| chain::tenant(record)).map(|tenant| ByteString::from(&**tenant)).collect()
}

/// Waits until no root works with a copy of a key of these tenants any more, nor makes one.
///
/// # Errors
/// If a root does not give a copy back.
async fn returned(vault: &Vault, tenants: &HashSet<ByteString>) -> Result<(), Elapsed> {
    let ended = async {
        for tenant in tenants {
            vault.openings_ended(tenant).await;
        }
    };
    if timeout(OPENINGS_WITHIN, ended).await.is_err() {
        tracing::warn!("a root is still asked to open a tenant that was closed; what it answers is not used");
    }
    let copies = async {
        for tenant in tenants {
            vault.copies_returned(tenant).await;
        }
    };
    timeout(COPIES_WITHIN, copies).await
}

/// The chain of a tenant: all its L1s, L2s and L3s that can be read and that the index has. A closing needs no more: what is missing
/// here is closed by the vault, which forgets the whole tenant, and by the book of leases (`WatchedStore::leased_of`); an anchor that
/// is missing closes more, not less.
pub(crate) async fn of_tenant(store: &dyn Store, tenant: &str) -> Result<Vec<Arc<Record>>, StoreError> {
    let key = index_key(&tenant_attribute(tenant));
    let mut records = store.select(REGION, key.as_ref(), None, usize::MAX).await?;
    // An index may have strangers of the same digest.
    records.retain(|record| chain::tenant(record).is_some_and(|owner| owner == tenant));
    Ok(records)
}

#[async_trait]
impl Store for WatchedStore {
    fn below(&self) -> Option<&dyn Store> {
        Some(&*self.store)
    }

    async fn commit(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        let changed: Vec<Arc<Record>> = changes.iter().map(|change| Arc::clone(change.record())).collect();
        // What is new is open nowhere, and leased to nobody.
        let is_news = changes.iter().any(|change| matches!(change, Change::Replace(_)));
        // Asked first: once something is committed, nothing may stand between it and the Gateways.
        let mut closed = Closed::default();
        for record in &changed {
            closed.add(self.closed_by(record, &changed).await?);
        }
        let tenants = closed_tenants(&changed);
        let written = async {
            let committed = self.store.commit(changes).await;
            // A failed commit may have happened all the same.
            for record in &changed {
                self.vault.forget_changed(record);
            }
            let settled =
                async { if is_news && committed.is_ok() { self.membership.settle().await } else { Ok(()) } };
            let (settled, returned) = tokio::join!(settled, returned(&self.vault, &tenants));
            (committed, settled, returned)
        };
        closed.settle();
        // Gateways are told while it is being written: the disk is slower than they are. They are granted nothing meanwhile.
        let ((committed, settled, returned), told) =
            tokio::join!(written, self.leases.revoke(&closed.revoked));
        // And once more, with what is not among the records: L3s that were made in between, damaged ones. No lease is granted on
        // them from now on, since the vault does not open them; but there may be some.
        closed.recalled.extend(self.leased_of(&tenants));
        closed.settle();
        match &committed {
            Ok(()) => {
                let settlement = told.with_recalled(self.leases.recall(&closed.recalled).await);
                for record in changed.iter().filter(|_| settlement.is_of_keys()) {
                    self.settlements.keep(&record.unique_identifier, settlement.clone());
                }
                settled?;
                returned.map_err(|_| {
                    let copied = "a root does not give back its copy of the tenant's key; all else is closed";
                    StoreError::Unavailable(copied.to_owned())
                })?;
            }
            Err(error) => {
                self.leases.readmit(&closed.revoked);
                if matches!(error, StoreError::Unavailable(_)) {
                    drop(self.leases.recall(&closed.recalled).await);
                }
            }
        }
        committed
    }
}

/// The L3s of some tenants and services, to be read only: all that a Gateway sees. Nothing is passed on to the store below.
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
