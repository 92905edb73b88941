//! Adjust Attribute (6.1.3 of KMIP 2.1): increments, decrements or negates an attribute.

use bytestring::ByteString;

use crate::attribute::{AttributeReference, CustomValue};
use crate::codec::structure;
use crate::enumeration::AdjustmentType;
use crate::identifier::UniqueIdentifier;

structure! {
    /// Increments, decrements or negates an attribute.
    pub struct AdjustAttributeRequest {
        /// The object meant; the ID Placeholder of the batch where absent.
        optional unique_identifier: UniqueIdentifier = UNIQUE_IDENTIFIER;
        /// The attribute.
        choice attribute_reference: AttributeReference;
        /// What to do.
        required adjustment_type: AdjustmentType = ADJUSTMENT_TYPE;
        /// By how much; 1 where absent.
        optional adjustment_value: CustomValue = ADJUSTMENT_VALUE;
    }

    /// The answer to [`AdjustAttributeRequest`].
    pub struct AdjustAttributeResponse {
        /// The object.
        required unique_identifier: ByteString = UNIQUE_IDENTIFIER;
    }
}
