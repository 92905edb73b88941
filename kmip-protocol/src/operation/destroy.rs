//! Destroy (6.1.15 of KMIP 2.1): destroys the material of an object.

use bytestring::ByteString;

use crate::codec::structure;
use crate::identifier::UniqueIdentifier;

structure! {
    /// Destroys the material of an object.
    pub struct DestroyRequest {
        /// The object meant; the ID Placeholder of the batch where absent.
        optional unique_identifier: UniqueIdentifier = UNIQUE_IDENTIFIER;
    }

    /// The answer to [`DestroyRequest`].
    pub struct DestroyResponse {
        /// The object.
        required unique_identifier: ByteString = UNIQUE_IDENTIFIER;
    }
}
