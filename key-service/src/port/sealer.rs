//! The port for sealing: what the Core does for a Gateway, and the chain of root keys for the Core itself.

use async_trait::async_trait;
use bytes::Bytes;
use bytestring::ByteString;
use kmip_protocol::codec::Secret;
use kmip_protocol::enumeration::{CryptographicAlgorithm, ObjectType};

/// What a sealed object is bound to: it unseals under the same binding only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// The tenant that owns the object.
    pub tenant: ByteString,
    /// The service whose L3 seals it: an Object Group, or `default`. Decides the L3 when sealing; when unsealing,
    /// [`Sealed::key`] names it.
    pub service: ByteString,
    /// The object.
    pub unique_identifier: ByteString,
    /// Its type.
    pub object_type: ObjectType,
    /// Its algorithm, if it has one.
    pub cryptographic_algorithm: Option<CryptographicAlgorithm>,
    /// Bits of the key, if it is one.
    pub cryptographic_length: Option<i32>,
}

/// A sealed object: all that a store ever gets to see of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Unique Identifier of the key (an L3 version) that sealed it.
    pub key: ByteString,
    /// The envelope (docs/STORAGE.md gives it byte by byte).
    pub envelope: Bytes,
}

/// Why nothing was sealed or unsealed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealerError {
    /// The Core, or the root behind it, cannot be reached now.
    #[error("the vault cannot be reached: {0}")]
    Unavailable(String),
    /// The Core is there, and takes no more now: a budget is spent.
    #[error("the vault takes no more now: {0}")]
    Exhausted(String),
    /// So many requests of the tenant wait for the vault already that this one was turned away. Which limit that is.
    #[error("{0}")]
    Crowded(&'static str),
    /// The vault refuses: the tenant is revoked, the policy denies.
    #[error("the vault refuses: {0}")]
    Refused(String),
    /// The tenant has no such service, or no root keys at all.
    #[error("the vault has no key for this tenant and service")]
    NoKey,
    /// The object was destroyed, whatever the store says.
    #[error("the object was destroyed")]
    Buried,
    /// The envelope does not open under this binding.
    #[error("the sealed object is damaged or belongs elsewhere")]
    Damaged,
}

impl SealerError {
    /// Whether the same may succeed a while later.
    pub fn is_for_now(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Exhausted(_) | Self::Crowded(_))
    }
}

/// Seals objects and opens them again.
#[async_trait]
pub trait Sealer: Send + Sync + 'static {
    /// The service whose L3 is to seal an object of these groups: the first group that names one, else `default`.
    async fn service_of(&self, tenant: &str, groups: &[ByteString]) -> Result<ByteString, SealerError>;

    /// Seals `plaintext`.
    async fn seal(&self, binding: &Binding, plaintext: Secret) -> Result<Sealed, SealerError>;

    /// Opens what [`seal`](Self::seal) made.
    async fn unseal(&self, binding: &Binding, sealed: &Sealed) -> Result<Secret, SealerError>;

    /// Makes sure that a sealed object may be used now, without opening it: for uses that happen elsewhere.
    async fn admit(&self, _binding: &Binding, _sealed: &Sealed) -> Result<(), SealerError> {
        Ok(())
    }

    /// Whether what was sealed or opened under a key may still be used at this moment. Asked again right before an answer
    /// is given: the key may have been revoked since.
    fn may_use(&self, _key: &str) -> bool {
        true
    }

    /// Under which lease a key may be used at this moment: a number that no later lease on it has. What outlives the answer to a
    /// request goes with the lease that it was opened under, since what was destroyed between two leases is told to nobody.
    fn lease(&self, _key: &str) -> Option<u64> {
        Some(0)
    }
}
