//! RNG Retrieve (6.1.49 of KMIP 2.1): returns random bytes.

use crate::codec::{Secret, structure};

structure! {
    /// Returns random bytes.
    pub struct RngRetrieveRequest {
        /// How many.
        required data_length: i32 = DATA_LENGTH;
    }

    /// The answer to [`RngRetrieveRequest`].
    pub struct RngRetrieveResponse {
        /// The bytes.
        required data: Secret = DATA;
    }
}
