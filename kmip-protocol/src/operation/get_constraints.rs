//! Get Constraints (6.1.22 of KMIP 2.1): returns the limits of attributes.

use crate::codec::structure;
use crate::structures::Constraints;

structure! {
    /// Returns the limits of attributes.
    pub struct GetConstraintsRequest {}

    /// The answer to [`GetConstraintsRequest`].
    pub struct GetConstraintsResponse {
        /// The limits.
        required constraints: Constraints = CONSTRAINTS;
    }
}
