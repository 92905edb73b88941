//! Faults: what the client is told when an operation fails. Nothing of the peer's is echoed, and nothing of another
//! tenant shows.

use std::borrow::Cow;

use kmip_protocol::enumeration::ResultReason;

use crate::crypto::CryptoError;
use crate::port::{AuditError, SealerError, StoreError};

/// A failed operation: Result Reason and Result Message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The reason; earlier versions are told the nearest one that they know.
    pub reason: ResultReason,
    /// The reason in words.
    pub message: Cow<'static, str>,
    /// Whether the request is worth trying again as it is, because another one got in between.
    pub(crate) conflict: bool,
}

impl Fault {
    /// A fault for `reason`.
    pub fn new(reason: ResultReason, message: impl Into<Cow<'static, str>>) -> Self {
        Self { reason, message: message.into(), conflict: false }
    }

    /// No such object, or not of this tenant: the two are not told apart.
    pub fn object_not_found() -> Self {
        Self::new(ResultReason::ObjectNotFound, "there is no object of this identifier")
    }

    /// The material is gone.
    pub fn object_destroyed() -> Self {
        Self::new(ResultReason::ObjectDestroyed, "the object was destroyed")
    }

    /// The state of the object forbids it.
    pub fn wrong_state(message: &'static str) -> Self {
        Self::new(ResultReason::WrongKeyLifecycleState, message)
    }

    /// A field has a value that cannot be.
    pub fn invalid_field(message: &'static str) -> Self {
        Self::new(ResultReason::InvalidField, message)
    }

    /// A field that the operation needs is not there.
    pub fn missing(message: &'static str) -> Self {
        Self::new(ResultReason::MissingData, message)
    }

    /// The operation is not supported.
    pub fn operation_not_supported() -> Self {
        Self::new(ResultReason::OperationNotSupported, "the operation is not supported")
    }

    /// A feature of the operation is not supported.
    pub fn feature_not_supported(message: &'static str) -> Self {
        Self::new(ResultReason::FeatureNotSupported, message)
    }

    /// Not allowed.
    pub fn permission_denied(message: &'static str) -> Self {
        Self::new(ResultReason::PermissionDenied, message)
    }

    /// Something is wrong with the server.
    pub fn general_failure(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ResultReason::GeneralFailure, message)
    }
}

impl From<kmip_ttlv::Error> for Fault {
    fn from(error: kmip_ttlv::Error) -> Self {
        Self::new(ResultReason::InvalidMessage, error.to_string())
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict => {
                let mut fault =
                    Self::general_failure("the object is being changed by other requests; try again");
                fault.conflict = true;
                fault
            }
            StoreError::NameTaken => {
                Self::new(ResultReason::NonUniqueNameAttribute, "another object has this name")
            }
            StoreError::IdentifierTaken => {
                Self::new(ResultReason::ObjectAlreadyExists, "another object has this identifier")
            }
            StoreError::Full => Self::new(ResultReason::ServerLimitExceeded, "the store is full"),
            StoreError::Unavailable(reason) => {
                tracing::error!(reason, "store unavailable");
                Self::general_failure("the store is unavailable; a change may or may not have been made")
            }
            StoreError::Damaged(reason) => {
                tracing::error!(reason, "record refused");
                Self::general_failure("the stored object is damaged and was not served")
            }
            StoreError::NotVerified(error) => error.into(),
        }
    }
}

impl From<SealerError> for Fault {
    fn from(error: SealerError) -> Self {
        match error {
            SealerError::Unavailable(reason) => {
                tracing::warn!(reason, "vault unavailable");
                Self::general_failure("the key vault cannot be reached; try again later")
            }
            SealerError::Exhausted(reason) => {
                tracing::warn!(reason, "vault exhausted");
                Self::general_failure(
                    "the key vault takes no more requests of this tenant now; try again later",
                )
            }
            SealerError::Crowded(limit) => Self::new(ResultReason::ServerLimitExceeded, limit),
            SealerError::Refused(reason) => {
                tracing::warn!(reason, "vault refused");
                Self::permission_denied("the key vault refuses this operation")
            }
            SealerError::Buried => Self::object_destroyed(),
            SealerError::NoKey => Self::permission_denied("the key vault has no root key for this tenant"),
            SealerError::Damaged => {
                tracing::error!("sealed object does not open");
                Self::general_failure("the stored object is damaged and was not served")
            }
        }
    }
}

impl From<AuditError> for Fault {
    fn from(error: AuditError) -> Self {
        tracing::error!(%error, "audit log unavailable");
        Self::general_failure("the operation cannot be recorded and is refused")
    }
}

impl From<CryptoError> for Fault {
    fn from(error: CryptoError) -> Self {
        let reason = match error {
            CryptoError::MissingInitializationVector => ResultReason::InvalidMessage,
            CryptoError::UnsupportedKeyFormat => ResultReason::KeyFormatTypeNotSupported,
            CryptoError::UnsupportedParameters => ResultReason::UnsupportedCryptographicParameters,
            CryptoError::BadParameters | CryptoError::InvalidInitializationVector => {
                ResultReason::BadCryptographicParameters
            }
            // The conformance cases ask for these two words (CS-BC-M-GCM-1).
            CryptoError::InvalidTagLength | CryptoError::EntropyUnavailable => ResultReason::GeneralFailure,
            CryptoError::InvalidKey | CryptoError::InvalidLength | CryptoError::DecryptionFailed => {
                ResultReason::CryptographicFailure
            }
        };
        Self::new(reason, error.to_string())
    }
}
