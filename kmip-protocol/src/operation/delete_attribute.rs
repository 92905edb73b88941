//! Delete Attribute (6.1.13 of KMIP 2.1): removes an attribute.

use bytestring::ByteString;

use crate::attribute::{AttributeReference, Attributes};
use crate::codec::structure;
use crate::identifier::UniqueIdentifier;

structure! {
    /// Removes an attribute.
    pub struct DeleteAttributeRequest {
        /// The object meant; the ID Placeholder of the batch where absent.
        optional unique_identifier: UniqueIdentifier = UNIQUE_IDENTIFIER;
        /// The instance to remove (2.x).
        attributes current_attribute: Attributes = CURRENT;
        /// The attribute to remove: with all its instances in 2.x.
        choices attribute_references: AttributeReference;
        /// The instance to remove (1.x).
        optional attribute_index: i32 = ATTRIBUTE_INDEX [V1_0, V1_4];
    }

    /// The answer to [`DeleteAttributeRequest`].
    pub struct DeleteAttributeResponse {
        /// The object.
        required unique_identifier: ByteString = UNIQUE_IDENTIFIER;
        /// The attribute as it was (1.x).
        attributes attribute: Attributes = ONLY_1X;
    }
}
