//! The ledger: what was closed for good, and the highest policy, written down in the state folder besides the store. A store
//! that is restored from an older copy does not know of it; the ledger does, and says so.
//!
//! It is a text file, one line an entry, appended and forced to the disk before a closing is answered:
//!
//! ```text
//! krypton-ledger v1
//! closed region Compromised 6f1c0b52-6d4e-4a0e-9d8e-0f2b6f0f7f11
//! closed governance Deactivated gateway:gateway-1
//! policy 7 9f86d081884c7d65...
//! ```
//!
//! The policies are those that were in force here, as they were signed; the last one is kept whole beside it, in `policy-bundle`.
//! A line without its end was torn when the power failed: its closing was not answered. How far this goes, SECURITY.md says.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytestring::ByteString;
use key_service::chain::{POLICY_DIGEST, POLICY_OBJECT, POLICY_VERSION, own_value};
use key_service::durable_files::{self, Readers};
use key_service::port::{Change, Store, StoreError};
use key_service::record::Record;
use kmip_protocol::attribute::Attribute;
use kmip_protocol::enumeration::State;
use thiserror::Error;

use crate::chain::{Level, REGION, is_reserved_name};
use crate::governed::NAMESPACE;
use crate::metrics::Metrics;

const FIRST_LINE: &str = "krypton-ledger v1\n";
const FILE: &str = "ledger";

/// The bundle of the highest policy that was in force, beside it.
const KEPT_POLICY: &str = "policy-bundle";

/// Closed objects that an error names.
const NAMED: usize = 3;

/// Records that are looked through in one go.
const PAGE_RECORDS: usize = 1_000;

/// Why a Core does not start on a store.
#[derive(Debug, Error)]
pub enum LedgerError {
    /// The file cannot be used.
    #[error("cannot use the ledger {path}: {error}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Somebody has edited it, or the disk is damaged.
    #[error("line {line} of the ledger {path} makes no sense", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store is older than what the ledger remembers.
    #[error(
        "the store is older than this Core remembers: {0}. Restore a newer copy; or set policy.accept_older_store, and all \
         that the ledger has as closed is closed again"
    )]
    Behind(String),
}

/// The highest policy that was in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyMark {
    /// Its version.
    pub version: u64,
    /// SHA-256 of its text.
    pub digest: String,
}

/// What is written down.
#[derive(Default)]
struct Entries {
    closed: HashMap<(String, String), State>,
    policy: Option<PolicyMark>,
}

/// The ledger of a Core.
pub struct Ledger {
    path: PathBuf,
    entries: Mutex<Entries>,
    /// Lines that wait for whoever writes.
    waiting: Mutex<String>,
    file: Mutex<File>,
    metrics: Metrics,
}

impl Ledger {
    /// Reads the ledger in a folder, or begins one.
    ///
    /// # Errors
    /// If it cannot be read, or makes no sense.
    pub fn open(folder: &Path, metrics: Metrics) -> Result<Self, LedgerError> {
        let path = folder.join(FILE);
        let failed = |error| LedgerError::File { path: path.clone(), error };
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true).mode(0o600);
        let mut file = options.open(&path).map_err(failed)?;
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(failed)?;
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        if whole < text.len() {
            tracing::warn!(path = %path.display(), "the last entry of the ledger is torn and was left out");
            file.set_len(whole as u64).map_err(failed)?;
        }
        let entries =
            read(&text[..whole]).map_err(|line| LedgerError::Damaged { path: path.clone(), line })?;
        if whole == 0 {
            file.write_all(FIRST_LINE.as_bytes()).map_err(failed)?;
        }
        file.sync_all().and_then(|()| durable_files::synchronize_name(&path)).map_err(failed)?;
        let (waiting, file) = (Mutex::default(), Mutex::new(file));
        Ok(Self { path, entries: Mutex::new(entries), waiting, file, metrics })
    }

    /// The highest policy that was in force.
    pub fn policy(&self) -> Option<PolicyMark> {
        self.entries().policy.clone()
    }

    /// Whether an object was closed.
    pub fn has_closed(&self, namespace: &str, unique_identifier: &str) -> bool {
        self.entries().closed.contains_key(&(namespace.to_owned(), unique_identifier.to_owned()))
    }

    /// Compares a store with what is written down. Where the store is behind, it is refused, or `accepted`: then all that was
    /// closed is closed again.
    ///
    /// # Errors
    /// [`LedgerError::Behind`]; or the store does not answer.
    pub async fn judge(&self, store: &dyn Store, accepted: bool) -> Result<(), LedgerError> {
        let closed: Vec<(String, String)> = self.entries().closed.keys().cloned().collect();
        let mut reopened = Vec::new();
        for (namespace, unique_identifier) in closed {
            let record = store.fetch(&namespace, &unique_identifier).await?;
            reopened.extend(record.filter(|record| !is_closed(record)));
        }
        let policy_behind = self.policy_behind(store).await?;
        if reopened.is_empty() && policy_behind.is_none() {
            return Ok(());
        }
        let named = reopened.iter().take(NAMED).map(|record| {
            let what = crate::chain::tenant(record)
                .map(|tenant| format!(" ({} of {tenant})", Level::of(record).name()))
                .unwrap_or_default();
            format!("{}{what} was closed and is open in it", record.unique_identifier)
        });
        let mut found: Vec<String> = named.chain(policy_behind).collect();
        if reopened.len() > NAMED {
            found.push(format!("{} more were closed and are open in it", reopened.len() - NAMED));
        }
        let found = found.join("; ");
        if !accepted {
            return Err(LedgerError::Behind(found));
        }
        tracing::error!(
            found,
            "the store is older than this Core remembers; what was closed is closed again"
        );
        for record in reopened {
            close_again(store, &record).await?;
        }
        Ok(())
    }

    async fn policy_behind(&self, store: &dyn Store) -> Result<Option<String>, LedgerError> {
        let Some(mark) = self.policy() else { return Ok(None) };
        let found = store.fetch(NAMESPACE, POLICY_OBJECT).await?.and_then(|record| mark_of(&record));
        Ok(match found {
            None => Some(format!("policy {} was in force and is not in it", mark.version)),
            Some(found) if found.version < mark.version => {
                Some(format!("policy {} was in force, and it has policy {}", mark.version, found.version))
            }
            Some(found) if found.version == mark.version && found.digest != mark.digest => {
                Some(format!("it has another policy {} than was in force", mark.version))
            }
            Some(_) => None,
        })
    }

    /// Takes down what was closed by others, or before there was a ledger, whatever the index lacks. Returns how many records cannot
    /// be read: they open nothing, but whether they were closed is not known.
    ///
    /// What the store has as closed is believed: who forges that denies, which deleting records does as well; who doubts it opens
    /// what another Core has closed.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn catch_up(self: &Arc<Self>, store: &dyn Store) -> Result<usize, StoreError> {
        let mut unreadable = 0;
        for namespace in [REGION, NAMESPACE] {
            let mut next = None;
            loop {
                let stretch = store.walk(namespace, next.as_ref(), PAGE_RECORDS).await?;
                let (mut readable, met) = (Vec::new(), stretch.records.len());
                for record in stretch.records {
                    match record {
                        Ok(record) => readable.push(record),
                        Err(error) => tracing::error!(%error, "the ledger cannot tell whether it was closed"),
                    }
                }
                unreadable += met - readable.len();
                self.note(&readable).await;
                next = stretch.next;
                if next.is_none() {
                    break;
                }
            }
        }
        Ok(unreadable)
    }

    /// Takes down what of these records is closed. A ledger that cannot be written raises an alarm
    /// and stops nothing: whatever is closed stays closed.
    pub async fn note(self: &Arc<Self>, records: &[Arc<Record>]) {
        if self.put_down(records) {
            let ledger = Arc::clone(self);
            // A panic in there has been reported as such.
            let _ = tokio::task::spawn_blocking(move || ledger.write()).await;
        }
    }

    /// Takes down that a bundle is in force, and keeps it: where the one in the store cannot be used, it is the last good one.
    pub async fn note_policy(self: &Arc<Self>, mark: &PolicyMark, note: &str) {
        self.put_down_policy(mark);
        let (ledger, mark, note) = (Arc::clone(self), mark.clone(), note.to_owned());
        // A panic in there has been reported as such.
        let _ = tokio::task::spawn_blocking(move || {
            ledger.keep_policy(&mark, &note);
            ledger.write();
        })
        .await;
    }

    /// The bundle that was in force last. It is signed, so whoever reads it need not trust the file.
    pub fn kept_policy(&self) -> Option<String> {
        match fs::read_to_string(self.path.with_file_name(KEPT_POLICY)) {
            Ok(note) => Some(note),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::error!(file = KEPT_POLICY, %error, "the last policy cannot be read");
                None
            }
        }
    }

    /// Keeps the bundle before its entry is written: one that the ledger names is there.
    fn keep_policy(&self, mark: &PolicyMark, note: &str) {
        // One after another, and never an older one after a newer one.
        let _alone = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if self.policy().as_ref() != Some(mark) || self.kept_policy().is_some_and(|kept| kept == note) {
            return;
        }
        let path = self.path.with_file_name(KEPT_POLICY);
        if let Err(error) = durable_files::replace(&path, Readers::Owner, note.as_bytes()) {
            self.metrics.ledger_failures.inc();
            tracing::error!(file = KEPT_POLICY, %error, "the policy cannot be kept beside the ledger");
        }
    }

    /// Writes what waits. Those who come while somebody writes are written together by the next.
    fn write(&self) {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        if lines.is_empty() {
            return;
        }
        if let Err(error) = append(&mut file, &lines) {
            // Written with whatever is closed next. In front: the order of policies tells which is the highest.
            self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert_str(0, &lines);
            self.metrics.ledger_failures.inc();
            tracing::error!(path = %self.path.display(), %error, "the ledger cannot be written: an older store would not be noticed");
        }
    }

    /// Lets a policy that is higher than any before wait to be written.
    fn put_down_policy(&self, mark: &PolicyMark) {
        let mut entries = self.entries();
        if entries.policy.as_ref().is_none_or(|known| known.version < mark.version) {
            let line = format!("policy {} {}\n", mark.version, mark.digest);
            entries.policy = Some(mark.clone());
            self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push_str(&line);
        }
    }

    /// Lets what is new wait to be written; returns whether anything is.
    fn put_down(&self, records: &[Arc<Record>]) -> bool {
        let mut lines = String::new();
        let mut entries = self.entries();
        // Tombstones of Gateways' objects are no part of it.
        let is_kept = |record: &&Arc<Record>| record.tenant == REGION || record.tenant == NAMESPACE;
        for record in records.iter().filter(is_kept) {
            // The policy is taken down when it is in force: what its record says, anybody may have written.
            if &*record.unique_identifier == POLICY_OBJECT || !is_closed(record) {
                continue;
            }
            // An identifier of ours is one word. Another one would write entries of its own.
            if record.unique_identifier.contains(char::is_control) {
                tracing::error!(identifier = ?record.unique_identifier, "the store has a record that no Core has made");
                continue;
            }
            if let Some(state) = record.state() {
                let key = (record.tenant.to_string(), record.unique_identifier.to_string());
                let line = format!("closed {} {state:?} {}\n", key.0, key.1);
                if let Entry::Vacant(entry) = entries.closed.entry(key) {
                    entry.insert(state);
                    lines += &line;
                }
            }
        }
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push_str(&lines);
        !lines.is_empty()
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Appends whole lines, or nothing: half a line would make no sense of the next one.
fn append(file: &mut File, lines: &str) -> io::Result<()> {
    let before = file.metadata()?.len();
    let written = file.write_all(lines.as_bytes()).and_then(|()| file.sync_data());
    if written.is_err() {
        file.set_len(before)?;
    }
    written
}

/// Whether an object is closed for good: a tenant or Gateway that is no longer let in, an L3 that opens nothing any more. An
/// L3 that was only retired still opens what it sealed.
fn is_closed(record: &Record) -> bool {
    let Some(state) = record.state() else { return false };
    match Level::of(record) {
        Level::L3 => matches!(state, State::Compromised | State::Destroyed | State::DestroyedCompromised),
        _ => !matches!(state, State::PreActive | State::Active),
    }
}

async fn close_again(store: &dyn Store, record: &Record) -> Result<(), StoreError> {
    let mut closed = Record::clone(record);
    closed.version += 1;
    closed.set(Attribute::State(State::Compromised));
    // No key that is closed is the Active one of its service.
    closed.attributes.instances.retain(|instance| !is_reserved_name(&instance.attribute));
    store.commit(vec![Change::Replace(Arc::new(closed))]).await
}

/// What a record of a policy says about itself.
pub(crate) fn mark_of(record: &Record) -> Option<PolicyMark> {
    let value = |name| own_value(record.attributes.iter(), name);
    let version = value(POLICY_VERSION)?.parse().ok()?;
    Some(PolicyMark { version, digest: value(POLICY_DIGEST)?.to_string() })
}

/// Reads the lines of a ledger; fails with the line that makes no sense.
fn read(text: &str) -> Result<Entries, usize> {
    let mut entries = Entries::default();
    for (index, line) in text.lines().enumerate() {
        let understood = match line.split_once(' ') {
            _ if index == 0 => line == FIRST_LINE.trim_end(),
            Some(("closed", rest)) => read_closed(rest, &mut entries).is_some(),
            Some(("policy", rest)) => read_policy(rest, &mut entries).is_some(),
            _ => false,
        };
        if !understood {
            return Err(index + 1);
        }
    }
    Ok(entries)
}

fn read_closed(text: &str, entries: &mut Entries) -> Option<()> {
    let (namespace, rest) = text.split_once(' ')?;
    let (state, unique_identifier) = rest.split_once(' ')?;
    let known = [State::Deactivated, State::Compromised, State::Destroyed, State::DestroyedCompromised];
    let state = known.into_iter().find(|known| format!("{known:?}") == state)?;
    entries.closed.insert((namespace.to_owned(), unique_identifier.to_owned()), state);
    Some(())
}

fn read_policy(text: &str, entries: &mut Entries) -> Option<()> {
    let (version, digest) = text.split_once(' ')?;
    entries.policy = Some(PolicyMark { version: version.parse().ok()?, digest: digest.to_owned() });
    Some(())
}

/// A store whose closings are written down in the ledger before they are answered, whoever commits them.
pub struct LedgeredStore {
    store: Arc<dyn Store>,
    ledger: Arc<Ledger>,
}

impl LedgeredStore {
    /// `store`, written down in `ledger`.
    pub fn new(store: Arc<dyn Store>, ledger: Arc<Ledger>) -> Self {
        Self { store, ledger }
    }
}

#[async_trait]
impl Store for LedgeredStore {
    fn below(&self) -> Option<&dyn Store> {
        Some(&*self.store)
    }

    async fn commit(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        let changed: Vec<Arc<Record>> = changes.iter().map(|change| Arc::clone(change.record())).collect();
        self.store.commit(changes).await?;
        self.ledger.note(&changed).await;
        Ok(())
    }

    async fn present(
        &self,
        tenant: &str,
        unique_identifiers: &[ByteString],
    ) -> Result<Vec<bool>, StoreError> {
        self.store.present(tenant, unique_identifiers).await
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use key_service::port::{Bookmark, IndexKey, Position, Stretch, SystemClock};
    use key_service::store::{MemoryLimits, MemoryStore};

    use super::*;
    use crate::governed;

    #[tokio::test]
    async fn an_identifier_writes_no_entries_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Arc::new(Ledger::open(folder.path(), Metrics::unregistered()).unwrap());
        let store = MemoryStore::new(MemoryLimits::default());
        for identifier in ["gateway:g\npolicy 999 abc", "gateway:h"] {
            let state = [Attribute::State(State::Compromised)];
            let record = governed::record(identifier.into(), state, &SystemClock::default());
            store.commit(vec![Change::Insert(Arc::new(record))]).await.unwrap();
        }
        open().catch_up(&store).await.unwrap();
        let ledger = open();
        assert!(ledger.has_closed(NAMESPACE, "gateway:h") && !ledger.has_closed(NAMESPACE, "gateway:g"));
        assert_eq!(ledger.policy(), None);
    }

    /// A store whose index has lost everything, and one of whose records is damaged.
    struct Lost(MemoryStore);

    #[async_trait]
    impl Store for Lost {
        fn below(&self) -> Option<&dyn Store> {
            Some(&self.0)
        }

        async fn select(
            &self,
            _tenant: &str,
            _key: Option<&IndexKey>,
            _after: Option<Position>,
            _limit: usize,
        ) -> Result<Vec<Arc<Record>>, StoreError> {
            Ok(Vec::new())
        }

        async fn walk(
            &self,
            tenant: &str,
            from: Option<&Bookmark>,
            limit: usize,
        ) -> Result<Stretch, StoreError> {
            let mut stretch = self.0.walk(tenant, from, limit).await?;
            for record in &mut stretch.records {
                if record.as_ref().is_ok_and(|record| record.unique_identifier == "gateway:damaged") {
                    *record = Err(StoreError::Damaged("gateway:damaged".to_owned()));
                }
            }
            Ok(stretch)
        }
    }

    #[tokio::test]
    async fn what_the_index_lacks_is_taken_down_and_what_is_damaged_told() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Arc::new(Ledger::open(folder.path(), Metrics::unregistered()).unwrap());
        let store = Lost(MemoryStore::new(MemoryLimits::default()));
        for identifier in ["gateway:closed", "gateway:damaged"] {
            let state = [Attribute::State(State::Compromised)];
            let record = governed::record(identifier.into(), state, &SystemClock::default());
            store.commit(vec![Change::Insert(Arc::new(record))]).await.unwrap();
        }
        assert_eq!(ledger.catch_up(&store).await, Ok(1));
        assert!(ledger.has_closed(NAMESPACE, "gateway:closed"));
        assert!(!ledger.has_closed(NAMESPACE, "gateway:damaged"));
    }
}
