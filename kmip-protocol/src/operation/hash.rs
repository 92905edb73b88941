//! Hash (6.1.24 of KMIP 2.1): hashes data.

use bytes::Bytes;

use crate::attribute::CryptographicParameters;
use crate::codec::{Secret, structure};

structure! {
    /// Hashes data.
    pub struct HashRequest {
        /// The hashing algorithm.
        required cryptographic_parameters: CryptographicParameters = CRYPTOGRAPHIC_PARAMETERS;
        /// The data, or a part of it.
        optional data: Secret = DATA;
        /// Continues a multi-part operation.
        optional correlation_value: Bytes = CORRELATION_VALUE [V1_3];
        /// Begins a multi-part operation.
        optional init_indicator: bool = INIT_INDICATOR [V1_3];
        /// Ends a multi-part operation.
        optional final_indicator: bool = FINAL_INDICATOR [V1_3];
    }

    /// The answer to [`HashRequest`].
    pub struct HashResponse {
        /// The hash.
        optional data: Bytes = DATA;
        /// To be passed back with the next part.
        optional correlation_value: Bytes = CORRELATION_VALUE [V1_3];
    }
}
