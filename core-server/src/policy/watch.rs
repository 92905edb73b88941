//! Looks at the store again and again for what other Cores have changed: a newer policy, a revoked Gateway.

use std::sync::Arc;
use std::time::Duration;

use key_service::port::Store;
use kmip_net::CancellationToken;
use tokio::time::MissedTickBehavior;

use super::Governance;
use crate::gateways::Gateways;
use crate::ledger::Ledger;

/// What is looked after.
pub(crate) struct Watch {
    pub(crate) governance: Arc<Governance>,
    pub(crate) gateways: Arc<Gateways>,
    pub(crate) ledger: Option<Arc<Ledger>>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) interval: Duration,
}

impl Watch {
    /// Looks until `shutdown`.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let mut behind = self.ledger.as_ref();
        let mut ticks = tokio::time::interval(self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
            if let Some(ledger) = behind {
                match shutdown.run_until_cancelled(ledger.catch_up(&*self.store)).await {
                    None => break,
                    Some(Err(error)) => {
                        tracing::error!(%error, "the ledger has not caught up with the store: tried again");
                    }
                    Some(Ok(unreadable)) => {
                        if unreadable > 0 {
                            tracing::error!(
                                unreadable,
                                "the ledger has caught up with the store but for damaged records"
                            );
                        }
                        behind = None;
                    }
                }
            }
            let policy = self.governance.refresh(&*self.store).await;
            let gateways = self.gateways.refresh(&*self.store).await;
            if let Err(error) = policy.and(gateways) {
                tracing::warn!(%error, "whether other Cores have changed the policy cannot be told");
            }
        }
    }
}
