//! What an operator may choose about the audit log: the section `[audit]` of both servers.

use std::path::{Path, PathBuf};

use serde::Deserialize;

/// The section `[audit]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuditSettings {
    /// Whether there is an audit log.
    pub enabled: bool,
    /// The folder of the log. Default: `audit` in the state folder.
    pub directory: Option<PathBuf>,
    /// The file of the signing key, made at the first start. Default: `audit.key` in the state folder.
    pub signing_key: Option<PathBuf>,
    /// The name of the log, for ever and uniquely. Default: one with random digits, made at the first start.
    pub origin: Option<String>,
    /// What becomes of uses of keys that succeed.
    pub uses: Uses,
    /// Where events also go as OpenTelemetry log records: a file, or `stderr`. Default: nowhere.
    pub opentelemetry: Option<PathBuf>,
    /// Bounds.
    pub limits: AuditLogSettings,
}

impl Default for AuditSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            directory: None,
            signing_key: None,
            origin: None,
            uses: Uses::default(),
            opentelemetry: None,
            limits: AuditLogSettings::default(),
        }
    }
}

/// What becomes of uses of keys that succeed: Get, Encrypt, Decrypt, Obtain Lease and whatever else changes nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Uses {
    /// They are recorded shortly after they were answered: a crash may lose the last ones.
    #[default]
    Later,
    /// They are recorded before they are answered.
    Durable,
    /// They are not recorded.
    Omitted,
}

impl AuditSettings {
    /// The folder of the log of a server with this state folder.
    pub fn directory(&self, state_directory: &Path) -> PathBuf {
        self.directory.clone().unwrap_or_else(|| state_directory.join("audit"))
    }

    /// The file of the signing key. The verifier key lies beside it, with `.pub` added to the name.
    pub fn signing_key(&self, state_directory: &Path) -> PathBuf {
        self.signing_key.clone().unwrap_or_else(|| state_directory.join("audit.key"))
    }

    /// Takes relative paths from `folder`.
    pub fn resolve(&mut self, folder: &Path) {
        let opentelemetry = self.opentelemetry.iter_mut().filter(|path| !is_standard_error(path));
        for path in self.directory.iter_mut().chain(&mut self.signing_key).chain(opentelemetry) {
            *path = folder.join(&path);
        }
    }
}

/// Whether records go to the standard error stream instead of a file.
pub(super) fn is_standard_error(path: &Path) -> bool {
    path == Path::new("stderr")
}

/// Bounds of a log.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuditLogSettings {
    /// Events that are made durable together at most.
    pub maximum_group_events: usize,
    /// Events that wait to be made durable at most; further ones wait for a place.
    pub maximum_waiting_events: usize,
    /// How long events that nobody waits for are gathered before they are made durable, in milliseconds.
    pub gathering_milliseconds: u64,
    /// How long the checkpoint file may stay behind the log, in milliseconds. Receipts do not wait for it.
    pub publication_interval_milliseconds: u64,
    /// How long to wait before a disk that refused is tried again, in milliseconds.
    pub retry_interval_milliseconds: u64,
    /// Entries, the newest, whose hashes are checked when the log is opened. `krypton audit verify` checks all.
    pub entries_checked_at_start: u64,
    /// Entries that the journal holds before their tiles are made durable and it begins anew; twice as many at most.
    pub maximum_journal_entries: usize,
}

impl Default for AuditLogSettings {
    fn default() -> Self {
        Self {
            maximum_group_events: 4_096,
            maximum_waiting_events: 16_384,
            gathering_milliseconds: 20,
            publication_interval_milliseconds: 100,
            retry_interval_milliseconds: 1_000,
            entries_checked_at_start: 262_144,
            maximum_journal_entries: 32_768,
        }
    }
}
