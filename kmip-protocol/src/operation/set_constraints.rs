//! Set Constraints (6.1.52 of KMIP 2.1): sets the limits of attributes.

use crate::codec::structure;
use crate::structures::Constraints;

structure! {
    /// Sets the limits of attributes.
    pub struct SetConstraintsRequest {
        /// The limits.
        required constraints: Constraints = CONSTRAINTS;
    }

    /// The answer to [`SetConstraintsRequest`].
    pub struct SetConstraintsResponse {}
}
