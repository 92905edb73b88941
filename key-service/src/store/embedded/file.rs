//! The files of a store: made, opened, checked, copied.
//!
//! A store is a directory: `records.redb`, `journal`, `anchor`, and `lock`, which the process that works with it holds.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::panic::AssertUnwindSafe;
use std::path::Path;

use redb::{
    Builder, Database, DatabaseError, Durability, ReadTransaction, ReadableDatabase as _, ReadableTable as _,
    ReadableTableMetadata as _, StorageError,
};

use super::EmbeddedLimits;
use super::anchor::Anchor;
use super::journal::{Entry, Journal, Round};
use super::layout::{
    self, FORMAT, FORMAT_WITHOUT_INDEX_VERSION, FORMAT_WITHOUT_JOURNAL, INDEX, META, META_FORMAT, META_INDEX,
    Progress, RECORDS, Tables,
};
use crate::durable_files;
use crate::port::StoreError;
use crate::record::INDEX_VERSION;
use crate::store::OpenError;

const DATABASE: &str = "records.redb";
const NEW_DATABASE: &str = "records.redb.new";
const JOURNAL: &str = "journal";
const ANCHOR: &str = "anchor";
pub(super) const LOCK: &str = "lock";

/// Rows of a backup in one transaction.
const COPIED_ROWS: usize = 10_000;

/// Records that are indexed anew in one transaction: sorted, they share pages of the index.
const INDEXED_ROWS: usize = 50_000;

/// Opens the store in a directory whose lock is held, or makes one.
pub(super) fn open(directory: &Path, limits: &EmbeddedLimits) -> Result<(Opened, Anchor), OpenError> {
    let anchor_path = directory.join(ANCHOR);
    let anchor = match Anchor::read(&anchor_path) {
        // Torn when the power failed: the database itself tells whether anything is lost.
        Err(error) if error.kind() == io::ErrorKind::InvalidData => None,
        other => other.map_err(|error| OpenError::file(&anchor_path, error))?,
    };
    if !directory.join(DATABASE).exists() {
        // Also with a torn anchor: there was a store.
        if anchor.map_or_else(|| anchor_path.exists(), |anchor| anchor.records > 0) {
            return Err(OpenError::Lost(directory.to_owned()));
        }
        create_database(directory, limits)?;
    }
    let opened = open_database(directory, limits)?;
    if anchor.is_some_and(|anchor| anchor.epoch > opened.progress.epoch) {
        return Err(OpenError::Lost(directory.to_owned()));
    }
    let anchor = Anchor::create(&anchor_path, opened.progress)
        .map_err(|error| OpenError::file(&anchor_path, error))?;
    Ok((opened, anchor))
}

/// Makes an empty database under another name first: one that has its own name is complete.
fn create_database(directory: &Path, limits: &EmbeddedLimits) -> Result<(), OpenError> {
    let path = directory.join(NEW_DATABASE);
    let file_error = |error| OpenError::file(&path, error);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(file_error(error)),
        _ => drop(owner_only(&path).map_err(file_error)?),
    }
    let database = builder(limits).create(&path).map_err(|error| open_error(&path, error))?;
    write(&database, Durability::Immediate, |tables| {
        Ok(tables.write_progress(Progress { epoch: 0, records: 0 })?)
    })
    .and_then(|()| Ok(database.close()?))
    .map_err(|error| OpenError::damaged(&path, error))?;
    fs::rename(&path, directory.join(DATABASE))
        .and_then(|()| durable_files::synchronize(directory))
        .map_err(file_error)
}

/// A database and the journal that goes on from it.
pub(super) struct Opened {
    pub(super) database: Database,
    pub(super) progress: Progress,
    pub(super) journal: Journal,
}

/// Opens an existing database, checks that it is what a store left, and gives it what only the journal has.
pub(super) fn open_database(directory: &Path, limits: &EmbeddedLimits) -> Result<Opened, OpenError> {
    let path = directory.join(DATABASE);
    // The library says that it may panic on a damaged file.
    let opened = std::panic::catch_unwind(AssertUnwindSafe(|| builder(limits).open(&path)));
    let database = match opened {
        Ok(opened) => opened.map_err(|error| open_error(&path, error))?,
        Err(_) => return Err(OpenError::damaged(&path, "its structure makes no sense")),
    };
    let damaged = |what: String| OpenError::damaged(&path, what);
    let (progress, round) = match check(&database).map_err(|error| damaged(error.to_string()))? {
        Check::Sound(progress, round) => (progress, round),
        Check::Outdated(progress, round) => {
            index_anew(&database, progress).map_err(|error| damaged(error.to_string()))?;
            (progress, round)
        }
        Check::UnknownFormat(found) => return Err(OpenError::UnknownFormat { path, found, known: FORMAT }),
        Check::Unsound(what) => return Err(damaged(what)),
    };
    let journal_path = directory.join(JOURNAL);
    let (journal, entries) = Journal::open(&journal_path, limits.journal_bytes, round)
        .map_err(|error| OpenError::file(&journal_path, error))?;
    let progress =
        replay(&database, progress, &entries).map_err(|error| OpenError::damaged(&journal_path, error))?;
    Ok(Opened { database, progress, journal })
}

enum Check {
    Sound(Progress, Option<Round>),
    /// The records are sound; what is indexed of them has changed.
    Outdated(Progress, Option<Round>),
    UnknownFormat(u64),
    Unsound(String),
}

/// A repair may open a damaged file as an empty one: the counts tell.
fn check(database: &Database) -> Result<Check, redb::Error> {
    let transaction = database.begin_read()?;
    let meta = transaction.open_table(META)?;
    match meta.get(META_FORMAT)?.map(|format| format.value()) {
        None => return Ok(Check::Unsound("it says no format".to_owned())),
        Some(FORMAT | FORMAT_WITHOUT_JOURNAL | FORMAT_WITHOUT_INDEX_VERSION) => (),
        Some(other) => return Ok(Check::UnknownFormat(other)),
    }
    let found = transaction.open_table(RECORDS)?.len()?;
    let index_version = meta.get(META_INDEX)?.map(|version| version.value());
    let round = layout::read_round(&meta)?;
    Ok(match layout::read_progress(&meta)? {
        Some(progress) if progress.records == found && index_version == Some(INDEX_VERSION) => {
            Check::Sound(progress, round)
        }
        Some(progress) if progress.records == found => Check::Outdated(progress, round),
        Some(progress) => {
            Check::Unsound(format!("it has {found} records where {} were counted", progress.records))
        }
        None => Check::Unsound("it says no progress".to_owned()),
    })
}

/// Applies what was acknowledged after the database had last written everything down. It stays in the journal until the
/// database does so again: opening a store needs no room on the disk.
fn replay(database: &Database, mut progress: Progress, entries: &[Entry]) -> Result<Progress, redb::Error> {
    let missing: Vec<_> = entries.iter().filter(|entry| entry.epoch > progress.epoch).collect();
    if missing.is_empty() {
        return Ok(progress);
    }
    tracing::info!(transactions = missing.len(), "the journal has what the store's database has not");
    write(database, Durability::None, |tables| {
        for entry in missing {
            if entry.epoch != progress.epoch + 1 {
                // The store is not as far as its anchor says then.
                break;
            }
            for record in &entry.records {
                progress.records += u64::from(tables.restore(record)?);
            }
            progress.epoch += 1;
        }
        Ok(tables.write_progress(progress)?)
    })?;
    Ok(progress)
}

/// Makes the index anew. Interrupted, it begins again when the store is opened the next time.
fn index_anew(database: &Database, progress: Progress) -> Result<(), redb::Error> {
    tracing::warn!(records = progress.records, "what is indexed has changed: every record is indexed anew");
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    layout::forget_index(&transaction)?;
    transaction.commit()?;
    let source = database.begin_read()?.open_table(RECORDS)?;
    let mut rows = source.iter()?.peekable();
    while rows.peek().is_some() {
        let chunk = rows.by_ref().take(INDEXED_ROWS).collect::<Result<Vec<_>, _>>()?;
        write(database, Durability::None, |tables| {
            Ok(tables.index_rows(chunk.iter().map(|(key, value)| (key.value(), value.value())))?)
        })?;
    }
    write(database, Durability::Immediate, |tables| Ok(tables.write_progress(progress)?))
}

fn builder(limits: &EmbeddedLimits) -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(limits.page_cache_bytes).set_repair_callback(|repair| {
        if repair.progress() == 0.0 {
            tracing::warn!("the store was not closed properly: every record is checked first");
        }
    });
    builder
}

fn write(
    database: &Database,
    durability: Durability,
    write_tables: impl FnOnce(&mut Tables<'_>) -> Result<(), redb::Error>,
) -> Result<(), redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(durability)?;
    // A crash afterwards costs no check of the whole file.
    transaction.set_quick_repair(matches!(durability, Durability::Immediate));
    write_tables(&mut Tables::open(&transaction)?)?;
    Ok(transaction.commit()?)
}

/// Copies what a transaction sees into a new store, complete when it has its name.
pub(super) fn copy(
    source: &ReadTransaction,
    target: &Path,
    limits: &EmbeddedLimits,
) -> Result<(), OpenError> {
    let mut partial = target.as_os_str().to_owned();
    partial.push(".partial");
    let partial = Path::new(&partial);
    let file_error = |error| OpenError::file(target, error);
    if target.exists() {
        return Err(file_error(io::ErrorKind::AlreadyExists.into()));
    }
    DirBuilder::new().mode(0o700).create(partial).map_err(|error| OpenError::file(partial, error))?;
    let copied = copy_into(source, partial, limits).and_then(|()| {
        fs::rename(partial, target).map_err(file_error)?;
        durable_files::synchronize_name(target).map_err(file_error)
    });
    if copied.is_err() {
        let _ = fs::remove_dir_all(partial);
    }
    copied
}

fn copy_into(source: &ReadTransaction, directory: &Path, limits: &EmbeddedLimits) -> Result<(), OpenError> {
    let path = directory.join(DATABASE);
    drop(owner_only(&path).map_err(|error| OpenError::file(&path, error))?);
    let database = builder(limits).create(&path).map_err(|error| open_error(&path, error))?;
    let damaged = |error: redb::Error| OpenError::damaged(&path, error);
    let progress = copy_rows(source, &database).map_err(damaged)?;
    database.close().map_err(|error| open_error(&path, error))?;
    let anchor = Anchor::create(&directory.join(ANCHOR), progress);
    anchor.map_err(|error| OpenError::file(directory, error))?;
    durable_files::synchronize(directory).map_err(|error| OpenError::file(directory, error))
}

fn copy_rows(source: &ReadTransaction, target: &Database) -> Result<Progress, redb::Error> {
    let (records, index) = (source.open_table(RECORDS)?, source.open_table(INDEX)?);
    let mut rows = records.iter()?.peekable();
    while rows.peek().is_some() {
        write(target, Durability::None, |tables| {
            rows.by_ref().take(COPIED_ROWS).try_for_each(|row| {
                let (key, value) = row?;
                Ok(tables.put_record(key.value(), value.value())?)
            })
        })?;
    }
    let mut entries = index.iter()?.peekable();
    while entries.peek().is_some() {
        write(target, Durability::None, |tables| {
            entries.by_ref().take(COPIED_ROWS).try_for_each(|entry| Ok(tables.put_index(entry?.0.value())?))
        })?;
    }
    let progress = layout::read_progress(&source.open_table(META)?)?
        .ok_or_else(|| redb::Error::Corrupted("it says no progress".to_owned()))?;
    write(target, Durability::Immediate, |tables| Ok(tables.write_progress(progress)?))?;
    Ok(progress)
}

/// Opens a file, or makes it, for its owner alone.
pub(super) fn owner_only(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// Bytes that the disk has left; all of them if it does not say.
pub(super) fn free_bytes(directory: &Path) -> u64 {
    rustix::fs::statvfs(directory).map_or(u64::MAX, |disk| disk.f_bavail.saturating_mul(disk.f_frsize))
}

fn open_error(path: &Path, error: DatabaseError) -> OpenError {
    match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
            OpenError::InUse(path.to_owned())
        }
        DatabaseError::UpgradeRequired(found) => {
            OpenError::damaged(path, format!("its database format {found} is too old"))
        }
        DatabaseError::Storage(StorageError::Io(error)) => OpenError::file(path, error),
        other => OpenError::damaged(path, other),
    }
}

/// What the rules are told of a failure of the database.
pub(super) fn store_error(error: redb::Error) -> StoreError {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    match error {
        redb::Error::Io(error) if matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge) => {
            StoreError::Full
        }
        other => StoreError::Unavailable(other.to_string()),
    }
}
