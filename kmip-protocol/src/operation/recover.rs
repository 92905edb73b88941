//! Recover (6.1.42 of KMIP 2.1): brings an archived object back.

use bytestring::ByteString;

use crate::codec::structure;
use crate::identifier::UniqueIdentifier;

structure! {
    /// Brings an archived object back.
    pub struct RecoverRequest {
        /// The object meant; the ID Placeholder of the batch where absent.
        optional unique_identifier: UniqueIdentifier = UNIQUE_IDENTIFIER;
    }

    /// The answer to [`RecoverRequest`].
    pub struct RecoverResponse {
        /// The object.
        required unique_identifier: ByteString = UNIQUE_IDENTIFIER;
    }
}
