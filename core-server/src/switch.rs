//! The customer's own switch: an anchor that refuses closes its tenant at once, whoever asked it. What is unsealed is wiped,
//! and the Gateways give up their leases.
//!
//! The other Cores of the region hear of it and do the same. The tenant is not revoked: the next request opens it, through an anchor that still says yes. So with several anchors each
//! of them closes the tenant once, and all of them together keep it closed.

use std::sync::Arc;

use bytestring::ByteString;
use key_service::port::{Audit, Changed, Clock};

use crate::anchor::{Anchor, Standing};
use crate::audit::{record_own, record_recall};
use crate::leases::Leases;
use crate::membership::Membership;
use crate::metrics::Metrics;
use crate::root::RootError;
use crate::vault::Vault;

/// Where the region is told which tenants a root has closed. There are no records of it: the roots know.
pub(crate) const CLOSINGS: &str = "closings";

/// Asks anchors, and closes the tenants of those that refuse.
pub struct Switch {
    vault: Arc<Vault>,
    leases: Arc<Leases>,
    membership: Arc<Membership>,
    audit: Arc<dyn Audit>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
}

impl Switch {
    /// A switch for the tenants that are open in `vault`.
    pub fn new(
        vault: Arc<Vault>,
        leases: Arc<Leases>,
        membership: Arc<Membership>,
        audit: Arc<dyn Audit>,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
    ) -> Self {
        Self { vault, leases, membership, audit, clock, metrics }
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
        let (proved, news) = self.vault.prove(l2, anchor).await;
        self.metrics.probed(match &proved {
            Ok(()) => "proved",
            Err(RootError::Unreachable(_)) => "unreachable",
            Err(RootError::Memory(_)) => "no_memory",
            Err(_) => "denied",
        });
        if news == Some(Standing::Denied)
            && let Err(error) = &proved
        {
            self.close(tenant, "denied", Some(&anchor.unique_identifier), &error.to_string()).await;
            // Others may hold it open through the same root. One that cannot be told proves the root by itself.
            let closing =
                Changed { tenant: ByteString::from_static(CLOSINGS), unique_identifier: tenant.clone() };
            if let Err(error) = self.membership.tell(&[closing]).await {
                tracing::error!(%error, %tenant, "the other Cores are not told that the tenant is closed by its root");
            }
        }
        if let Some(standing) = news {
            self.vault.record_outage(l2, anchor, standing).await;
        }
        proved
    }

    /// Follows a Core, another one most likely, at which a root has closed a tenant. Its leases have ended, or were given up, when the
    /// result ends.
    pub(crate) fn follow(&self, tenant: &str) -> impl Future<Output = ()> + Send + use<> {
        self.vault.forget_tenant(tenant);
        self.metrics.closed("told");
        tracing::warn!(tenant, "tenant closed by its root, as the region was told");
        let recalled = self.leases.recall(&self.leases.leased_of(tenant));
        async { drop(recalled.await) }
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
        let recalled = self.leases.recall(&self.leases.leased_of(&tenant));
        // A Core that stops does not wait for this: it lets the log go.
        let (audit, clock) = (Arc::downgrade(&self.audit), Arc::clone(&self.clock));
        tokio::spawn(async move {
            let settlement = recalled.await;
            if let Some(audit) = audit.upgrade() {
                record_recall(&*audit, clock.now(), &tenant, &settlement).await;
            }
            tracing::info!(%tenant, "no Gateway can use the tenant's keys any more");
        });
    }
}
