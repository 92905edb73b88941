//! The audit log of a running server.

use std::fs::{self, File, TryLockError};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use zeroize::Zeroizing;

use super::entry::{Entry, ServerKind};
use super::error::LogError;
use super::files;
use super::note::{NoteError, SigningKey, VerifierKey};
use super::reader::LogReader;
use super::receipt::Receipt;
use super::recovery;
use super::writer::Writer;
use crate::crypto::SystemEntropy;
use crate::port::{Audit, AuditError, Event, Outcome};

/// What an operator may choose.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuditLogSettings {
    /// Events that are made durable together at most.
    pub maximum_group_events: usize,
    /// Events that wait to be made durable at most; further ones wait for a place.
    pub maximum_waiting_events: usize,
    /// How long the checkpoint file may stay behind the log, in milliseconds. Receipts do not wait for it.
    pub publication_interval_milliseconds: u64,
    /// Entries, the newest, whose hashes are checked when the log is opened. `krypton audit verify` checks all.
    pub entries_checked_at_start: u64,
    /// Entries that the journal holds before their tiles are made durable and it begins anew.
    pub maximum_journal_entries: usize,
}

impl Default for AuditLogSettings {
    fn default() -> Self {
        Self {
            maximum_group_events: 1_024,
            maximum_waiting_events: 8_192,
            publication_interval_milliseconds: 100,
            entries_checked_at_start: 262_144,
            maximum_journal_entries: 4_096,
        }
    }
}

/// An append-only log of events, signed, open for more.
///
/// One writer makes events durable in groups; dropping the log ends it, after it has published what there is.
#[derive(Debug)]
pub struct AuditLog {
    directory: PathBuf,
    verifier: VerifierKey,
    server: ServerKind,
    queue: Sender<Message>,
    places: Arc<Semaphore>,
    failing: Arc<AtomicBool>,
    writer: Option<JoinHandle<()>>,
    /// Holds the lock on the directory while the writer runs.
    _lock: File,
}

enum Message {
    Append {
        entry: Bytes,
        reply: Option<oneshot::Sender<Result<u64, AuditError>>>,
        _place: OwnedSemaphorePermit,
    },
    Publish {
        reply: oneshot::Sender<Result<(), LogError>>,
    },
    Close,
}

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
        files::create_directory(directory).map_err(LogError::at(directory))?;
        let lock = lock(directory)?;
        let key = signing_key(signing_key_file, origin, recovery::exists(directory)?)?;
        let verifier = key.verifier().clone();
        let writer = Writer::open(directory, key, settings)?;
        let (queue, messages) = mpsc::channel();
        let failing = Arc::new(AtomicBool::new(false));
        let work = Work {
            writer,
            messages,
            maximum_group_events: settings.maximum_group_events.max(1),
            publication_interval: Duration::from_millis(settings.publication_interval_milliseconds),
            failing: failing.clone(),
        };
        let thread = thread::Builder::new().name("audit-log".to_owned()).spawn(|| work.run());
        Ok(Self {
            directory: directory.to_owned(),
            verifier,
            server,
            queue,
            places: Arc::new(Semaphore::new(
                settings.maximum_waiting_events.clamp(1, Semaphore::MAX_PERMITS),
            )),
            failing,
            writer: Some(thread.map_err(LogError::at(directory))?),
            _lock: lock,
        })
    }

    /// What verifies the log's checkpoints and receipts.
    pub fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// Remembers an event, durably, and answers its index.
    ///
    /// # Errors
    /// If it cannot be made durable. Then it is not in the log, but after a crash it may be.
    pub async fn append(&self, event: &Event) -> Result<u64, AuditError> {
        let (reply, answer) = oneshot::channel();
        self.queue(event, Some(reply)).await?;
        let index = answer.await.map_err(|_| closed())?;
        match &index {
            Ok(index) => trace(event, self.server, Some(*index)),
            Err(error) => {
                tracing::error!(target: "audit", %error, operation = &*event.operation, "not recorded")
            }
        }
        index
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
        self.queue.send(Message::Publish { reply }).map_err(|_| LogError::Closed)?;
        answer.await.map_err(|_| LogError::Closed)??;
        let (directory, verifier) = (self.directory.clone(), self.verifier.clone());
        let reading = tokio::task::spawn_blocking(move || read(&LogReader::open(&directory, &verifier)?));
        reading.await.map_err(|_| LogError::Closed)?
    }

    async fn queue(
        &self,
        event: &Event,
        reply: Option<oneshot::Sender<Result<u64, AuditError>>>,
    ) -> Result<(), AuditError> {
        let entry = Bytes::from(Entry::new(event, self.server).encode());
        let place = self.places.clone().acquire_owned().await.map_err(|_| closed())?;
        self.queue.send(Message::Append { entry, reply, _place: place }).map_err(|_| closed())
    }
}

impl Drop for AuditLog {
    fn drop(&mut self) {
        // If the writer is gone already there is nobody to tell, and nothing to wait for.
        let _ = self.queue.send(Message::Close);
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

#[async_trait]
impl Audit for AuditLog {
    async fn record(&self, event: Event) -> Result<(), AuditError> {
        self.append(&event).await.map(drop)
    }

    async fn record_later(&self, event: Event) -> Result<(), AuditError> {
        // While events get lost, nobody may go on as if they did not.
        if self.failing.load(Ordering::Acquire) {
            return self.record(event).await;
        }
        self.queue(&event, None).await?;
        trace(&event, self.server, None);
        Ok(())
    }
}

fn closed() -> AuditError {
    AuditError("it has stopped".to_owned())
}

/// The event for the subscribers of `tracing`: a record of the log of an OpenTelemetry exporter, if there is one.
fn trace(event: &Event, server: ServerKind, index: Option<u64>) {
    let (outcome, reason) = match event.outcome {
        Outcome::Success => ("Success", None),
        Outcome::Failure(reason) => ("Failure", Some(reason)),
    };
    tracing::info!(
        target: "audit",
        index,
        server = %server,
        tenant = &*event.tenant,
        principal = &*event.principal,
        operation = &*event.operation,
        unique_identifier = event.unique_identifier.as_deref(),
        outcome,
        reason = reason.map(tracing::field::display),
        client_correlation_value = event.client_correlation_value.as_deref(),
        server_correlation_value = event.server_correlation_value.as_deref(),
        details = (!event.details.is_empty()).then(|| tracing::field::debug(&event.details)),
        "event"
    );
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

/// Reads the signing key; makes it if there is no log yet that it could have signed.
fn signing_key(path: &Path, origin: &str, log_exists: bool) -> Result<SigningKey, LogError> {
    let refuse = |reason: String| LogError::Key { path: path.to_owned(), reason };
    let invalid = |error: NoteError| refuse(error.to_string());
    let key = match files::read(path).map_err(LogError::at(path))?.map(Zeroizing::new) {
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
            let key = SigningKey::generate(origin, &SystemEntropy::new()).map_err(invalid)?;
            files::create_secret(path, &key.encode().map_err(invalid)?).map_err(LogError::at(path))?;
            key
        }
    };
    if key.verifier().name() != origin {
        return Err(refuse(format!("it is the key of {}, not of {origin}", key.verifier().name())));
    }
    let mut public = path.as_os_str().to_owned();
    public.push(".pub");
    let content = format!("{}\n", key.verifier());
    files::replace(Path::new(&public), content.as_bytes()).map_err(LogError::at(Path::new(&public)))?;
    Ok(key)
}

/// What the thread of the writer does.
struct Work {
    writer: Writer,
    messages: Receiver<Message>,
    maximum_group_events: usize,
    publication_interval: Duration,
    failing: Arc<AtomicBool>,
}

impl Work {
    fn run(mut self) {
        let mut last_publication = Instant::now();
        let mut open = true;
        while open {
            let message = if self.writer.is_published() {
                self.messages.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                let due = self.publication_interval.saturating_sub(last_publication.elapsed());
                self.messages.recv_timeout(due)
            };
            open = match message {
                Ok(message) => self.take(message),
                Err(error) => error == RecvTimeoutError::Timeout,
            };
            if !open || last_publication.elapsed() >= self.publication_interval {
                if let Err(error) = self.writer.publish() {
                    tracing::warn!(%error, "the audit log has recorded what it was told, but cannot publish it");
                }
                last_publication = Instant::now();
            }
        }
    }

    /// Takes a message and those that wait behind it, and answers them. Tells whether to go on.
    fn take(&mut self, first: Message) -> bool {
        let (mut entries, mut replies) = (Vec::new(), Vec::new());
        let mut next = Some(first);
        let mut places = Vec::new();
        while let Some(message) = next {
            match message {
                Message::Append { entry, reply, _place: place } => {
                    entries.push(entry);
                    replies.push(reply);
                    places.push(place);
                }
                Message::Publish { reply } => {
                    self.append(&mut entries, &mut replies);
                    // Whoever asked may have gone.
                    let _ = reply.send(self.writer.publish());
                }
                Message::Close => {
                    self.append(&mut entries, &mut replies);
                    return false;
                }
            }
            next =
                if entries.len() < self.maximum_group_events { self.messages.try_recv().ok() } else { None };
        }
        self.append(&mut entries, &mut replies);
        true
    }

    fn append(
        &mut self,
        entries: &mut Vec<Bytes>,
        replies: &mut Vec<Option<oneshot::Sender<Result<u64, AuditError>>>>,
    ) {
        if entries.is_empty() {
            return;
        }
        let first = self.writer.append(std::mem::take(entries));
        self.failing.store(first.is_err(), Ordering::Release);
        for (position, reply) in (0..).zip(replies.drain(..)) {
            let answer = first.clone().map(|first| first + position);
            match (reply, answer) {
                // Whoever asked may have gone: the event is remembered all the same.
                (Some(reply), answer) => drop(reply.send(answer)),
                (None, Err(error)) => tracing::error!(target: "audit", %error, "an event is lost"),
                (None, Ok(_)) => {}
            }
        }
    }
}
