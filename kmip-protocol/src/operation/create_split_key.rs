//! Create Split Key (6.1.10 of KMIP 2.1): makes a key and splits it.

use bytestring::ByteString;

use crate::attribute::Attributes;
use crate::codec::{BigInteger, structure};
use crate::enumeration::{ObjectType, SplitKeyMethod};
use crate::identifier::UniqueIdentifier;
use crate::structures::ProtectionStorageMasks;

structure! {
    /// Makes a key and splits it.
    pub struct CreateSplitKeyRequest {
        /// The type of the object.
        required object_type: ObjectType = OBJECT_TYPE;
        /// The object meant; the ID Placeholder of the batch where absent.
        optional unique_identifier: UniqueIdentifier = UNIQUE_IDENTIFIER;
        /// Parts in all.
        required split_key_parts: i32 = SPLIT_KEY_PARTS;
        /// Parts needed.
        required split_key_threshold: i32 = SPLIT_KEY_THRESHOLD;
        /// How to split.
        required split_key_method: SplitKeyMethod = SPLIT_KEY_METHOD;
        /// The field, for the methods over a prime field.
        optional prime_field_size: BigInteger = PRIME_FIELD_SIZE;
        /// The attributes wanted.
        attributes attributes: Attributes = TEMPLATE;
        /// Where the object may be kept.
        optional protection_storage_masks: ProtectionStorageMasks = PROTECTION_STORAGE_MASKS [V2_0];
    }

    /// The answer to [`CreateSplitKeyRequest`].
    pub struct CreateSplitKeyResponse {
        /// The parts.
        repeated unique_identifiers: ByteString = UNIQUE_IDENTIFIER;
    }
}
