//! Obtain Lease (6.1.35 of KMIP 2.1): asks for permission to use an object for a while.

use bytestring::ByteString;

use crate::codec::{DateTime, Interval, structure};
use crate::identifier::UniqueIdentifier;

structure! {
    /// Asks for permission to use an object for a while.
    pub struct ObtainLeaseRequest {
        /// The object meant; the ID Placeholder of the batch where absent.
        optional unique_identifier: UniqueIdentifier = UNIQUE_IDENTIFIER;
    }

    /// The answer to [`ObtainLeaseRequest`].
    pub struct ObtainLeaseResponse {
        /// The object.
        required unique_identifier: ByteString = UNIQUE_IDENTIFIER;
        /// For how long, in seconds.
        required lease_time: Interval = LEASE_TIME;
        /// When the object last changed: tells whether cached attributes still hold.
        required last_change_date: DateTime = LAST_CHANGE_DATE;
    }
}
