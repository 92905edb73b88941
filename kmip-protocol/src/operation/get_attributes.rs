//! Get Attributes (6.1.20 of KMIP 2.1): returns attributes of an object.

use bytestring::ByteString;

use crate::attribute::{AttributeReference, Attributes};
use crate::codec::structure;
use crate::identifier::UniqueIdentifier;

structure! {
    /// Returns attributes of an object.
    pub struct GetAttributesRequest {
        /// The object meant; the ID Placeholder of the batch where absent.
        optional unique_identifier: UniqueIdentifier = UNIQUE_IDENTIFIER;
        /// The attributes wanted; all where none is named.
        choices attribute_references: AttributeReference;
    }

    /// The answer to [`GetAttributesRequest`].
    pub struct GetAttributesResponse {
        /// The object.
        required unique_identifier: ByteString = UNIQUE_IDENTIFIER;
        /// Those of them that the object has.
        attributes attributes: Attributes = BARE;
    }
}
