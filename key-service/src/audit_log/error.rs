//! What can be wrong with a log.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::note::NoteError;

/// Why a log cannot be opened or read.
#[derive(Debug, Error)]
pub enum LogError {
    /// The operating system refuses.
    #[error("{path}: {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// Another process writes the log.
    #[error("{0}: another process has this audit log open")]
    Locked(PathBuf),
    /// The origin or the signing key cannot be used.
    #[error("{path}: {reason}")]
    Key {
        /// The file of the key.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A signed note is none, or not of this log.
    #[error("{path}: {source}")]
    Note {
        /// The file of the note.
        path: PathBuf,
        /// What is wrong with it.
        source: NoteError,
    },
    /// Something that a checkpoint covers is missing or differs.
    #[error("the audit log is damaged or was tampered with: {path}: {reason}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no such entry, or no such earlier log.
    #[error("the log has {size} entries, there is no {index}")]
    OutOfRange {
        /// What was asked for.
        index: u64,
        /// The size of the log.
        size: u64,
    },
    /// The log has been closed.
    #[error("the audit log is closed")]
    Closed,
}

impl LogError {
    pub(super) fn damaged(path: &Path, reason: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), reason: reason.into() }
    }

    /// Names the file that an error of the operating system is about.
    pub(super) fn at(path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        |source| Self::Io { path, source }
    }
}
