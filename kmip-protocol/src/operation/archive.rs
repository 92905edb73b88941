//! Archive (6.1.4 of KMIP 2.1): moves an object off-line.

use bytestring::ByteString;

use crate::codec::structure;
use crate::identifier::UniqueIdentifier;

structure! {
    /// Moves an object off-line.
    pub struct ArchiveRequest {
        /// The object meant; the ID Placeholder of the batch where absent.
        optional unique_identifier: UniqueIdentifier = UNIQUE_IDENTIFIER;
    }

    /// The answer to [`ArchiveRequest`].
    pub struct ArchiveResponse {
        /// The object.
        required unique_identifier: ByteString = UNIQUE_IDENTIFIER;
    }
}
