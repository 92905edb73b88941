//! The audit log of a running server.

use std::fs::{self, File, TryLockError};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};

use async_trait::async_trait;
use bytestring::ByteString;
use prometheus_client::registry::Registry;
use tokio::sync::{Semaphore, oneshot};
use zeroize::Zeroizing;

use super::entries::Entries;
use super::entry::ServerKind;
use super::error::LogError;
use super::index::Index;
use super::note::{NoteError, SigningKey, VerifierKey};
use super::opentelemetry::Exporter;
use super::queue::{Queue, Request, Waiting};
use super::reader::LogReader;
use super::receipt::Receipt;
use super::recovery;
use super::settings::{AuditLogSettings, AuditSettings, Uses};
use super::statistics::{AuditMetrics, Statistics};
use super::work::Work;
use super::writer::Writer;
use crate::crypto::{CryptoError, Entropy, SystemEntropy};
use crate::durable_files::{self, Readers};
use crate::port::{Audit, AuditError, Event};

/// An append-only log of events, signed, open for more.
///
/// One writer makes events durable in groups; dropping the log ends it, after it has published what there is.
#[derive(Debug)]
pub struct AuditLog {
    directory: PathBuf,
    verifier: VerifierKey,
    uses: Uses,
    queue: Arc<Queue>,
    statistics: Arc<Statistics>,
    /// Searches for receipts at a time: each may read the whole index.
    searches: Semaphore,
    writer: Option<JoinHandle<()>>,
    /// Holds the lock on the directory while the writer runs.
    _lock: File,
}

/// Searches for receipts at a time.
const MAXIMUM_SEARCHES: usize = 2;

impl AuditLog {
    /// Opens the log in `directory`, or begins one.
    ///
    /// `origin` names the log, for ever and uniquely: `kms.example.org/core`. The signing key is read from its file,
    /// which only its owner may read; for a new log it is made, and its public half, which verifies, is written
    /// beside it with `.pub` added to the name. Blocks while the newest entries are checked.
    ///
    /// # Errors
    /// [`LogError::Locked`] if another process has it open; [`LogError::Damaged`] or [`LogError::Note`] if it is not
    /// what its checkpoints cover; [`LogError::Key`], [`LogError::Io`].
    pub fn open(
        directory: &Path,
        origin: &str,
        signing_key_file: &Path,
        server: ServerKind,
        settings: &AuditLogSettings,
    ) -> Result<Self, LogError> {
        let key = |log_exists| signing_key(signing_key_file, Some(origin), server, log_exists);
        Self::begin(directory, key, server, settings, Uses::default(), None)
    }

    /// Opens the log that the section `[audit]` asks for, or begins one.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn of_server(
        settings: &AuditSettings,
        state_directory: &Path,
        server: ServerKind,
    ) -> Result<Self, LogError> {
        let file = settings.signing_key(state_directory);
        let key = |log_exists| signing_key(&file, settings.origin.as_deref(), server, log_exists);
        let directory = settings.directory(state_directory);
        let records = settings.opentelemetry.as_deref();
        Self::begin(&directory, key, server, &settings.limits, settings.uses, records)
    }

    fn begin(
        directory: &Path,
        key: impl FnOnce(bool) -> Result<SigningKey, LogError>,
        server: ServerKind,
        settings: &AuditLogSettings,
        uses: Uses,
        records: Option<&Path>,
    ) -> Result<Self, LogError> {
        durable_files::make_folder(directory).map_err(LogError::at(directory))?;
        let lock = lock(directory)?;
        let key = key(recovery::exists(directory)?)?;
        let verifier = key.verifier().clone();
        let writer = Writer::open(directory, key, settings)?;
        let index = Index::open(directory, &LogReader::open(directory, &verifier)?)?;
        let queue = Arc::new(Queue::new(settings.maximum_waiting_events));
        let statistics = Arc::new(Statistics::default());
        statistics.size.store(writer.size(), Ordering::Relaxed);
        let work = Work {
            writer,
            queue: queue.clone(),
            statistics: statistics.clone(),
            server,
            settings: settings.clone(),
            exporter: records.map(|path| Exporter::new(path, verifier.name(), server)),
            index: Some(index),
            directory: directory.to_owned(),
            verifier: verifier.clone(),
            owed: Vec::new(),
            group: Entries::default(),
        };
        let thread = thread::Builder::new().name("audit-log".to_owned()).spawn(|| work.run());
        let writer = Some(thread.map_err(LogError::at(directory))?);
        let (directory, searches) = (directory.to_owned(), Semaphore::new(MAXIMUM_SEARCHES));
        Ok(Self { directory, verifier, uses, queue, statistics, searches, writer, _lock: lock })
    }

    /// What verifies the log's checkpoints and receipts.
    pub fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// The number of entries.
    pub fn size(&self) -> u64 {
        self.statistics.size.load(Ordering::Relaxed)
    }

    pub(super) fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    /// Makes the metrics known to `registry`.
    pub fn register(&self, registry: &mut Registry) {
        let (statistics, queue) = (self.statistics.clone(), self.queue.clone());
        registry.register_collector(Box::new(AuditMetrics { statistics, queue }));
    }

    /// Opens the file of OpenTelemetry records again, after it was given another name.
    pub fn reopen_records(&self) {
        self.queue.ask(Request::Reopen);
    }

    /// Remembers an event, durably, and answers its index.
    ///
    /// # Errors
    /// If it cannot be made durable. Then it is not in the log, but after a crash it may be.
    pub async fn append(&self, event: &Event) -> Result<u64, AuditError> {
        self.put(event.clone(), false).await
    }

    /// The receipt of an event that has been remembered.
    ///
    /// # Errors
    /// [`LogError::OutOfRange`] if there is none of that index; else as for reading.
    pub async fn receipt(&self, index: u64) -> Result<Receipt, LogError> {
        self.read(move |reader| reader.receipt(index)).await
    }

    /// Reads from the log, as it is now, where blocking is allowed.
    ///
    /// # Errors
    /// What `read` answers; and if the log cannot be published.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&LogReader) -> Result<T, LogError> + Send + 'static,
    ) -> Result<T, LogError> {
        let (reply, answer) = oneshot::channel();
        if !self.queue.ask(Request::Publish(reply)) {
            return Err(LogError::Closed);
        }
        answer.await.map_err(|_| LogError::Closed)??;
        let (directory, verifier) = (self.directory.clone(), self.verifier.clone());
        let reading = tokio::task::spawn_blocking(move || read(&LogReader::open(&directory, &verifier)?));
        reading.await.map_err(|_| LogError::Closed)?
    }

    async fn put(&self, event: Event, is_kept: bool) -> Result<u64, AuditError> {
        let (reply, answer) = oneshot::channel();
        if !self.queue.put(Waiting { event, reply: Some(reply), is_kept }).await {
            return Err(closed());
        }
        answer.await.map_err(|_| closed())?
    }
}

impl Drop for AuditLog {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(writer) = self.writer.take() {
            // If the writer is gone already there is nothing to wait for.
            let _ = writer.join();
        }
    }
}

#[async_trait]
impl Audit for AuditLog {
    async fn record(&self, event: Event) -> Result<(), AuditError> {
        self.put(event, false).await.map(drop)
    }

    async fn record_done(&self, event: Event) -> Result<(), AuditError> {
        self.put(event, true).await.map(drop)
    }

    async fn record_later(&self, event: Event) -> Result<(), AuditError> {
        if self.uses == Uses::Durable {
            return self.record(event).await;
        }
        self.ready()?;
        let taken = self.queue.put(Waiting { event, reply: None, is_kept: true }).await;
        if taken { Ok(()) } else { Err(closed()) }
    }

    fn ready(&self) -> Result<(), AuditError> {
        if !self.statistics.is_failing() {
            return Ok(());
        }
        Err(AuditError(self.statistics.problem().unwrap_or_default()))
    }

    fn keeps_uses(&self) -> bool {
        self.uses != Uses::Omitted
    }

    async fn receipt(&self, tenant: &str, unique_identifier: &str) -> Result<Option<ByteString>, AuditError> {
        let _turn = self.searches.acquire().await.map_err(|_| closed())?;
        let (tenant, unique_identifier) = (tenant.to_owned(), unique_identifier.to_owned());
        let receipt = self.read(move |reader| {
            let found = reader.find(&unique_identifier, |entry| entry.tenant == tenant)?;
            found.map(|index| reader.receipt(index)).transpose()
        });
        let receipt = receipt.await.map_err(|error| AuditError(error.to_string()))?;
        Ok(receipt.map(|receipt| ByteString::from(receipt.as_str())))
    }
}

fn closed() -> AuditError {
    AuditError("it has stopped".to_owned())
}

fn lock(directory: &Path) -> Result<File, LogError> {
    let path = directory.join("lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(LogError::at(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(LogError::Locked(directory.to_owned())),
        Err(TryLockError::Error(error)) => Err(LogError::at(&path)(error)),
    }
}

/// Reads the signing key; makes it if there is no log yet that it could have signed. The key holds the name of the log.
fn signing_key(
    path: &Path,
    origin: Option<&str>,
    server: ServerKind,
    log_exists: bool,
) -> Result<SigningKey, LogError> {
    let refuse = |reason: String| LogError::Key { path: path.to_owned(), reason };
    let invalid = |error: NoteError| refuse(error.to_string());
    let key = match durable_files::read(path).map_err(LogError::at(path))?.map(Zeroizing::new) {
        Some(text) => {
            let mode = fs::metadata(path).map_err(LogError::at(path))?.permissions().mode();
            if mode & 0o077 != 0 {
                return Err(refuse(format!("others than its owner may use it (mode {:o})", mode & 0o777)));
            }
            let text = std::str::from_utf8(&text).map_err(|_| invalid(NoteError::BadKey))?;
            SigningKey::parse(text).map_err(invalid)?
        }
        None if log_exists => return Err(refuse("the signing key of the log is missing".to_owned())),
        None => {
            let entropy = SystemEntropy::new();
            let made = origin.is_none().then(|| new_origin(server, &entropy)).transpose();
            let made = made.map_err(|error| refuse(error.to_string()))?.unwrap_or_default();
            let key = SigningKey::generate(origin.unwrap_or(&made), &entropy).map_err(invalid)?;
            let text = key.encode().map_err(invalid)?;
            durable_files::create(path, Readers::Owner, &text).map_err(LogError::at(path))?;
            key
        }
    };
    if let Some(origin) = origin
        && key.verifier().name() != origin
    {
        return Err(refuse(format!("it is the key of {}, not of {origin}", key.verifier().name())));
    }
    let mut public = path.as_os_str().to_owned();
    public.push(".pub");
    let (public, content) = (Path::new(&public), format!("{}\n", key.verifier()));
    // Written again at every start.
    durable_files::replace_for_now(public, Readers::Everybody, content.as_bytes())
        .map_err(LogError::at(public))?;
    Ok(key)
}

/// A name that no other log has.
fn new_origin(server: ServerKind, entropy: &SystemEntropy) -> Result<String, CryptoError> {
    let mut random = [0; 8];
    entropy.fill(&mut random)?;
    Ok(format!("krypton/{}/{:016x}", server.name(), u64::from_be_bytes(random)))
}
