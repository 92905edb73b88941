//! Register (6.1.43 of KMIP 2.1): stores an object that the client brings.

use bytestring::ByteString;

use crate::attribute::Attributes;
use crate::codec::structure;
use crate::enumeration::ObjectType;
use crate::object::ManagedObject;
use crate::structures::ProtectionStorageMasks;

structure! {
    /// Stores an object that the client brings.
    pub struct RegisterRequest {
        /// The type of the object.
        required object_type: ObjectType = OBJECT_TYPE;
        /// The attributes wanted.
        attributes attributes: Attributes = TEMPLATE;
        /// The object itself.
        choice object: ManagedObject;
        /// Where the object may be kept.
        optional protection_storage_masks: ProtectionStorageMasks = PROTECTION_STORAGE_MASKS [V2_0];
    }

    /// The answer to [`RegisterRequest`].
    pub struct RegisterResponse {
        /// The object.
        required unique_identifier: ByteString = UNIQUE_IDENTIFIER;
    }
}
