//! RNG Seed (6.1.50 of KMIP 2.1): offers bytes to the random number generator.

use crate::codec::{Secret, structure};

structure! {
    /// Offers bytes to the random number generator.
    pub struct RngSeedRequest {
        /// The bytes.
        required data: Secret = DATA;
    }

    /// The answer to [`RngSeedRequest`].
    pub struct RngSeedResponse {
        /// How many were taken.
        required data_length: i32 = DATA_LENGTH;
    }
}
