//! The audit log of a server: opened as the configuration asks, its beginning and end recorded.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytestring::ByteString;
use kmip_protocol::codec::DateTime;
use prometheus_client::registry::Registry;

use super::entry::ServerKind;
use super::error::LogError;
use super::left_open::{self, LEFT_OPEN_FROM, LeftOpen, MAXIMUM_LOOKED_THROUGH};
use super::log::AuditLog;
use super::settings::AuditSettings;
use crate::port::{Audit, AuditError, Event, NoAudit, Outcome};

/// The operation of the event that a server begins with.
pub(super) const START: &str = "Start";

/// The log of a server, or nothing where it is switched off.
#[derive(Debug, Clone)]
pub struct ServerLog {
    log: Option<Arc<AuditLog>>,
    server: ServerKind,
}

impl ServerLog {
    /// Opens the log, or begins it. Blocks while its newest entries are checked.
    ///
    /// # Errors
    /// As [`AuditLog::open`].
    pub fn open(
        settings: &AuditSettings,
        state_directory: &Path,
        server: ServerKind,
    ) -> Result<Self, LogError> {
        if !settings.enabled {
            tracing::warn!("the audit log is switched off: nothing is recorded, and nothing has a receipt");
            return Ok(Self { log: None, server });
        }
        let log = AuditLog::of_server(settings, state_directory, server)?;
        tracing::info!(verifier = %log.verifier(), entries = log.size(), "the audit log is open");
        Ok(Self { log: Some(Arc::new(log)), server })
    }

    /// The log as the rules see it.
    pub fn port(&self) -> Arc<dyn Audit> {
        match &self.log {
            Some(log) => log.clone(),
            None => Arc::new(NoAudit),
        }
    }

    /// Makes the metrics known to `registry`.
    pub fn register(&self, registry: &mut Registry) {
        if let Some(log) = &self.log {
            log.register(registry);
        }
    }

    /// Why events are not taken, for whoever asks whether the server is ready.
    pub fn problem(&self) -> Option<String> {
        self.log.as_ref().and_then(|log| log.ready().err()).map(|error| error.to_string())
    }

    /// Opens the file of OpenTelemetry records again, after it was given another name.
    pub fn reopen_records(&self) {
        if let Some(log) = &self.log {
            log.reopen_records();
        }
    }

    /// Records that the server serves from now on. Returns what its last life has left without an outcome.
    ///
    /// # Errors
    /// If it cannot be recorded: then nothing else could.
    pub async fn record_start(&self, now: DateTime) -> Result<LeftOpen, AuditError> {
        let Some(log) = &self.log else { return Ok(LeftOpen::new(None, Vec::new())) };
        let found = log.read(|reader| left_open::find(reader, MAXIMUM_LOOKED_THROUGH)).await;
        let (intents, first) = found.map_err(|error| AuditError(error.to_string()))?;
        let mut start = self.event(START, now);
        if let Some(first) = first {
            let first = ByteString::from(first.to_string());
            start.details.insert(ByteString::from_static(LEFT_OPEN_FROM), first);
        }
        log.record(start).await?;
        Ok(LeftOpen::new(Some(log.clone()), intents))
    }

    /// Records that the server has ended in order, after all other events.
    pub async fn record_stop(&self, now: DateTime) {
        if let Err(error) = self.port().record_done(self.event("Stop", now)).await {
            tracing::error!(%error, "the end of the server is not recorded");
        }
    }

    fn event(&self, operation: &'static str, now: DateTime) -> Event {
        let version =
            (ByteString::from_static("version"), ByteString::from_static(env!("CARGO_PKG_VERSION")));
        let principal = format!("krypton-{}", self.server.name());
        let event = Event::new(now, "", principal, operation, Outcome::Success);
        Event { details: BTreeMap::from([version]), ..event }
    }
}
