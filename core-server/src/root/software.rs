//! The root `software:NAME`: a key in a file, for development. The file is read for each use and never kept, so that
//! taking it away works like taking away a token. A file that does not answer (a mount that hangs) is waited for like a token.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use key_service::crypto::{self, CryptoError, Entropy, SEALING_KEY_BYTES, SystemEntropy};
use key_service::durable_files::{self, Readers};
use key_service::memory::{LockedMemory, LockedSecret};
use tokio::time::timeout;

use super::{Plaintext, RootError, RootOfTrust};
use crate::openings::{Opened, Opening};

/// Bytes of a name at most.
const MAXIMUM_NAME_BYTES: usize = 64;

pub(super) struct SoftwareRoot {
    path: PathBuf,
    memory: LockedMemory,
    entropy: SystemEntropy,
    request_timeout: Duration,
}

impl SoftwareRoot {
    /// The root NAME in `folder`. The name goes into a path and is judged for that.
    pub(super) fn new(
        folder: &Path,
        name: &str,
        memory: LockedMemory,
        request_timeout: Duration,
    ) -> Result<Self, RootError> {
        let fits = (1..=MAXIMUM_NAME_BYTES).contains(&name.len());
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if !fits || !name.bytes().all(is_plain) {
            return Err(RootError::UnknownLocation);
        }
        let path = folder.join(format!("{name}.l1"));
        Ok(Self { path, memory, entropy: SystemEntropy::new(), request_timeout })
    }

    /// Makes the key unless it is there. Of two that make it at once, one wins.
    pub(super) fn create(&self) -> Result<(), RootError> {
        if self.path.exists() {
            return Ok(());
        }
        if let Some(folder) = self.path.parent() {
            durable_files::make_folder(folder).map_err(unreachable)?;
        }
        let key = self.memory.try_build(SEALING_KEY_BYTES, |slot| self.entropy.fill(slot).map_err(failed))?;
        match durable_files::create(&self.path, Readers::Owner, key.expose()) {
            // That of the other one, whose name may not be certain yet.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                durable_files::synchronize_name(&self.path).map_err(unreachable)
            }
            created => created.map_err(unreachable),
        }
    }

    /// The key, from its file into locked memory.
    async fn key(&self) -> Result<LockedSecret, RootError> {
        let (path, memory) = (self.path.clone(), self.memory.clone());
        let reading = tokio::task::spawn_blocking(move || read(&path, &memory));
        match timeout(self.request_timeout, reading).await {
            Ok(Ok(key)) => key,
            Ok(Err(_)) => Err(RootError::Unreachable("the key file was not read".to_owned())),
            Err(_) => Err(RootError::Unreachable("the key file does not answer".to_owned())),
        }
    }

    async fn with_key<T>(&self, work: impl FnOnce(&[u8; SEALING_KEY_BYTES]) -> T) -> Result<T, RootError> {
        let key = self.key().await?;
        let bytes = key.expose().try_into().map_err(|_| RootError::Damaged)?;
        Ok(work(bytes))
    }
}

fn read(path: &Path, memory: &LockedMemory) -> Result<LockedSecret, RootError> {
    let mut file = File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => RootError::Denied("the key file is gone".to_owned()),
        _ => unreachable(error),
    })?;
    memory.try_build(SEALING_KEY_BYTES, |slot| file.read_exact(slot).map_err(unreachable))
}

#[async_trait]
impl RootOfTrust for SoftwareRoot {
    async fn seal(&self, associated_data: &[u8], plaintext: &Arc<Plaintext>) -> Result<Bytes, RootError> {
        let seal = |key: &_| crypto::seal(key, associated_data, plaintext.expose(), &self.entropy);
        self.with_key(seal).await?.map(Bytes::from).map_err(failed)
    }

    async fn unseal(
        &self,
        associated_data: &[u8],
        sealed: &[u8],
        opening: &Arc<Opening>,
    ) -> Result<Opened, RootError> {
        let length = crypto::plaintext_length(sealed).map_err(failed)?;
        let open = |key: &_| {
            let unseal =
                |slot: &mut [u8]| crypto::unseal_into(key, associated_data, sealed, slot).map_err(failed);
            opening.make(|| self.memory.try_build(length, unseal))
        };
        self.with_key(open).await?
    }

    async fn probe(&self) -> Result<(), RootError> {
        self.key().await.map(drop)
    }

    fn home(&self) -> String {
        "software".to_owned()
    }
}

fn failed(error: CryptoError) -> RootError {
    match error {
        CryptoError::EntropyUnavailable => RootError::Unreachable(error.to_string()),
        _ => RootError::Damaged,
    }
}

fn unreachable(error: io::Error) -> RootError {
    RootError::Unreachable(error.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use key_service::memory::MemoryKind;

    use super::*;
    use crate::openings::{Closed, Openings};

    fn memory() -> LockedMemory {
        LockedMemory::new(MemoryKind::Locked, 64 * 1024).unwrap()
    }

    fn root(folder: &Path, name: &str, memory: LockedMemory) -> Result<SoftwareRoot, RootError> {
        SoftwareRoot::new(folder, name, memory, Duration::from_millis(200))
    }

    #[tokio::test]
    async fn a_root_opens_what_it_sealed_until_its_file_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let memory = memory();
        let root = root(&folder.path().join("l1"), "acme", memory.clone()).unwrap();
        assert!(matches!(root.probe().await, Err(RootError::Denied(_))));
        root.create().unwrap();
        root.probe().await.unwrap();
        assert_eq!(fs::metadata(&root.path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path().join("l1")).unwrap().count(), 1, "no draft is left");

        let sealed = root.seal(b"this", &Plaintext::new(memory.store(&[7; 32]).unwrap())).await.unwrap();
        root.create().unwrap();
        let openings = Arc::new(Openings::default());
        let opening = openings.begin(&"acme".into());
        assert_eq!(root.unseal(b"this", &sealed, &opening).await.unwrap().expose(), [7; 32]);
        assert_eq!(root.unseal(b"that", &sealed, &opening).await.err(), Some(RootError::Damaged));
        openings.close("acme");
        assert_eq!(root.unseal(b"this", &sealed, &opening).await.err(), Some(RootError::Closed(Closed)));
        fs::remove_file(&root.path).unwrap();
        assert!(matches!(root.unseal(b"this", &sealed, &opening).await, Err(RootError::Denied(_))));
        assert_eq!(memory.used_bytes(), 0);
    }

    #[tokio::test]
    async fn a_file_that_does_not_answer_is_out_of_reach_and_holds_up_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let silent = root(folder.path(), "silent", memory()).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(&silent.path).status().unwrap().success());
        let probe = silent.probe();
        let other = tokio::spawn(async { true });
        assert!(matches!(probe.await, Err(RootError::Unreachable(_))));
        assert!(other.is_finished(), "the runtime of one thread went on meanwhile");
        // Lets the reader go that still waits.
        fs::write(&silent.path, [7; SEALING_KEY_BYTES]).unwrap();
    }

    #[test]
    fn names_do_not_leave_the_folder() {
        for name in ["", ".", "..", "../x", "a/b", "a.b", "a\0b", &"x".repeat(65)] {
            assert!(root(Path::new("/nowhere"), name, memory()).is_err(), "{name:?}");
        }
    }
}
