//! The headquarters of a development stack: a key that signs policies, which the stack's Core trusts.
//!
//! A real one keeps its key on a machine of its own (docs/OPERATIONS.md); this one lies beside the certificates.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use key_service::audit_log::{NoteError, SigningKey};
use key_service::durable_files::Readers;
use key_service::port::SystemEntropy;
use zeroize::Zeroizing;

use super::pki::replace;
use crate::error::Error;

/// The name of the key, as bundles tell who signed them.
const NAME: &str = "headquarters";

/// The files of a development headquarters.
#[derive(Debug, Clone)]
pub struct Headquarters {
    folder: PathBuf,
}

impl Headquarters {
    /// The headquarters in `folder`, whether it is there yet or not.
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The key that signs, readable by the owner only.
    pub fn signing_key(&self) -> PathBuf {
        self.folder.join("headquarters.key")
    }

    /// Its public half, as Cores and `krypton policy test` take it.
    pub fn trusted_key(&self) -> PathBuf {
        self.folder.join("headquarters.pub")
    }

    /// Makes what is missing; returns what the Core is to trust. A key that is there is kept: what it has signed is in force.
    ///
    /// # Errors
    /// If a file cannot be read or written, or holds no key.
    pub fn ensure(&self) -> Result<String, Error> {
        fs::create_dir_all(&self.folder).map_err(Error::file("make", &self.folder))?;
        let path = self.signing_key();
        let unfit = |error: NoteError| Error::Unfit { path: path.clone(), problem: error.to_string() };
        let key = match fs::read_to_string(&path).map(Zeroizing::new) {
            Ok(text) => SigningKey::parse(&text).map_err(unfit)?,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let key = SigningKey::generate(NAME, &SystemEntropy::new()).map_err(unfit)?;
                replace(&path, Readers::Owner, &key.encode().map_err(unfit)?)?;
                key
            }
            Err(error) => return Err(Error::file("read", &path)(error)),
        };
        let trusted = key.verifier().to_string();
        replace(&self.trusted_key(), Readers::Everybody, format!("{trusted}\n").as_bytes())?;
        Ok(trusted)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_key_is_kept_and_its_public_half_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let headquarters = Headquarters::new(folder.path().join("policy"));
        let trusted = headquarters.ensure().unwrap();
        let mode = fs::metadata(headquarters.signing_key()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::remove_file(headquarters.trusted_key()).unwrap();
        assert_eq!(headquarters.ensure().unwrap(), trusted);
        assert_eq!(fs::read_to_string(headquarters.trusted_key()).unwrap().trim_end(), trusted);
        // Nothing is put in the place of a key that somebody may need.
        fs::write(headquarters.signing_key(), "no key").unwrap();
        assert!(headquarters.ensure().is_err());
    }
}
