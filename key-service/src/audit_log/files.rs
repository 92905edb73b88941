//! Files that are there whole or not at all.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// The content of a file, if there is one.
pub(super) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes a file, or replaces it: whoever reads it, even after this process was killed, finds the old or the new one.
/// After a power failure that is certain only once the file and its directory have been synchronized.
pub(super) fn replace(path: &Path, content: &[u8]) -> io::Result<File> {
    let temporary = path.with_extension("tmp");
    let written = File::create(&temporary).and_then(|mut file| {
        file.write_all(content)?;
        fs::rename(&temporary, path)?;
        Ok(file)
    });
    if written.is_err() {
        // Leaves no litter on a disk that is full; if that fails too, the next attempt overwrites it.
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// As [`replace`], and certain.
pub(super) fn replace_durably(path: &Path, content: &[u8]) -> io::Result<File> {
    let temporary = path.with_extension("tmp");
    let mut file = File::create(&temporary)?;
    let written = file.write_all(content).and_then(|()| file.sync_all());
    if let Err(error) = written {
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    fs::rename(&temporary, path)?;
    synchronize(path.parent().unwrap_or(Path::new(".")))?;
    Ok(file)
}

/// Writes a secret to a file that only its owner may read, and that must not be there yet.
pub(super) fn create_secret(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let written = file.write_all(content).and_then(|()| file.sync_all());
    if written.is_err() {
        let _ = fs::remove_file(path);
    }
    written?;
    synchronize(path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")))
}

/// Makes a file, or the names in a directory, certain.
pub(super) fn synchronize(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// A directory for the eyes of its owner, and those above it.
pub(super) fn create_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}
