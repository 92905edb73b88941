//! Copies of the store while it is used, and exports and imports while nobody uses it.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use key_service::durable_files;
use key_service::port::{Store, StoreError};
use key_service::store::archive::{self, ArchiveError};
use key_service::store::{OpenError, StoreMetrics};

use crate::config::Config;
use crate::open_store;

/// Why nothing was copied, exported or imported.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The configuration has no place for copies.
    #[error("the configuration has no backup_directory")]
    NoDirectory,
    /// The store does not copy itself.
    #[error("{0}")]
    Copy(StoreError),
    /// A file cannot be made or read.
    #[error("{}: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The store cannot be opened.
    #[error("store: {0}")]
    Store(#[from] OpenError),
    /// Moving records has failed.
    #[error("{}: {error}", path.display())]
    Archive {
        /// The exported file.
        path: PathBuf,
        /// Why.
        error: ArchiveError,
    },
}

/// Copies the store into a new directory, named by the time, below `directory`.
///
/// # Errors
/// If there is no directory, or the store is of a kind that is backed up otherwise.
pub async fn copy(store: &dyn Store, directory: Option<&Path>) -> Result<PathBuf, BackupError> {
    let directory = directory.ok_or(BackupError::NoDirectory)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let target = directory.join(format!("store-{}-{:03}", now.as_secs(), now.subsec_millis()));
    store.back_up(&target).await.map_err(BackupError::Copy)?;
    Ok(target)
}

/// Writes all records of the configured store into a new file, which has its name when it is complete.
///
/// # Errors
/// If the store cannot be opened or read, or the file cannot be written, or is there already.
pub async fn export(config: &Config, path: &Path) -> Result<(), BackupError> {
    let file_error = |error| BackupError::File { path: path.to_owned(), error };
    if path.exists() {
        return Err(file_error(io::ErrorKind::AlreadyExists.into()));
    }
    let store = open_store(config, StoreMetrics::default()).await?;
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial);
    let mut file = BufWriter::new(file.map_err(file_error)?);
    let exported = archive::export(&*store, &mut file, |records| tell(&format!("{records} records written")));
    let moved = exported.await.map_err(|error| BackupError::Archive { path: partial.clone(), error })?;
    let file = file.into_inner().map_err(|error| file_error(error.into_error()))?;
    file.sync_all()
        .and_then(|()| std::fs::rename(&partial, path))
        .and_then(|()| durable_files::synchronize_name(path))
        .map_err(file_error)?;
    tell(&format!("{} records exported to {}", moved.records, path.display()));
    Ok(())
}

/// Writes the records of an exported file into the configured store, after the whole file was found to be sound.
///
/// # Errors
/// If the file is damaged, or the store cannot be opened, fails, or has other objects of the same identifiers or names.
pub async fn import(config: &Config, path: &Path) -> Result<(), BackupError> {
    let open = || File::open(path).map(BufReader::new);
    let file_error = |error| BackupError::File { path: path.to_owned(), error };
    let archive_error = |error| BackupError::Archive { path: path.to_owned(), error };
    let records = archive::verify(&mut open().map_err(file_error)?).map_err(archive_error)?;
    tell(&format!("{}: sound, {records} records", path.display()));
    let store = open_store(config, StoreMetrics::default()).await?;
    let mut file = open().map_err(file_error)?;
    let imported =
        archive::import(&*store, &mut file, |done| tell(&format!("{done} of {records} records imported")));
    let moved = imported.await.map_err(archive_error)?;
    tell(&format!("{} records imported, {} were there already", moved.records, moved.present));
    Ok(())
}

/// Progress, for whoever waits.
fn tell(line: &str) {
    // Standard error may be closed: the work goes on.
    let _ = writeln!(io::stderr(), "krypton-gateway: {line}");
}
