//! The audit log, for now as lines of the ordinary log: what operators do at level `info`, what Gateways do at `debug`.

use async_trait::async_trait;
use key_service::port::{Audit, AuditError, Event, Outcome};

/// Writes events to the log.
pub(crate) struct TracedAudit;

#[async_trait]
impl Audit for TracedAudit {
    async fn record(&self, event: Event) -> Result<(), AuditError> {
        let Event { principal, operation, outcome, .. } = &event;
        let unique_identifier = event.unique_identifier.as_deref().unwrap_or_default();
        match (&**operation, outcome) {
            ("Encrypt" | "Decrypt" | "Obtain Lease", Outcome::Success) => {
                tracing::debug!(%principal, %operation, unique_identifier, ?outcome, "audit");
            }
            _ => tracing::info!(%principal, %operation, unique_identifier, ?outcome, "audit"),
        }
        Ok(())
    }
}
