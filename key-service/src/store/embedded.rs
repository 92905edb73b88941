//! The store `embedded`: durable, in a directory of its own, for one process.
//!
//! Built on redb, with a journal before it. A commit is answered when it is on the disk (`fsync`); commits that wait at the
//! same time share one transaction. docs/decisions/0001-embedded-store.md says why redb, and what it costs.

mod anchor;
mod cache;
mod file;
mod journal;
mod layout;
#[cfg(test)]
mod tests;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;

use async_trait::async_trait;
use bytestring::ByteString;
use redb::{Database, ReadTransaction, ReadableDatabase as _, WriteTransaction};
use tokio::sync::{mpsc, oneshot, watch};

use super::transition::Prepared;
use super::{OpenError, value};
use crate::durable_files;
use crate::port::{Bookmark, Change, IndexKey, Position, Store, StoreError, Stretch};
use crate::record::Record;
use cache::{Cache, Lookup};
use file::Opened;
use layout::Entry;
use writer::{Request, Writer};

/// What an [`EmbeddedStore`] may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EmbeddedLimits {
    /// Memory for pages of the file. Default: 256 MiB.
    pub page_cache_bytes: usize,
    /// Bytes of records, as stored, that are kept decoded; they take about three times as much. Default: 64 MiB.
    pub record_cache_bytes: usize,
    /// Commits that may wait; further ones wait to be let in. Default: 1024.
    pub waiting_commits: usize,
    /// Commits in one transaction. Default: 256.
    pub batch_commits: usize,
    /// Length of the journal: what may be committed before the database has to write everything down, and what is read again
    /// after a crash. Default: 4 MiB.
    pub journal_bytes: u64,
    /// Below this much free space on the disk, inserts are refused as [`StoreError::Full`]; below a quarter of it,
    /// every change. Default: 64 MiB.
    pub minimum_free_bytes: u64,
}

impl Default for EmbeddedLimits {
    fn default() -> Self {
        Self {
            page_cache_bytes: 256 << 20,
            record_cache_bytes: 64 << 20,
            waiting_commits: 1024,
            batch_commits: 256,
            journal_bytes: 4 << 20,
            minimum_free_bytes: 64 << 20,
        }
    }
}

/// Keeps records in a directory. Dropping it waits for the commits under way.
pub struct EmbeddedStore {
    shared: Arc<Shared>,
    limits: EmbeddedLimits,
    /// `None` only while it is dropped.
    requests: Option<mpsc::Sender<Request>>,
    closed: watch::Receiver<bool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the readers and the writer share.
struct Shared {
    /// `None` after it was closed, or while it cannot be opened again after a failure.
    database: RwLock<Option<Database>>,
    cache: Cache,
}

impl EmbeddedStore {
    /// Opens the store in `directory`, or makes one (mode 0700, files 0600).
    ///
    /// Blocks: after a crash in the middle of commits the journal is read again, about 0.5 s for a full one.
    ///
    /// # Errors
    /// If another process works with it, its format is unknown, it is damaged, or it is not as far as its anchor
    /// says.
    pub fn open(directory: &Path, limits: EmbeddedLimits) -> Result<Self, OpenError> {
        let file_error = |error| OpenError::file(directory, error);
        durable_files::make_folder(directory).map_err(file_error)?;
        let lock = writer::lock(&directory.join(file::LOCK)).map_err(file_error)?;
        let lock = lock.ok_or_else(|| OpenError::InUse(directory.to_owned()))?;
        let (Opened { database, progress, journal }, anchor) = file::open(directory, &limits)?;

        let cache = Cache::new(limits.record_cache_bytes);
        let shared = Arc::new(Shared { database: RwLock::new(Some(database)), cache });
        let (sender, requests) = mpsc::channel(limits.waiting_commits.max(1));
        let (closed_sender, closed) = watch::channel(false);
        let writer = Writer {
            shared: Arc::clone(&shared),
            requests,
            directory: directory.to_owned(),
            limits,
            progress,
            anchor,
            journal,
            is_settled: false,
            lock,
            closed: closed_sender,
        };
        let thread = Mutex::new(Some(writer::spawn(writer).map_err(file_error)?));
        Ok(Self { shared, limits, requests: Some(sender), closed, thread })
    }

    /// Answers the commits under way, closes the files and gives up the lock. Later calls find the store
    /// unavailable.
    pub async fn close(&self) {
        if let Some(requests) = &self.requests {
            let _ = requests.send(Request::Close).await;
        }
        let mut closed = self.closed.clone();
        // An error: the thread has ended anyway.
        let _ = closed.wait_for(|closed| *closed).await;
    }

    /// Copies the store as it is now into the new directory `target`, which is a store itself: to restore, open it
    /// or put it in the place of the old one.
    ///
    /// Commits go on meanwhile; the file grows by what they change. The copy is in `target`.partial until complete.
    ///
    /// # Errors
    /// If `target` exists, cannot be written, or the store is closed.
    pub async fn backup(&self, target: &Path) -> Result<(), OpenError> {
        let source = self.shared.begin_read();
        let source = source.map_err(|error| OpenError::damaged(target, error))?;
        let (target, limits): (PathBuf, _) = (target.to_owned(), self.limits);
        let copied = tokio::task::spawn_blocking(move || file::copy(&source, &target, &limits)).await;
        copied.unwrap_or_else(|error| Err(OpenError::damaged(Path::new(""), error)))
    }

    fn requests(&self) -> Result<&mpsc::Sender<Request>, StoreError> {
        self.requests.as_ref().ok_or_else(closed)
    }

    /// A failed read may need the file to be opened again, which the writer does.
    fn failed(&self, error: redb::Error) -> StoreError {
        if matches!(error, redb::Error::Io(_) | redb::Error::PreviousIo)
            && let Ok(requests) = self.requests()
        {
            // A full queue brings commits, and they find the failure, too.
            let _ = requests.try_send(Request::Reopen);
        }
        file::store_error(error)
    }
}

impl Drop for EmbeddedStore {
    fn drop(&mut self) {
        self.requests = None;
        let thread = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the store's writer has panicked");
        }
    }
}

#[async_trait]
impl Store for EmbeddedStore {
    async fn fetch(&self, tenant: &str, unique_identifier: &str) -> Result<Option<Arc<Record>>, StoreError> {
        let ticket = match self.shared.cache.look_up(tenant, unique_identifier) {
            Lookup::Hit(record) => return Ok(Some(record)),
            Lookup::Miss(ticket) => ticket,
        };
        let transaction = self.shared.begin_read()?;
        let value =
            layout::fetch(&transaction, tenant, unique_identifier).map_err(|error| self.failed(error))?;
        let Some(value) = value else { return Ok(None) };
        let record = value::open(&value, tenant, unique_identifier)?;
        self.shared.cache.fill(ticket, &record, value.len());
        Ok(Some(record))
    }

    async fn commit(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        let changes = changes.into_iter().map(prepare).collect::<Result<Vec<_>, _>>()?;
        let (sender, answer) = oneshot::channel();
        self.requests()?.send(Request::Commit(changes, sender)).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }

    async fn select(
        &self,
        tenant: &str,
        key: Option<&IndexKey>,
        after: Option<Position>,
        limit: usize,
    ) -> Result<Vec<Arc<Record>>, StoreError> {
        let transaction = self.shared.begin_read()?;
        let open = |entry: &Entry| {
            entry
                .open(tenant)
                .inspect_err(|error| tracing::error!(%error, "a record is left out of a search"))
                .ok()
        };
        let mut asked = limit;
        // A page that is not full means the end to the caller: one damaged record must not hide those after it.
        loop {
            let page = layout::select(&transaction, tenant, key, after, asked)
                .map_err(|error| self.failed(error))?;
            let opened: Vec<_> = page.iter().filter_map(open).collect();
            if page.len() < asked || opened.len() >= limit {
                return Ok(opened);
            }
            asked += limit - opened.len();
        }
    }

    async fn walk(&self, tenant: &str, from: Option<&Bookmark>, limit: usize) -> Result<Stretch, StoreError> {
        let transaction = self.shared.begin_read()?;
        layout::walk(&transaction, tenant, from, limit).map_err(|error| self.failed(error))
    }

    async fn tenants(&self) -> Result<Vec<ByteString>, StoreError> {
        let transaction = self.shared.begin_read()?;
        layout::tenants(&transaction).map_err(|error| self.failed(error))
    }

    async fn back_up(&self, target: &Path) -> Result<(), StoreError> {
        self.backup(target).await.map_err(|error| StoreError::Unavailable(error.to_string()))
    }
}

impl Shared {
    fn begin_read(&self) -> Result<ReadTransaction, StoreError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let database = database.as_ref().ok_or_else(closed)?;
        database.begin_read().map_err(|error| file::store_error(error.into()))
    }

    fn begin_write(&self) -> Result<WriteTransaction, StoreError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let database = database.as_ref().ok_or_else(closed)?;
        database.begin_write().map_err(|error| file::store_error(error.into()))
    }

    fn is_open(&self) -> bool {
        self.database.read().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    fn put_database(&self, database: Database) {
        *self.database.write().unwrap_or_else(PoisonError::into_inner) = Some(database);
    }

    fn close_database(&self) {
        let database = self.database.write().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Err(error)) = database.map(Database::close) {
            tracing::warn!(%error, "the store was not closed properly and will be checked when it is opened");
        }
    }
}

/// Writes a record down, and reads it back: what is not readable is never acknowledged.
fn prepare(change: Change) -> Result<Prepared, StoreError> {
    let prepared = Prepared::new(change)?;
    match Record::decode(&prepared.bytes) {
        Ok(read) if read.encode() == prepared.bytes => Ok(prepared),
        _ => Err(StoreError::Damaged("a record would not be read back as it is".to_owned())),
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable("it is closed".to_owned())
}
