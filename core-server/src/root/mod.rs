//! Roots of trust: the L1s of tenants. They are outside Krypton; all that the Core knows is a URI and how to ask.

mod pkcs11;
mod software;

use std::any::Any;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use key_service::memory::{LockedMemory, LockedSecret, MemoryError};
use thiserror::Error;

use crate::config::{Config, RootSettings};
use crate::openings::{Closed, Opened, Opening};
use pkcs11::Tokens;
use software::SoftwareRoot;

/// An L1: seals L2s and opens them again. Keys of it never come here.
#[async_trait]
pub trait RootOfTrust: Send + Sync {
    /// Seals the bytes of an L2. `associated_data` says which one and whose.
    ///
    /// # Errors
    /// If the root cannot be reached or refuses.
    async fn seal(&self, associated_data: &[u8], plaintext: &Arc<Plaintext>) -> Result<Bytes, RootError>;

    /// Opens what [`seal`](Self::seal) made, straight into locked memory, unless the opening is closed by then.
    ///
    /// # Errors
    /// If it is; or the root cannot be reached, refuses, or did not seal these bytes with this associated data.
    async fn unseal(
        &self,
        associated_data: &[u8],
        sealed: &[u8],
        opening: &Arc<Opening>,
    ) -> Result<Opened, RootError>;

    /// Proves that the root is there and does its work.
    ///
    /// # Errors
    /// As [`unseal`](Self::unseal).
    async fn probe(&self) -> Result<(), RootError>;

    /// What this root stands and falls with: roots of the same home cannot be reached together.
    fn home(&self) -> String;
}

/// What a root is to seal. Roots share it and make no copy, so that whoever lent it learns when it is gone.
pub struct Plaintext {
    secret: LockedSecret,
    /// Dropped after the secret.
    _watched: Option<Box<dyn Any + Send + Sync>>,
}

impl Plaintext {
    /// A secret that nobody else waits for.
    pub fn new(secret: LockedSecret) -> Arc<Self> {
        Arc::new(Self { secret, _watched: None })
    }

    /// A secret, and what is dropped once it is wiped.
    pub fn watched(secret: LockedSecret, until: Box<dyn Any + Send + Sync>) -> Self {
        Self { secret, _watched: Some(until) }
    }

    /// The bytes.
    pub fn expose(&self) -> &[u8] {
        self.secret.expose()
    }
}

/// Why a root did not do its work.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RootError {
    /// The URI names no root that this Core knows.
    #[error("no root of trust is known by such a Key Value Location")]
    UnknownLocation,
    /// Software roots are switched off.
    #[error("software roots of trust are switched off: they protect nothing outside development")]
    SoftwareRefused,
    /// The root does not answer.
    #[error("the root of trust cannot be reached: {0}")]
    Unreachable(String),
    /// The root answers, and refuses: its key is gone or forbidden.
    #[error("the root of trust refuses: {0}")]
    Denied(String),
    /// The sealed bytes are not of this root, or belong elsewhere.
    #[error("the root of trust does not open the sealed key")]
    Damaged,
    /// The tenant was closed meanwhile.
    #[error(transparent)]
    Closed(#[from] Closed),
    /// There is no room for the key.
    #[error(transparent)]
    Memory(#[from] MemoryError),
}

/// Loads the PKCS#11 libraries that the configuration names.
///
/// # Errors
/// The first that cannot be used.
pub fn check_modules(settings: &RootSettings) -> Result<(), (PathBuf, RootError)> {
    settings
        .pkcs11_modules
        .values()
        .try_for_each(|path| pkcs11::load(path).map_err(|error| (path.clone(), error)))
}

/// The roots that a Core may use.
#[derive(Debug, Clone)]
pub struct Roots {
    memory: LockedMemory,
    software_directory: Option<PathBuf>,
    request_timeout: Duration,
    tokens: Arc<Tokens>,
}

impl Roots {
    /// The roots that `config` allows.
    pub fn new(config: &Config, memory: LockedMemory) -> Self {
        let software_directory = config.roots.insecure_allow_software.then(|| config.software_directory());
        if let Some(folder) = &software_directory {
            let folder = folder.display();
            tracing::warn!(%folder, "INSECURE: software roots of trust are on; whoever copies their files opens everything");
        }
        let request_timeout = config.roots.request_timeout;
        let tokens = Tokens::new(&config.roots.pkcs11_modules, request_timeout);
        Self { memory, software_directory, request_timeout, tokens: Arc::new(tokens) }
    }

    /// Software roots in `folder`.
    #[cfg(test)]
    pub(crate) fn software_only(folder: &std::path::Path, memory: LockedMemory) -> Self {
        let settings = crate::config::RootSettings::default();
        let request_timeout = settings.request_timeout;
        let tokens = Arc::new(Tokens::new(&settings.pkcs11_modules, request_timeout));
        Self { memory, software_directory: Some(folder.to_owned()), request_timeout, tokens }
    }

    /// The root at `location`.
    ///
    /// # Errors
    /// If there cannot be one.
    pub fn open(&self, location: &str) -> Result<Box<dyn RootOfTrust>, RootError> {
        if location.starts_with("pkcs11:") {
            return Ok(Box::new(self.tokens.root(location, self.memory.clone())?));
        }
        Ok(Box::new(self.software(location)?))
    }

    /// The root at `location`, for a tenant that is being added: a software root is made if it is not there.
    ///
    /// # Errors
    /// If there cannot be one.
    pub fn establish(&self, location: &str) -> Result<Box<dyn RootOfTrust>, RootError> {
        if location.starts_with("pkcs11:") {
            return self.open(location);
        }
        let root = self.software(location)?;
        root.create()?;
        tracing::warn!(location, "INSECURE: an L1 is a file; this tenant is for development only");
        Ok(Box::new(root))
    }

    fn software(&self, location: &str) -> Result<SoftwareRoot, RootError> {
        let name = location.strip_prefix("software:").ok_or(RootError::UnknownLocation)?;
        let folder = self.software_directory.as_deref().ok_or(RootError::SoftwareRefused)?;
        SoftwareRoot::new(folder, name, self.memory.clone(), self.request_timeout)
    }
}
