//! Get Attribute List (6.1.21 of KMIP 2.1): names the attributes that an object has.

use bytestring::ByteString;

use crate::attribute::AttributeReference;
use crate::codec::structure;
use crate::identifier::UniqueIdentifier;

structure! {
    /// Names the attributes that an object has.
    pub struct GetAttributeListRequest {
        /// The object meant; the ID Placeholder of the batch where absent.
        optional unique_identifier: UniqueIdentifier = UNIQUE_IDENTIFIER;
    }

    /// The answer to [`GetAttributeListRequest`].
    pub struct GetAttributeListResponse {
        /// The object.
        required unique_identifier: ByteString = UNIQUE_IDENTIFIER;
        /// The attributes.
        choices attribute_references: AttributeReference;
    }
}
