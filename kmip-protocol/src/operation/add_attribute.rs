//! Add Attribute (6.1.2 of KMIP 2.1): adds an instance of an attribute.

use bytestring::ByteString;

use crate::attribute::Attributes;
use crate::codec::structure;
use crate::identifier::UniqueIdentifier;

structure! {
    /// Adds an instance of an attribute.
    pub struct AddAttributeRequest {
        /// The object meant; the ID Placeholder of the batch where absent.
        optional unique_identifier: UniqueIdentifier = UNIQUE_IDENTIFIER;
        /// The one attribute to add.
        attributes new_attribute: Attributes = NEW;
    }

    /// The answer to [`AddAttributeRequest`].
    pub struct AddAttributeResponse {
        /// The object.
        required unique_identifier: ByteString = UNIQUE_IDENTIFIER;
        /// The attribute as added (1.x).
        attributes attribute: Attributes = ONLY_1X;
    }
}
