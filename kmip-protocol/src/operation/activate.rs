//! Activate (6.1.1 of KMIP 2.1): makes a Pre-Active object Active.

use bytestring::ByteString;

use crate::codec::structure;
use crate::identifier::UniqueIdentifier;

structure! {
    /// Makes a Pre-Active object Active.
    pub struct ActivateRequest {
        /// The object meant; the ID Placeholder of the batch where absent.
        optional unique_identifier: UniqueIdentifier = UNIQUE_IDENTIFIER;
    }

    /// The answer to [`ActivateRequest`].
    pub struct ActivateResponse {
        /// The object.
        required unique_identifier: ByteString = UNIQUE_IDENTIFIER;
    }
}
