//! The customer's own switch: the roots of open tenants are proved again and again, by opening what they have sealed. One
//! that refuses closes its tenant at once, one that cannot be reached after a while.
//!
//! Closing wipes the tenant from the vault and asks the Gateways to give up their leases. The tenant is not revoked: as
//! soon as its root does its work again, the next request opens it.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytestring::ByteString;
use key_service::port::{Clock, Store};
use kmip_net::CancellationToken;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::config::RootSettings;
use crate::leases::Leases;
use crate::metrics::Metrics;
use crate::root::{RootError, RootOfTrust};
use crate::store::service_keys;
use crate::vault::{UnsealedKey, Vault};

/// Proves roots for as long as the Core runs.
pub(crate) struct Prober {
    vault: Arc<Vault>,
    leases: Arc<Leases>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    interval: Duration,
    sovereignty_timeout: Duration,
    /// When the root of each open L2 has been proved last, on the monotonic clock.
    proved: Mutex<HashMap<ByteString, Duration>>,
}

/// An open L2 and its root.
type Anchored = (Arc<UnsealedKey>, Box<dyn RootOfTrust>);

impl Prober {
    /// A prober for what `vault` holds.
    pub(crate) fn new(
        settings: &RootSettings,
        vault: Arc<Vault>,
        leases: Arc<Leases>,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
    ) -> Self {
        let (interval, sovereignty_timeout) = (settings.probe_interval, settings.sovereignty_timeout);
        Self { vault, leases, store, clock, metrics, interval, sovereignty_timeout, proved: Mutex::default() }
    }

    /// Proves until `shutdown`.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let prober = Arc::new(self);
        let mut ticks = tokio::time::interval(prober.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // Roots that cannot be reached together are proved one after another, and nobody else waits for them.
        let mut homes: HashMap<String, JoinHandle<()>> = HashMap::new();
        while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
            let keys = prober.vault.tenant_keys();
            prober.close_overdue(&keys);
            homes.retain(|_, proving| !proving.is_finished());
            for (home, anchored) in prober.by_home(keys) {
                let proving = || tokio::spawn(Arc::clone(&prober).prove_all(anchored));
                homes.entry(home).or_insert_with(proving);
            }
        }
        for proving in homes.into_values() {
            proving.abort();
            // Aborted: that is how it ends.
            let _ = proving.await;
        }
    }

    fn by_home(&self, keys: Vec<Arc<UnsealedKey>>) -> HashMap<String, Vec<Anchored>> {
        let mut homes: HashMap<String, Vec<Anchored>> = HashMap::new();
        for key in keys {
            match self.vault.root_of(&key) {
                Ok(root) => homes.entry(root.home()).or_default().push((key, root)),
                Err(error) => self.close(&key, "denied", &error.to_string()),
            }
        }
        homes
    }

    async fn prove_all(self: Arc<Self>, anchored: Vec<Anchored>) {
        for (key, root) in anchored {
            let asked = self.clock.monotonic();
            match self.prove(&key, &*root).await {
                Ok(()) => {
                    self.metrics.probed("proved");
                    self.proved().insert(key.record().unique_identifier.clone(), asked);
                }
                Err(error @ RootError::Memory(_)) => {
                    tracing::error!(%error, tenant = %key.tenant(), "root not proved: raise memory.capacity_bytes");
                }
                Err(error @ RootError::Unreachable(_)) => {
                    self.metrics.probed("unreachable");
                    tracing::warn!(%error, tenant = %key.tenant(), "root not proved");
                    // The others of this home would only wait as long for the same answer.
                    return;
                }
                Err(error) => {
                    self.metrics.probed("denied");
                    self.close(&key, "denied", &error.to_string());
                }
            }
        }
    }

    async fn prove(&self, key: &UnsealedKey, root: &dyn RootOfTrust) -> Result<(), RootError> {
        match self.vault.prove(key, root).await {
            // Either the root fails, or another key stands in its place: then it does for itself what it does not for us.
            Err(RootError::Damaged) => {
                root.probe().await?;
                Err(RootError::Denied("it does not open any more what it has sealed".to_owned()))
            }
            proved => proved,
        }
    }

    /// Closes the tenants whose roots have not been proved for too long, whatever kept us from it.
    fn close_overdue(&self, keys: &[Arc<UnsealedKey>]) {
        let now = self.clock.monotonic();
        let open: HashSet<&ByteString> = keys.iter().map(|key| &key.record().unique_identifier).collect();
        self.proved().retain(|key, _| open.contains(key));
        for key in keys {
            let identifier = &key.record().unique_identifier;
            // Opened since the last tick: its root has just done its work.
            let proved = *self.proved().entry(identifier.clone()).or_insert(now);
            if now.saturating_sub(proved) >= self.sovereignty_timeout {
                self.close(
                    key,
                    "unreachable",
                    "the root has not been proved for roots.sovereignty_timeout_seconds",
                );
            }
        }
    }

    /// Wipes a tenant, then recalls the leases: a lease that is granted from now on has asked the root again.
    fn close(&self, key: &UnsealedKey, reason: &'static str, error: &str) {
        let tenant = key.tenant().clone();
        self.vault.forget_tenant(&tenant);
        self.proved().remove(&key.record().unique_identifier);
        self.metrics.closed(reason);
        tracing::error!(%tenant, reason, error, "tenant closed by its root");
        let (store, leases) = (Arc::clone(&self.store), Arc::clone(&self.leases));
        tokio::spawn(async move {
            match service_keys(&*store, &tenant).await {
                Ok(keys) => {
                    drop(store);
                    let keys: Vec<_> = keys.iter().map(|key| key.unique_identifier.clone()).collect();
                    leases.recall(&keys).await;
                    tracing::info!(%tenant, "no Gateway can use the tenant's keys any more");
                }
                Err(error) => tracing::error!(%error, %tenant, "leases not recalled: they end by themselves"),
            }
        });
    }

    fn proved(&self) -> MutexGuard<'_, HashMap<ByteString, Duration>> {
        self.proved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
