//! The customer's own switch, beyond the vault: when an anchor has refused, or none was proved for too long, the Gateways give up their
//! leases, the other Cores of the region hear of it and do the same, and the log says so.
//!
//! The tenant is not revoked: the next request opens it, through an anchor that still says yes. So with several anchors each
//! of them closes the tenant once, and all of them together keep it closed.

use std::sync::Arc;
use std::time::Duration;

use bytestring::ByteString;
use key_service::port::{Audit, Changed, Clock};
use tokio::task::JoinHandle;

use crate::anchor::{Anchor, Standing};
use crate::audit::{record_own, record_recall};
use crate::leases::Leases;
use crate::membership::Membership;
use crate::metrics::Metrics;

/// Where the region is told which tenants a root has closed. There are no records of it: the roots know.
pub(crate) const CLOSINGS: &str = "closings";

/// What closings reach outside the vault.
#[derive(Clone)]
pub struct Switch {
    leases: Arc<Leases>,
    membership: Arc<Membership>,
    pub(crate) audit: Arc<dyn Audit>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Metrics,
}

impl Switch {
    /// A switch for the leases of a Core, and for the other Cores of its region.
    pub fn new(
        leases: Arc<Leases>,
        membership: Arc<Membership>,
        audit: Arc<dyn Audit>,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
    ) -> Self {
        Self { leases, membership, audit, clock, metrics }
    }

    /// A switch where there are neither leases nor other Cores.
    pub fn alone(audit: Arc<dyn Audit>, clock: Arc<dyn Clock>, metrics: Metrics) -> Self {
        let leases = Arc::new(Leases::new(Arc::clone(&clock), Duration::ZERO, Duration::ZERO, 0));
        Self::new(leases, Membership::alone(Arc::clone(&clock)), audit, clock, metrics)
    }

    /// An anchor of an L2 has failed, and that is news. If it was denied, the vault has forgotten the tenant, and the leases are being
    /// recalled when this returns. The result ends when the region was told and the log written: that goes on whether it is waited for or not.
    pub(crate) fn is_out(
        &self,
        tenant: &ByteString,
        l2: &ByteString,
        anchor: &Anchor,
        standing: Standing,
    ) -> JoinHandle<()> {
        let is_denied = standing == Standing::Denied;
        if is_denied {
            self.recall(tenant.clone());
        }
        let (switch, tenant, l2) = (self.clone(), tenant.clone(), l2.clone());
        let l1 = anchor.unique_identifier.clone();
        tokio::spawn(async move {
            if is_denied {
                switch.tell(&tenant).await;
                switch.record_closing(&tenant, "denied", Some(&l1)).await;
            }
            let details = [("tenant key", &*l2), ("standing", standing.name())];
            record_own(&*switch.audit, switch.clock.now(), "Anchor Out", Some(&l1), &details).await;
        })
    }

    /// No anchor of a tenant was proved for too long; the vault has forgotten it.
    pub(crate) async fn is_overdue(&self, tenant: &ByteString) {
        self.recall(tenant.clone());
        self.record_closing(tenant, "unreachable", None).await;
    }

    /// Another Core, most likely, has met the refusal; the vault has forgotten the tenant. Its leases have ended, or were given up, when
    /// the result ends.
    pub(crate) fn is_told(&self, tenant: &str) -> impl Future<Output = ()> + Send + use<> {
        let recalled = self.leases.recall(&self.leases.leased_of(tenant));
        async { drop(recalled.await) }
    }

    /// Tells the other Cores: they may hold the tenant open through the same root. One that cannot be told proves the root by itself.
    async fn tell(&self, tenant: &ByteString) {
        let closing =
            Changed { tenant: ByteString::from_static(CLOSINGS), unique_identifier: tenant.clone() };
        if let Err(error) = self.membership.tell(&[closing]).await {
            tracing::error!(%error, %tenant, "the other Cores are not told that the tenant is closed by its root");
        }
    }

    async fn record_closing(&self, tenant: &ByteString, reason: &'static str, l1: Option<&ByteString>) {
        let details = [("tenant", &**tenant), ("reason", reason)];
        record_own(&*self.audit, self.clock.now(), "Tenant Closed", l1, &details).await;
    }

    /// Recalls the leases: one that is granted from now on has asked an anchor again.
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
