//! Import (6.1.25 of KMIP 2.1): stores an object under a given identifier.

use bytestring::ByteString;

use crate::attribute::Attributes;
use crate::codec::structure;
use crate::enumeration::{KeyWrapType, ObjectType};
use crate::object::ManagedObject;

structure! {
    /// Stores an object under a given identifier.
    pub struct ImportRequest {
        /// The identifier that the object is to have.
        required unique_identifier: ByteString = UNIQUE_IDENTIFIER;
        /// The type of the object.
        optional object_type: ObjectType = OBJECT_TYPE [V2_0];
        /// Whether an object of that identifier may be replaced.
        optional replace_existing: bool = REPLACE_EXISTING;
        /// Whether the key is wrapped.
        optional key_wrap_type: KeyWrapType = KEY_WRAP_TYPE;
        /// Its attributes.
        attributes attributes: Attributes = BARE;
        /// The object itself.
        choice object: ManagedObject;
    }

    /// The answer to [`ImportRequest`].
    pub struct ImportResponse {
        /// The object.
        required unique_identifier: ByteString = UNIQUE_IDENTIFIER;
    }
}
