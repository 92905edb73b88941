//! Check (6.1.7 of KMIP 2.1): asks whether an object may be used in a given way.

use bytestring::ByteString;

use crate::codec::{Interval, structure};
use crate::identifier::UniqueIdentifier;
use crate::mask::CryptographicUsageMask;

structure! {
    /// Asks whether an object may be used in a given way.
    pub struct CheckRequest {
        /// The object meant; the ID Placeholder of the batch where absent.
        optional unique_identifier: UniqueIdentifier = UNIQUE_IDENTIFIER;
        /// Uses wanted.
        optional usage_limits_count: i64 = USAGE_LIMITS_COUNT;
        /// Uses wanted.
        optional cryptographic_usage_mask: CryptographicUsageMask = CRYPTOGRAPHIC_USAGE_MASK;
        /// Lease wanted, in seconds.
        optional lease_time: Interval = LEASE_TIME;
    }

    /// The answer to [`CheckRequest`].
    pub struct CheckResponse {
        /// The object.
        required unique_identifier: ByteString = UNIQUE_IDENTIFIER;
        /// Uses left, where fewer than wanted.
        optional usage_limits_count: i64 = USAGE_LIMITS_COUNT;
        /// Uses allowed, where not all.
        optional cryptographic_usage_mask: CryptographicUsageMask = CRYPTOGRAPHIC_USAGE_MASK;
        /// Lease to be had, in seconds.
        optional lease_time: Interval = LEASE_TIME;
    }
}
