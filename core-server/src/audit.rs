//! The audit log, for now as lines of the ordinary log: what operators do at level `info`, what Gateways do at `debug`.

use async_trait::async_trait;
use bytestring::ByteString;
use key_service::port::{Audit, AuditError, Event, Outcome};
use kmip_protocol::codec::DateTime;
use kmip_protocol::enumeration::ResultReason;

use crate::chain::REGION;

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

/// Who acts where the Core does so by itself.
pub(crate) const OWN_PRINCIPAL: &str = "krypton-core";

/// Remembers that something was refused to the Core itself, or closed by it. If the log does not take it, the ordinary log
/// at least says so: there is no request that could fail.
pub(crate) async fn record_own(
    audit: &dyn Audit,
    time: DateTime,
    operation: &'static str,
    unique_identifier: Option<&ByteString>,
    details: &[(&'static str, &str)],
) {
    let detail =
        |(name, value): &(&'static str, &str)| (ByteString::from_static(name), ByteString::from(*value));
    let event = Event {
        time,
        tenant: ByteString::from_static(REGION),
        principal: ByteString::from_static(OWN_PRINCIPAL),
        operation: ByteString::from_static(operation),
        unique_identifier: unique_identifier.cloned(),
        outcome: Outcome::Failure(ResultReason::PermissionDenied),
        client_correlation_value: None,
        server_correlation_value: None,
        details: details.iter().map(detail).collect(),
    };
    if let Err(error) = audit.record(event).await {
        tracing::error!(%error, operation, "an event is not in the audit log");
    }
}
