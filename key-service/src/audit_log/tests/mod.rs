//! Tests of the audit log as a whole; what they share.
#![allow(clippy::unwrap_used)]

mod behaviour;
mod crash;
mod events;
mod finding;
mod golden;
mod left_open;
mod proofs;
mod receipts;
mod records;
mod recovery;
mod rules;
mod small_disk;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use bytestring::ByteString;
use kmip_protocol::codec::DateTime;
use kmip_protocol::enumeration::ResultReason;
use tempfile::TempDir;

use super::entries::Entries;
use super::entry::Entry;
use super::note::{SigningKey, VerifierKey};
use super::writer::Writer;
use super::{AuditLog, AuditLogSettings, ServerKind};
use crate::port::{Event, Outcome};

pub(super) const ORIGIN: &str = "kms.example.org/golden";

/// A log in a temporary folder, with the key of the fixtures.
pub(super) struct Place {
    folder: TempDir,
}

impl Place {
    pub(super) fn new() -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        place.bring_key();
        place
    }

    /// A copy of the log to spoil.
    pub(super) fn copy(&self) -> Self {
        let copy = Self::new();
        copy_tree(&self.directory(), &copy.directory());
        copy
    }

    pub(super) fn directory(&self) -> PathBuf {
        self.folder.path().join("audit")
    }

    pub(super) fn key_file(&self) -> PathBuf {
        self.folder.path().join("audit.key")
    }

    pub(super) fn open(&self) -> AuditLog {
        let (directory, key) = (self.directory(), self.key_file());
        AuditLog::open(&directory, ORIGIN, &key, ServerKind::Core, &settings()).unwrap()
    }

    /// The writer alone: it publishes when it is told to, and dropping it is like a crash.
    pub(super) fn writer(&self) -> Writer {
        fs::create_dir_all(self.directory()).unwrap();
        Writer::open(&self.directory(), signing_key(), &settings()).unwrap()
    }

    /// All files of the log.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut directories = vec![self.directory()];
        while let Some(directory) = directories.pop() {
            for found in fs::read_dir(directory).unwrap() {
                let path = found.unwrap().path();
                if path.is_dir() { directories.push(path) } else { files.push(path) }
            }
        }
        files.retain(|path| !path.ends_with("lock"));
        files.sort();
        files
    }

    fn bring_key(&self) {
        fs::write(self.key_file(), fixture("log.key")).unwrap();
        fs::set_permissions(self.key_file(), fs::Permissions::from_mode(0o600)).unwrap();
    }
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for found in fs::read_dir(from).unwrap() {
        let path = found.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_tree(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

/// Settings under which little happens often.
pub(super) fn settings() -> AuditLogSettings {
    AuditLogSettings { maximum_journal_entries: 512, ..AuditLogSettings::default() }
}

pub(super) fn fixture(name: &str) -> String {
    let path = format!("{}/../fixtures/audit/{name}", env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

pub(super) fn signing_key() -> SigningKey {
    SigningKey::parse(&fixture("log.key")).unwrap()
}

pub(super) fn verifier() -> VerifierKey {
    fixture("log.pub").parse().unwrap()
}

/// The events of the fixtures.
pub(super) fn event(number: u64) -> Event {
    let text = |text: String| ByteString::from(text);
    let detail = |name: &'static str, value: &'static str| {
        (ByteString::from_static(name), ByteString::from_static(value))
    };
    let details = if number.is_multiple_of(7) {
        vec![detail("scope", "service"), detail("a", "1")]
    } else {
        Vec::new()
    };
    Event {
        time: DateTime(1_700_000_000 + i64::try_from(number).unwrap()),
        tenant: text("acme".to_owned()),
        principal: text("app-1".to_owned()),
        operation: text(if number.is_multiple_of(3) { "Destroy" } else { "Get" }.to_owned()),
        unique_identifier: Some(text(format!("{number:08x}-0000-4000-8000-000000000000"))),
        outcome: if number.is_multiple_of(5) {
            Outcome::Failure(ResultReason::PermissionDenied)
        } else {
            Outcome::Success
        },
        client_correlation_value: Some(text(format!("request \"{number}\"é\n"))),
        server_correlation_value: None,
        details: BTreeMap::from_iter(details),
    }
}

/// The entries of the fixtures.
pub(super) fn entries(numbers: std::ops::Range<u64>) -> Vec<Bytes> {
    group(numbers).iter().map(Bytes::copy_from_slice).collect()
}

/// The same, to be appended.
pub(super) fn group(numbers: std::ops::Range<u64>) -> Entries {
    let mut group = Entries::default();
    for number in numbers {
        group.push_with(|bytes| Entry::<String>::new(&event(number), ServerKind::Core).encode(bytes));
    }
    group
}
