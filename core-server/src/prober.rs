//! The probe: the anchors of open tenants are proved again and again, by opening what they have sealed. One that refuses
//! closes its tenant at once; a tenant none of whose anchors can be reached is closed after a while.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytestring::ByteString;
use key_service::port::Clock;
use kmip_net::CancellationToken;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::MissedTickBehavior;

use crate::anchor::Anchor;
use crate::config::RootSettings;
use crate::metrics::Metrics;
use crate::openings::Opening;
use crate::root::RootError;
use crate::vault::{UnsealedKey, Vault};

/// Proves anchors for as long as the Core runs.
pub(crate) struct Prober {
    vault: Arc<Vault>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    interval: Duration,
    sovereignty_timeout: Duration,
    at_once: usize,
}

/// What is to be proved: that an anchor opens an L2.
struct Proof {
    opening: Arc<Opening>,
    l2: ByteString,
    anchor: Anchor,
}

impl Prober {
    /// A prober for what `vault` holds.
    pub(crate) fn new(
        settings: &RootSettings,
        vault: Arc<Vault>,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
    ) -> Self {
        let (interval, sovereignty_timeout) = (settings.probe_interval, settings.sovereignty_timeout);
        let at_once = settings.probes_at_once;
        Self { vault, clock, metrics, interval, sovereignty_timeout, at_once }
    }

    /// Proves until `shutdown`.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let prober = Arc::new(self);
        let mut ticks = tokio::time::interval(prober.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // Anchors that cannot be reached together wait for each other, and nobody else waits for them.
        let mut homes: HashMap<String, JoinHandle<()>> = HashMap::new();
        while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
            let keys = prober.vault.tenant_keys();
            prober.close_overdue(&keys).await;
            homes.retain(|_, proving| !proving.is_finished());
            for (home, proofs) in prober.by_home(&keys).await {
                let proving = || tokio::spawn(Arc::clone(&prober).prove_all(proofs));
                homes.entry(home).or_insert_with(proving);
            }
        }
        for proving in homes.into_values() {
            proving.abort();
            // Aborted: that is how it ends.
            let _ = proving.await;
        }
    }

    async fn by_home(&self, keys: &[Arc<UnsealedKey>]) -> HashMap<String, Vec<Proof>> {
        let mut homes: HashMap<String, Vec<Proof>> = HashMap::new();
        for key in keys {
            let (opening, l2) = (self.vault.begin_opening(key.tenant()), &key.record().unique_identifier);
            // From here on a closing is seen by the opening.
            if self.vault.opened(l2).is_none() {
                continue;
            }
            for anchor in key.anchorage().iter().flat_map(|anchorage| &anchorage.anchors) {
                match self.vault.roots().open(&anchor.location) {
                    Ok(root) => {
                        let opening = Arc::clone(&opening);
                        let proof = Proof { opening, l2: l2.clone(), anchor: anchor.clone() };
                        homes.entry(root.home()).or_default().push(proof);
                    }
                    // It says so at once, and closes the tenant.
                    Err(_) => drop(self.vault.prove(&opening, l2, anchor).await),
                }
            }
        }
        homes
    }

    /// Proves the anchors of one home, a few at a time: a slow token with thousands of tenants is through within the
    /// period, and keeps sessions for requests.
    async fn prove_all(self: Arc<Self>, proofs: Vec<Proof>) {
        let mut proving = JoinSet::new();
        for proof in proofs {
            let vault = Arc::clone(&self.vault);
            proving.spawn(async move { vault.prove(&proof.opening, &proof.l2, &proof.anchor).await });
            if proving.len() < self.at_once {
                continue;
            }
            if let Some(Ok(Err(RootError::Unreachable(_)))) = proving.join_next().await {
                // The others of this home would only wait as long for the same answer.
                return;
            }
        }
        proving.join_all().await;
    }

    /// Closes the tenants of whose anchors none has been proved for too long, whatever kept us from it.
    async fn close_overdue(&self, keys: &[Arc<UnsealedKey>]) {
        let now = self.clock.monotonic();
        let mut oldest = Duration::ZERO;
        for key in keys {
            let age = now.saturating_sub(self.vault.proved(key));
            oldest = oldest.max(age);
            if age >= self.sovereignty_timeout {
                self.vault.close_overdue(key.tenant()).await;
            }
        }
        self.metrics.oldest_proof(oldest);
    }
}
