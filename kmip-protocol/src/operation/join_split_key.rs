//! Join Split Key (6.1.27 of KMIP 2.1): makes a key from its parts.

use bytestring::ByteString;

use crate::attribute::Attributes;
use crate::codec::structure;
use crate::enumeration::{ObjectType, SecretDataType};
use crate::identifier::UniqueIdentifier;
use crate::structures::ProtectionStorageMasks;

structure! {
    /// Makes a key from its parts.
    pub struct JoinSplitKeyRequest {
        /// The type of the object.
        required object_type: ObjectType = OBJECT_TYPE;
        /// The parts.
        repeated unique_identifiers: UniqueIdentifier = UNIQUE_IDENTIFIER;
        /// For secret data.
        optional secret_data_type: SecretDataType = SECRET_DATA_TYPE;
        /// Attributes that differ from the existing object's.
        attributes attributes: Attributes = OPTIONAL_TEMPLATE;
        /// Where the object may be kept.
        optional protection_storage_masks: ProtectionStorageMasks = PROTECTION_STORAGE_MASKS [V2_0];
    }

    /// The answer to [`JoinSplitKeyRequest`].
    pub struct JoinSplitKeyResponse {
        /// The object.
        required unique_identifier: ByteString = UNIQUE_IDENTIFIER;
    }
}
