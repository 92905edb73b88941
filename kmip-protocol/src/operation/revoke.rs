//! Revoke (6.1.44 of KMIP 2.1): deactivates an object or marks it as compromised.

use bytestring::ByteString;

use crate::attribute::RevocationReason;
use crate::codec::{DateTime, structure};
use crate::identifier::UniqueIdentifier;

structure! {
    /// Deactivates an object or marks it as compromised.
    pub struct RevokeRequest {
        /// The object meant; the ID Placeholder of the batch where absent.
        optional unique_identifier: UniqueIdentifier = UNIQUE_IDENTIFIER;
        /// Why.
        required revocation_reason: RevocationReason = REVOCATION_REASON;
        /// When the compromise is believed to have begun.
        optional compromise_occurrence_date: DateTime = COMPROMISE_OCCURRENCE_DATE;
    }

    /// The answer to [`RevokeRequest`].
    pub struct RevokeResponse {
        /// The object.
        required unique_identifier: ByteString = UNIQUE_IDENTIFIER;
    }
}
