//! Set Attribute (6.1.51 of KMIP 2.1): sets an attribute of a single instance.

use bytestring::ByteString;

use crate::attribute::Attributes;
use crate::codec::structure;
use crate::identifier::UniqueIdentifier;

structure! {
    /// Sets an attribute of a single instance.
    pub struct SetAttributeRequest {
        /// The object meant; the ID Placeholder of the batch where absent.
        optional unique_identifier: UniqueIdentifier = UNIQUE_IDENTIFIER;
        /// The attribute and its value.
        attributes new_attribute: Attributes = NEW;
    }

    /// The answer to [`SetAttributeRequest`].
    pub struct SetAttributeResponse {
        /// The object.
        required unique_identifier: ByteString = UNIQUE_IDENTIFIER;
    }
}
