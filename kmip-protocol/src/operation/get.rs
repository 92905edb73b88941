//! Get (6.1.19 of KMIP 2.1): returns an object.

use bytestring::ByteString;

use crate::codec::structure;
use crate::enumeration::{KeyCompressionType, KeyFormatType, KeyWrapType, ObjectType};
use crate::identifier::UniqueIdentifier;
use crate::key_block::KeyWrappingSpecification;
use crate::object::ManagedObject;

structure! {
    /// Returns an object.
    pub struct GetRequest {
        /// The object meant; the ID Placeholder of the batch where absent.
        optional unique_identifier: UniqueIdentifier = UNIQUE_IDENTIFIER;
        /// The format wanted.
        optional key_format_type: KeyFormatType = KEY_FORMAT_TYPE;
        /// Whether a key that is stored wrapped stays so.
        optional key_wrap_type: KeyWrapType = KEY_WRAP_TYPE [V1_4];
        /// The compression of an elliptic curve point.
        optional key_compression_type: KeyCompressionType = KEY_COMPRESSION_TYPE;
        /// How to wrap the key.
        optional key_wrapping_specification: Box<KeyWrappingSpecification> = KEY_WRAPPING_SPECIFICATION;
    }

    /// The answer to [`GetRequest`].
    pub struct GetResponse {
        /// The type of the object.
        required object_type: ObjectType = OBJECT_TYPE;
        /// The object.
        required unique_identifier: ByteString = UNIQUE_IDENTIFIER;
        /// The object itself.
        choice object: ManagedObject;
    }
}
