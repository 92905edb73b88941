//! Files that are there whole or not at all, and stay.
//!
//! The content goes into a draft beside the file first. The draft is forced to the disk and takes the file's place; then the folder is
//! forced to the disk, too, since a name that it alone holds may be gone after a power failure. Wherever a crash comes in between, there
//! is the old file or the new one, and never a part of either.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::crypto::{Entropy as _, SystemEntropy};

/// What the name of a draft ends with.
const DRAFT: &str = ".new";

/// Who may read a file. Nobody but its owner may write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readers {
    /// Its owner alone (mode 0600).
    Owner,
    /// Everybody who can reach it (mode 0644).
    Everybody,
}

/// The content of a file, if there is one.
///
/// # Errors
/// If it cannot be read.
pub fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes a file, or puts another one in its place, and returns it. For one who writes it at a time.
///
/// # Errors
/// If it cannot be written; then the old one is there, or the new one whose name is not certain yet.
pub fn replace(path: &Path, readers: Readers, content: &[u8]) -> io::Result<File> {
    let draft = beside(path, DRAFT)?;
    let file = write(&draft, readers, content, |file| {
        file.sync_all()?;
        fs::rename(&draft, path)
    })?;
    synchronize_name(path)?;
    Ok(file)
}

/// As [`replace`], but not certain before the file and its folders have been [synchronized](synchronize): after a power failure
/// it may be the old one, or empty, or torn.
///
/// # Errors
/// If it cannot be written; then the old one is there.
pub fn replace_for_now(path: &Path, readers: Readers, content: &[u8]) -> io::Result<File> {
    let draft = beside(path, DRAFT)?;
    write(&draft, readers, content, |_| fs::rename(&draft, path))
}

/// Writes a file that must not be there yet. Of several who do so at once, one succeeds.
///
/// # Errors
/// [`ErrorKind::AlreadyExists`] if it is there; else if it cannot be written.
pub fn create(path: &Path, readers: Readers, content: &[u8]) -> io::Result<()> {
    let mut suffix = [0; 8];
    SystemEntropy::new().fill(&mut suffix).map_err(io::Error::other)?;
    let draft = beside(path, &format!(".{:016x}{DRAFT}", u64::from_be_bytes(suffix)))?;
    write(&draft, readers, content, |file| {
        file.sync_all()?;
        // Unlike a rename, this replaces nothing.
        fs::hard_link(&draft, path)?;
        // The draft is a second name of the file now.
        let _ = fs::remove_file(&draft);
        Ok(())
    })?;
    synchronize_name(path)
}

/// Makes a folder for its owner alone (mode 0700), and those above it. What is there stays as it is.
///
/// # Errors
/// If it cannot be made.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(above) = folder.parent() {
        make_folder(or_current(above))?;
    }
    match DirBuilder::new().mode(0o700).create(folder) {
        // Somebody else was faster.
        Err(error) if error.kind() == ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        made => made.and_then(|()| synchronize_name(folder)),
    }
}

/// Makes a file certain, or the names in a folder.
///
/// # Errors
/// If the disk does not take it.
pub fn synchronize(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Makes the name of a file or a folder certain: without that, one that was synchronized may be gone after a power failure.
///
/// # Errors
/// If the disk does not take it.
pub fn synchronize_name(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| synchronize(or_current(folder)))
}

/// Writes a draft, which `put` moves to its place. If anything fails, the draft is removed.
fn write(
    draft: &Path,
    readers: Readers,
    content: &[u8],
    put: impl FnOnce(&File) -> io::Result<()>,
) -> io::Result<File> {
    let mut file = begin(draft, readers)?;
    let written = file.write_all(content).and_then(|()| put(&file));
    if written.is_err() {
        // Leaves no litter on a disk that is full; if that fails, too, the next attempt removes it.
        let _ = fs::remove_file(draft);
    }
    written.map(|()| file)
}

/// Begins a draft. One that a crash has left behind is not written over: others might have been able to read it.
fn begin(draft: &Path, readers: Readers) -> io::Result<File> {
    let mode = match readers {
        Readers::Owner => 0o600,
        Readers::Everybody => 0o644,
    };
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(mode);
    match options.open(draft) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            fs::remove_file(draft)?;
            options.open(draft)
        }
        opened => opened,
    }
}

/// The path of a file with something behind its name.
fn beside(path: &Path, suffix: &str) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or(ErrorKind::InvalidInput)?;
    let mut name = name.to_owned();
    name.push(suffix);
    Ok(path.with_file_name(name))
}

/// The folder of a bare name is the current one.
fn or_current(folder: &Path) -> &Path {
    if folder.as_os_str().is_empty() { Path::new(".") } else { folder }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::fs::PermissionsExt as _;
    use std::process::{Command, Stdio};
    use std::sync::Barrier;
    use std::thread;
    use std::time::Duration;

    use super::*;

    const FOLDER: &str = "KRYPTON_TEST_DURABLE_FOLDER";

    /// What the files of these tests hold: as many bytes as it takes to be written in parts.
    fn content(number: u8) -> Vec<u8> {
        vec![number; 1 << 20]
    }

    fn is_whole(content: &[u8]) -> bool {
        content.len() == 1 << 20 && content.iter().all(|byte| *byte == content[0])
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn files_are_replaced_with_the_mode_that_is_asked_for_and_nothing_is_left_beside_them() {
        let folder = tempfile::tempdir().unwrap();
        let (secret, public) = (folder.path().join("a.key"), folder.path().join("a.pem"));
        assert_eq!(read(&secret).unwrap(), None);
        for text in [&b"first"[..], b"2nd"] {
            replace(&secret, Readers::Owner, text).unwrap();
            replace_for_now(&public, Readers::Everybody, text).unwrap();
            assert_eq!(read(&secret).unwrap().as_deref(), Some(text));
            assert_eq!(read(&public).unwrap().as_deref(), Some(text));
        }
        assert_eq!((mode(&secret), mode(&public)), (0o600, 0o644));
        assert_eq!(names(folder.path()), ["a.key", "a.pem"]);
    }

    #[test]
    fn a_draft_that_a_crash_left_is_neither_taken_for_the_file_nor_are_its_readers_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (path, draft) = (folder.path().join("file"), folder.path().join("file.new"));
        replace(&path, Readers::Owner, b"old").unwrap();
        fs::write(&draft, "half of the n").unwrap();
        fs::set_permissions(&draft, fs::Permissions::from_mode(0o666)).unwrap();
        assert_eq!(read(&path).unwrap().unwrap(), b"old");
        replace(&path, Readers::Owner, b"new").unwrap();
        assert_eq!((read(&path).unwrap().unwrap(), mode(&path)), (b"new".to_vec(), 0o600));
        assert_eq!(names(folder.path()), ["file"]);
    }

    #[test]
    fn what_cannot_be_put_in_its_place_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("taken");
        fs::create_dir_all(path.join("inside")).unwrap();
        replace(&path, Readers::Owner, b"new").unwrap_err();
        replace_for_now(&path, Readers::Owner, b"new").unwrap_err();
        let refused = create(&path, Readers::Owner, b"new").unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::AlreadyExists);
        assert_eq!(names(folder.path()), ["taken"]);
        replace(Path::new("/"), Readers::Owner, b"new").unwrap_err();
    }

    #[test]
    fn of_several_who_create_a_file_one_succeeds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let start = Barrier::new(8);
        let made: Vec<_> = thread::scope(|scope| {
            let create_one = |number| {
                let (path, start) = (&path, &start);
                scope.spawn(move || {
                    start.wait();
                    create(path, Readers::Owner, &content(number)).map_err(|error| error.kind())
                })
            };
            let threads: Vec<_> = (0..8).map(create_one).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let first = made.iter().position(Result::is_ok).unwrap();
        let refused = made.iter().filter(|made| **made == Err(ErrorKind::AlreadyExists)).count();
        assert_eq!(refused, 7);
        assert_eq!(read(&path).unwrap().unwrap(), content(first as u8));
        assert_eq!((names(folder.path()), mode(&path)), (vec!["key".to_owned()], 0o600));
    }

    #[test]
    fn folders_are_for_their_owner_and_those_that_are_there_stay_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let open = folder.path().join("open");
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o755)).unwrap();
        for _ in 0..2 {
            make_folder(&open.join("a/b")).unwrap();
        }
        assert_eq!([mode(&open), mode(&open.join("a")), mode(&open.join("a/b"))], [0o755, 0o700, 0o700]);
        fs::write(open.join("file"), "").unwrap();
        make_folder(&open.join("file")).unwrap_err();
        make_folder(&open.join("file/below")).unwrap_err();
    }

    /// Runs in the process that is killed.
    #[test]
    #[ignore = "the other half of whoever_is_killed_leaves_the_old_file_or_the_new_one"]
    fn replace_until_killed() {
        let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
        for number in (0..=u8::MAX).cycle() {
            replace(&folder.join("replaced"), Readers::Owner, &content(number)).unwrap();
            let _ = fs::remove_file(folder.join("created"));
            create(&folder.join("created"), Readers::Owner, &content(number)).unwrap();
        }
    }

    #[test]
    fn whoever_is_killed_leaves_the_old_file_or_the_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let (replaced, created) = (folder.path().join("replaced"), folder.path().join("created"));
        replace(&replaced, Readers::Owner, &content(0)).unwrap();
        for round in 0..12 {
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "durable_files::tests::replace_until_killed", "--ignored"])
                .env(FOLDER, folder.path())
                .stdout(Stdio::null())
                .spawn()
                .unwrap();
            // Scattered, but the same in every run.
            thread::sleep(Duration::from_millis(20 + round * 7919 % 60));
            child.kill().unwrap();
            child.wait().unwrap();
            assert!(is_whole(&fs::read(&replaced).unwrap()), "round {round}");
            assert!(read(&created).unwrap().is_none_or(|content| is_whole(&content)), "round {round}");
        }
    }
}
