//! The one thread that writes. It merges the commits that wait into one transaction, so that they share the disk's
//! work, judges each against the state that the ones before it leave, and answers when the journal is on the disk. When nobody
//! has come for a moment, or the journal is full, the database writes everything down: it *settles*.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::{self, Poll, Wake};
use std::thread::Thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use bytestring::ByteString;
use redb::{Durability, StorageError, WriteTransaction};
use tokio::sync::{mpsc, oneshot, watch};

use super::anchor::Anchor;
use super::cache::{Cache, Lookup};
use super::journal::{Journal, Round};
use super::layout::{Progress, Tables};
use super::{EmbeddedLimits, Shared, file};
use crate::port::StoreError;
use crate::record::Record;
use crate::store::transition::{self, Prepared, Transition};
use crate::store::value;

/// What a commit is answered.
pub(super) type Outcome = Result<(), StoreError>;

pub(super) enum Request {
    Commit(Vec<Prepared>, oneshot::Sender<Outcome>),
    /// A read failed in a way that lasts until the file is opened again.
    Reopen,
    Close,
}

pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) requests: mpsc::Receiver<Request>,
    pub(super) directory: PathBuf,
    pub(super) limits: EmbeddedLimits,
    pub(super) progress: Progress,
    pub(super) anchor: Anchor,
    pub(super) journal: Journal,
    /// Whether the database has written down everything.
    pub(super) is_settled: bool,
    /// Held until the database is closed.
    pub(super) lock: File,
    /// Tells that this has happened.
    pub(super) closed: watch::Sender<bool>,
}

/// Commits that wait, and whom to answer.
type Waiting = Vec<(Vec<Prepared>, oneshot::Sender<Outcome>)>;

/// What a transaction does to each record, by tenant and identifier.
type Written = HashMap<(ByteString, ByteString), Transition>;

/// The last transaction.
#[derive(Default, Clone, Copy)]
struct Last {
    commits: usize,
    duration: Duration,
}

/// A pause for more commits takes this part of what the last transaction took, so that it can hardly cost more than it
/// brings.
const PAUSE_DIVISOR: u32 = 8;
const LONGEST_PAUSE: Duration = Duration::from_millis(1);

/// How long nobody commits before the database settles: requests that come one after the other do not wait for that.
const IDLE_BEFORE_SETTLING: Duration = Duration::from_secs(1);

/// What a transaction holds, and what each commit is answered if it succeeds.
struct Judged {
    outcomes: Vec<Outcome>,
    written: Written,
    progress: Progress,
}

/// Why a commit is not part of the transaction, or why there is none.
enum Failure {
    /// This commit alone.
    Refused(StoreError),
    /// The transaction, and with it the open file.
    Broken(StoreError),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Refused(error)
    }
}

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Self {
        Self::Broken(file::store_error(error.into()))
    }
}

/// The state within a transaction: the tables, and what has been written so far.
struct Batch<'t> {
    tables: Tables<'t>,
    cache: &'t Cache,
    written: Written,
    inserted: u64,
}

impl Writer {
    /// Works until the store is closed or dropped.
    pub(super) fn run(mut self) {
        let mut requests = Vec::new();
        let mut last = Last::default();
        while self.gather(&mut requests, last) {
            let mut waiting = Waiting::new();
            for request in requests.drain(..) {
                match request {
                    Request::Commit(changes, answer) => waiting.push((changes, answer)),
                    Request::Reopen => self.reopen(),
                    // What was sent before is still answered.
                    Request::Close => self.requests.close(),
                }
            }
            let started = Instant::now();
            last.commits = waiting.len();
            if !waiting.is_empty() {
                self.commit(waiting);
            }
            last.duration = started.elapsed();
        }
        self.end();
    }

    /// Waits for requests; `false` when there will be none.
    ///
    /// Those whom the last transaction answered are likely to send their next commit at once, but not all before the
    /// first of them wakes this thread. A short pause lets them all into one transaction, instead of a small one and
    /// then a large one.
    fn gather(&mut self, requests: &mut Vec<Request>, last: Last) -> bool {
        let batch_commits = self.limits.batch_commits.max(1);
        let received = self.receive(requests, batch_commits);
        if received == 0 {
            return false;
        }
        if received < last.commits.min(batch_commits) {
            std::thread::sleep((last.duration / PAUSE_DIVISOR).min(LONGEST_PAUSE));
            while requests.len() < batch_commits
                && let Ok(request) = self.requests.try_recv()
            {
                requests.push(request);
            }
        }
        true
    }

    /// Waits for requests, and settles meanwhile; returns how many came, none if there will be none.
    fn receive(&mut self, requests: &mut Vec<Request>, limit: usize) -> usize {
        let waker = Arc::new(Unpark(std::thread::current())).into();
        let mut context = task::Context::from_waker(&waker);
        let settles_at = Instant::now() + IDLE_BEFORE_SETTLING;
        loop {
            if let Poll::Ready(received) = self.requests.poll_recv_many(&mut context, requests, limit) {
                return received;
            }
            match settles_at.checked_duration_since(Instant::now()) {
                _ if self.is_settled => std::thread::park(),
                Some(left) if !left.is_zero() => std::thread::park_timeout(left),
                _ => self.settle(),
            }
        }
    }

    /// Has the database write down everything that so far is in the journal and in memory alone.
    fn settle(&mut self) {
        // Tried once: whatever stands against it, the next commit meets it, too.
        self.is_settled = true;
        if !self.shared.is_open() {
            return;
        }
        let transaction = self.shared.begin_write();
        let settled =
            transaction.and_then(|transaction| self.settle_with(transaction).map_err(file::store_error));
        if let Err(error) = settled {
            tracing::warn!(%error, "the store was not settled, and is opened again");
            self.reopen();
        }
    }

    /// Commits a transaction, and with it all that the journal holds; the journal begins a new round.
    ///
    /// The database notes in the same transaction which of its pages are in use. Else it would find out after a crash, by a look
    /// at all of them.
    fn settle_with(&mut self, mut transaction: WriteTransaction) -> Result<(), redb::Error> {
        let round = Round::draw()?;
        Tables::open(&transaction)?.write_round(round)?;
        transaction.set_durability(Durability::Immediate)?;
        transaction.set_quick_repair(true);
        transaction.commit()?;
        self.journal.begin(round);
        Ok(())
    }

    /// Commits a transaction: acknowledged once the journal has it, the database may write it down later.
    fn journal_with(
        &mut self,
        mut transaction: WriteTransaction,
        Judged { written, progress, .. }: &Judged,
    ) -> Result<(), redb::Error> {
        self.journal.append(progress.epoch, written.values().map(|transition| &transition.bytes))?;
        transaction.set_durability(Durability::None)?;
        Ok(transaction.commit()?)
    }

    fn end(mut self) {
        if !self.is_settled {
            self.settle();
        }
        self.shared.close_database();
        if let Err(error) = self.anchor.sync() {
            tracing::error!(%error, "the anchor of the store was not saved");
        }
        drop(self.lock);
        self.closed.send_replace(true);
    }

    fn commit(&mut self, waiting: Waiting) {
        if !self.shared.is_open() {
            self.reopen();
        }
        let (changes, answers): (Vec<_>, Vec<_>) = waiting.into_iter().unzip();
        let outcomes = self.transact(changes).unwrap_or_else(|error| {
            tracing::error!(%error, "the store failed to commit and is opened again");
            self.reopen();
            vec![Err(error); answers.len()]
        });
        for (answer, outcome) in answers.into_iter().zip(outcomes) {
            // Nobody waits any more: the commit counts all the same.
            let _ = answer.send(outcome);
        }
    }

    /// One transaction of all the commits that are not refused.
    fn transact(&mut self, commits: Vec<Vec<Prepared>>) -> Result<Vec<Outcome>, StoreError> {
        let transaction = self.shared.begin_write()?;
        let free_bytes = file::free_bytes(&self.directory);
        let judged = self.judge_all(&transaction, commits, free_bytes)?;
        if judged.written.is_empty() {
            return Ok(judged.outcomes);
        }
        let transitions = || judged.written.values();
        for transition in transitions().filter(|transition| transition.before.is_some()) {
            self.shared.cache.begin_change(&transition.after);
        }
        // On a nearly full disk nothing is acknowledged whose pages may find no room later.
        let is_journaled = free_bytes >= self.limits.minimum_free_bytes
            && self.journal.has_room(transitions().map(|transition| transition.bytes.len()));
        self.is_settled = !is_journaled;
        let committed = match is_journaled {
            true => self.journal_with(transaction, &judged),
            false => self.settle_with(transaction),
        };
        committed.map_err(file::store_error)?;
        for transition in transitions() {
            self.shared.cache.finish_change(&transition.after, transition.bytes.len());
        }
        self.progress = judged.progress;
        if let Err(error) = self.anchor.write(judged.progress) {
            tracing::warn!(%error, "the anchor of the store was not written");
        }
        Ok(judged.outcomes)
    }

    /// Writes into a transaction what is not refused.
    fn judge_all(
        &self,
        transaction: &WriteTransaction,
        commits: Vec<Vec<Prepared>>,
        free_bytes: u64,
    ) -> Result<Judged, StoreError> {
        let tables = Tables::open(transaction).map_err(|error| file::store_error(error.into()))?;
        let mut batch = Batch { tables, cache: &self.shared.cache, written: Written::new(), inserted: 0 };
        let mut outcomes = Vec::with_capacity(commits.len());
        for changes in commits {
            let outcome = match self.has_room(free_bytes, &changes) {
                true => batch.take(changes),
                false => Err(Failure::Refused(StoreError::Full)),
            };
            match outcome {
                Ok(()) => outcomes.push(Ok(())),
                Err(Failure::Refused(error)) => outcomes.push(Err(error)),
                Err(Failure::Broken(error)) => return Err(error),
            }
        }
        let Progress { epoch, records } = self.progress;
        let progress = Progress { epoch: epoch + 1, records: records + batch.inserted };
        batch.tables.write_progress(progress).map_err(|error| file::store_error(error.into()))?;
        Ok(Judged { outcomes, written: batch.written, progress })
    }

    /// Stops short of a full disk. Only commits that insert nothing (revoke, destroy) may use the last part.
    fn has_room(&self, free_bytes: u64, changes: &[Prepared]) -> bool {
        let inserts =
            changes.iter().any(|prepared| !matches!(prepared.change, crate::port::Change::Replace(_)));
        let reserve = self.limits.minimum_free_bytes;
        free_bytes >= if inserts { reserve } else { reserve / RESERVE_DIVISOR }
    }

    /// Opens the database again after it has failed. It must be as far as the last confirmed transaction.
    fn reopen(&mut self) {
        self.shared.close_database();
        match file::open_database(&self.directory, &self.limits) {
            Ok(opened) if opened.progress.epoch >= self.progress.epoch => {
                (self.progress, self.journal) = (opened.progress, opened.journal);
                self.shared.cache.clear();
                self.shared.put_database(opened.database);
            }
            Ok(_) => tracing::error!("the store has lost transactions and stays closed"),
            Err(error) => tracing::error!(%error, "the store cannot be opened again"),
        }
    }
}

/// The part of [`EmbeddedLimits::minimum_free_bytes`] below which nothing at all is written.
const RESERVE_DIVISOR: u64 = 4;

impl Batch<'_> {
    /// Judges a commit and writes it, or leaves everything as it was.
    fn take(&mut self, changes: Vec<Prepared>) -> Result<(), Failure> {
        let transitions =
            transition::transitions(changes, |tenant, identifier| self.stored(tenant, identifier))?;
        transition::judge_names(&transitions, |tenant, name| {
            self.tables.holder(tenant, name).map_err(Failure::from)
        })?;
        for transition in transitions {
            self.tables.apply(&transition)?;
            self.inserted += u64::from(transition.before.is_none());
            let Record { tenant, unique_identifier, .. } = &*transition.after;
            let identity = (tenant.clone(), unique_identifier.clone());
            // The first state before the transaction and the last one after it.
            match self.written.remove(&identity) {
                Some(first) => {
                    self.written.insert(identity, Transition { before: first.before, ..transition })
                }
                None => self.written.insert(identity, transition),
            };
        }
        Ok(())
    }

    fn stored(&self, tenant: &str, unique_identifier: &str) -> Result<Option<Arc<Record>>, Failure> {
        let identity = (ByteString::from(tenant), ByteString::from(unique_identifier));
        if let Some(transition) = self.written.get(&identity) {
            return Ok(Some(Arc::clone(&transition.after)));
        }
        // What is cached is what the last transaction left: this thread makes them all.
        if let Lookup::Hit(record) = self.cache.look_up(tenant, unique_identifier) {
            return Ok(Some(record));
        }
        let value: Option<Bytes> = self.tables.record(tenant, unique_identifier)?;
        Ok(value.map(|value| value::open(&value, tenant, unique_identifier)).transpose()?)
    }
}

/// Wakes a thread that waits for requests.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Starts the thread.
pub(super) fn spawn(writer: Writer) -> io::Result<std::thread::JoinHandle<()>> {
    std::thread::Builder::new().name("store-writer".to_owned()).spawn(move || writer.run())
}

/// Takes the lock of a store; `None` if another process has it.
pub(super) fn lock(path: &Path) -> io::Result<Option<File>> {
    let file = file::owner_only(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(std::fs::TryLockError::WouldBlock) => Ok(None),
        Err(std::fs::TryLockError::Error(error)) => Err(error),
    }
}
