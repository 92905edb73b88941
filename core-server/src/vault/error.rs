//! Why a key is not to be had, and what a client is told about it.

use key_service::crypto::CryptoError;
use key_service::fault::Fault;
use key_service::memory::MemoryError;
use key_service::port::StoreError;
use thiserror::Error;

use crate::chain::Overlong;
use crate::openings::Closed;
use crate::root::RootError;

/// Why a key is not to be had.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum VaultError {
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The root does not do its work.
    #[error(transparent)]
    Root(#[from] RootError),
    /// No room.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The key, or one above it, is gone.
    #[error("a key of the chain is missing")]
    Missing,
    /// A key above is not Active: it was never activated, or it was revoked.
    #[error("the {above} above the key is not Active")]
    Closed {
        /// The level of the key above.
        above: &'static str,
    },
    /// A wrapped key does not open: it was damaged, or moved from elsewhere.
    #[error("a wrapped key of the chain does not open")]
    Damaged,
    /// A record was edited.
    #[error(transparent)]
    Overlong(#[from] Overlong),
    /// No randomness.
    #[error("the source of randomness failed")]
    Entropy,
    /// Others change the chain faster than it can be opened.
    #[error("the chain is being changed")]
    Restless,
}

impl From<Closed> for VaultError {
    fn from(_: Closed) -> Self {
        Self::Restless
    }
}

impl From<CryptoError> for VaultError {
    fn from(error: CryptoError) -> Self {
        match error {
            CryptoError::EntropyUnavailable => Self::Entropy,
            _ => Self::Damaged,
        }
    }
}

impl From<VaultError> for Fault {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::Store(error) => error.into(),
            VaultError::Closed { .. } => {
                Self::permission_denied("a key above this one is not Active: its tenant is closed")
            }
            VaultError::Missing => Self::permission_denied("the chain above this key is not whole"),
            VaultError::Root(RootError::UnknownLocation | RootError::SoftwareRefused) => {
                tracing::error!(%error, "root of trust refused");
                Self::permission_denied("the root of trust that the L1 names is not in use here")
            }
            VaultError::Root(RootError::Denied(_)) => {
                tracing::error!(%error, "root of trust denied");
                Self::permission_denied("the root of trust refuses: the tenant is closed by its owner")
            }
            VaultError::Root(RootError::Unreachable(_)) => {
                tracing::error!(%error, "root of trust unreachable");
                Self::general_failure("the root of trust cannot be reached; try again later")
            }
            VaultError::Damaged | VaultError::Overlong(_) | VaultError::Root(RootError::Damaged) => {
                tracing::error!(%error, "chain damaged");
                Self::general_failure("a wrapped key of the chain is damaged and was not used")
            }
            VaultError::Memory(_) | VaultError::Root(RootError::Memory(_)) => {
                tracing::error!(%error, "no locked memory left: raise memory.capacity_bytes");
                Self::general_failure("the vault has no room for another key")
            }
            VaultError::Entropy | VaultError::Restless | VaultError::Root(RootError::Closed(_)) => {
                tracing::error!(%error, "key not opened");
                Self::general_failure("the key cannot be used now; try again later")
            }
        }
    }
}
