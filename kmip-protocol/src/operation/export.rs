//! Export (6.1.18 of KMIP 2.1): returns an object and its attributes.

use bytestring::ByteString;

use crate::attribute::Attributes;
use crate::codec::structure;
use crate::enumeration::{KeyCompressionType, KeyFormatType, KeyWrapType, ObjectType};
use crate::identifier::UniqueIdentifier;
use crate::key_block::KeyWrappingSpecification;
use crate::object::ManagedObject;

structure! {
    /// Returns an object and its attributes.
    pub struct ExportRequest {
        /// The object meant; the ID Placeholder of the batch where absent.
        optional unique_identifier: UniqueIdentifier = UNIQUE_IDENTIFIER;
        /// The format wanted.
        optional key_format_type: KeyFormatType = KEY_FORMAT_TYPE;
        /// Whether a key that is stored wrapped stays so.
        optional key_wrap_type: KeyWrapType = KEY_WRAP_TYPE;
        /// The compression of an elliptic curve point.
        optional key_compression_type: KeyCompressionType = KEY_COMPRESSION_TYPE;
        /// How to wrap the key.
        optional key_wrapping_specification: Box<KeyWrappingSpecification> = KEY_WRAPPING_SPECIFICATION;
    }

    /// The answer to [`ExportRequest`].
    pub struct ExportResponse {
        /// The type of the object.
        required object_type: ObjectType = OBJECT_TYPE;
        /// The object.
        required unique_identifier: ByteString = UNIQUE_IDENTIFIER;
        /// Its attributes.
        attributes attributes: Attributes = BARE;
        /// The object itself.
        choice object: ManagedObject;
    }
}
