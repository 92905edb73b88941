//! The port for the audit log.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytestring::ByteString;
use kmip_protocol::codec::DateTime;
use kmip_protocol::enumeration::ResultReason;

/// Something that happened and is to be remembered.
#[derive(Debug, Clone)]
pub struct Event {
    /// When.
    pub time: DateTime,
    /// Who: the tenant.
    pub tenant: ByteString,
    /// Who: the principal within the tenant.
    pub principal: ByteString,
    /// What: the operation's KMIP name.
    pub operation: ByteString,
    /// Which object, where there is one.
    pub unique_identifier: Option<ByteString>,
    /// How it went.
    pub outcome: Outcome,
    /// The client's correlation value.
    pub client_correlation_value: Option<ByteString>,
    /// The server's correlation value.
    pub server_correlation_value: Option<ByteString>,
    /// What else is to be remembered, such as the scope of a revocation. Names are in ASCII.
    pub details: BTreeMap<ByteString, ByteString>,
}

impl Event {
    /// One that is about no object, and of no request.
    pub fn new(
        time: DateTime,
        tenant: impl Into<ByteString>,
        principal: impl Into<ByteString>,
        operation: impl Into<ByteString>,
        outcome: Outcome,
    ) -> Self {
        Self {
            time,
            tenant: tenant.into(),
            principal: principal.into(),
            operation: operation.into(),
            unique_identifier: None,
            outcome,
            client_correlation_value: None,
            server_correlation_value: None,
            details: BTreeMap::new(),
        }
    }
}

/// How an operation went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is about to be made: said before what cannot be taken back. How it went follows, unless the server ended.
    Intent,
    /// It succeeded.
    Success,
    /// It failed for this reason.
    Failure(ResultReason),
}

/// The log did not take the event.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the audit log does not take events: {0}")]
pub struct AuditError(pub String);

/// Remembers events.
#[async_trait]
pub trait Audit: Send + Sync + 'static {
    /// Remembers an event: it is durable when this answers. What is refused is not remembered.
    async fn record(&self, event: Event) -> Result<(), AuditError>;

    /// As [`record`](Self::record), of something that has happened already and cannot be taken back: where it is refused, the log
    /// keeps it and remembers it as soon as it can.
    async fn record_done(&self, event: Event) -> Result<(), AuditError> {
        self.record(event).await
    }

    /// Takes an event to remember it shortly after the others before it: a crash may lose it. For what happens often
    /// and changes nothing, such as each use of a key, where waiting for the disk would cost more than the work.
    async fn record_later(&self, event: Event) -> Result<(), AuditError> {
        self.record(event).await
    }

    /// Whether the log takes events: asked before anything is done that has to be remembered.
    fn ready(&self) -> Result<(), AuditError> {
        Ok(())
    }

    /// Whether uses of keys that succeed are wanted at all.
    fn keeps_uses(&self) -> bool {
        true
    }

    /// The receipt of the newest Destroy or Revoke of a tenant's object that succeeded, if this log has one.
    async fn receipt(
        &self,
        _tenant: &str,
        _unique_identifier: &str,
    ) -> Result<Option<ByteString>, AuditError> {
        Ok(None)
    }
}

/// Remembers nothing: for tests of other things, and where an operator has switched the log off.
#[derive(Debug, Default)]
pub struct NoAudit;

#[async_trait]
impl Audit for NoAudit {
    async fn record(&self, _event: Event) -> Result<(), AuditError> {
        Ok(())
    }

    fn keeps_uses(&self) -> bool {
        false
    }
}
