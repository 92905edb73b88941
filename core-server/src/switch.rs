//! The customer's own switch: an anchor that refuses closes its tenant at once, whoever asked it. What is unsealed is wiped,
//! and the Gateways give up their leases.
//!
//! The tenant is not revoked: the next request opens it, through an anchor that still says yes. So with several anchors each
//! of them closes the tenant once, and all of them together keep it closed.

use std::sync::Arc;

use bytestring::ByteString;
use key_service::port::{Audit, Clock, Store};

use crate::anchor::Anchor;
use crate::audit::{record_own, record_recall};
use crate::leases::Leases;
use crate::metrics::Metrics;
use crate::root::RootError;
use crate::store::service_keys;
use crate::vault::Vault;

/// Asks anchors, and closes the tenants of those that refuse.
pub struct Switch {
    vault: Arc<Vault>,
    leases: Arc<Leases>,
    store: Arc<dyn Store>,
    audit: Arc<dyn Audit>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
}

impl Switch {
    /// A switch for the tenants in `store`.
    pub fn new(
        vault: Arc<Vault>,
        leases: Arc<Leases>,
        store: Arc<dyn Store>,
        audit: Arc<dyn Audit>,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
    ) -> Self {
        Self { vault, leases, store, audit, clock, metrics }
    }

    /// Proves that an anchor still opens an L2 of a tenant.
    ///
    /// # Errors
    /// If it does not. The tenant is closed by then, if it was denied and that is news.
    pub async fn prove(
        &self,
        tenant: &ByteString,
        l2: &ByteString,
        anchor: &Anchor,
    ) -> Result<(), RootError> {
        let (proved, is_news) = self.vault.prove(l2, anchor).await;
        self.metrics.probed(match &proved {
            Ok(()) => "proved",
            Err(RootError::Unreachable(_)) => "unreachable",
            Err(RootError::Memory(_)) => "no_memory",
            Err(_) => "denied",
        });
        if is_news && let Err(error) = &proved {
            self.close(tenant, "denied", Some(&anchor.unique_identifier), &error.to_string()).await;
        }
        proved
    }

    /// Wipes a tenant, then recalls the leases: a lease that is granted from now on has asked an anchor again.
    pub(crate) async fn close(
        &self,
        tenant: &ByteString,
        reason: &'static str,
        anchor: Option<&ByteString>,
        error: &str,
    ) {
        self.vault.forget_tenant(tenant);
        self.metrics.closed(reason);
        tracing::error!(%tenant, reason, anchor = anchor.map(|l1| &**l1), error, "tenant closed by its root");
        self.recall(tenant.clone());
        let details = [("tenant", &**tenant), ("reason", reason)];
        record_own(&*self.audit, self.clock.now(), "Tenant Closed", anchor, &details).await;
    }

    fn recall(&self, tenant: ByteString) {
        let (store, leases) = (Arc::clone(&self.store), Arc::clone(&self.leases));
        // A Core that stops does not wait for this: it lets store and log go.
        let (audit, clock) = (Arc::downgrade(&self.audit), Arc::clone(&self.clock));
        tokio::spawn(async move {
            match service_keys(&*store, &tenant).await {
                Ok(keys) => {
                    drop(store);
                    let keys: Vec<_> = keys.iter().map(|key| key.unique_identifier.clone()).collect();
                    let settlement = leases.recall(&keys).await;
                    if let Some(audit) = audit.upgrade() {
                        record_recall(&*audit, clock.now(), &tenant, &settlement).await;
                    }
                    tracing::info!(%tenant, "no Gateway can use the tenant's keys any more");
                }
                Err(error) => tracing::error!(%error, %tenant, "leases not recalled: they end by themselves"),
            }
        });
    }
}
