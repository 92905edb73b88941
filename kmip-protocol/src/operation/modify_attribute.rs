//! Modify Attribute (6.1.34 of KMIP 2.1): changes an instance of an attribute.

use bytestring::ByteString;

use crate::attribute::Attributes;
use crate::codec::structure;
use crate::identifier::UniqueIdentifier;

structure! {
    /// Changes an instance of an attribute.
    pub struct ModifyAttributeRequest {
        /// The object meant; the ID Placeholder of the batch where absent.
        optional unique_identifier: UniqueIdentifier = UNIQUE_IDENTIFIER;
        /// The instance to change (2.x); the only one where absent.
        attributes current_attribute: Attributes = CURRENT;
        /// The new value; in 1.x with the index of the instance.
        attributes new_attribute: Attributes = NEW;
    }

    /// The answer to [`ModifyAttributeRequest`].
    pub struct ModifyAttributeResponse {
        /// The object.
        required unique_identifier: ByteString = UNIQUE_IDENTIFIER;
        /// The attribute as modified (1.x).
        attributes attribute: Attributes = ONLY_1X;
    }
}
