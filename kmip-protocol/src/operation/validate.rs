//! Validate (6.1.57 of KMIP 2.1): checks a chain of certificates.

use crate::codec::{DateTime, structure};
use crate::enumeration::ValidityIndicator;
use crate::identifier::UniqueIdentifier;
use crate::object::Certificate;

structure! {
    /// Checks a chain of certificates.
    pub struct ValidateRequest {
        /// Certificates of the chain.
        repeated certificates: Certificate = CERTIFICATE;
        /// Stored certificates of the chain.
        repeated unique_identifiers: UniqueIdentifier = UNIQUE_IDENTIFIER;
        /// When it has to be valid; now where absent.
        optional validity_date: DateTime = VALIDITY_DATE;
    }

    /// The answer to [`ValidateRequest`].
    pub struct ValidateResponse {
        /// The verdict.
        required validity_indicator: ValidityIndicator = VALIDITY_INDICATOR;
    }
}
