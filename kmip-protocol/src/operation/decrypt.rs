//! Decrypt (6.1.11 of KMIP 2.1): decrypts data.

use bytes::Bytes;
use bytestring::ByteString;

use crate::attribute::CryptographicParameters;
use crate::codec::{Secret, structure};
use crate::identifier::UniqueIdentifier;

structure! {
    /// Decrypts data.
    pub struct DecryptRequest {
        /// The object meant; the ID Placeholder of the batch where absent.
        optional unique_identifier: UniqueIdentifier = UNIQUE_IDENTIFIER;
        /// How to use the key; the key's own attribute where absent.
        optional cryptographic_parameters: CryptographicParameters = CRYPTOGRAPHIC_PARAMETERS;
        /// The cipher text, or a part of it.
        optional data: Secret = DATA;
        /// The initialization vector, counter or nonce.
        optional iv_counter_nonce: Bytes = IV_COUNTER_NONCE;
        /// Continues a multi-part operation.
        optional correlation_value: Bytes = CORRELATION_VALUE [V1_3];
        /// Begins a multi-part operation.
        optional init_indicator: bool = INIT_INDICATOR [V1_3];
        /// Ends a multi-part operation.
        optional final_indicator: bool = FINAL_INDICATOR [V1_3];
        /// Data that is authenticated only.
        optional authenticated_encryption_additional_data: Bytes = AUTHENTICATED_ENCRYPTION_ADDITIONAL_DATA [V1_4];
        /// The tag.
        optional authenticated_encryption_tag: Bytes = AUTHENTICATED_ENCRYPTION_TAG [V1_4];
    }

    /// The answer to [`DecryptRequest`].
    pub struct DecryptResponse {
        /// The object.
        required unique_identifier: ByteString = UNIQUE_IDENTIFIER;
        /// The plain text.
        optional data: Secret = DATA;
        /// To be passed back with the next part.
        optional correlation_value: Bytes = CORRELATION_VALUE [V1_3];
    }
}
