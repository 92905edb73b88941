//! Get Usage Allocation (6.1.23 of KMIP 2.1): reserves uses of an object.

use bytestring::ByteString;

use crate::codec::structure;
use crate::identifier::UniqueIdentifier;

structure! {
    /// Reserves uses of an object.
    pub struct GetUsageAllocationRequest {
        /// The object meant; the ID Placeholder of the batch where absent.
        optional unique_identifier: UniqueIdentifier = UNIQUE_IDENTIFIER;
        /// Uses wanted.
        required usage_limits_count: i64 = USAGE_LIMITS_COUNT;
    }

    /// The answer to [`GetUsageAllocationRequest`].
    pub struct GetUsageAllocationResponse {
        /// The object.
        required unique_identifier: ByteString = UNIQUE_IDENTIFIER;
    }
}
