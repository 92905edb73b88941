//! Tiles on their way to the disk, beside the writer: it goes on with the journal, which still has what they hold.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use super::error::LogError;
use crate::durable_files;

/// Files that are synchronized at a time. A file system that is asked for several at once makes them certain with one write of its
/// own journal.
const THREADS: usize = 8;

/// Tiles and bundles that become certain.
pub(super) struct Settling {
    /// The first so many full tiles of the writer.
    pub(super) tiles: usize,
    /// The first so many full bundles of its tail.
    pub(super) bundles: usize,
    thread: JoinHandle<Result<(), LogError>>,
}

impl Settling {
    /// Begins to make files below `directory` certain, and their names.
    pub(super) fn begin(
        directory: &Path,
        tiles: Vec<PathBuf>,
        bundles: Vec<PathBuf>,
    ) -> Result<Self, LogError> {
        let (tile_count, bundle_count, above) = (tiles.len(), bundles.len(), directory.to_owned());
        let files = [tiles, bundles].concat();
        let thread = thread::Builder::new().name("audit-tiles".to_owned());
        let thread = thread.spawn(move || synchronize(&above, &files)).map_err(LogError::at(directory))?;
        Ok(Self { tiles: tile_count, bundles: bundle_count, thread })
    }

    pub(super) fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits for the end. After an error nobody knows what the files hold.
    pub(super) fn finish(self) -> Result<(), LogError> {
        self.thread.join().unwrap_or(Err(LogError::Closed))
    }
}

fn synchronize(directory: &Path, files: &[PathBuf]) -> Result<(), LogError> {
    let next = AtomicUsize::new(0);
    let synchronize_some = || {
        while let Some(path) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            synchronize_file(path)?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        let start = |_| thread::Builder::new().spawn_scoped(scope, synchronize_some);
        let threads: io::Result<Vec<_>> = (0..THREADS.min(files.len())).map(start).collect();
        let mut threads = threads.map_err(LogError::at(directory))?.into_iter();
        threads.try_for_each(|thread| thread.join().unwrap_or(Err(LogError::Closed)))
    })?;
    let mut directories = BTreeSet::from([directory]);
    for path in files {
        directories.extend(path.ancestors().skip(1).take_while(|above| *above != directory));
    }
    directories.into_iter().try_for_each(synchronize_file)
}

fn synchronize_file(path: &Path) -> Result<(), LogError> {
    durable_files::synchronize(path).map_err(LogError::at(path))
}
