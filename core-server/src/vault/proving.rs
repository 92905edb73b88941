//! What anchors answer, and what follows: one that refuses closes its tenant from the moment in which the refusal is met, whoever has
//! asked it, and why. What is unsealed is wiped; the [`Switch`](crate::switch::Switch) does the rest.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use bytestring::ByteString;
use tokio::task::JoinHandle;

use super::{UnsealedKey, Vault};
use crate::anchor::{self, Anchor, Report, Standing};
use crate::openings::Opening;
use crate::root::RootError;

impl Vault {
    /// What is known of an anchor of an L2.
    pub fn anchor_report(&self, l2: &str, l1: &str) -> Option<Report> {
        self.anchors.report(l2, l1)
    }

    /// When an anchor of an open L2 has done its work last, on the monotonic clock.
    pub(crate) fn proved(&self, l2: &UnsealedKey) -> Duration {
        let Some(anchorage) = &l2.anchorage else { return Duration::ZERO };
        let report =
            |anchor: &Anchor| self.anchors.report(&l2.record.unique_identifier, &anchor.unique_identifier);
        let proved = anchorage.anchors.iter().filter_map(|anchor| report(anchor)?.proved);
        proved.map(|(asked, _)| asked).max().unwrap_or_default().max(anchorage.opened)
    }

    /// Proves that an anchor opens its L2. `opening` began before it was known that it may.
    ///
    /// # Errors
    /// If it does not. The tenant is closed by then, if it was denied and that is news.
    pub async fn prove(
        &self,
        opening: &Arc<Opening>,
        l2: &ByteString,
        anchor: &Anchor,
    ) -> Result<(), RootError> {
        let asked = (self.switch.clock.monotonic(), self.switch.clock.now());
        let proved = match self.roots.open(&anchor.location) {
            Ok(root) => anchor.prove(&*root, opening).await,
            Err(error) => Err(error),
        };
        self.switch.metrics.probed(match &proved {
            Ok(()) => "proved",
            Err(RootError::Unreachable(_)) => "unreachable",
            Err(RootError::Memory(_)) => "no_memory",
            Err(RootError::Closed(_)) => "closed",
            Err(_) => "denied",
        });
        match &proved {
            Ok(()) => self.anchors.proved(l2, &anchor.unique_identifier, asked),
            Err(error) => {
                if let Some(told) = self.failed(opening.tenant(), l2, anchor, error) {
                    // It goes on whether somebody waits or not; whoever asked is told when the log says so.
                    let _ = told.await;
                }
            }
        }
        proved
    }

    /// Notes that an anchor failed. Where it was denied and that is news, the tenant is closed when this returns. The result, of any
    /// news, ends when it was told and recorded: closing waits for no log.
    pub(super) fn failed(
        &self,
        tenant: &ByteString,
        l2: &ByteString,
        anchor: &Anchor,
        error: &RootError,
    ) -> Option<JoinHandle<()>> {
        let standing = anchor::standing_of(error)?;
        let l1 = &anchor.unique_identifier;
        if !self.anchors.failed(l2, l1, standing) {
            return None;
        }
        tracing::error!(%l1, %l2, standing = standing.name(), %error, "an anchor is out");
        if standing == Standing::Denied {
            self.close(tenant, "denied", error);
        }
        Some(self.switch.is_out(tenant, l2, anchor, standing))
    }

    /// An L1 has refused something else: whether it still opens what is sealed under it is found out at once.
    pub(super) async fn doubt(&self, l1: &str) {
        for key in self.tenant_keys() {
            let anchors = key.anchorage.iter().flat_map(|anchorage| &anchorage.anchors);
            for anchor in anchors.filter(|anchor| anchor.unique_identifier == l1) {
                let l2 = &key.record.unique_identifier;
                let opening = self.openings.begin(&key.tenant);
                // A closing that came before wiped the key.
                if key.is_open() {
                    // The answer is noted.
                    let _ = self.prove(&opening, l2, anchor).await;
                }
            }
        }
    }

    /// Closes a tenant none of whose anchors was proved for too long.
    pub(crate) async fn close_overdue(&self, tenant: &ByteString) {
        self.close(tenant, "unreachable", &"no anchor has been proved for roots.sovereignty_timeout_seconds");
        self.switch.is_overdue(tenant).await;
    }

    /// Follows a Core, another one most likely, at which a root has closed a tenant. Its leases have ended, or were given up, when the
    /// result ends.
    pub(crate) fn follow_closing(&self, tenant: &str) -> impl Future<Output = ()> + Send + use<> {
        self.close(tenant, "told", &"another Core of the region has met the refusal");
        self.switch.is_told(tenant)
    }

    fn close(&self, tenant: &str, reason: &'static str, error: &dyn Display) {
        self.forget_tenant(tenant);
        self.switch.metrics.closed(reason);
        tracing::error!(tenant, reason, %error, "tenant closed by its root");
    }
}
