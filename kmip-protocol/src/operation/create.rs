//! Create (6.1.8 of KMIP 2.1): makes a symmetric key.

use bytestring::ByteString;

use crate::attribute::Attributes;
use crate::codec::structure;
use crate::enumeration::ObjectType;
use crate::structures::ProtectionStorageMasks;

structure! {
    /// Makes a symmetric key.
    pub struct CreateRequest {
        /// The type of the object.
        required object_type: ObjectType = OBJECT_TYPE;
        /// The attributes wanted.
        attributes attributes: Attributes = TEMPLATE;
        /// Where the object may be kept.
        optional protection_storage_masks: ProtectionStorageMasks = PROTECTION_STORAGE_MASKS [V2_0];
    }

    /// The answer to [`CreateRequest`].
    pub struct CreateResponse {
        /// The type of the object.
        required object_type: ObjectType = OBJECT_TYPE;
        /// The object.
        required unique_identifier: ByteString = UNIQUE_IDENTIFIER;
    }
}
