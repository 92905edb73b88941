//! Result Reasons of later versions in the words of earlier ones (KMIP 2.1 section 11.46, 1.4 section 11).

use crate::enumeration::ResultReason;
use crate::version::Version;

impl ResultReason {
    /// This reason, or the one that says the same to a client of `version`.
    pub fn for_version(self, version: Version) -> Self {
        if self.since().knows(version) { self } else { self.in_1x().for_first_version(version) }
    }

    /// What 1.4 says where 2.x is more precise.
    fn in_1x(self) -> Self {
        match self {
            Self::ObjectNotFound
            | Self::ObjectDestroyed
            | Self::AttributeNotFound
            | Self::AttributeInstanceNotFound
            | Self::WrappingObjectNotFound
            | Self::WrappingObjectDestroyed => Self::ItemNotFound,
            Self::WrongKeyLifecycleState
            | Self::IncompatibleCryptographicUsageMask
            | Self::AttributeReadOnly
            | Self::ReadOnlyAttribute
            | Self::UsageLimitExceeded
            | Self::NotAuthorised
            | Self::ConstraintViolation
            | Self::ServerLimitExceeded => Self::PermissionDenied,
            Self::MissingInitializationVector
            | Self::CodecError
            | Self::UnknownTag
            | Self::UnknownEnumeration
            | Self::InvalidDataType
            | Self::UnsupportedProtocolVersion => Self::InvalidMessage,
            Self::NonUniqueNameAttribute
            | Self::AttributeSingleValued
            | Self::MultiValuedAttribute
            | Self::UnsupportedAttribute
            | Self::InvalidAttribute
            | Self::InvalidAttributeValue
            | Self::IllegalObjectType
            | Self::InvalidObjectType
            | Self::BadCryptographicParameters
            | Self::InvalidCorrelationValue
            | Self::InvalidAsynchronousCorrelationValue
            | Self::UnknownObjectGroup
            | Self::NumericRange => Self::InvalidField,
            Self::UnsupportedCryptographicParameters
            | Self::UnknownMessageExtension
            | Self::ProtectionStorageUnavailable
            | Self::KeyWrapTypeNotSupported => Self::FeatureNotSupported,
            Self::BadPassword | Self::InvalidTicket => Self::AuthenticationNotSuccessful,
            Self::WrappingObjectArchived => Self::ObjectArchived,
            // Dropped in 2.0:
            Self::IllegalOperation => Self::OperationNotSupported,
            Self::IndexOutOfBounds => Self::ItemNotFound,
            // Known to 1.x, or without a better word there.
            other if other.value() <= Self::ObjectAlreadyExists.value() => other,
            _ => Self::GeneralFailure,
        }
    }

    /// What 1.0 says where a later 1.x is more precise.
    fn for_first_version(self, version: Version) -> Self {
        match self {
            known if known.since().knows(version) => known,
            Self::Sensitive | Self::NotExtractable => Self::PermissionDenied,
            Self::KeyValueNotPresent => Self::ItemNotFound,
            Self::ObjectAlreadyExists | Self::EncodingOptionError => Self::InvalidField,
            Self::AttestationRequired | Self::AttestationFailed => Self::AuthenticationNotSuccessful,
            _ => Self::GeneralFailure,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::version::SUPPORTED;

    #[test]
    fn every_reason_can_be_told_to_every_version() {
        for reason in ResultReason::ALL {
            for version in SUPPORTED {
                let told = reason.for_version(*version);
                assert!(told.since().knows(*version), "{reason} in {version} is {told}");
            }
        }
    }
}
