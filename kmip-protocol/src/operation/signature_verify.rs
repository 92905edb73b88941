//! Signature Verify (6.1.56 of KMIP 2.1): verifies a signature.

use bytes::Bytes;
use bytestring::ByteString;

use crate::attribute::CryptographicParameters;
use crate::codec::{Secret, structure};
use crate::enumeration::ValidityIndicator;
use crate::identifier::UniqueIdentifier;

structure! {
    /// Verifies a signature.
    pub struct SignatureVerifyRequest {
        /// The object meant; the ID Placeholder of the batch where absent.
        optional unique_identifier: UniqueIdentifier = UNIQUE_IDENTIFIER;
        /// How to use the key; the key's own attribute where absent.
        optional cryptographic_parameters: CryptographicParameters = CRYPTOGRAPHIC_PARAMETERS;
        /// The data, or a part of it.
        optional data: Secret = DATA;
        /// The digest of the data instead.
        optional digested_data: Bytes = DIGESTED_DATA [V1_4];
        /// The signature.
        optional signature_data: Bytes = SIGNATURE_DATA;
        /// Continues a multi-part operation.
        optional correlation_value: Bytes = CORRELATION_VALUE [V1_3];
        /// Begins a multi-part operation.
        optional init_indicator: bool = INIT_INDICATOR [V1_3];
        /// Ends a multi-part operation.
        optional final_indicator: bool = FINAL_INDICATOR [V1_3];
    }

    /// The answer to [`SignatureVerifyRequest`].
    pub struct SignatureVerifyResponse {
        /// The object.
        required unique_identifier: ByteString = UNIQUE_IDENTIFIER;
        /// The verdict.
        optional validity_indicator: ValidityIndicator = VALIDITY_INDICATOR;
        /// The data that the signature carried.
        optional data: Secret = DATA;
        /// To be passed back with the next part.
        optional correlation_value: Bytes = CORRELATION_VALUE [V1_3];
    }
}
